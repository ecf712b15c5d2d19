"""The divergences ``F_c(p, q) = (sum p^c q^(1-c) - 1) / (c - 1)`` and their limits at c = 1 and 0.

One family holds four of the measures: Kullback-Leibler is ``c = 1`` (``sum p log p/q``), chi-squared
``c = 2``, twice the squared Hellinger distance ``c = 1/2``, and a bound on the Renyi divergence of
order ``c`` is a bound on ``F_c``. All are convex in ``q``. Natural logarithms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

__all__ = ["PowerFamily"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PowerFamily:
    """``F_c`` with ``c = order > 0``, or with ``order = 0`` the reversed ``sum q log q/p``."""

    order: float

    @property
    def needs_source_mass(self) -> bool:
        """Whether an output symbol without source probability must have none (infinite F)."""
        return self.order == 0.0

    def value(self, p: Array, q: Array) -> float:
        """``F(p, q)`` for laws of shape ``(m,)``; infinite where it is."""
        c = self.order
        if c == 0.0:
            return float(np.sum(rel_entr(q, p)))
        if c == 1.0:
            return float(np.sum(rel_entr(p, q)))
        on = p > 0
        with np.errstate(divide="ignore"):
            # expm1 keeps the digits of a small divergence: sum p ((q/p)^(1-c) - 1) is near zero.
            excess = p[on] * np.expm1((1.0 - c) * np.log(q[on] / p[on]))
        return max(float(np.sum(excess)) / (c - 1.0), 0.0)

    def slope(self, p: Array, q: Array) -> Array:
        """``dF/dq`` up to a constant, zero at ``q = p``, shape ``(m,)``."""
        if self.order == 0.0:
            return np.log(q / p)
        with np.errstate(divide="ignore"):
            return -np.expm1(self.order * np.log(p / q))

    def curvature(self, p: Array, q: Array) -> Array:
        """``d^2F/dq^2``, shape ``(m,)``."""
        if self.order == 0.0:
            return 1.0 / q
        return self.order * (p / q) ** self.order / q

    def support(self, L: Array, p: Array, mu: float) -> float:
        """An upper bound on ``max over laws q of q.L - mu F(p, q)``, tight when well solved.

        By duality the maximum is the least over ``t`` of ``t + sum_j sup_q ((L_j - t) q - mu F_j)``, so
        that any ``t`` gives a bound; a few Newton steps choose it.
        """
        c = self.order
        if mu <= 0.0:
            return float(np.max(L))
        if c == 0.0:
            top = float(np.max(L))
            return top + mu * float(np.log(p @ np.exp((L - top) / mu)))
        top = float(np.max(L))
        t = max(mu, top + 1e-9)
        best = np.inf
        for _ in range(6):
            gap = t - L
            with np.errstate(divide="ignore", invalid="ignore"):
                q = np.where(p > 0, p * (mu / gap) ** (1.0 / c), 0.0)
            if c == 1.0:
                ratio = np.where(p > 0, mu / gap, 1.0)
                value = t - mu + mu * float(p @ np.log(ratio))
            else:
                value = t + (c / (1.0 - c)) * float(gap @ q) - mu / (1.0 - c)
            if np.isfinite(value):
                best = min(best, value)
            slope = float(np.sum(q / gap)) / c
            change = (float(np.sum(q)) - 1.0) / slope if slope > 0 else 0.0
            t = max(t + change, 0.5 * (t + top))
            if not np.isfinite(t) or t <= top or abs(change) < 1e-14:
                break
        return best
