"""From any iterate to proven bounds: dual completion below, a feasible channel above.

Both work in nats on the normal form and take rounding to their own cost: the lower bound is lowered
and the upper bound raised by a bound on the error of the arithmetic that made them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import rel_entr

from veridical.arrays import Array
from veridical.limits.finite import NormalForm
from veridical.limits.interior import Point
from veridical.limits.plans import round_on_tree

_EPS = 2.3e-16


@dataclass(frozen=True)
class Feasible:
    """A channel of the normal form that meets both constraints: rate in nats, distortion, perception."""

    rate: float
    channel: Array
    distortion: float
    perception: float


def support(form: NormalForm, L: Array, mu: float) -> float:
    """Upper bound on ``max over output laws q of q.L - mu divergence(q)``: minus ``T``."""
    if form.same:
        assert form.target is not None
        return float(form.target @ L)
    if form.cost is not None:
        return float(form.p @ np.max(L - mu * form.cost, axis=1))
    if form.family is not None:
        assert form.target is not None
        return form.family.support(L, form.target, mu)
    if form.target is not None:
        return float(form.target @ np.maximum(L, np.max(L) - mu))
    return float(np.max(L))


def lower_bound(form: NormalForm, point: Point, mu: float) -> float:
    """``sum p a + T - lambda D - mu P``, less a bound on its rounding error.

    Whatever ``a``, ``lambda >= 0`` and ``mu >= 0``: completing the dual point needs no convergence.
    """
    if not math.isfinite(mu):
        return -math.inf
    p, a, lam, L = point.p, point.a, point.lam, point.L
    price = 0.0 if math.isinf(form.perception) else mu * form.perception
    value = float(p @ a) - support(form, L, mu) - lam * form.distortion - price
    # Each exponent a_i + log p_i - lambda d_ij carries a few roundings of its own size.
    size = np.abs(a) + np.abs(point.log_p[:, 0])
    each = size @ point.w + 2.0 * lam * point.d_mean
    n, m = point.d.shape
    arithmetic = float(np.max(each)) * 4 + n + m + 16
    sums = (n + m + 8) * (float(p @ np.abs(a)) + float(np.max(np.abs(L))) + lam * form.distortion)
    prices = (n + m + 8) * 4 * (price if math.isfinite(price) else 0.0)
    noise = lam * form.d_noise + mu * form.c_noise
    return value - _EPS * (arithmetic + sums + prices) - noise


def round_plan(plan: Array, rows: Array, columns: Array) -> Array:
    """A plan with exactly these marginals near a given one (Altschuler, Weed and Rigollet 2017)."""
    plan = plan * np.minimum(1.0, rows / np.maximum(np.sum(plan, axis=1), 1e-300))[:, None]
    plan = plan * np.minimum(1.0, columns / np.maximum(np.sum(plan, axis=0), 1e-300))
    missing = np.maximum(rows - np.sum(plan, axis=1), 0.0)
    wanted = np.maximum(columns - np.sum(plan, axis=0), 0.0)
    total = float(np.sum(missing))
    return plan if total <= 0 else plan + missing[:, None] * (wanted / total)


def perception_of(form: NormalForm, channel: Array, plan: Array | None) -> float:
    """The measure of a channel's own output law, or an upper bound on it."""
    q = form.p @ channel
    if form.cost is not None:
        if plan is None:
            return math.inf
        off = ~np.isfinite(form.cost)
        exact = round_on_tree(plan, form.p, q, ~off) if np.any(off) else round_plan(plan, form.p, q)
        if exact is None:
            return math.inf
        finite = np.where(off, 0.0, form.cost)
        spent = float(np.sum(exact * finite))
        # Sums of laws differ by rounding alone; moving that much costs nothing.
        return spent if spent > _EPS * q.size * float(np.max(finite)) else 0.0
    if form.target is None or form.same:
        return 0.0
    if form.family is not None:
        return form.family.value(form.target, q)
    # Sums of laws differ by rounding alone; that much total variation is none.
    return max(0.0, 0.5 * float(np.sum(np.abs(form.target - q))) - _EPS * q.size)


