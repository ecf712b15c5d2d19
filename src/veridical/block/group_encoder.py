"""Operational encoding of a nested group code, and the words that both sides make of an index."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.arrays import Array, Whole
from veridical.errors import InvalidSetting
from veridical.quantize.group import NestedChain, cheapest_words, whole_costs
from veridical.sources.alphabet import Alphabet

# Blocks worked on together; bounds the memory of the costs.
_AT_ONCE = 256


@dataclass(frozen=True)
class GroupWords:
    """From index and seed to the word: the cheapest of a coset of ``G1``.

    Attributes:
        chain: the three codes.
        costs: of the letters, whole and not negative, shape ``(p,)``.
    """

    chain: NestedChain
    costs: NDArray[np.int32] = field(repr=False)

    def words(self, index: ArrayLike, seed: int) -> Whole:
        """Words of blocks, shape ``(blocks, n)``.

        Args:
            index: shape ``(blocks, n k_m / N)``, symbols ``0 .. p-1``.
            seed: common randomness, 0 to 2^64 - 1.

        Raises:
            InvalidSetting: another shape, or a symbol outside the alphabet.
        """
        named = self.chain.message_words(index)
        offsets = (named + self.chain.seed_words(seed, len(named))) % self.chain.p
        if self.chain.shaping == 0:
            return offsets
        return cheapest_words(self.chain.codes[0], self.costs, offsets)[1]


@dataclass(frozen=True)
class GroupEncoder:
    """Operational encoding by one coset of ``G2``.

    Attributes:
        source: alphabet of the source.
        decoder: what the other side makes of an index.
        distortion: ``d(x, u)`` at each place of the period, shape ``(N, m, p)``.
        letter_cost: ``cost(u)``, shape ``(p,)``, in natural units.
        weight: ``w`` at the start, squared units per unit of cost.
        repairs: searches after the first, in which ``w`` grows where the decoder went astray.
    """

    source: Alphabet
    decoder: GroupWords
    distortion: Array = field(repr=False)
    letter_cost: Array = field(repr=False)
    weight: float
    repairs: int = 6

    def encode(self, x: ArrayLike, seed: int) -> Whole:
        """Indices of blocks.

        Args:
            x: points of the alphabet, shape ``(blocks, n)``.
            seed: common randomness, 0 to 2^64 - 1.

        Returns:
            Symbols ``0 .. p-1``, shape ``(blocks, n k_m / N)``.

        Raises:
            InvalidSetting: another shape, NaN, or a number outside the alphabet.
        """
        chain = self.decoder.chain
        symbols = self.source.symbols(x)
        if symbols.ndim != 2 or symbols.shape[1] != chain.n:
            raise InvalidSetting(
                f"a source of this code has shape (blocks, {chain.n}), got {symbols.shape}; cut it "
                f"into blocks, and pad the last one if {chain.n} does not divide its length"
            )
        index = np.empty((len(symbols), chain.index_symbols), dtype=np.int64)
        for first in range(0, len(symbols), _AT_ONCE):
            rows = slice(first, first + _AT_ONCE)
            index[rows] = self._encode(symbols[rows], seed, first)
        return index

    def distances(self, symbols: Whole) -> Array:
        """``d(x_t, u)`` of source symbols ``(blocks, n)``, shape ``(blocks, n, p)``."""
        return self.distortion[np.arange(symbols.shape[1]) % len(self.distortion), symbols]

    def _encode(self, symbols: Whole, seed: int, first: int) -> Whole:
        """Best index of each block over the first search and the repairs."""
        chain = self.decoder.chain
        coset = chain.seed_words(seed, len(symbols), first=first)
        d = self.distances(symbols)
        weights = np.full(symbols.shape, self.weight)
        index = np.zeros((len(symbols), chain.index_symbols), dtype=np.int64)
        least = np.full(len(symbols), np.inf)
        open_ = np.arange(len(symbols))
        shaping = chain.codes[0].dimension
        for _ in range(1 + (self.repairs if shaping else 0)):
            costs = d[open_] + weights[open_, :, None] * self.letter_cost
            u, meant = cheapest_words(chain.codes[1], _scaled(costs), coset[open_])
            found = u[:, shaping:]
            offsets = (chain.message_words(found) + coset[open_]) % chain.p
            got = (
                cheapest_words(chain.codes[0], self.decoder.costs, offsets)[1] if shaping else meant
            )
            total = np.take_along_axis(d[open_], got[..., None], axis=2).sum(axis=(1, 2))
            better = total < least[open_]
            index[open_[better]], least[open_[better]] = found[better], total[better]
            astray = np.any(got != meant, axis=1)
            weights[open_] *= 1.0 + 0.5 * _near(got != meant)
            open_ = open_[astray]
            if open_.size == 0:
                break
        return index


def _scaled(costs: Array) -> NDArray[np.int32]:
    """Whole costs block by block, so that a block's index does not depend on its neighbours."""
    return np.stack([whole_costs(block, costs.shape[1]) for block in costs])


def _near(wrong: NDArray[np.bool_], reach: int = 10) -> Array:
    """One at the places within ``reach`` of a wrong one, else zero."""
    sums = np.cumsum(np.pad(wrong, ((0, 0), (reach + 1, reach))), axis=1)
    return (sums[:, 2 * reach + 1 :] > sums[:, : -2 * reach - 1]).astype(np.float64)
