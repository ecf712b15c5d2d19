"""Eight numbers at a time: the lattice E8 with dither from the common seed.

In units of ``c = 51/67`` step, E8 stands here as ``L = {X whole : X mod 2 in H}`` with ``H`` the
[8, 4, 4] code of Hamming: sixteen shifts of ``2 Z^8``, least distance 2. The scale is that at which
its error, with that of rounding to sixteenths of a step, is 1/12 of a squared step a number, as
with scalar dither: at one quality both dithers have one error, and E8 has the lower rate.

    point = c (X + t),    X the point of L nearest to x/c - t,    16 t odd, -15 to 15

**Blocks** are made of numbers of like spread: those that are coded are sorted by row, and eight that
follow one another make a block. The first few, where the count is no multiple of 8, are dithered one
by one.

**Law.** With ``h_i`` the density of the row's law plus uniform noise of one step, at which the
frozen tables of all offsets amount to, a point has the probability ``prod_i h_i(p_i) / Z``, ``Z``
the sum over the lattice. It is coded in two parts, each exact: the word ``X mod 2`` of ``H``, by the
products of what the numbers' even and odd points weigh, and then each number among the points of its
word. The true law is that product with the cell of E8 in place of a cube; the difference costs under
0.1 % from half a step of spread on, and more for numbers that are 0 nearly always.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from veridical.bitstream.tables import SymbolDecoder, SymbolEncoder, TableSet, shares
from veridical.errors import InvalidSetting
from veridical.photo.learned.dither import (
    LARGEST_POINT,
    CommonRandomness,
    put_dithered,
    take_dithered,
)
from veridical.photo.learned.frozen import ROWS, UNIT, density
from veridical.quantize.lattice import Lattice, gosset

__all__ = ["E8", "WORDS", "sixteenths"]

Whole = NDArray[np.int64]
Real = NDArray[np.float64]

_C = (51, 67)
"""``c``, the unit of the lattice, in steps."""
_PART = 16
"""Dither and points are counted in this part of ``c``; a period, ``2 c``, is 32 of them."""
_LEVELS = 16
_PLACES = 8
"""Distances from the nearest period: 1, 3, .. 15 parts, with their mirror images."""
_GENERATORS = ((0, 1, 0, 1, 0, 1, 0, 1), (1, 1, 1, 1, 0, 0, 0, 0), (0, 0, 1, 1, 1, 1, 0, 0),
               (0, 0, 0, 0, 1, 1, 1, 1))  # fmt: skip
_ONE = 30

WORDS: Whole = (np.arange(16)[:, None] >> np.arange(4) & 1) @ np.array(_GENERATORS) % 2
"""``H``, shape ``(16, 8)``; bit ``i`` of a word's number chooses generator ``i``."""


@dataclass(frozen=True)
class E8:
    """Dithered rounding to E8 in blocks of eight numbers of like spread; see the module.

    Attributes:
        randomness_bits: 4: a symbol of 16 for each number.

    Raises:
        InvalidSetting: Another number of bits.
    """

    randomness_bits: int = 4
    number: int = 2

    def __post_init__(self) -> None:
        if 1 << self.randomness_bits != _LEVELS:
            raise InvalidSetting(f"E8 takes 4 bits a number, not {self.randomness_bits}")

    def put(
        self, x: Real, rows: Whole, shared: CommonRandomness,
        encoder: SymbolEncoder, tables: TableSet,
    ) -> Whole:  # fmt: skip
        """See ``quantizers.Quantizer``."""
        plan = _Plan.of(rows, shared, tables)
        out, flat = np.zeros(rows.size, dtype=np.int64), x.reshape(-1)
        out[plan.lone] = put_dithered(
            flat[plan.lone], plan.lone_rows, plan.lone_dither, encoder, tables
        )
        t = plan.dither
        whole = _nearest(np.clip(flat[plan.blocks], 1 - LARGEST_POINT, LARGEST_POINT - 1), t)
        word = _NUMBER_OF_WORD[(whole & 1) @ (1 << np.arange(8))]
        encoder.put_each(word, plan.word_laws())
        parts = t + _PART * whole
        place = _centred(parts)
        periods = (parts - place) // (2 * _PART)
        encoder.put(
            np.where(place < 0, -periods, periods).reshape(-1), plan.tables_of(place), plan.law.tables
        )
        out[plan.blocks] = sixteenths(parts)
        return out.reshape(rows.shape)

    def take(
        self, rows: Whole, shared: CommonRandomness, decoder: SymbolDecoder, tables: TableSet
    ) -> Whole:
        """See ``quantizers.Quantizer``."""
        plan = _Plan.of(rows, shared, tables)
        out = np.zeros(rows.size, dtype=np.int64)
        out[plan.lone] = take_dithered(plan.lone_rows, plan.lone_dither, decoder, tables)
        word = decoder.take_each(plan.word_laws())
        place = _centred(plan.dither + _PART * WORDS[word])
        periods = decoder.take(plan.tables_of(place), plan.law.tables).reshape(place.shape)
        parts = place + 2 * _PART * np.where(place < 0, -periods, periods)
        out[plan.blocks] = sixteenths(parts)
        return out.reshape(rows.shape)


