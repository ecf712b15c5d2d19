"""Opening pictures without trusting them, and telling what is lost when they become 8 bits a channel."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from veridical.bitstream.container import SIGNATURE
from veridical.errors import (
    DamagedFile,
    InvalidSetting,
    MissingDependency,
    MissingFile,
    NotAnImage,
    PictureTooLarge,
    UnsupportedFormat,
)
from veridical.extras import require
from veridical.photo.avif_boxes import is_avif, read_avif_item
from veridical.photo.damage import check_jpeg, completed, is_jpeg
from veridical.photo.jpeg_header import parse_jpeg_header
from veridical.photo.metadata import fit_profile, metadata_of
from veridical.photo.options import DEFAULT_MAX_PIXELS

__all__ = [
    "FOREIGN",
    "OPENED",
    "Source",
    "foreign_format",
    "is_neutral",
    "load_picture",
    "open_source",
    "read_bytes",
    "split_channels",
]

Source = str | PathLike[str] | bytes
Notice = Callable[[str], None]

OPENED = [
    "JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP", "DIB", "PPM", "JPEG2000", "TGA", "QOI", "ICO",
    "ICNS", "PCX", "PSD", "SGI", "DDS",
]  # fmt: skip
"""Formats that are opened, as Pillow names them; none of them starts a program."""


class _Foreign(NamedTuple):
    """What opens a format: the plugin's package, its extra of ours, and Pillow's name of the format."""

    package: str
    extra: str
    pillow_name: str


FOREIGN = {
    "HEIC": _Foreign("pillow_heif", "heif", "HEIF"),
    "JPEG XL": _Foreign("pillow_jxl", "jxl", "JXL"),
}
"""Formats that Pillow reads only with a plugin."""

_PILLOW_LIMIT = threading.Lock()


def _silent(message: str) -> None:
    del message


def read_bytes(source: Source) -> bytes:
    """The bytes of a file, or the bytes themselves.

    Raises:
        MissingFile: The file does not exist or cannot be read.
        NotAnImage: There are no bytes.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        data, name = bytes(source), "the given data"
    else:
        if not isinstance(source, str | PathLike):
            raise InvalidSetting(
                f"a picture is given as a path or as bytes, not as {type(source).__name__}"
            )
        path = Path(source)
        name = str(path)
        try:
            if not (path.is_file() or path.is_dir()) and path.exists():
                raise MissingFile(f"{name} is a pipe or a device; copy what it gives to a file")
            data = path.read_bytes()
        except IsADirectoryError as cause:
            raise MissingFile(
                f"{name} is a folder; name the files in it, or use the command line's folder form"
            ) from cause
        except (OSError, ValueError) as cause:  # a name with a NUL byte is a ValueError
            if isinstance(cause, MissingFile):
                raise
            raise MissingFile(
                f"cannot read {name}: {getattr(cause, 'strerror', None) or cause}; check the path and its permissions"
            ) from cause
    if not data:
        raise NotAnImage(f"{name} is empty (0 bytes); was the download or copy completed?")
    return data


@contextmanager
def _pillow(max_pixels: int) -> Iterator[None]:
    """Pillow with our own limit on pixels, its warnings silenced, for the length of the block."""
    if isinstance(max_pixels, bool) or not isinstance(max_pixels, int) or max_pixels < 1:
        raise InvalidSetting(f"max_pixels must be a positive integer, got {max_pixels!r}")
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
    if data[:2] == b"\xff\x0a" or data[:12] == b"\0\0\0\x0cJXL \r\n\x87\n":
        return "JPEG XL"
    heif = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
    return "HEIC" if data[4:8] == b"ftyp" and data[8:12] in heif and not is_avif(data) else None


def _plugin(kind: str, name: str) -> str:
    """Pillow's name of a foreign format, whose plugin is imported."""
    foreign = FOREIGN[kind]
    try:
        plugin = require(foreign.package)
    except MissingDependency as cause:
        raise MissingDependency(f"{name} is a {kind} picture: {cause}") from cause
    if kind == "HEIC":
        plugin.register_heif_opener()
    return foreign.pillow_name


def _formats_of(data: bytes, name: str) -> list[str]:
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
    return [_plugin(kind, name)] if kind else []


