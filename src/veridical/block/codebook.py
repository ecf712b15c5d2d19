"""A random codebook on the sphere, cut into sub-codebooks by the seed ([T] eqs 54-64).

Word ``j`` of a codebook is the direction of ``n`` normal numbers, the inverse normal law of words
``jn .. jn + n - 1`` of a stream of :mod:`veridical.random`; so that any word is made at its place,
on both sides, without the others. The ``2^(n(R+Rc))`` words fall into ``2^(nRc)`` sub-codebooks
``s`` of ``2^(nR)`` words each; a block is coded by the word of its sub-codebook with the largest
cosine (*operational* encoding). The best of all words is the *virtual* encoding, which no coder
performs: it says which law the decoder draws from.

A difference of rounding between two machines moves a word by ``1e-16``. It cannot spoil a message,
because the number of the word is what is sent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from veridical.arrays import Array, Whole, real_numbers, whole_number
from veridical.errors import InvalidSetting
from veridical.estimate.indices import checked_indices
from veridical.random import random_symbols, random_uniforms

MOST_INDEX_BITS = 24
MOST_TOTAL_BITS = 56
_WORDS, _SEEDS, _FRESH_WORDS = 1, 2, 3
# Numbers held at a time: 32 MB of words, or of scores.
_CHUNK = 1 << 22
_MOST_NORM = 1e150


@dataclass(frozen=True)
class SphereCodebook:
    """``2^(index_bits + seed_bits)`` words, uniform on the unit sphere in ``n`` dimensions.

    Built by :func:`veridical.block.random_coding.random_code`, which checks that the bits are whole.

    Attributes:
        dimension: ``n``.
        index_bits: ``nR``, 0 to 24.
        seed_bits: ``nRc``, 0 to 56 less ``nR``; ``inf``: every block has a codebook of its own,
            made from the common randomness, which is then unlimited.
        codebook_seed: names the codebook, 0 to 2^64 - 1; a part of the design like a table, not
            common randomness. Not read when ``seed_bits`` is infinite.
    """

    dimension: int
    index_bits: int
    seed_bits: float = 0
    codebook_seed: int = 0

    def __post_init__(self) -> None:
        n, b = self.dimension, self.index_bits
        if b > MOST_INDEX_BITS:
            raise InvalidSetting(
                f"nR is {b} bits and can be searched up to {MOST_INDEX_BITS}; at dimension {n} the "
                f"largest rate is {MOST_INDEX_BITS}/{n} = {MOST_INDEX_BITS / n:.6g}, and at this rate "
                f"the largest dimension is {MOST_INDEX_BITS * n // b}"
            )
        if self.seed_bits != math.inf and self.total_bits > MOST_TOTAL_BITS:
            left = MOST_TOTAL_BITS - b
            raise InvalidSetting(
                f"n(R + Rc) is {int(self.total_bits)} bits and at most {MOST_TOTAL_BITS}; the largest "
                f"common_bits is {left}/{n} = {left / n:.6g}, or math.inf"
            )
        whole_number(self.codebook_seed, "codebook_seed", 0, (1 << 64) - 1)

    @property
    def outputs(self) -> int:
        """``M = 2^(nR)``."""
        return 1 << self.index_bits

    @property
    def total_bits(self) -> float:
        """``n(R + Rc)``."""
        return self.index_bits + self.seed_bits

    def encode(self, x: Array, seed: int) -> Whole:
        """Operational encoding: number of the best word of each block's sub-codebook.

        Args:
            x: shape ``(blocks, n)``.
            seed: common randomness, 0 to 2^64 - 1.

        Returns:
            Shape ``(blocks,)``, values ``0 .. M-1``.

        Raises:
            InvalidSetting: another shape, NaN, infinite or huge values.
        """
        points = checked_blocks(x, self.dimension)
        origin, starts = self._starts(seed, len(points))
        index = np.zeros(len(points), dtype=np.int64)
        if self.index_bits == 0 or len(points) == 0:
            return index
        if math.isinf(self.seed_bits) and self.outputs * self.dimension < _CHUNK >> 6:
            return self._encode_own(points, origin)
        order = np.argsort(starts, kind="stable")
        values, cuts = np.unique(starts[order], return_index=True)
        for start, group in zip(values.tolist(), np.split(order, cuts[1:]), strict=True):
            index[group] = self._best(points[group], origin, start, self.outputs)
        return index

    def encode_whole(self, x: Array) -> Whole:
        """Virtual encoding: number of the best word of the whole codebook; up to 24 bits in all.

        Raises:
            InvalidSetting: more than 24 bits, or blocks that :meth:`encode` refuses.
        """
        if self.total_bits > MOST_INDEX_BITS:
            raise InvalidSetting(
                f"the whole codebook has 2^{self.total_bits:g} words; searching it is for "
                f"n(R + Rc) of at most {MOST_INDEX_BITS} bits"
            )
        points = checked_blocks(x, self.dimension)
        return self._best(points, self._origin(0), 0, 1 << int(self.total_bits))

    def chosen(self, index: Whole, seed: int) -> Array:
        """The word of each index, shape ``(blocks, n)``, of length 1.

        Raises:
            InvalidSetting: an index outside ``0 .. M-1``.
        """
        z = checked_indices(index, self.outputs)
        origin, starts = self._starts(seed, len(z))
        return self._gather(origin, starts + z)

    def words_at(self, places: Whole) -> Array:
        """Words of the codebook by their numbers, shape ``(k, n)``; for finite ``seed_bits``."""
        return self._gather(self._origin(0), places)

    def places(self, index: Whole, seed: int) -> Whole:
        """``2^(nR) S + Z``: number of each index's word in the whole codebook."""
        z = checked_indices(index, self.outputs)
        return self._starts(seed, len(z))[1] + z

    @cached_property
    def _small(self) -> Array | None:
        """The whole codebook, where it is small enough to be kept."""
        if self.total_bits > 40 or self.dimension * 2.0**self.total_bits > _CHUNK:
            return None
        return _directions(self._origin(0), self.dimension, 0, 1 << int(self.total_bits))

    def _origin(self, seed: int) -> tuple[int, int]:
        """Seed and stream that the words come from."""
        if math.isinf(self.seed_bits):
            return seed, _FRESH_WORDS
        return self.codebook_seed, _WORDS

    def _starts(self, seed: int, n: int) -> tuple[tuple[int, int], Whole]:
        """Where the words come from, and the first word of each block's sub-codebook."""
        if math.isinf(self.seed_bits):
            return self._origin(seed), np.arange(n, dtype=np.int64) << self.index_bits
        symbols = random_symbols(seed, n, 1 << int(self.seed_bits), stream=_SEEDS)
        return self._origin(seed), symbols << self.index_bits

    def _gather(self, origin: tuple[int, int], places: Whole) -> Array:
        if self._small is not None:
            return self._small[places]
        values, which = np.unique(places, return_inverse=True)
        found = np.empty((len(values), self.dimension))
        for row, place in zip(found, values.tolist(), strict=True):
            row[:] = self._words(origin, place, 1)[0]
        return found[which.ravel()]

    def _words(self, origin: tuple[int, int], first: int, count: int) -> Array:
        if self._small is not None:
            return self._small[first : first + count]
        return _directions(origin, self.dimension, first, count)

    def _best(self, x: Array, origin: tuple[int, int], first: int, count: int) -> Whole:
        """Number, from ``first`` on, of the word with the largest scalar product."""
        rows = max(1, min(len(x), 1 << 10))
        step = max(1, min(count, _CHUNK // max(rows, self.dimension)))
        best = np.full(len(x), -np.inf)
        index = np.zeros(len(x), dtype=np.int64)
        for start in range(0, count, step):
            words = self._words(origin, first + start, min(step, count - start))
            for top in range(0, len(x), rows):
                part = slice(top, top + rows)
                scores = x[part] @ words.T
                winner = np.argmax(scores, axis=1)
                value = scores[np.arange(len(winner)), winner]
                better = value > best[part]
                best[part][better] = value[better]
                index[part][better] = winner[better] + start
        return index

    def _encode_own(self, x: Array, origin: tuple[int, int]) -> Whole:
        """Every block by its own small codebook, many blocks at once."""
        index = np.empty(len(x), dtype=np.int64)
        rows = max(1, _CHUNK // (self.outputs * self.dimension))
        for top in range(0, len(x), rows):
            part = x[top : top + rows]
            words = self._words(origin, top * self.outputs, len(part) * self.outputs)
            table = words.reshape(len(part), self.outputs, self.dimension)
            index[top : top + rows] = np.argmax(np.einsum("bmn,bn->bm", table, part), axis=1)
        return index


def checked_blocks(x: Any, dimension: int) -> Array:
    """Blocks as a table ``(blocks, n)`` of finite numbers.

    Raises:
        InvalidSetting: another shape, NaN, infinite or huge values.
    """
    points = real_numbers(x, "blocks")
    if points.ndim != 2 or points.shape[1] != dimension:
        raise InvalidSetting(
            f"blocks form a table of {dimension} columns, got shape {points.shape}; "
            f"cut the samples into blocks of {dimension}"
        )
    if not np.all(np.abs(points) <= _MOST_NORM):
        raise InvalidSetting(
            f"a block holds NaN, infinity or a number beyond {_MOST_NORM:g}; remove it first"
        )
    return points


def _directions(origin: tuple[int, int], n: int, first: int, count: int) -> Array:
    """Words ``first .. first + count - 1``: uniform directions, one a row."""
    from scipy.special import ndtri

    seed, stream = origin
    normal = random_uniforms(seed, count * n, stream=stream, first=first * n)
    # The middle of each step of 2^-53: 0 has no normal number.
    normal += 2.0**-54
    ndtri(normal, out=normal)
    words = normal.reshape(count, n)
    words /= np.sqrt(np.einsum("ij,ij->i", words, words))[:, None]
    return words