def sixteenths(parts: Whole) -> Whole:
    """Points from 1/16 of ``c`` to 1/16 of a step, rounded; 67 is odd, so that there are no ties."""
    over, under = _C
    return (over * parts + under // 2) // under


def _centred(parts: Whole) -> Whole:
    """The representative modulo a period from -16 to 15."""
    return (parts + _PART) % (2 * _PART) - _PART


@dataclass(frozen=True, eq=False)
class _Law:
    """What the frozen tables say of E8.

    Attributes:
        tables: Periods of a number, by row and place (``8 row + place // 2``).
        masses: Weight of all of them together, of the same shape.
    """

    tables: TableSet = field(repr=False)
    masses: Whole = field(repr=False)


@lru_cache(maxsize=4)
def _law(tables: TableSet) -> _Law:
    """Sums of frozen frequencies; whole numbers, the same everywhere."""
    weights = []
    for row in range(ROWS):
        low, high = int(tables.lows[row]), int(tables.highs[row])
        escape = tables.frequencies[tables.starts[row + 1] - 1]
        for place in range(1, 2 * _PLACES, 2):
            # More periods than fit, of which those inside the row's table stay.
            most = max(-low, high) + 1
            periods = np.arange(-most, most + 1)
            at = sixteenths(place + 2 * _PART * periods)
            inside = (at >= UNIT * low) & (at <= UNIT * high)
            w = np.maximum(density(tables, row, at[inside]), 1)
            # A period is 1.52 steps, so that 2^24 in all become 16/1.52 of the table's 2^20.
            weights.append((int(periods[inside][0]), np.append(w, 10 * escape)))
    masses = np.array([int(w.sum()) for _, w in weights])
    return _Law(TableSet.from_weights(weights), masses)


@dataclass(frozen=True, eq=False)
class _Plan:
    """Who shares a block with whom, and with which dither: known to both sides.

    Attributes:
        law: Of the file's tables.
        lone: Flat places of numbers without a block.
        lone_rows, lone_dither: Their rows, and dithers in sixteenths of a step.
        blocks: Flat places, shape ``(blocks, 8)``.
        rows, dither: Of the same shape; dithers in parts, odd.
    """

    law: _Law
    lone: Whole
    lone_rows: Whole
    lone_dither: Whole
    blocks: Whole
    rows: Whole
    dither: Whole

    @classmethod
    def of(cls, rows: Whole, shared: CommonRandomness, tables: TableSet) -> _Plan:
        symbols, flat = shared.symbols(rows.size, _LEVELS), rows.reshape(-1)
        coded = np.flatnonzero(flat > 0)
        order = coded[np.argsort(flat[coded].astype(np.uint16), kind="stable")]
        lone, rest = order[: order.size % 8], order[order.size % 8 :]
        blocks = rest.reshape(-1, 8)
        # Eight levels are enough for one number alone, in the middles of eighths of a step.
        alone = 2 * (symbols[lone] >> 1) + 1 - UNIT // 2
        return cls(
            _law(tables), lone, flat[lone], alone, blocks, flat[blocks],
            2 * symbols[blocks] + 1 - _LEVELS,
        )  # fmt: skip

    def tables_of(self, place: Whole) -> Whole:
        """Tables of the numbers, flat, given their places in the period."""
        return (_PLACES * self.rows + (np.abs(place) >> 1)).reshape(-1)

    def word_laws(self) -> Whole:
        """Frequencies of the sixteen words, shape ``(blocks, 16)``."""
        even = self.law.masses[self.tables_of(self.dither)].reshape(-1, 8)
        odd = self.law.masses[self.tables_of(_centred(self.dither + _PART))].reshape(-1, 8)
        total = even + odd
        share = np.stack([even, odd], axis=2)
        share = np.maximum((share << _ONE) // total[:, :, None], 1)
        product = np.full((len(share), len(WORDS)), 1 << _ONE, dtype=np.int64)
        for i in range(8):
            product *= share[:, i, WORDS[:, i]]
            # Keeps 31 bits of the largest, below 2^62 with the next factor.
            most = product.max(axis=1, initial=0) >> _ONE
            product >>= np.maximum(np.frexp(most.astype(np.float64))[1] - 1, 0)[:, None]
        return shares(product)


def _words_numbered() -> Whole:
    numbers = np.full(256, -1, dtype=np.int64)
    numbers[WORDS @ (1 << np.arange(8))] = np.arange(len(WORDS))
    return numbers


_NUMBER_OF_WORD = _words_numbered()


def _nearest(x: Real, dither: Whole) -> Whole:
    """The point ``X`` of ``L`` nearest to ``x/c - t``, shape ``(blocks, 8)``; the encoder's alone.

    ``(X_i, X_j) -> (X_i + X_j, X_j - X_i)`` in pairs of neighbours takes ``L`` to the coordinates
    in which the decoder of E8 works.
    """
    y = x * (_C[1] / _C[0]) - dither / _PART
    turned = np.stack([y[:, ::2] + y[:, 1::2], y[:, 1::2] - y[:, ::2]], axis=2)
    u = Lattice(gosset()).nearest_units(turned.reshape(y.shape))
    first, second = u[:, ::2], u[:, 1::2]
    return np.stack([(first - second) // 2, (first + second) // 2], axis=2).reshape(y.shape)
