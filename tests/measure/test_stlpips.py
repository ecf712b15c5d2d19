"""ST-LPIPS against the numbers of its authors' own package."""

import numpy as np
import pytest

from veridical.errors import InvalidSetting
from veridical.measure import Trunk, st_lpips


@pytest.fixture
def installed():
    pytest.importorskip("stlpips_pytorch")
    pytest.importorskip("torch")


def ramp(height, width):
    """A picture from integer arithmetic alone, the same everywhere."""
    y, x = np.mgrid[:height, :width]
    planes = [(3 * x + 5 * y) % 256, (x * y) % 256, (7 * x + y * y // 4) % 256]
    return np.stack(planes, axis=2).astype(np.uint8)


def altered(picture):
    """Moved by two pixels, with an inverted green plane."""
    other = np.roll(picture, 2, axis=1)
    other[:, :, 1] = 255 - other[:, :, 1]
    return other


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("trunk", "height", "width", "expected"),
    [
        (Trunk.ALEX, 64, 64, 0.06411018967628479),
        (Trunk.ALEX, 75, 101, 0.04591848701238632),
        (Trunk.ALEX, 32, 32, 0.31827980279922485),
        (Trunk.ALEX, 33, 40, 0.16488146781921387),
        (Trunk.VGG, 64, 64, 0.13739347457885742),
        (Trunk.VGG, 33, 40, 0.29570212960243225),
    ],
)
def test_the_numbers_of_the_authors_package(trunk, height, width, expected):
    # Oracle: stlpips-pytorch 0.0.2 itself, stlpips.LPIPS(net=..., variant="shift_tolerant"), run
    # once beside stand-ins for the three modules it imports and does not use; 1e-5 relative
    # (float32, another order of additions). 33 x 40 and 75 x 101 cover odd sizes at the borders.
    picture = ramp(height, width)
    assert st_lpips(picture, altered(picture), trunk=trunk) == pytest.approx(expected, rel=1e-5)


@pytest.mark.usefixtures("installed")
def test_zero_for_equal_and_symmetric():
    # Oracle: definition; exact 0, 1e-6 relative.
    a = ramp(48, 56)
    b = altered(a)
    assert st_lpips(a, a) == 0.0
    assert st_lpips(a, b) == pytest.approx(st_lpips(b, a), rel=1e-6)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.zeros((40, 40, 3)), np.zeros((40, 40, 3)), "uint8"),
        (np.zeros((40, 40), np.uint8), np.zeros((40, 40), np.uint8), "H x W x 3"),
        (np.zeros((40, 40, 4), np.uint8), np.zeros((40, 40, 4), np.uint8), "H x W x 3"),
        (np.zeros((40, 40, 3), np.uint8), np.zeros((40, 41, 3), np.uint8), "one size"),
        (np.zeros((31, 40, 3), np.uint8), np.zeros((31, 40, 3), np.uint8), "too small"),
    ],
)
def test_what_is_no_pair_of_pictures_is_refused(a, b, message):
    with pytest.raises(InvalidSetting, match=message):
        st_lpips(a, b)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("trunk", "height", "width"),
    [(Trunk.ALEX, 200, 147), (Trunk.ALEX, 33, 129), (Trunk.VGG, 33, 97)],
)
def test_windows_give_the_number_of_the_whole_picture(monkeypatch, trunk, height, width):
    # Oracle: the picture in one window; 1e-6 relative (float32, another order of additions). Odd sides,
    # and a window about as large as what it overlaps with.
    picture = ramp(height, width)
    picture.flags.writeable = False  # as Pillow's arrays are
    whole = st_lpips(picture, altered(picture), trunk=trunk)
    for side in (48, 90):
        monkeypatch.setattr("veridical.measure.stlpips._WINDOW", side)
        assert st_lpips(picture, altered(picture), trunk=trunk) == pytest.approx(whole, rel=1e-6)


@pytest.mark.usefixtures("installed")
def test_memory_does_not_grow_with_the_picture(monkeypatch):
    # Oracle: the largest array that a convolution is given is the same for a picture of nearly three times
    # the pixels; from three windows a side on there is one that others surround.
    import torch

    monkeypatch.setattr("veridical.measure.stlpips._WINDOW", 64)
    real, sizes = torch.nn.functional.conv2d, []

    def noted(x, *args, **kwargs):
        sizes.append(x.numel())
        return real(x, *args, **kwargs)

    monkeypatch.setattr(torch.nn.functional, "conv2d", noted)
    largest = []
    for side in (192, 320):
        sizes.clear()
        st_lpips(ramp(side, side), ramp(side, side))
        largest.append(max(sizes))
    assert largest[1] <= 1.1 * largest[0]
