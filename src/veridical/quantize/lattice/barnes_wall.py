"""Nearest points of the Barnes-Wall lattice BW16, exactly, by Construction B.

``BW16 = {u in Z^16 : u mod 2 in RM(1, 4), sum u = 0 mod 4}``: 32 cosets of ``2 D16``. The Reed-Muller
code is built by ``(w | w)`` and ``(w | w + 1)``, so that the best point for each word and each parity of
``(u - word)/2`` over a block follows from the two halves of the block by one min-plus convolution over
the parities: 4 levels of 96 operations a coordinate and level, against 32 decoders of ``D16``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from veridical.arrays import Array, Whole
from veridical.quantize.lattice.parity import nearest_with_parity

CHUNK = 512
"""Points decoded at a time: the tables of a chunk stay in the cache."""


def _reed_muller() -> Whole:
    """The 32 words of RM(1, 4); bits of the row number are constant, a4, a3, a2, a1."""
    place = np.arange(16)
    bits = (place[:, None] >> np.arange(3, -1, -1)) & 1
    word = np.arange(32)
    factors = (word[:, None] >> np.arange(3, -1, -1)) & 1
    return (word[:, None] // 16 + factors @ bits.T) % 2


REED_MULLER = _reed_muller()


def nearest_barnes_wall(y: Array) -> Whole:
    """Nearest points of BW16, shape ``(n, 16)``; on a tie the word of least row number is taken."""
    out = np.empty(y.shape, dtype=np.int64)
    for first in range(0, len(y), CHUNK):
        rows = slice(first, first + CHUNK)
        word = REED_MULLER[_best_word(y[rows])]
        out[rows] = 2 * nearest_with_parity(0.5 * (y[rows] - word), 0) + word
    return out


def _best_word(y: Array) -> NDArray[np.intp]:
    """Row of ``REED_MULLER`` whose coset of ``2 D16`` holds the nearest point."""
    n = len(y)
    t = np.ascontiguousarray(y.T)
    # Axes: block, constant bit, words of the block, parity, point.
    table = np.empty((16, 2, 1, 2, n))
    for bit in (0, 1):
        quarter = 0.25 * (t - bit)
        quarter -= np.floor(quarter + 0.5)
        np.abs(quarter, out=quarter)
        table[:, bit, 0, 0] = np.square(quarter)
        table[:, bit, 0, 1] = np.square(0.5 - quarter)
    for level in range(4):
        table = _double(table, last=level == 3)
    return np.argmin(table.reshape(32, n).T, axis=1)


def _double(table: Array, *, last: bool) -> Array:
    """Join blocks in pairs; the new factor says whether the right half is complemented."""
    left, right = table[0::2], table[1::2]
    blocks, _, words, _, n = left.shape
    out = np.empty((blocks, 2, 2, words, 1 if last else 2, n))
    for flip in (0, 1):
        other = right[:, ::-1] if flip else right
        for parity in range(1 if last else 2):
            target = out[:, :, flip, :, parity]
            np.add(left[:, :, :, 0], other[:, :, :, parity], out=target)
            np.minimum(target, left[:, :, :, 1] + other[:, :, :, 1 - parity], out=target)
    return out.reshape(blocks, 2, 2 * words, -1, n)
