"""A training picture taken a second time: at another resolution, and mostly with grain."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

_SMALLEST = 0.55
_GRAIN = (1.0, 7.0)
_GRAINY = 2 / 3


def augment(picture: Image.Image, rng: np.random.Generator, smallest_side: int) -> Image.Image:
    """The picture at 0.55 to 1 of its size, two times of three with grain.

    Grain is Gaussian, of 1 to 7 levels (evenly in the logarithm), partly common to the colours and
    partly blurred, weaker at black and white, as film and sensors leave it.

    Args:
        picture: Of mode RGB.
        rng: Decides size and grain.
        smallest_side: In pixels; pictures are not made smaller than that.
    """
    factor = max(_SMALLEST + (1 - _SMALLEST) * rng.random(), smallest_side / min(picture.size))
    if factor < 1:
        width, height = (round(n * factor) for n in picture.size)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    if rng.random() >= _GRAINY:
        return picture
    x = np.asarray(picture, dtype=np.float32)
    level = _GRAIN[0] * (_GRAIN[1] / _GRAIN[0]) ** rng.random()
    common, blur = rng.random(), 0.9 * rng.random()
    own, shared = (
        rng.standard_normal((*x.shape[:2], n), dtype=np.float32) for n in (x.shape[2], 1)
    )
    grain = gaussian_filter(
        np.sqrt(1 - common) * own + np.sqrt(common) * shared, (blur, blur, 0), mode="nearest"
    )
    grain *= level / grain.std() * (0.4 + 2.4 * (x / 255) * (1 - x / 255))
    return Image.fromarray((x + grain).round().clip(0, 255).astype(np.uint8))
