"""Pillow reads and writes ``.vdc`` files once this module is imported.

>>> import veridical.photo.plugin
>>> from PIL import Image
>>> Image.open("x.vdc")                        # decoded at the file's own realism when loaded
>>> Image.open("x.vdc").decoding(realism=0.7)  # decoded so instead
>>> picture.save("y.vdc", quality=40)          # or bpp=0.2, or max_bytes=20_000

``save`` takes also ``quantizer``, ``seed``, ``realism`` and ``weights`` (see ``veridical.EncodeOptions``).
What has to be converted, as alpha, is told in a warning. Errors are those of ``veridical.errors``.
"""

from __future__ import annotations

import io
import warnings
from typing import IO, Any

from PIL import Image, ImageFile

from veridical.errors import InvalidSetting
from veridical.photo.decode import decode
from veridical.photo.encode import encode
from veridical.photo.formats.vdc import VDC
from veridical.photo.options import DEFAULT_MAX_PIXELS, DecodeOptions, EncodeOptions

__all__ = ["VdcImageFile"]


def _limit() -> int:
    """Pillow's own limit against decompression bombs, which raises at twice its number."""
    limit = Image.MAX_IMAGE_PIXELS
    return 1 << 62 if limit is None else max(2 * limit, DEFAULT_MAX_PIXELS)


class VdcImageFile(ImageFile.ImageFile):
    """A ``.vdc`` file opened by Pillow; the header is read first, the picture on ``load``."""

    format = VDC.name
    format_description = "veridical photo codec"

    def _open(self) -> None:
        data = self.fp.read() if self.fp is not None else b""
        self._options = DecodeOptions(max_pixels=_limit())
        coded = VDC.open(data, self._options)
        self._data: bytes | None = data
        self._size = (coded.width, coded.height)
        self._mode = "L" if coded.container.header.channels == 1 else "RGB"
        self.info.update(coded.container.metadata)
        self.tile = []

    def decoding(self, **settings: Any) -> VdcImageFile:
        """Say how the picture is decoded when it is loaded.

        Args:
            **settings: Of :class:`veridical.DecodeOptions`, by name.

        Returns:
            The same object.

        Raises:
            InvalidSetting: An unknown or impossible setting, or the picture was decoded already.
        """
        if self._data is None:
            raise InvalidSetting(
                "the picture was decoded already; open the file again to decode it otherwise"
            )
        self._options = DecodeOptions.of(None, {"max_pixels": _limit(), **settings})
        return self

    def load(self) -> Any:
        """Decode once, at the file's own realism or as :meth:`decoding` says."""
        if self._data is not None:
            picture = decode(self._data, self._options)
            self._data = None
            if self.fp is not None and self._exclusive_fp:
                self.fp.close()
            self.fp = io.BytesIO(picture.tobytes())
            self.tile = [
                ImageFile._Tile("raw", (0, 0, *self.size), 0, self.mode)  # noqa: SLF001 (as every plugin)
            ]
        return super().load()


def _save(im: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    del filename
    options = im.encoderinfo
    known = ("quality", "bpp", "max_bytes", *EncodeOptions.__dataclass_fields__)
    settings = {k: options[k] for k in known if k in options}
    picture = im.copy()
    for key in ("icc_profile", "exif", "xmp"):
        if options.get(key):
            value = options[key]
            picture.info[key] = value.tobytes() if isinstance(value, Image.Exif) else value
    data = encode(
        picture, format=VDC.name, max_pixels=_limit(), **settings,
        notice=lambda message: warnings.warn(message, stacklevel=4),
    )  # fmt: skip
    fp.write(data)


Image.register_open(VDC.name, VdcImageFile, VDC.sniff)
Image.register_save(VDC.name, _save)
Image.register_extension(VDC.name, ".vdc")
Image.register_mime(VDC.name, "image/x-vdc")
