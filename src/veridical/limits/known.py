"""What is known of ``R(D, P)`` in closed form or by one linear programme."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from veridical.arrays import Array
from veridical.limits.bracket import Bracket
from veridical.limits.certificate import Feasible, join, support
from veridical.limits.feasible import MOST_PAIRS, least_distortion_channel
from veridical.limits.plans import cheapest_plan, transport_bound


def identity_or_constant(bracket: Bracket) -> None:
    """Try both."""
    _identity(bracket)
    _constant(bracket)


def _identity(bracket: Bracket) -> None:
    """The identity, if it costs neither distortion nor perception: feasible everywhere."""
    form = bracket.form
    channel = (form.rows[:, None] == form.columns[None, :]).astype(np.float64)
    if np.any(np.sum(channel, axis=1) != 1) or np.any(form.d[channel > 0] != 0):
        return
    if form.cost is not None and np.any(form.cost[channel > 0] != 0):
        return
    if form.target is not None and not np.array_equal(form.target, form.p @ channel):
        return
    bracket.own = form.p[:, None] * channel
    bracket.anchor = bracket.best = Feasible(bracket.entropy * (1 + 1e-14), channel, 0.0, 0.0)


def _constant(bracket: Bracket) -> None:
    """Outputs that ignore the source: if one is feasible the rate is zero."""
    form = bracket.form
    laws = [] if form.target is None else [form.target / np.sum(form.target)]
    if form.target is None:
        mean = np.where(np.isfinite(form.d), form.d, np.inf).T @ form.p
        laws.append(np.eye(form.d.shape[1])[int(np.argmin(mean))])
        if bracket.own is not None:
            laws.append(np.sum(bracket.own, axis=0))
    for k, q in enumerate(laws):
        channel = np.tile(q, (form.p.size, 1))
        if np.any(np.isinf(form.d) & (channel > 0)):
            continue
        plan = bracket.own if k and bracket.own is not None else form.p[:, None] * channel
        found = join(form, channel, plan, None)
        if found is not None:
            bracket.best = replace(found, rate=0.0)


def forced(bracket: Bracket) -> None:
    """One allowed reconstruction per symbol: the channel is known, and so is its rate."""
    form = bracket.form
    if not np.all(np.sum(np.isfinite(form.d), axis=1) == 1):
        return
    channel = np.isfinite(form.d).astype(np.float64)
    plan = form.p[:, None] * channel if bracket.own is None else bracket.own
    found = join(form, channel, plan, None)
    if found is None:
        bracket.infeasible = form.cost is None
        return
    bracket.best = found
    bracket.lower = max(0.0, found.rate * (1 - 1e-12) - 1e-13)
    bracket.lam = math.inf


def cheapest(bracket: Bracket) -> None:
    """Without the identity: the nearest output law as cheaply as it goes, by a linear programme.

    It serves as an anchor, and for equality of laws it decides whether a channel exists.
    """
    form = bracket.form
    if bracket.anchor is not None or (form.target is None and form.cost is None):
        return
    law, transport = form.target, None
    if form.cost is not None:
        # Each row of the cost has a zero: moving there costs nothing.
        transport = form.p[:, None] * (
            np.argmin(form.cost, axis=1)[:, None] == np.arange(form.cost.shape[1])
        )
        law = np.sum(transport, axis=0)
    assert law is not None
    used = law > 0
    found = cheapest_plan(form.d[:, used], form.p, law[used])
    if found is None:
        return
    plan = np.zeros(form.d.shape)
    plan[:, used] = found[0]
    channel = plan / np.sum(plan, axis=1, keepdims=True)
    bracket.anchor = join(form, channel, transport, None)
    if bracket.anchor is not None:
        bracket.offer(bracket.anchor)
        return
    bracket.equal = (channel, transport)
    bracket.beyond = float(np.sum(np.where(plan > 0, plan * form.d, 0.0)))
    # Its potentials, with the largest that the other columns allow, prove what a little perception cannot change.
    h = np.min(form.d - np.min(form.d[:, used] - found[1], axis=1)[:, None], axis=0)
    h[used] = found[1]
    mu = 0.0 if form.same else fitting_price(bracket, -h, transport)
    price = mu * form.perception if math.isfinite(mu) else math.inf
    least = transport_bound(form.d, form.p, h)[1] - support(form, -h, mu) - price
    if not (form.same or least > bracket.enough) and form.d.size <= MOST_PAIRS:
        reach = least_distortion_channel(form)
        if reach is not None:
            bracket.anchor, least = reach.anchor, max(reach.lower, least)
    bracket.infeasible = least > bracket.enough


def fitting_price(bracket: Bracket, L: Array, transport: Array | None) -> float:
    """The price ``mu`` at which the dual point of equal laws serves a small ``P`` best."""
    form = bracket.form
    if form.cost is not None:
        assert transport is not None
        own = L[np.argmax(transport, axis=1)][:, None]
        rise = (L - own) / np.where(transport > 0, np.inf, form.cost)
        return max(float(np.max(rise)), 0.0)
    assert form.target is not None
    if form.family is None:
        return float(np.ptp(L))
    # F is c/2 times chi-squared nearby, and q.L - mu F gains Var(L) / (2 c mu).
    spread = float(form.target @ np.square(L - form.target @ L))
    return math.sqrt(max(spread, 1e-20) / (2.0 * form.family.bend * form.perception))
