"""The error that the estimator expects of a picture."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from veridical.photo.decode import decode_picture
from veridical.photo.expected import MOST_WINDOWS, WINDOW, _windows, expected_error, file_price
from veridical.photo.model import load_model
from veridical.photo.reader import open_coded
from veridical.photo.residual import estimate


def opened(picture, name="JPEG", quality=15):
    buffer = io.BytesIO()
    picture.save(buffer, name, quality=quality)
    return open_coded(buffer.getvalue())


def directly(model, file):
    """Oracle: one pass over the whole picture, sides multiples of 16, by ``estimate`` itself."""
    y = torch.from_numpy(np.array(file.pixels)).permute(2, 0, 1)[None].float() / 255
    scale = torch.full((1, 1, 1, 1), model.scale(file.condition))
    features = torch.from_numpy(file.condition.features())[None]
    with torch.inference_mode():
        _, size = estimate(model.estimator, y, features, scale)
    return float((size.double().square() * float(scale) ** 2).mean())


def test_small_pictures_are_looked_at_whole():
    # Oracle: estimate() on the whole picture; relative 1e-4 (float32).
    file = opened(Image.fromarray(data.astronaut()[:320, :400]))
    model = load_model()
    found = expected_error(model, file.pixels, file.condition)
    assert found == pytest.approx(directly(model, file), rel=1e-4)


def test_windows_stand_for_a_large_picture():
    # Oracle: the whole picture. Half a megapixel of windows out of 1.05: within 6 % (found: 4 %).
    file = opened(Image.fromarray(data.astronaut()).resize((1024, 1024), Image.Resampling.LANCZOS))
    model = load_model()
    found = expected_error(model, file.pixels, file.condition)
    assert found == pytest.approx(directly(model, file), rel=0.06)
    assert found == expected_error(model, file.pixels, file.condition)


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (5, 40_000), (40_000, 5), (700, 751), (513, 1025), (3000, 4000)]
)
def test_windows_lie_inside_and_are_few(height, width):
    # Oracle: every window is found in the picture, whose pixels are their own coordinates.
    pixels = np.zeros((height, width, 3), np.uint16)
    pixels[:, :, 0] = np.arange(height)[:, None]
    pixels[:, :, 1] = np.arange(width)
    found = _windows(pixels)
    if height * width <= MOST_WINDOWS * WINDOW**2:
        assert np.array_equal(found, pixels[None])
        return
    assert len(found) <= MOST_WINDOWS
    assert found.shape[1:3] == (min(height, WINDOW), min(width, WINDOW))
    corners = {tuple(w[0, 0, :2]) for w in found}
    assert len(corners) == len(found)
    for w in found:
        top, left = w[0, 0, :2]
        assert top % 16 == 0
        assert left % 16 == 0
        assert np.array_equal(w, pixels[top : top + w.shape[0], left : left + w.shape[1]])
    # They reach both ends, up to the grid of 16.
    assert max(w[-1, 0, 0] for w in found) >= height - 16
    assert max(w[0, -1, 1] for w in found) >= width - 16


def test_prices_of_photographs_of_no_set():
    # Oracle: measured errors of realism 0 and 1. Three photographs at two rates of each format: the
    # predicted PSNR is off by less than 1 dB, rms of all (found: 0.65).
    off = []
    for picture in (data.astronaut(), data.coffee(), data.chelsea()):
        truth = picture[16:208, 96:352]
        for name, qualities in (("AVIF", (25, 50)), ("WEBP", (5, 45)), ("JPEG", (8, 35))):
            for quality in qualities:
                file = opened(Image.fromarray(truth), name, quality)
                price = file_price(load_model(), file.pixels, file.condition, 1)
                for a in (0.0, 1.0):
                    found = np.asarray(decode_picture(file, realism=a, steps=1), np.float64)
                    measured = np.mean((found - truth) ** 2) / 255**2
                    off.append(10 * np.log10(price.distortion_at(a) / measured))
    assert np.sqrt(np.mean(np.square(off))) < 1.0
