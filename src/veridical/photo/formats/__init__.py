"""Formats as plug-ins: one module each, registered here.

A format says how its files are recognised, written and opened (:class:`Format`). To add one, write such a
module and call :func:`register`; see ``docs/extending.md``. Its weights are files of their own, and those of
the other formats stay as they are.
"""

from __future__ import annotations

import logging
from typing import Any, Protocol, cast

from PIL import Image

from veridical.errors import InvalidSetting, UnsupportedFormat, typed_errors
from veridical.extras import EXTRA_OF
from veridical.notices import Notice, check_callable, log_notice, silent
from veridical.photo.formats.avif import AVIF
from veridical.photo.formats.conventional import CodedPayload, ConventionalFormat
from veridical.photo.formats.jpeg import JPEG
from veridical.photo.formats.jxl import JXL
from veridical.photo.formats.vdc import VDC
from veridical.photo.formats.webp import WEBP
from veridical.photo.image import CodedImage
from veridical.photo.loading import FOREIGN, OPENED, foreign_format, load_picture
from veridical.photo.options import DecodeOptions, EncodeOptions, Target
from veridical.photo.reader import Source, name_of, read_bytes

__all__ = [
    "FORMATS",
    "CodedPayload",
    "ConventionalFormat",
    "Format",
    "format_named",
    "format_of_suffix",
    "open_image",
    "register",
    "suffixes",
]


class Format(Protocol):
    """What a format offers."""

    @property
    def name(self) -> str:
        """In capitals, as in ``encode(..., format=name)``."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Of its files, in lower case, the first for writing."""

    @property
    def features(self) -> tuple[str, ...]:
        """Names of what a file tells the networks."""

    def sniff(self, head: bytes) -> bool:
        """Whether a file that begins with ``head`` (64 bytes or the whole file) is of this format."""

    def check(self, target: Target, options: EncodeOptions) -> None:
        """Refuse settings that this format does not have, before anything is read.

        Raises:
            InvalidSetting: Such a setting.
        """

    def encode(
        self,
        image: Image.Image,
        target: Target | None = None,
        options: EncodeOptions | None = None,
        notice: Notice = silent,
    ) -> bytes:
        """The bytes of a file; ``image`` is of mode L, LA, RGB or RGBA."""

    def open(
        self,
        data: bytes,
        options: DecodeOptions,
        notice: Notice = silent,
        *,
        name: str = "the file",
    ) -> CodedImage:
        """A file that is open, parsed and entropy-decoded once; ``name`` is for errors."""


_LOGGER = logging.getLogger(__name__)

FORMATS: dict[str, Format] = {}
"""Every format by its name."""


def register(new: Format) -> None:
    """Make a format known; one of the same name is replaced."""
    FORMATS[new.name] = new
    if getattr(new, "plugin", None) is None:  # a plugin is imported when such a file is met
        OPENED.extend(n for n in getattr(new, "pillow_names", ()) if n not in OPENED)


for _format in (AVIF, WEBP, JPEG, JXL, VDC):
    register(_format)


def format_named(name: str) -> Format:
    """A format by its name or suffix, in any case: "AVIF", "jpg".

    Raises:
        UnsupportedFormat: Unknown.
    """
    if not isinstance(name, str):
        raise InvalidSetting(f"a format is named by a text such as 'AVIF', got {name!r}")
    found = FORMATS.get(name.upper())
    return format_of_suffix(f".{name}") if found is None else found


def format_of_suffix(suffix: str) -> Format:
    """The format of a file suffix such as ".avif".

    Raises:
        UnsupportedFormat: No encoder for it.
    """
    for one in FORMATS.values():
        if suffix.lower() in one.suffixes:
            return one
    raise UnsupportedFormat(
        f"cannot write suffix {suffix!r}; an encoded photograph ends in {', '.join(suffixes())}"
    )


def suffixes() -> tuple[str, ...]:
    """Suffixes of all coded files."""
    return tuple(s for one in FORMATS.values() for s in one.suffixes)


@typed_errors()
def open_image(
    source: Source | CodedImage,
    options: DecodeOptions | None = None,
    notice: Notice = log_notice,
    **settings: Any,
) -> CodedImage:
    """Open a coded file; an open one is returned as it is.

    Args:
        source: Path, bytes, or a file that is open for bytes.
        options: How it will be decoded.
        notice: Called with a sentence when something was converted; a warning of ``logging`` if left out.
        **settings: Instead of options, single ones by name, such as ``seed=3``.

    Raises:
        MissingFile, NotAnImage, DamagedFile, PictureTooLarge: See ``errors``.
        UnsupportedFormat: A picture, but of no format that holds something to restore.
    """
    check_callable(notice=notice)
    o = DecodeOptions.of(options, settings)
    if hasattr(source, "window"):
        return cast("CodedImage", source)
    source = cast("Source", source)
    data, name = read_bytes(source), name_of(source)
    for one in FORMATS.values():
        if one.sniff(data[:64]):
            image = one.open(data, o, notice, name=name)
            _LOGGER.info(
                "%s: %s, %d x %d pixels, %d bytes",
                name, one.name, image.width, image.height, len(data),
            )  # fmt: skip
            return image
    kind = foreign_format(data)
    found = kind or load_picture(data, name, o.max_pixels).format
    needs = (
        f' (with the extra: pip install "veridical[{EXTRA_OF[FOREIGN[kind][0]]}]")' if kind else ""
    )
    raise UnsupportedFormat(
        f"{name} is a {found} picture; only files of {', '.join(FORMATS)} hold something to restore. "
        f"To code it, use: veridical encode{needs}"
    )
