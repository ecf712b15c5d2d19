"""Damped Newton on the dual of ``R(D, P)``, for the problems in which the interior path goes astray.

    maximise  Phi(a, lambda, mu) = p.a - S(L, mu) - lambda D - mu P,   L_j = log sum_i p_i exp(a_i - lambda d_ij)

where ``S`` is the largest ``q.L - mu div(p, q)`` over output laws ``q``. ``Phi`` is jointly concave with as many
variables as the source has symbols, and two. Where ``S`` is smooth (equal laws, the power family) the ascent is
exact; the maxima of a transport cost are smoothed by an entropy of weight ``tau``, which then goes to zero.
Steps are shortened until no posterior leaves the range of the quadratic model and ``Phi`` has risen.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.linalg import LinAlgError

from veridical.arrays import Array
from veridical.limits.family import SmoothFamily
from veridical.limits.interior import Point, positive_solver, trust

# Iterates that promise less than this are worth a look: their bracket may be closed.
_NEAR = 1e-5
# Steps that are taken after Phi has stopped rising.
_QUIET = 4


@dataclass(frozen=True)
class Local:
    """``S`` and its derivatives at one ``(L, mu)``.

    The second derivative in ``L`` is ``diag(k) - B B^T`` with ``B`` of shape ``(m, r)``; ``cross`` is the mixed one.
    """

    value: float
    q: Array
    perception: float
    k: Array
    B: Array
    cross: Array
    own: float
    plan: Array | None = None
    logs: Array | None = None


class Support(Protocol):
    """The perception's part of the dual."""

    mu: float
    has_mu: bool

    def at(self, L: Array, mu: float) -> Local:
        """Value and derivatives; ``perception`` is minus the slope in ``mu``."""

    def value(self, L: Array, mu: float) -> float:
        """The value alone."""

    def trust(self, here: Local, L: Array, dL: Array, dmu: float) -> float:
        """Largest fraction of a step within the range of the quadratic model."""


class EqualLaws:
    """``S = q.L`` for a given output law."""

    mu, has_mu = 0.0, False

    def __init__(self, q: Array) -> None:
        self.q = q

    def value(self, L: Array, mu: float) -> float:
        """``q.L``."""
        del mu
        return float(self.q @ L)

    def at(self, L: Array, mu: float) -> Local:
        """No curvature."""
        zero = np.zeros_like(L)
        return Local(self.value(L, mu), self.q, 0.0, zero, np.zeros((L.size, 1)), zero, 0.0)

    def trust(self, here: Local, L: Array, dL: Array, dmu: float) -> float:
        """Linear: the model is exact."""
        del here, L, dL, dmu
        return 1.0


class PowerSupport:
    """A smooth measure at a price."""

    has_mu = True

    def __init__(self, family: SmoothFamily, p: Array, mu: float) -> None:
        self.family, self.p, self.mu = family, p, mu

    def value(self, L: Array, mu: float) -> float:
        """``max over q of q.L - mu F``."""
        return self.family.support(L, self.p, mu)

    def at(self, L: Array, mu: float) -> Local:
        """By the implicit function theorem from the normalisation of ``q``."""
        p = self.p
        # dq = k (dL - dt + slope dmu): the potential that asks for q is mu F'(q).
        q, k = self.family.law(L, p, mu)
        slope = self.family.slope(p, q)
        total, mean = float(np.sum(k)), float(k @ slope)
        cross = -k * (slope - mean / total)
        own = float(k @ slope**2) - mean**2 / total
        B = (k / math.sqrt(total))[:, None]
        return Local(self.value(L, mu), q, self.family.value(p, q), k, B, cross, own)

    def trust(self, here: Local, L: Array, dL: Array, dmu: float) -> float:
        """Each output probability moves by less than its own half in the model."""
        del L
        dq = here.k * dL - here.B[:, 0] * (here.B[:, 0] @ dL) + here.cross * dmu
        reach = float(np.max(np.abs(dq) / np.maximum(here.q, 1e-300)))
        return 1.0 / max(1.0, 2.0 * reach)


class TransportSupport:
    """``sum_i p_i tau log sum_j r_j exp((L_j - mu c_ij) / tau)``: transport with an entropy.

    Total variation is the cost of one for every move; no constraint is one row that moves for nothing.
    """

    def __init__(self, p: Array, cost: Array, mu: float, tau: float, *, has_mu: bool) -> None:
        self.p, self.mu, self.tau, self.has_mu = p, mu, tau, has_mu
        self.cost = np.where(np.isfinite(cost), cost, 0.0)
        self.off = np.where(np.isfinite(cost), -math.log(cost.shape[1]), -np.inf)

    def _plan(self, L: Array, mu: float) -> tuple[float, Array]:
        exponent = (L - mu * self.cost) / self.tau + self.off
        top = np.max(exponent, axis=1, keepdims=True)
        weight = np.exp(exponent - top)
        total = np.sum(weight, axis=1, keepdims=True)
        logs = top + np.log(total)
        return self.tau * float(self.p @ logs[:, 0]), exponent - logs

    def fit(self, L: Array, perception: float) -> None:
        """Set the price at which the soft maxima have this mean cost, by bisection."""
        low, high = -30.0, 60.0
        for _ in range(40):
            self.mu = math.exp(0.5 * (low + high))
            mean = float(self.p @ np.sum(np.exp(self._plan(L, self.mu)[1]) * self.cost, axis=1))
            low, high = (
                (0.5 * (low + high), high) if mean > perception else (low, 0.5 * (low + high))
            )

    def value(self, L: Array, mu: float) -> float:
        """The smoothed maximum."""
        return self._plan(L, mu)[0]

    def at(self, L: Array, mu: float) -> Local:
        """A mixture of soft maxima."""
        value, logs = self._plan(L, mu)
        share = np.exp(logs)
        root = np.sqrt(self.p / self.tau)[:, None]
        plan = self.p[:, None] * share
        q = np.sum(plan, axis=0)
        costs = np.sum(share * self.cost, axis=1)
        cross = -(np.sum(plan * self.cost, axis=0) - plan.T @ costs) / self.tau
        spread = np.sum(plan * np.square(self.cost - costs[:, None])) / self.tau
        B = (root * share).T
        return Local(
            value, q, float(self.p @ costs), q / self.tau, B, cross, float(spread), plan, logs
        )

    def trust(self, here: Local, L: Array, dL: Array, dmu: float) -> float:
        """No soft maximum moves by more than a few nats where it has weight."""
        del L
        assert here.logs is not None
        moved = (dL - dmu * self.cost) / self.tau
        moved = moved - np.sum(moved * np.exp(here.logs), axis=1, keepdims=True)
        reach = np.abs(moved) / (3.0 - 0.5 * here.logs)
        return 1.0 / max(1.0, float(np.max(reach)))


