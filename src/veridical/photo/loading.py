"""Loading files with Pillow without trusting them: which formats, within which limits, and what stays behind."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from PIL import Image, UnidentifiedImageError

from veridical.arrays import whole_number
from veridical.bitstream.chunks import read_chunk
from veridical.bitstream.container import SIGNATURE, Header
from veridical.errors import (
    DamagedFile,
    MissingDependency,
    NotAnImage,
    PictureTooLarge,
    UnsupportedFormat,
)
from veridical.extras import require
from veridical.notices import Notice, silent
from veridical.photo.avif_boxes import is_avif, read_avif_item
from veridical.photo.damage import check_jpeg, completed, is_jpeg
from veridical.photo.jpeg_header import parse_jpeg_header
from veridical.photo.jxl_header import claimed_jxl, is_jxl

OPENED = [
    "JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP", "DIB", "PPM", "JPEG2000", "TGA", "QOI", "ICO",
    "ICNS", "PCX", "PSD", "SGI", "DDS",
]  # fmt: skip
"""Formats that are opened, as Pillow names them; none of them starts a program."""


FOREIGN = {"HEIC": ("pillow_heif", "HEIF"), "JPEG XL": ("pillow_jxl", "JXL")}
"""Formats that Pillow reads only with a plugin: its package, and Pillow's name of the format."""

_PILLOW_LIMIT = threading.Lock()


