"""Codes for Gaussian blocks from nested lattices, with common randomness ([T] IV-D).

>>> codec = lattice_codec(gosset(), rate_bits=1.0, common_bits=0.5, rng=rng)
>>> index = codec.encode(x, seed=7)                       # x of shape (n, 8)
>>> x_hat = codec.decode(index, rng, perception=0.1, seed=7)

All amounts are per dimension: rates in bits, ``mmse``, ``transport_cost`` and ``P`` in squared units of the
source. The perception that the price list bounds is that of the law of the whole block.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array, Whole, check_rng, is_number
from veridical.bitstream.lattice import FixedLengthCoder, LatticeCoder
from veridical.block.fit import NormalCodec, checked_law, priced
from veridical.block.lattice_parts import (
    best_scale,
    cell_means,
    fitted_generator,
    scale_at_rate,
    typical,
)
from veridical.codec import PartsCodec
from veridical.errors import InvalidSetting
from veridical.estimate.lattice import LatticeEstimator
from veridical.interpolate import Calibration
from veridical.quantize.lattice import Cosets, Family, Lattice, NestedChain
from veridical.quantize.lattice.cosets import construction_a, self_similar

__all__ = ["LatticeCodec", "lattice_codec", "reachable_common_bits"]


_LEAST_RATE, _MOST_RATE = 0.05, 10.0
_MOST_SIMILAR = 16


@dataclass(frozen=True)
class LatticeCodec(NormalCodec, PartsCodec[Array, Whole, np.random.Generator]):
    """A lattice code for blocks of independent normal samples.

    Attributes:
        calibration: ``mmse`` and ``transport_cost`` per dimension, measured.
        chain: ``L1 < L2 < L3``.
        symbol_coder: of the index, without its number.
        rate_bits: bits a dimension: measured code length, or ``log2 q`` at fixed length.
        variance: ``s2`` of the source.
    """

    calibration: Calibration
    chain: NestedChain = field(repr=False)
    symbol_coder: LatticeCoder | FixedLengthCoder = field(repr=False)
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
        return self.symbol_coder.to_bytes(np.asarray(index), seed)

    def from_bytes(self, data: bytes, count: int, *, seed: int = 0) -> Whole:
        """The indices of ``count`` blocks, shape ``(count, d)``.

        Raises:
            DamagedFile: truncated, altered, or of another number of blocks.
        """
        return self.symbol_coder.from_bytes(data, count, seed)


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
    source: Array | None = None,
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
        samples: normal samples for the fits, and as many for the price list.
        source: numbers to use instead in blocks, three quarters for the fits, shape ``(n,)``; tables and cells stay those of
            the normal law of ``variance``, their mean square.
        rng: source of the samples.

    Raises:
        InvalidSetting: a setting outside its domain or a rate that the chain does not reach.
    """
    check_rng(rng)
    rate_bits, s = checked_law(rate_bits, (_LEAST_RATE, _MOST_RATE), variance)
    fine = _cosets(family, common_bits, cosets)
    blocks = max(2000, samples // family.dimension)
    x, held = rng.standard_normal((blocks, family.dimension)), None
    if source is not None:
        whole = source[: source.size - source.size % family.dimension].reshape(-1, family.dimension)
        x, held = np.split(whole, [3 * len(whole) // 4])
    x = typical(x, s)
    shaping = _shaping(rate_bits) if fixed_length else 0
    start = NestedChain(Lattice(family), fine, shaping)
    seed = int(rng.integers(1 << 62))
    cell = Lattice(family).sample_cell(4096, rng) / Lattice(family).axis
    find = best_scale if fixed_length else scale_at_rate
    chain = find(start, x, seed, rate_bits, s, cell)
    estimator = LatticeEstimator(chain, cell_means(chain, x, seed, s))
    generator = fitted_generator(estimator, x, seed, s, rng)
    coder = FixedLengthCoder(chain) if fixed_length else LatticeCoder.from_law(chain, s, cell)
    draft = LatticeCodec(chain, estimator, generator, Calibration(s * s, s * s), chain,
                         coder, rate_bits, s * s)  # fmt: skip
    return priced(draft, coder, s * rng.standard_normal(x.shape) if held is None else held, rng)


def _cosets(family: Family, common_bits: float, cosets: Cosets | None) -> Cosets | None:
    """The cosets that give an ``Rc``; ``None`` for dither."""
    if cosets is not None:
        return cosets
    if not is_number(common_bits) or not common_bits >= 0:
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
    q = 2.0**rate_bits
    if abs(q - round(q)) > 1e-6 or round(q) < 2:
        low = max(2, math.floor(q))
        raise InvalidSetting(
            f"at fixed length the rate is log2 of a whole number of 2 or more, not {rate_bits!r}; the "
            f"nearest are {math.log2(low):.6g} and {math.log2(low + 1):.6g}"
        )
    return round(q)
