"""Codes for Gaussian blocks from nested lattices, with common randomness ([T] IV-D).

>>> codec = lattice_codec(gosset(), rate_bits=1.0, common_bits=0.5, rng=rng)
>>> index = codec.encode(x, seed=7)                       # x of shape (n, 8)
>>> x_hat = codec.decode(index, rng, perception=0.1, seed=7)

All amounts are per dimension: rates in bits, ``mmse``, ``transport_cost`` and ``P`` in squared units of the
source. The perception that the price list bounds is that of the law of the whole block.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.bitstream.lattice import FixedLengthCoder, LatticeCoder
from veridical.codec import Codec
from veridical.errors import InvalidSetting
from veridical.estimate.lattice import LatticeEstimator, OddMap, exact_means, fitted_means
from veridical.generate.lattice import CellSampler, IntervalPlan, LatticeGenerator
from veridical.interpolate import Calibration
from veridical.quantize.lattice import Cosets, Family, Lattice, NestedChain
from veridical.quantize.lattice.cosets import construction_a, self_similar

__all__ = ["LatticeCodec", "lattice_codec", "reachable_common_bits"]

Array = NDArray[np.float64]
Whole = NDArray[np.int64]

_LEAST_RATE, _MOST_RATE = 0.05, 10.0
_MOST_SIMILAR = 16


@dataclass(frozen=True)
class LatticeCodec(Codec[Array, Whole, np.random.Generator]):
    """A lattice code for blocks of independent normal samples.

    Attributes:
        calibration: ``mmse`` and ``transport_cost`` per dimension, measured.
        chain: ``L1 < L2 < L3``.
        coder: of the index.
        rate_bits: bits a dimension: measured code length, or ``log2 q`` at fixed length.
        variance: ``s2`` of the source.
    """

    calibration: Calibration
    chain: NestedChain = field(repr=False)
    coder: LatticeCoder | FixedLengthCoder = field(repr=False)
    rate_bits: float
    variance: float

    @property
    def common_bits(self) -> float:
        """``Rc``, bits a dimension."""
        return self.chain.common_bits

    def to_bytes(self, index: ArrayLike, *, seed: int = 0) -> bytes:
        """Indices ``(n, d)`` as a message with a checksum.

        Raises:
            InvalidSetting: an index that is no point of the lattice.
        """
        return self.coder.to_bytes(np.asarray(index), seed)

    def from_bytes(self, data: bytes, count: int, *, seed: int = 0) -> Whole:
        """The indices of ``count`` blocks, shape ``(count, d)``.

        Raises:
            DamagedFile: truncated, altered, or of another number of blocks.
        """
        return self.coder.from_bytes(data, count, seed)


def reachable_common_bits(family: Family) -> list[float]:
    """``Rc`` that :func:`lattice_codec` takes: ``k/n`` for ``k = 0..n``, ``log2 q`` for ``q = 3..16``, inf."""
    n = family.dimension
    similar = [math.log2(q) for q in range(3, _MOST_SIMILAR + 1)]
    return [*(k / n for k in range(n + 1)), *similar, math.inf]


def lattice_codec(
    family: Family,
    *,
    rate_bits: float,
    common_bits: float = 0.0,
    cosets: Cosets | None = None,
    variance: float = 1.0,
    fixed_length: bool = False,
    samples: int = 120_000,
    rng: np.random.Generator,
) -> LatticeCodec:
    """A lattice code at a rate and an amount of common randomness.

    Args:
        family: of the lattices, such as ``gosset()``.
        rate_bits: ``R`` a dimension: 0.05 to 10 of the entropy coder, or ``log2 q`` at fixed length.
        common_bits: ``Rc`` a dimension: ``k/n`` by Construction A, ``log2 q`` by a self-similar chain,
            ``math.inf`` by dither; see :func:`reachable_common_bits`.
        cosets: other cosets, for example of Construction A over another modulus, instead of ``common_bits``.
        variance: ``s2`` of the source.
        fixed_length: shape the code by ``L1 = 2^R L2`` instead of entropy coding.
        samples: source samples for the fits and the price list.
        rng: source of the samples.

    Raises:
        InvalidSetting: a setting outside its domain or a rate that the chain does not reach.
    """
    fine = _cosets(family, common_bits, cosets)
    s = math.sqrt(_positive(variance))
    blocks = max(2000, samples // family.dimension)
    x = s * rng.standard_normal((blocks, family.dimension))
    shaping = _shaping(rate_bits) if fixed_length else 0
    if not fixed_length:
        _check_rate(rate_bits)
    start = NestedChain(Lattice(family), fine, shaping)
    seed = int(rng.integers(1 << 62))
    cell = Lattice(family).sample_cell(4096, rng) / Lattice(family).axis
    find = _best_scale if fixed_length else _scale_at_rate
    chain = find(start, x, seed, rate_bits, s, cell)
    estimator = LatticeEstimator(chain, _means(chain, x, seed, s))
    generator = _generator(estimator, x, seed, s, rng)
    coder = FixedLengthCoder(chain) if fixed_length else LatticeCoder.from_law(chain, s, cell)
    draft = LatticeCodec(chain, estimator, generator, Calibration(s * s, s * s), chain,
                         coder, rate_bits, s * s)  # fmt: skip
    return _priced(draft, rng, blocks)


def _priced(draft: LatticeCodec, rng: np.random.Generator, blocks: int) -> LatticeCodec:
    """The code with the price list and the rate measured on samples that made no part of it."""
    x = math.sqrt(draft.variance) * rng.standard_normal((blocks, draft.chain.dimension))
    seed = int(rng.integers(1 << 62))
    index = draft.encode(x, seed=seed)
    x_mmse = draft.decode(index, rng, realism=0.0, seed=seed)
    x_real = draft.generator.generate(x_mmse, rng, index)
    price = Calibration(
        float(np.mean(np.square(x - x_mmse))), float(np.mean(np.square(x_real - x_mmse)))
    )
    return replace(draft, calibration=price, rate_bits=draft.coder.ideal_bits(index, seed) / x.size)


def _means(chain: NestedChain, x: Array, seed: int, s: float) -> OddMap:
    if _cubic(chain) and not chain.shaping:
        return exact_means(float(chain.middle.axis[0]), s)
    p = chain.points(chain.encode(x, seed), seed)
    return fitted_means(x, p, by_coordinate=_cubic(chain))


def _generator(
    estimator: LatticeEstimator, x: Array, seed: int, s: float, rng: np.random.Generator
) -> LatticeGenerator:
    """The generator of a chain; see :mod:`veridical.generate.lattice`."""
    chain, means = estimator.chain, estimator.means
    p = chain.points(chain.encode(x, seed), seed)
    cosets = chain.cosets
    if cosets is None:
        return LatticeGenerator(means, None, _to_normal(chain, p, s))
    if _cubic(chain) and cosets.k in (0, chain.dimension):
        return LatticeGenerator(means, _interval_plan(chain, cosets, p, s), None)
    e = _fine_cell(chain, cosets, rng)
    moment = float(np.mean(np.square(e)))
    spread = float(np.mean(np.square(p)))
    # At this beta the points of L3 next to X / beta have the second moment of p.
    beta = 1.0 if cosets.k == 0 and not chain.shaping else s / math.sqrt(max(spread - moment, 0.25 * spread))
    draw = CellSampler(chain.middle, cosets, beta, s, moment)
    if beta == 1.0:
        return LatticeGenerator(means, draw, None)
    drawn = draw(p, rng)
    return LatticeGenerator(means, draw, _norms_to_normal(drawn, s))


def _fine_cell(chain: NestedChain, cosets: Cosets, rng: np.random.Generator) -> Array:
    """Points uniform in the cell of ``L3``."""
    n = 512 if cosets.k not in (0, chain.dimension) else 4096
    y = rng.random((n, chain.dimension)) * chain.middle.family.period
    return (y - cosets.nearest_fine(y) / cosets.modulus) * chain.middle.axis


def _interval_plan(chain: NestedChain, cosets: Cosets, p: Array, s: float) -> IntervalPlan:
    """Of a cubic lattice without dither: all that matters is the law of one coordinate."""
    from scipy.special import ndtr

    width = float(chain.middle.axis[0])
    step = width / cosets.modulus
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


def _to_normal(chain: NestedChain, p: Array, s: float) -> OddMap:
    """With dither: the monotone map from the law of ``p`` to that of the source."""
    if not _cubic(chain):
        return _norms_to_normal(p, s)
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


def _norms_to_normal(p: Array, s: float) -> OddMap:
    """The monotone map from the norms of rows to those of normal blocks."""
    from scipy.special import gammaincinv

    n = p.shape[1]
    radius = np.sqrt(np.einsum("ij,ij->i", p, p))
    level = np.linspace(0.0, 1.0, 62)[1:-1]
    target = s * np.sqrt(2.0 * gammaincinv(n / 2, level))
    return _map(np.quantile(radius, level), target, by_coordinate=False)


def _map(knots: Array, values: Array, *, by_coordinate: bool) -> OddMap:
    """Through 0; repeated knots (a law with atoms) and repeated values are left out."""
    keep = np.concatenate([[False], (np.diff(knots) > 0) & (np.diff(values) > 0)])
    keep[0] = knots[0] > 0 and values[0] > 0
    return OddMap(
        np.concatenate([[0.0], knots[keep]]), np.concatenate([[0.0], values[keep]]), by_coordinate
    )


def _scale_at_rate(
    start: NestedChain, x: Array, seed: int, rate_bits: float, s: float, cell: Array
) -> NestedChain:
    """The chain whose index costs the rate, on samples."""
    from scipy.optimize import brentq

    some = _typical(x[: max(1000, 40_000 // start.dimension)], s)

    def excess(log_scale: float) -> float:
        chain = replace(start, middle=Lattice(start.middle.family, 2.0**log_scale))
        bits = LatticeCoder.from_law(chain, s, cell).ideal_bits(chain.encode(some, seed), seed)
        return bits / some.size - rate_bits

    family = start.middle.family
    fair = math.log2(s * math.sqrt(2 * math.pi * math.e)) - math.log2(family.volume) / family.dimension
    low, high = fair - rate_bits - 0.3, fair - rate_bits + 0.4
    while excess(high) > 0:
        high += 0.6
    while excess(low) < 0:
        low -= 0.3
    best = brentq(excess, low, high, xtol=2e-4)
    return replace(start, middle=Lattice(family, 2.0**best))


def _typical(x: Array, s: float) -> Array:
    """Samples scaled to the very second moment of the source: less noise in rate and error."""
    return x * (s / math.sqrt(np.mean(np.square(x))))


def _best_scale(
    start: NestedChain, x: Array, seed: int, rate_bits: float, s: float, cell: Array
) -> NestedChain:
    """The chain of fixed length of least error: between small cells and few blocks outside."""
    from scipy.optimize import minimize_scalar

    del cell
    some = _typical(x[: max(1000, 40_000 // start.dimension)], s)

    def scaled(log_scale: float) -> NestedChain:
        return replace(start, middle=Lattice(start.middle.family, 2.0**log_scale))

    def error(log_scale: float) -> float:
        chain = scaled(log_scale)
        p = chain.points(chain.encode(some, seed), seed)
        means = fitted_means(some, p, by_coordinate=_cubic(chain))
        return float(np.mean(np.square(some - means(p))))

    family = start.middle.family
    fair = math.log2(s * math.sqrt(2 * math.pi * math.e)) - math.log2(family.volume) / family.dimension
    middle = fair - rate_bits
    found = minimize_scalar(
        error, bounds=(middle - 0.5, middle + 1.2), method="bounded", options={"xatol": 0.01}
    )
    return scaled(float(found.x))


def _cubic(chain: NestedChain) -> bool:
    return chain.middle.family.period == 1


def _cosets(family: Family, common_bits: float, cosets: Cosets | None) -> Cosets | None:
    """The cosets that give an ``Rc``; ``None`` for dither."""
    if cosets is not None:
        return cosets
    number = isinstance(common_bits, int | float) and not isinstance(common_bits, bool)
    if not number or not common_bits >= 0:
        raise InvalidSetting(f"common_bits must be 0 or more, got {common_bits!r}")
    if math.isinf(common_bits):
        return None
    reachable = reachable_common_bits(family)[:-1]
    nearest = min(reachable, key=lambda value: abs(value - common_bits))
    if abs(nearest - common_bits) > 1e-6:
        below = max((v for v in reachable if v < common_bits), default=0.0)
        above = min((v for v in reachable if v > common_bits), default=math.inf)
        raise InvalidSetting(
            f"{family.name} does not reach common_bits {common_bits!r}; the nearest are {below:.6g} and "
            f"{above:.6g}"
        )
    if nearest <= 1:
        return construction_a(family, round(nearest * family.dimension))
    return self_similar(family, round(2.0**nearest))


def _shaping(rate_bits: float) -> int:
    _check_rate(rate_bits)
    q = 2.0**rate_bits
    if abs(q - round(q)) > 1e-6 or round(q) < 2:
        low = max(2, math.floor(q))
        raise InvalidSetting(
            f"at fixed length the rate is log2 of a whole number of 2 or more, not {rate_bits!r}; the "
            f"nearest are {math.log2(low):.6g} and {math.log2(low + 1):.6g}"
        )
    return round(q)


def _check_rate(rate_bits: float) -> None:
    number = isinstance(rate_bits, int | float) and not isinstance(rate_bits, bool)
    if not number or not _LEAST_RATE <= rate_bits <= _MOST_RATE:
        raise InvalidSetting(
            f"rate_bits a dimension runs from {_LEAST_RATE} to {_MOST_RATE}, got {rate_bits!r}"
        )


def _positive(variance: float) -> float:
    number = isinstance(variance, int | float) and not isinstance(variance, bool)
    if not number or not (variance > 0 and math.isfinite(variance)):
        raise InvalidSetting(f"variance must be a positive number, got {variance!r}")
    return float(variance)
