"""Perception blocks whose multiplier ``g_j`` answers to its own output probability ``q_j`` only.

Linearised, such a block reads ``dg_j = k_j dq_j + b_j dmu + c_j`` and is eliminated, so that a step
costs one system in (a, lambda, mu). Theory: the dual of ``R(D, P)`` in ``docs/limits.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from veridical.arrays import Array
from veridical.limits.family import SmoothFamily
from veridical.limits.interior import Direction, Pairs, Point, positive_solver


@dataclass(frozen=True)
class _Reply:
    """``dg = k dq + b dmu + c``; the row of mu reads ``-b.dq + kappa dmu = right``."""

    k: Array
    b: Array
    c: Array
    kappa: float
    right: float


class _Separable:
    """A block that is eliminated column by column."""

    mu = 0.0
    fixes_law = False
    has_mu = False

    def pairs(self) -> Pairs:
        """Slacks and multipliers of the block."""
        return []

    def g(self, point: Point) -> Array:
        """The potential that the output law asks for."""
        return np.zeros_like(point.q)

    def reply(self, point: Point, tau: float, corrections: list[Array]) -> _Reply:
        """Linearise; see the module."""
        del tau, corrections
        zero = np.zeros_like(point.q)
        return _Reply(zero, zero, zero, 0.0, 0.0)

    def changes(self, reply: _Reply, dq: Array, dmu: float) -> Pairs:
        """Changes of the pairs."""
        del reply, dq, dmu
        return []

    def move(self, step: float, direction: Direction) -> None:
        """Take a step."""
        del step, direction

    def trust(self, point: Point, direction: Direction, step: float) -> float:
        """Shorten a step that leaves the range of the block's linear model."""
        del point, direction
        return step

    def factor(self, point: Point) -> _SeparableSystem:
        """Linearise at a point."""
        return _SeparableSystem(self, point)


class _SeparableSystem:
    """The conditions of a separable block, reduced to (a, lambda, mu)."""

    def __init__(self, block: _Separable, point: Point) -> None:
        self.block, self.point = block, point
        reply = block.reply(point, 0.0, [np.zeros(1)] * 2)
        n = point.p.size
        if block.fixes_law:
            self.omega = np.zeros_like(point.q)
        else:
            self.omega = 1.0 / (reply.k + point.s / point.q)
        size = n + 1 + block.has_mu
        matrix = np.empty((size, size))
        matrix[: n + 1, : n + 1] = point.curvature(self.omega)
        if block.fixes_law:
            # Adding a constant to a changes nothing; this picks the change of zero mean.
            matrix[:n, :n] += point.p[:, None] * point.p[None, :]
        if block.has_mu:
            matrix[n + 1, : n + 1] = -point.gradient_sum(self.omega * reply.b)
            matrix[: n + 1, n + 1] = matrix[n + 1, : n + 1]
            matrix[n + 1, n + 1] = self.omega @ reply.b**2 + reply.kappa
        self.solve = positive_solver(matrix)

    def direction(self, tau: float, corrections: list[Array]) -> Direction:
        """Solve for one right-hand side."""
        point, block, omega = self.point, self.block, self.omega
        reply = block.reply(point, tau, corrections[2:])
        wanted = tau - point.s * point.q - corrections[0]
        wanted_lam = tau - point.lam * point.y_lam - float(corrections[1][0])
        rho = block.g(point) - point.L - point.s - wanted / point.q + reply.c
        right = point.gradient_sum(omega * rho)
        right[:-1] -= point.row_residual
        right[-1] += wanted_lam / point.lam - point.d_residual
        if block.has_mu:
            right = np.append(right, reply.right - reply.b @ (omega * rho))
        found = self.solve(right)
        dmu = float(found[-1]) if block.has_mu else 0.0
        x = found[: point.p.size + 1]
        dq = omega * (point.gradient_apply(x) - reply.b * dmu - rho)
        ds = (wanted - point.s * dq) / point.q
        dy = (wanted_lam - point.y_lam * float(x[-1])) / point.lam
        return Direction(x, dq, ds, dy, block.changes(reply, dq, dmu))


class AnyLaw(_Separable):
    """No perception constraint: ``g = 0``."""


class SameLaw(_Separable):
    """Exact equality of laws: ``q`` is given, ``g = L`` is free, and nothing else is positive."""

    fixes_law = True


