"""Many frozen frequency tables of different widths, and a coder that runs through them in passes.

An entropy model with context reveals its contexts step by step: what is coded first decides the
tables of what comes next. So one message is written by several calls of :meth:`SymbolEncoder.put`
and read by the same calls of :meth:`SymbolDecoder.take`. Within a call the symbols are grouped by
table, because the coder is several times faster on many symbols of one law than on many laws.
Symbols of few values may have a law each (:meth:`SymbolEncoder.put_each`).

Values outside a table are escapes: the last symbol of every table says so, and the distance
follows in an Elias gamma code of raw bits. Any value of up to 15 bits can be coded with any table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.arrays import Whole
from veridical.bitstream.entropy import TOTAL, FrequencyTables, places_of
from veridical.errors import DamagedFile, InvalidSetting

LARGEST_VALUE = (1 << 15) - 1
"""Values run from minus this to this, whatever the table."""

_LENGTHS = 16


@dataclass(frozen=True, eq=False)
class TableSet:
    """Frozen tables: row ``i`` codes the values ``lows[i] .. lows[i] + n_i - 1``, and escapes.

    Attributes:
        frequencies: All rows behind one another, each ``n_i`` values and one escape, whole, 1 or
            more, every row with the sum 2^20.
        starts: Where each row begins, and the end, shape ``(tables + 1,)``.
        lows: The value of each row's first symbol, shape ``(tables,)``.
    """

    frequencies: Whole = field(repr=False)
    starts: Whole = field(repr=False)
    lows: Whole = field(repr=False)

    def __post_init__(self) -> None:
        f, s, low = self.frequencies, self.starts, self.lows
        whole = all(a.ndim == 1 and a.dtype == np.int64 for a in (f, s, low))
        if not whole or s.size != low.size + 1 or not 1 <= low.size <= 1 << 16:
            raise InvalidSetting("tables are whole numbers in rows; use TableSet.from_laws")
        fits = s[0] == 0 and s[-1] == f.size and np.all(np.diff(s) >= 2)
        if not fits or np.any(f < 1) or np.any(np.add.reduceat(f, s[:-1]) != TOTAL):
            raise InvalidSetting(
                f"every table needs a value and an escape, frequencies of 1 or more, and the sum {TOTAL}"
            )
        highs = low + np.diff(s) - 2
        if np.any(np.abs(low) > LARGEST_VALUE) or np.any(np.abs(highs) > LARGEST_VALUE):
            raise InvalidSetting(f"tables reach from -{LARGEST_VALUE} to {LARGEST_VALUE} at most")

    @classmethod
    def from_weights(cls, weights: list[tuple[int, Whole]]) -> TableSet:
        """As :meth:`from_laws` from whole weights, 1 to 2^40 in sum, in whole numbers throughout.

        ``floor(w (2^20 - n) / sum w) + 1`` for each of ``n`` symbols; what is left of 2^20 goes to
        the first of the likeliest.
        """
        rows = [shares(w[None])[0] for _, w in weights]
        return cls._of_rows(rows, [low for low, _ in weights])

    @classmethod
    def from_laws(cls, laws: list[tuple[int, ArrayLike]]) -> TableSet:
        """Tables from ``(lowest value, probabilities)``; the last probability is the escape's.

        Raises:
            InvalidSetting: A law that is not one.
        """
        rows = [FrequencyTables.from_law(law).frequencies[0] for _, law in laws]
        return cls._of_rows(rows, [low for low, _ in laws])

    @classmethod
    def _of_rows(cls, rows: list[Whole], lows: list[int]) -> TableSet:
        starts = np.concatenate([[0], np.cumsum([r.size for r in rows])]).astype(np.int64)
        return cls(np.concatenate(rows), starts, np.array(lows, dtype=np.int64))

    def __len__(self) -> int:
        return self.lows.size

    @cached_property
    def highs(self) -> Whole:
        """The value of each row's last symbol before the escape."""
        return self.lows + np.diff(self.starts) - 2

    def bits(self, values: Whole, tables: Whole) -> float:
        """Ideal code length ``-sum log2 (frequency / 2^20)``, escapes with their raw bits.

        The message of a :class:`SymbolEncoder` is at most 8 bytes and 0.1 % longer.
        """
        symbols, far = self._symbols(values, tables)
        f = self.frequencies[self.starts[tables] + symbols]
        lengths = np.floor(np.log2(far[far > 0]))
        return float(np.sum(20 - np.log2(f)) + np.sum(np.log2(_LENGTHS) + 1 + lengths))

    def _symbols(self, values: Whole, tables: Whole) -> tuple[Whole, Whole]:
        """Symbol of each value in its row, and how far outside the row it is (0 if inside)."""
        lows, highs = self.lows[tables], self.highs[tables]
        far = np.maximum(np.maximum(lows - values, values - highs), 0)
        return np.where(far > 0, highs - lows + 1, values - lows), far

    @cached_property
    def _models(self) -> list[object]:
        import constriction

        categorical = constriction.stream.model.Categorical
        return [
            categorical(row / TOTAL, perfect=False)
            for row in np.split(self.frequencies, self.starts[1:-1])
        ]


