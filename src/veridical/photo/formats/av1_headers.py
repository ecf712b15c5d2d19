"""What an AVIF file says about its own quantization: ``base_q_idx`` of the AV1 frame header.

The frame is found through the ``pitm``, ``iloc`` and ``iprp`` boxes (ISO/IEC 14496-12); its header is
read as far as the quantizer (AV1 specification, sections 5.5, 5.9, 5.9.12). As in
:mod:`veridical.photo.formats.payload`, what is not covered gives ``None`` and nothing fails.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from veridical.photo.formats.payload import CodedPayload

__all__ = ["read_avif"]


class _Bits:
    """Most-significant-bit-first reader; reading past the end raises IndexError."""

    def __init__(self, data: bytes) -> None:
        self.data, self.pos = data, 0

    def f(self, n: int) -> int:
        value = 0
        for _ in range(n):
            value = value << 1 | self.data[self.pos >> 3] >> (7 - (self.pos & 7)) & 1
            self.pos += 1
        return value


def read_avif(data: bytes) -> CodedPayload:
    """Payload of an AVIF file; the quantizer is AV1's ``base_q_idx`` over 255."""
    try:
        item = _avif_colour_item(data)
    except (IndexError, KeyError, struct.error, ValueError):
        item = None
    if item is None:
        return CodedPayload(max(1, len(data)), None)
    coded, full = item
    try:
        index = _av1_base_q_idx(coded)
    except (IndexError, ValueError):
        index = None
    quantizer = None if index is None else index / 255
    return CodedPayload(max(1, len(coded)), quantizer, chroma_full=full)


def _boxes(data: bytes, start: int, end: int) -> list[tuple[bytes, int, int]]:
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


def _avif_colour_item(data: bytes) -> tuple[bytes, bool] | None:
    meta = next((b for b in _boxes(data, 0, len(data)) if b[0] == b"meta"), None)
    if meta is None:
        return None
    inner = {name: (s, e) for name, s, e in _boxes(data, meta[1] + 4, meta[2])}
    pitm, iloc = inner[b"pitm"][0], inner[b"iloc"]
    primary = _uint(data, pitm + 4, 4 if data[pitm] else 2)
    spans = _iloc_spans(data, *iloc, primary)
    if not spans or sum(n for _, n in spans) > len(data):  # parts that overlap: not covered
        return None
    coded = b"".join(data[s : s + n] for s, n in spans)
    full = False
    for name, s, e in _boxes(data, *inner.get(b"iprp", (0, 0))):
        if name == b"ipco":
            av1c = next((b for b in _boxes(data, s, e) if b[0] == b"av1C"), None)
            if av1c is not None:
                flags = data[av1c[1] + 2]
                full = not (flags >> 3 & 1 or flags >> 2 & 1)
    return coded, full


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


def _av1_base_q_idx(coded: bytes) -> int | None:
    pos, sequence = 0, None
    while pos < len(coded):
        header = coded[pos]
        kind, extension, has_size = header >> 3 & 15, header >> 2 & 1, header >> 1 & 1
        pos += 1 + extension
        size = len(coded) - pos
        if has_size:
            size, pos = _leb128(coded, pos)
        if kind == 1:
            sequence = _sequence_header(_Bits(coded[pos : pos + size]))
        elif kind in (3, 6) and sequence is not None:
            return _frame_header(_Bits(coded[pos : pos + size]), sequence)
        pos += size
    return None


def _leb128(data: bytes, pos: int) -> tuple[int, int]:
    """A number of at most eight bytes (AV1 specification, section 4.10.5), and where it ends."""
    value = 0
    for k in range(8):
        byte = data[pos + k]
        value |= (byte & 127) << 7 * k
        if not byte & 128:
            return value, pos + k + 1
    raise ValueError


@dataclass(frozen=True)
class _Sequence:
    width: int
    height: int
    superblock_128: bool
    reduced: bool
    force_screen: int
    force_integer_mv: int
    frame_id_bits: int
    order_hint_bits: int
    superres: bool
    width_bits: int
    height_bits: int


