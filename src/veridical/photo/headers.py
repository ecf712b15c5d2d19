"""What an everyday file says about its own quantization, read from its headers alone.

The estimator and the generator may condition only on what the decoder has: the decoded picture,
the format, the size of the coded payload, and the quantizer that the encoder wrote down. Pillow
shows the quantizer for JPEG; for WebP and AVIF it stands in the first bytes of the coded frame:

* WebP lossy: the VP8 frame header (RFC 6386, sections 9.2 to 9.6), coded with VP8's boolean coder.
* AVIF: in the AV1 frame header, see :mod:`veridical.photo.avif_headers`.

A reader that meets something it does not cover (a tiled grid, an unusual header) returns ``None``
for the quantizer and never fails: the networks know a state "quantizer unknown".
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

__all__ = ["CodedPayload", "read_jpeg", "read_webp"]


@dataclass(frozen=True)
class CodedPayload:
    """The part of a file that codes the colour picture.

    Attributes:
        n_bytes: Bytes of the coded colour picture, without metadata and alpha.
        quantizer: The quantizer on a scale from 0 (finest) to 1 (coarsest) within its format,
            logarithmic in the step for JPEG and in the codec's own index for WebP and AVIF;
            ``None`` if the headers do not tell.
        chroma_full: Whether colour is coded at full resolution (4:4:4).
        lossless: Whether the format's lossless mode was used.
    """

    n_bytes: int
    quantizer: float | None
    chroma_full: bool = False
    lossless: bool = False


# --------------------------------------------------------------------------------------- JPEG


def read_jpeg(data: bytes) -> CodedPayload:
    """Payload of a JPEG file: scan data, luma quantization table and chroma sampling.

    The quantizer is ``log2(mean luma step) / 8`` for 8-bit tables.
    """
    pos, n_meta, step, full = 2, 0, None, False
    while pos + 4 <= len(data) and data[pos] == 0xFF:
        marker = data[pos + 1]
        if marker == 0xFF:
            pos += 1
            continue
        if marker in (0x01, 0xD8) or 0xD0 <= marker <= 0xD7:
            pos += 2
            continue
        length = struct.unpack(">H", data[pos + 2 : pos + 4])[0]
        body = data[pos + 4 : pos + 2 + length]
        if marker >= 0xE0:
            n_meta += length + 2
        elif marker == 0xDB:
            step = _first_luma_step(body) or step
        elif marker in (0xC0, 0xC1, 0xC2) and len(body) >= 6:
            n_components = body[5]
            samplings = [body[7 + 3 * i] for i in range(n_components) if 7 + 3 * i < len(body)]
            full = len(set(samplings)) == 1
        elif marker == 0xDA:
            break
        pos += 2 + length
    quantizer = None
    if step is not None:
        quantizer = min(1.0, max(0.0, math.log2(max(step, 1.0)) / 8))
    return CodedPayload(max(1, len(data) - n_meta), quantizer, chroma_full=full)


def _first_luma_step(body: bytes) -> float | None:
    pos = 0
    while pos < len(body):
        wide, ident = body[pos] >> 4, body[pos] & 15
        n = 128 if wide else 64
        table = body[pos + 1 : pos + 1 + n]
        if len(table) < n:
            return None
        if ident == 0:
            values = struct.unpack(">64H", table) if wide else tuple(table)
            return sum(values) / 64
        pos += 1 + n
    return None


# --------------------------------------------------------------------------------------- WebP


def read_webp(data: bytes) -> CodedPayload:
    """Payload of a WebP file; the quantizer is VP8's mean segment index over 127."""
    pos = 12
    while pos + 8 <= len(data):
        name, size = data[pos : pos + 4], struct.unpack("<I", data[pos + 4 : pos + 8])[0]
        if name == b"VP8L":
            return CodedPayload(max(1, size), None, chroma_full=True, lossless=True)
        if name == b"VP8 ":
            try:
                quantizer = _vp8_quantizer(data[pos + 8 : pos + 8 + size])
            except IndexError:
                quantizer = None
            return CodedPayload(max(1, size), quantizer)
        if name == b"ANMF":  # an animation: its first frame is what Pillow opens
            pos += 8 + 16
            continue
        pos += 8 + size + (size & 1)
    return CodedPayload(max(1, len(data)), None)


class _BoolDecoder:
    """VP8's boolean entropy decoder at probability 1/2 (RFC 6386, section 7.3)."""

    def __init__(self, data: bytes) -> None:
        self.data, self.pos = data, 2
        self.value = data[0] << 8 | data[1]
        self.range, self.count = 255, 0

    def bit(self) -> int:
        split = 1 + (((self.range - 1) * 128) >> 8)
        if self.value >= split << 8:
            self.range -= split
            self.value -= split << 8
            out = 1
        else:
            self.range = split
            out = 0
        while self.range < 128:
            self.value <<= 1
            self.range <<= 1
            self.count += 1
            if self.count == 8:
                self.count = 0
                self.value |= self.data[self.pos] if self.pos < len(self.data) else 0
                self.pos += 1
        return out

    def literal(self, n: int) -> int:
        value = 0
        for _ in range(n):
            value = value << 1 | self.bit()
        return value

    def optional_signed(self, n: int) -> int:
        if not self.bit():
            return 0
        value = self.literal(n)
        return -value if self.bit() else value


def _vp8_quantizer(frame: bytes) -> float | None:
    if frame[0] & 1 or frame[3:6] != b"\x9d\x01\x2a":
        return None
    d = _BoolDecoder(frame[10:])
    d.literal(2)  # colour space, clamping type
    segments, absolute = [0, 0, 0, 0], False
    if d.bit():  # segmentation_enabled
        update_map, update_data = d.bit(), d.bit()
        if update_data:
            absolute = bool(d.bit())
            segments = [d.optional_signed(7) for _ in range(4)]
            for _ in range(4):
                d.optional_signed(6)
        if update_map:
            for _ in range(3):
                if d.bit():
                    d.literal(8)
    d.literal(1 + 6 + 3)  # filter type, level, sharpness
    if d.bit() and d.bit():  # loop filter deltas present and updated
        for _ in range(8):
            d.optional_signed(6)
    d.literal(2)  # number of coefficient partitions
    base = d.literal(7)
    indices = segments if absolute else [base + s for s in segments]
    return min(1.0, max(0.0, sum(indices) / 4 / 127))
