"""Gains of weights on pictures that they were not trained on."""

import pytest
from PIL import Image

from veridical.photo.weights import SHIPPED
from veridical.training import estimator_validation
from veridical.training.estimator_validation import validate
from veridical.training.pictures import conventional


@pytest.mark.parametrize("name", ["WEBP", "JPEG"])
def test_gains_of_the_shipped_estimator(name, tmp_path, monkeypatch):
    # Oracle: contract: a group of each kind; on a photograph at quality 20 the shipped networks gain half a
    # decibel and more (on validation photographs 1.1 and 1.9).
    from skimage import data

    Image.fromarray(data.astronaut()).save(tmp_path / "a.png")
    monkeypatch.setattr(estimator_validation, "KINDS", ["flat"])
    monkeypatch.setattr(estimator_validation, "HELD_OUT", [])
    monkeypatch.setattr(estimator_validation, "_QUALITIES", (20,))
    gains = validate(SHIPPED / f"{name.lower()}.onnx", conventional(name), [tmp_path])
    assert {"quality 20", "JPEG 30 before 90", "drawn: flat"} <= set(gains)
    assert ("grey 40" in gains) == (name == "JPEG")
    assert gains["quality 20"] > 0.5
