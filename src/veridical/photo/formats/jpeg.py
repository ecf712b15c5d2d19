"""JPEG: what its headers tell the networks, and how it is written."""

from __future__ import annotations

from typing import Any

from PIL import Image

from veridical.notices import Notice
from veridical.photo.damage import is_jpeg
from veridical.photo.formats.conventional import CodedPayload, ConventionalFormat, on_white
from veridical.photo.formats.jpeg_cells import JpegCells
from veridical.photo.jpeg_header import CONDITIONS, own_conditions, parse_jpeg_header, quantizer

_OTHER_COLOURS = (
    "codes RGB or CMYK instead of luma and chroma; no such file was trained on, so that little is gained and the "
    "predicted error may be some dB off"
)


def _prepare(image: Image.Image, notice: Notice) -> tuple[Image.Image, dict[str, Any]]:
    return on_white(image, "JPEG", notice), {"optimize": True, "progressive": True}


def read_jpeg(data: bytes) -> CodedPayload:
    """Payload of a JPEG file: the scan data of its first picture, its tables and chroma sampling; never raises.

    The quantizer is ``log2(mean luma step) / 8``.
    """
    header = parse_jpeg_header(data)
    return CodedPayload(
        max(1, header.scan_bytes),
        quantizer(header),
        chroma_full=header.chroma_step == (1, 1),
        more=own_conditions(header),
        grey=header.grey,
        remarks=() if header.luma_chroma else (_OTHER_COLOURS,),
    )


JPEG = ConventionalFormat(
    name="JPEG",
    suffixes=(".jpg", ".jpeg"),
    features=CONDITIONS,
    pillow_names=("JPEG",),
    signature=is_jpeg,
    read_payload=read_jpeg,
    read_cells=lambda data, pixels: JpegCells.read(data),
    prepare=_prepare,
    default_quality=30,
    largest_side=65_500,
)
