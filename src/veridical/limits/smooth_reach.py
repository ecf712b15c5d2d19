"""The least distortion of any channel under a smooth measure: damped Newton on its dual.

    maximise  sum_i p_i min_j (d_ij - h_j) - S(-h, mu) - mu P,   S(L, mu) = max_q q.L - mu F(p, q)

is concave in ``(h, mu)``; the minima are smoothed by an entropy of weight ``tau``, which goes to zero. Any ``(h, mu)``
proves a lower end; the soft minima are a channel, which is mixed with one of equal laws until the measure holds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy.linalg import LinAlgError

from veridical.arrays import Array
from veridical.limits.dual import PowerSupport, solve_above
from veridical.limits.finite import NormalForm
from veridical.limits.plans import cheapest_plan, transport_bound

_SHARPEST = 1e-10
# The price stays above this share of tau: from zero it would not come back when the constraint starts to bind.
_LEAST_PRICE = 1e-4


class _Dual:
    """The smoothed dual at one ``tau``."""

    @np.errstate(all="ignore")
    def __init__(self, form: NormalForm, perception: float) -> None:
        assert form.family is not None
        assert form.target is not None
        self.form, self.perception = form, perception
        self.finite = np.where(np.isfinite(form.d), form.d, 0.0)
        self.off = np.where(np.isfinite(form.d), 0.0, -np.inf)
        self.tau = 1.0
        # Sinkhorn's iteration towards equal laws; F is c/2 times chi-squared nearby, which gives the price.
        self.h = np.zeros(form.d.shape[1])
        for _ in range(10):
            reached = form.p @ np.exp(self.plan(self.h)[1])
            self.h = self.h + np.log((0.9 * form.target + 0.1 / self.h.size) / reached)
        self.h -= float(form.target @ self.h)
        spread = float(form.target @ np.square(self.h))
        mu = math.sqrt(spread / (2.0 * form.family.bend * perception))
        self.power = PowerSupport(form.family, form.target, max(mu, 1e-3))

    def plan(self, h: Array) -> tuple[float, Array]:
        """``sum_i p_i softmin`` and the logarithms of its shares."""
        exponent = (h - self.finite) / self.tau + self.off
        top = np.max(exponent, axis=1, keepdims=True)
        logs = top + np.log(np.sum(np.exp(exponent - top), axis=1, keepdims=True))
        return -self.tau * float(self.form.p @ logs[:, 0]), exponent - logs

    def value(self, h: Array, mu: float) -> float:
        """The smoothed dual."""
        return self.plan(h)[0] - self.power.value(-h, mu) - mu * self.perception

    @np.errstate(all="ignore")
    def lower(self) -> float:
        """The dual itself."""
        own = transport_bound(self.form.d, self.form.p, self.h)[1]
        return own - self.power.value(-self.h, self.power.mu) - self.power.mu * self.perception

    @np.errstate(all="ignore")
    def step(self) -> float:
        """One damped Newton step; returns what it promised."""
        p, mu = self.form.p, self.power.mu
        value, logs = self.plan(self.h)
        here = self.power.at(-self.h, mu)
        value -= here.value + mu * self.perception
        share = np.exp(logs)
        joint = p[:, None] * share
        reached = np.sum(joint, axis=0)
        m = self.h.size
        matrix = np.empty((m + 1, m + 1))
        matrix[:m, :m] = (np.diag(reached) - joint.T @ share) / self.tau + np.diag(here.k)
        matrix[:m, :m] -= here.B @ here.B.T
        # A constant in h changes nothing; this picks the change of zero mean.
        matrix[:m, :m] += here.q[:, None] * here.q
        matrix[m, :m] = matrix[:m, m] = -here.cross
        matrix[m, m] = here.own
        gradient = np.append(here.q - reached, here.perception - self.perception)
        least = min(0.0, max(-0.9 * mu, _LEAST_PRICE * self.tau - mu))
        change = solve_above(matrix, gradient, np.array([least]))
        rise = float(gradient @ change)
        dh, dmu = change[:m], float(change[m])
        moved = (dh - np.sum(share * dh, axis=1, keepdims=True)) / self.tau
        reach = float(np.max(np.abs(moved) / (3.0 - 0.5 * logs + 0.0)))
        size = min(1.0, 1.0 / max(reach, 1e-300))
        size = min(size, self.power.trust(here, -self.h, -dh, dmu))
        for _ in range(25):
            ahead = self.value(self.h + size * dh, mu + size * dmu)
            if ahead >= value + 0.01 * size * rise - 1e-15 * (1 + abs(value)):
                self.h, self.power.mu = self.h + size * dh, mu + size * dmu
                return rise
            size *= 0.3
        return 0.0


def smooth_reach(form: NormalForm, inside: float) -> Iterator[tuple[float, Array]]:
    """Better and better pairs of a proven lower end of ``<J, d>`` and a joint law ``J`` with the perception.

    The laws aim at ``(1 - inside)`` times the perception.
    """
    assert form.family is not None
    assert form.target is not None
    level = form.perception * (1.0 - inside)
    work = _Dual(form, level)
    used = form.target > 0
    found = cheapest_plan(form.d[:, used], form.p, form.target[used])
    equal = np.zeros(form.d.shape)
    if found is not None:
        equal[:, used] = found[0]
    while work.tau > _SHARPEST:
        for _ in range(60):
            try:
                rise = work.step()
            except (LinAlgError, ValueError):
                break
            if not rise > 1e-4 * work.tau:
                break
        joint = np.exp(work.plan(work.h)[1])
        joint *= (form.p / np.sum(joint, axis=1))[:, None]
        if found is not None:
            joint = _towards(form, equal, joint, level)
        yield work.lower(), joint
        work.tau *= 0.25


def _towards(form: NormalForm, equal: Array, joint: Array, level: float) -> Array:
    """The farthest joint law on the way from equal laws at which the measure holds."""
    assert form.family is not None
    assert form.target is not None
    step = np.sum(joint - equal, axis=0)
    low, high = 0.0, 1.0
    if form.family.value(form.target, form.target + step) <= level:
        return joint
    for _ in range(60):
        middle = 0.5 * (low + high)
        inside = form.family.value(form.target, form.target + middle * step) <= level
        low, high = (middle, high) if inside else (low, middle)
    return equal + low * (joint - equal)
