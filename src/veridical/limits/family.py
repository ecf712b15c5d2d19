"""The divergences ``F_c(p, q) = (sum p^c q^(1-c) - 1) / (c - 1)`` and their limits at c = 1 and 0.

One family holds the smooth measures: ``KL(p_X^ || p_X)`` is ``c = 0`` (``sum q log q/p``), its reverse ``c = 1``, chi-squared
``c = 2``, twice the squared Hellinger distance ``c = 1/2``, and a bound on the Renyi divergence of
order ``c`` is a bound on ``F_c``. All are convex in ``q``. Natural logarithms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

__all__ = ["PowerFamily"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PowerFamily:
    """``F_c`` with ``c = order > 0``, or with ``order = 0`` the limit ``sum q log q/p``."""

    order: float

    @property
    def needs_source_mass(self) -> bool:
        """Whether an output symbol without source probability must have none (infinite F)."""
        return self.order == 0.0

    def value(self, p: Array, q: Array) -> float:
        """``F(p, q)`` for laws of shape ``(m,)``; infinite where it is.

        As ``sum p phi(q/p)`` with ``phi >= 0``, ``phi(1) = phi'(1) = 0`` (both laws sum to one), so that a small
        divergence keeps its digits; near one by the series of ``phi'' = k r^(-e)``.
        """
        c, on = self.order, p > 0
        beyond = float(np.sum(q[~on]))
        if c == 0.0 and beyond > 0:
            return math.inf
        x = (q[on] - p[on]) / p[on]
        k, e = (1.0, 1.0) if c == 0.0 else (c, c + 1.0)
        near = (
            k
            * x**2
            * (0.5 - e * x / 6.0 * (1.0 - (e + 1.0) * x / 4.0 * (1.0 - (e + 2.0) * x / 5.0)))
        )
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            if c == 0.0:
                far = xlogy(1.0 + x, 1.0 + x) - x
            elif c == 1.0:
                far = x - np.log1p(x)
            else:
                far = np.expm1((1.0 - c) * np.log1p(x)) / (c - 1.0) + x
        return float(p[on] @ np.where(np.abs(x) < 1e-3, near, np.maximum(far, 0.0))) + beyond

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

    def shift(self, L: Array, p: Array, mu: float) -> float:
        """``theta`` with ``sum_j q_j = 1`` for ``q_j = p_j (1 + theta - u_j)^(-1/c)``, ``u = (L - p.L)/mu``.

        At ``c = 0``, ``q_j = p_j exp(u_j - theta)``.
        """
        c, u = self.order, (L - p @ L) / mu
        if c == 0.0:
            top = float(np.max(u))
            if top < 1.0:
                return float(np.log1p(p @ np.expm1(u)))
            return top + float(np.log(p @ np.exp(u - top)))
        on = p > 0
        # The sum falls and is convex: Newton rises to the root from where one term alone is one.
        theta = max(0.0, float(np.max(u[on] - 1.0 + p[on] ** c)))
        for _ in range(80):
            base = 1.0 + theta - u[on]
            q = p[on] * base ** (-1.0 / c)
            change = c * (float(np.sum(q)) - 1.0) / float(np.sum(q / base))
            theta += change
            if not change > 1e-16 * (1.0 + theta):
                break
        return max(theta, float(np.max(u)) - 1.0)

    def support(self, L: Array, p: Array, mu: float) -> float:
        """An upper bound on ``max over laws q of q.L - mu F(p, q)``, tight when well solved.

        By duality the maximum is the least over ``t`` of ``t + sum_j sup_q ((L_j - t) q - mu F_j)``, so
        that any ``t`` above ``max L`` gives a bound. It is written for ``t = p.L + mu (1 + theta)``, where
        nothing of the size of ``mu`` cancels.
        """
        c = self.order
        if mu <= 0.0:
            return float(np.max(L))
        mean = float(p @ L)
        theta = self.shift(L, p, mu)
        if c == 0.0:
            return mean + mu * theta
        on = p > 0
        logs = np.log1p(theta - (L[on] - mean) / mu)
        if c == 1.0:
            return mean + mu * (theta - float(p[on] @ logs))
        return mean + mu * (theta + c / (1.0 - c) * float(p[on] @ np.expm1((1.0 - 1.0 / c) * logs)))
