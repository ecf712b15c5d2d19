"""AVIF: what its headers say of its quantization (``base_q_idx`` of the AV1 frame header), and how it is written.

The frame is found through the boxes (:mod:`veridical.photo.avif_boxes`); its header is read as far as the quantizer (AV1
specification, sections 5.5, 5.9, 5.9.12).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from veridical.notices import Notice
from veridical.photo.avif_boxes import is_avif, read_avif_item
from veridical.photo.formats.av1_grain import (
    Bits,
    ColourConfig,
    FilmGrain,
    read_colour_config,
    read_grain,
)
from veridical.photo.formats.av1_palette import PaletteBlocks
from veridical.photo.formats.conventional import CodedPayload, ConventionalFormat

_GRAIN = "asks its decoder for film grain: realism 0 leaves it out, realism 1 has it, and the price counts it"


def read_avif(data: bytes) -> CodedPayload:
    """Payload of an AVIF file; the quantizer is AV1's ``base_q_idx`` over 255."""
    item = read_avif_item(data)
    if not item.coded:
        return CodedPayload(max(1, len(data)), None)
    frame = read_frame(item.coded)
    return CodedPayload(
        len(item.coded),
        None if frame is None else frame.base_q_idx / 255,
        chroma_full=item.chroma_full,
        grey=item.grey,
        remarks=() if frame is None or frame.grain is None else (_GRAIN,),
    )


def regrained(data: bytes, seed: int | None) -> bytes | None:
    """The same file with other film grain; None if it has none, or none that can be reached.

    The numbers of the grain table have fixed widths, so that they are changed where they stand.

    Args:
        data: A whole file.
        seed: Changes the grain, which seed 0 leaves as it is; None gives it no strength.
    """
    item = read_avif_item(data)
    frame = read_frame(item.coded)
    if frame is None or frame.grain is None or item.start is None:
        return None
    grain, first = frame.grain, 8 * (item.start + frame.start)
    own = sum((seed or 0) >> k for k in (0, 16, 32, 48)) + grain.seed & 0xFFFF
    new = [(grain.seed_at, 16, own or grain.seed)]  # a shift register of zeros stands still
    if seed is None:
        new += [(at, 8, 0) for at in grain.strengths_at]
    end = first + max(at + n for at, n, _ in new) + 7 >> 3
    head = int.from_bytes(data[:end], "big")
    for at, n, value in new:
        shift = 8 * end - first - at - n
        head = head & ~((1 << n) - 1 << shift) | value << shift
    return head.to_bytes(end, "big") + data[end:]


@dataclass(frozen=True)
class Frame:
    """What the header of a key frame says.

    Attributes:
        base_q_idx: The quantizer, 0 to 255.
        grain: Film grain that the decoder lays on; None without.
        start: Where the header begins in the item.
    """

    base_q_idx: int
    grain: FilmGrain | None
    start: int = 0


def read_frame(coded: bytes) -> Frame | None:
    """The first key frame of a coded item; None for what is not covered. Never raises."""
    try:
        return _first_frame(coded)
    except (IndexError, ValueError):
        return None


def _first_frame(coded: bytes) -> Frame | None:
    pos, sequence = 0, None
    while pos < len(coded):
        header = coded[pos]
        kind, extension, has_size = header >> 3 & 15, header >> 2 & 1, header >> 1 & 1
        pos += 1 + extension
        size = len(coded) - pos
        if has_size:
            size, pos = _leb128(coded, pos)
        if kind == 1:
            sequence = _sequence_header(Bits(coded[pos : pos + size]))
        elif kind in (3, 6) and sequence is not None:
            frame = _frame_header(Bits(coded[pos : pos + size]), sequence)
            return None if frame is None else replace(frame, start=pos)
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
    colour: ColourConfig


def _sequence_header(b: Bits) -> _Sequence | None:
    profile = b.f(3)
    b.f(1)  # still_picture
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
        read_colour_config(b, profile),
    )


def _frame_header(b: Bits, s: _Sequence) -> Frame | None:
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
    block_copy = bool(screen and upscaled == width and b.f(1))
    if not s.reduced and not disable_cdf_update:
        b.f(1)
    if not _skip_tile_info(b, width, height, superblock_128=s.superblock_128):
        return None
    index = b.f(8)
    try:
        grain = read_grain(
            b,
            s.colour,
            index,
            block_copy=block_copy,
            superres=upscaled != width,
            wide=s.superblock_128,
        )
    except IndexError:
        grain = None
    return Frame(index, grain)


def _tile_log2(block: int, target: int) -> int:
    k = 0
    while block << k < target:
        k += 1
    return k


def _skip_tile_info(b: Bits, width: int, height: int, *, superblock_128: bool) -> bool:
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


def _prepare(image: Image.Image, notice: Notice) -> tuple[Image.Image, dict[str, Any]]:
    del notice
    if image.mode != "LA":
        return image, {}
    out = image.convert("RGBA")
    out.info = image.info
    return out, {}


AVIF = ConventionalFormat(
    name="AVIF",
    suffixes=(".avif",),
    pillow_names=("AVIF",),
    signature=is_avif,
    read_payload=read_avif,
    read_cells=lambda data, pixels: PaletteBlocks.read(pixels),
    regrained=regrained,
    prepare=_prepare,
    largest_side=32_768,
)
