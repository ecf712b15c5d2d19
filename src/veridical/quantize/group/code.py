"""Trellis codes over ``Z_p``: a word is a sum of levels, each the output of one shift register.

    c_t = sum_l ( [t in T_l] u^l_t + sum_(j=1..m_l) h^l_(t,j) u^l_(t,j) )    mod p

``T_l`` are the places where level ``l`` takes a free symbol; no two levels share a place. ``u^l_(t,j)``
is its ``j``-th last symbol before ``t`` (zero before the first), and ``h`` are fixed taps, drawn anew
for every place: periodically repeated taps are a special case. At its own place a free symbol enters
with weight one, so that the generator matrix is triangular there: different inputs make different
words, a code with ``k`` free symbols has exactly ``p^k``, and leaving a level out leaves a subgroup.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Whole
from veridical.errors import InvalidSetting

_MOST_PRIME = 251
_MOST_STATES = 1 << 16


def checked_prime(p: Any) -> int:
    """``p`` as an int.

    Raises:
        InvalidSetting: not a prime number from 2 to 251.
    """
    whole = isinstance(p, int | np.integer) and not isinstance(p, bool)
    if not whole or not 2 <= int(p) <= _MOST_PRIME:
        raise InvalidSetting(f"p must be a prime number from 2 to {_MOST_PRIME}, got {p!r}")
    value = int(p)
    for q in range(2, math.isqrt(value) + 1):
        if value % q == 0:
            near = [r for r in range(2, _MOST_PRIME + 1) if all(r % s for s in range(2, r))]
            below, above = max(r for r in near if r < value), min(r for r in near if r > value)
            raise InvalidSetting(f"p = {value} is {q} x {value // q}; use {below} or {above}")
    return value


def checked_symbols(symbols: ArrayLike, p: int, width: int, name: str) -> Whole:
    """Symbols as an array ``(blocks, width)``.

    Raises:
        InvalidSetting: another shape, not whole, or outside ``0 .. p-1``.
    """
    array = np.asarray(symbols)
    if array.ndim != 2 or array.shape[1] != width:
        raise InvalidSetting(f"{name} have shape (blocks, {width}), got {array.shape}")
    if not np.issubdtype(array.dtype, np.integer) and array.size:
        raise InvalidSetting(f"{name} are whole numbers, got {array.dtype}")
    if array.size and not (array.min() >= 0 and array.max() < p):
        raise InvalidSetting(
            f"{name} run from 0 to {p - 1}; these run from {array.min()} to {array.max()}"
        )
    return array.astype(np.int64)


@dataclass(frozen=True)
class Level:
    """One shift register.

    Attributes:
        places: ``T_l``, rising, shape ``(k,)``.
        taps: ``h^l``, shape ``(n, m)``; ``m`` is the memory in symbols.
    """

    places: Whole = field(repr=False)
    taps: Whole = field(repr=False)

    @property
    def memory(self) -> int:
        """``m``."""
        return self.taps.shape[1]

    def last_inputs(self) -> Whole:
        """Which free symbol stands ``j + 1`` back from place ``t``, shape ``(n, m)``; -1 for none."""
        seen = np.searchsorted(self.places, np.arange(self.taps.shape[0]))
        return np.maximum(seen[:, None] - 1 - np.arange(self.memory), -1)


@dataclass(frozen=True)
class TrellisCode:
    """A group code of length ``n`` over ``Z_p`` with ``p^k`` words.

    Attributes:
        p: prime, 2 to 251.
        n: symbols of a word.
        levels: registers; their memories sum to at most ``log_p 65536``.
    """

    p: int
    n: int
    levels: tuple[Level, ...] = field(repr=False)

    def __post_init__(self) -> None:
        checked_prime(self.p)
        if self.n < 1:
            raise InvalidSetting(f"a word has 1 symbol or more, got n = {self.n}")
        taken = np.concatenate([np.zeros(0, np.int64), *(level.places for level in self.levels)])
        if np.unique(taken).size != taken.size or np.any(taken < 0) or np.any(taken >= self.n):
            raise InvalidSetting(
                "each place of a word takes a free symbol of one level at most: "
                f"{taken.size} free symbols do not fit {self.n} places"
            )
        for level in self.levels:
            rising = np.all(np.diff(level.places) > 0)
            taps = level.taps
            if not rising or taps.ndim != 2 or len(taps) != self.n:
                raise InvalidSetting("a level has rising places and taps of shape (n, memory)")
            if taps.size and not (taps.min() >= 0 and taps.max() < self.p):
                raise InvalidSetting(f"taps run from 0 to {self.p - 1}")
        if self.states > _MOST_STATES:
            raise InvalidSetting(
                f"{self.states} states are more than {_MOST_STATES}; lower the memory"
            )

    @property
    def states(self) -> int:
        """States of the trellis, ``p`` to the sum of the memories."""
        return self.p ** sum(level.memory for level in self.levels)

    @property
    def dimension(self) -> int:
        """``k``: free symbols of a word."""
        return sum(level.places.size for level in self.levels)

    @property
    def places(self) -> Whole:
        """Places of all free symbols, level after level, shape ``(k,)``."""
        return np.concatenate([np.zeros(0, np.int64), *(level.places for level in self.levels)])

    @property
    def rate_bits(self) -> float:
        """``(k/n) log2 p``, bits per symbol."""
        return self.dimension / self.n * math.log2(self.p)

    def words(self, inputs: ArrayLike) -> Whole:
        """Words of free symbols.

        Args:
            inputs: shape ``(blocks, k)``, level after level, ``0 .. p-1``.

        Returns:
            Shape ``(blocks, n)``.

        Raises:
            InvalidSetting: another shape, or a symbol outside the alphabet.
        """
        u = checked_symbols(inputs, self.p, self.dimension, "free symbols")
        out = np.zeros((len(u), self.n), dtype=np.int64)
        first = 0
        for level in self.levels:
            # One more column of zeros, which -1 finds: what was before the first symbol.
            own = np.zeros((len(u), level.places.size + 1), dtype=np.int64)
            own[:, :-1] = u[:, first : first + level.places.size]
            out[:, level.places] += own[:, :-1]
            for taps, back in zip(level.taps.T, level.last_inputs().T, strict=True):
                out += taps * own[:, back]
            first += level.places.size
        return out % self.p

    def split(self, words: ArrayLike) -> tuple[Whole, Whole]:
        """Free symbols of the nearest-in-order word, and what is left at the other places.

        The second part is the syndrome: it is zero for the words of the code, and two words lie in
        the same coset exactly if their syndromes are equal.

        Args:
            words: shape ``(blocks, n)``, any words of ``Z_p^n``.

        Returns:
            Free symbols, shape ``(blocks, k)``, and syndrome, shape ``(blocks, n - k)``.

        Raises:
            InvalidSetting: another shape, or a symbol outside the alphabet.
        """
        c = checked_symbols(words, self.p, self.n, "words")
        u = np.zeros((len(c), self.dimension + 1), dtype=np.int64)
        starts = np.cumsum([0, *(level.places.size for level in self.levels)])
        column = np.full(self.n, -1)
        column[self.places] = np.arange(self.dimension)
        taps = np.concatenate([np.zeros((self.n, 0), np.int64), *(v.taps for v in self.levels)], 1)
        lasts = [v.last_inputs() for v in self.levels]
        back = np.concatenate(
            [np.zeros((self.n, 0), np.int64)]
            + [np.where(b < 0, -1, b + s) for b, s in zip(lasts, starts, strict=False)], 1,
        )  # fmt: skip
        rest = np.empty_like(c)
        for t in range(self.n):
            rest[:, t] = (c[:, t] - u[:, back[t]] @ taps[t]) % self.p
            if column[t] >= 0:
                u[:, column[t]] = rest[:, t]
        return u[:, :-1], rest[:, column < 0]
