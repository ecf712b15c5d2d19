"""Random coding of Gaussian blocks: codebook on the sphere, sub-codebook by the seed ([T] 54-71).

With ``kappa(b)`` the mean best cosine of ``2^b`` random words (:class:`BestCosine`) and ``g = E|G|`` the
mean length of a standard normal vector, a block of ``n`` samples ``N(0, s2)`` is estimated by

    X~ = sqrt(s2) g kappa(nR) c_Z                    (the best multiple of the chosen word),

and with ``u_n = (g kappa(nR))^2 / n`` and ``v_n = (g kappa(n(R+Rc)))^2 / n`` the price list per sample is
that of the limit with ``u_n, v_n`` in place of ``u, v``:

    d = s2 (1 - u_n),    C = s2 (1 + u_n - 2 sqrt(u_n v_n)).                       ([T] eq. 65)

It is exact on average over codebooks; one codebook of few words differs from it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array, Whole, is_number, whole_number
from veridical.bitstream import FrequencyTables, decode_symbols, encode_symbols, seed_key
from veridical.block.channels import CellChannel, SphereChannel, SymbolChannel
from veridical.block.codebook import SphereCodebook
from veridical.block.cosine import BestCosine, conveyed_share, mean_length
from veridical.block.fit import NormalCodec
from veridical.codec import PartsCodec
from veridical.errors import InvalidSetting
from veridical.estimate.indices import checked_indices
from veridical.interpolate import Calibration

__all__ = ["RandomCode", "ScaledWords", "block_price", "random_code", "whole_bits"]

Channel = type[SphereChannel] | type[SymbolChannel] | type[CellChannel]


@dataclass(frozen=True)
class ScaledWords:
    """``X~``: the chosen word times the length that has the least error.

    Attributes:
        codebook: whose words are meant.
        length: ``sqrt(s2) g kappa``.
    """

    codebook: SphereCodebook
    length: float

    def estimate(self, index: Whole, seed: int) -> Array:
        """Reconstructions, shape ``(blocks, n)``.

        Raises:
            InvalidSetting: an index outside the codebook.
        """
        if self.codebook.index_bits == 0:
            return np.zeros((len(checked_indices(index, 1)), self.codebook.dimension))
        return self.length * self.codebook.chosen(index, seed)


@dataclass(frozen=True)
class RandomCode(NormalCodec, PartsCodec[Array, Whole, np.random.Generator]):
    """A random code of Gaussian blocks; prices and perceptions are *per sample* (block / n).

    Attributes:
        generator: draws ``X-``.
        calibration: ``d`` and ``C`` per sample, on average over codebooks.
        codebook: its words.
    """

    generator: SphereChannel | SymbolChannel | CellChannel
    calibration: Calibration
    codebook: SphereCodebook

    @property
    def variance(self) -> float:
        """``s2`` of the source."""
        return self.generator.variance

    @property
    def rate_bits(self) -> float:
        """``R``, bits per sample."""
        return self.codebook.index_bits / self.codebook.dimension

    @property
    def common_bits(self) -> float:
        """``Rc``, bits of common randomness per sample."""
        return self.codebook.seed_bits / self.codebook.dimension

    def to_bytes(self, index: ArrayLike, *, seed: int = 0) -> bytes:
        """Indices as ``nR`` bits each, with a checksum (8 to 12 bytes in all).

        Raises:
            InvalidSetting: an index outside the codebook.
        """
        z = checked_indices(index, self.codebook.outputs)
        width, digits = _digits(self.codebook.index_bits)
        parts = (z[:, None] >> (width * np.arange(digits))) & ((1 << width) - 1)
        return encode_symbols(
            parts.ravel(), np.zeros(parts.size, dtype=np.int64), _uniform(width), self._key(seed)
        )

    def from_bytes(self, data: bytes, count: int, *, seed: int = 0) -> Whole:
        """The ``count`` indices of a message.

        Raises:
            DamagedFile: the message is truncated, altered, holds another number of indices, or has another seed.
            InvalidSetting: a negative count.
        """
        whole_number(count, "count", 0)
        width, digits = _digits(self.codebook.index_bits)
        zeros = np.zeros(count * digits, dtype=np.int64)
        parts = decode_symbols(data, zeros, _uniform(width), self._key(seed)).reshape(count, digits)
        return (parts << (width * np.arange(digits))) @ np.ones(digits, dtype=np.int64)

    def _key(self, seed: int) -> bytes:
        return seed_key(seed, common=self.codebook.seed_bits > 0)


def random_code(
    dimension: int,
    rate_bits: float,
    common_bits: float = 0.0,
    *,
    variance: float = 1.0,
    codebook_seed: int = 0,
    channel: Channel = SphereChannel,
) -> RandomCode:
    """A random code of blocks of ``n`` samples ``N(0, s2)``.

    ``encode`` takes ``(blocks, n)`` and gives integers ``0 .. 2^(nR) - 1``, shape ``(blocks,)``. Time to
    encode a block is ``2^(nR)`` scalar products; memory is bounded.

    Args:
        dimension: ``n``, 2 to 2^16.
        rate_bits: ``R``, a multiple of ``1/n``; ``nR`` at most 24.
        common_bits: ``Rc``, a multiple of ``1/n``, or ``inf``; ``n(R+Rc)`` at most 56.
        variance: ``s2``.
        codebook_seed: which codebook; see :class:`SphereCodebook`.
        channel: how ``X-`` is drawn; see :mod:`veridical.block.channels`.

    Raises:
        InvalidSetting: a setting outside its range; the message names the nearest allowed ones.
    """
    if not is_number(variance) or not 0 < variance < math.inf:
        raise InvalidSetting(f"variance must be finite and positive, got {variance!r}")
    n = BestCosine(dimension, 0).dimension
    index_bits = whole_bits(rate_bits, n, "rate_bits")
    seed_bits: float = math.inf
    if common_bits != math.inf:
        seed_bits = whole_bits(common_bits, n, "common_bits")
    codebook = SphereCodebook(n, index_bits, seed_bits, codebook_seed)
    length = math.sqrt(variance) * mean_length(n) * BestCosine(n, index_bits).mean()
    price = block_price(n, index_bits, seed_bits, variance=variance)
    if channel is CellChannel:
        price = Calibration(price.mmse, price.mmse)
    return RandomCode(
        codebook, ScaledWords(codebook, length), channel(codebook, variance), price, codebook
    )


def block_price(
    dimension: int, index_bits: float, seed_bits: float = 0.0, *, variance: float = 1.0
) -> Calibration:
    """``d`` and ``C`` per sample at ``nR`` and ``nRc`` bits a block, at any size (``n`` to 2^16).

    Raises:
        InvalidSetting: a setting outside its range.
    """
    u = conveyed_share(dimension, index_bits)
    v = u if seed_bits == 0 else conveyed_share(dimension, index_bits + seed_bits)
    # 1 + u - 2 sqrt(u v) = (1 - sqrt(u v))^2 + u (1 - v) has no cancellation.
    return Calibration(
        variance * (1.0 - u), variance * ((1.0 - math.sqrt(u * v)) ** 2 + u * (1.0 - v))
    )


def whole_bits(bits_per_sample: float, dimension: int, name: str) -> int:
    """``n`` times a rate, which must be whole.

    Raises:
        InvalidSetting: negative, not finite, or no multiple of ``1/n``.
    """
    value = bits_per_sample
    if not is_number(value) or not 0 <= value < math.inf:
        also = " or math.inf" if name == "common_bits" else ""
        raise InvalidSetting(f"{name} must be a finite number of 0 or more{also}, got {value!r}")
    bits = value * dimension
    if abs(bits - round(bits)) > 1e-9 * max(1.0, bits):
        below = math.floor(bits)
        raise InvalidSetting(
            f"{name} = {value:g} is {bits:g} bits a block of {dimension}, which must be whole; the "
            f"nearest reachable are {below}/{dimension} = {below / dimension:.6g} and "
            f"{below + 1}/{dimension} = {(below + 1) / dimension:.6g}"
        )
    return round(bits)


def _digits(bits: int) -> tuple[int, int]:
    """Bits of a digit and number of digits whose product is ``bits``; a digit has 16 at most."""
    if bits == 0:
        return 0, 1
    width = max(w for w in range(1, 17) if bits % w == 0)
    return width, bits // width


def _uniform(width: int) -> FrequencyTables:
    return FrequencyTables.from_law(np.ones(1 << width))
