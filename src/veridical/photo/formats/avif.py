"""AVIF: how it is recognised and written; its headers are read in ``av1_headers``."""

from __future__ import annotations

from typing import Any

from PIL import Image

from veridical.photo.avif_boxes import is_avif
from veridical.photo.formats.av1_headers import read_avif, regrained
from veridical.photo.formats.av1_palette import PaletteBlocks
from veridical.photo.formats.conventional import ConventionalFormat
from veridical.photo.image import Notice


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
