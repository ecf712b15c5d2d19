"""The search behind the upper bound on ``D(R, Rc, P)``: alternate between encoder and decoder.

A scheme is a joint law of source symbol and index with the right rate, and one of index and sample.
Both steps are entropic transport problems (Sinkhorn) with a multiplier found by bisection; what they
return is made to meet marginals and rates exactly before it is priced, so that the price is attained.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import rel_entr

from veridical.limits.certificate import round_plan
from veridical.limits.interior import Array

__all__ = ["Scheme", "search_scheme"]


@dataclass(frozen=True)
class Scheme:
    """A feasible scheme; rates in nats."""

    value: float
    mmse: float
    cost: float
    rate: float
    total: float
    encoder: Array
    decoder: Array


def _information(joint: Array) -> float:
    product = np.sum(joint, axis=1)[:, None] * np.sum(joint, axis=0)[None, :]
    return float(np.sum(rel_entr(joint, product)))


def _sinkhorn(gain: Array, rows: Array, columns: Array, rounds: int = 60) -> Array:
    """The law with these marginals proportional to ``exp(gain)``, marginals exact."""
    kernel = np.exp(gain - np.max(gain, axis=1, keepdims=True)) * columns + 1e-250
    right = np.ones_like(columns)
    left = rows
    for _ in range(rounds):
        left = rows / (kernel @ right)
        right = columns / np.maximum(left @ kernel, 1e-280)
    return round_plan(left[:, None] * kernel * right, rows, columns)


def _at_rate(make: Callable[[float], Array], nats: float, top: float) -> Array:
    """The law ``make(t)`` of the largest multiplier whose information is at most ``nats``."""
    low, high = 0.0, top
    best = make(0.0)
    trial = make(top)
    if _information(trial) <= nats:
        return trial
    for _ in range(18):
        middle = 0.5 * (low + high)
        trial = make(middle)
        if _information(trial) <= nats:
            low, best = middle, trial
        else:
            high = middle
    return best


def _shannon(x: Array, p: Array, nats: float, rounds: int) -> Array:
    """A joint law of symbol and index: Blahut's iteration with centroids, at a rate."""
    top = 60.0 / max(float(np.mean(np.square(x - p @ x))), 1e-300)

    def make(lam: float) -> Array:
        q, y = p.copy(), x.copy()
        joint = p[:, None] * q
        for _ in range(rounds):
            distance = np.sum(np.square(x[:, None] - y[None]), axis=2)
            weight = q * np.exp(-lam * (distance - np.min(distance, axis=1, keepdims=True)))
            joint = p[:, None] * weight / np.sum(weight, axis=1, keepdims=True)
            q = np.sum(joint, axis=0)
            y = (joint.T @ x) / np.maximum(q, 1e-280)[:, None]
        return joint

    return _at_rate(make, nats, top)


def _decoder(x: Array, p: Array, joint: Array, nats: float) -> Array:
    """The joint law of index and sample with the largest ``E X~.X-`` at a rate."""
    q = np.sum(joint, axis=0)
    y = (joint.T @ x) / np.maximum(q, 1e-280)[:, None]
    affinity = y @ x.T
    spread = max(float(np.ptp(affinity)), 1e-300)
    return _at_rate(lambda t: _sinkhorn(t * affinity, q, p), nats, 400.0 / spread)


def _price(x: Array, p: Array, joint: Array, sample: Array, P: float) -> Scheme:
    q = np.sum(joint, axis=0)
    y = (joint.T @ x) / np.maximum(q, 1e-280)[:, None]
    mmse = float(np.sum(joint * np.sum(np.square(x[:, None] - y[None]), axis=2)))
    cost = float(np.sum(sample * np.sum(np.square(y[:, None] - x[None]), axis=2)))
    value = mmse + max(math.sqrt(cost) - math.sqrt(P), 0.0) ** 2
    encoder = joint / p[:, None]
    decoder = sample / np.maximum(q, 1e-280)[:, None]
    return Scheme(
        value * (1 + 1e-12), mmse, cost, _information(joint), _information(sample), encoder, decoder
    )


def _improve(x: Array, p: Array, joint: Array, sample: Array, *, P: float, nats: float) -> Array:
    """One encoder step: the concave part of the objective is linearised at the present scheme."""
    scheme = _price(x, p, joint, sample, P)
    kappa = 1.0 - math.sqrt(P / scheme.cost) if scheme.cost > P else 0.0
    q = np.sum(joint, axis=0)
    y = (joint.T @ x) / np.maximum(q, 1e-280)[:, None]
    z = (sample @ x) / np.maximum(q, 1e-280)[:, None]
    # d + kappa C = const - (1 - kappa) E|X~|^2 - 2 kappa E X~.X-, with E|X~|^2 linear at y.
    gain = 2.0 * x @ ((1.0 - kappa) * y + kappa * z).T
    spread = max(float(np.ptp(gain)), 1e-300)
    return _at_rate(lambda t: _sinkhorn(t * gain, p, q), nats, 400.0 / spread)


def search_scheme(
    x: Array, p: Array, *, nats: float, total: float, P: float, rounds: int
) -> Scheme:
    """The best scheme found from the encoder that ignores perception, by alternating steps."""
    joint = _shannon(x, p, nats, rounds)
    used = np.sum(joint, axis=0) > 1e-12
    joint = joint[:, used]
    joint *= (p / np.sum(joint, axis=1))[:, None]
    sample = _decoder(x, p, joint, total)
    best = _price(x, p, joint, sample, P)
    for _ in range(min(rounds, 12)):
        joint = _improve(x, p, joint, sample, P=P, nats=nats)
        sample = _decoder(x, p, joint, total)
        found = _price(x, p, joint, sample, P)
        gained = best.value - found.value
        if gained > 0:
            best = found
        if gained < 1e-7 * best.value:
            break
    return best
