"""Generators of photographs on one estimator: costs that are known, and a killed run that goes on."""

import shutil

import numpy as np
import pytest

from veridical.errors import MissingFile
from veridical.studies.generators_photo import PLAIN, compute
from veridical.studies.records import Record, Run, load_record, save_record


def test_costs_and_a_run_that_goes_on(studied, tmp_path):
    # Oracles: sharpening by twice as much costs four times as much, less what is clipped (an eighth); the D of the record is
    # that of its pictures, d + C for noise, which is independent of the error (5 %: 33,000 samples of pictures);
    # an untrained generator moves nothing to speak of. A second run takes the parts that are there.
    for package in ("torch", "onnx"):
        pytest.importorskip(package)
    path = studied("generators-photo")[0]
    record = load_record(path)
    kinds = record.facts["kinds"]
    d, cost, total = (record.arrays[key] for key in ("d", "C", "D"))
    at = {kind: k for k, kind in enumerate(kinds)}
    assert 3.5 < cost[at["sharpened 1"]] / cost[at["sharpened 0.5"]] <= 4
    noise = at["white noise"]
    assert total[noise] == pytest.approx(d[noise] + cost[noise], rel=0.05)
    assert np.ptp(d) == 0
    assert cost[at["both"]] < 0.05 * d[0]
    parts = shutil.copytree(path.parent / "work" / "generators-photo-quick", tmp_path / "parts")
    part = load_record(parts / "both-part.npz")
    save_record(Record("both-part", {}, {**part.arrays, "C": part.arrays["C"] + 1}), parts)
    again = compute(Run(work=parts, preset="quick"))
    assert again.arrays["C"][at["both"]] == cost[at["both"]] + 1
    assert len(PLAIN) < len(kinds)
    with pytest.raises(MissingFile, match="--data"):
        compute(Run(work=tmp_path, preset="full", data=tmp_path))