def rate_nats(p: Array, channel: Array) -> float:
    """An upper bound on ``I(X; X^)`` of a channel, rounding included."""
    joint = p[:, None] * channel
    product = p[:, None] * np.sum(joint, axis=0)
    terms = rel_entr(joint, product)
    n, m = channel.shape
    return float(np.sum(terms)) + _EPS * (n + m + 16) * (1.0 + float(np.sum(np.abs(terms))))


def _distortion(form: NormalForm, channel: Array) -> float:
    used = np.where(channel > 0, form.d, 0.0)
    return float(np.sum(form.p[:, None] * channel * used))


def join(
    form: NormalForm, channel: Array, plan: Array | None, anchor: Feasible | None
) -> Feasible | None:
    """Make a channel feasible by mixing in as little of ``anchor`` as both constraints ask for.

    Distortion is linear and perception convex along the mixture, so that the share found is enough.
    """
    if not np.all(np.isfinite(channel)):
        return None
    share = 1.0
    found = [_distortion(form, channel), perception_of(form, channel, plan)]
    held = (0.0, 0.0) if anchor is None else (anchor.distortion, anchor.perception)
    for value, bound, inside in zip(found, (form.distortion, form.perception), held, strict=True):
        if value > bound:
            if anchor is None or not (math.isfinite(value) and inside <= bound):
                return None
            share = min(share, (bound - inside) / (value - inside) * (1.0 - 1e-15))
    if share < 1.0:
        assert anchor is not None
        channel = share * channel + (1.0 - share) * anchor.channel
        found = [share * v + (1.0 - share) * h for v, h in zip(found, held, strict=True)]
    return Feasible(rate_nats(form.p, channel), channel, *found)


def blend(form: NormalForm, pool: list[tuple[Array, Array | None]]) -> tuple[Array, Array | None]:
    """The mixture of channels (and plans) whose rates, distortions and perceptions, all convex, promise most.

    Where the optimum has a kink, iterates fall to one side of a constraint or the other and a mixture meets both.
    """
    from scipy.optimize import linprog

    rows = [(c, g) for c, g in pool if np.all(np.isfinite(c))]
    values = np.array(
        [(rate_nats(form.p, c), _distortion(form, c), perception_of(form, c, g)) for c, g in rows]
    )
    rows = [
        row for row, good in zip(rows, np.all(np.isfinite(values), axis=1), strict=True) if good
    ]
    values = values[np.all(np.isfinite(values), axis=1)]
    if not rows:
        return pool[-1]
    bounds = [(1, form.distortion)] + (
        [(2, form.perception)] if 0 < form.perception < np.inf else []
    )
    found = linprog(
        values[:, 0],
        A_ub=np.array([values[:, k] / most for k, most in bounds]),
        b_ub=np.full(len(bounds), 1.0 - 1e-10),
        A_eq=np.ones((1, len(rows))),
        b_eq=[1.0],
    )
    if not found.success:
        return pool[-1]
    share = np.maximum(found.x, 0.0) / np.sum(np.maximum(found.x, 0.0))
    channel = sum((w * c for w, (c, _) in zip(share, rows, strict=True)), np.zeros_like(rows[0][0]))
    if rows[0][1] is None:
        return channel, None
    plan = np.zeros_like(rows[0][1])
    for w, (_, one) in zip(share, rows, strict=True):
        assert one is not None
        plan += w * one
    return channel, plan


def iterate_channel(
    form: NormalForm, point: Point, *, exact_law: bool = False, careful: bool = False
) -> Array:
    """The channel ``q_j w_ij / p_i`` of an iterate, its rows made to sum to one.

    Where laws must agree, or ``exact_law`` asks for it, the joint law is first given both marginals exactly;
    carefully (slower) by a flow on its own large entries, which costs no distortion to speak of.
    """
    joint = point.w * point.q
    if form.same or exact_law:
        off = np.isinf(form.d)
        if not (careful or np.any(off)):
            joint = round_plan(joint, form.p, point.q)
        elif np.all(np.isfinite(joint)):
            exact = round_on_tree(joint, form.p, point.q, ~off)
            # An output law that may differ a little is better than none.
            joint = (
                exact if exact is not None else joint if exact_law else np.full_like(joint, np.nan)
            )
    with np.errstate(invalid="ignore", divide="ignore"):
        return joint / np.sum(joint, axis=1, keepdims=True)
