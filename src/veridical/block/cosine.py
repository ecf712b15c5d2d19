"""The law of the best cosine: how near the nearest of ``N`` random directions comes.

For a fixed direction ``x`` and ``c`` uniform on the unit sphere in ``n`` dimensions, at angle
``theta`` from ``x``,

    P(angle <= theta) = 1/2 I_{sin^2 theta}((n-1)/2, 1/2)     (theta <= pi/2, else by symmetry),

that is ``(1 + cos theta)/2 ~ Beta((n-1)/2, (n-1)/2)``. The best of ``N`` independent directions has
``P(angle > theta) = (1 - P)^N``. Everything is computed from ``log P``, so that ``N = 2^20000`` and
angles of probability ``2^-20000`` are as exact as small ones ([T] eqs 66-71 are the limit
``n -> inf``, where the best of ``2^(nR)`` cosines tends to ``sqrt(1 - 2^(-2R))``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array, is_number, whole_number
from veridical.errors import InvalidSetting

_MOST_DIMENSIONS = 1 << 16
_LN2 = math.log(2.0)
# Below this the incomplete Beta function is summed in logarithms.
_FLOOR = 1e-290


@dataclass(frozen=True)
class BestCosine:
    """Largest cosine between a direction and ``2^bits`` independent uniform ones.

    Attributes:
        dimension: ``n``, 2 to 2^16.
        bits: ``log2 N``, 0 or more; ``inf`` for a cosine of 1.
    """

    dimension: int
    bits: float

    def __post_init__(self) -> None:
        whole_number(self.dimension, "dimension", 2, _MOST_DIMENSIONS)
        if not is_number(self.bits) or not self.bits >= 0:
            raise InvalidSetting(f"bits must be 0 or more, got {self.bits!r}")

    def survival(self, theta: ArrayLike) -> Array:
        """``P(best angle > theta) = (1 - P(angle <= theta))^N`` for angles in ``[0, pi]``."""
        if math.isinf(self.bits):
            return np.where(np.asarray(theta) > 0, 0.0, 1.0)
        angles = np.asarray(theta, dtype=np.float64)
        exponent = self._log_exponent(angles.ravel())
        return np.exp(-np.exp(np.minimum(exponent, 700.0))).reshape(angles.shape)

    def mean(self) -> float:
        """``E[best cosine]``, by ``1 - E = integral of sin(theta) P(best angle > theta)``."""
        if math.isinf(self.bits):
            return 1.0
        if self.bits == 0:
            return 0.0
        # Before `low` the survival is 1 and beyond `high` it is 0, both to 1e-17.
        low, high = self._angle_at(-40.0), self._angle_at(4.0)
        nodes, weights = np.polynomial.legendre.leggauss(24)
        edges = np.linspace(low, high, 9)
        half = 0.5 * (edges[1] - edges[0])
        theta = (0.5 * (edges[:-1] + edges[1:])[:, None] + half * nodes).ravel()
        inside = half * np.tile(weights, 8) @ (np.sin(theta) * self.survival(theta))
        return 1.0 - (2.0 * math.sin(0.5 * low) ** 2 + float(inside))

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Cosines of the law and the sines of their angles, shapes ``(n,)``; ``bits`` to 64.

        Raises:
            InvalidSetting: more bits, for which no inverse is at hand.
        """
        if math.isinf(self.bits):
            return np.ones(n), np.zeros(n)
        if self.bits > 64:
            raise InvalidSetting(f"cosines are drawn for up to 64 bits, not {self.bits:g}")
        from scipy.special import betaincinv

        # (1 - p)^N = U; the logarithm of 1 - U has no zero.
        log_miss = np.log1p(-rng.random(n)) / 2.0**self.bits
        near, far = -np.expm1(log_miss), np.exp(log_miss)
        squared_sine = betaincinv(0.5 * (self.dimension - 1), 0.5, 2.0 * np.minimum(near, far))
        cosine = np.copysign(np.sqrt(1.0 - squared_sine), far - near)
        return cosine, np.sqrt(squared_sine)

    def log_kernel(self, cosine: Array) -> Array:
        """``log N F^(N-1)``: density of the best cosine over that of any one cosine, ``F`` its law.

        Values more than 50 below the largest are given as that: they are beneath all rounding.
        """
        angle = np.arccos(np.clip(cosine, -1.0, 1.0))
        drop = np.full(angle.shape, -50.0)
        near = angle < self._angle_at(math.log(60.0))
        drop[near] = np.expm1(-self.bits * _LN2) * np.exp(self._log_exponent(angle[near]))
        return self.bits * _LN2 + np.maximum(drop, -50.0)

    def _log_exponent(self, theta: Array) -> Array:
        """``log(-N log(1 - p))`` with ``p = P(angle <= theta)``."""
        folded = np.minimum(theta, math.pi - theta)
        log_p = -_LN2 + _log_beta_half(np.sin(folded) ** 2, 0.5 * (self.dimension - 1))
        p = np.exp(log_p)
        with np.errstate(divide="ignore"):
            # log(-log(1-p)): -log1p(-p) = p (1 + p/2 + ...), whose first term may underflow.
            near = np.where(p < 1e-17, log_p, np.log(-np.log1p(-np.maximum(p, 1e-300))))
            exponent = np.where(theta <= 0.5 * math.pi, near, np.log(-log_p))
        return self.bits * _LN2 + exponent

    def _angle_at(self, exponent: float) -> float:
        """Angle where ``log(-log survival)`` takes a value; it rises with the angle."""
        low, high = 0.0, math.pi
        for _ in range(9):
            angles = np.linspace(low, high, 66)
            below = int(np.sum(self._log_exponent(angles[1:-1]) < exponent))
            low, high = float(angles[below]), float(angles[below + 1])
        return 0.5 * (low + high)


