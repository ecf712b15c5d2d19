"""Nearest points of the Leech lattice, exactly, through the hexacode.

In coordinates times ``sqrt 8`` a point is ``u = t + 2 c + 4 z`` with ``t`` in {0, 1} (the same everywhere),
``c`` a Golay word and ``sum z = t mod 2`` (Conway and Sloane, ch. 4 and 10). The squared distance splits into
columns of the Miracle Octad Generator. Of each column, for either ``t``, parity, symbol of GF(4), top bit
and parity of ``z``, the best cost is found once; what remains is the least sum over the 64 hexacode words
with prescribed total top bit and total parity of ``z``: min-plus convolutions over ``Z_2 x Z_2``. This is
the decomposition of Vardy and Be'ery (1993) without their pruning, since branches cost a vector machine
more than sums: about 17,000 additions and minima a point, against 2 x 4096 decoders of ``D24``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from veridical.arrays import Array, Whole
from veridical.quantize.lattice.golay import COLUMN_PATTERNS, HEXACODE
from veridical.quantize.lattice.parity import nearest_with_parity

Costs = NDArray[np.floating]

CHUNK = 128
"""Points decoded at a time: the tables of a chunk stay in the cache."""

# Column patterns in the order (parity, symbol, top bit), as places among the pairs of bits (b0 b1), (b2 b3).
_UPPER = (2 * COLUMN_PATTERNS[..., 0] + COLUMN_PATTERNS[..., 1]).ravel()
_LOWER = (2 * COLUMN_PATTERNS[..., 2] + COLUMN_PATTERNS[..., 3]).ravel()
# Places of a hexacode word among the 16 pairs of symbols of columns (0 1), (2 3), (4 5).
_PAIRS = [4 * HEXACODE[:, 2 * j] + HEXACODE[:, 2 * j + 1] for j in range(3)]
# Single precision misses the cost of a word near the best, at most 0.3, by less than 7e-7: 24 squares
# rounded to 1.5e-8 each and ten sums to 3e-8 each. Words closer than this are compared in double.
_MARGIN = 2e-6


def nearest_leech(y: Array) -> Whole:
    """Nearest points in coordinates times ``sqrt 8``, shape ``(n, 24)``.

    Ties: even coordinates before odd ones, then the least numbers of parity, hexacode word and top bits.
    """
    out = np.empty(y.shape, dtype=np.int64)
    for first in range(0, len(y), CHUNK):
        part = y[first : first + CHUNK]
        squares = _coordinate_costs(part)
        word, second = _best_words(squares.astype(np.float32))
        close = np.flatnonzero(second < _MARGIN)
        if close.size:
            word[close], _ = _best_words(squares[..., close])
        base, odd = _coset(squares, word)
        out[first : first + CHUNK] = 4 * nearest_with_parity(0.25 * (part - base), odd) + base
    return out


def _coordinate_costs(y: Array) -> Array:
    """Squared distances over 64 to each residue modulo 8; axes: t, bit, parity of z, column, row, point."""
    t = np.ascontiguousarray(y.T).reshape(6, 4, len(y))
    out = np.empty((2, 2, 2, *t.shape))
    for shift in (0, 1):
        for bit in (0, 1):
            eighth = 0.125 * (t - (shift + 2 * bit))
            eighth -= np.floor(eighth + 0.5)
            np.abs(eighth, out=eighth)
            np.square(eighth, out=out[shift, bit, 0])
            np.square(0.5 - eighth, out=out[shift, bit, 1])
    return out


def _best_words(squares: Costs) -> tuple[Whole, Costs]:
    """Number ``128 t + 64 parity + hexacode word`` of the nearest coset, and by how much it leads."""
    n = squares.shape[-1]
    columns = _column_costs(squares)
    totals = np.empty((4, 64, n), dtype=squares.dtype)
    for t in (0, 1):
        for parity in (0, 1):
            _word_costs(columns[:, t, parity], 2 * parity + t, out=totals[2 * t + parity])
    totals = totals.reshape(256, n)
    word = np.argmin(totals.T, axis=1)
    here = np.arange(n)
    best = totals[word, here]
    totals[word, here] = np.inf
    return word, np.min(totals, axis=0) - best


def _column_costs(squares: Costs) -> Costs:
    """Least costs of columns; axes: column, t, parity, symbol, top bit, parity of z, point."""
    n = squares.shape[-1]
    pairs = np.empty(
        (6, 2, 2, 4, 2, n), dtype=squares.dtype
    )  # column, t, half, bits, parity, point
    for half in (0, 1):
        a, b = squares[..., 2 * half, :], squares[..., 2 * half + 1, :]
        for bits in range(4):
            one, two = a[:, bits >> 1], b[:, bits & 1]
            for k in (0, 1):
                least = np.minimum(one[:, 0] + two[:, k], one[:, 1] + two[:, 1 - k])
                pairs[:, :, half, bits, k] = least.transpose(1, 0, 2)
    upper, lower = pairs[:, :, 0][:, :, _UPPER], pairs[:, :, 1][:, :, _LOWER]
    out = upper[..., :1, :] + lower
    np.minimum(out, upper[..., 1:, :] + lower[..., ::-1, :], out=out)
    return out.reshape(6, 2, 2, 4, 2, 2, n)


def _convolved(a: Costs, b: Costs) -> Costs:
    """``min over s of a_s + b_(s + r)`` for all states ``r`` of ``Z_2 x Z_2``, the axes before the last."""
    out = a[..., :1, :1, :] + b
    term = np.empty_like(out)
    for s in ((0, 1), (1, 0), (1, 1)):
        own = a[..., s[0] : s[0] + 1, s[1] : s[1] + 1, :]
        np.add(own, b[..., :: 1 - 2 * s[0], :: 1 - 2 * s[1], :], out=term)
        np.minimum(out, term, out=out)
    return out


def _word_costs(columns: Costs, target: int, *, out: Costs) -> None:
    """Least cost of each hexacode word at a total state (top bits, parity of z)."""
    n = columns.shape[-1]
    pairs = [
        _convolved(columns[2 * j][:, None], columns[2 * j + 1][None]).reshape(16, 2, 2, n)
        for j in range(3)
    ]
    joined = _convolved(pairs[1][_PAIRS[1]], pairs[2][_PAIRS[2]]).reshape(64, 4, n)
    first = pairs[0].reshape(16, 4, n)[_PAIRS[0]]
    # What the first pair leaves open, the other two must make up: state ``s ^ target``.
    first += joined[:, np.arange(4) ^ target]
    np.min(first, axis=1, out=out)


def _coset(squares: Array, word: Whole) -> tuple[Whole, Whole]:
    """``t + 2 c`` and ``t`` of the nearest coset of ``4 D24`` within the class of a word."""
    n = len(word)
    t, parity, symbols = word // 128, word // 64 % 2, HEXACODE[word % 64]
    bits = COLUMN_PATTERNS[parity[:, None], symbols]  # point, column, top bit, row
    point, column, row = (
        np.arange(n)[:, None, None, None],
        np.arange(6)[:, None, None],
        np.arange(4),
    )
    own = squares[t[:, None, None, None], bits, :, column, row, point]
    costs = own[..., 0, :]
    for i in (1, 2, 3):
        even, odd = own[..., i, :1], own[..., i, 1:]
        costs = np.minimum(costs + even, costs[..., ::-1] + odd)
    tops = _top_bits(costs.reshape(n, 6, 4), 2 * parity + t)
    chosen = np.take_along_axis(bits, tops[:, :, None, None], axis=2)
    return t[:, None] + 2 * chosen.reshape(n, 24), t


def _top_bits(costs: Array, target: Whole) -> Whole:
    """Top bits of the best path through six columns, shape ``(n, 6)``; costs ``(n, 6, state)``."""
    step = np.arange(4)[:, None] ^ np.arange(
        4
    )  # state before, for a state after and a column's own
    reached, choices = costs[:, 0], []
    for j in range(1, 6):
        options = reached[:, step] + costs[:, j, None, :]
        choices.append(np.argmin(options, axis=2))
        reached = np.min(options, axis=2)
    state, tops = target, np.empty((len(costs), 6), dtype=np.int64)
    for j in range(5, 0, -1):
        own = np.take_along_axis(choices[j - 1], state[:, None], axis=1)[:, 0]
        tops[:, j] = own >> 1
        state = state ^ own
    tops[:, 0] = state >> 1
    return tops
