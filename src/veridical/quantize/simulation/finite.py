"""A channel between finite alphabets, given by its table."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.arrays import Array, Whole
from veridical.errors import InvalidSetting

_SUM_TOLERANCE = 1e-9
_MOST_SYMBOLS = 1 << 16


@dataclass(frozen=True)
class TableChannel:
    """``P(y | x)`` for symbols ``x`` of ``0 .. A-1`` and ``y`` of ``0 .. B-1``.

    The proposal law is the output law ``q = sum_x p(x) P(. | x)``, so that ``E D(P(.|X)||Q) = I(X; X^)``.
    Samples and reconstructions are whole numbers, shape ``(n,)``.

    Attributes:
        table: shape ``(A, B)``, rows are laws (they sum to 1 within 1e-9).
        source: law of ``x``, shape ``(A,)``; every symbol has positive probability.
    """

    table: Array = field(repr=False)
    source: Array = field(repr=False)

    def __post_init__(self) -> None:
        table, source = np.asarray(self.table, float), np.asarray(self.source, float)
        shaped = table.ndim == 2 and 0 not in table.shape and source.shape == table.shape[:1]
        if not shaped or max(table.shape) > _MOST_SYMBOLS:
            raise InvalidSetting(
                f"a table (A, B) of at most 65,536 symbols and a source law (A,) are needed; got "
                f"{table.shape} and {source.shape}"
            )
        for law in (table, source[None]):
            if not np.all(np.isfinite(law) & (law >= 0)):
                raise InvalidSetting("probabilities are finite and not negative")
            if np.any(np.abs(np.sum(law, axis=1) - 1.0) > _SUM_TOLERANCE):
                raise InvalidSetting("each row of the table, and the source law, sums to 1")
        if np.any(source == 0):
            raise InvalidSetting(
                "a symbol of the source has probability 0; leave its row out of the table"
            )
        table = table / np.sum(table, axis=1, keepdims=True)
        object.__setattr__(self, "table", table)
        object.__setattr__(self, "source", source / np.sum(source))

    @property
    def words(self) -> int:
        """One word a symbol."""
        return 1

    @cached_property
    def output(self) -> Array:
        """``q``, the law of ``X^`` and of the proposals, shape ``(B,)``."""
        return self.source @ self.table

    @cached_property
    def ratio(self) -> Array:
        """``P(y|x) / q(y)``, shape ``(A, B)``; 0 for symbols that never come out."""
        return self.table / np.where(self.output > 0, self.output, 1.0)

    @cached_property
    def information_bits(self) -> float:
        """``I(X; X^)``, bits per symbol."""
        logs = np.log2(np.where(self.ratio > 0, self.ratio, 1.0))
        return max(0.0, float(self.source @ np.sum(self.table * logs, axis=1)))

    @property
    def divergence_bits(self) -> float:
        """The same, since the proposal law is the output law."""
        return self.information_bits

    def check(self, x: ArrayLike) -> Whole:
        """Whole numbers ``0 .. A-1``, shape ``(n,)``."""
        symbols = np.asarray(x)
        if symbols.ndim != 1 or not (np.issubdtype(symbols.dtype, np.integer) or not symbols.size):
            raise InvalidSetting(
                f"samples of a finite source are whole numbers of shape (n,), not {symbols.dtype} "
                f"{symbols.shape}"
            )
        if np.any(symbols < 0) or np.any(symbols >= self.table.shape[0]):
            raise InvalidSetting(f"symbols run from 0 to {self.table.shape[0] - 1}; one is outside")
        return symbols.astype(np.int64)

    def propose(self, words: NDArray[np.uint64]) -> Whole:
        """The symbol in whose part of [0, 1) the upper 53 bits of the word fall."""
        return np.searchsorted(self._parts, words[..., 0] >> np.uint64(11), side="right")

    @cached_property
    def _parts(self) -> NDArray[np.uint64]:
        """Upper ends of the parts in units of 2^-53; that of the last symbol that occurs is the end."""
        ends = np.floor(np.cumsum(self.output) * 2.0**53).astype(np.uint64)
        ends[np.flatnonzero(self.output > 0)[-1] :] = 1 << 53
        return ends

    def log_ratio(self, x: Whole, y: Whole) -> Array:
        """``log r``, natural logarithm; minus infinity where the ratio is 0."""
        with np.errstate(divide="ignore"):
            return np.log(self.ratio[x[:, None], y])

    def log_bound(self, x: Whole) -> Array:
        """The largest of the row."""
        return np.log(np.max(self.ratio, axis=1))[x]

    def excess(self, x: Whole, level: Array) -> Array:
        """``sum_y q(y) (r(y) - level)+``."""
        return np.maximum(self.ratio[x] - level[:, None], 0.0) @ self.output
