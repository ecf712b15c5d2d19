"""From a picture to a coded file in any format."""

from __future__ import annotations

from typing import Any

from PIL import Image

from veridical.arrays import whole_number
from veridical.errors import (
    DamagedFile,
    InvalidSetting,
    UnsupportedFormat,
    VeridicalError,
    typed_errors,
)
from veridical.notices import Notice, check_callable, log_notice
from veridical.photo.formats import Format, format_named
from veridical.photo.options import DEFAULT_MAX_PIXELS, DecodeOptions, EncodeOptions, Target
from veridical.photo.reader import Picture, open_source


@typed_errors()
def encode(
    image: Picture,
    *,
    format: str = "AVIF",  # noqa: A002 (the word for it, as in Pillow's save)
    quality: float | None = None,
    bpp: float | None = None,
    max_bytes: int | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    notice: Notice = log_notice,
    **options: Any,
) -> bytes:
    """Code a picture in a conventional format or as a ``.vdc`` file.

    Args:
        image: Path, bytes or open file of any picture that Pillow opens; a Pillow picture; a numpy array
            (height, width[, channels]) of uint8, uint16 or floats in [0, 1]; or such a torch tensor
            ([channels,] height, width).
        format: "AVIF", "WEBP", "JPEG", "JXL", "VDC" or a registered format's name or suffix.
        quality: 0 to 100 in the format's own sense; whole, but for VDC. Without any target the format's
            default, 30 to 35.
        bpp: Instead of a quality: largest number of bits per pixel, found by search.
        max_bytes: Instead of a quality: largest file, found by search.
        max_pixels: Limit against decompression bombs.
        notice: Called with a sentence when the picture had to be converted; a warning of ``logging`` if
            left out.
        options: Of VDC alone: ``quantizer``, ``seed``, ``realism``, ``weights``, as in
            :class:`veridical.EncodeOptions`.

    Returns:
        The bytes of the file, with the picture's ICC profile, Exif and XMP. JPEG and VDC have no
        alpha: transparent parts are laid on white, with a notice.

    Raises:
        InvalidSetting: A setting outside its domain or several targets.
        UnsupportedFormat: The format cannot hold the picture; the file is opened again before it is returned.
        TargetUnreachable: The target is below what the format can do.
        BadWeights: VDC without weights.
        MissingFile, NotAnImage, DamagedFile, PictureTooLarge: See ``errors``.
    """
    check_callable(notice=notice)
    target = Target(quality=quality, bpp=bpp, max_bytes=max_bytes)
    unknown = options.keys() - EncodeOptions.__dataclass_fields__.keys()
    if unknown:
        raise InvalidSetting(
            f"unknown setting {', '.join(sorted(unknown))}; known of .vdc are {', '.join(EncodeOptions.__dataclass_fields__)}"
        )
    chosen, settings = format_named(format), EncodeOptions(**options)
    chosen.check(target, settings)
    max_pixels = whole_number(max_pixels, "max_pixels", 1)
    picture = open_source(image, max_pixels=max_pixels, notice=notice)
    data = chosen.encode(picture, target, settings, notice)
    _check_opens(data, chosen, picture, settings)
    return data


def _check_opens(
    data: bytes, chosen: Format, picture: Image.Image, settings: EncodeOptions
) -> None:
    """Open the file as any reader would; an encoder may write what no decoder takes.

    Raises:
        UnsupportedFormat: It does not open, or is of another size.
    """
    options = DecodeOptions(
        weights=settings.weights, max_pixels=max(DEFAULT_MAX_PIXELS, picture.width * picture.height)
    )
    try:
        if not chosen.sniff(data[:64]):
            raise DamagedFile("it does not begin like such a file")
        again = chosen.open(data, options)
        if sorted((again.width, again.height)) != sorted(picture.size):  # it may have been turned
            raise DamagedFile(f"it says {again.width} x {again.height} pixels")
    except VeridicalError as cause:
        raise UnsupportedFormat(
            f"{chosen.name} cannot hold this picture of {picture.width} x {picture.height} pixels: what was "
            f"coded does not open again ({cause}); use another format"
        ) from cause
