"""Conditional means of lattice cells under a Gaussian law: ``X~ = E[X | X in p + V]``.

The mean depends on the point ``p = index + offset`` alone, whatever the seed. For the cubic lattice it is a
function of each coordinate, exactly

    m(p) = s (phi(a) - phi(b)) / (Phi(b) - Phi(a)),    a, b = (p -+ step/2) / s.

For the others it points along ``p`` up to the lowest harmonic that the symmetry of the cell allows (degree
6 for A2 and D4, 8 for E8 and BW16, 12 for the Leech lattice), so that a function of the radius, fitted to samples
of the code, is kept. Both are tables of straight pieces, increasing, so that ``p`` can be found from ``X~``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array
from veridical.errors import InvalidSetting
from veridical.quantize.lattice.nested import NestedChain

_TERMS = 4
_FEW = 12
_LEAST_SLOPE = 1e-6


@dataclass(frozen=True)
class OddMap:
    """An increasing odd function of straight pieces, of each coordinate or of the radius.

    Attributes:
        knots: arguments from 0 on, increasing; beyond the last one the last piece goes on.
        values: at the knots, increasing, 0 first.
        by_coordinate: apply to coordinates; otherwise to the length of the row, keeping its direction.
    """

    knots: Array = field(repr=False)
    values: Array = field(repr=False)
    by_coordinate: bool

    def __post_init__(self) -> None:
        fits = self.knots.shape == self.values.shape and self.knots.ndim == 1
        if not fits or self.knots.size < 2 or self.knots[0] != 0 or self.values[0] != 0:
            raise InvalidSetting("an odd map has two or more knots, the first at 0 with value 0")
        if not (np.all(np.diff(self.knots) > 0) and np.all(np.diff(self.values) > 0)):
            raise InvalidSetting("knots and values of an odd map increase")

    def __call__(self, p: Array) -> Array:
        """Image of rows, shape ``(n, d)``."""
        return self._applied(p, self.knots, self.values)

    def inverse(self, image: Array) -> Array:
        """The rows whose image is given, shape ``(n, d)``."""
        return self._applied(image, self.values, self.knots)

    def _applied(self, p: Array, knots: Array, values: Array) -> Array:
        if self.by_coordinate:
            return np.copysign(_piecewise(np.abs(p), knots, values), p)
        radius = np.sqrt(np.einsum("ij,ij->i", p, p))
        slope = values[1] / knots[1]
        safe = np.where(radius > 0, radius, 1.0)
        factor = np.where(radius > 0, _piecewise(radius, knots, values) / safe, slope)
        return p * factor[:, None]


def _piecewise(x: Array, knots: Array, values: Array) -> Array:
    out = np.interp(x, knots, values)
    slope = (values[-1] - values[-2]) / (knots[-1] - knots[-2])
    return np.where(x > knots[-1], values[-1] + slope * (x - knots[-1]), out)


def exact_means(step: float, deviation: float) -> OddMap:
    """``m(p)`` of intervals of a length, for the normal law of a standard deviation.

    Args:
        step: width of the cells, positive.
        deviation: ``s``, positive.
    """
    from scipy.special import erfcx

    p = np.linspace(0.0, 12.0 * deviation + 4.0 * step, 6001)
    a, b = (p - step / 2) / deviation, (p + step / 2) / deviation
    root = math.sqrt(math.pi / 2)
    with np.errstate(over="ignore", invalid="ignore"):
        # The density at a, common to numerator and denominator, is divided out: no tail underflows.
        fade = np.exp(-(b - a) * (b + a) / 2)
        tail = root * (erfcx(a / math.sqrt(2)) - fade * erfcx(b / math.sqrt(2)))
        means = deviation * (1 - fade) / tail
    # Far below 0 erfcx overflows; there the whole interval counts as if it reached to infinity.
    return _increasing(p, np.where(np.isfinite(means), means, 0.0), by_coordinate=True)


def fitted_means(x: Array, p: Array, *, by_coordinate: bool) -> OddMap:
    """The map that fits ``E[X | p]`` to samples of a code: ``r`` times a polynomial of ``r^2``.

    Args:
        x: source blocks, shape ``(n, d)``.
        p: their points, same shape.
        by_coordinate: whether coordinates count one by one, or the radius.
    """
    if by_coordinate:
        radius, along = np.abs(p).ravel(), (x * np.sign(p)).ravel()
    else:
        radius = np.sqrt(np.einsum("ij,ij->i", p, p))
        along = np.einsum("ij,ij->i", x, p) / np.where(radius > 0, radius, 1.0)
    most = float(np.quantile(radius, 1 - 20 / radius.size)) or 1.0
    few, which = np.unique(np.round(radius / most, 9), return_inverse=True)
    if few.size <= _FEW:
        return _at_values(
            few * most, np.bincount(which, along) / np.bincount(which), by_coordinate=by_coordinate
        )
    share = np.minimum(radius / most, 1.2)
    powers = share[:, None] ** np.arange(1, 2 * _TERMS, 2)
    factors = np.linalg.lstsq(powers, along, rcond=None)[0]
    knots = np.linspace(0.0, 1.0, 257)
    values = knots[:, None] ** np.arange(1, 2 * _TERMS, 2) @ factors
    return _increasing(most * knots, values, by_coordinate=by_coordinate)


def _at_values(radius: Array, means: Array, *, by_coordinate: bool) -> OddMap:
    """The map through the means of a code with few points."""
    outside = radius > 0
    knots, values = np.append(0.0, radius[outside]), np.append(0.0, means[outside])
    if knots.size == 1:
        knots = values = np.array([0.0, 1.0])
    return _increasing(knots, values, by_coordinate=by_coordinate)


def _increasing(knots: Array, values: Array, *, by_coordinate: bool) -> OddMap:
    """The map through values that may fall here and there: the nearest increasing ones."""
    from scipy.optimize import isotonic_regression

    rising = np.maximum(isotonic_regression(values).x, 0.0) + _LEAST_SLOPE * knots
    # Farther out the mean keeps its distance from the point: both lie in one cell.
    far = 1e6 * knots[-1]
    return OddMap(
        np.append(knots, knots[-1] + far), np.append(rising - rising[0], rising[-1] - rising[0] + far),
        by_coordinate,
    )  # fmt: skip


@dataclass(frozen=True)
class LatticeEstimator:
    """From an index to ``X~``.

    Attributes:
        chain: of the encoder.
        means: ``m``.
    """

    chain: NestedChain
    means: OddMap

    def estimate(self, index: ArrayLike, seed: int) -> Array:
        """``X~`` of indices, shape ``(n, d)``.

        Raises:
            InvalidSetting: not indices of this chain.
        """
        return self.means(self.chain.points(index, seed))
