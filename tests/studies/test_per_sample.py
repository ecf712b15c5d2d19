"""Wasserstein distortion along the knob: its ends, what is refused, and a killed run that goes on."""

import shutil

import numpy as np
import pytest

from veridical.errors import MissingFile
from veridical.studies.per_sample import REALISMS, compute
from veridical.studies.records import Record, Run, load_record, save_record


def test_ends_and_a_run_that_goes_on(studied, tmp_path):
    # Oracles: a window of a point is squared error, to rounding, here of whole pictures; between laws of features of
    # whole pictures realism 1 is at less than half of the distance of realism 0 in each (.12 and .22 when written).
    # A second run takes the parts that are there: one that was changed shows.
    pytest.importorskip("torch")
    path = studied("per-sample")[0]
    record = load_record(path)
    mse, pixels, features = (record.arrays[f"AVIF {key}"] for key in ("mse", "pixels", "features"))
    assert mse.shape == (2, len(REALISMS))
    np.testing.assert_allclose(pixels[:, 0], mse, rtol=1e-9)
    assert np.all(features[:, -1, -1] < 0.5 * features[:, -1, 0])
    parts = shutil.copytree(path.parent / "work" / "per-sample-quick", tmp_path / "parts")
    part = load_record(parts / "part-1-AVIF.npz")
    save_record(Record(part.study, {}, {**part.arrays, "mse": part.arrays["mse"] + 1}), parts)
    again = compute(Run(work=parts, preset="quick"))
    np.testing.assert_array_equal(again.arrays["AVIF mse"], np.array([mse[0], mse[1] + 1]))
    with pytest.raises(MissingFile, match="--data"):
        compute(Run(work=tmp_path, preset="full", data=tmp_path))
