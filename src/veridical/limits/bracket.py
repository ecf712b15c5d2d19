"""The best bounds on ``R(D, P)`` so far, and what is known about the problem besides."""

from __future__ import annotations

import math

import numpy as np

from veridical.arrays import Array
from veridical.limits.bound import Bound
from veridical.limits.certificate import Feasible, join, lower_bound
from veridical.limits.divergence import Divergence, TotalVariation
from veridical.limits.finite import FiniteSource, NormalForm
from veridical.limits.interior import Point

NATS = math.log(2.0)
"""Nats in a bit."""


class Bracket:
    """The best bounds seen, in nats, of one problem in normal form."""

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
        self.anchor: Feasible | None = None
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
    def enough(self) -> float:
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

    def prove(self, lower: float, point: Point, mu: float) -> None:
        """Keep a lower end if it is the largest so far, with the dual point that proves it."""
        if lower > self.lower:
            self.lower, self.lam, self.mu, self.a = lower, point.lam, mu, point.a.copy()

    def certify(self, point: Point, mu: float, plan: Array | None, channel: Array) -> None:
        """Keep what a dual point and a channel prove."""
        lower = lower_bound(self.form, point, mu)
        self.prove(
            lower, point, _steepest(point.L, self.form, self.divergence) if self.form.same else mu
        )
        if lower > self.entropy * (1 + 1e-9) + 1e-6:
            # No channel carries more than the entropy: the constraints contradict each other.
            self.infeasible = True
        found = join(self.form, channel, plan, self.anchor)
        self.offer(found)
        if found is not None and found.channel is channel:
            # It needed no mixing. The later, the closer to the optimum: mixing with it costs next to nothing.
            self.anchor = found

    def bound(self, source: FiniteSource, distortion: float, perception: float) -> Bound:
        """The bracket in bits, on the alphabets of the source."""
        form = self.form
        channel = np.zeros(source.d.shape)
        upper = math.inf
        if self.best is not None:
            upper = self.best.rate / NATS * (1 + 1e-15)
            channel = form.on_alphabets(source, self.best.channel)
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
