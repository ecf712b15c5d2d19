"""Chunks of a ``.vdc`` file: length, four letters, data, CRC-32, all little-endian.

A capital first letter says that a reader must know the chunk to make sense of the file; a small
one, that it may be skipped. The CRC-32 covers letters and data.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from veridical.errors import DamagedFile

__all__ = ["OVERHEAD", "Chunk", "next_whole_chunk", "read_chunk", "write_chunk"]

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


def next_whole_chunk(data: memoryview, at: int, kinds: tuple[str, ...]) -> int | None:
    """Where the next undamaged chunk of a known kind begins, at ``at`` or later; None if nowhere.

    Looks at the letters first and computes checksums of at most four times the file's length in
    all, so that a file made of false beginnings costs no more time than a long one.
    """
    budget = 4 * len(data)
    for place in _beginnings(bytes(data[at:]), kinds):
        length, _ = _HEAD.unpack_from(data, at + place)
        if length > len(data) - at - place - OVERHEAD:
            continue
        budget -= length + OVERHEAD
        if budget < 0:
            return None
        try:
            read_chunk(data, at + place)
        except DamagedFile:
            continue
        return at + place
    return None


def _beginnings(data: bytes, kinds: tuple[str, ...]) -> Iterator[int]:
    """Places four bytes before one of the names, in rising order."""
    names = [k.encode("ascii") for k in kinds]
    found = {name: data.find(name, 4) for name in names}
    while True:
        open_places = {name: place for name, place in found.items() if place >= 0}
        if not open_places:
            return
        name = min(open_places, key=lambda n: open_places[n])
        yield found[name] - 4
        found[name] = data.find(name, found[name] + 1)
