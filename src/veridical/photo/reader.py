"""Pictures to be coded, and decoded ones, as 8 bits a channel, grey or RGB, with or without alpha."""

from __future__ import annotations

from os import PathLike
from typing import IO, Any, Protocol, cast

import numpy as np
from PIL import Image

from veridical.arrays import as_path, is_tensor, read_whole, to_numpy
from veridical.errors import DamagedFile, InvalidSetting, MissingFile, NotAnImage, VeridicalError
from veridical.notices import Notice, silent
from veridical.photo.avif_boxes import is_avif, read_avif_item
from veridical.photo.loading import load_picture
from veridical.photo.metadata import fit_profile, metadata_of
from veridical.photo.options import DEFAULT_MAX_PIXELS

Source = str | PathLike[str] | bytes | IO[bytes]
"""A file: its path, its bytes, or open for bytes."""


class Tensor(Protocol):
    """A torch tensor, which this package does not import."""

    def detach(self) -> Any:
        """Without its gradient."""


Picture = Source | Image.Image | np.ndarray | Tensor
"""A picture: a file, a Pillow picture, an array or a tensor."""


def is_pixels(source: object) -> bool:
    """Whether it is a numpy array or a torch tensor."""
    return isinstance(source, np.ndarray) or is_tensor(source)


def picture_of(source: Any, notice: Notice) -> Image.Image:
    """A Pillow picture of an array or a tensor.

    Args:
        source: numpy of shape (height, width) or (height, width, channels), or torch of shape (height, width) or
            (channels, height, width); 1 to 4 channels are grey, grey and alpha, RGB, and RGB and alpha.
            uint8, uint16 (0 to 65,535) or floats from 0 to 1.
        notice: Called with a sentence where levels are lost.

    Raises:
        InvalidSetting: Another shape or kind of number, or what is no number.
    """
    x = np.asarray(to_numpy(source))  # what a mask hides is looked at, too
    if is_tensor(source) and x.ndim == 3:
        x = np.moveaxis(x, 0, -1)
    if x.ndim not in (2, 3) or (x.ndim == 3 and not 1 <= x.shape[2] <= 4) or 0 in x.shape:
        said = "([channels,] height, width)" if is_tensor(source) else "(height, width[, channels])"
        raise InvalidSetting(
            f"a picture has the shape {said} with 1 to 4 channels, not {tuple(source.shape)}"
        )
    levels = _levels(x, notice)
    if levels.ndim == 3 and levels.shape[2] == 1:
        levels = levels[:, :, 0]
    return Image.fromarray(np.ascontiguousarray(levels))


def _levels(x: np.ndarray, notice: Notice) -> np.ndarray:
    """Eight-bit levels."""
    if x.dtype == np.uint8:
        return x
    if x.dtype.kind == "u" and x.dtype.itemsize == 2:  # in either order of bytes
        notice("16-bit samples are converted to 8 bits")
        return (x / np.float32(257) + np.float32(0.5)).astype(np.uint8)
    if x.dtype.kind != "f":
        raise InvalidSetting(
            f"the levels of a picture are uint8, uint16 or floats from 0 to 1, not {x.dtype}; convert them"
        )
    low, high = float(np.min(x)), float(np.max(x))
    if not np.isfinite(low + high):  # a single NaN is the smallest and the largest
        raise InvalidSetting("the picture holds what is no number (NaN or infinity)")
    if high > 2 or low < -1:
        raise InvalidSetting(
            f"floats of a picture go from 0 to 1, these from {low:.4g} to {high:.4g}; scale them, or give uint8"
        )
    if low < 0 or high > 1:
        notice(f"samples from {low:.4g} to {high:.4g} are clipped to 0..1")
    return (np.clip(x, 0, 1) * 255 + 0.5).astype(np.uint8)


def name_of(source: object) -> str:
    """What messages call a file or a picture."""
    if isinstance(source, str | PathLike):
        return str(as_path("the source", source))
    if isinstance(source, bytes | bytearray | memoryview):
        return "the given data"
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "the given file"


def read_bytes(source: Source) -> bytes:
    """The bytes of a file, or the bytes themselves.

    Raises:
        MissingFile: The file does not exist or cannot be read.
        NotAnImage: There are no bytes.
        InvalidSetting: There are too many.
    """
    name = name_of(source)
    if isinstance(source, bytes | bytearray | memoryview):
        data = bytes(source)
    elif not isinstance(source, str | PathLike):
        data = _read_open(source)
    else:
        path = as_path("the source", source)
        try:
            if not (path.is_file() or path.is_dir()) and path.exists():
                raise MissingFile(f"{name} is a pipe or a device; copy what it gives to a file")
            with path.open("rb") as file:
                data = read_whole(file, name)
        except IsADirectoryError as cause:
            raise MissingFile(
                f"{name} is a folder; name the files in it, or use the command line's folder form"
            ) from cause
        except (OSError, ValueError) as cause:  # a name with a NUL byte is a ValueError
            if isinstance(cause, VeridicalError):
                raise
            raise MissingFile(
                f"cannot read {name}: {getattr(cause, 'strerror', None) or cause}; check the path and its permissions"
            ) from cause
    if not data:
        raise NotAnImage(f"{name} is empty (0 bytes); was the download or copy completed?")
    return data


