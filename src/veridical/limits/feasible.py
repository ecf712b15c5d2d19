"""Which pairs (D, P) a channel reaches at any rate: linear programmes (HiGHS) with a checked lower end.

With ``J`` the joint law, ``q`` its output law: the least ``<J, d>`` for which ``div(p, q) <= P``, and the least
``div(p, q)`` for which ``<J, d> <= D``. Transport costs and total variation are linear; a smooth measure goes
through its own dual. Whatever potentials ``h`` HiGHS returns,

    <J, d> >= sum_i p_i min_j (d_ij - h_j) + q.h >= sum_i p_i min_j (d_ij - h_j) - S(-h, mu) - mu P

proves the lower end; the upper end is a channel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from veridical.arrays import Array
from veridical.limits.certificate import Feasible, join, perception_of, support
from veridical.limits.finite import NormalForm
from veridical.limits.plans import cheapest_plan, transport_bound
from veridical.limits.smooth_reach import smooth_reach

MOST_PAIRS = 10_000
"""Alphabets with more pairs than this are left to the dual alone."""

# A distortion is as little as it goes if it is within this share of the mean entry.
_CLOSED = 1e-8


@dataclass(frozen=True)
class Reach:
    """What the programme found.

    Attributes:
        lower: proven: no channel has less distortion at this perception.
        anchor: a channel that meets both constraints, if there is one.
        least: the least distortion found, of a channel that meets the perception to rounding.
    """

    lower: float
    anchor: Feasible | None
    least: float


_Solution = tuple[Array, Array | None, Array, float, Array]


class _Programme:
    """Variables: ``J`` on allowed pairs, then a plan, or the positive parts of ``q - target``."""

    def __init__(self, form: NormalForm) -> None:
        self.form = form
        n, m = form.d.shape
        self.n, self.m = n, m
        self.i, self.j = np.nonzero(np.isfinite(form.d))
        if form.cost is not None:
            self.k, self.l = np.nonzero(np.isfinite(form.cost))
            self.extra = self.k.size
        else:
            self.extra = 0 if form.family is not None else m
        self.size = self.i.size + self.extra

    def distortion(self) -> Array:
        """Coefficients of ``<J, d>``."""
        return np.concatenate([self.form.d[self.i, self.j], np.zeros(self.extra)])

    def perception(self) -> Array:
        """Coefficients of the perception, if it is linear."""
        own = self.form.cost[self.k, self.l] if self.form.cost is not None else np.ones(self.extra)
        return np.concatenate([np.zeros(self.i.size), own])

    def solve(self, objective: Array, limit: tuple[Array, float] | None) -> _Solution | None:
        """Joint law, plan, potentials of the columns, price of the limit, all variables; or nothing."""
        from scipy.optimize import linprog
        from scipy.sparse import coo_array, csc_array, vstack

        form, J = self.form, np.arange(self.i.size)
        extra = self.i.size + np.arange(self.extra)
        ones = np.ones(J.size)
        rows = [coo_array((ones, (self.i, J)), shape=(self.n, self.size))]
        right = [form.p]
        output = coo_array((ones, (self.j, J)), shape=(self.m, self.size))
        upper, most = [], []
        if form.cost is not None:
            moved = coo_array((np.ones(self.extra), (self.k, extra)), shape=(self.n, self.size))
            reached = coo_array((np.ones(self.extra), (self.l, extra)), shape=(self.m, self.size))
            rows += [moved, output - reached]
            right += [form.p, np.zeros(self.m)]
        elif form.family is None:
            assert form.target is not None
            over = coo_array(
                (np.ones(self.m), (np.arange(self.m), extra)), shape=(self.m, self.size)
            )
            upper.append(output - over)
            most.append(form.target)
        if limit is not None:
            scale = limit[1] or 1.0
            upper.append(csc_array(limit[0][None, :] / scale))
            most.append(np.array([limit[1] / scale]))
        found = linprog(
            objective, A_eq=vstack(rows).tocsc(), b_eq=np.concatenate(right),
            A_ub=vstack(upper).tocsc() if upper else None, b_ub=np.concatenate(most) if most else None,
            method="highs", options={"primal_feasibility_tolerance": 1e-10},
        )  # fmt: skip
        if not found.success:
            return None
        joint = np.zeros(form.d.shape)
        joint[self.i, self.j] = np.maximum(found.x[: J.size], 0.0)
        plan, h = None, np.zeros(self.m)
        price = 0.0 if limit is None else -float(found.ineqlin.marginals[-1]) / (limit[1] or 1.0)
        if form.cost is not None:
            plan = np.zeros(form.cost.shape)
            plan[self.k, self.l] = np.maximum(found.x[J.size :], 0.0)
            h = found.eqlin.marginals[2 * self.n :]
        elif form.family is None:
            h = found.ineqlin.marginals[: self.m]
        return joint, plan, h, price, found.x


def _channels(form: NormalForm, inside: float) -> Iterator[tuple[float, Array, Array | None]]:
    """Proven lower ends of the distortion, joint laws and plans; more than one where they are refined."""
    if form.family is not None:
        for lower, joint in smooth_reach(form, inside):
            yield lower, joint, None
        return
    work = _Programme(form)
    level = form.perception * (1.0 - inside)
    found = work.solve(work.distortion(), (work.perception(), level))
    if found is not None:
        joint, plan, h, price, _ = found
        lower = transport_bound(form.d, form.p, h)[1] - support(form, -h, price)
        yield lower - price * form.perception, joint, plan


def least_distortion_channel(form: NormalForm, *, advise: bool = False) -> Reach | None:
    """The least distortion at the perception of the form; nothing if it fails.

    It ends as soon as it is known whether both constraints can be met; to ``advise``, only at the least distortion.
    """
    lower, anchor, least = -math.inf, None, math.inf
    for inside in (1e-7,) if advise else (1e-3, 1e-7):
        for bound, joint, plan in _channels(form, inside):
            lower = max(lower, bound)
            channel = joint / np.sum(joint, axis=1, keepdims=True)
            spent = float(np.sum(joint * np.where(joint > 0, form.d, 0.0)))
            if spent < least and perception_of(form, channel, plan) <= form.perception:
                least, anchor = spent, join(form, channel, plan, None)
            if not advise and (anchor is not None or lower > form.distortion):
                return Reach(lower, anchor, least)
            if least - lower < _CLOSED:
                break
    return Reach(lower, anchor, least) if math.isfinite(lower) else None


def least_perception(form: NormalForm) -> float | None:
    """The least perception found at the distortion of the form, in its unit; nothing if none is finite.

    Exact for linear measures; a smooth one takes thirty steps of Frank and Wolfe's method.
    """
    work = _Programme(form)
    limit = (work.distortion(), form.distortion)
    if form.family is None:
        found = work.solve(work.perception(), limit)
        return None if found is None else float(work.perception() @ found[4])
    family, target = form.family, form.target
    assert target is not None
    nearest, equal = work.solve(work.distortion(), None), cheapest_plan(form.d, form.p, target)
    if nearest is None or equal is None:
        return None
    costs = [float(np.sum(np.where(J > 0, J * form.d, 0.0))) for J in (nearest[0], equal[0])]
    share = (form.distortion - costs[0]) / max(costs[1] - costs[0], 1e-300)
    q = np.sum(nearest[0] + min(1.0, share) * (equal[0] - nearest[0]), axis=0)
    for _ in range(30):
        found = work.solve(np.append(family.slope(target, q)[work.j], np.zeros(work.extra)), limit)
        if found is None:
            break
        step = np.sum(found[0], axis=0) - q
        low, high = 0.0, 1.0
        for _ in range(40):
            middle = 0.5 * (low + high)
            falls = family.slope(target, q + middle * step) @ step < 0
            low, high = (middle, high) if falls else (low, middle)
        q = q + low * step
    value = family.value(target, q)
    return value if math.isfinite(value) else None
