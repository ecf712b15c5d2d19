"""Nearest points of ``D_n`` and of ``E8 = D8 u (D8 + 1/2)`` (Conway and Sloane 1982).

``D_n`` are the whole vectors of even sum: round every coordinate, and if the sum comes out odd, round
the coordinate that was farthest from its whole number the other way. Ties: a half rounds up, the first
of several farthest coordinates is turned, and one that was hit exactly is turned up.
"""

from __future__ import annotations

import numpy as np

from veridical.arrays import Array, Whole


def nearest_whole(y: Array) -> Whole:
    """Nearest whole vectors, shape ``(n, d)``; a half rounds up."""
    return np.floor(y + 0.5).astype(np.int64)


def nearest_with_parity(y: Array, parity: Whole | int) -> Whole:
    """Nearest whole vectors whose sum is of a given parity, shape ``(n, d)``.

    Args:
        y: shape ``(n, d)``.
        parity: 0 or 1, or shape ``(n,)``.
    """
    rounded = np.floor(y + 0.5)
    whole = rounded.astype(np.int64)
    wrong = np.flatnonzero((whole @ np.ones(whole.shape[1], dtype=np.int64) ^ parity) & 1)
    miss = (y - rounded)[wrong]
    column = np.argmax(np.abs(miss), axis=1)
    up = np.take_along_axis(miss, column[:, None], axis=1)[:, 0] >= 0
    whole[wrong, column] += np.where(up, 1, -1)
    return whole


def nearest_checkerboard(y: Array) -> Whole:
    """Nearest points of ``D_n``, shape ``(n, n)``."""
    return nearest_with_parity(y, 0)


def nearest_e8(y: Array) -> Whole:
    """Nearest points of ``E8`` in doubled coordinates: all even or all odd, sum divisible by 4.

    With ``a`` the distances of the coordinates from their nearest whole numbers, the two cosets of
    ``D8`` miss by ``sum a^2 + [odd] (1 - 2 max a)`` and ``sum (1/2 - a)^2 + [odd] 2 min a``; only the
    better one is decoded. On a tie the all-even one is taken.

    Args:
        y: shape ``(n, 8)``, doubled coordinates too.
    """
    half = 0.5 * y
    rounded = np.floor(half + 0.5)
    ones = np.ones(8)
    odd = (rounded @ ones).astype(np.int64) & 1
    odd_shifted = (np.floor(half) @ ones).astype(np.int64) & 1
    a = np.abs(half - rounded)
    # Columns of the transposed copy are contiguous: extremes over 8 rows are vector operations.
    rows = np.ascontiguousarray(a.T)
    excess = 2.0 - a @ ones
    excess += odd_shifted * (2.0 * rows.min(axis=0))
    excess -= odd * (1.0 - 2.0 * rows.max(axis=0))
    shift = (excess < 0).astype(np.int64)
    out = nearest_with_parity(half - 0.5 * shift[:, None], 0)
    out *= 2
    out += shift[:, None]
    return out
