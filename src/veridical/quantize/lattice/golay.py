"""The hexacode and the binary Golay code in the arrangement of the Miracle Octad Generator.

A Golay word is a table of 4 rows and 6 columns: the columns and the top row all have the same parity, and
the sums ``0 b0 + 1 b1 + w b2 + (w+1) b3`` of the columns over GF(4) form a word of the hexacode (Conway and
Sloane, *Sphere Packings, Lattices and Groups*, ch. 11). Elements of GF(4) are 0, 1, 2 = w, 3 = w + 1, so
that addition is exclusive or. Coordinate ``4 j + i`` is row ``i`` of column ``j``.
"""

from __future__ import annotations

import numpy as np

from veridical.arrays import Whole

_TIMES = np.array([[0, 0, 0, 0], [0, 1, 2, 3], [0, 2, 3, 1], [0, 3, 1, 2]])


def _hexacode() -> Whole:
    """The 64 words ``(a, b, c, f(1), f(w), f(w+1))``, ``f(x) = a x^2 + b x + c``."""
    a, b, c = (g.ravel() for g in np.meshgrid(*[np.arange(4)] * 3, indexing="ij"))
    values = [_TIMES[a, _TIMES[x, x]] ^ _TIMES[b, x] ^ c for x in (1, 2, 3)]
    return np.stack([a, b, c, *values], axis=1)


def _patterns() -> Whole:
    """Bits of a column by its parity, its sum over GF(4) and its top bit; shape ``(2, 4, 2, 4)``."""
    bits = (np.arange(16)[:, None] >> np.arange(4)) & 1
    table = np.empty((2, 4, 2, 4), dtype=np.int64)
    total = bits[:, 1] ^ (2 * bits[:, 2]) ^ (3 * bits[:, 3])
    table[bits.sum(axis=1) % 2, total, bits[:, 0]] = bits
    return table


HEXACODE = _hexacode()
COLUMN_PATTERNS = _patterns()


def golay_words() -> Whole:
    """All 4096 words, shape ``(4096, 24)``."""
    tops = (np.arange(64)[:, None] >> np.arange(6)) & 1
    parity = tops.sum(axis=1) % 2
    columns = COLUMN_PATTERNS[parity[:, None, None], HEXACODE[None], tops[:, None, :]]
    return columns.reshape(4096, 24)
