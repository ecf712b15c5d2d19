"""Common randomness: words that the two sides of a code agree on from a seed of 64 bits.

The words are those of **Philox4x64-10** (Salmon, Moraes, Dror and Shaw, *Parallel random numbers:
as easy as 1, 2, 3*, 2011), a keyed bijection of 256-bit counters that is defined in integers:

    words 4b .. 4b+3 of stream t of seed s  =  Philox4x64-10(counter = (b, 0, 0, 0), key = (s, t)).

Because a word is a function of its place, a stream is entered anywhere without generating what
comes before, and different streams never share a word. The rounds run in numpy's ``Philox`` bit
generator: its stream of raw 64-bit words for a given key and counter is part of numpy's
compatibility guarantee (NEP 19; only its *distributions* may change, and none is used here), it
involves no floating-point arithmetic, and the tests hold it against the published known answers
of Random123 and against the definition in Python integers. What follows from the words, here, is
integer arithmetic and one exact conversion, so that nothing depends on the machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.arrays import whole_number
from veridical.errors import InvalidSetting

__all__ = ["random_choices", "random_rows", "random_symbols", "random_uniforms", "random_words"]

_WORD = 1 << 64
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)

# The constants of Philox4x64 (Random123), for many streams at once.
_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_KEY_STEPS = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_ROUNDS = 10
# From this length on it pays to set numpy's generator to each stream in turn (1.5 us a stream).
_LONG_ROW = 96


def random_words(seed: int, n: int, *, stream: int = 0, first: int = 0) -> NDArray[np.uint64]:
    """Words ``first .. first + n - 1`` of a stream, uniform on ``0 .. 2^64 - 1``.

    Args:
        seed: the common randomness, 0 to 2^64 - 1.
        n: how many words, 0 or more.
        stream: independent streams of one seed, 0 to 2^64 - 1.
        first: place of the first word, 0 or more; ``first + n`` at most 2^64.

    Returns:
        Shape ``(n,)``. Element ``i`` equals element ``i + first`` of a call with ``first=0``.

    Raises:
        InvalidSetting: an argument is not a whole number in its range.
    """
    key = [whole_number(seed, "seed", 0, _WORD - 1), whole_number(stream, "stream", 0, _WORD - 1)]
    start = whole_number(first, "first", 0, _WORD)
    count = whole_number(n, "n", 0, _WORD - start)
    block, skip = divmod(start, 4)
    # numpy adds one to the counter before it makes a block, so that it is set one block back.
    philox = np.random.Philox(key=np.array(key, dtype=np.uint64), counter=(block - 1) % (1 << 256))
    if skip:
        philox.random_raw(skip, output=False)
    return philox.random_raw(count)


def random_rows(
    seed: int, streams: ArrayLike, n: int, *, first: ArrayLike = 0
) -> NDArray[np.uint64]:
    """Words ``first .. first + n - 1`` of many streams at once.

    Args:
        seed: the common randomness, 0 to 2^64 - 1.
        streams: numbers of the streams, shape ``(m,)``, unsigned.
        n: how many of each, 0 or more.
        first: place of the first word, one for all or shape ``(m,)``; whole, 0 or more;
            ``first + n`` at most 2^63.

    Returns:
        Shape ``(m, n)``; row ``j`` equals ``random_words(seed, n, stream=streams[j], first=first[j])``.

    Raises:
        InvalidSetting: an argument is not a whole number in its range.
    """
    key, count = whole_number(seed, "seed", 0, _WORD - 1), whole_number(n, "n", 0, 1 << 62)
    rows = np.asarray(streams)
    if rows.ndim != 1 or (rows.dtype != np.uint64 and rows.size):
        raise InvalidSetting(f"streams are a list of uint64, not {rows.dtype} {rows.shape}")
    start = np.asarray(first)
    whole = start.size == 0 or (
        np.issubdtype(start.dtype, np.integer)
        and int(start.min()) >= 0
        and int(start.max()) <= (1 << 63) - count
    )
    if not whole or start.shape not in {(), rows.shape}:
        raise InvalidSetting("first must be one place of 0 or more, or one for each stream")
    if rows.size == 0 or count == 0:
        return np.zeros((rows.size, count), dtype=np.uint64)
    place = np.broadcast_to(start.astype(np.uint64), rows.shape)
    if count >= _LONG_ROW:
        return _rows_in_turn(key, rows, count, place)
    return _rows_together(key, rows, count, place)


def random_symbols(
    seed: int, n: int, size: int, *, stream: int = 0, first: int = 0
) -> NDArray[np.int64]:
    """Symbols on ``0 .. size - 1``: ``floor(word * size / 2^64)``, one word each.

    Each symbol's probability is within ``2^-64`` of ``1/size``, and exact for powers of two.

    Args:
        seed: the common randomness, 0 to 2^64 - 1.
        n: how many, 0 or more.
        size: number of symbols, 1 to 2^63.
        stream: independent streams of one seed.
        first: place of the first symbol in the stream.

    Returns:
        Shape ``(n,)``.

    Raises:
        InvalidSetting: an argument is not a whole number in its range.
    """
    symbols = whole_number(size, "size", 0, 1 << 63)
    if symbols == 0:
        raise InvalidSetting("size is 0; a symbol needs an alphabet of 1 or more")
    words = random_words(seed, n, stream=stream, first=first)
    if symbols == 1:
        return np.zeros(words.shape, dtype=np.int64)
    if symbols & (symbols - 1) == 0:
        words >>= np.uint64(65 - symbols.bit_length())
        return words.view(np.int64)
    return _high_product(words, symbols).view(np.int64)


def random_choices(seed: int, n: int, shares: ArrayLike, *, stream: int = 0) -> NDArray[np.int64]:
    """Symbols with probabilities in whole proportions: ``k`` with ``shares[k] / sum(shares)``.

    Args:
        seed: the common randomness, 0 to 2^64 - 1.
        n: how many, 0 or more.
        shares: whole numbers of 1 or more, shape ``(K,)``, of sum at most 2^62. All equal to 1,
            the symbols are those of :func:`random_symbols`.
        stream: independent streams of one seed.

    Returns:
        Shape ``(n,)``; a symbol a word.

    Raises:
        InvalidSetting: an argument is not a whole number in its range.
    """
    counts = np.asarray(shares)
    if counts.ndim != 1 or counts.size == 0 or counts.dtype.kind not in "iu" or counts.min() < 1:
        raise InvalidSetting(f"shares are a list of whole numbers of 1 or more, got {shares!r}")
    ends = np.cumsum(counts)
    symbols = random_symbols(seed, n, int(ends[-1]), stream=stream)
    return np.asarray(np.searchsorted(ends, symbols, side="right"), dtype=np.int64)


def random_uniforms(seed: int, n: int, *, stream: int = 0, first: int = 0) -> NDArray[np.float64]:
    """Multiples of ``2^-53`` in ``[0, 1)``: ``floor(word / 2^11) * 2^-53``, one word each.

    Args:
        seed: the common randomness, 0 to 2^64 - 1.
        n: how many, 0 or more.
        stream: independent streams of one seed.
        first: place of the first number in the stream.

    Returns:
        Shape ``(n,)``; every conversion is exact.

    Raises:
        InvalidSetting: an argument is not a whole number in its range.
    """
    words = random_words(seed, n, stream=stream, first=first)
    words >>= np.uint64(11)
    uniforms = words.view(np.int64).astype(np.float64)
    uniforms *= 2.0**-53
    return uniforms


def _rows_in_turn(
    seed: int, streams: NDArray[np.uint64], n: int, first: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """Each stream by numpy's generator, which is set to its place; for long rows."""
    philox = np.random.Philox(key=np.array([seed, 0], dtype=np.uint64))
    state: Any = philox.state
    out = np.empty((streams.size, n), dtype=np.uint64)
    for row, stream, place in zip(out, streams, first.tolist(), strict=True):
        block, skip = divmod(place, 4)
        # As in random_words, the counter stands one block back, here modulo 2^256 by hand.
        before = (block - 1) % (1 << 256)
        state["state"]["key"][1] = stream
        state["state"]["counter"][:] = [before >> s & (_WORD - 1) for s in (0, 64, 128, 192)]
        philox.state = state
        row[:] = philox.random_raw(n + skip)[skip:]
    return out


