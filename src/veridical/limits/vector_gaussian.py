"""The vector Gaussian: the jointly convex programme behind ``D(R, Rc, P)`` ([T] eqs 50-53, 65).

With eigenvalues ``l_i``, shares of variance ``u_i`` (conveyed by the index) and ``v_i`` (by index and
common randomness together):

    minimise   sum l_i (1 - u_i) + ((sqrt W - sqrt P)+)^2,   W = sum l_i (1 + u_i - 2 sqrt(u_i v_i)),
    subject to sum -1/2 log2(1 - u_i) <= R,                  sum -1/2 log2(1 - v_i) <= R + Rc.

The objective is convex in ``(u, v)``: ``-sqrt(u v)`` is, and ``((sqrt W - sqrt P)+)^2`` is convex and not
decreasing in ``W``. Its multipliers are found by Newton's method; the gradient at the end bounds what any feasible
``(u, v)`` can still gain, because minimising a linear function over either budget is water-filling.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array
from veridical.errors import InvalidSetting
from veridical.limits.allocate import solve_programme
from veridical.limits.bound import DistortionInterval
from veridical.limits.checks import constraint, non_negative, positive_float
from veridical.limits.water import common_step, objective, water_fill

_LN2 = math.log(2.0)


@dataclass(frozen=True)
class VectorGaussianBound(DistortionInterval):
    """A bracket of the least distortion (sum over components), and what attains it.

    Attributes:
        conveyed: ``u``, shape ``(k,)``.
        conveyed_with_seed: ``v``, shape ``(k,)``.
        transport_cost: ``W``.
        iterations: Newton steps.
    """

    conveyed: Array = field(repr=False, compare=False)
    conveyed_with_seed: Array = field(repr=False, compare=False)
    transport_cost: float
    iterations: int


def eigenvalues_of(values: ArrayLike) -> Array:
    """A spectrum: shape ``(k,)``, finite, not negative, not all zero."""
    array = non_negative(values, "eigenvalues")
    if array.ndim != 1 or array.size == 0 or not np.all(np.isfinite(array)) or np.sum(array) <= 0:
        raise InvalidSetting("eigenvalues must be a list of finite numbers, not all of them zero")
    return array


def reverse_water_filling(eigenvalues: ArrayLike, rate_bits: float) -> Array:
    """``D_i = min(t, l_i)`` with ``sum 1/2 log2(l_i / D_i) = R``: Shannon's allocation, exactly.

    Args:
        eigenvalues: shape ``(k,)``.
        rate_bits: ``R`` per vector, 0 or more.

    Returns:
        Distortion per component, shape ``(k,)``.

    Raises:
        InvalidSetting: an argument outside its range.
    """
    spectrum = eigenvalues_of(eigenvalues)
    rate = constraint(rate_bits, "rate_bits") * _LN2
    if math.isinf(rate):
        return np.zeros_like(spectrum)
    return spectrum * water_fill(spectrum, rate)


def oblivious_distortion(
    eigenvalues: ArrayLike, rate_bits: float, perception: float, common_bits: float = 0.0
) -> float:
    """``D`` of the encoder that ignores perception (reverse water-filling), best decoder.

    Optimal without common randomness ([T] Prop. 2); its penalty elsewhere is this over
    :func:`vector_gaussian_distortion`, less one.

    Raises:
        InvalidSetting: an argument outside its range.
    """
    spectrum = eigenvalues_of(eigenvalues)
    R, P = constraint(rate_bits, "rate_bits"), constraint(perception, "perception")
    total = (R + constraint(common_bits, "common_bits")) * _LN2
    return objective(spectrum, *_oblivious(spectrum, R, total), P)[0]


def _oblivious(spectrum: Array, R: float, total: float) -> tuple[Array, Array]:
    """``1 - u`` of reverse water-filling and the best ``1 - v`` for it; ``total`` in nats."""
    with np.errstate(invalid="ignore", divide="ignore"):
        left = np.where(spectrum > 0, reverse_water_filling(spectrum, R) / spectrum, 1.0)
    return left, common_step(spectrum * np.sqrt(1.0 - left), total)


def vector_gaussian_distortion(
    eigenvalues: ArrayLike,
    rate_bits: float,
    perception: float,
    common_bits: float = 0.0,
    *,
    tolerance: float = 1e-7,
) -> VectorGaussianBound:
    """Bracket ``D(R, Rc, P)`` of ``N(0, diag(l))``, distortion and perception summed over components.

    Args:
        eigenvalues: ``l``, shape ``(k,)``.
        rate_bits: ``R`` per vector.
        perception: ``P``, squared Wasserstein-2 per vector.
        common_bits: ``Rc`` per vector, ``inf`` for unlimited.
        tolerance: width of the bracket relative to the distortion.

    Raises:
        InvalidSetting: an argument outside its range.
        NotConverged: the bracket stayed wider; ``best`` carries it.
    """
    spectrum = eigenvalues_of(eigenvalues)
    R, P = constraint(rate_bits, "rate_bits"), constraint(perception, "perception")
    Rc = constraint(common_bits, "common_bits")
    tolerance = positive_float(tolerance, "tolerance")
    e, g = _oblivious(spectrum, R, (R + Rc) * _LN2)
    upper, W = objective(spectrum, e, g, P)
    lower = _cauchy_schwarz(spectrum, R, Rc, P)
    if Rc == 0 or R == 0 or math.isinf(R):
        # Reverse water-filling is optimal, by the same bound; without rate there is nothing to allocate.
        lower = upper
    lower = min(lower, upper)
    bound = VectorGaussianBound(lower, upper, 1.0 - e, 1.0 - g, W, 0)
    if upper - lower <= tolerance * upper or upper < 1e-280 * float(np.sum(spectrum)):
        return bound
    on = spectrum > 0
    variance = float(np.sum(spectrum))
    found = solve_programme(spectrum[on] / variance, R * _LN2, (R + Rc) * _LN2, P / variance)
    lower = max(lower, found.lower * variance)
    if found.upper * variance < upper:
        e, g = np.ones_like(spectrum), np.ones_like(spectrum)
        e[on], g[on] = found.e, found.g
        upper, W = found.upper * variance, found.cost * variance
    bound = VectorGaussianBound(min(lower, upper), upper, 1.0 - e, 1.0 - g, W, found.steps)
    return bound.within(tolerance)


def _cauchy_schwarz(spectrum: Array, R: float, Rc: float, P: float) -> float:
    """The lower bound of ``docs/limits.md`` from Shannon's distortions at ``R`` and ``R + Rc``.

    ``W >= (sqrt a - sqrt b)^2 + s2 - b`` with ``a = s2 - Ds(R)`` and ``b = s2 - Ds(R + Rc)``.
    """
    first = float(np.sum(reverse_water_filling(spectrum, R)))
    second = float(np.sum(reverse_water_filling(spectrum, R + Rc)))
    variance = float(np.sum(spectrum))
    a, b = variance - first, variance - second
    roots = (first - second) / (math.sqrt(a) + math.sqrt(b)) if b > 0 else 0.0
    return first + max(math.sqrt(roots**2 + second) - math.sqrt(P), 0.0) ** 2