def shares(weights: Whole) -> Whole:
    """Frequencies of whole weights, row by row, shape ``(n, k)``; see ``from_weights``.

    Weights are 0 or more, at most 2^40 in a row's sum, not all 0.
    """
    n = weights.shape[1]
    f = weights * (TOTAL - n) // weights.sum(1, keepdims=True) + 1
    f[np.arange(len(f)), np.argmax(f, axis=1)] += TOTAL - f.sum(1)
    return f


def _checked(tables: ArrayLike, count: int) -> Whole:
    t = np.asarray(tables, dtype=np.int64)
    if t.ndim != 1 or np.any(t < 0) or np.any(t >= count):
        raise InvalidSetting(f"tables are a list of numbers from 0 to {count - 1}")
    return t


def _checked_laws(frequencies: ArrayLike) -> Whole:
    f = np.asarray(frequencies, dtype=np.int64)
    if f.ndim != 2 or f.shape[1] < 2 or np.any(f < 1) or np.any(f.sum(1) != TOTAL):
        raise InvalidSetting(
            f"laws are rows of two or more whole frequencies, 1 or more, with the sum {TOTAL}"
        )
    return f


class SymbolEncoder:
    """Writes one message; ``put`` as often as there are passes, then ``words``."""

    def __init__(self) -> None:
        import constriction

        self._coder = constriction.stream.queue.RangeEncoder()
        self._uniform = constriction.stream.model.Uniform
        self._each = constriction.stream.model.Categorical(perfect=False)

    def put(self, values: ArrayLike, tables: ArrayLike, table_set: TableSet) -> None:
        """Code values, each with its table.

        Args:
            values: Shape ``(n,)``, whole, at most ``LARGEST_VALUE`` in size.
            tables: Shape ``(n,)``, a row of ``table_set`` for each.
            table_set: The same at the decoder.

        Raises:
            InvalidSetting: Shapes differ, or a number outside its range.
        """
        v, t = np.asarray(values, dtype=np.int64), _checked(tables, len(table_set))
        if v.shape != t.shape or np.any(np.abs(v) > LARGEST_VALUE):
            raise InvalidSetting(
                f"give one table for each value, and values from -{LARGEST_VALUE} to {LARGEST_VALUE}"
            )
        symbols, far = table_set._symbols(v, t)  # noqa: SLF001 (one module)
        for table, places in places_of(t):
            self._coder.encode(symbols[places].astype(np.int32), table_set._models[table])  # noqa: SLF001
        outside = np.flatnonzero(far)
        if outside.size:
            self._escapes(far[outside], (v < table_set.lows[t])[outside])

    def put_each(self, symbols: ArrayLike, frequencies: ArrayLike) -> None:
        """Code symbols, each with a law of its own.

        Args:
            symbols: Shape ``(n,)``, whole, 0 to ``k - 1``.
            frequencies: Shape ``(n, k)``, whole, 1 or more, every row with the sum 2^20.

        Raises:
            InvalidSetting: Shapes differ, or a number outside its range.
        """
        s, f = np.asarray(symbols, dtype=np.int64), _checked_laws(frequencies)
        if s.shape != f.shape[:1] or np.any(s < 0) or np.any(s >= f.shape[1]):
            raise InvalidSetting(f"give one law for each symbol, and symbols below {f.shape[1]}")
        if s.size:
            self._coder.encode(s.astype(np.int32), self._each, f / TOTAL)

    def _escapes(self, far: Whole, negative: NDArray[np.bool_]) -> None:
        lengths = np.floor(np.log2(far)).astype(np.int64)
        self._coder.encode(lengths.astype(np.int32), self._uniform(_LENGTHS))
        self._coder.encode(negative.astype(np.int32), self._uniform(2))
        for length in np.unique(lengths[lengths > 0]).tolist():
            rest = far[lengths == length] - (1 << length)
            self._coder.encode(rest.astype(np.int32), self._uniform(1 << length))

    def words(self) -> bytes:
        """The message: little-endian 32-bit words."""
        return np.asarray(self._coder.get_compressed(), dtype="<u4").tobytes()


