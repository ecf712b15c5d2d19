"""The perception block of a transport cost: ``f_i + g_j <= mu c_ij`` with the plan as multiplier.

The conditions are ``sum_j gamma_ij = p_i``, ``sum_i gamma_ij = q_j``, ``P - sum gamma c = y`` and, with
slacks ``t``, ``t_ij + f_i + g_j = mu c_ij``, ``t_ij gamma_ij = tau``, ``mu y = tau``. The potentials ``f``
are eliminated (their part of the matrix is diagonal); a step costs one system in (a, lambda, g, mu).
"""

from __future__ import annotations

import numpy as np

from veridical.arrays import Array
from veridical.limits.interior import Direction, Pairs, Point, positive_solver


class TransportBlock:
    """State of the block: potentials, plan, slacks.

    Args:
        p: source law, shape ``(n,)``, positive.
        cost: shape ``(n, m)``, not negative; ``inf`` forbids a pair.
        perception: the constraint ``P`` on the transport cost, positive.
        plan: first plan, shape ``(n, m)``, positive on allowed pairs, for example entropic.
    """

    fixes_law = False

    def __init__(self, p: Array, cost: Array, perception: float, plan: Array, mu: float) -> None:
        self.p, self.perception = p, perception
        self.allowed = np.isfinite(cost)
        self.cost = np.where(self.allowed, cost, 0.0)
        self.mu = mu
        self.y = 0.1 * perception
        self.plan = plan[self.allowed]
        self.rows, self.columns = np.nonzero(self.allowed)
        self.f = np.zeros(cost.shape[0])
        self.h = np.zeros(cost.shape[1])
        self.t = np.full(self.plan.shape, 1.0)

    def start(self, f: Array, g: Array, t: Array) -> None:
        """Set the first potentials and slacks (``t`` of the shape of the cost)."""
        self.f, self.h, self.t = f, g, t[self.allowed]

    def full(self, values: Array) -> Array:
        """A matrix with ``values`` on the allowed pairs and zero elsewhere."""
        out = np.zeros(self.cost.shape)
        out[self.allowed] = values
        return out

    def pairs(self) -> Pairs:
        """Slacks and multipliers of the block."""
        return [(self.t, self.plan), (np.atleast_1d(self.mu), np.atleast_1d(self.y))]

    def factor(self, point: Point) -> _TransportSystem:
        """Linearise at a point."""
        return _TransportSystem(self, point)

    def move(self, step: float, direction: Direction) -> None:
        """Take a step."""
        (d_t, d_plan), (d_mu, d_y) = direction.pairs
        self.t = self.t + step * d_t
        self.plan = self.plan + step * d_plan
        self.mu += step * float(d_mu[0])
        self.y += step * float(d_y[0])
        self.f = self.f + step * self.df
        self.h = self.h + step * self.dg

    def trust(self, point: Point, direction: Direction, step: float) -> float:
        """Shorten a step that leaves the range of the block's linear model."""
        del point, direction
        return step

    df: Array
    dg: Array


class _TransportSystem:
    def __init__(self, block: TransportBlock, point: Point) -> None:
        self.block, self.point = block, point
        n, m = block.cost.shape
        self.ratio = block.plan / block.t
        self.M = block.full(self.ratio)
        self.McM = self.M * block.cost
        self.row_sum = np.sum(self.M, axis=1)
        self.row_cost = np.sum(self.McM, axis=1)
        self.column_cost = np.sum(self.McM, axis=0)
        self.omega = point.q / point.s
        matrix = np.zeros((n + m + 2, n + m + 2))
        matrix[: n + 1, : n + 1] = point.curvature(self.omega)
        # A constant moved from f to a and g changes nothing; this picks the change of zero mean.
        matrix[:n, :n] += point.p[:, None] * point.p[None, :]
        g = slice(n + 1, n + m + 1)
        matrix[:n, g] = -point.w * self.omega
        matrix[n, g] = self.omega * point.d_mean
        matrix[g, : n + 1] = matrix[: n + 1, g].T
        scaled = self.M / self.row_sum[:, None]
        matrix[g, g] = -(self.M.T @ scaled)
        diagonal = np.arange(n + 1, n + m + 1)
        matrix[diagonal, diagonal] += self.omega + np.sum(self.M, axis=0)
        matrix[-1, g] = self.M.T @ (self.row_cost / self.row_sum) - self.column_cost
        matrix[g, -1] = matrix[-1, g]
        own = np.sum(self.McM * block.cost) - self.row_cost @ (self.row_cost / self.row_sum)
        matrix[-1, -1] = own + block.y / block.mu
        self.solve = positive_solver(matrix)

    def direction(self, tau: float, corrections: list[Array]) -> Direction:
        """Solve for one right-hand side."""
        point, block = self.point, self.block
        n, m = block.cost.shape
        i, j = block.rows, block.columns
        cost = block.cost[block.allowed]
        want_q = tau - point.s * point.q - corrections[0]
        want_lam = tau - point.lam * point.y_lam - float(corrections[1][0])
        want_plan = (tau - block.t * block.plan - corrections[2]) / block.t
        want_y = (tau - block.mu * block.y - float(corrections[3][0])) / block.mu
        # Change of the plan but for the part that the potentials cause.
        drift = want_plan + self.ratio * (block.t + block.f[i] + block.h[j] - block.mu * cost)
        drift_rows = np.bincount(i, drift, n)
        drift_columns = np.bincount(j, drift, m)
        right_f = block.p - np.bincount(i, block.plan, n) - drift_rows
        rho = block.h - point.L - point.s - want_q / point.q
        right_g = point.q - np.bincount(j, block.plan, m) - drift_columns - self.omega * rho
        right_mu = float(np.sum((block.plan + drift) * cost)) - block.perception + block.y + want_y
        share = right_f / self.row_sum
        right = np.empty(n + m + 2)
        right[: n + 1] = point.gradient_sum(self.omega * rho)
        right[:n] -= point.row_residual
        right[n] += want_lam / point.lam - point.d_residual
        right[n + 1 : n + m + 1] = right_g - self.M.T @ share
        right[-1] = right_mu + self.row_cost @ share
        found = self.solve(right)
        x, dg, dmu = found[: n + 1], found[n + 1 : n + m + 1], float(found[-1])
        df = share - (self.M @ dg - self.row_cost * dmu) / self.row_sum
        d_plan = drift + self.ratio * (df[i] + dg[j] - cost * dmu)
        d_t = block.mu * cost - block.t - block.f[i] - block.h[j] - df[i] - dg[j] + cost * dmu
        dq = self.omega * (point.gradient_apply(x) - dg - rho)
        ds = (want_q - point.s * dq) / point.q
        dy_lam = (want_lam - point.y_lam * float(x[-1])) / point.lam
        dy = want_y - block.y / block.mu * dmu
        block.df, block.dg = df, dg
        pairs = [(d_t, d_plan), (np.atleast_1d(dmu), np.atleast_1d(dy))]
        return Direction(x, dq, ds, dy_lam, pairs)