def _rows_together(
    seed: int, streams: NDArray[np.uint64], n: int, first: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """All streams by the definition of Philox4x64-10 in arrays; for short rows."""
    skip = (first & np.uint64(3)).astype(np.int64)
    blocks = (int(skip.max()) + n + 3) // 4
    counter = (first >> np.uint64(2))[:, None] + np.arange(blocks, dtype=np.uint64)
    x = [counter, np.zeros_like(counter), np.zeros_like(counter), np.zeros_like(counter)]
    key, other = seed, np.broadcast_to(streams[:, None], counter.shape).copy()
    for _ in range(_ROUNDS):
        x = [
            _high_product(x[2], _MULTIPLIERS[1]) ^ x[1] ^ np.uint64(key),
            x[2] * np.uint64(_MULTIPLIERS[1]),
            _high_product(x[0], _MULTIPLIERS[0]) ^ x[3] ^ other,
            x[0] * np.uint64(_MULTIPLIERS[0]),
        ]
        key = (key + _KEY_STEPS[0]) % _WORD
        other += np.uint64(_KEY_STEPS[1])
    words = np.stack(x, axis=2).reshape(streams.size, 4 * blocks)
    if not np.any(skip):
        return words[:, :n]
    return np.take_along_axis(words, skip[:, None] + np.arange(n), axis=1)


def _high_product(words: NDArray[np.uint64], factor: int) -> NDArray[np.uint64]:
    """Upper 64 bits of the 128-bit products, by 32-bit halves; no sum exceeds 64 bits."""
    upper, lower = np.uint64(factor >> 32), np.uint64(factor & 0xFFFFFFFF)
    high, low = words >> _HALF, words & _LOW
    middle = high * lower + (low * lower >> _HALF)
    if not upper:
        return middle >> _HALF
    return high * upper + (middle >> _HALF) + ((low * upper + (middle & _LOW)) >> _HALF)
