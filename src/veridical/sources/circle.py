"""The unit circle: the source of [T] section II.

The law is uniform on the unit circle, density ``1 / (2 pi)`` per radian of the angle. Points are
rows ``(cos, sin)``, or the complex numbers ``cos + i sin`` where the arithmetic turns them.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.arrays import whole_number
from veridical.errors import InvalidSetting

__all__ = ["as_complex", "checked_count", "circle_density", "circle_samples", "half_turns"]


def checked_count(n: int) -> int:
    """A number of samples.

    Raises:
        InvalidSetting: ``n`` is negative or not a whole number.
    """
    return whole_number(n, "n", 0)


def circle_samples(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Independent points of the uniform law on the unit circle, shape ``(n, 2)``.

    Raises:
        InvalidSetting: ``n`` is negative or not a whole number.
    """
    angle = rng.random(checked_count(n))
    angle *= 2.0 * math.pi
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def circle_density(angle: ArrayLike) -> NDArray[np.float64]:
    """``1 / (2 pi)`` per radian at every angle (radians, any whole turns added).

    Raises:
        InvalidSetting: an angle is not finite.
    """
    angles = np.asarray(angle, dtype=np.float64)
    if not np.all(np.isfinite(angles)):
        raise InvalidSetting("the angles hold NaN or infinite values; remove them first")
    return np.full(angles.shape, 0.5 / math.pi)


def half_turns(halves: NDArray[np.float64], radius: float = 1.0) -> NDArray[np.complex128]:
    """``radius * e^(2 i h)`` from half angles ``|h| <= pi/4``, by one sine and one root.

    With ``s = sin h`` and ``c = sqrt(1 - s^2)``: ``cos 2h = 1 - 2 s^2``, ``sin 2h = 2 s c``. On
    this range ``c >= 0.7``, so that the root loses no digits. ``halves`` is overwritten.
    """
    s = np.sin(halves, out=halves)
    square = s * s
    turned = np.empty(s.shape, dtype=np.complex128)
    turned.real = radius - (2.0 * radius) * square
    np.subtract(1.0, square, out=square)
    np.sqrt(square, out=square)
    square *= s
    square *= 2.0 * radius
    turned.imag = square
    return turned


def as_complex(x: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Rows ``(re, im)`` as complex numbers: a view of a contiguous array of shape ``(n, 2)``."""
    return np.ascontiguousarray(x).view(np.complex128).reshape(-1)
