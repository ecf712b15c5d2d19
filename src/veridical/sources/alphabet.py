"""Finite alphabets of real numbers: Bernoulli, and the Gaussian cut into cells of equal spacing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array, Whole, check_spread, real_numbers, whole_number
from veridical.errors import InvalidSetting

__all__ = [
    "Alphabet",
    "ContinuousLaw",
    "Discretised",
    "bernoulli",
    "discretise",
    "quantized_gaussian",
]


@dataclass(frozen=True)
class Alphabet:
    """Independent symbols from a finite set of real numbers.

    Attributes:
        points: rising, shape ``(m,)``.
        law: their probabilities, positive, shape ``(m,)``.
    """

    points: Array = field(repr=False)
    law: Array = field(repr=False)

    def __post_init__(self) -> None:
        x, p = self.points, self.law
        if x.ndim != 1 or x.shape != p.shape or not 2 <= x.size <= 4096:
            raise InvalidSetting(f"an alphabet has 2 to 4096 points, got {x.shape} and {p.shape}")
        if not np.all(np.isfinite(x)) or np.any(np.diff(x) <= 0):
            raise InvalidSetting("the points of an alphabet are finite and rise")
        check_spread(x, "points of an alphabet")
        if not (np.all(p > 0) and abs(float(np.sum(p)) - 1) <= 1e-9):
            raise InvalidSetting("the law of an alphabet is positive and sums to 1")

    @property
    def variance(self) -> float:
        """Squared units."""
        return float(self.law @ np.square(self.points - self.law @ self.points))

    def sample(self, blocks: int, n: int, rng: np.random.Generator) -> Array:
        """Independent symbols, shape ``(blocks, n)``."""
        return self.points[rng.choice(self.points.size, size=(blocks, n), p=self.law)]

    def symbols(self, x: ArrayLike) -> Whole:
        """Places in the alphabet of numbers that belong to it, any shape.

        Raises:
            InvalidSetting: not numbers, NaN, or a number that is no point of the alphabet.
        """
        values = real_numbers(x, "values of a source")
        place = self._nearest(values)
        room = min(1e-9 * np.max(np.abs(self.points)), 0.25 * np.min(np.diff(self.points)))
        strange = ~(np.abs(self.points[place] - values) <= room)
        if np.any(strange):
            raise InvalidSetting(
                f"{values[strange].flat[0]!r} is not in the alphabet of {self.points.size} points "
                f"from {self.points[0]:g} to {self.points[-1]:g}; use nearest to round to it"
            )
        return place

    def nearest(self, x: ArrayLike) -> Array:
        """The nearest point of the alphabet, any shape; of two equally near, the lower.

        Raises:
            InvalidSetting: a value that is not finite.
        """
        values = real_numbers(x, "values of a source")
        if not np.all(np.isfinite(values)):
            raise InvalidSetting("the source holds NaN or infinite values; remove them")
        return self.points[self._nearest(values)]

    def _nearest(self, values: Array) -> Whole:
        return np.searchsorted(0.5 * (self.points[1:] + self.points[:-1]), values)


def bernoulli(p: float) -> Alphabet:
    """``{0, 1}`` with probability ``p`` of a one, ``0 < p < 1``."""
    if isinstance(p, bool) or not isinstance(p, int | float) or not 0 < p < 1:
        raise InvalidSetting(f"the probability of a one lies between 0 and 1, got {p!r}")
    return Alphabet(np.array([0.0, 1.0]), np.array([1.0 - p, p]))


def quantized_gaussian(m: int, *, width: float | None = None) -> Alphabet:
    """The standard normal law rounded to ``m`` evenly spaced points about zero.

    Args:
        m: number of points, 2 to 4096.
        width: spacing; left out, the points reach ``sqrt(2 ln m)``, where ``m`` samples have their extremes.

    Raises:
        InvalidSetting: a number outside its range.
    """
    whole_number(m, "m", 2, 4096)
    step = 2.0 * math.sqrt(2.0 * math.log(m)) / (m - 1) if width is None else width
    if not (math.isfinite(step) and step > 0):
        raise InvalidSetting(f"the spacing must be finite and positive, got {width!r}")
    points = np.linspace(-0.5, 0.5, m) * (step * (m - 1))
    upper = [0.5 * (1.0 + math.erf(b / math.sqrt(2.0))) for b in points[:-1] + 0.5 * step]
    law = np.diff(np.array([0.0, *upper, 1.0], dtype=np.float64))
    if np.any(law <= 0):
        raise InvalidSetting(f"spacing {step:g} leaves outer points without probability; lower it")
    law /= np.sum(law)
    return Alphabet(points, law)


class ContinuousLaw(Protocol):
    """What :func:`discretise` asks of a law; a frozen distribution of ``scipy.stats`` is one."""

    def cdf(self, x: Any) -> Any:
        """Probability up to ``x``."""

    def sf(self, x: Any) -> Any:
        """Probability beyond ``x``."""


@dataclass(frozen=True)
class Discretised:
    """A law rounded to a grid.

    Attributes:
        alphabet: the grid and its probabilities.
        root_error: ``r`` with ``E|X - X_n|^2 <= r^2``. Since ``X - X_n - X^`` is a Markov chain, a code of the
            grid at ``(R, D, P)`` is a code of ``X`` at ``(R, (sqrt D + r)^2, (sqrt P + r)^2)``, squared error and
            squared Wasserstein-2; so is a code of ``X``, its reproduction rounded too, one of the grid with ``2 r``
            in place of ``r`` as far as the reproduction stays on the interval.
    """

    alphabet: Alphabet
    root_error: float


def discretise(law: ContinuousLaw, n: int, low: float, high: float) -> Discretised:
    """A law on the line rounded to ``n`` cells of equal width on an interval, with a bound on the error.

    The cells at both ends take the tails. Inside, the rounding is at most half a cell; beyond the outer points,
    ``E (X - end)+^2 = 2 int t P(X > end + t) dt`` is integrated numerically (relative 1e-8).

    Args:
        law: with ``cdf`` and ``sf``.
        n: number of cells, 2 to 4096; cells without probability are dropped.
        low: lower end of the interval.
        high: upper end.

    Raises:
        InvalidSetting: an argument outside its range, or a law without a second moment.
    """
    from scipy.integrate import quad

    whole_number(n, "n", 2, 4096)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InvalidSetting(
            f"the interval must have finite ends that rise, got {low!r} and {high!r}"
        )
    check_spread(np.array([low, high]), "ends of the interval")
    edges = np.linspace(low, high, n + 1)
    points = 0.5 * (edges[1:] + edges[:-1])
    inner = np.asarray(law.cdf(edges[1:-1]), dtype=np.float64)
    mass = np.diff(np.concatenate([[0.0], inner, [1.0]]))
    # Differences of the survival function keep the digits of the upper tail.
    upper = points > 0.5 * (low + high)
    beyond = np.concatenate([[1.0], np.asarray(law.sf(edges[1:-1]), dtype=np.float64), [0.0]])
    mass = np.where(upper, -np.diff(beyond), mass)
    width = high - low

    def overshoot(beyond: Callable[[float], Any]) -> float:
        # In widths of the interval and to a relative error: what quad takes for small has no unit.
        inside = quad(
            lambda s: s * float(beyond(s * width)), 0.0, math.inf, epsabs=0.0, epsrel=1e-8
        )
        return 2.0 * width**2 * inside[0]

    above = overshoot(lambda t: law.sf(points[-1] + t))
    below = overshoot(lambda t: law.cdf(points[0] - t))
    squared = (0.5 * (edges[1] - edges[0])) ** 2 + above + below
    if not 0 <= squared < math.inf:
        raise InvalidSetting("the law has no second moment; cut its tails off first")
    on = mass > 0
    return Discretised(
        Alphabet(points[on], mass[on] / np.sum(mass[on])), math.sqrt(squared) * (1 + 1e-8)
    )
