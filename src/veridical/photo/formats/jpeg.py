"""JPEG: what its headers say, and how it is written."""

from __future__ import annotations

import math
from typing import Any

from PIL import Image

from veridical.photo.condition import BASIC_FEATURES
from veridical.photo.damage import is_jpeg
from veridical.photo.formats.conventional import ConventionalFormat, on_white
from veridical.photo.formats.payload import CodedPayload
from veridical.photo.image import Notice
from veridical.photo.jpeg_header import parse_jpeg_header

__all__ = ["JPEG", "read_jpeg"]


def _prepare(image: Image.Image, notice: Notice) -> tuple[Image.Image, dict[str, Any]]:
    return on_white(image, "JPEG", notice), {"optimize": True, "progressive": True}


def read_jpeg(data: bytes) -> CodedPayload:
    """Payload of a JPEG file: scan data of the first picture, luma quantization table and chroma sampling.

    The quantizer is ``log2(mean luma step) / 8`` for 8-bit tables.
    """
    header = parse_jpeg_header(data)
    luma = header.tables[0] if header.tables else None
    quantizer = None if luma is None else min(1.0, math.log2(float(luma.mean())) / 8)
    return CodedPayload(
        max(1, header.scan_bytes),
        quantizer,
        chroma_full=len(set(header.sampling)) == 1,
        grey=header.grey,
    )


JPEG = ConventionalFormat(
    name="JPEG",
    suffixes=(".jpg", ".jpeg"),
    features=BASIC_FEATURES,
    pillow_names=("JPEG",),
    signature=is_jpeg,
    read_payload=read_jpeg,
    prepare=_prepare,
    default_quality=30,
    largest_side=65_500,
)