def _system(point: Point, here: Local, *, has_mu: bool) -> tuple[Array, Array]:
    """Minus the Hessian of ``Phi``, and its gradient without the constants ``D`` and ``P``."""
    n = point.p.size
    size = n + 1 + has_mu
    wide = np.vstack([point.w, -point.d_mean])
    matrix = np.empty((size, size))
    low = wide @ here.B
    matrix[: n + 1, : n + 1] = point.curvature(here.k) - low @ low.T
    # A constant in a changes nothing; this picks the change of zero mean.
    matrix[:n, :n] += point.p[:, None] * point.p[None, :]
    gradient = np.append(point.p - point.wq, float(point.q @ point.d_mean) - point.distortion)
    if has_mu:
        matrix[n + 1, : n + 1] = matrix[: n + 1, n + 1] = wide @ here.cross
        matrix[n + 1, n + 1] = here.own
        gradient = np.append(gradient, here.perception)
    return matrix, gradient


def solve_above(matrix: Array, gradient: Array, least: Array) -> Array:
    """The step of the quadratic model whose last entries, the changes of the prices, are at least ``least``."""
    x = positive_solver(matrix)(gradient)
    held = np.zeros(x.size, dtype=bool)
    prices = np.arange(x.size - least.size, x.size)
    for _ in range(least.size):
        low = x[prices] < least
        if not np.any(low & ~held[prices]):
            break
        held[prices] |= low
        x[held] = least[held[prices]]
        free = ~held
        right = gradient[free] - matrix[np.ix_(free, held)] @ x[held]
        x[free] = positive_solver(matrix[np.ix_(free, free)])(right)
    return x


def ascend(
    point: Point,
    support: Support,
    perception: float,
    steps: int,
    visit: Callable[[Local], bool],
    *,
    until: float = 0.0,
) -> int:
    """Raise ``Phi`` until a step gains less than ``until`` or nothing at all.

    ``visit`` sees the iterates close to the top and may end it. ``point`` and ``support.mu`` are moved.
    Returns the number of steps taken.
    """
    point.y_lam = 0.0
    price = perception if support.has_mu else 0.0
    quiet, near = 0, until == 0.0
    for count in range(steps):
        here = support.at(point.L, support.mu)
        point.q = here.q
        point.wq = point.w @ point.q
        phi = (
            float(point.p @ point.a)
            - here.value
            - point.lam * point.distortion
            - support.mu * price
        )
        if near and visit(here):
            return count
        matrix, gradient = _system(point, here, has_mu=support.has_mu)
        if support.has_mu:
            gradient[-1] -= price
        least = -0.9 * np.array([point.lam, support.mu][: 1 + support.has_mu])
        try:
            x = solve_above(matrix, gradient, least)
        except (LinAlgError, ValueError):
            return count
        rise = float(gradient @ x)
        near = until == 0.0 or rise < _NEAR
        if not (math.isfinite(rise) and rise > max(until, 1e-22)):
            visit(here)
            return count
        # Newton goes on for a little in the noise of Phi: the channel needs the gradient small, not Phi large.
        quiet = quiet + 1 if rise < 1e-13 else 0
        dmu = float(x[-1]) if support.has_mu else 0.0
        da, dlam = x[: point.p.size], float(x[point.p.size])
        step = trust(point, x[: point.p.size + 1], 1.0)
        dL = point.gradient_apply(x[: point.p.size + 1])
        step = min(step, support.trust(here, point.L, dL, dmu))
        a, lam, mu = point.a, point.lam, support.mu
        for _ in range(30):
            point.a, point.lam, support.mu = a + step * da, lam + step * dlam, mu + step * dmu
            point.evaluate()
            ahead = (
                float(point.p @ point.a) - support.value(point.L, support.mu)
                - point.lam * point.distortion - support.mu * price
            )  # fmt: skip
            if ahead >= phi + 0.01 * step * rise - 1e-13 * (1 + abs(phi)):
                break
            step *= 0.4
        else:
            point.a, point.lam, support.mu = a, lam, mu
            point.evaluate()
            return count
        if quiet == _QUIET:
            return count
    return steps
