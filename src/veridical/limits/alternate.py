"""The search behind the upper bound on ``D(R, Rc, P)``: alternate between encoder and decoder.

A scheme is a joint law of source symbol and index with the right rate, and one of index and sample.
Both steps are entropic transport problems (Sinkhorn) with a multiplier found by bisection; what they
return is made to meet marginals and rates exactly before it is priced, so that the price is attained.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp, rel_entr, xlogy

from veridical.limits.certificate import round_plan
from veridical.limits.interior import Array
from veridical.limits.plans import cheapest_plan

__all__ = ["Scheme", "search_scheme"]

_BISECTIONS = 24


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


def _sinkhorn(gain: Array, rows: Array, columns: Array, start: Array) -> tuple[Array, Array]:
    """The law with these marginals proportional to ``exp(gain)``, and the potentials of its columns.

    Sinkhorn's iteration in logarithms until the marginals agree to 1e-10; what is left is made exact.
    """
    log_rows, log_columns, right = np.log(rows), np.log(columns), start
    for k in range(400):
        left = log_rows - logsumexp(gain + right, axis=1)
        moved = log_columns - logsumexp(gain + left[:, None], axis=0)
        change = float(columns @ np.abs(moved - right))
        right = moved
        if change < 1e-10 and k > 0:
            break
    return round_plan(np.exp(gain + left[:, None] + right), rows, columns), right


def _at_rate(gain: Array, rows: Array, columns: Array, nats: float) -> Array:
    """The law with these marginals that has the largest mean ``gain`` at an information of ``nats`` at most.

    If the best plan of all (exact transport) conveys no more, it is the one; otherwise the multiplier of the
    information is bisected on a scale without a ceiling, and the rest of the budget is spent on a mixture with
    the best plan, whose information is convex.
    """
    product = rows[:, None] * columns
    spread = float(np.ptp(gain))
    if nats <= 0.0 or spread <= 0.0:
        return product
    found = cheapest_plan(float(np.max(gain)) - gain, rows, columns)
    if found is not None and _information(found[0]) <= nats:
        return found[0]
    best, right, scale = product, np.log(columns), 1.0 / spread
    ends: list[tuple[float, float]] = [(-math.inf, -nats)]
    # Up by factors of three until the budget is passed, then false position on the logarithm of the scale.
    for _ in range(_BISECTIONS):
        trial, moved = _sinkhorn(scale * gain, rows, columns, right)
        over = _information(trial) - nats
        if over <= 0:
            best, right = trial, moved
        ends.append((math.log(scale), over))
        below = max(end for end in ends if end[1] <= 0)
        above = min((end for end in ends if end[1] > 0), default=None)
        if -1e-7 * nats <= over <= 0:
            break
        if above is None or math.isinf(below[0]):
            scale *= 3.0 if above is None else 1.0 / 3.0
            continue
        # Aim a little inside; the middle, if the same end has moved three times.
        share = below[1] / (below[1] - above[1])
        stuck = len(ends) > 4 and len({end[1] > 0 for end in ends[-3:]}) == 1
        share = 0.5 if stuck else min(0.999, max(0.001, share * (1 - 1e-3)))
        scale = math.exp(below[0] + share * (above[0] - below[0]))
    if found is None:
        return best
    share_low, share_high = 0.0, 1.0
    for _ in range(20):
        share = 0.5 * (share_low + share_high)
        inside = _information(best + share * (found[0] - best)) <= nats
        share_low, share_high = (share, share_high) if inside else (share_low, share)
    return best + share_low * (found[0] - best)


def _shannon(x: Array, p: Array, nats: float, rounds: int) -> Array:
    """A joint law of symbol and index: Blahut's iteration with centroids, at a rate."""
    spread = float(np.mean(np.square(x - p @ x)))
    if nats <= 0.0 or spread <= 0.0:
        return p[:, None].copy()
    low, high = math.log(1e-2 / spread), math.log(1e4 / spread)
    best = p[:, None] * p
    for _ in range(_BISECTIONS):
        lam = math.exp(0.5 * (low + high))
        q, y = p.copy(), x.copy()
        joint = best
        for _ in range(rounds):
            distance = np.sum(np.square(x[:, None] - y[None]), axis=2)
            weight = q * np.exp(-lam * (distance - np.min(distance, axis=1, keepdims=True)))
            joint = p[:, None] * weight / np.sum(weight, axis=1, keepdims=True)
            q = np.sum(joint, axis=0)
            y = (joint.T @ x) / np.maximum(q, 1e-280)[:, None]
        if _information(joint) <= nats:
            low, best = math.log(lam), joint
        else:
            high = math.log(lam)
    return best


def _decoder(x: Array, p: Array, joint: Array, nats: float) -> Array:
    """The joint law of index and sample with the largest ``E X~.X-`` at a rate."""
    q = np.sum(joint, axis=0)
    y = (joint.T @ x) / np.maximum(q, 1e-280)[:, None]
    return _at_rate(y @ x.T, q, p, nats)


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
    return _at_rate(gain, p, q, nats)


def _identity_decoder(p: Array, joint: Array) -> Array | None:
    """The sample is the index, where the index has the law of the source."""
    q = np.sum(joint, axis=0)
    return np.diag(p) if q.size == p.size and np.allclose(q, p, rtol=0, atol=1e-12) else None


def search_scheme(
    x: Array, p: Array, *, nats: float, total: float, P: float, rounds: int, starts: list[Array]
) -> Scheme:
    """The best scheme found by alternating steps from the best two of several encoders.

    Beside the encoder that ignores perception, ``starts`` are joint laws of source and index, on the alphabet of
    the source; the sample itself is tried as the index of those with the law of the source (at ``P = 0`` and
    ``R + Rc`` of at least the entropy nothing is better).
    """
    entropy = -float(np.sum(xlogy(p, p)))
    tried: list[tuple[Scheme, Array, Array]] = []
    for start in [_shannon(x, p, nats, rounds), *starts]:
        joint = start[:, np.sum(start, axis=0) > 1e-12]
        joint = joint * (p / np.sum(joint, axis=1))[:, None]
        if _information(joint) > nats * (1 + 1e-12):
            continue
        own = _identity_decoder(p, joint) if entropy <= total else None
        for sample in [_decoder(x, p, joint, total)] + ([] if own is None else [own]):
            tried.append((_price(x, p, joint, sample, P), joint, sample))
    tried.sort(key=lambda one: one[0].value)
    best = tried[0][0]
    for now, joint, sample in tried[:2]:
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
