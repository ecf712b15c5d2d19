"""The smooth measures ``F(p, q) = sum p phi(q/p)``: a power family, and the Jensen-Shannon divergence.

``phi >= 0`` is convex with ``phi(1) = phi'(1) = 0``, so that a small divergence keeps its digits. In the dual of ``R(D, P)`` a
measure stands as its support ``max over laws q of q.L - mu F(p, q)``, by the conjugate of ``phi``. Natural logarithms.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from veridical.arrays import Array


class SmoothFamily(ABC):
    """What the solver asks of a smooth measure; ``p`` and ``q`` are laws of shape ``(m,)``."""

    needs_source_mass = False
    """Whether an output symbol without source probability must have none (infinite F)."""

    @property
    @abstractmethod
    def bend(self) -> float:
        """``phi''(1)``: ``F`` is half of this times chi-squared nearby."""

    @property
    @abstractmethod
    def recession(self) -> float:
        """``lim phi(r)/r``: what a unit of output costs where the source has no probability."""

    @abstractmethod
    def near(self, x: Array) -> Array:
        """``phi(1 + x)`` for ``|x| < 1e-3``, by its series."""

    @abstractmethod
    def far(self, x: Array) -> Array:
        """``phi(1 + x)`` for other ``x >= -1``."""

    @abstractmethod
    def slope(self, p: Array, q: Array) -> Array:
        """``dF/dq`` up to a constant, zero at ``q = p``."""

    @abstractmethod
    def curvature(self, p: Array, q: Array) -> Array:
        """``d^2F/dq^2``."""

    @abstractmethod
    def shift(self, L: Array, p: Array, mu: float) -> float:
        """``theta`` with ``sum_j q_j = 1`` for the ``q`` at which ``mu dF/dq = L - p.L - mu theta``."""

    @abstractmethod
    def law(self, L: Array, p: Array, mu: float) -> tuple[Array, Array]:
        """That ``q``, which attains the support, and ``dq_j/dL_j`` at a fixed shift."""

    @abstractmethod
    def support(self, L: Array, p: Array, mu: float) -> float:
        """An upper bound on ``max over laws q of q.L - mu F(p, q)``, tight when well solved.

        By duality the maximum is the least over ``t`` of ``t + sum_j sup_q ((L_j - t) q - mu F_j)``, so
        that any ``t`` above ``max L`` gives a bound. It is written for ``t = p.L + mu theta`` (plus ``mu`` for the
        powers), where nothing of the size of ``mu`` cancels.
        """

    def value(self, p: Array, q: Array) -> float:
        """``F(p, q)``; infinite where it is."""
        on = p > 0
        beyond = 0.0 if np.all(on) else float(np.sum(q[~on]))
        if beyond > 0 and math.isinf(self.recession):
            return math.inf
        mass = p[on]
        x = (q[on] - mass) / mass
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            terms = np.maximum(self.far(x), 0.0)
        near = np.abs(x) < 1e-3
        if np.any(near):
            terms[near] = self.near(x[near])
        return float(mass @ terms) + (self.recession * beyond if beyond > 0 else 0.0)


@dataclass(frozen=True)
class PowerFamily(SmoothFamily):
    """``F_c = (sum p^c q^(1-c) - 1) / (c - 1)`` with ``c = order > 0``, and its limit ``sum q log q/p`` at ``c = 0``.

    ``KL(p_X^ || p_X)`` is ``c = 0``, its reverse ``c = 1``, chi-squared ``c = 2``, twice the squared Hellinger distance
    ``c = 1/2``, and a bound on the Renyi divergence of order ``c`` is a bound on ``F_c``.
    """

    order: float

    @property
    def needs_source_mass(self) -> bool:  # type: ignore[override]
        """For ``c = 0``."""
        return self.order == 0.0

    @property
    def bend(self) -> float:
        """``c``, or one."""
        return self.order or 1.0

    @property
    def recession(self) -> float:
        """One, or infinite."""
        return math.inf if self.order == 0.0 else 1.0

    def near(self, x: Array) -> Array:
        """From ``phi'' = k r^(-e)``."""
        k, e = (1.0, 1.0) if self.order == 0.0 else (self.order, self.order + 1.0)
        rest = 1.0 - (e + 1.0) * x / 4.0 * (1.0 - (e + 2.0) * x / 5.0)
        return k * x**2 * (0.5 - e * x / 6.0 * rest)

    def far(self, x: Array) -> Array:
        """As it stands."""
        c = self.order
        if c == 0.0:
            return xlogy(1.0 + x, 1.0 + x) - x
        if c == 1.0:
            return x - np.log1p(x)
        return np.expm1((1.0 - c) * np.log1p(x)) / (c - 1.0) + x

    def slope(self, p: Array, q: Array) -> Array:
        """``log(q/p)``, or ``1 - (p/q)^c``."""
        if self.order == 0.0:
            return np.log(q / p)
        with np.errstate(divide="ignore"):
            return -np.expm1(self.order * np.log(p / q))

    def curvature(self, p: Array, q: Array) -> Array:
        """``1/q``, or ``c p^c q^(-c-1)``."""
        if self.order == 0.0:
            return 1.0 / q
        return self.order * (p / q) ** self.order / q

    def shift(self, L: Array, p: Array, mu: float) -> float:
        """For ``q_j = p_j (1 + theta - u_j)^(-1/c)``, ``u = (L - p.L)/mu``.

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

    def law(self, L: Array, p: Array, mu: float) -> tuple[Array, Array]:
        """The formulas of :meth:`shift`."""
        c, u, theta = self.order, (L - p @ L) / mu, self.shift(L, p, mu)
        if c == 0.0:
            q = p * np.exp(u - theta)
            return q, q / mu
        base = 1.0 + theta - u
        q = p * base ** (-1.0 / c)
        return q, q / (c * mu * base)

    def support(self, L: Array, p: Array, mu: float) -> float:
        """By the conjugate of ``phi``."""
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