class TotalVariationBlock(_Separable):
    """``-mu <= g_j <= 0`` with multipliers ``beta`` and ``alpha``: ``q = p + alpha - beta``.

    The two slacks ``-g_j`` and ``g_j + mu`` are kept apart: a difference would lose the smaller.
    """

    has_mu = True

    def __init__(self, p: Array, perception: float, q: Array) -> None:
        self.p, self.perception = p, perception
        self.upper, self.lower = np.ones_like(p), np.ones_like(p)
        self.mu = 2.0
        self.beta = np.full_like(p, perception / p.size)
        self.alpha = self.beta + np.maximum(q - p, 0.0)

    def pairs(self) -> Pairs:
        """Slacks and multipliers of the block."""
        return [(self.upper, self.alpha), (self.lower, self.beta)]

    def g(self, point: Point) -> Array:
        """The potential that the output law asks for."""
        del point
        return -self.upper

    def reply(self, point: Point, tau: float, corrections: list[Array]) -> _Reply:
        """Linearise; see the module."""
        upper, lower = self.upper, self.lower
        want_alpha = (tau - self.alpha * upper - corrections[0]) / upper
        want_beta = (tau - self.beta * lower - corrections[1]) / lower
        ratio_alpha, ratio_beta = self.alpha / upper, self.beta / lower
        k = 1.0 / (ratio_alpha + ratio_beta)
        b = -ratio_beta * k
        residual = self.p - point.q + self.alpha - self.beta
        c = -(residual + want_alpha - want_beta) * k
        kappa = float(np.sum(ratio_beta * ratio_alpha * k))
        right = float(np.sum(self.beta) - self.perception + np.sum(want_beta - ratio_beta * c))
        self._wants = (want_alpha, want_beta)
        return _Reply(k, b, c, kappa, right)

    def changes(self, reply: _Reply, dq: Array, dmu: float) -> Pairs:
        """Changes of the pairs."""
        want_alpha, want_beta = self._wants
        dh = reply.k * dq + reply.b * dmu + reply.c
        d_alpha = want_alpha + self.alpha / self.upper * dh
        d_beta = want_beta - self.beta / self.lower * (dh + dmu)
        return [(-dh, d_alpha), (dh + dmu, d_beta)]

    def move(self, step: float, direction: Direction) -> None:
        """Take a step."""
        (d_upper, d_alpha), (d_lower, d_beta) = direction.pairs
        self.upper = self.upper + step * d_upper
        self.lower = self.lower + step * d_lower
        self.mu = float(self.upper[0] + self.lower[0])
        self.alpha = self.alpha + step * d_alpha
        self.beta = self.beta + step * d_beta


class PricedBlock(_Separable):
    """A price ``mu`` on a smooth ``F(p, q)`` in place of a bound: ``g = mu F'(q)``."""

    def __init__(self, family: SmoothFamily, p: Array, mu: float) -> None:
        self.family, self.p, self.mu = family, p, mu
        self._q = self._slope = self._curvature = np.empty(0)
        self._value = 0.0

    def look(self, q: Array) -> None:
        """``F`` and its derivatives at a law, which serve until it moves."""
        if q is not self._q:
            self._q, self._value = q, self.family.value(self.p, q)
            self._slope = self.family.slope(self.p, q)
            self._curvature = self.family.curvature(self.p, q)

    def g(self, point: Point) -> Array:
        """The potential that the output law asks for."""
        self.look(point.q)
        return self.mu * self._slope

    def reply(self, point: Point, tau: float, corrections: list[Array]) -> _Reply:
        """Linearise; see the module."""
        del tau, corrections
        self.look(point.q)
        zero = np.zeros_like(point.q)
        return _Reply(self.mu * self._curvature, zero, zero, 0.0, 0.0)

    def trust(self, point: Point, direction: Direction, step: float) -> float:
        """The step, shortened until the linear model of ``mu F'(q)`` misses by one nat on the average."""
        self.look(point.q)
        q, dq, mu = point.q, direction.q, self.mu
        d_mu = float(direction.pairs[0][0][0]) if direction.pairs else 0.0
        linear = mu * self._curvature * dq + d_mu * self._slope
        for _ in range(30):
            ahead = (mu + step * d_mu) * self.family.slope(self.p, q + step * dq)
            if float(np.abs(ahead - mu * self._slope - step * linear) @ q) <= 1.0:
                break
            step *= 0.6
        return step


class PowerBlock(PricedBlock):
    """A smooth ``F(p, q) <= P``: ``g = mu F'(q)``, with slack ``y`` of the constraint."""

    has_mu = True

    def __init__(self, family: SmoothFamily, p: Array, perception: float, q: Array) -> None:
        super().__init__(family, p, 1.0)
        self.perception = perception
        self.y = max(perception - family.value(p, q), 0.1 * perception)

    def pairs(self) -> Pairs:
        """Slacks and multipliers of the block."""
        return [(np.atleast_1d(self.mu), np.atleast_1d(self.y))]

    def reply(self, point: Point, tau: float, corrections: list[Array]) -> _Reply:
        """Linearise; see the module."""
        self.look(point.q)
        b, k = self._slope, self.mu * self._curvature
        residual = self.perception - self._value - self.y
        self._want = (tau - self.mu * self.y - float(corrections[0][0])) / self.mu
        return _Reply(k, b, np.zeros_like(b), self.y / self.mu, self._want - residual)

    def changes(self, reply: _Reply, dq: Array, dmu: float) -> Pairs:
        """Changes of the pairs."""
        del dq
        return [(np.atleast_1d(dmu), np.atleast_1d(self._want - reply.kappa * dmu))]

    def move(self, step: float, direction: Direction) -> None:
        """Take a step."""
        ((d_mu, d_y),) = direction.pairs
        self.mu += step * float(d_mu[0])
        self.y += step * float(d_y[0])
