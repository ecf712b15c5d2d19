"""The unit circle: one-shot limits of M outputs and K seeds, and the limit of large blocks.

One shot ([T] section II), with ``r_M = (M/pi) sin(pi/M)``:

    d = 1 - r_M^2 (24),  W2^2 = 1 + r_M^2 - 2 r_M r_MK (25),  D(P) = d + ((W2 - sqrt P)+)^2 (26).

Large blocks ([T] eqs 50-53): by symmetry the best test channels are von Mises laws, and the same
formulas hold with ``r = I1(k)/I0(k)`` in place of ``r_M``, where ``k`` solves

    rate in nats = k I1(k)/I0(k) - log I0(k).

Squared error and squared Wasserstein-2, per vector of two coordinates. Arguments broadcast.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import i0e, i1e

from veridical.arrays import Array
from veridical.errors import InvalidSetting
from veridical.limits.checks import non_negative


def _counts(values: ArrayLike, name: str) -> Array:
    array = non_negative(values, name)
    finite = np.isfinite(array)
    if np.any(array < 1) or np.any(array[finite] != np.round(array[finite])):
        raise InvalidSetting(f"{name} must be a whole number of 1 or more (or inf), got {values!r}")
    return array


def _blend(d: Array, w2_squared: Array, perception: ArrayLike) -> Array:
    """``d + ((W2 - sqrt P)+)^2`` ([T] eq. 9)."""
    P = non_negative(perception, "perception")
    return d + np.maximum(np.sqrt(w2_squared) - np.sqrt(P), 0.0) ** 2


def circle_radius(outputs: ArrayLike) -> Array:
    """``r_M = (M/pi) sin(pi/M)``: the radius of the centroid of an arc of width ``2 pi / M``."""
    return np.sinc(1.0 / _counts(outputs, "outputs"))


def circle_mmse(outputs: ArrayLike) -> Array:
    """``d = 1 - r_M^2`` ([T] eq. 24)."""
    r = circle_radius(outputs)
    return (1.0 - r) * (1.0 + r)


def circle_w2_squared(outputs: ArrayLike, seeds: ArrayLike = 1) -> Array:
    """``W2^2(p_X, p_X~) = 1 + r_M^2 - 2 r_M r_MK`` ([T] eq. 25); ``seeds = inf`` is dithering."""
    M, K = np.broadcast_arrays(_counts(outputs, "outputs"), _counts(seeds, "seeds"))
    r, fine = circle_radius(M), np.sinc(1.0 / (M * K))
    return (1.0 - r) ** 2 + 2.0 * r * (1.0 - fine)


def circle_distortion(outputs: ArrayLike, perception: ArrayLike, seeds: ArrayLike = 1) -> Array:
    """``D(P)`` of ``M`` outputs and ``K`` seeds ([T] eqs 26-30).

    Args:
        outputs: ``M``, whole, 1 or more; the rate is ``log2 M`` bits.
        perception: ``P``, squared Wasserstein-2, 0 or more.
        seeds: ``K``, whole, 1 or more, or ``inf``.

    Raises:
        InvalidSetting: an argument outside its range.
    """
    return _blend(circle_mmse(outputs), circle_w2_squared(outputs, seeds), perception)


def circle_block_radius(rate_bits: ArrayLike) -> Array:
    """``r`` of the von Mises channel of a given rate in bits per vector; 1 at infinite rate."""
    nats = non_negative(rate_bits, "rate_bits") * math.log(2.0)
    # Over the bracket the rate runs from 1e-9 below any use to that of the largest exponent.
    low, high = np.full(nats.shape, -20.0), np.full(nats.shape, 60.0)
    for _ in range(80):
        middle = 0.5 * (low + high)
        below = _von_mises_nats(np.exp(middle)) < nats
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    k = np.exp(high)
    r = np.where(np.isinf(nats), 1.0, i1e(k) / i0e(k))
    return np.where(nats == 0, 0.0, r)


def _von_mises_nats(k: Array) -> Array:
    return k * (i1e(k) / i0e(k) - 1.0) - np.log(i0e(k))


def circle_block_distortion(
    rate_bits: ArrayLike, perception: ArrayLike, common_bits: ArrayLike = 0.0
) -> Array:
    """``D(R, Rc, P)`` of the circle for large blocks ([T] eqs 50-53).

    Args:
        rate_bits: ``R``, bits per vector.
        perception: ``P``, squared Wasserstein-2, 0 or more.
        common_bits: ``Rc``, bits of common randomness per vector, or ``inf``.

    Raises:
        InvalidSetting: an argument outside its range.
    """
    R = non_negative(rate_bits, "rate_bits")
    r = circle_block_radius(R)
    fine = circle_block_radius(R + non_negative(common_bits, "common_bits"))
    return _blend((1.0 - r) * (1.0 + r), (1.0 - r) ** 2 + 2.0 * r * (1.0 - fine), perception)
