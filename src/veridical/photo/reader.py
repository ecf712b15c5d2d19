"""Opening pictures without trusting them, and what must survive a round trip besides colour."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from veridical.bitstream.container import SIGNATURE
from veridical.errors import (
    DamagedFile,
    InvalidSetting,
    MissingFile,
    NotAnImage,
    PictureTooLarge,
    UnsupportedFormat,
)
from veridical.photo.options import DEFAULT_MAX_PIXELS

__all__ = [
    "Source",
    "load_picture",
    "metadata_of",
    "open_source",
    "read_bytes",
    "split_channels",
]

Source = str | PathLike[str] | bytes
Notice = Callable[[str], None]

_PILLOW_LIMIT = threading.Lock()
_GREY_LEVELS = 4
"""WebP has no greyscale: its grey pictures come back with channels that differ by rounding."""


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
        path = Path(source)
        name = str(path)
        try:
            data = path.read_bytes()
        except IsADirectoryError as cause:
            raise MissingFile(
                f"{name} is a folder; name the files in it, or use the command line's folder form"
            ) from cause
        except OSError as cause:
            raise MissingFile(
                f"cannot read {name}: {cause.strerror or cause}; check the path and its permissions"
            ) from cause
    if not data:
        raise NotAnImage(f"{name} is empty (0 bytes); was the download or copy completed?")
    return data


@contextmanager
def _pillow(max_pixels: int) -> Iterator[None]:
    """Pillow with our own limit on pixels, its warnings silenced, for the length of the block."""
    with _PILLOW_LIMIT, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = max(1, max_pixels // 2)  # Pillow raises above twice this
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def load_picture(data: bytes, name: str, max_pixels: int) -> Image.Image:
    """A picture that Pillow has read to its end, within a limit of pixels.

    Raises:
        NotAnImage, DamagedFile, PictureTooLarge, UnsupportedFormat: See ``errors``.
    """
    if isinstance(max_pixels, bool) or not isinstance(max_pixels, int) or max_pixels < 1:
        raise InvalidSetting(f"max_pixels must be a positive integer, got {max_pixels!r}")
    if data[:4] == SIGNATURE[:4]:  # whether or not Pillow has the plugin for them
        raise UnsupportedFormat(
            f"{name} is a .vdc file, whose picture depends on the realism; decode it first: "
            f"veridical decode {name} picture.png"
        )
    too_large = f"more than {max_pixels:,} pixels; if you trust {name}, raise the limit (--max-pixels N or max_pixels=N)"
    with _pillow(max_pixels):
        try:
            im = Image.open(io.BytesIO(data))
        except Image.DecompressionBombError as cause:
            raise PictureTooLarge(too_large) from cause
        except UnidentifiedImageError as cause:
            raise NotAnImage(
                f"{name} is not a picture in a format that Pillow knows; is it another kind of file?"
            ) from cause
        except Exception as cause:  # Pillow's readers raise almost anything on hostile headers
            raise DamagedFile(
                f"the header of {name} cannot be read ({cause}); is the file complete?"
            ) from cause
        width, height = im.size
        if width * height > max_pixels:
            raise PictureTooLarge(f"{width} x {height} pixels are {too_large}")
        if width < 1 or height < 1:
            raise DamagedFile(
                f"{name} says it has {width} x {height} pixels; the header is damaged"
            )
        try:
            im.load()
        except Image.DecompressionBombError as cause:
            raise PictureTooLarge(too_large) from cause
        except Exception as cause:  # as above, on hostile content
            raise DamagedFile(
                f"{name} cannot be decoded ({cause}); is the file truncated?"
            ) from cause
    return im


def metadata_of(im: Image.Image) -> dict[str, Any]:
    """ICC profile, Exif (with orientation) and XMP of a picture, where present."""
    kept = {key: im.info[key] for key in ("icc_profile", "xmp") if im.info.get(key)}
    exif = im.info.get("exif")
    if exif:
        kept["exif"] = exif
    return kept


def split_channels(im: Image.Image, notice: Notice) -> tuple[np.ndarray, np.ndarray | None, bool]:
    """Colours (height, width, 3) and alpha (height, width) of a picture, and whether it is grey."""
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
    pixels = np.asarray(im)
    spread = max(
        int(np.max(np.abs(pixels[r : r + 512, :, 0].astype(np.int16) - pixels[r : r + 512, :, k])))
        for r in range(0, len(pixels), 512)
        for k in (1, 2)
    )
    if spread <= _GREY_LEVELS and spread > 0:
        green = pixels[:, :, 1]
        pixels = np.repeat(green[:, :, None], 3, axis=2)
    return pixels, alpha, spread <= _GREY_LEVELS


def open_source(
    source: Source | Image.Image, *, max_pixels: int = DEFAULT_MAX_PIXELS, notice: Notice = _silent
) -> Image.Image:
    """A picture to be coded, as Pillow mode L, LA, RGB or RGBA with 8 bits a channel.

    Sixteen-bit, floating, CMYK, palette and bilevel pictures are converted, with a notice where
    that loses something. Metadata stays in ``info``.

    Raises:
        MissingFile, NotAnImage, DamagedFile, PictureTooLarge: See ``errors``.
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
        im = load_picture(read_bytes(source), name, max_pixels)
    info = metadata_of(im)
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
        notice(f"colours are converted from {im.mode} to RGB; its colour profile is dropped")
        info.pop("icc_profile", None)
        im = im.convert("RGB")
    if im.mode == "RGBA" and im.getchannel("A").getextrema() == (255, 255):
        im = im.convert("RGB")
    out = im.copy() if im is source else im
    out.info.clear()
    out.info.update(info)
    return out
