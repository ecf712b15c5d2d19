"""The search for ``R(D, P)``: what is known in closed form, then Newton paths, keeping the best bounds."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy.linalg import LinAlgError

from veridical.limits.bound import Bound
from veridical.limits.certificate import (
    Anchor,
    Feasible,
    anchor_at,
    blend,
    iterate_channel,
    join,
    lower_bound,
    perception_of,
    support,
)
from veridical.limits.divergence import Divergence, TotalVariation
from veridical.limits.dual import EqualLaws, PowerSupport, TransportSupport, ascend
from veridical.limits.feasible import MOST_PAIRS, least_distortion_channel
from veridical.limits.finite import FiniteSource, NormalForm
from veridical.limits.interior import Array, Block, Point, follow_path, merit
from veridical.limits.plans import cheapest_plan, transport_bound
from veridical.limits.start import TRANSPORT_STARTS, TransportStart, first_iterate, priced_iterate
from veridical.limits.transport_block import TransportBlock

__all__ = ["NATS", "Search"]

NATS = math.log(2.0)
"""Nats in a bit."""

# Steps after which the conditions should be met three times as well as before.
_PATIENCE = 4
# A path may end on this many small steps in a row; one alone is often followed by long ones.
_SMALL = 6
# Below this a transport cost starts from the law that costs nothing.
_TINY = 1e-6
# How far beyond the least distortion of equal laws a problem is solved for its dual point alone.
_NEIGHBOUR = 1e-2
# A transport cost of more pairs is climbed from the dual first: its steps cost an eighth of the path's.
_LARGE = 40_000
# The path aims this much (relative) inside the constraints, so that its end is feasible; where
# rounding is in the way it is walked again a little further inside.
_INSIDE = (1e-10, 1e-8, 1e-7)


class Search:
    """One run of the path, keeping the best bounds seen."""

    def __init__(
        self, form: NormalForm, divergence: Divergence | None, tolerance: float, max_iterations: int
    ) -> None:
        self.form, self.divergence = form, divergence
        self.tolerance, self.max_iterations = tolerance, max_iterations
        self.lower, self.lam, self.mu = 0.0, 0.0, 0.0
        self.a = np.zeros_like(form.p)
        self.best: Feasible | None = None
        self.iterations = 0
        self.entropy = -float(np.sum(form.p * np.log(form.p)))
        self.infeasible = False
        self.anchor: Anchor | None = None
        # The least distortion at equal laws, where it is more than is allowed.
        self.beyond: float | None = None
        self.equal: tuple[Array, Array | None] | None = None
        self.own: Array | None = None
        self.pool: list[tuple[Array, Array | None]] = []

    @property
    def gap(self) -> float:
        """Width of the bracket in nats, infinite while no channel is known."""
        return math.inf if self.best is None else self.best.rate - self.lower

    @property
    def _enough(self) -> float:
        """A least distortion above this contradicts the constraint, rounding included."""
        return self.form.distortion * (1.0 + 1e-9) + 1e-13

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.infeasible or self.gap <= self.tolerance

    def offer(self, found: Feasible | None) -> None:
        """Keep a feasible channel if its rate is the least so far."""
        if found is None or not math.isfinite(found.rate):
            return
        if self.best is None or found.rate < self.best.rate:
            self.best = found

    def run(self) -> None:
        """Search; iterates that overflow are thrown away by the certificates, without warnings."""
        with np.errstate(all="ignore"):
            self._search()

    def _search(self) -> None:
        """Try what is known in closed form, then the path, then the path with an anchor."""
        form = self.form
        self._identity()
        self._constant()
        if self.done:
            return
        if np.all(np.sum(np.isfinite(form.d), axis=1) == 1):
            self._forced()
            return
        self._cheapest()
        if not self.done and form.cost is not None:
            if form.perception < _TINY:
                self._ascend()
            elif form.d.size > _LARGE:
                self._ascend(careful=False)
        if self.done:
            return
        for inside, start in self._starts():
            self._path(inside, start)
            if self.done:
                return
            if form.family is not None:
                if not form.same:
                    self._prices()
                break
        if not self.done and form.target is not None and not form.same:
            self._unbound()
        if not self.done:
            self._ascend()

    def _cheapest(self) -> None:
        """Without the identity: the nearest output law as cheaply as it goes, by a linear programme.

        It serves as an anchor, and for equality of laws it decides whether a channel exists.
        """
        form = self.form
        if self.anchor is not None or (form.target is None and form.cost is None):
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
        self.anchor = anchor_at(form, channel, transport)
        if self.anchor is not None:
            self.offer(join(form, channel, transport, None))
            return
        self.equal = (channel, transport)
        self.beyond = float(np.sum(np.where(plan > 0, plan * form.d, 0.0)))
        # Its potentials, with the largest that the other columns allow, prove what a little perception cannot change.
        h = np.min(form.d - np.min(form.d[:, used] - found[1], axis=1)[:, None], axis=0)
        h[used] = found[1]
        mu = 0.0 if form.same else self._price(-h, transport)
        price = mu * form.perception if math.isfinite(mu) else math.inf
        least = transport_bound(form.d, form.p, h)[1] - support(form, -h, mu) - price
        if not (form.same or least > self._enough) and form.d.size <= MOST_PAIRS:
            reach = least_distortion_channel(form)
            if reach is not None:
                self.anchor, least = reach.anchor, max(reach.lower, least)
        self.infeasible = least > self._enough

    def _ascend(self, *, careful: bool = True) -> None:
        """Damped Newton on the dual: equality of laws first, then the measure itself from there.

        Carefully, every smoothing of a transport cost is climbed to its top.
        """
        form = self.form
        law, transport = self._nearest_law()
        if law is not None and (form.cost is None or form.perception < _TINY):
            same = replace(form, target=law, same=True, cost=None, family=None)
            if self.beyond is not None:
                # No channel of equal laws is allowed: a neighbour of the problem has one to start from.
                same = replace(same, distortion=self.beyond + _NEIGHBOUR * (1.0 + self.beyond))
            point, _ = first_iterate(same, 0.0)
            point.q = law.copy()
            self.iterations += ascend(
                point,
                EqualLaws(law),
                0.0,
                400,
                lambda here: self.beyond is None and self._see_equal(point, same, transport),
                until=0.0 if self.beyond is None else 1e-3,
            )
            point.distortion = form.distortion
            if self.done or form.same:
                return
        else:
            point, _ = first_iterate(form, 0.0)
        if form.family is not None:
            assert form.target is not None
            mu = self._price(point.L, transport)
            power = PowerSupport(form.family, form.target, mu)
            # A little inside, where there may be nothing to mix the end with.
            point.distortion = form.distortion * (1.0 - 1e-13)
            self.iterations += ascend(
                point,
                power,
                form.perception * (1.0 - 1e-7),
                400,
                lambda here: self._see(point, power.mu, here.plan),
            )
            self._blend()
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
        while support.tau > 1e-11 and not self.done:
            taken = ascend(
                point,
                support,
                form.perception,
                60,
                lambda here: self._see(point, support.mu, here.plan),
                # The smoothing itself is worse than this while it is wide.
                until=0.0 if careful or support.tau < self.tolerance else 0.03 * support.tau,
            )
            self.iterations += taken
            self._blend()
            support.tau *= 0.2

    def _see(self, point: Point, mu: float, plan: Array | None) -> bool:
        """Certify a point of the ascent; the law of its plan is its output law, to the last digit."""
        channel = iterate_channel(self.form, point, exact_law=plan is not None)
        self._certify(point, mu, plan, channel)
        if not self.done and not self.form.same:
            self.pool = [*self.pool[-11:], (channel, plan)]
            self._towards_equal(channel, plan)
        return self.done

    def _towards_equal(self, channel: Array, plan: Array | None) -> None:
        """Offer the mixture with the channel of equal laws that meets the perception."""
        if self.equal is None or plan is None or self.equal[1] is None:
            return
        over = perception_of(self.form, channel, plan) / self.form.perception
        if over > 1.0:
            share = (1.0 - 1e-12) / over
            mixed = self.equal[0] + share * (channel - self.equal[0])
            self.offer(join(self.form, mixed, self.equal[1] + share * (plan - self.equal[1]), self.anchor))

    def _blend(self) -> None:
        """Offer the best mixture of the latest channels and the anchor."""
        if self.done or not self.pool:
            return
        pool = self.pool
        if self.anchor is not None and self.form.cost is None:
            pool = [(self.anchor.channel, pool[0][1]), *pool]
        if self.equal is not None:
            pool = [self.equal, *pool]
        self.offer(join(self.form, *blend(self.form, pool), self.anchor))

    def _see_equal(self, point: Point, same: NormalForm, transport: Array | None) -> bool:
        """Certify a point of equal laws: what is asked for, or all but that where ``P`` is tiny."""
        if self.form.same:
            return self._see(point, 0.0, None)
        lower = lower_bound(self.form, point, self._price(point.L, transport))
        if lower > self.lower:
            self.lower, self.lam, self.mu = lower, point.lam, self._price(point.L, transport)
        channel = iterate_channel(same, point, careful=True)
        self.offer(join(self.form, channel, transport, self.anchor))
        self.equal = (channel, transport)
        return self.done

    def _nearest_law(self) -> tuple[Array | None, Array | None]:
        """The output law at ``P = 0``, and for a transport cost its plan; nothing if there are several."""
        form = self.form
        if form.cost is None:
            return form.target, None
        free = form.cost == 0
        if np.any(np.sum(free, axis=1) != 1):
            return None, None
        transport = form.p[:, None] * free
        return np.sum(transport, axis=0), transport

    def _price(self, L: Array, transport: Array | None) -> float:
        """The price ``mu`` at which the dual point of equal laws serves a small ``P`` best."""
        form = self.form
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
        return math.sqrt(max(spread, 1e-20) / (2.0 * (form.family.order or 1.0) * form.perception))

    def _unbound(self) -> None:
        """A perception that does not bind: Shannon's problem, its channel measured all the same."""
        loose = replace(self.form, target=None, family=None, perception=math.inf)
        point, block = first_iterate(loose, _INSIDE[0])
        self._walk(point, block, self.max_iterations)

    def _prices(self) -> None:
        """Smooth measures with little room: a path for each price, and a search for the price.

        The measure falls like the inverse square of a high price, so that a secant in logarithms
        finds the price at which it meets the constraint.
        """
        form = self.form
        assert form.family is not None
        assert form.target is not None
        log_mu, aim = -0.5 * math.log(form.perception), math.log(form.perception)
        low, high = -math.inf, math.inf
        last: tuple[float, float] | None = None
        for _ in range(20):
            point, block = priced_iterate(form, _INSIDE[0], math.exp(log_mu))
            self._walk(point, block, 60, until=1e-10)
            if self.done:
                return
            found = math.log(max(form.family.value(form.target, point.q), 1e-300))
            low, high = (log_mu, high) if found > aim else (low, log_mu)
            slope = -2.0
            if last is not None and abs(log_mu - last[0]) > 1e-13:
                slope = min(-0.2, (found - last[1]) / (log_mu - last[0]))
            last = (log_mu, found)
            log_mu += max(-7.0, min(7.0, (aim - found) / slope))
            if not low < log_mu < high:
                log_mu = 0.5 * (low + high)

    def _starts(self) -> list[tuple[float, TransportStart]]:
        """Where to begin, in turn: further inside the constraints, or from another plan."""
        if self.form.cost is None:
            return [(inside, TRANSPORT_STARTS[0]) for inside in _INSIDE]
        near = [(_INSIDE[k % 2], start) for k, start in enumerate(TRANSPORT_STARTS)]
        return [*near, *((inside, TRANSPORT_STARTS[0]) for inside in _INSIDE[1:])]

    def _path(self, inside: float, start: TransportStart) -> None:
        point, block = first_iterate(self.form, inside, start)
        # A smooth measure has a second way to its end; it need not wait for the first to give up.
        most = self.max_iterations if self.form.family is None else min(60, self.max_iterations)
        self._walk(point, block, most)

    def _walk(self, point: Point, block: Block, most: int, until: float = 0.0) -> None:
        """Follow the path until the bracket is closed, a step fails, or the pairs are below ``until``."""
        history: list[float] = []
        small = 0
        for _ in range(most):
            self._certify_block(point, block)
            if self.done or float(point.s @ point.q) < until:
                return
            history.append(merit(point, block))
            stuck = len(history) > _PATIENCE and history[-1] > 0.3 * history[-1 - _PATIENCE]
            try:
                step = follow_path(point, block, careful=stuck)
            except (LinAlgError, ValueError, FloatingPointError):
                return
            self.iterations += 1
            small = small + 1 if step < 1e-7 else 0
            if small >= _SMALL:
                break
        self._certify_block(point, block)

    def _certify_block(self, point: Point, block: Block) -> None:
        plan = block.full(block.plan) if isinstance(block, TransportBlock) else None
        self._certify(point, max(block.mu, 0.0), plan, iterate_channel(self.form, point))

    def _certify(self, point: Point, mu: float, plan: Array | None, channel: Array) -> None:
        lower = lower_bound(self.form, point, mu)
        if lower > self.lower:
            self.lower, self.lam, self.mu, self.a = lower, point.lam, mu, point.a.copy()
            if self.form.same:
                self.mu = _steepest(point.L, self.form, self.divergence)
        if lower > self.entropy * (1 + 1e-9) + 1e-6:
            # No channel carries more than the entropy: the constraints contradict each other.
            self.infeasible = True
        self.offer(join(self.form, channel, plan, self.anchor))
        anchor = anchor_at(self.form, channel, plan)
        if anchor is not None and self.best is not None:
            # The later, the closer to the optimum: mixing with it costs next to nothing.
            self.anchor = anchor

    def _identity(self) -> None:
        """The identity, if it costs neither distortion nor perception: feasible everywhere."""
        form = self.form
        channel = (form.rows[:, None] == form.columns[None, :]).astype(np.float64)
        if np.any(np.sum(channel, axis=1) != 1) or np.any(form.d[channel > 0] != 0):
            return
        if form.cost is not None and np.any(form.cost[channel > 0] != 0):
            return
        if form.target is not None and not np.array_equal(form.target, form.p @ channel):
            return
        self.own = form.p[:, None] * channel
        self.anchor = Anchor(channel, 0.0, 0.0)
        self.best = Feasible(self.entropy * (1 + 1e-14), channel)

    def _constant(self) -> None:
        """Outputs that ignore the source: if one is feasible the rate is zero."""
        form = self.form
        laws = [] if form.target is None else [form.target / np.sum(form.target)]
        if form.target is None:
            mean = np.where(np.isfinite(form.d), form.d, np.inf).T @ form.p
            laws.append(np.eye(form.d.shape[1])[int(np.argmin(mean))])
            if self.own is not None:
                laws.append(np.sum(self.own, axis=0))
        for k, q in enumerate(laws):
            channel = np.tile(q, (form.p.size, 1))
            if np.any(np.isinf(form.d) & (channel > 0)):
                continue
            plan = self.own if k and self.own is not None else form.p[:, None] * channel
            if join(form, channel, plan, None) is not None:
                self.best = Feasible(0.0, channel)

    def _forced(self) -> None:
        """One allowed reconstruction per symbol: the channel is known, and so is its rate."""
        form = self.form
        channel = np.isfinite(form.d).astype(np.float64)
        plan = form.p[:, None] * channel if self.own is None else self.own
        found = join(form, channel, plan, None)
        if found is None:
            self.infeasible = form.cost is None
            return
        self.best = found
        self.lower = max(0.0, found.rate * (1 - 1e-12) - 1e-13)
        self.lam = math.inf

    def bound(self, source: FiniteSource, distortion: float, perception: float) -> Bound:
        """The bracket in bits, on the alphabets of the source."""
        form = self.form
        channel = np.zeros(source.d.shape)
        upper = math.inf
        if self.best is not None:
            upper = self.best.rate / NATS * (1 + 1e-15)
            # Symbols without probability reconstruct like the first one that has some.
            channel[:, form.columns] = self.best.channel[0]
            channel[np.ix_(form.rows, form.columns)] = self.best.channel
        return Bound(
            lower_bits=self.lower / NATS * (1 - 1e-15),
            upper_bits=upper,
            distortion=distortion,
            perception=perception,
            channel=channel,
            slope_distortion=self.lam / form.d_unit / NATS,
            slope_perception=self.mu / form.p_unit / NATS,
            iterations=self.iterations,
        )


def _steepest(L: Array, form: NormalForm, divergence: Divergence | None) -> float:
    """The least ``mu`` for which the dual point of equal laws also serves ``P > 0``; often infinite."""
    if form.p.size != form.d.shape[1] or not np.array_equal(form.rows, form.columns):
        return math.inf
    if isinstance(divergence, TotalVariation):
        return float(np.ptp(L))
    return math.inf
