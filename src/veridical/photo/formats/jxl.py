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
from veridical.photo.avif_boxes import boxes
from veridical.photo.formats.conventional import ConventionalFormat
from veridical.photo.formats.payload import CodedPayload

_CODESTREAM = b"\xff\x0a"
_CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
_SIDES = ((1, 9), (1, 13), (1, 18), (1, 30))
_ENUM = ((0, 0), (1, 0), (2, 4), (18, 6))
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_NOISE, _PATCHES, _SPLINES, _LF_FRAME = 1, 2, 16, 32
_FINEST, _OCTAVES = 3.0, 7.0
"""Quantizer 0 is a step of 2^-3 in libjxl's unit (a distance of about 0.1), 1 is seven octaves coarser."""


class _UnusualError(Exception):
    """The headers hold what this reader does not cover."""


class _Bits:
    """Numbers of a codestream, least significant bit first."""

    def __init__(self, data: bytes) -> None:
        self.data, self.pos = data, 0

    def u(self, n: int) -> int:
        end = self.pos + n
        if end > 8 * len(self.data):
            raise _UnusualError
        part = int.from_bytes(self.data[self.pos // 8 : -(-end // 8)], "little")
        self.pos, start = end, self.pos % 8
        return part >> start & ((1 << n) - 1)

    def u32(self, *choices: tuple[int, int]) -> int:
        offset, n = choices[self.u(2)]
        return offset + self.u(n)

    def u64(self) -> int:
        kind = self.u(2)
        if kind < 3:
            return (0, 1, 17)[kind] + self.u((0, 4, 8)[kind])
        value, shift = self.u(12), 12
        while self.u(1):
            if shift == 60:
                return value | self.u(4) << 60
            value |= self.u(8) << shift
            shift += 8
        return value

    def none(self, *counts: int) -> None:
        """Fields that are zero in all that is covered."""
        for n in counts:
            if self.u(n):
                raise _UnusualError

    def align(self) -> None:
        self.pos = -(-self.pos // 8) * 8


def _size(b: _Bits) -> tuple[int, int]:
    """(width, height), from the SizeHeader."""
    small = b.u(1)
    height = 8 * (1 + b.u(5)) if small else b.u32(*_SIDES)
    ratio = b.u(3)
    if ratio:
        p, q = _RATIOS[ratio - 1]
        return height * p // q, height
    return (8 * (1 + b.u(5)) if small else b.u32(*_SIDES)), height


def _metadata(b: _Bits) -> tuple[bool, bool, int]:
    """Whether colours are in XYB, whether grey, and the number of extra channels (ImageMetadata)."""
    xyb, grey, extra = True, False, 0
    if not b.u(1):
        more = b.u(1)
        if more:
            b.u(3)  # orientation
            b.none(1, 1, 1)  # intrinsic size, preview, animation
        b.none(1)  # floating point
        b.u32((8, 0), (10, 0), (12, 0), (1, 6))
        b.u(1)  # 16-bit buffers
        extra = b.u32((0, 0), (1, 0), (2, 4), (1, 12))
        for _ in range(extra):
            if not b.u(1):  # anything but alpha of 8 bits
                raise _UnusualError
        xyb = bool(b.u(1))
        if not b.u(1):
            b.none(1)  # a colour profile, which is entropy-coded
            grey = _colours(b)
        if more and not b.u(1):  # tone mapping
            raise _UnusualError
        b.none(2)  # extensions
    if not b.u(1):  # a matrix of its own
        raise _UnusualError
    return xyb, grey, extra


def _colours(b: _Bits) -> bool:
    """Whether the colour space is grey (ColourEncoding), without primaries of its own."""
    space = b.u32(*_ENUM)
    if space == 2:  # XYB
        raise _UnusualError
    if b.u32(*_ENUM) == 2 or (space != 1 and b.u32(*_ENUM) == 2):
        raise _UnusualError
    if b.u(1):
        b.u(24)  # gamma
    else:
        b.u32(*_ENUM)
    b.u32(*_ENUM)  # rendering intent
    return space == 1


def _frame(b: _Bits, *, extra: int) -> tuple[int, int]:
    """Flags and upsampling of the first frame, which has to be a regular one of DCTs (FrameHeader)."""
    if b.u(1):
        return 0, 0
    b.none(2, 1)  # another kind of frame, no DCTs
    flags = b.u64()
    if flags & (_PATCHES | _SPLINES | _LF_FRAME):
        raise _UnusualError
    upsampling = b.u(2)
    b.u(2 * extra)
    b.u(6)  # multipliers of colour
    b.none(2, 1, *[2] * (1 + extra))  # several passes, a crop, blending
    if not b.u(1):  # several frames
        raise _UnusualError
    b.none(2)  # a name
    if not b.u(1):
        if b.u(1):
            b.none(1)  # own weights of the smoothing filter
        if b.u(2):
            b.none(1, 1, 1)  # own settings of the edge-preserving one
        b.none(2)  # extensions
    b.none(2)
    return flags, upsampling


def _quantizer(b: _Bits, size: tuple[int, int], *, extra: int) -> float:
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
        raise _UnusualError
    scale = b.u32((1, 11), (2049, 11), (4097, 12), (8193, 16))
    inverse_step = scale * b.u32((16, 0), (1, 5), (1, 8), (1, 16)) / 65536
    return min(1.0, max(0.0, (_FINEST - math.log2(inverse_step)) / _OCTAVES))


def _codestream(data: bytes) -> bytes:
    """The codestream, out of its container if it is in one."""
    if data[:2] == _CODESTREAM:
        return data
    return b"".join(
        data[start + 4 * (name == b"jxlp") : end]
        for name, start, end in boxes(data, 0, len(data))
        if name in (b"jxlc", b"jxlp")
    )


def read_jxl(data: bytes) -> CodedPayload:
    """Payload of a JPEG XL file. Never raises."""
    coded = _codestream(data)
    n_bytes = max(1, len(coded) or len(data))
    b, grey = _Bits(coded), False
    try:
        b.u(16)
        size = _size(b)
        xyb, grey, extra = _metadata(b)
        b.align()
        if (
            not xyb
        ):  # unless told otherwise libjxl codes with loss in XYB alone; a JPEG file stays as it is
            return CodedPayload(n_bytes, None, chroma_full=True, lossless=True, grey=grey)
        quantizer = _quantizer(b, size, extra=extra)
    except _UnusualError:
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
    signature=lambda head: head[:2] == _CODESTREAM or head[:12] == _CONTAINER,
    read_payload=read_jxl,
    prepare=_prepare,
    at_quality=lambda quality: {"lossless": True} if quality == 100 else {"quality": quality},
    default_quality=30,
)