class SymbolDecoder:
    """Reads the message of a :class:`SymbolEncoder` by the same calls in the same order.

    Raises:
        DamagedFile: The message is not a whole number of words.
    """

    def __init__(self, data: bytes) -> None:
        if len(data) % 4:
            raise DamagedFile(
                f"a message is whole 32-bit words; this one has {len(data)} bytes; was it cut off?"
            )
        import constriction

        self._coder = constriction.stream.queue.RangeDecoder(
            np.frombuffer(data, dtype="<u4").astype(np.uint32)
        )
        self._uniform = constriction.stream.model.Uniform
        self._each = constriction.stream.model.Categorical(perfect=False)

    def take(self, tables: ArrayLike, table_set: TableSet) -> Whole:
        """The next values, shape ``(n,)``, coded with these tables.

        Raises:
            DamagedFile: No message of the encoder begins like this.
            InvalidSetting: A table outside the set.
        """
        t = _checked(tables, len(table_set))
        symbols = np.zeros(t.size, dtype=np.int64)
        for table, places in places_of(t):
            symbols[places] = self._decode(table_set._models[table], places.size)  # noqa: SLF001
        lows, highs = table_set.lows[t], table_set.highs[t]
        values = symbols + lows
        outside = np.flatnonzero(values > highs)
        if outside.size:
            far, negative = self._escapes(outside.size)
            values[outside] = np.where(negative, lows[outside] - far, highs[outside] + far)
            if np.any(np.abs(values) > LARGEST_VALUE):
                raise DamagedFile("a value outside the range of the format; fetch the file again")
        return values

    def take_each(self, frequencies: ArrayLike) -> Whole:
        """The next symbols, shape ``(n,)``, each coded with its own law, shape ``(n, k)``.

        Raises:
            DamagedFile: No message of the encoder begins like this.
            InvalidSetting: These are not laws.
        """
        f = _checked_laws(frequencies)
        return self._decode(self._each, f / TOTAL) if len(f) else np.zeros(0, dtype=np.int64)

    def _escapes(self, n: int) -> tuple[Whole, NDArray[np.bool_]]:
        lengths = self._decode(self._uniform(_LENGTHS), n)
        negative = self._decode(self._uniform(2), n) > 0
        far = np.left_shift(1, lengths)
        for length in np.unique(lengths[lengths > 0]).tolist():
            places = np.flatnonzero(lengths == length)
            far[places] += self._decode(self._uniform(1 << length), places.size)
        return far, negative

    def _decode(self, model: object, what: int | NDArray[np.float64]) -> Whole:
        try:
            return np.asarray(self._coder.decode(model, what), dtype=np.int64)
        except AssertionError as cause:  # what constriction raises on impossible words
            raise DamagedFile(
                "these words are not a message of this coder; fetch the file again"
            ) from cause
