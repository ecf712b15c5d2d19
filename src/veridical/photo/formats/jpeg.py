"""JPEG: what its headers say, and how it is written."""

from __future__ import annotations

import math
import struct
from typing import Any

from PIL import Image

from veridical.photo.condition import BASIC_FEATURES
from veridical.photo.formats.conventional import ConventionalFormat, on_white
from veridical.photo.formats.payload import CodedPayload
from veridical.photo.image import Notice

__all__ = ["JPEG", "read_jpeg"]


def _prepare(image: Image.Image, notice: Notice) -> tuple[Image.Image, dict[str, Any]]:
    return on_white(image, "JPEG", notice), {"optimize": True, "progressive": True}


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


JPEG = ConventionalFormat(
    name="JPEG",
    suffixes=(".jpg", ".jpeg"),
    features=BASIC_FEATURES,
    pillow_names=("JPEG", "MPO"),  # MPO: further pictures behind the first, as many cameras write
    signature=lambda head: head[:3] == b"\xff\xd8\xff",
    read_payload=read_jpeg,
    prepare=_prepare,
    default_quality=30,
    largest_side=65_500,
)
