"""Where the picture of an AVIF file is, and how it is stored: ISO base media boxes.

``pitm`` names the primary item, ``iloc`` its place, ``iprp`` its properties (ISO/IEC 14496-12 and 23008-12).
Damaged input never raises: what is not covered is left out.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass


def is_avif(head: bytes) -> bool:
    """Whether a file begins as an AVIF file does."""
    return head[4:8] == b"ftyp" and any(brand in head[8:64] for brand in (b"avif", b"avis"))


def boxes(data: bytes, start: int, end: int) -> list[tuple[bytes, int, int]]:
    """(name, start, end) of the contents of the boxes between two places; none behind a damaged one."""
    out = []
    while start + 8 <= end:
        size, name = struct.unpack(">I4s", data[start : start + 8])
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", data[start + 8 : start + 16])[0], 16
        elif size == 0:
            size = end - start
        if size < head or start + size > end:
            break
        out.append((name, start + head, start + size))
        start += size
    return out


def _uint(data: bytes, pos: int, n: int) -> int:
    if pos + n > len(data):
        raise IndexError
    return int.from_bytes(data[pos : pos + n], "big")


@dataclass(frozen=True)
class AvifItem:
    """The primary picture of an AVIF file.

    Attributes:
        coded: Its bytes; empty if the file does not say plainly where they are.
        start: Where they begin in the file; None if they lie in several places.
        chroma_full: Whether colour is coded at full resolution.
        depth: Bits a sample.
        grey: Whether lightness alone is coded.
    """

    coded: bytes = b""
    start: int | None = None
    chroma_full: bool = False
    depth: int = 8
    grey: bool = False


def read_avif_item(data: bytes) -> AvifItem:
    """The primary picture; what is not covered is left at its default. Never raises."""
    try:
        return _primary_item(data)
    except (IndexError, KeyError, struct.error, ValueError):
        return AvifItem()


def _primary_item(data: bytes) -> AvifItem:
    meta = next((b for b in boxes(data, 0, len(data)) if b[0] == b"meta"), None)
    if meta is None:
        return AvifItem()
    inner = {name: (s, e) for name, s, e in boxes(data, meta[1] + 4, meta[2])}
    pitm, iloc = inner[b"pitm"][0], inner[b"iloc"]
    primary = _uint(data, pitm + 4, 4 if data[pitm] else 2)
    spans = _iloc_spans(data, *iloc, primary)
    if not spans or sum(n for _, n in spans) > len(data):  # parts that overlap: not covered
        return AvifItem()
    coded = b"".join(data[s : s + n] for s, n in spans)
    start = spans[0][0] if len(spans) == 1 else None
    properties = {name: (s, e) for name, s, e in boxes(data, *inner.get(b"iprp", (0, 0)))}
    held = boxes(data, *properties.get(b"ipco", (0, 0)))
    own = _associated(data, *properties.get(b"ipma", (0, 0)), primary)
    mine = [held[k - 1] for k in own if 0 < k <= len(held)] + held
    av1c = next((b for b in mine if b[0] == b"av1C"), None)
    if av1c is None:
        return AvifItem(coded, start)
    flags = data[av1c[1] + 2]  # AV1-ISOBMFF, section 2.3.3
    depth = 8 if not flags & 64 else 12 if flags & 32 else 10
    return AvifItem(coded, start, not flags & 12, depth, bool(flags & 16))


def _associated(data: bytes, pos: int, end: int, primary: int) -> list[int]:
    """Numbers of an item's properties, from 1 (``ipma``)."""
    if end - pos < 8:
        return []
    n_ident = 4 if data[pos] else 2
    wide = 1 + (data[pos + 3] & 1)
    pos += 8
    while pos + n_ident + 1 <= end:
        ident, count = _uint(data, pos, n_ident), data[pos + n_ident]
        pos += n_ident + 1
        if ident == primary:
            top = 1 << (8 * wide - 1)  # "essential"
            return [_uint(data, pos + k * wide, wide) & (top - 1) for k in range(count)]
        pos += count * wide
    return []


def _iloc_spans(data: bytes, pos: int, end: int, primary: int) -> list[tuple[int, int]]:
    """Where an item's bytes are, as (start, length); empty if the box does not say it plainly."""
    version = data[pos]
    sizes = _uint(data, pos + 4, 2)
    n_offset, n_length, n_base, n_index = (sizes >> s & 15 for s in (12, 8, 4, 0))
    each = n_offset + n_length + (n_index if version else 0)
    pos += 6
    wide = 4 if version == 2 else 2
    count, pos = _uint(data, pos, wide), pos + wide
    spans = []
    for _ in range(count):
        ident, pos = _uint(data, pos, wide), pos + wide
        if version:
            if _uint(data, pos, 2) & 15:  # data inside another box: not covered
                return []
            pos += 2
        pos += 2
        base, pos = _uint(data, pos, n_base), pos + n_base
        extents, pos = _uint(data, pos, 2), pos + 2
        if pos + extents * each > end:
            raise IndexError
        if ident == primary:
            if extents > 1 and not each:  # many times the whole file
                return []
            at = pos + (n_index if version else 0)
            spans += [
                (base + _uint(data, at + k * each, n_offset), _uint(data, at + k * each + n_offset, n_length))
                for k in range(extents)
            ]  # fmt: skip
        pos += extents * each
    return spans
