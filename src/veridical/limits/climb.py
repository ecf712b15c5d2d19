"""Ascents of the dual of ``R(D, P)``, for the problems in which the interior path goes astray."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from veridical.arrays import Array
from veridical.limits.bracket import Bracket
from veridical.limits.certificate import blend, iterate_channel, join, lower_bound, perception_of
from veridical.limits.dual import EqualLaws, PowerSupport, TransportSupport, ascend
from veridical.limits.finite import NormalForm
from veridical.limits.interior import Point
from veridical.limits.known import fitting_price
from veridical.limits.start import first_iterate

TINY = 1e-6
"""Below this a transport cost starts from the law that costs nothing."""

# How far beyond the least distortion of equal laws a problem is solved for its dual point alone.
_NEIGHBOUR = 1e-2
# Steps for one smoothing of a transport cost.
_STEPS = 60


def climb(bracket: Bracket, *, careful: bool = True, whole: bool = True) -> None:
    """Damped Newton on the dual: equality of laws first, then the measure itself from there.

    Carefully, every smoothing of a transport cost is climbed to its top. Unless the whole way is asked for, a
    smoothing that takes all its steps and leaves more than a third of the gap is the last.
    """
    form = bracket.form
    law, transport = nearest_law(bracket)
    if law is not None and (form.cost is None or form.perception < TINY):
        same = replace(form, target=law, same=True, cost=None, family=None)
        if bracket.beyond is not None:
            # No channel of equal laws is allowed: a neighbour of the problem has one to start from.
            same = replace(same, distortion=bracket.beyond + _NEIGHBOUR * (1.0 + bracket.beyond))
        point, _ = first_iterate(same, 0.0)
        point.q = law.copy()
        bracket.iterations += ascend(
            point,
            EqualLaws(law),
            0.0,
            400,
            lambda here: bracket.beyond is None and _see_equal(bracket, point, same, transport),
            until=0.0 if bracket.beyond is None else 1e-3,
        )
        point.distortion = form.distortion
        if bracket.done or form.same:
            return
        if (
            form.cost is not None
            and fitting_price(bracket, point.L, transport) * form.perception > 1.0
        ):
            # A perception that is worth nats here is not tiny after all: equality of laws is far away.
            point, _ = first_iterate(form, 0.0)
    else:
        point, _ = first_iterate(form, 0.0)
    if form.family is not None:
        assert form.target is not None
        mu = fitting_price(bracket, point.L, transport)
        power = PowerSupport(form.family, form.target, mu)
        # A little inside, where there may be nothing to mix the end with.
        point.distortion = form.distortion * (1.0 - 1e-13)
        bracket.iterations += ascend(
            point,
            power,
            form.perception * (1.0 - 1e-7),
            400,
            lambda here: _see(bracket, point, power.mu, here.plan),
        )
        _blend(bracket)
        return
    if form.cost is not None:
        rows, cost = form.p, form.cost
    elif form.target is not None:
        rows, cost = form.target, 1.0 - np.eye(form.target.size)
    else:
        rows, cost = np.ones(1), np.zeros((1, form.d.shape[1]))
    mu = 1.0 if math.isfinite(form.perception) else 0.0
    support = TransportSupport(rows, cost, mu, 1.0, has_mu=mu > 0)
    if support.has_mu:
        support.fit(point.L, form.perception)
    while support.tau > 1e-11 and not bracket.done:
        gap = bracket.gap
        taken = ascend(
            point,
            support,
            form.perception,
            _STEPS,
            lambda here: _see(bracket, point, support.mu, here.plan),
            # The smoothing itself is worse than this while it is wide.
            until=0.0 if careful or support.tau < bracket.tolerance else 0.03 * support.tau,
        )
        bracket.iterations += taken
        _blend(bracket)
        if not whole and taken == _STEPS and 3.0 * bracket.gap > gap:
            return
        support.tau *= 0.2


def _see(bracket: Bracket, point: Point, mu: float, plan: Array | None) -> bool:
    """Certify a point of the ascent; the law of its plan is its output law, to the last digit."""
    channel = iterate_channel(bracket.form, point, exact_law=plan is not None)
    bracket.certify(point, mu, plan, channel)
    if not bracket.done and not bracket.form.same:
        bracket.pool = [*bracket.pool[-11:], (channel, plan)]
        _towards_equal(bracket, channel, plan)
    return bracket.done


def _towards_equal(bracket: Bracket, channel: Array, plan: Array | None) -> None:
    """Offer the mixture with the channel of equal laws that meets the perception."""
    if bracket.equal is None or plan is None or bracket.equal[1] is None:
        return
    over = perception_of(bracket.form, channel, plan) / bracket.form.perception
    if over > 1.0:
        share = (1.0 - 1e-12) / over
        mixed = bracket.equal[0] + share * (channel - bracket.equal[0])
        bracket.offer(
            join(
                bracket.form,
                mixed,
                bracket.equal[1] + share * (plan - bracket.equal[1]),
                bracket.anchor,
            )
        )


def _see_equal(bracket: Bracket, point: Point, same: NormalForm, transport: Array | None) -> bool:
    """Certify a point of equal laws: what is asked for, or all but that where ``P`` is tiny."""
    if bracket.form.same:
        return _see(bracket, point, 0.0, None)
    mu = fitting_price(bracket, point.L, transport)
    bracket.prove(lower_bound(bracket.form, point, mu), point, mu)
    channel = iterate_channel(same, point, careful=True)
    bracket.offer(join(bracket.form, channel, transport, bracket.anchor))
    bracket.equal = (channel, transport)
    return bracket.done


def _blend(bracket: Bracket) -> None:
    """Offer the best mixture of the latest channels and the anchor."""
    if bracket.done or not bracket.pool:
        return
    pool = bracket.pool
    if bracket.anchor is not None and bracket.form.cost is None:
        pool = [(bracket.anchor.channel, pool[0][1]), *pool]
    if bracket.equal is not None:
        pool = [bracket.equal, *pool]
    bracket.offer(join(bracket.form, *blend(bracket.form, pool), bracket.anchor))


def nearest_law(bracket: Bracket) -> tuple[Array | None, Array | None]:
    """The output law at ``P = 0``, and for a transport cost its plan; nothing if there are several."""
    form = bracket.form
    if form.cost is None:
        return form.target, None
    free = form.cost == 0
    if np.any(np.sum(free, axis=1) != 1):
        return None, None
    transport = form.p[:, None] * free
    return np.sum(transport, axis=0), transport
