"""Pillow reads and writes ``.vdc`` files once this module is imported.

>>> import veridical.photo.plugin
>>> from PIL import Image
>>> Image.open("x.vdc")                        # decoded at the file's own realism when loaded
>>> picture.save("y.vdc", quality=40)          # or bpp=0.2, or max_bytes=20_000

``save`` takes also ``quantizer``, ``seed`` and ``realism`` (see ``photo.encode.LearnedSettings``).
Errors are those of ``veridical.errors``.
"""

from __future__ import annotations

import io
import warnings
from typing import IO, Any

from PIL import Image, ImageFile

from veridical.bitstream.container import SIGNATURE, read
from veridical.photo.decode import decode
from veridical.photo.encode import LearnedSettings, encode
from veridical.photo.reader import DEFAULT_MAX_PIXELS

__all__ = ["VdcImageFile"]


_NAME = "VDC"


def _limit() -> int:
    """Pillow's own limit against decompression bombs, which raises at twice its number."""
    limit = Image.MAX_IMAGE_PIXELS
    return 1 << 62 if limit is None else max(2 * limit, DEFAULT_MAX_PIXELS)


class VdcImageFile(ImageFile.ImageFile):
    """A ``.vdc`` file opened by Pillow; the header is read first, the picture on ``load``."""

    format = _NAME
    format_description = "veridical learned photo codec"

    def _open(self) -> None:
        self._data: bytes | None = self.fp.read() if self.fp is not None else b""
        container = read(self._data, max_pixels=_limit())
        header = container.header
        self._size = (header.width, header.height)
        self._mode = "L" if header.channels == 1 else "RGB"
        self.info.update(container.metadata)
        self.tile = []

    def load(self) -> Any:
        """Decode at the file's own realism, once."""
        if self._data is not None:
            picture = decode(self._data, max_pixels=_limit())
            self._data = None
            if self.fp is not None and self._exclusive_fp:
                self.fp.close()
            self.fp = io.BytesIO(picture.tobytes())
            self.tile = [
                ImageFile._Tile("raw", (0, 0, *self.size), 0, self.mode)  # noqa: SLF001 (as every plugin)
            ]
        return super().load()


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(SIGNATURE[:4])


def _save(im: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    del filename
    options = im.encoderinfo
    settings = LearnedSettings(
        **{k: options[k] for k in ("quantizer", "seed", "realism") if k in options}
    )
    picture = im.copy()
    for key in ("icc_profile", "exif", "xmp"):
        if options.get(key):
            value = options[key]
            picture.info[key] = value.tobytes() if isinstance(value, Image.Exif) else value
    data = encode(
        picture, format="VDC", quality=options.get("quality"), bpp=options.get("bpp"),
        max_bytes=options.get("max_bytes"), learned=settings, max_pixels=_limit(),
        notice=lambda message: warnings.warn(message, stacklevel=4),
    )  # fmt: skip
    fp.write(data)


Image.register_open(_NAME, VdcImageFile, _accept)
Image.register_save(_NAME, _save)
Image.register_extension(_NAME, ".vdc")
Image.register_mime(_NAME, "image/x-vdc")
