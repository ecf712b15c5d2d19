"""Decoding and asking: from a coded file to a picture at any realism, or to what it is and will cost."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np
from PIL import Image

from veridical.arrays import check_flag
from veridical.errors import typed_errors
from veridical.notices import Notice, log_notice
from veridical.photo.formats import open_image
from veridical.photo.image import CodedImage, FileInfo
from veridical.photo.options import DecodeOptions
from veridical.photo.reader import Source
from veridical.photo.windows import Progress, decode_image


@overload
def decode(
    source: Source | CodedImage,
    options: DecodeOptions | None = ...,
    *,
    as_array: Literal[False] = ...,
    notice: Notice = ...,
    progress: Progress = ...,
    **settings: Any,
) -> Image.Image: ...


@overload
def decode(
    source: Source | CodedImage,
    options: DecodeOptions | None = ...,
    *,
    as_array: Literal[True],
    notice: Notice = ...,
    progress: Progress = ...,
    **settings: Any,
) -> np.ndarray: ...


@typed_errors()
def decode(
    source: Source | CodedImage,
    options: DecodeOptions | None = None,
    *,
    as_array: bool = False,
    notice: Notice = log_notice,
    progress: Progress = lambda done, total: None,
    **settings: Any,
) -> Image.Image | np.ndarray:
    """Decode an AVIF, WebP, JPEG, JPEG XL or ``.vdc`` file at any realism.

    Args:
        source: The coded file as a path, bytes or a file that is open for bytes, or from :func:`veridical.open`.
        options: How (see :class:`veridical.DecodeOptions`).
        as_array: Give a numpy array instead of a picture.
        notice: Called with a sentence when something was converted; a warning of ``logging`` if left out.
        progress: Called with (windows done, windows in all).
        **settings: Instead of options, single ones by name, such as ``realism=0.7``.

    Returns:
        Pillow picture of mode L, LA, RGB or RGBA, with ICC profile, Exif and XMP in ``info``; with
        ``as_array`` its levels, uint8 of shape (height, width) or (height, width, channels).

    Raises:
        VeridicalError: Any of ``errors``; the message says the cause and the remedy.

    Source: [T] Prop. 3 with a conventional codec as the perception-oblivious encoder.
    """
    check_flag(as_array=as_array)
    o = DecodeOptions.of(options, settings)
    image = open_image(source, o, notice)
    picture = decode_image(image, o, notice=notice, progress=progress)
    return np.array(picture) if as_array else picture


@typed_errors()
def info(
    source: Source | CodedImage,
    options: DecodeOptions | None = None,
    *,
    notice: Notice = log_notice,
    **settings: Any,
) -> FileInfo:
    """Read a file and predict its price at every setting, without decoding it at any realism.

    Args:
        source: An AVIF, WebP, JPEG, JPEG XL or ``.vdc`` file as for :func:`veridical.decode`.
        options: How it would be decoded.
        notice: Called with a sentence for what of the file does not reach the picture; ``notices`` of the
            result has them, too.
        **settings: Instead of options, single ones by name.

    Raises:
        VeridicalError: Any of ``errors``.
    """
    return open_image(source, DecodeOptions.of(options, settings), notice).info
