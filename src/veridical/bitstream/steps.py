"""Symbols coded in steps, where the contexts of a step depend on the symbols of those before it.

One message: CRC-32 of the rest (4 bytes), number of symbols (4), number of words (4), the 32-bit words of
``constriction``'s range coder, and whatever bytes the caller adds. Tables and exactness are those of
:mod:`veridical.bitstream.entropy`.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Whole
from veridical.bitstream.entropy import FrequencyTables, Models, places_of
from veridical.errors import DamagedFile, InvalidSetting

_HEAD = struct.Struct("<III")


def encode_steps(
    steps: Iterable[tuple[Whole, Whole]],
    tables: FrequencyTables,
    extra: bytes = b"",
    key: bytes = b"",
) -> bytes:
    """Code the symbols of each step, each with the table of its context.

    Args:
        steps: pairs of symbols and contexts, shape ``(n,)`` each.
        tables: the same at the decoder.
        extra: bytes to carry after the words.
        key: what the decoder must know besides, such as a seed; part of the checksum, not stored.

    Raises:
        InvalidSetting: a symbol or context outside the tables, or shapes that differ.
    """
    import constriction

    coder, count = constriction.stream.queue.RangeEncoder(), 0
    models = Models(tables)
    for symbols, contexts in steps:
        _check(symbols, contexts, tables)
        count += symbols.size
        for context, places in places_of(contexts):
            coder.encode(symbols[places].astype(np.int32), models[context])
    words = np.asarray(coder.get_compressed(), dtype="<u4")
    payload = struct.pack("<II", count, words.size) + words.tobytes() + extra
    return struct.pack("<I", zlib.crc32(key + payload)) + payload


class StepDecoder:
    """Reads what :func:`encode_steps` wrote, step by step.

    Attributes:
        count: number of symbols in the message.
        extra: the bytes that the caller added.
    """

    def __init__(self, data: bytes, tables: FrequencyTables, key: bytes = b"") -> None:
        """Check the message.

        Raises:
            DamagedFile: it is truncated or altered.
        """
        import constriction

        if len(data) < _HEAD.size:
            raise DamagedFile(
                f"a message has {_HEAD.size} bytes or more, this one has {len(data)}; was it cut off?"
            )
        check, self.count, words = _HEAD.unpack_from(data)
        if zlib.crc32(key + data[4:]) != check or _HEAD.size + 4 * words > len(data):
            raise DamagedFile(
                "the checksum of the message does not match; was it coded with another seed? Otherwise fetch it again"
            )
        body = np.frombuffer(data, dtype="<u4", offset=_HEAD.size, count=words).astype(np.uint32)
        self.extra = data[_HEAD.size + 4 * words :]
        self._coder = constriction.stream.queue.RangeDecoder(body)
        self._models = Models(tables)

    def step(self, contexts: ArrayLike) -> Whole:
        """The symbols of the next step, shape ``(n,)``.

        Raises:
            DamagedFile: the words fit no symbols of these tables.
        """
        c = np.asarray(contexts, dtype=np.int64)
        out = np.zeros(c.size, dtype=np.int64)
        for context, places in places_of(c):
            try:
                out[places] = self._coder.decode(self._models[context], places.size)
            # The coder's own word for words that no symbols lead to.
            except AssertionError as cause:
                raise DamagedFile(f"the message was not made with these tables: {cause}") from cause
        return out


def _check(symbols: Whole, contexts: Whole, tables: FrequencyTables) -> None:
    rows, columns = tables.frequencies.shape
    if symbols.shape != contexts.shape or symbols.ndim != 1:
        raise InvalidSetting(f"{symbols.size} symbols with {contexts.size} contexts; give as many")
    for values, most, name in ((symbols, columns, "symbols"), (contexts, rows, "contexts")):
        if values.size and not (values.min() >= 0 and values.max() < most):
            raise InvalidSetting(f"{name} run from 0 to {most - 1}; one is outside")
