"""What a training finds again after its preparation or its price list was cut off."""

import json

import numpy as np
import pytest
from PIL import Image

from veridical.errors import TrainingData
from veridical.training import photo_pixels
from veridical.training.photo_pixels import Pixels, prepare_pixels
from veridical.training.photo_prices import _rows


class Cut(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def sets(tmp_path):
    """Two folders of three pictures."""
    for k, name in enumerate(("a", "b")):
        (tmp_path / name).mkdir()
        for n in range(3):
            noise = np.random.default_rng([k, n]).integers(0, 256, (70, 80, 3)).astype(np.uint8)
            Image.fromarray(noise).save(tmp_path / name / f"{n}.png")
    return tmp_path


def test_a_preparation_that_was_cut_off_vouches_for_nothing(sets, monkeypatch):
    # Oracle: the pixels of the first set, byte by byte. A second set is cut off at each of its
    # pictures; the index of the first must not stand beside pixels of the second.
    run = sets / "run"
    prepare_pixels([sets / "a"], run, smallest_side=64)
    first = (run / "pixels.u8").read_bytes()
    opened = photo_pixels._opened
    for stop in range(3):
        left = iter([True] * stop)

        def open_some(data, left=left):
            if next(left, None) is None:
                raise Cut
            return opened(data)

        monkeypatch.setattr(photo_pixels, "_opened", open_some)
        with pytest.raises(Cut):
            prepare_pixels([sets / "b"], run, smallest_side=64)
        with pytest.raises(TrainingData):
            Pixels.load(run)
        monkeypatch.setattr(photo_pixels, "_opened", opened)
        prepare_pixels([sets / "a"], run, smallest_side=64)
        assert (run / "pixels.u8").read_bytes() == first
    assert not (run / "pixels.u8.tmp").exists()


@pytest.mark.parametrize("cut", [0, 1, 10, -2, -1])
def test_a_price_list_goes_on_after_half_a_line(tmp_path, cut):
    # Oracle: the whole lines, and a line that is added afterwards, whatever was cut off.
    log = tmp_path / "calibration.jsonl"
    whole = [{"name": "a", "mmse": 1.0}, {"name": "b", "mmse": 2.0}]
    text = "".join(json.dumps(row) + "\n" for row in whole)
    third = json.dumps({"name": "c", "mmse": 3.0}) + "\n"
    log.write_text(text + third[:cut])
    assert _rows(log) == whole
    with log.open("a") as out:
        out.write(third)
    assert _rows(log) == [*whole, json.loads(third)]
    assert _rows(tmp_path / "none.jsonl") == []