@dataclass(frozen=True)
class JensenShannonFamily(SmoothFamily):
    """``1/2 sum p log(2p/(p+q)) + 1/2 sum q log(2q/(p+q))``: ``phi(r) = (r log r - (1+r) log((1+r)/2)) / 2``."""

    bend = 0.25
    recession = 0.5 * math.log(2.0)

    def near(self, x: Array) -> Array:
        """From ``phi'' = (1/r - 1/(1+r)) / 2``."""
        return x**2 * (0.125 - x / 16.0 * (1.0 - x * (7.0 / 12.0 - 3.0 * x / 8.0)))

    def far(self, x: Array) -> Array:
        """As it stands."""
        return 0.5 * (xlogy(1.0 + x, 1.0 + x) - (2.0 + x) * np.log1p(0.5 * x))

    def slope(self, p: Array, q: Array) -> Array:
        """``1/2 log(2q/(p+q))``."""
        with np.errstate(divide="ignore"):
            return 0.5 * np.log1p((q - p) / (p + q))

    def curvature(self, p: Array, q: Array) -> Array:
        """``1/(2q) - 1/(2(p+q))``."""
        return 0.5 * p / (q * (p + q))

    def shift(self, L: Array, p: Array, mu: float) -> float:
        """For ``q_j = p_j r_j``, ``r = E/(2 - E)``, ``E = exp(2(u - theta))``, ``u = (L - p.L)/mu``."""
        u, on = (L - p @ L) / mu, p > 0
        # The sum falls and is convex: Newton rises to the root from where one term alone is one.
        theta = max(0.0, float(np.max(u[on] - 0.5 * np.log(2.0 / (1.0 + p[on])))))
        for _ in range(80):
            r = _ratio(u[on] - theta)
            change = (float(p[on] @ r) - 1.0) / float(p[on] @ (2.0 * r * (1.0 + r)))
            theta += change
            if not change > 1e-16 * (1.0 + theta):
                break
        return max(theta, float(np.max(u)) - 0.5 * math.log(2.0))

    def law(self, L: Array, p: Array, mu: float) -> tuple[Array, Array]:
        """The formulas of :meth:`shift`."""
        r = _ratio((L - p @ L) / mu - self.shift(L, p, mu))
        return p * r, 2.0 * p * r * (1.0 + r) / mu

    def support(self, L: Array, p: Array, mu: float) -> float:
        """By ``phi*(s) = -1/2 log(2 - exp(2s))``."""
        if mu <= 0.0:
            return float(np.max(L))
        mean, on = float(p @ L), p > 0
        theta = self.shift(L, p, mu)
        conjugate = -0.5 * np.log1p(-np.expm1(2.0 * ((L[on] - mean) / mu - theta)))
        return mean + mu * (theta + float(p[on] @ conjugate))


def _ratio(s: Array) -> Array:
    """``r`` with ``phi'(r) = s``."""
    return np.exp(2.0 * s) / (1.0 - np.expm1(2.0 * s))