def mean_length(dimension: int) -> float:
    """``E|G|`` of a standard normal vector: ``sqrt 2 Gamma((n+1)/2) / Gamma(n/2)``."""
    return math.sqrt(2.0) * math.exp(
        math.lgamma(0.5 * (dimension + 1)) - math.lgamma(0.5 * dimension)
    )


@lru_cache(maxsize=4096)
def conveyed_share(dimension: int, bits: float) -> float:
    """``u_n = (E|G| E[best cosine])^2 / n``: share of a Gaussian's variance that ``bits`` convey.

    Tends to ``1 - 2^(-2R)`` for ``bits = nR`` and to ``1`` for infinite bits (there it is
    ``(E|G|)^2/n``, about ``1 - 1/(2n)``, because a direction says nothing of the length).

    Raises:
        InvalidSetting: a dimension or a number of bits outside its range.
    """
    return (mean_length(dimension) * BestCosine(dimension, bits).mean()) ** 2 / dimension


def _log_beta_half(x: Array, a: float) -> Array:
    """``log I_x(a, 1/2)`` for ``0 <= x <= 1``, in the far tail by its series."""
    from scipy.special import betainc, betaln

    plain = betainc(a, 0.5, x)
    with np.errstate(divide="ignore"):
        out = np.log(plain)
    tail = (plain < _FLOOR) & (x > 0)
    if np.any(tail):
        y = x[tail]
        head = a * np.log(y) + 0.5 * np.log1p(-y) - math.log(a) - betaln(a, 0.5)
        out[tail] = head + np.log(_series(y, a))
    return out


def _series(x: Array, a: float) -> Array:
    """``2F1(a + 1/2, 1; a + 1; x)`` by its power series, summed until no term counts."""
    total, term = np.ones_like(x), np.ones_like(x)
    k = 0
    while np.max(term / total, initial=0.0) > 1e-17:
        term = term * x * (a + 0.5 + k) / (a + 1.0 + k)
        total = total + term
        k += 1
    return total
