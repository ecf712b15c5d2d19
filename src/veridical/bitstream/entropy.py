"""Arrays of indices as bytes: range coding with static integer frequency tables.

A message is little-endian: CRC-32 of everything after it (4 bytes), number of symbols (4 bytes), and
the 32-bit words of ``constriction``'s range coder. Each symbol is coded with the table of its
*context*, which both sides know (in a one-shot codec: the seed symbol). The frequencies of a table
are whole numbers that sum to 2^20, so that the probabilities handed to the coder, and their partial
sums, are exact in floating point and the same on every machine.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Whole
from veridical.errors import DamagedFile, InvalidSetting

TOTAL = 1 << 20
"""Of the frequencies of every table."""

_HEAD = struct.Struct("<II")


@dataclass(frozen=True)
class FrequencyTables:
    """One frequency table for each context.

    Attributes:
        frequencies: shape ``(contexts, symbols)``, whole, 1 or more; every row sums to 2^20.
    """

    frequencies: Whole = field(repr=False)

    def __post_init__(self) -> None:
        f = self.frequencies
        if f.ndim != 2 or 0 in f.shape or f.dtype != np.int64:
            raise InvalidSetting(
                "frequency tables are whole numbers, one context a row; use from_law"
            )
        if np.any(f < 1) or np.any(np.sum(f, axis=1) != TOTAL):
            raise InvalidSetting(f"frequencies are 1 or more and sum to {TOTAL}; use from_law")

    @classmethod
    def from_law(cls, probabilities: ArrayLike) -> FrequencyTables:
        """Tables from probabilities or counts, shape ``(contexts, symbols)``; no frequency is 0.

        Raises:
            InvalidSetting: negative, not finite or all zero, or more than 2^16 symbols.
        """
        p = np.atleast_2d(np.asarray(probabilities, dtype=np.float64))
        if p.ndim != 2 or not 1 <= p.shape[1] <= 1 << 16 or not np.all(np.isfinite(p) & (p >= 0)):
            raise InvalidSetting(
                f"a law is 1 to 65,536 finite numbers, none negative; got shape {p.shape}"
            )
        sums = np.sum(p, axis=1, keepdims=True)
        if np.any(sums <= 0):
            raise InvalidSetting("a law with nothing but zeros codes no symbol")
        share = p / sums * (TOTAL - p.shape[1])
        f = np.floor(share).astype(np.int64) + 1
        # What rounding down left over goes to the likeliest symbol, where it matters least.
        f[np.arange(f.shape[0]), np.argmax(f, axis=1)] += TOTAL - np.sum(f, axis=1)
        return cls(f)

    def bits(self, symbols: Whole, contexts: Whole) -> float:
        """Ideal code length ``-sum log2 (frequency / 2^20)``; the message is at most 12 bytes longer."""
        return float(-np.sum(np.log2(self.frequencies[contexts, symbols] / TOTAL)))


def seed_key(seed: int, *, common: bool) -> bytes:
    """The seed, where there is common randomness, as the ``key`` of a message, so that a forgotten one is noticed."""
    return int(seed).to_bytes(8, "little") if common else b""


def encode_symbols(
    symbols: ArrayLike, contexts: ArrayLike, tables: FrequencyTables, key: bytes = b""
) -> bytes:
    """Code symbols, each with the table of its context.

    Args:
        symbols: shape ``(n,)``, whole, 0 to ``tables``' number of symbols less 1.
        contexts: shape ``(n,)``, whole, likewise; not stored.
        tables: the same at the decoder.
        key: what the decoder must know besides, such as a seed; part of the checksum, not stored.

    Raises:
        InvalidSetting: shapes differ, or a number outside its range.
    """
    s, c = _checked(symbols, tables.frequencies.shape[1], "symbols"), _contexts(contexts, tables)
    if s.shape != c.shape:
        raise InvalidSetting(f"{s.size} symbols with {c.size} contexts; give one context a symbol")
    import constriction

    coder = constriction.stream.queue.RangeEncoder()
    models = Models(tables)
    for context, places in _by_context(c, tables):
        coder.encode(s[places].astype(np.int32), models[context])
    words = np.asarray(coder.get_compressed(), dtype="<u4").tobytes()
    payload = struct.pack("<I", s.size) + words
    return struct.pack("<I", zlib.crc32(key + payload)) + payload


def decode_symbols(
    data: bytes, contexts: ArrayLike, tables: FrequencyTables, key: bytes = b""
) -> Whole:
    """What :func:`encode_symbols` coded, shape ``(n,)``.

    Args:
        data: the message.
        contexts: shape ``(n,)``, the same as at the encoder.
        tables: the same as at the encoder.
        key: likewise.

    Raises:
        DamagedFile: the message is truncated, altered, or holds another number of symbols.
        InvalidSetting: a context outside the tables.
    """
    c = _contexts(contexts, tables)
    if len(data) < _HEAD.size or len(data) % 4:
        raise DamagedFile(
            f"a message has 8 bytes or more, a multiple of 4; this one has {len(data)}; "
            "was it cut off?"
        )
    check, count = _HEAD.unpack_from(data)
    if zlib.crc32(key + data[4:]) != check:
        raise DamagedFile(
            "the checksum of the message does not match; was it coded with another seed? Otherwise fetch it again"
        )
    if count != c.size:
        raise DamagedFile(
            f"the message holds {count} symbols, and {c.size} contexts were given; "
            "decode it with the number of samples it was made from"
        )
    import constriction

    coder = constriction.stream.queue.RangeDecoder(
        np.frombuffer(data, dtype="<u4", offset=_HEAD.size).astype(np.uint32)
    )
    out, models = np.zeros(count, dtype=np.int64), Models(tables)
    try:
        for context, places in _by_context(c, tables):
            out[places] = coder.decode(models[context], places.size)
    except AssertionError as cause:  # the coder's own word for words that no symbols lead to
        raise DamagedFile(f"the message was not made with these tables: {cause}") from cause
    return out


def _by_context(contexts: Whole, tables: FrequencyTables) -> list[tuple[int, Whole]]:
    """As :func:`places_of`; none where one symbol is no news."""
    return [] if tables.frequencies.shape[1] == 1 else places_of(contexts)


def places_of(numbers: Whole) -> list[tuple[int, Whole]]:
    """Places of each number that occurs, none below 0, in rising order."""
    if numbers.size == 0:
        return []
    # Sorting 16-bit keys stably is a radix sort, several times faster than sorting 64-bit ones.
    keys = numbers.astype(np.uint16) if numbers.max() < 1 << 16 else numbers
    order = np.argsort(keys, kind="stable")
    values, starts = np.unique(numbers[order], return_index=True)
    return list(zip(values.tolist(), np.split(order, starts[1:]), strict=True))


class Models(dict[int, object]):
    """The coder's models by context, made when first asked for."""

    def __init__(self, tables: FrequencyTables) -> None:
        super().__init__()
        self._frequencies = tables.frequencies

    def __missing__(self, context: int) -> object:
        import constriction

        model = constriction.stream.model.Categorical(
            self._frequencies[context] / TOTAL, perfect=False
        )
        self[context] = model
        return model


def _contexts(contexts: ArrayLike, tables: FrequencyTables) -> Whole:
    return _checked(contexts, tables.frequencies.shape[0], "contexts")


def _checked(values: ArrayLike, count: int, name: str) -> Whole:
    array = np.asarray(values)
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise InvalidSetting(f"{name} are a list of whole numbers, not {array.dtype} {array.shape}")
    if np.any(array < 0) or np.any(array >= count):
        raise InvalidSetting(f"{name} run from 0 to {count - 1}; one is outside")
    return array.astype(np.int64)
