"""The search behind the upper bound on ``D(R, Rc, P)``: alternate between encoder and decoder.

A scheme is a joint law of source symbol and index with the right rate, and one of index and sample.
Both steps are entropic transport problems (Sinkhorn) with a multiplier found by bisection; what they
return is made to meet marginals and rates exactly before it is priced, so that the price is attained.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from veridical.arrays import Array
from veridical.limits.coupling import best_coupling, information


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


def _decoder(x: Array, p: Array, joint: Array, nats: float) -> Array:
    """The joint law of index and sample with the largest ``E X~.X-`` at a rate."""
    q = np.sum(joint, axis=0)
    y = (joint.T @ x) / np.maximum(q, 1e-280)[:, None]
    return best_coupling(y @ x.T, q, p, nats)


def _price(x: Array, p: Array, joint: Array, sample: Array, P: float) -> Scheme:
    q = np.sum(joint, axis=0)
    y = (joint.T @ x) / np.maximum(q, 1e-280)[:, None]
    mmse = float(np.sum(joint * np.sum(np.square(x[:, None] - y[None]), axis=2)))
    cost = float(np.sum(sample * np.sum(np.square(y[:, None] - x[None]), axis=2)))
    value = mmse + max(math.sqrt(cost) - math.sqrt(P), 0.0) ** 2
    encoder = joint / p[:, None]
    decoder = sample / np.maximum(q, 1e-280)[:, None]
    return Scheme(
        value * (1 + 1e-12), mmse, cost, information(joint), information(sample), encoder, decoder
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
    return best_coupling(gain, p, q, nats)


def _identity_decoder(p: Array, joint: Array) -> Array | None:
    """The sample is the index, where the index has the law of the source."""
    q = np.sum(joint, axis=0)
    return np.diag(p) if q.size == p.size and np.allclose(q, p, rtol=0, atol=1e-12) else None


def search_scheme(
    x: Array, p: Array, *, nats: float, total: float, P: float, rounds: int, starts: list[Array]
) -> Scheme:
    """The best scheme found by alternating steps from the best two of several encoders.

    ``starts`` are joint laws of source and index, on the alphabet of
    the source; the sample itself is tried as the index of those with the law of the source (at ``P = 0`` and
    ``R + Rc`` of at least the entropy nothing is better).
    """
    entropy = -float(np.sum(xlogy(p, p)))
    tried: list[tuple[Scheme, Array, Array]] = []
    for start in starts:
        joint = start[:, np.sum(start, axis=0) > 1e-12]
        joint = joint * (p / np.sum(joint, axis=1))[:, None]
        if information(joint) > nats * (1 + 1e-12):
            continue
        own = _identity_decoder(p, joint) if entropy <= total else None
        samples = [_decoder(x, p, joint, total), *([] if own is None else [own])]
        tried += [(_price(x, p, joint, sample, P), joint, sample) for sample in samples]
    tried.sort(key=lambda one: one[0].value)
    best = tried[0][0]
    for first, encoder, decoder in tried[:2]:
        now, joint, sample = first, encoder, decoder
        for _ in range(min(rounds, 12)):
            joint = _improve(x, p, joint, sample, P=P, nats=nats)
            sample = _decoder(x, p, joint, total)
            found = _price(x, p, joint, sample, P)
            gained = now.value - found.value
            now = found if gained > 0 else now
            best = now if now.value < best.value else best
            if gained < 1e-6 * now.value:
                break
    return best
