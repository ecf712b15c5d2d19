"""JPEG XL through its Pillow plugin: what the headers say (ISO/IEC 18181-1), and how it is written.

The distance that an encoder was told is not in the file, but libjxl derives the quantization step of the lowest
frequencies from it alone, and two plain numbers at the head of a frame's first section say that step. They
stand behind the dictionary of patches where there is one; that is entropy-coded, and the quantizer
stays unknown then, as it does for whatever else is unusual.
"""

from __future__ import annotations

import io
import math
from typing import Any

from PIL import Image, ImageCms

from veridical.notices import Notice
from veridical.photo.formats.conventional import CodedPayload, ConventionalFormat
from veridical.photo.jxl_header import (
    Bits,
    JxlHeader,
    UnusualError,
    codestream,
    is_jxl,
    read_header,
)

_ENUM = ((0, 0), (1, 0), (2, 4), (18, 6))
_NOISE, _PATCHES, _SPLINES, _LF_FRAME = 1, 2, 16, 32
_FINEST, _OCTAVES = 3.0, 7.0
"""Quantizer 0 is a step of 2^-3 in libjxl's unit (a distance of about 0.1), 1 is seven octaves coarser."""


def _metadata(b: Bits, header: JxlHeader) -> tuple[bool, bool]:
    """Whether colours are in XYB, and whether grey (the rest of ImageMetadata)."""
    xyb, grey = True, False
    if not header.plain:
        raise UnusualError
    if not header.default:
        for _ in range(header.extra):
            if not b.u(1):  # anything but alpha of 8 bits
                raise UnusualError
        xyb = bool(b.u(1))
        if not b.u(1):
            b.none(1)  # a colour profile, which is entropy-coded
            grey = _colours(b)
        if header.more and not b.u(1):  # tone mapping
            raise UnusualError
        b.none(2)  # extensions
    if not b.u(1):  # a matrix of its own
        raise UnusualError
    return xyb, grey


def _colours(b: Bits) -> bool:
    """Whether the colour space is grey (ColourEncoding), without primaries of its own."""
    space = b.u32(*_ENUM)
    if space == 2:  # XYB
        raise UnusualError
    if b.u32(*_ENUM) == 2 or (space != 1 and b.u32(*_ENUM) == 2):
        raise UnusualError
    if b.u(1):
        b.u(24)  # gamma
    else:
        b.u32(*_ENUM)
    b.u32(*_ENUM)  # rendering intent
    return space == 1


def _frame(b: Bits, *, extra: int) -> tuple[int, int]:
    """Flags and upsampling of the first frame, which has to be a regular one of DCTs (FrameHeader)."""
    if b.u(1):
        return 0, 0
    b.none(2, 1)  # another kind of frame, no DCTs
    flags = b.u64()
    if flags & (_PATCHES | _SPLINES | _LF_FRAME):
        raise UnusualError
    upsampling = b.u(2)
    b.u(2 * extra)
    b.u(6)  # multipliers of colour
    b.none(2, 1, *[2] * (1 + extra))  # several passes, a crop, blending
    if not b.u(1):  # several frames
        raise UnusualError
    b.none(2)  # a name
    if not b.u(1):
        if b.u(1):
            b.none(1)  # own weights of the smoothing filter
        if b.u(2):
            b.none(1, 1, 1)  # own settings of the edge-preserving one
        b.none(2)  # extensions
    b.none(2)
    return flags, upsampling


def _quantizer(b: Bits, size: tuple[int, int], *, extra: int) -> float:
    """From the first section (LfGlobal), which stands behind the table of contents."""
    flags, upsampling = _frame(b, extra=extra)
    if upsampling:  # coded at half the size or less, which libjxl does where it is coarsest
        return 1.0
    b.none(1)  # a permuted table of contents
    b.align()
    groups, large = (math.prod(-(-n // side) for n in size) for side in (256, 2048))
    for _ in range(1 if groups == 1 else 2 + large + groups):
        b.u32((0, 10), (1024, 14), (17408, 22), (4211712, 30))
    b.align()
    if flags & _NOISE:
        b.u(80)
    if not b.u(1):  # steps of its own for the lowest frequencies
        raise UnusualError
    scale = b.u32((1, 11), (2049, 11), (4097, 12), (8193, 16))
    inverse_step = scale * b.u32((16, 0), (1, 5), (1, 8), (1, 16)) / 65536
    return min(1.0, max(0.0, (_FINEST - math.log2(inverse_step)) / _OCTAVES))


def read_jxl(data: bytes) -> CodedPayload:
    """Payload of a JPEG XL file. Never raises."""
    coded = codestream(data)
    n_bytes = max(1, len(coded) or len(data))
    b, grey = Bits(coded), False
    try:
        header = read_header(b)
        xyb, grey = _metadata(b, header)
        b.align()
        # Unless told otherwise libjxl codes with loss in XYB alone; a JPEG file stays as it is.
        if not xyb:
            return CodedPayload(n_bytes, None, chroma_full=True, lossless=True, grey=grey)
        size = header.width, header.height
        quantizer = _quantizer(b, size, extra=header.extra)
    except UnusualError:
        quantizer = None
    return CodedPayload(n_bytes, quantizer, chroma_full=True, grey=grey)


def _prepare(image: Image.Image, notice: Notice) -> tuple[Image.Image, dict[str, Any]]:
    """Colours as sRGB, since the plugin writes that whatever the profile says."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode != "RGB":
        return image, {}
    out = image
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" not in ImageCms.getProfileDescription(own):
            converted = ImageCms.profileToProfile(image, own, ImageCms.createProfile("sRGB"))
            out = converted or image
            notice("colours are converted to sRGB, the only profile that the plugin writes")
    except ImageCms.PyCMSError:
        notice("the colour profile is malformed and is left out")
    out = out.copy()
    out.info = {k: v for k, v in image.info.items() if k != "icc_profile"}
    return out, {}


JXL = ConventionalFormat(
    name="JXL",
    suffixes=(".jxl",),
    pillow_names=("JXL",),
    plugin="pillow_jxl",
    signature=is_jxl,
    read_payload=read_jxl,
    prepare=_prepare,
    at_quality=lambda quality: {"lossless": True} if quality == 100 else {"quality": quality},
    default_quality=30,
)