def load_picture(
    data: bytes,
    name: str,
    max_pixels: int,
    notice: Notice = _silent,
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
    known = _formats_of(data, name) or list(formats or OPENED)
    whole = completed(data)
    if allow_partial and whole is not None:
        notice(
            f"{name} ends early; what is missing of the picture is filled in by the ordinary decoder"
        )
        data = whole
    remedy = "is the file complete?"
    if not allow_partial and whole is not None:
        remedy = "the file ends early; what is there of it can be decoded with --allow-partial"
    too_large = f"more than {max_pixels:,} pixels; if you trust {name}, raise the limit (--max-pixels N or max_pixels=N)"
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
                    f"{name} begins as a {known[0]} file and cannot be decoded: {remedy}"
                ) from cause
            raise NotAnImage(
                f"{name} is not a picture in a format that is opened ({', '.join(known)}); is it another kind "
                "of file, or damaged?"
            ) from cause
        except Exception as cause:  # Pillow's readers raise almost anything on hostile files
            raise DamagedFile(f"{name} cannot be decoded ({cause}); {remedy}") from cause
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


def is_neutral(pixels: np.ndarray) -> bool:
    """Whether a picture without chroma, uint8 (height, width, 3), went through YCbCr: within rounding.

    Neutral chroma of 8 bits gives channels that differ by 1 at most; the smallest tint gives 2 (BT.601).
    """
    return all(
        np.max(np.abs(part[..., :1].astype(np.int16) - part[..., 1:])) <= 1
        for part in (pixels[r : r + 512] for r in range(0, len(pixels), 512))
    )


def split_channels(im: Image.Image, notice: Notice) -> tuple[np.ndarray, np.ndarray | None, bool]:
    """Colours (height, width, 3) and alpha (height, width) of a picture, and whether its mode is grey."""
    alpha = None
    if im.mode in ("RGBA", "LA", "PA") or "transparency" in im.info:
        rgba = im.convert("RGBA")
        alpha = np.asarray(rgba.getchannel("A"))
        im = rgba.convert("RGB") if im.mode != "LA" else im.convert("L")
    if im.mode == "L":
        return np.repeat(np.asarray(im)[:, :, None], 3, axis=2), alpha, True
    if im.mode != "RGB":
        notice(f"colours are converted from {im.mode} to RGB")
        im = im.convert("RGB")
    return np.asarray(im), alpha, False


def open_source(
    source: Source | Image.Image, *, max_pixels: int = DEFAULT_MAX_PIXELS, notice: Notice = _silent
) -> Image.Image:
    """A picture to be coded, as Pillow mode L, LA, RGB or RGBA with 8 bits a channel.

    Sixteen-bit, floating, CMYK, palette and bilevel pictures are converted, with a notice where
    that loses something. Metadata stays in ``info``: a colour profile that fits the pixels, Exif and XMP.

    Raises:
        MissingFile, NotAnImage, DamagedFile, PictureTooLarge, MissingDependency: See ``errors``.
    """
    if isinstance(source, Image.Image):
        im = source
        if im.width < 1 or im.height < 1:
            raise InvalidSetting(
                f"a picture needs at least one pixel, this has {im.width} x {im.height}"
            )
    else:
        name = (
            "the given data" if isinstance(source, bytes | bytearray | memoryview) else str(source)
        )
        data = read_bytes(source)
        im = load_picture(data, name, max_pixels, notice)
        if is_avif(data) and read_avif_item(data).grey:
            im = _as_grey(im)
    if im is source and getattr(im, "is_animated", False):
        notice("the picture has several frames; only the current one is taken")
    info = metadata_of(im, notice)
    transparent = "transparency" in im.info
    if im.mode.startswith("I;16") or im.mode == "I":
        notice("16-bit samples are converted to 8 bits")
        deep = np.asarray(im).astype(np.float64)
        im = Image.fromarray((np.clip(deep, 0, 65535) / 257 + 0.5).astype(np.uint8))
    elif im.mode == "F":
        notice("floating-point samples are clipped to 0..255 and rounded")
        im = Image.fromarray(
            (np.clip(np.nan_to_num(np.asarray(im)), 0, 255) + 0.5).astype(np.uint8)
        )
    elif im.mode == "1":
        im = im.convert("L")
    elif im.mode in ("P", "PA") or (transparent and im.mode in ("L", "RGB")):
        im = im.convert("RGBA" if transparent or im.mode == "PA" else "RGB")
    elif im.mode not in ("L", "LA", "RGB", "RGBA"):
        notice(f"colours are converted from {im.mode} to RGB")
        im = im.convert("RGB")
    if im.mode == "RGBA" and im.getchannel("A").getextrema() == (255, 255):
        im = im.convert("RGB")
    fit_profile(info, ("GRAY" if im.mode in ("L", "LA") else "RGB",), notice)
    out = im.copy() if im is source else im
    out.info.clear()
    out.info.update(info)
    return out


def _as_grey(im: Image.Image) -> Image.Image:
    """A picture of equal channels as mode L or LA, with its metadata."""
    out = im.convert("LA" if im.mode == "RGBA" else "L")
    out.info, out.format = im.info, im.format
    return out
