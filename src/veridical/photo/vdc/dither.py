"""Rounding, with and without subtractive dither: one number at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from veridical.arrays import Array, Whole
from veridical.bitstream.tables import SymbolDecoder, SymbolEncoder, TableSet
from veridical.errors import InvalidSetting
from veridical.photo.vdc.frozen import UNIT, table_of
from veridical.random import random_symbols

LARGEST_POINT = 1900
"""Points are at most this many steps from the mean."""


@dataclass(frozen=True)
class CommonRandomness:
    """What both sides draw for one pass of one tile.

    Attributes:
        seed: Of the file.
        stream: A number of this pass and tile alone.
    """

    seed: int
    stream: int

    def symbols(self, n: int, size: int) -> Whole:
        """Whole numbers from 0 to ``size - 1``, uniform, shape ``(n,)``."""
        return random_symbols(self.seed, n, size, stream=self.stream)


def _nearest(x: Array) -> Whole:
    return np.clip(np.floor(x + 0.5), -LARGEST_POINT, LARGEST_POINT).astype(np.int64)


@dataclass(frozen=True)
class Dithered:
    """``point = floor(x + u + 1/2) - u`` with ``u`` from the common seed, on ``2^bits`` levels.

    The levels ``(k + 1/2) / 2^bits - 1/2`` are spread evenly over a step. The error is then nearly
    independent of the latents: the same law in training, with uniform noise, and in use.

    Attributes:
        randomness_bits: 1, 2 or 3, the logarithm of the number of levels.

    Raises:
        InvalidSetting: Another number of bits.
    """

    randomness_bits: int = 3
    number: int = 1

    def __post_init__(self) -> None:
        if self.randomness_bits not in (1, 2, 3):
            raise InvalidSetting(
                f"dither takes 1, 2 or 3 bits a number, not {self.randomness_bits}"
            )

    def _dither(self, n: int, shared: CommonRandomness) -> Whole:
        """``16 u``, whole, shape ``(n,)``."""
        levels = 1 << self.randomness_bits
        return (2 * shared.symbols(n, levels) + 1) * (UNIT // 2) // levels - UNIT // 2

    def put(
        self, x: Array, rows: Whole, shared: CommonRandomness,
        encoder: SymbolEncoder, tables: TableSet,
    ) -> Whole:  # fmt: skip
        """See ``quantizers.Quantizer``."""
        u = self._dither(rows.size, shared).reshape(rows.shape)
        return put_dithered(x, rows, u, encoder, tables)

    def take(
        self, rows: Whole, shared: CommonRandomness, decoder: SymbolDecoder, tables: TableSet
    ) -> Whole:
        """See ``quantizers.Quantizer``."""
        u = self._dither(rows.size, shared).reshape(rows.shape)
        return take_dithered(rows, u, decoder, tables)


@dataclass(frozen=True)
class Scalar(Dithered):
    """Rounding to the nearest whole step; no common randomness."""

    randomness_bits: int = 0
    number: int = 0

    def __post_init__(self) -> None:
        if self.randomness_bits:
            raise InvalidSetting(
                "rounding uses no common randomness; choose the dithered quantizer"
            )

    def _dither(self, n: int, shared: CommonRandomness) -> Whole:
        del shared
        return np.zeros(n, dtype=np.int64)


def put_dithered(
    x: Array, rows: Whole, u: Whole, encoder: SymbolEncoder, tables: TableSet
) -> Whole:
    """Round and code distances ``x`` with dither ``u``, in sixteenths from -8 to 8; the points."""
    coded = rows > 0
    values = _nearest(x + u / UNIT)
    mirrored = np.where(u < 0, -values, values)
    encoder.put(mirrored[coded], table_of(np.abs(u), rows)[coded], tables)
    return np.where(coded, UNIT * values - u, 0)


def take_dithered(rows: Whole, u: Whole, decoder: SymbolDecoder, tables: TableSet) -> Whole:
    """The points of :func:`put_dithered`."""
    coded = rows > 0
    out = np.zeros(rows.shape, dtype=np.int64)
    mirrored = decoder.take(table_of(np.abs(u), rows)[coded], tables)
    out[coded] = UNIT * np.where(u[coded] < 0, -mirrored, mirrored) - u[coded]
    return out
