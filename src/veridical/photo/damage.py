"""JPEG and WebP files that cost too much to open, or that end early.

A picture is refused by counts before a decoder sees it: scans, bytes of metadata and bytes between
the segments of a JPEG file each cost time of their own, whatever the number of pixels. What is
there of a file that was cut can be completed so that an ordinary decoder accepts it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from veridical.errors import DamagedFile
from veridical.photo.jpeg_header import ALONE, segments

MOST_SCANS = 100
"""Scans of a JPEG file; encoders write 1 to 13, and each passes over the whole picture."""

MOST_METADATA = 16 << 20
"""Bytes in the segments of a JPEG file outside its scans: the largest colour profile fits in."""

MOST_FILL = 1 << 16
"""Bytes between the segments of a JPEG file, where there should be none."""

_MOST_MISSING = 16
"""A chunk of a WebP file may claim at most this many times the bytes that are there."""


def is_jpeg(data: bytes) -> bool:
    """Whether a file begins as a JPEG file does."""
    return data[:3] == b"\xff\xd8\xff"


def is_webp(data: bytes) -> bool:
    """Whether a file begins as a WebP file does."""
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


@dataclass(frozen=True)
class _Walk:
    """Counts of a JPEG file.

    Attributes:
        scans: Scans that are begun.
        metadata: Bytes in other segments.
        fill: Bytes between segments, and fill bytes behind scans.
        whole: Where the last segment that is whole, or the data of the last scan, ends.
        ended: Whether the end-of-image marker was found.
    """

    scans: int
    metadata: int
    fill: int
    whole: int
    ended: bool


def _walk(data: bytes) -> _Walk:
    """One pass, linear in the length of the file."""
    pos, scans, metadata, fill, in_scan = 2, 0, 0, 0, False
    for marker, at, end in segments(data):
        fill += 2 * data.count(b"\xff\xff", pos, at + 2) if in_scan else at - pos
        if marker == 0xD9 or end > len(data):
            ended = marker == 0xD9
            return _Walk(scans, metadata, fill, end if ended else at, ended)
        in_scan = marker == 0xDA
        scans += in_scan
        metadata += 0 if in_scan or marker in ALONE else end - at
        pos = end
    if not in_scan:
        fill += len(data) - pos
    return _Walk(scans, metadata, fill, len(data) if in_scan else pos, ended=False)


def check_jpeg(data: bytes, name: str) -> None:
    """Refuse a JPEG file whose segments cost far more than its pixels.

    Raises:
        DamagedFile: More scans, metadata or bytes between segments than any encoder writes.
    """
    walk = _walk(data)
    for found, most, what in (
        (walk.scans, MOST_SCANS, "scans"),
        (walk.metadata, MOST_METADATA, "bytes of metadata"),
        (walk.fill, MOST_FILL, "bytes between its segments"),
    ):
        if found > most:
            raise DamagedFile(
                f"{name} has {found:,} {what}, and {most:,} is the limit; it was made to take long, or is "
                "damaged: open it with the program that wrote it and save it again"
            )


def completed(data: bytes) -> bytes | None:
    """A JPEG or WebP file that ends early, completed so that a decoder shows what is there.

    A JPEG file gets its end-of-image marker, behind the last segment that is whole. The VP8 chunk of a WebP
    file is filled with zeros, which its entropy code (RFC 6386, section 13) reads as "no coefficients".

    Returns:
        None if the file is whole, of another format, or without data of a lossy picture.
    """
    if is_jpeg(data):
        walk = _walk(data)
        return None if walk.ended or not walk.scans else data[: walk.whole] + b"\xff\xd9"
    return _completed_webp(data) if is_webp(data) else None


def _completed_webp(data: bytes) -> bytes | None:
    """As :func:`completed`; whole chunks of metadata are kept, one that is cut is left out."""
    pos, picture = 12, False
    while pos + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, pos)
        there = len(data) - pos - 8
        if size > there:
            if kind != b"VP8 ":
                break
            if not there or size > _MOST_MISSING * there:
                return None
            return _riff(data + bytes(size + (size & 1) - there))
        picture |= kind in (b"VP8 ", b"VP8L", b"ANMF")
        pos += 8 + size + (size & 1)
    whole = struct.unpack_from("<I", data, 4)[0] + 8 <= len(data)
    return None if whole or not picture else _riff(data[:pos] + bytes(max(0, pos - len(data))))


def _riff(data: bytes) -> bytes:
    """The file with the length that it has."""
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]
