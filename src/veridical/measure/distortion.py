"""Distortion: squared error and PSNR between two arrays of one shape.

The unit is part of the name. ``mse_unit`` is on the scale where white is 1, so that the same
numbers describe photographs, digits and the synthetic sources; ``psnr_db`` is the customary
``10 log10(255^2 / mse)`` on 8-bit samples, all channels together.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.errors import InvalidSetting


def mse_unit(a: ArrayLike, b: ArrayLike) -> float:
    """Mean squared error, with samples on the scale where 0 is black and 1 is white.

    Args:
        a: any shape, for example ``H x W`` or ``H x W x C``. ``uint8`` samples are divided by
            255; floating-point samples are taken to be on the unit scale already.
        b: the same shape as ``a``; its type may differ.

    Returns:
        ``mean((a - b)^2)`` over all samples, in units of squared full scale. Multiply by
        ``255**2`` for squared 8-bit levels.

    Raises:
        InvalidSetting: shapes differ, an array is empty, a sample is not finite, or the type is
            neither ``uint8`` nor floating point.
    """
    left, right = np.asarray(a), np.asarray(b)
    _check_shapes(left, right)
    if left.dtype == np.uint8 and right.dtype == np.uint8:
        return _mean_squared_levels(left, right) / 255.0**2
    difference = _to_unit(left) - _to_unit(right)
    error = float(np.mean(np.square(difference)))
    if not math.isfinite(error):
        raise InvalidSetting(
            "the arrays hold NaN or infinite samples; remove them before measuring"
        )
    return error


def psnr_db(a: ArrayLike, b: ArrayLike) -> float:
    """Peak signal-to-noise ratio of 8-bit pictures, in decibels.

    Args:
        a: ``uint8`` samples, any shape; for a colour picture ``H x W x 3``.
        b: ``uint8``, the same shape.

    Returns:
        ``10 log10(255^2 / mse)`` with the mean over all samples of all channels; ``inf`` when
        the pictures are equal.

    Raises:
        InvalidSetting: shapes differ, an array is empty, or the type is not ``uint8``.
    """
    left, right = np.asarray(a), np.asarray(b)
    _check_shapes(left, right)
    for array in (left, right):
        if array.dtype != np.uint8:
            raise InvalidSetting(
                f"PSNR with peak 255 needs uint8 samples, not {array.dtype}; "
                "round and clip the picture to 0..255 first"
            )
    squared_levels = _mean_squared_levels(left, right)
    return math.inf if squared_levels == 0 else 10.0 * math.log10(255.0**2 / squared_levels)


def _check_shapes(a: NDArray, b: NDArray) -> None:
    if a.shape != b.shape:
        raise InvalidSetting(
            f"shapes differ: {a.shape} and {b.shape}; compare a picture with its own reconstruction"
        )
    if a.size == 0:
        raise InvalidSetting("the arrays are empty; there is nothing to measure")


def _mean_squared_levels(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Exact: the sum stays an integer, and one division rounds."""
    difference = a.astype(np.int32) - b.astype(np.int32)
    return int(np.sum(np.square(difference), dtype=np.int64)) / difference.size


def _to_unit(array: NDArray) -> NDArray[np.float64]:
    if array.dtype == np.uint8:
        return array / 255.0
    if np.issubdtype(array.dtype, np.floating):
        return array.astype(np.float64)
    raise InvalidSetting(
        f"samples of type {array.dtype} have no agreed full scale; "
        "give uint8 (0..255) or floating point (0..1)"
    )