def _read_open(file: Any) -> bytes:
    """What is left of a file that is open."""
    if not callable(getattr(file, "read", None)):
        raise InvalidSetting(
            f"a file is given as a path, as bytes or open for bytes (a picture also by Pillow, numpy or torch), "
            f"not as {type(file).__name__}"
        )
    return read_whole(file, name_of(file))


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
    im, alpha = _eight_bits(im, notice), None
    if im.mode in ("RGBA", "LA"):
        alpha = np.asarray(im.getchannel("A"))
        im = im.convert(im.mode[:-1])
    if im.mode == "L":
        return np.repeat(np.asarray(im)[:, :, None], 3, axis=2), alpha, True
    return np.asarray(im), alpha, False


def open_source(
    source: Picture, *, max_pixels: int = DEFAULT_MAX_PIXELS, notice: Notice = silent
) -> Image.Image:
    """A picture to be coded, as Pillow mode L, LA, RGB or RGBA with 8 bits a channel.

    Sixteen-bit, floating, CMYK, palette and bilevel pictures are converted, with a notice where
    that loses something. Metadata stays in ``info``: a colour profile that fits the pixels, Exif and XMP.

    Raises:
        MissingFile, NotAnImage, DamagedFile, PictureTooLarge, MissingDependency: See ``errors``.
    """
    if is_pixels(source):
        source = picture_of(source, notice)
    if isinstance(source, Image.Image):
        im = source
        if im.width < 1 or im.height < 1:
            raise InvalidSetting(
                f"a picture needs at least one pixel, this has {im.width} x {im.height}"
            )
    else:
        source = cast("Source", source)
        data = read_bytes(source)
        im = load_picture(data, name_of(source), max_pixels, notice)
        if is_avif(data) and read_avif_item(data).grey:
            im = _as_grey(im)
    if im is source and getattr(im, "is_animated", False):
        notice("the picture has several frames; only the current one is taken")
    _load(im, name_of(source))
    info = metadata_of(im, notice)
    try:
        im = _eight_bits(im, notice)
    except ValueError as cause:  # such as a transparent colour that the palette lacks
        raise DamagedFile(
            f"{name_of(source)} contradicts itself ({cause}); is the file complete?"
        ) from cause
    if im.mode == "RGBA" and im.getchannel("A").getextrema() == (255, 255):
        im = im.convert("RGB")
    fit_profile(info, ("GRAY" if im.mode in ("L", "LA") else "RGB",), notice)
    out = im.copy() if im is source else im
    out.info.clear()
    out.info.update(info)
    return out


def _load(im: Image.Image, name: str) -> None:
    """Read a picture of Pillow, which may have read no more than its header, to its end.

    Raises:
        DamagedFile: Its file is damaged, or it was closed.
    """
    try:
        im.load()
    except MemoryError:
        raise
    except Exception as cause:  # Pillow's readers raise almost anything on hostile files
        raise DamagedFile(
            f"{name} cannot be decoded ({cause}); is the file complete, and the picture still open?"
        ) from cause


def _eight_bits(im: Image.Image, notice: Notice) -> Image.Image:
    """A picture as mode L, LA, RGB or RGBA."""
    transparent = "transparency" in im.info
    if im.mode.startswith("I;16") or im.mode == "I":
        notice("16-bit samples are converted to 8 bits")
        deep = np.asarray(im).astype(np.float64)
        return Image.fromarray((np.clip(deep, 0, 65535) / 257 + 0.5).astype(np.uint8))
    if im.mode == "F":
        notice("floating-point samples are clipped to 0..255 and rounded")
        return Image.fromarray(
            (np.clip(np.nan_to_num(np.asarray(im)), 0, 255) + 0.5).astype(np.uint8)
        )
    if im.mode == "1":
        return im.convert("L")
    if im.mode in ("P", "PA") or (transparent and im.mode in ("L", "RGB")):
        return im.convert("RGBA" if transparent or im.mode == "PA" else "RGB")
    if im.mode not in ("L", "LA", "RGB", "RGBA"):
        notice(f"colours are converted from {im.mode} to RGB")
        return im.convert("RGB")
    return im


def _as_grey(im: Image.Image) -> Image.Image:
    """A picture of equal channels as mode L or LA, with its metadata."""
    out = im.convert("LA" if im.mode == "RGBA" else "L")
    out.info, out.format = im.info, im.format
    return out
