"""Arrays and tensors as pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from veridical.arrays import is_tensor, to_numpy
from veridical.errors import InvalidSetting
from veridical.notices import Notice


def is_pixels(source: object) -> bool:
    """Whether it is a numpy array or a torch tensor."""
    return isinstance(source, np.ndarray) or is_tensor(source)


def picture_of(source: Any, notice: Notice) -> Image.Image:
    """A Pillow picture of an array or a tensor.

    Args:
        source: numpy of shape (height, width) or (height, width, channels), or torch of shape (height, width) or
            (channels, height, width); 1 to 4 channels are grey, grey and alpha, RGB, and RGB and alpha.
            uint8, uint16 (0 to 65,535) or floats from 0 to 1.
        notice: Called with a sentence where levels are lost.

    Raises:
        InvalidSetting: Another shape or kind of number, or what is no number.
    """
    x = to_numpy(source)
    if is_tensor(source) and x.ndim == 3:
        x = np.moveaxis(x, 0, -1)
    if x.ndim not in (2, 3) or (x.ndim == 3 and not 1 <= x.shape[2] <= 4) or 0 in x.shape:
        said = "([channels,] height, width)" if is_tensor(source) else "(height, width[, channels])"
        raise InvalidSetting(
            f"a picture has the shape {said} with 1 to 4 channels, not {tuple(source.shape)}"
        )
    levels = _levels(x, notice)
    if levels.ndim == 3 and levels.shape[2] == 1:
        levels = levels[:, :, 0]
    return Image.fromarray(np.ascontiguousarray(levels))


def _levels(x: np.ndarray, notice: Notice) -> np.ndarray:
    """Eight-bit levels."""
    if x.dtype == np.uint8:
        return x
    if x.dtype == np.uint16:
        notice("16-bit samples are converted to 8 bits")
        return (x / np.float32(257) + np.float32(0.5)).astype(np.uint8)
    if x.dtype.kind != "f":
        raise InvalidSetting(
            f"the levels of a picture are uint8, uint16 or floats from 0 to 1, not {x.dtype}; convert them"
        )
    low, high = float(np.min(x)), float(np.max(x))
    if not np.isfinite(low + high):  # a single NaN is the smallest and the largest
        raise InvalidSetting("the picture holds what is no number (NaN or infinity)")
    if high > 2 or low < -1:
        raise InvalidSetting(
            f"floats of a picture go from 0 to 1, these from {low:.4g} to {high:.4g}; scale them, or give uint8"
        )
    if low < 0 or high > 1:
        notice(f"samples from {low:.4g} to {high:.4g} are clipped to 0..1")
    return (np.clip(x, 0, 1) * 255 + 0.5).astype(np.uint8)
