"""The barrier path of the vector Gaussian programme, with the gap that certifies its end."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from veridical.limits.interior import Array
from veridical.limits.water import objective, water_fill


@dataclass(frozen=True)
class Programme:
    """The end of the path; everything relative to a total variance of one, rates in nats."""

    lower: float
    upper: float
    u: Array
    v: Array
    cost: float
    steps: int


class _Path:
    """``t G(u, v) - log(slacks)`` and its derivatives; ``free`` says whether ``v`` is fixed at one."""

    def __init__(self, spectrum: Array, R: float, total: float, P: float) -> None:
        self.l, self.R, self.total, self.P = spectrum, R, total, P
        self.free = math.isinf(total)

    def split(self, x: Array) -> tuple[Array, Array]:
        k = self.l.size
        return x[:k], np.ones(k) if self.free else x[k:]

    def slacks(self, x: Array) -> tuple[float, float]:
        u, v = self.split(x)
        left = self.R + 0.5 * float(np.sum(np.log1p(-u)))
        return left, 1.0 if self.free else self.total + 0.5 * float(np.sum(np.log1p(-v)))

    def value(self, x: Array, t: float) -> float:
        u, v = self.split(x)
        if np.any(x <= 0) or np.any(x >= 1) or min(self.slacks(x)) <= 0:
            return math.inf
        own = -float(np.sum(np.log(x)))
        return (
            t * objective(self.l, 1.0 - u, 1.0 - v, self.P)[0]
            - sum(map(math.log, self.slacks(x)))
            + own
        )

    def gradient(self, x: Array) -> tuple[Array, Array, float, float]:
        """Gradient of ``W`` and of the objective, ``psi'`` and ``psi''``."""
        u, v = self.split(x)
        W = objective(self.l, 1.0 - u, 1.0 - v, self.P)[1]
        active = W > self.P
        first = 1.0 - math.sqrt(self.P / W) if active else 0.0
        second = 0.5 * math.sqrt(self.P) * W**-1.5 if active else 0.0
        ratio = np.sqrt(v / u)
        parts = [self.l * (1.0 - ratio)] if self.free else [self.l * (1.0 - ratio), -self.l / ratio]
        dW = np.concatenate(parts)
        whole = first * dW
        whole[: u.size] -= self.l
        return dW, whole, first, second

    def newton(self, x: Array, t: float) -> tuple[Array, float]:
        u, v = self.split(x)
        k = u.size
        dW, dG, first, second = self.gradient(x)
        H = t * second * np.outer(dW, dW)
        diagonal = t * first * self.l * np.sqrt(v) / (2.0 * u**1.5)
        rates = [0.5 / (1.0 - u)]
        if not self.free:
            cross = -t * first * self.l / (2.0 * np.sqrt(u * v))
            H[np.arange(k), np.arange(k, 2 * k)] += cross
            H[np.arange(k, 2 * k), np.arange(k)] += cross
            diagonal = np.concatenate([diagonal, t * first * self.l * np.sqrt(u) / (2.0 * v**1.5)])
            rates.append(0.5 / (1.0 - v))
        g = t * dG - 1.0 / x
        diagonal = diagonal + 1.0 / x**2
        for b, (rate, slack) in enumerate(zip(rates, self.slacks(x), strict=False)):
            part = slice(b * k, b * k + k)
            g[part] += rate / slack
            H[part, part] += np.outer(rate, rate) / slack**2
            diagonal[part] += 2.0 * rate**2 / slack
        H[np.arange(x.size), np.arange(x.size)] += diagonal
        scale = 1.0 / np.sqrt(np.diag(H))
        factor = cho_factor(H * scale[:, None] * scale, check_finite=False)
        dx = -scale * cho_solve(factor, scale * g, check_finite=False)
        return dx, float(-(g @ dx))

    def bounds(self, x: Array) -> tuple[float, float]:
        """Objective at ``x``, and ``G + min over the budgets of grad G . (x' - x)`` below it."""
        u, v = self.split(x)
        upper = objective(self.l, 1.0 - u, 1.0 - v, self.P)[0]
        dG = self.gradient(x)[1]
        lower = upper
        for part, budget in ((slice(0, u.size), self.R), (slice(u.size, None), self.total)):
            gains = np.maximum(-dG[part], 0.0)
            if gains.size:
                best = gains @ (1.0 - water_fill(gains, budget))
                lower -= float(best + dG[part] @ x[part])
        return lower - 1e-14, upper * (1 + 1e-14)


def solve_programme(
    spectrum: Array, R: float, total: float, P: float, tolerance: float
) -> Programme:
    """Follow the barrier path from the interior until the bracket is ``tolerance`` wide."""
    path = _Path(spectrum, R, total, P)
    k = spectrum.size
    # A start in the interior: u_i = 0 is a fixed point of the block steps.
    x = np.full(k, -math.expm1(-R / k))
    if not path.free:
        x = np.append(x, np.full(k, -math.expm1(-total / k)))
    t, steps = 10.0 * x.size, 0
    lower, upper, best = -math.inf, math.inf, x
    while steps < 600:
        try:
            dx, decrement = path.newton(x, t)
        except (LinAlgError, ValueError):
            break
        steps += 1
        size, here = 1.0, path.value(x, t)
        while size > 1e-10 and not path.value(x + size * dx, t) <= here - 0.1 * size * decrement:
            size *= 0.5
        if size > 1e-10:
            x = x + size * dx
        if decrement < 1e-3 or size <= 1e-10:
            below, above = path.bounds(x)
            lower = max(lower, below)
            if above <= upper:
                upper, best = above, x
            if upper - lower <= tolerance * upper or t > 1e15:
                break
            t *= 8.0
    u, v = path.split(best)
    return Programme(
        max(lower, 0.0), upper, u, v, objective(spectrum, 1.0 - u, 1.0 - v, P)[1], steps
    )
