"""Indices of channel simulation as bytes: a Zipf code for selections, conditional tables for dither.

The index ``K`` (from 1) of a selection method has ``E log2 K <= L`` with ``L = D + log2(e)/e + 1`` for the
Poisson functional representation (Li and El Gamal 2018) and ``L = D + 1 + (1 + 1/e) log2 e`` for greedy
rejection, where ``D = E D(P(.|X) || Q)`` bits. The Zipf law of exponent ``1 + 1/L`` then codes it with at
most ``L + log2(L + 1) + 1`` bits, which is below ``D + log2(D + 1) + 4``, and ``+ 6`` for greedy rejection.

The index of dither is close to uniform noise away from ``g x / w``; its law given width and dither is
``P(k) = Phi((k + u + 1/2) w / s) - Phi((k + u - 1/2) w / s)`` with ``s`` the deviation of ``g X``. Widths and
dithers are sorted into bins that both sides know, and each bin has a table.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array, Whole
from veridical.bitstream import FrequencyTables, ZipfCode, decode_symbols, encode_symbols
from veridical.errors import DamagedFile, InvalidSetting
from veridical.quantize.simulation import (
    GreedyRejection,
    LayeredDither,
    OrderedRandomCoding,
    PoissonRepresentation,
    UniformDither,
)

__all__ = ["DitherCode", "IndexCode", "SelectionCode", "bound_bits", "selection_code"]


_GREEDY_BITS = 1.0 + (1.0 + 1.0 / math.e) * math.log2(math.e)
_POISSON_BITS = 1.0 + math.log2(math.e) / math.e

_HEAD = struct.Struct("<II")
_DESIGN_SEED = 0x5EED
_WIDTH_BINS = 32
_DITHER_BINS = 16
_NODES = 16
_MOST_HALF = 1 << 9
_MOST_ESCAPE = 1 << 38
_ESCAPES = ZipfCode(1.2)


class IndexCode(Protocol):
    """Indices to bytes and back; the seed is what they were made with."""

    def to_bytes(self, index: ArrayLike, *, seed: int = 0) -> bytes:
        """Indices as a message with a checksum."""

    def from_bytes(self, data: bytes, count: int, *, seed: int = 0) -> Whole:
        """The indices of ``count`` samples."""


def bound_bits(divergence_bits: float, *, greedy: bool = False) -> float:
    """``D + log2(D + 1) + 4``, or ``+ 6`` for greedy rejection: proven bound on the mean code length."""
    return divergence_bits + math.log2(divergence_bits + 1.0) + (6.0 if greedy else 4.0)


@dataclass(frozen=True)
class SelectionCode:
    """Code of indices ``0 .. 2^40 - 1`` by a Zipf law on ``K = index + 1``.

    Attributes:
        law: the code of ``K``.
    """

    law: ZipfCode

    def to_bytes(self, index: ArrayLike, *, seed: int = 0) -> bytes:
        """Indices ``(n,)`` as a message with a checksum.

        Raises:
            InvalidSetting: not indices.
        """
        del seed
        k = np.asarray(index)
        if not (np.issubdtype(k.dtype, np.integer) or k.size == 0):
            raise InvalidSetting(f"indices are whole numbers, not {k.dtype}")
        return self.law.encode(k.astype(np.int64) + 1)

    def from_bytes(self, data: bytes, count: int, *, seed: int = 0) -> Whole:
        """The ``count`` indices of a message.

        Raises:
            DamagedFile: the message is truncated, altered, or holds another number of indices.
        """
        del seed
        return self.law.decode(data, count) - 1

    def bits(self, index: ArrayLike) -> Array:
        """Ideal code length of each index, shape ``(n,)``."""
        return self.law.bits(np.asarray(index) + 1)


def selection_code(
    method: PoissonRepresentation | OrderedRandomCoding | GreedyRejection,
    *,
    mean_log2: float | None = None,
) -> SelectionCode:
    """The Zipf code of a method's indices.

    Args:
        method: with a channel that knows its ``divergence_bits``.
        mean_log2: ``L``, a measured mean of ``log2(index + 1)``, for a code that fits the data more
            closely; the proven bound unless given.

    Raises:
        InvalidSetting: the divergence is not known, or a negative ``L``.
    """
    known = method.channel.divergence_bits
    mean = known + (_GREEDY_BITS if isinstance(method, GreedyRejection) else _POISSON_BITS)
    if mean_log2 is not None:
        mean = mean_log2
    if not (math.isfinite(mean) and mean >= 0):
        raise InvalidSetting(
            f"the mean of log2 of the index is {mean!r}; give divergence_bits to the channel, or a "
            "measured mean_log2 of 0 or more"
        )
    return SelectionCode(ZipfCode(1.0 + 1.0 / max(mean, 1.0 / 15.0)))


@dataclass(frozen=True)
class DitherCode:
    """Code of the indices of dithered quantization of a Gaussian source.

    The frequency tables are computed in floating point from a fixed design sample: write and read
    with the same build of numpy and scipy, or check the first message.

    Attributes:
        method: the quantizer.
        deviation: standard deviation of each coordinate of the source, positive.
    """

    method: UniformDither | LayeredDither
    deviation: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.deviation) and self.deviation > 0):
            raise InvalidSetting(f"the deviation must be positive, got {self.deviation!r}")

    def to_bytes(self, index: ArrayLike, *, seed: int = 0) -> bytes:
        """Indices ``(n, d)`` as a message with a checksum.

        Raises:
            InvalidSetting: not indices, or one beyond 2^38.
        """
        k = np.asarray(index)
        d = self.method.dimension
        if k.shape[1:] != (d,) or not (np.issubdtype(k.dtype, np.integer) or k.size == 0):
            raise InvalidSetting(f"indices have shape (n, {d}), not {k.dtype} {k.shape}")
        if k.size and max(int(k.max()), -int(k.min())) > _MOST_ESCAPE:
            raise InvalidSetting("an index is beyond 2^38; is the scale that of the channel?")
        flat = k.astype(np.int64).ravel()
        escaped = np.abs(flat) > self.half
        symbols = np.where(escaped, 2 * self.half + 1, flat + self.half)
        coded = encode_symbols(symbols, self.contexts(seed, len(k)), self.tables)
        rest = flat[escaped]
        tail = _ESCAPES.encode(2 * np.abs(rest) - (rest > 0)) if rest.size else b""
        body = struct.pack("<I", len(coded)) + coded + tail
        return struct.pack("<I", zlib.crc32(body)) + body

    def from_bytes(self, data: bytes, count: int, *, seed: int = 0) -> Whole:
        """The indices of ``count`` samples, shape ``(count, d)``.

        Raises:
            DamagedFile: the message is truncated, altered, or holds another number of indices.
        """
        if len(data) < _HEAD.size:
            raise DamagedFile(
                f"a message has 8 bytes or more, this one {len(data)}; was it cut off?"
            )
        check, length = _HEAD.unpack_from(data)
        if zlib.crc32(data[4:]) != check:
            raise DamagedFile("the checksum of the message does not match; fetch it again")
        end = _HEAD.size + length
        symbols = decode_symbols(data[_HEAD.size : end], self.contexts(seed, count), self.tables)
        flat = symbols - self.half
        places = np.flatnonzero(symbols == 2 * self.half + 1)
        if places.size:
            folded = _ESCAPES.decode(data[end:], places.size)
            flat[places] = np.where(folded & 1, (folded + 1) >> 1, -(folded >> 1))
        elif len(data) != end:
            raise DamagedFile(
                "the message is longer than its indices; it was not written by this code"
            )
        return flat.reshape(count, self.method.dimension)

    def contexts(self, seed: int, n: int) -> Whole:
        """Bin of width and dither of every number of ``n`` samples, shape ``(n d,)``."""
        width, _, dither = self.method.layers(seed, n)
        return self._bins(width.ravel(), dither.ravel())

    def _bins(self, width: Array, dither: Array) -> Whole:
        of_width = np.searchsorted(self._edges, width, side="right")
        return of_width * _DITHER_BINS + (dither * _DITHER_BINS).astype(np.int64)

    @cached_property
    def _design(self) -> tuple[Array, Array]:
        """Widths and dithers of a fixed seed, from which bins and tables are made."""
        n = _NODES * _WIDTH_BINS * _DITHER_BINS // self.method.dimension + 1
        width, _, dither = self.method.layers(_DESIGN_SEED, n)
        return width.ravel(), dither.ravel()

    @cached_property
    def _edges(self) -> Array:
        """Inner borders of the width bins; none if all widths are the same."""
        width = self._design[0]
        shares = np.arange(1, _WIDTH_BINS) / _WIDTH_BINS
        return np.unique(np.quantile(width, shares)) if np.ptp(width) > 0 else np.zeros(0)

    @cached_property
    def half(self) -> int:
        """Indices ``-half .. half`` are symbols, others are escaped."""
        narrow = float(np.quantile(self._design[0], 0.02))
        return min(_MOST_HALF, math.ceil(6.0 * self._spread / narrow) + 1)

    @property
    def _spread(self) -> float:
        return abs(self.method.gain) * self.deviation

    @cached_property
    def tables(self) -> FrequencyTables:
        """One table for each bin: the mean law of the index over the design sample in it."""
        from scipy.special import ndtr

        width, dither = self._design
        bins = self._bins(width, dither)
        laws = np.zeros(((self._edges.size + 1) * _DITHER_BINS, 2 * self.half + 2))
        # A source without spread, or a channel without gain, has all its mass in one cell.
        spread = max(self._spread, 1e-12 * float(np.min(width)))
        borders = np.arange(-self.half, self.half + 2) - 0.5
        for context in range(len(laws)):
            mine = np.flatnonzero(bins == context)[: 4 * _NODES]
            scale = width[mine, None] / spread
            reached = ndtr(np.clip((borders + dither[mine, None]) * scale, -40.0, 40.0))
            laws[context, :-1] = np.sum(np.diff(reached, axis=1), axis=0)
            laws[context, -1] = np.sum(reached[:, 0] + 1.0 - reached[:, -1])
            if not mine.size:
                laws[context] = 1.0
        return FrequencyTables.from_law(laws)
