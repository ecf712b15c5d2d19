"""Parts of a lattice code: scale, estimator and generator, fitted to samples of the source."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from veridical.arrays import Array
from veridical.bitstream.lattice import LatticeCoder
from veridical.errors import InvalidSetting
from veridical.estimate.lattice import LatticeEstimator, OddMap, exact_means, fitted_means
from veridical.generate.lattice import CellSampler, IntervalPlan, LatticeGenerator
from veridical.quantize.lattice import Cosets, Family, Lattice, NestedChain

_EVENED = 4
"""Up to this dimension cells of L3 may be far from round, and a covariance is well known from samples."""


def cell_means(chain: NestedChain, x: Array, seed: int, s: float) -> OddMap:
    """``E[X | p]``: exact for cubic lattices without shaping, else fitted to samples."""
    if _cubic(chain) and not chain.shaping:
        return exact_means(float(chain.middle.axis[0]), s)
    p = chain.points(chain.encode(x, seed), seed)
    return fitted_means(x, p, by_coordinate=_cubic(chain))


def fitted_generator(
    estimator: LatticeEstimator, x: Array, seed: int, s: float, rng: np.random.Generator
) -> LatticeGenerator:
    """The generator of a chain; see :mod:`veridical.generate.lattice`."""
    chain, means = estimator.chain, estimator.means
    p = chain.points(chain.encode(x, seed), seed)
    cosets = chain.cosets
    if cosets is None:
        return LatticeGenerator(means, None, _to_normal(chain, p, x, s))
    if _cubic(chain) and cosets.k in (0, chain.dimension):
        return LatticeGenerator(means, _interval_plan(chain, cosets, p, s), None)
    e = _fine_cell(chain, cosets, rng)
    moment = float(np.mean(np.square(e)))
    spread = float(np.mean(np.square(p)))
    # At this beta the points of L3 next to X / beta have the second moment of p.
    beta = (
        1.0
        if cosets.k == 0 and not chain.shaping
        else s / math.sqrt(max(spread - moment, 0.25 * spread))
    )
    draw = CellSampler(chain.middle, cosets, beta, s, moment)
    if beta == 1.0:
        return LatticeGenerator(means, draw, None)
    drawn = draw(p, rng)
    even = _evening(drawn, s) if chain.dimension <= _EVENED else None
    drawn = drawn if even is None else drawn @ even
    return LatticeGenerator(
        means, draw, norms_to_normal(drawn, x, shaped=bool(chain.shaping)), even
    )


def _fine_cell(chain: NestedChain, cosets: Cosets, rng: np.random.Generator) -> Array:
    """Points uniform in the cell of ``L3``."""
    n = 512 if cosets.k not in (0, chain.dimension) else 4096
    y = rng.random((n, chain.dimension)) * chain.middle.family.period
    return (y - cosets.nearest_fine(y) / cosets.modulus) * chain.middle.axis


def _interval_plan(chain: NestedChain, cosets: Cosets, p: Array, s: float) -> IntervalPlan:
    """Of a cubic lattice without dither: all that matters is the law of one coordinate."""
    from scipy.special import ndtr

    width = float(chain.middle.axis[0])
    # A shaped code has its points between those of L3.
    step = width / cosets.modulus / (2 if chain.shaping else 1)
    middle = math.ceil(max(9.0 * s + width, float(np.max(np.abs(p)))) / step) + 1
    at = np.arange(-middle, middle + 1) * step
    if chain.shaping:
        k = np.rint(p.ravel() / step).astype(np.int64) + middle
        law = np.bincount(np.concatenate([k, 2 * middle - k]), minlength=at.size).astype(np.float64)
    else:
        # The interval on the side of 0 loses no digits in the tails.
        size = np.abs(at)
        law = ndtr(-(size - width / 2) / s) - ndtr(-(size + width / 2) / s)
    below = np.cumsum(law)
    return IntervalPlan(step, below / below[-1], s)


def _to_normal(chain: NestedChain, p: Array, x: Array, s: float) -> OddMap:
    """With dither: the monotone map from the law of ``p`` to that of the source."""
    if not _cubic(chain):
        return norms_to_normal(p, x, shaped=bool(chain.shaping))
    from scipy.special import ndtr, ndtri

    if chain.shaping:
        level = np.linspace(0.0, 0.999, 400)
        return _map(np.quantile(np.abs(p), level), s * -ndtri((1 - level) / 2), by_coordinate=True)
    width = float(chain.middle.axis[0])
    q = np.linspace(0.0, 5.5 * s + width / 2, 4001)

    def summed(z: Array) -> Array:
        """Integral of the normal tail above ``z``."""
        return np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi) - z * ndtr(-z)

    above = s / width * (summed((q - width / 2) / s) - summed((q + width / 2) / s))
    return _map(q, -s * ndtri(np.clip(above, 1e-300, 0.5)), by_coordinate=True)


def _evening(drawn: Array, s: float) -> Array:
    """``s`` times the inverse root of the covariance."""
    values, vectors = np.linalg.eigh(drawn.T @ drawn / len(drawn))
    return s * (vectors / np.sqrt(values)) @ vectors.T


def norms_to_normal(p: Array, x: Array, *, shaped: bool) -> OddMap:
    """The monotone map from the norms of rows to those of normal blocks.

    Both laws are taken from the same samples, so that most of what chance did to one it did to the other;
    their ratio, a slow function of the radius, is fitted by a parabola. Points of a shaped code end at its
    border, from where the tails must come: there the quantiles themselves are joined.
    """
    level = np.linspace(0.0, 1.0, 402)[1:-1]
    mine, theirs = (np.quantile(np.linalg.norm(rows, axis=1), level) for rows in (p, x))
    if shaped:
        return _map(mine[::6], theirs[::6], by_coordinate=False)
    most = float(mine[-1])
    # Quantiles at the ends scatter most; sqrt(level (1 - level)) is the usual weight.
    fit = np.polynomial.Polynomial.fit(mine, theirs / mine, 2, w=np.sqrt(level * (1 - level)))
    knots = most * np.linspace(0.0, 1.25, 200)[1:]
    return _map(knots, knots * fit(np.minimum(knots, most)), by_coordinate=False)


def sizes_to_samples(p: Array, x: Array) -> OddMap:
    """The monotone map from the sizes of numbers to those of samples of any even law, by their quantiles."""
    tail = 1 - np.geomspace(0.01, min(0.005, 8 / x.size), 40)
    level = np.concatenate([np.linspace(0.0, 0.99, 200)[1:], tail[1:]])
    return _map(np.quantile(np.abs(p), level), np.quantile(np.abs(x), level), by_coordinate=True)


def _map(knots: Array, values: Array, *, by_coordinate: bool) -> OddMap:
    """Through 0; of knots that nearly coincide (a law with atoms) the first stays, so that no piece is steep by rounding."""
    knots, values = np.maximum.accumulate(knots), np.maximum.accumulate(values)
    keep, last = np.zeros(len(knots), bool), (0.0, 0.0)
    for k, (a, b) in enumerate(zip(knots, values, strict=True)):
        keep[k] = a > last[0] * (1 + 1e-3) and b > last[1]
        last = (a, b) if keep[k] else last
    end = int(np.flatnonzero(keep)[-1])
    # The last piece goes on beyond it: it spans a tenth of the way.
    keep[:end] &= knots[:end] < 0.9 * knots[end]
    return OddMap(
        np.concatenate([[0.0], knots[keep]]), np.concatenate([[0.0], values[keep]]), by_coordinate
    )


def scale_at_rate(
    start: NestedChain, x: Array, seed: int, rate_bits: float, s: float, cell: Array
) -> NestedChain:
    """The chain whose index costs the rate, on samples."""
    from scipy.optimize import root_scalar

    some = typical(x[: max(1000, 60_000 // start.dimension)], s)

    def excess(log_scale: float) -> float:
        chain = replace(start, middle=Lattice(start.middle.family, 2.0**log_scale))
        bits = LatticeCoder.from_law(chain, s, cell).ideal_bits(chain.encode(some, seed), seed)
        return bits / some.size - rate_bits

    family = start.middle.family
    fair = _fair_scale(family, s)
    low, high = fair - rate_bits - 0.3, fair - rate_bits + 0.4
    least = math.inf
    while (above := excess(high)) > 0:
        high += 0.6
        least = min(least, above + rate_bits)
        if high > fair + 4.0:
            # With dither, cells far larger than the source still cost what the coder does not know of
            # their shape.
            raise InvalidSetting(
                f"{family.name} with this common randomness does not reach {rate_bits:g} bits; the least "
                f"is about {least:.2g}; use a lattice of fewer dimensions or cosets"
            )
    while excess(low) < 0:
        low -= 0.3
    found = root_scalar(excess, bracket=(low, high), method="brentq", xtol=2e-4)
    return replace(start, middle=Lattice(family, 2.0 ** float(found.root)))


def _fair_scale(family: Family, s: float) -> float:
    """Logarithm of the scale whose cells have as much volume as a normal law of deviation ``s`` fills."""
    return (
        math.log2(s * math.sqrt(2 * math.pi * math.e)) - math.log2(family.volume) / family.dimension
    )


def typical(x: Array, s: float) -> Array:
    """Samples scaled to the very second moment of the source: less noise in rate and error."""
    return x * (s / math.sqrt(np.mean(np.square(x))))


def best_scale(
    start: NestedChain, x: Array, seed: int, rate_bits: float, s: float, cell: Array
) -> NestedChain:
    """The chain of fixed length of least error: between small cells and few blocks outside."""
    from scipy.optimize import minimize_scalar

    del cell
    some = typical(x[: max(1000, 60_000 // start.dimension)], s)

    def scaled(log_scale: float) -> NestedChain:
        return replace(start, middle=Lattice(start.middle.family, 2.0**log_scale))

    def error(log_scale: float) -> float:
        chain = scaled(log_scale)
        p = chain.points(chain.encode(some, seed), seed)
        means = fitted_means(some, p, by_coordinate=_cubic(chain))
        return float(np.mean(np.square(some - means(p))))

    middle = _fair_scale(start.middle.family, s) - rate_bits
    found = minimize_scalar(
        error, bounds=(middle - 0.5, middle + 1.2), method="bounded", options={"xatol": 0.01}
    )
    return scaled(float(found.x))


def _cubic(chain: NestedChain) -> bool:
    return chain.middle.family.period == 1