@contextmanager
def _pillow(max_pixels: int) -> Iterator[None]:
    """Pillow with our own limit on pixels, its warnings silenced, for the length of the block."""
    max_pixels = whole_number(max_pixels, "max_pixels", 1)
    with _PILLOW_LIMIT, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = max(1, max_pixels // 2)  # Pillow raises above twice this
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def foreign_format(data: bytes) -> str | None:
    """The name of a picture format that Pillow reads only with a plugin: "HEIC" or "JPEG XL"."""
    if is_jxl(data):
        return "JPEG XL"
    heif = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
    return "HEIC" if data[4:8] == b"ftyp" and data[8:12] in heif and not is_avif(data) else None


def _plugin(kind: str, name: str) -> str:
    """Pillow's name of a foreign format, whose plugin is imported."""
    package, pillow_name = FOREIGN[kind]
    try:
        plugin = require(package)
    except MissingDependency as cause:
        raise MissingDependency(f"{name} is a {kind} picture: {cause}") from cause
    if kind == "HEIC":
        plugin.register_heif_opener()
    return pillow_name


def _formats_of(data: bytes, name: str, max_pixels: int) -> list[str]:
    """The only format that a file can be, where its first bytes matter; refuses hostile and other files."""
    if data[:4] == SIGNATURE[:4]:  # whether or not Pillow has the plugin for them
        raise UnsupportedFormat(
            f"{name} is a .vdc file, whose picture depends on the realism; decode it first: "
            f"veridical decode {name} picture.png"
        )
    if is_jpeg(data):
        check_jpeg(data, name)
        return ["JPEG"]
    kind = foreign_format(data)
    if kind == "JPEG XL" and _jxl_pixels(data, name) > max_pixels:
        raise PictureTooLarge(_too_large(name, max_pixels))
    return [_plugin(kind, name)] if kind else []


def _too_large(name: str, max_pixels: int) -> str:
    return f"more than {max_pixels:,} pixels; if you trust {name}, raise the limit (--max-pixels N or max_pixels=N)"


def claimed_pixels(path: Path, max_pixels: int) -> int:
    """Pixels that the header of a file claims; 0 where it says none that would be decoded."""
    try:
        if not path.is_file():
            return 0
        with path.open("rb") as file, _pillow(max_pixels):
            start = file.read(256)
            if start[:4] == SIGNATURE[:4]:
                header = Header.unpack(bytes(read_chunk(memoryview(start), 10).data))
                pixels = header.width * header.height
            elif (kind := foreign_format(start)) == "JPEG XL":
                pixels = _jxl_pixels(start + file.read(), "")
            else:
                with Image.open(file, formats=[_plugin(kind, "")] if kind else OPENED) as im:
                    pixels = im.width * im.height
        return pixels if pixels <= max_pixels else 0
    except Exception:  # noqa: BLE001 (what cannot be read is told by whoever decodes it)
        return 0


def size_of(file: IO[bytes], format_name: str) -> tuple[int, int] | None:
    """Width and height that a file says it has, in a format of Pillow's; None where Pillow does not read it."""
    if format_name not in OPENED:
        return None
    with _pillow(1 << 62):
        try:
            with Image.open(file, formats=[format_name]) as im:
                return im.size
        except Exception:  # noqa: BLE001 (as above)
            return None


def _jxl_pixels(data: bytes, name: str) -> int:
    """Pixels that a JPEG XL file claims, counted in fours of channels; the plugin decodes whatever it opens."""
    header = claimed_jxl(data)
    if header is None:
        raise DamagedFile(
            f"{name} begins as a JPEG XL file and its header cannot be read; is the file complete?"
        )
    if header.animated:
        raise UnsupportedFormat(
            f"{name} is a JPEG XL animation, which is not opened; save one of its frames as a picture"
        )
    return header.width * header.height * max(4, 3 + header.extra) // 4


def load_picture(
    data: bytes,
    name: str,
    max_pixels: int,
    notice: Notice = silent,
    *,
    formats: Sequence[str] = (),
    allow_partial: bool = False,
) -> Image.Image:
    """A picture that Pillow has read to its end, within a limit of pixels.

    Args:
        data: The file.
        name: For errors.
        max_pixels: Limit against decompression bombs.
        notice: Told what of the file does not reach the picture.
        formats: Formats that are expected, as Pillow names them; any of :data:`OPENED` if none are.
        allow_partial: Decode what is there of a JPEG or WebP file that ends early.

    Raises:
        MissingDependency: HEIC or JPEG XL without its plugin.
        NotAnImage, DamagedFile, PictureTooLarge, UnsupportedFormat: See ``errors``.
    """
    known = _formats_of(data, name, max_pixels) or list(formats or OPENED)
    whole = completed(data)
    if allow_partial and whole is not None:
        notice(
            f"{name} ends early; what is missing of the picture is filled in by the ordinary decoder"
        )
        data = whole
    remedy = "is the file complete?"
    if not allow_partial and whole is not None:
        remedy = "the file ends early; what is there of it can be decoded with --allow-partial"
    too_large = _too_large(name, max_pixels)
    with _pillow(max_pixels):
        animated = False
        try:
            im = Image.open(io.BytesIO(data), formats=known)
            width, height = im.size
            if 0 < width * height <= max_pixels:
                animated = bool(getattr(im, "is_animated", False)) and im.format != "MPO"
                im.load()
        except Image.DecompressionBombError as cause:
            raise PictureTooLarge(too_large) from cause
        except UnidentifiedImageError as cause:
            if len(known) == 1:
                raise DamagedFile(
                    f"{name} begins like a file of {known[0]} but cannot be decoded: {remedy}"
                ) from cause
            raise NotAnImage(
                f"{name} is not a picture in a format that is opened ({', '.join(known)}); is it another kind "
                "of file, or damaged?"
            ) from cause
        except Exception as cause:  # Pillow's readers raise almost anything on hostile files
            # JPEG XL's plugin has one sentence for every cause.
            why = "" if is_jxl(data) else f" ({cause})"
            raise DamagedFile(f"{name} cannot be decoded{why}; {remedy}") from cause
    if width < 1 or height < 1:
        raise DamagedFile(f"{name} says it has {width} x {height} pixels; the header is damaged")
    if width * height > max_pixels:
        raise PictureTooLarge(f"{width} x {height} pixels are {too_large}")
    if animated:
        notice(f"{name} has several pictures or frames; only its first is taken")
    for sentence in _left_behind(data, im):
        notice(f"{name} {sentence}")
    return im


def _left_behind(data: bytes, im: Image.Image) -> Iterator[str]:
    """What of a file does not reach the picture."""
    depth = 8
    if is_avif(data):
        depth = read_avif_item(data).depth
    elif im.format == "PNG" and im.mode in ("RGB", "RGBA", "LA"):
        depth = data[24]  # IHDR: PNG specification, section 11.2.2
    elif im.format == "TIFF" and im.mode in ("RGB", "RGBA", "CMYK"):
        depth = max(getattr(im, "tag_v2", {}).get(258, (8,)))
    elif im.format == "HEIF":
        depth = im.info.get("bit_depth", 8)
    if depth > 8:
        yield f"has {depth} bits a sample, which are converted to 8 bits"
    if is_jpeg(data) and (trailing := parse_jpeg_header(data).trailing):
        rest = memoryview(data)[-trailing:]
        if bytes(rest).strip(b"\0\r\n "):
            yield f"has {trailing:,} bytes behind its picture ({_trailing_kind(data, bytes(rest[:16]))}); they are left out"


def _trailing_kind(data: bytes, start: bytes) -> str:
    if b"hdrgm:" in data or b"HDRGainMap" in data or b"urn:iso:std:iso:ts:21496" in data:
        return "a gain map for brighter screens"
    if start[4:8] == b"ftyp" or b"MotionPhoto" in data or b"MicroVideo" in data:
        return "a film"
    return "a second picture" if is_jpeg(start) else "other data"
