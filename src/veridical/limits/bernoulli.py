"""Bernoulli source, Hamming distortion, total variation: everything in closed form ([BM] eqs 6, 51).

With ``p <= 1/2`` (other values are relabelled), ``q = 1 - p``, ``P < p`` and

    D1 = P / (1 - 2 (p - P)),    D2 = 2 p q - (q - p) P,

    R(D, P) = H(p) - H(D)                                                       D < D1
            = 2 H(p) + H(p - P) - Ht((D - P)/2, p) - Ht((D + P)/2, q)           D1 <= D < D2
            = 0                                                                 D2 <= D,

where ``Ht(a, b)`` is the entropy of ``(a, b, 1 - a - b)``. For ``P >= p`` perception costs nothing:
``R = H(p) - H(D)`` up to ``D = p``. All arguments broadcast; rates are in bits per symbol.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr

from veridical.arrays import Array
from veridical.limits.checks import non_negative, probability

_BITS = 1.0 / math.log(2.0)
# Halvings of an interval of length at most one: the last is below one rounding.
_HALVINGS = 60


def binary_entropy_bits(x: ArrayLike) -> Array:
    """``H(x) = -x log2 x - (1 - x) log2 (1 - x)``, any shape, ``x`` in [0, 1]."""
    x = probability(x, "x")
    return _entropy(x)


def bernoulli_thresholds(p: ArrayLike, perception: ArrayLike) -> tuple[Array, Array]:
    """``(D1, D2)``: below D1 perception is free, from D2 on the rate is zero ([BM] eq. 6).

    Args:
        p: probability of a one, in [0, 1].
        perception: total variation ``P``, 0 or more.

    Raises:
        InvalidSetting: an argument outside its range.
    """
    small, P = _arguments(p, perception)
    return _first(small, P), _second(small, P)


def bernoulli_rate_bits(p: ArrayLike, distortion: ArrayLike, perception: ArrayLike = 1.0) -> Array:
    """``R(D, P)`` in bits per symbol ([BM] eq. 6); ``perception = 1`` is Shannon's rate.

    Args:
        p: probability of a one, in [0, 1].
        distortion: ``D``, probability of an error, 0 or more.
        perception: total variation ``P``, 0 or more.

    Raises:
        InvalidSetting: an argument outside its range.
    """
    small, P = _arguments(p, perception)
    D = non_negative(distortion, "distortion")
    small, D, P = np.broadcast_arrays(small, D, P)
    return _rate(small, D, P)


def bernoulli_distortion(p: ArrayLike, rate_bits: ArrayLike, perception: ArrayLike = 1.0) -> Array:
    """``D(R, P)``: the least probability of an error, by bisection of [BM] eq. 6 to rounding.

    Raises:
        InvalidSetting: an argument outside its range.
    """
    small, P = _arguments(p, perception)
    small, R, P = np.broadcast_arrays(small, non_negative(rate_bits, "rate_bits"), P)
    low, high = np.zeros(small.shape), _second(small, P) + 0.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        enough = _rate(small, middle, P) <= R
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    # Near rate zero the formula is flat: rounding would end the bisection early.
    return np.where(R == 0, _second(small, P), high)


def bernoulli_perception(p: ArrayLike, rate_bits: ArrayLike, distortion: ArrayLike) -> Array:
    """``P(R, D)``: the least total variation, ``inf`` where no code has this rate and distortion.

    Raises:
        InvalidSetting: an argument outside its range.
    """
    small, _ = _arguments(p, 0.0)
    small, R, D = np.broadcast_arrays(
        small, non_negative(rate_bits, "rate_bits"), non_negative(distortion, "distortion")
    )
    low, high = np.zeros(small.shape), small + 0.0
    # A rate that Shannon's formula gives to the last digit must not be refused for its rounding.
    possible = _rate(small, D, high) <= R * (1 + 1e-14)
    low = np.where(_rate(small, D, low) <= R, -high, low)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        enough = _rate(small, D, np.maximum(middle, 0.0)) <= R
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(possible, np.maximum(high, 0.0), np.inf)


def _arguments(p: ArrayLike, perception: ArrayLike) -> tuple[Array, Array]:
    one = probability(p, "p")
    return np.minimum(one, 1.0 - one), non_negative(perception, "perception")


def _first(p: Array, P: Array) -> Array:
    # At p = 1/2, P = 0 the formula is 0/0; there perception is free and D1 = D2 = 1/2.
    bottom = 1.0 - 2.0 * (p - np.minimum(P, p))
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = np.where(bottom > 0, np.minimum(P, p) / bottom, 0.5)
    return np.where(p <= P, p, inside)


def _second(p: Array, P: Array) -> Array:
    return np.where(p <= P, p, 2.0 * p * (1.0 - p) - (1.0 - 2.0 * p) * np.minimum(P, p))


def _entropy(x: Array) -> Array:
    return _BITS * (entr(x) + entr(1.0 - x))


def _ternary(a: Array, b: Array) -> Array:
    return _BITS * (entr(a) + entr(b) + entr(np.maximum(1.0 - a - b, 0.0)))


def _rate(p: Array, D: Array, P: Array) -> Array:
    first, second = _first(p, P), _second(p, P)
    shannon = _entropy(p) - _entropy(np.minimum(D, p))
    q, near = 1.0 - p, np.minimum(P, p)
    inside = np.clip(D, first, np.maximum(second, first))
    middle = (
        2.0 * _entropy(p)
        + _entropy(p - near)
        - _ternary(np.maximum(0.5 * (inside - near), 0.0), p)
        - _ternary(0.5 * (inside + near), q)
    )
    rate = np.where(first > D, shannon, np.where(second > D, middle, 0.0))
    return np.maximum(rate, 0.0)
