"""From latents to coded whole numbers and back: the part that common randomness enters.

A quantizer sees what one pass codes: the distances of the latents from their means (in steps),
and the row of the frequency tables that stands for their spread, both of shape ``(channels, n)``.
It gives points, whole numbers of 1/16 step: the decoder's latent is mean plus point. A quantizer
for blocks takes them along the first axis, whose length is a multiple of 8.

A table holds the law of ``floor(x + o/16 + 1/2)`` for ``x`` with the spread of a row, for one of
the offsets ``o = 0 .. 8`` sixteenths; a negative offset is the mirror image. Rows of 8 steps and
more have one table for all offsets, since a shift by half a step costs them 0.003 bits at most.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.bitstream.tables import SymbolDecoder, SymbolEncoder, TableSet
from veridical.errors import InvalidSetting, UnsupportedFormat
from veridical.random import random_symbols

__all__ = [
    "OFFSETS",
    "QUANTIZERS",
    "CommonRandomness",
    "Dithered",
    "Quantizer",
    "Scalar",
    "offset_tables",
    "quantizer_numbered",
    "table_of",
]

Whole = NDArray[np.int64]
Real = NDArray[np.float64]

OFFSETS = 9
_UNIT = 16
_ROWS = 64
_NARROW = 40
_OUTSIDE = 3e-4
_LARGEST = 1900


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


class Quantizer(Protocol):
    """A way to turn latents into whole numbers; ``put`` and ``take`` give the same points."""

    @property
    def number(self) -> int:
        """Its number in the file's header."""
        ...

    @property
    def randomness_bits(self) -> int:
        """Common randomness for each coded number, in bits."""
        ...

    def put(
        self, x: Real, rows: Whole, shared: CommonRandomness,
        encoder: SymbolEncoder, tables: TableSet,
    ) -> Whole:  # fmt: skip
        """Quantize and code distances ``x``; gives the points in 1/16 steps."""
        ...

    def take(
        self, rows: Whole, shared: CommonRandomness, decoder: SymbolDecoder, tables: TableSet
    ) -> Whole:
        """The points in 1/16 steps."""
        ...


def _nearest(x: Real) -> Whole:
    return np.clip(np.floor(x + 0.5), -_LARGEST, _LARGEST).astype(np.int64)


@dataclass(frozen=True)
class Scalar:
    """Rounding to the nearest whole step; no common randomness."""

    randomness_bits: int = 0
    number: int = 0

    def __post_init__(self) -> None:
        if self.randomness_bits:
            raise InvalidSetting(
                "rounding uses no common randomness; choose the dithered quantizer"
            )

    def put(
        self, x: Real, rows: Whole, shared: CommonRandomness,
        encoder: SymbolEncoder, tables: TableSet,
    ) -> Whole:  # fmt: skip
        """See :class:`Quantizer`."""
        del shared
        coded = rows > 0
        values = np.where(coded, _nearest(x), 0)
        encoder.put(values[coded], rows[coded], tables)
        return _UNIT * values

    def take(
        self, rows: Whole, shared: CommonRandomness, decoder: SymbolDecoder, tables: TableSet
    ) -> Whole:
        """See :class:`Quantizer`."""
        del shared
        out = np.zeros(rows.shape, dtype=np.int64)
        coded = rows > 0
        out[coded] = _UNIT * decoder.take(rows[coded], tables)
        return out


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
        return (2 * shared.symbols(n, levels) + 1) * (_UNIT // 2) // levels - _UNIT // 2

    def put(
        self, x: Real, rows: Whole, shared: CommonRandomness,
        encoder: SymbolEncoder, tables: TableSet,
    ) -> Whole:  # fmt: skip
        """See :class:`Quantizer`."""
        u = self._dither(rows.size, shared).reshape(rows.shape)
        coded = rows > 0
        values = _nearest(x + u / _UNIT)
        mirrored = np.where(u < 0, -values, values)
        encoder.put(mirrored[coded], table_of(np.abs(u), rows)[coded], tables)
        return np.where(coded, _UNIT * values - u, 0)

    def take(
        self, rows: Whole, shared: CommonRandomness, decoder: SymbolDecoder, tables: TableSet
    ) -> Whole:
        """See :class:`Quantizer`."""
        u = self._dither(rows.size, shared).reshape(rows.shape)
        coded = rows > 0
        out = np.zeros(rows.shape, dtype=np.int64)
        mirrored = decoder.take(table_of(np.abs(u), rows)[coded], tables)
        out[coded] = _UNIT * np.where(u[coded] < 0, -mirrored, mirrored) - u[coded]
        return out


QUANTIZERS: dict[int, Callable[[int], Quantizer]] = {0: Scalar, 1: Dithered}
"""Number in the header to a maker that takes the bits of common randomness; 2 is kept for E8."""


def quantizer_numbered(number: int, bits: int) -> Quantizer:
    """The quantizer of a file's header.

    Raises:
        UnsupportedFormat: This version does not have it.
    """
    if number not in QUANTIZERS:
        raise UnsupportedFormat(
            f"the file uses quantizer {number}, which this version does not have; update it"
        )
    try:
        return QUANTIZERS[number](bits)
    except InvalidSetting as cause:
        raise UnsupportedFormat(
            f"the file asks for what this version cannot do: {cause}"
        ) from cause


def table_of(offset: Whole, rows: Whole) -> Whole:
    """The table of an offset (in 1/16, 0 to 8) and a row, elementwise."""
    return np.where((offset == 0) | (rows >= _NARROW), rows, _ROWS + (offset - 1) * _NARROW + rows)


def offset_tables(cdf: Callable[[Real, float], Real], scales: Real) -> TableSet:
    """The tables of the module's head, from a law's distribution function.

    Args:
        cdf: ``cdf(x, scale)``, symmetric about 0.
        scales: Spread of each row, shape ``(64,)``.
    """
    laws: list[tuple[int, ArrayLike]] = []
    for offset in range(OFFSETS):
        for scale in scales[: None if offset == 0 else _NARROW].tolist():
            nearest = int(np.ceil(3 * scale)) + 1
            tried = np.arange(nearest, 8 * nearest, dtype=np.float64)
            outside = 2 * cdf(-tried - 0.5, scale)
            reach = nearest + int(np.argmax(outside <= _OUTSIDE))
            values = np.arange(-reach, reach + 1, dtype=np.float64) - offset / _UNIT
            law = cdf(values + 0.5, scale) - cdf(values - 0.5, scale)
            laws.append((-reach, np.append(law, max(1.0 - float(np.sum(law)), 0.0))))
    return TableSet.from_laws(laws)
