"""What a training finds again after its preparation or its price list was cut off."""

import json

import numpy as np
import pytest
from PIL import Image

from veridical.training import sources
from veridical.training.sources import prepare_sources
from veridical.training.stages import MeasuredRows


class Cut(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def sets(tmp_path):
    """Two folders of three pictures."""
    for k, name in enumerate(("a", "b")):
        (tmp_path / name).mkdir()
        for n in range(3):
            noise = np.random.default_rng([k, n]).integers(0, 256, (170, 180, 3)).astype(np.uint8)
            Image.fromarray(noise).save(tmp_path / name / f"{n}.png")
    return tmp_path


def test_a_preparation_that_was_cut_off_vouches_for_nothing(sets, monkeypatch):
    # Oracle: the pieces of the first set, byte by byte. A second set is cut off at each of its
    # pictures; the index of the first must not stand beside pieces of the second.
    monkeypatch.setattr(sources, "KINDS", ["flat"])  # others take long to draw
    run = sets / "run"
    first = prepare_sources([sets / "a"], [], run, n_drawings=1).photographs.tobytes()
    tiles = sources._tiles
    for stop in range(3):
        left = iter([True] * stop)

        def some_tiles(data, left=left):
            if next(left, None) is None:
                raise Cut
            return tiles(data)

        monkeypatch.setattr(sources, "_tiles", some_tiles)
        with pytest.raises(Cut):
            prepare_sources([sets / "b"], [], run, n_drawings=1)
        assert not (run / "sources.json").exists()
        monkeypatch.setattr(sources, "_tiles", tiles)
        again = prepare_sources([sets / "a"], [], run, n_drawings=1)
        assert again.photographs.tobytes() == first


@pytest.mark.parametrize("cut", [0, 1, 10, -2, -1])
def test_a_price_list_goes_on_after_half_a_line(tmp_path, cut):
    # Oracle: the whole lines, and a line that is added afterwards, whatever was cut off.
    log = tmp_path / "calibration.jsonl"
    whole = [{"mmse": k, "weights": "w"} for k in (1.0, 2.0)]
    text = "".join(json.dumps(row) + "\n" for row in whole)
    third = json.dumps({"mmse": 3.0, "weights": "w"}) + "\n"
    log.write_text(text + third[:cut])
    found = MeasuredRows(log, "w")
    assert found.rows == whole
    found.add({"mmse": 3.0})
    assert MeasuredRows(log, "w").rows == found.rows == [*whole, json.loads(third)]
    assert MeasuredRows(log, "other").rows == []
    assert MeasuredRows(tmp_path / "none.jsonl", "w").rows == []
