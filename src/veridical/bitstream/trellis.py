"""Numbers of an entropy-coded trellis code as bytes: each given the parity that the trellis forces on it.

A number ``L`` at a place with shift ``s`` stands for the point ``p = L - s`` (in steps). The trellis says whether
``L`` is even or odd, so that ``p`` is known modulo 2: its *phase*. The symbol is ``k`` of ``p = phase + 2 k``,
and its table the law of ``p`` on the points of that phase: conditional entropy coding, without loss to
parity. Where only some places are shifted, these have tables of their own. All of it is integer arithmetic.

A stream is cut into rows of 4,096 numbers, each with a path of its own from state 0; rows are coded side by
side, place after place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from veridical.arrays import Array, Whole
from veridical.bitstream.entropy import FrequencyTables, seed_key
from veridical.bitstream.steps import StepDecoder, encode_steps
from veridical.errors import DamagedFile, InvalidSetting
from veridical.quantize.trellis import Shifts, Trellis

ROW = 4096
_PHASES = 64
_TOTAL = float(1 << 20)
_LEAST = 1e-9


def as_rows(values: NDArray) -> NDArray:
    """A stream ``(n,)`` as rows on the last axis: shape ``(min(n, 4096), rows)``, filled up at the end."""
    width = max(min(values.size, ROW), 1)
    rows = -(-values.size // width)
    padded = np.pad(values, (0, rows * width - values.size))
    return padded.reshape(rows, width).T


@dataclass(frozen=True)
class TrellisCoder:
    """Phases, symbols and tables of a trellis code.

    Attributes:
        trellis, shifts: of the code.
        reach: ``K``; symbols ``k`` run from ``-K`` to ``K - 1``.
        tables: one for each class of places and phase; see :meth:`contexts`.
    """

    trellis: Trellis
    shifts: Shifts
    reach: int
    tables: FrequencyTables = field(repr=False)

    @classmethod
    def from_points(
        cls, trellis: Trellis, shifts: Shifts, reach: int, points: Array, where: Whole
    ) -> TrellisCoder:
        """Tables from points ``p`` of samples, in steps, and the places where they stood; the law is even.

        Args:
            trellis: of the code.
            shifts: of the code.
            reach: ``K``.
            points: shape ``(n,)``.
            where: places, shape ``(n,)``.
        """
        draft = cls(trellis, shifts, reach, FrequencyTables.from_law(np.ones((1, 2 * reach))))
        unit = draft.phases // 2
        centre = 0.0 if draft.phases == 2 * shifts.fractions else 0.5
        bins = 2 * unit * (reach + 1)
        laws = []
        for group in range(draft.classes):
            mine = np.abs(points[draft.groups(where) == group]) * unit
            place = np.minimum(np.floor(mine + 0.5 - centre + 1e-6).astype(np.int64), bins - 1)
            counts = np.bincount(place, minlength=bins).astype(np.float64)
            # A point at 0 has no mirror image; all others are counted with theirs.
            counts[1 if centre == 0 else bins :] /= 2
            if unit > 4:
                counts = _smooth(counts, unit // 4, centre)
            phase = (np.arange(draft.phases) + centre) / unit
            p = phase[:, None] + 2 * np.arange(-reach, reach)
            mirror = np.rint(np.abs(p) * unit - centre).astype(np.int64)
            laws.append(counts[mirror] + _LEAST * points.size)
        return cls(trellis, shifts, reach, FrequencyTables.from_law(np.concatenate(laws)))

    @property
    def phases(self) -> int:
        """Number of phases with a table of their own."""
        return min(2 * self.shifts.fractions, _PHASES)

    @property
    def classes(self) -> int:
        """1, or 2 where some places are shifted and some are not."""
        return 1 + (0 < self.shifts.shifted < self.shifts.period)

    def groups(self, where: Whole) -> Whole:
        """Class of places."""
        if self.classes == 1:
            return np.zeros_like(where)
        return (where % self.shifts.period >= self.shifts.shifted).astype(np.int64)

    @cached_property
    def bits(self) -> NDArray[np.float32]:
        """Code lengths, shape ``(contexts, 2 K)``."""
        return (-np.log2(self.tables.frequencies / _TOTAL)).astype(np.float32)

    def phase(self, odd: Whole | int, steps: Whole) -> tuple[Whole, Whole]:
        """``p`` modulo 2 in units of ``1/fractions``, and ``(L - p of k = 0) / 2`` for even or odd ``L``."""
        q = self.shifts.fractions
        full = q * odd - steps
        return full % (2 * q), -(full // (2 * q))

    def contexts(self, phase: Whole, groups: Whole) -> Whole:
        """Table of each phase and class."""
        return groups * self.phases + phase * self.phases // (2 * self.shifts.fractions)

    def symbols(self, numbers: Whole, steps: Whole, where: Whole) -> tuple[Whole, Whole]:
        """Symbols from 0 and contexts of numbers ``L``, all of one shape."""
        phase, turn = self.phase(numbers & 1, steps)
        return (numbers >> 1) - turn + self.reach, self.contexts(phase, self.groups(where))

    def numbers(self, symbols: Whole, odd: Whole | int, turn: Whole) -> Whole:
        """Inverse of :meth:`symbols` given parity and turn."""
        return 2 * (symbols - self.reach + turn) + odd

    def ideal_bits(self, numbers: Whole, seed: int) -> float:
        """Code length of a stream ``(n,)`` under the tables."""
        symbols, contexts = self.symbols(
            numbers, self.shifts.steps(seed, numbers.size), np.arange(numbers.size)
        )
        return self.tables.bits(symbols, contexts)

    def to_bytes(self, numbers: Whole, seed: int) -> bytes:
        """A stream ``(n,)`` as a message with a checksum.

        Raises:
            InvalidSetting: numbers that are no path of the trellis, or out of reach.
        """
        n = numbers.size
        symbols, contexts = self.symbols(numbers, self.shifts.steps(seed, n), np.arange(n))
        self._check(numbers, symbols)
        table = [as_rows(v) for v in (symbols, contexts)]
        return encode_steps(
            ((table[0][t, :rows], table[1][t, :rows]) for t, rows in _places(n)),
            self.tables,
            key=self._key(seed),
        )

    def from_bytes(self, data: bytes, count: int, seed: int) -> Whole:
        """The ``count`` numbers of a message.

        Raises:
            DamagedFile: truncated, altered, or of another number of samples.
        """
        decoder = StepDecoder(data, self.tables, self._key(seed))
        if decoder.count != count:
            raise DamagedFile(
                f"the message holds {decoder.count} samples and {count} were asked for; decode it with "
                "the number that it was made from"
            )
        steps, where = as_rows(self.shifts.steps(seed, count)), as_rows(np.arange(count))
        out = np.zeros(steps.shape, dtype=np.int64)
        state = np.zeros(steps.shape[1], dtype=np.int64)
        for t, rows in _places(count):
            odd = self.trellis.odd[state[:rows]]
            phase, turn = self.phase(odd, steps[t, :rows])
            k = decoder.step(self.contexts(phase, self.groups(where[t, :rows])))
            out[t, :rows] = self.numbers(k, odd, turn)
            state[:rows] = self.trellis.moves[state[:rows], out[t, :rows] >> 1 & 1]
        return out.T.ravel()[:count]

    def _key(self, seed: int) -> bytes:
        return seed_key(seed, common=self.shifts.shifted > 0)

    def _check(self, numbers: Whole, symbols: Whole) -> None:
        good = bool(np.all((symbols >= 0) & (symbols < 2 * self.reach)))
        L = as_rows(numbers)
        state = np.zeros(L.shape[1], dtype=np.int64)
        for t, rows in _places(numbers.size):
            good &= bool(np.all(self.trellis.odd[state[:rows]] == L[t, :rows] & 1))
            state[:rows] = self.trellis.moves[state[:rows], L[t, :rows] >> 1 & 1]
        if not good:
            raise InvalidSetting(
                "these numbers are no path of the trellis; were they coded by another design?"
            )


def _places(n: int) -> Iterator[tuple[int, int]]:
    """Each place of the rows, and how many rows have it."""
    width = max(min(n, ROW), 1)
    whole, rest = divmod(n, width)
    for t in range(width if n else 0):
        yield t, whole + (t < rest)


def _smooth(counts: Array, width: int, centre: float) -> Array:
    """Moving averages of an even law, twice, so that few samples in a bin do no harm."""
    kernel = np.convolve(np.ones(width), np.ones(width + (width % 2 == 0)))
    kernel = np.convolve(kernel, np.ones(width)) if kernel.size % 2 == 0 else kernel
    half = kernel.size // 2
    mirror = counts[1 : half + 1] if centre == 0 else counts[:half]
    full = np.concatenate([mirror[::-1], counts, np.zeros(half)])
    return np.convolve(full, kernel / kernel.sum(), mode="valid")