def _sequence_header(b: _Bits) -> _Sequence | None:
    b.f(3 + 1)  # profile, still_picture
    reduced = b.f(1)
    if reduced:
        b.f(5)
    else:
        if b.f(1):  # timing information: not covered
            return None
        delay = b.f(1)
        for _ in range(b.f(5) + 1):
            b.f(12)
            if b.f(5) > 7:
                b.f(1)
            if delay and b.f(1):
                b.f(4)
    width_bits, height_bits = b.f(4) + 1, b.f(4) + 1
    width, height = b.f(width_bits) + 1, b.f(height_bits) + 1
    frame_id_bits = 0
    if not reduced and b.f(1):
        frame_id_bits = b.f(4) + 2
        frame_id_bits += b.f(3) + 1
    superblock_128 = bool(b.f(1))
    b.f(2)  # filter_intra, intra_edge_filter
    force_screen = force_integer_mv = 2
    order_hint_bits = 0
    if not reduced:
        b.f(4)
        order_hint = b.f(1)
        if order_hint:
            b.f(2)
        force_screen = 2 if b.f(1) else b.f(1)
        if force_screen:
            force_integer_mv = 2 if b.f(1) else b.f(1)
        if order_hint:
            order_hint_bits = b.f(3) + 1
    superres = bool(b.f(1))
    return _Sequence(
        width,
        height,
        superblock_128,
        bool(reduced),
        force_screen,
        force_integer_mv,
        frame_id_bits,
        order_hint_bits,
        superres,
        width_bits,
        height_bits,
    )


def _frame_header(b: _Bits, s: _Sequence) -> int | None:
    # Only a shown key frame is a still picture; anything else is not covered.
    if not s.reduced and (b.f(1) or b.f(2) != 0 or not b.f(1)):
        return None
    disable_cdf_update = b.f(1)
    screen = b.f(1) if s.force_screen == 2 else s.force_screen
    if screen and s.force_integer_mv == 2:
        b.f(1)
    b.f(s.frame_id_bits)
    override = 0 if s.reduced else b.f(1)
    b.f(s.order_hint_bits)
    width, height = s.width, s.height
    if override:
        width, height = b.f(s.width_bits) + 1, b.f(s.height_bits) + 1
    upscaled = width
    if s.superres and b.f(1):
        denominator = b.f(3) + 9
        width = (upscaled * 8 + denominator // 2) // denominator
    if b.f(1):
        b.f(32)
    if screen and upscaled == width:
        b.f(1)
    if not s.reduced and not disable_cdf_update:
        b.f(1)
    return b.f(8) if _skip_tile_info(b, width, height, superblock_128=s.superblock_128) else None


def _tile_log2(block: int, target: int) -> int:
    k = 0
    while block << k < target:
        k += 1
    return k


def _skip_tile_info(b: _Bits, width: int, height: int, *, superblock_128: bool) -> bool:
    shift = 5 if superblock_128 else 4
    cols = (2 * ((width + 7) >> 3) + (1 << shift) - 1) >> shift
    rows = (2 * ((height + 7) >> 3) + (1 << shift) - 1) >> shift
    max_width, max_area = 4096 >> (shift + 2), 4096 * 2304 >> 2 * (shift + 2)
    log2_cols = min_cols = _tile_log2(max_width, cols)
    min_tiles = max(min_cols, _tile_log2(max_area, rows * cols))
    if not b.f(1):  # non-uniform tiles: not covered
        return False
    while log2_cols < _tile_log2(1, min(cols, 64)) and b.f(1):
        log2_cols += 1
    log2_rows = max(min_tiles - log2_cols, 0)
    while log2_rows < _tile_log2(1, min(rows, 64)) and b.f(1):
        log2_rows += 1
    if log2_cols or log2_rows:
        b.f(log2_cols + log2_rows + 2)
    return True
