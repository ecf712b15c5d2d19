"""WebP: what its headers say (VP8, RFC 6386, sections 9.2 to 9.6), and how it is written."""

from __future__ import annotations

import struct

from veridical.photo.damage import is_webp
from veridical.photo.formats.conventional import CodedPayload, ConventionalFormat


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


WEBP = ConventionalFormat(
    name="WEBP",
    suffixes=(".webp",),
    pillow_names=("WEBP",),
    signature=is_webp,
    read_payload=read_webp,
    tells_grey=False,
    default_quality=30,
    largest_side=16_383,
)
