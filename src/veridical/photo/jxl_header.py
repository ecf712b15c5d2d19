"""What the headers of a JPEG XL file claim (ISO/IEC 18181-1), before the plugin decodes it whole on opening."""

from __future__ import annotations

from dataclasses import dataclass

from veridical.photo.avif_boxes import boxes

_CODESTREAM = b"\xff\x0a"
_CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
_SIDES = ((1, 9), (1, 13), (1, 18), (1, 30))
_PREVIEW = (((1, 6), (65, 8), (321, 10), (1345, 12)), ((128, 0), (256, 0), (8, 5), (264, 9)))
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


class UnusualError(Exception):
    """The headers end early, or hold what their reader does not cover."""


class Bits:
    """Numbers of a codestream, least significant bit first."""

    def __init__(self, data: bytes) -> None:
        self.data, self.pos = data, 0

    def u(self, n: int) -> int:
        """A number of ``n`` bits."""
        end = self.pos + n
        if end > 8 * len(self.data):
            raise UnusualError
        part = int.from_bytes(self.data[self.pos // 8 : -(-end // 8)], "little")
        self.pos, start = end, self.pos % 8
        return part >> start & ((1 << n) - 1)

    def u32(self, *choices: tuple[int, int]) -> int:
        """One of four pairs (offset, bits)."""
        offset, n = choices[self.u(2)]
        return offset + self.u(n)

    def u64(self) -> int:
        """A number of 64 bits at most."""
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
                raise UnusualError

    def align(self) -> None:
        """On to the next whole byte."""
        self.pos = -(-self.pos // 8) * 8


@dataclass(frozen=True)
class JxlHeader:
    """What stands before the colours of a codestream.

    Attributes:
        width, height: In pixels.
        extra: Channels besides those of colour.
        animated: Whether it is an animation.
        plain: Whether samples are integers, without a preview, an animation or another size to be shown at.
        default: Whether all that would follow in the metadata is left at its default.
        more: Whether tone mapping follows.
    """

    width: int
    height: int
    extra: int = 0
    animated: bool = False
    plain: bool = True
    default: bool = True
    more: bool = False


def is_jxl(head: bytes) -> bool:
    """Whether a file begins as a JPEG XL file does."""
    return head[:2] == _CODESTREAM or head[:12] == _CONTAINER


def codestream(data: bytes) -> bytes:
    """The codestream, out of its container if it is in one."""
    if data[:2] == _CODESTREAM:
        return data
    return b"".join(
        data[start + 4 * (name == b"jxlp") : end]
        for name, start, end in boxes(data, 0, len(data))
        if name in (b"jxlc", b"jxlp")
    )


def read_header(b: Bits) -> JxlHeader:
    """SizeHeader and the first part of ImageMetadata, behind the signature.

    Raises:
        UnusualError: They end early.
    """
    b.u(16)
    width, height = _size(b)
    if b.u(1):
        return JxlHeader(width, height)
    more, plain, animated = b.u(1), True, False
    if more:
        b.u(3)  # orientation
        if b.u(1):  # intrinsic size
            _size(b)
            plain = False
        if b.u(1):  # preview
            _preview(b)
            plain = False
        if animated := bool(b.u(1)):
            b.u32((100, 0), (1000, 0), (1, 10), (1, 30))
            b.u32((1, 0), (1001, 0), (1, 8), (1, 10))
            b.u32((0, 0), (0, 3), (0, 16), (0, 32))
            b.u(1)
            plain = False
    if b.u(1):  # floating point
        b.u32((32, 0), (16, 0), (24, 0), (1, 6))
        b.u(4)
        plain = False
    else:
        b.u32((8, 0), (10, 0), (12, 0), (1, 6))
    b.u(1)  # 16-bit buffers
    extra = b.u32((0, 0), (1, 0), (2, 4), (1, 12))
    return JxlHeader(width, height, extra, animated, plain, default=False, more=bool(more))


def _size(b: Bits) -> tuple[int, int]:
    """(width, height), from a SizeHeader."""
    small = b.u(1)
    height = 8 * (1 + b.u(5)) if small else b.u32(*_SIDES)
    ratio = b.u(3)
    if ratio:
        p, q = _RATIOS[ratio - 1]
        return height * p // q, height
    return (8 * (1 + b.u(5)) if small else b.u32(*_SIDES)), height


def _preview(b: Bits) -> None:
    """A PreviewHeader."""
    sides = _PREVIEW[b.u(1)]
    b.u32(*sides)
    if not b.u(3):
        b.u32(*sides)


def claimed_jxl(data: bytes) -> JxlHeader | None:
    """What a whole file claims; None where its header ends early."""
    try:
        return read_header(Bits(codestream(data)))
    except UnusualError:
        return None
