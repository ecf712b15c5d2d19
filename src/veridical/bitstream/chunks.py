"""Chunks of a ``.vdc`` file: length, four letters, data, CRC-32, all little-endian.

A capital first letter says that a reader must know the chunk to make sense of the file; a small
one, that it may be skipped. The CRC-32 covers letters and data.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass

from veridical.errors import DamagedFile

OVERHEAD = 12
"""Bytes of a chunk besides its data."""

_HEAD = struct.Struct("<I4s")
_CHECK = struct.Struct("<I")


@dataclass(frozen=True)
class Chunk:
    """One chunk.

    Attributes:
        kind: Its four letters.
        data: Its data, a view into the file.
        end: Where the next chunk begins.
    """

    kind: str
    data: memoryview
    end: int

    @property
    def critical(self) -> bool:
        """Whether a reader must know it."""
        return self.kind[0].isupper()


def write_chunk(kind: str, data: bytes) -> bytes:
    """The bytes of a chunk."""
    letters = kind.encode("ascii")
    check = zlib.crc32(data, zlib.crc32(letters))
    return _HEAD.pack(len(data), letters) + data + _CHECK.pack(check)


def read_chunk(data: memoryview, at: int) -> Chunk:
    """The chunk at a place; nothing is copied.

    Raises:
        DamagedFile: It is cut off, has no name, or its checksum differs.
    """
    left = len(data) - at
    if left < OVERHEAD:
        raise DamagedFile(
            f"needed a chunk of {OVERHEAD} bytes or more at offset {at}, found {left}; "
            "is the download complete?"
        )
    length, letters = _HEAD.unpack_from(data, at)
    if not (letters.isalpha() and letters.isascii()):
        raise DamagedFile(f"no chunk begins at offset {at}; the file was altered, fetch it again")
    kind = letters.decode("ascii")
    if length > left - OVERHEAD:
        raise DamagedFile(
            f"chunk {kind} at offset {at} has {length:,} bytes, found {left - OVERHEAD:,}; "
            "is the download complete?"
        )
    body = data[at + 8 : at + 8 + length]
    (check,) = _CHECK.unpack_from(data, at + 8 + length)
    if zlib.crc32(body, zlib.crc32(letters)) != check:
        raise DamagedFile(
            f"the checksum of chunk {kind} at offset {at} does not match; fetch the file again"
        )
    return Chunk(kind, body, at + OVERHEAD + length)


class ChunkFinder:
    """Finds undamaged chunks of known kinds behind damage, in time proportional to the file.

    Looks at the letters first and computes checksums of at most four times the file's length in
    all, so that a file made of false beginnings costs no more time than a long one.
    """

    def __init__(self, data: memoryview, kinds: tuple[str, ...]) -> None:
        self._data, self._budget, self._first = data, 4 * len(data), 0
        self._names = re.compile(b"|".join(kind.encode("ascii") for kind in kinds))

    def next(self, at: int) -> int | None:
        """Where the next one begins, at ``at`` or later; None if nowhere. Places only rise."""
        for match in self._names.finditer(self._data, max(self._first, at + 4)):
            place = match.start() - 4
            self._first = match.start()
            length, _ = _HEAD.unpack_from(self._data, place)
            if length > len(self._data) - place - OVERHEAD:
                continue
            self._budget -= length + OVERHEAD
            if self._budget < 0:
                return None
            try:
                read_chunk(self._data, place)
            except DamagedFile:
                continue
            return place
        return None
