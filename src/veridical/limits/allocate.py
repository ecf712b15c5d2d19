"""The vector Gaussian programme by its multipliers, with the gap that certifies the end.

With ``e = 1 - u``, ``g = 1 - v`` and the square root's tangent, ``((sqrt W - sqrt P)+)^2 = max over k of k W - P k/(1 - k)``,
the Lagrangian falls apart into components. Each is stationary at

    e = a / (1 - k + k r),   g = b r,   r = sqrt(v/u),   a = alpha / (2 l),   b = beta / (2 k l),

a scalar equation for ``r``; at ``u = v = 0`` if ``(a - (1 - k)) b >= k`` and ``a > 1 - k``. The multipliers ``alpha`` and
``beta`` of the two budgets follow by Newton's method in their logarithms, ``k`` from ``W (1 - k)^2 = P``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from veridical.arrays import Array
from veridical.limits.water import objective, water_fill

# Residuals of the budgets, in nats, at which Newton's method stops.
_CLOSE = 1e-12


@dataclass(frozen=True)
class Programme:
    """The end of the search; rates in nats, ``e = 1 - u`` and ``g = 1 - v``."""

    lower: float
    upper: float
    e: Array
    g: Array
    cost: float
    steps: int


@dataclass(frozen=True)
class Shares:
    """``e = 1 - u``, ``g = 1 - v``, and ``u`` itself, which may be too small for ``e``."""

    e: Array
    g: Array
    u: Array

    @property
    def nats(self) -> float:
        """What ``u`` spends."""
        return -0.5 * float(np.sum(np.where(self.u < 1e-8, -self.u, np.log(self.e))))


def _ratio(a: Array, b: Array, kappa: float) -> Array:
    """The root ``r`` of ``1 - b r = r^2 (1 - a / (1 - k + k r))``, by bisection of its logarithm."""
    low = np.log(np.maximum((a - (1.0 - kappa)) / kappa, 1e-8))
    high = np.minimum(-np.log(np.maximum(b, 1e-300)), 350.0)
    for _ in range(70):
        middle = 0.5 * (low + high)
        r = np.exp(middle)
        above = 1.0 - b * r > r**2 * (1.0 - a / (1.0 - kappa + kappa * r))
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.exp(0.5 * (low + high))


class _Lagrangian:
    """The stationary allocation for given multipliers, and the budgets it leaves open."""

    def __init__(self, spectrum: Array, R: float, total: float) -> None:
        self.l, self.R, self.total = spectrum, R, total
        self.free = math.isinf(total)
        self.logs = np.log(np.array([np.mean(spectrum)] * (1 if self.free else 2)))
        self.steps = 0

    def allocate(self, logs: Array, kappa: float) -> Shares:
        """The stationary shares."""
        a = 0.5 * math.exp(logs[0]) / self.l
        b = np.zeros_like(a) if self.free else 0.5 * math.exp(logs[1]) / (kappa * self.l)
        on = (a < 1.0 - kappa) | ((a - (1.0 - kappa)) * b < kappa)
        e, g, u = np.ones_like(a), np.ones_like(a), np.zeros_like(a)
        r = _ratio(a[on], b[on], kappa)
        e[on] = np.minimum(a[on] / (1.0 - kappa + kappa * r), 1.0)
        g[on] = np.minimum(b[on] * r, 1.0)
        u[on] = np.where(e[on] < 0.5, 1.0 - e[on], (1.0 - g[on]) / r**2)
        return Shares(e, g, u)

    def open_(self, x: Shares) -> Array:
        """Nats that are spent beyond each budget."""
        spent = [x.nats - self.R]
        return np.array(
            spent if self.free else [*spent, -0.5 * float(np.sum(np.log(x.g))) - self.total]
        )

    def slope(self, x: Shares, logs: Array, kappa: float) -> Array:
        """Derivative of what is spent in the logarithms of the multipliers: ``-1/4 sum H^-1``, scaled by e and g."""
        on = (x.u > 0) & (x.g < 1.0)
        e, g, u, gains = x.e[on], x.g[on], x.u[on], self.l[on]
        v = 1.0 - g
        alpha, beta = math.exp(logs[0]), 0.0 if self.free else math.exp(logs[1])
        A = 0.5 * (kappa * gains * np.sqrt(v) / u**1.5 * e**2 + alpha)
        if self.free:
            return np.array([[-0.25 * alpha * float(np.sum(1.0 / A))]])
        C = 0.5 * (kappa * gains * np.sqrt(u) / v**1.5 * g**2 + beta)
        B = -0.5 * kappa * gains * e * g / np.sqrt(u * v)
        det = A * C - B * B
        inverse = np.array(
            [[np.sum(C / det), -np.sum(B / det)], [-np.sum(B / det), np.sum(A / det)]]
        )
        return -0.25 * inverse * np.array([alpha, beta])

    def solve(self, kappa: float) -> Shares:
        """The allocation that spends both budgets, from the multipliers of the last one."""
        x = self.allocate(self.logs, kappa)
        left = self.open_(x)
        for _ in range(80):
            if float(np.max(np.abs(left))) < _CLOSE * (1.0 + self.R):
                break
            self.steps += 1
            try:
                change = -np.linalg.solve(self.slope(x, self.logs, kappa), left)
            except np.linalg.LinAlgError:
                change = np.sign(left)
            if not np.all(np.isfinite(change)):
                change = np.sign(left)
            change = np.asarray(
                change * min(1.0, 3.0 / float(np.max(np.abs(change)))), dtype=np.float64
            )
            size, norm = 1.0, float(np.linalg.norm(left))
            for _ in range(12):
                x = self.allocate(self.logs + size * change, kappa)
                ahead = self.open_(x)
                if float(np.linalg.norm(ahead)) < norm:
                    break
                size *= 0.5
            self.logs, left = self.logs + size * change, ahead
        return x


def _within(x: Shares, R: float, total: float) -> Shares:
    """The same shares, made to keep both budgets."""
    e, g, u = x.e, x.g, x.u
    for _ in range(4):
        over = Shares(e, g, u).nats - R
        if over > 0:
            big = u > 0.5
            if np.any(big):
                e = np.where(big, e * math.exp(2.0 * over / np.sum(big) * (1.0 + 1e-12) + 1e-16), e)
                u = np.where(big, 1.0 - e, u)
            else:
                cut = 1.0 - min(1.0, over / float(np.sum(0.5 * u / e)) * (1.0 + 1e-6))
                e, u = e + (1.0 - cut) * u, cut * u
        over = -0.5 * float(np.sum(np.log(g))) - total if math.isfinite(total) else 0.0
        if over > 0:
            g = np.minimum(1.0, g * math.exp(2.0 * over / np.sum(g < 1.0) * (1.0 + 1e-12) + 1e-16))
    return Shares(e, g, u)


def _lower(work: _Lagrangian, x: Shares, P: float) -> float:
    """``G + min over the budgets of grad G . (x' - x)``: the objective is convex, and water-filling is the minimum."""
    spectrum = work.l
    value, W = objective(spectrum, x.e, x.g, P, x.u)
    kappa = 1.0 - math.sqrt(P / W) if W > P else 0.0
    on = (x.u > 0) & (x.g < 1.0)
    r = np.ones(spectrum.size)
    r[on] = np.sqrt((1.0 - x.g[on]) / x.u[on])
    if not work.free and kappa > 0:
        # At u = v = 0, 2 sqrt(u v) <= r u + v/r for any r: one that both multipliers outweigh.
        alpha, beta = np.exp(work.logs)
        idle = spectrum[~on]
        most = np.maximum(0.5 * alpha / idle - (1.0 - kappa), 1e-300) / kappa
        r[~on] = np.sqrt(most * 2.0 * kappa * idle / beta)
    gains = spectrum * (1.0 - kappa + kappa * r)
    value -= _gain(gains, x.e, work.R)
    return value - (0.0 if work.free else _gain(spectrum * kappa / r, x.g, work.total))


def _gain(gains: Array, left: Array, nats: float) -> float:
    """The most that ``sum gains x`` can still rise within a budget, from ``left = 1 - x``."""
    return float(gains @ (left - water_fill(gains, nats)))


def solve_programme(spectrum: Array, R: float, total: float, P: float) -> Programme:
    """The best allocation of two budgets to positive eigenvalues, and a proven lower end.

    Args:
        spectrum: shape ``(k,)``.
        R: in nats.
        total: ``R + Rc`` in nats; may be infinite.
        P: squared Wasserstein-2 perception.
    """
    work = _Lagrangian(spectrum, R, total)

    def short(log_s: float) -> float:
        s = math.exp(log_s)
        x = work.solve(1.0 - s)
        return math.log(objective(spectrum, x.e, x.g, P, x.u)[1]) + 2.0 * log_s - math.log(P)

    kappa = 1.0
    if P > 0:
        low = min(0.5 * math.log(P / (4.0 * float(np.sum(spectrum)))), -1e-3)
        kappa = 1e-9
        if short(-kappa) > 0:
            kappa = 1.0 - math.exp(
                float(np.asarray(brentq(short, low, -kappa, xtol=1e-12, rtol=1e-12)))
            )
    x = _within(work.solve(kappa), R, total)
    upper, W = objective(spectrum, x.e, x.g, P, x.u)
    lower = _lower(work, x, P)
    return Programme(lower * (1.0 - 1e-12), upper * (1.0 + 1e-12), x.e, x.g, W, work.steps)
