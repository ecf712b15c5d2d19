"""What travels with the pixels: colour profile, Exif and XMP, and which format can hold them."""

from __future__ import annotations

from typing import Any

from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from veridical.notices import Notice

_EXIF_HEAD = b"Exif\0\0"
_ORIENTATION = 0x0112
_XMP = 700
_DESCRIPTIVE = (
    270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 18246, 33432, *range(40091, 40096),
)  # fmt: skip
"""Tags of a TIFF file that describe the picture, not how it is stored (TIFF 6.0; XP tags of Windows)."""
_DIRECTORIES = (0x8769, 0x8825)
"""Exif and GPS."""

_HOLDERS = frozenset({"AVIF", "HEIF", "JPEG", "JXL", "MPO", "PNG", "TIFF", "VDC", "WEBP"})
"""Formats that hold a colour profile, Exif and XMP, as Pillow names them."""
_REWRITERS = frozenset({"AVIF", "TIFF"})
"""Formats for which Pillow takes Exif apart: AVIF has a place of its own for the orientation."""
_NO_GREY = frozenset({"WEBP"})
_SEGMENT = 65_533
_MOST_IN_JPEG = {"exif": _SEGMENT, "xmp": _SEGMENT - 29, "icc_profile": 255 * (_SEGMENT - 14)}
"""Bytes; Exif and XMP are one segment, a profile is at most 255."""
_NAMES = {"icc_profile": "colour profile", "exif": "Exif", "xmp": "XMP"}


def metadata_of(im: Image.Image, notice: Notice) -> dict[str, bytes]:
    """ICC profile, Exif (with orientation) and XMP of a picture that was read, where present.

    Exif that cannot be parsed is left out, with a notice.
    """
    kept: dict[str, bytes] = {}
    for key in ("icc_profile", "xmp"):
        value = im.info.get(key)
        if value:
            kept[key] = value.encode() if isinstance(value, str) else bytes(value)
    try:
        exif = _exif(im)
    except Exception:  # noqa: BLE001 (Pillow's parser raises almost anything on what is no Exif)
        notice("the Exif data are malformed and are left out")
    else:
        if exif:
            kept["exif"] = exif
    return kept


def _exif(im: Image.Image) -> bytes:
    raw = im.info.get("exif")
    if raw:
        raw = raw.tobytes() if isinstance(raw, Image.Exif) else bytes(raw)
        raw = _EXIF_HEAD + raw.removeprefix(_EXIF_HEAD)
        exif = Image.Exif()
        exif.load(raw)
        exif.get(_ORIENTATION)
        return raw
    if "Raw profile type exif" in im.info:
        return im.getexif().tobytes()
    return _exif_of_tiff(im) if im.format == "TIFF" else b""


def _exif_of_tiff(im: Image.Image) -> bytes:
    """What a TIFF file says of its picture; Pillow has turned the pixels already."""
    said, kept = im.getexif(), Image.Exif()
    for tag in _DESCRIPTIVE:
        if tag in said:
            kept[tag] = said[tag]
    for directory in _DIRECTORIES:
        if inner := said.get_ifd(directory):
            kept.get_ifd(directory).update(inner)
    found = any(kept.get_ifd(d) for d in _DIRECTORIES) or any(
        tag in kept for tag in _DESCRIPTIVE if tag not in (282, 283, 296)
    )
    return kept.tobytes() if found else b""


def fit_profile(metadata: dict[str, Any], spaces: tuple[str, ...], notice: Notice) -> None:
    """Drop a colour profile that is not one of the pixels' colours, with a notice.

    Args:
        metadata: As of :func:`metadata_of`; changed.
        spaces: The colours that fit: "RGB", "GRAY".
        notice: Called with a sentence.
    """
    profile = metadata.get("icc_profile")
    if profile is None:
        return
    # Colour space and signature: ICC.1:2022, table 17, bytes 16 and 36.
    space = profile[16:20].decode("latin-1").strip()
    if profile[36:40] != b"acsp" or len(profile) < 128:
        notice("the colour profile is malformed and is left out")
    elif space not in spaces:
        notice(f"the colour profile is for {space} and the pixels are {spaces[0]}: it is left out")
    else:
        return
    del metadata["icc_profile"]


def prepared_for(
    picture: Image.Image, format_name: str, notice: Notice
) -> tuple[Image.Image, dict[str, Any]]:
    """A picture with what a format can hold of its metadata, as options of Pillow's ``save``.

    Where there is no place for the orientation, the pixels are turned, with a notice.

    Args:
        picture: Of mode L, LA, RGB or RGBA, with metadata in ``info``.
        format_name: As Pillow calls it.
        notice: Called with a sentence for all that is left out.
    """
    kept = {k: bytes(v) for k, v in picture.info.items() if k in _NAMES and v}
    grey = picture.mode in ("L", "LA") and format_name not in _NO_GREY
    fit_profile(kept, ("GRAY" if grey else "RGB",), notice)
    most = _MOST_IN_JPEG if format_name in ("JPEG", "MPO") else {}
    if format_name not in _HOLDERS:
        most = dict.fromkeys(_NAMES, 0)
    elif format_name in _REWRITERS and not _rewritable(kept.get("exif")):
        most = {"exif": 0}
    for key in [k for k, limit in most.items() if len(kept.get(k, b"")) > limit]:
        if key == "exif":
            picture = _turned(picture, kept, format_name, notice)
        size = len(kept.pop(key))
        notice(
            f"{size:,} bytes of {_NAMES[key]} do not go into a {format_name} file; they are left out"
        )
    options: dict[str, Any] = dict(kept)
    if format_name == "PNG" and "xmp" in kept:
        text = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", options.pop("xmp").decode("utf-8", "replace"))
        options["pnginfo"] = text
    elif format_name == "TIFF" and "xmp" in kept:
        tags = Image.Exif()
        tags.load(kept.get("exif", b""))
        tags[_XMP] = options.pop("xmp")
        options["exif"] = tags
    return picture, options


def _rewritable(exif: bytes | None) -> bool:
    """Whether Pillow can take Exif apart and put it together again."""
    try:
        parsed = Image.Exif()
        parsed.load(exif or b"")
        parsed.tobytes()
    except Exception:  # noqa: BLE001 (as in metadata_of)
        return False
    return True


def _turned(
    picture: Image.Image, kept: dict[str, bytes], format_name: str, notice: Notice
) -> Image.Image:
    """The picture as its orientation shows it, which XMP must not say again."""
    exif = Image.Exif()
    exif.load(kept["exif"])
    orientation = exif.get(_ORIENTATION)
    if orientation not in range(2, 9):
        return picture
    notice(f"{format_name} has no place for the orientation; the pixels are turned instead")
    copy = picture.copy()
    copy.info = {k: v for k, v in kept.items() if k == "xmp"}
    copy.getexif()[_ORIENTATION] = orientation
    out = ImageOps.exif_transpose(copy)
    kept.update({str(k): v for k, v in out.info.items()})
    return out
