"""Pillow reads and writes ``.vdc`` files once this module is imported.

>>> import veridical.photo.plugin
>>> from PIL import Image
>>> Image.open("x.vdc")                        # decoded at the file's own realism when loaded
>>> Image.open("x.vdc").decoding(realism=0.7)  # decoded so instead
>>> picture.save("y.vdc", quality=40)          # or bpp=0.2, or max_bytes=20_000

``save`` takes also ``quantizer``, ``seed``, ``realism`` and ``weights`` (see
``photo.encode.LearnedSettings``). What has to be converted, as alpha, is told in a warning. Errors
are those of ``veridical.errors``.
"""

from __future__ import annotations

import io
import warnings
from os import PathLike
from typing import IO, Any

from PIL import Image, ImageFile

from veridical.bitstream.container import SIGNATURE, read
from veridical.errors import InvalidSetting
from veridical.photo.decode import decode
from veridical.photo.encode import LearnedSettings, encode
from veridical.photo.reader import DEFAULT_MAX_PIXELS
from veridical.photo.restore import DEFAULT_STEPS, DEFAULT_TILE

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
        self._options: dict[str, Any] = {}
        container = read(self._data, max_pixels=_limit())
        header = container.header
        self._size = (header.width, header.height)
        self._mode = "L" if header.channels == 1 else "RGB"
        self.info.update(container.metadata)
        self.tile = []

    def decoding(
        self,
        *,
        realism: float | None = None,
        perception: float | None = None,
        seed: int = 0,
        steps: int = DEFAULT_STEPS,
        device: str = "auto",
        tile: int = DEFAULT_TILE,
        weights: str | PathLike[str] | None = None,
    ) -> VdcImageFile:
        """Say how the picture is decoded when it is loaded, as for ``veridical.decode``.

        Returns:
            The same object.

        Raises:
            InvalidSetting: The picture was decoded already.
        """
        if self._data is None:
            raise InvalidSetting(
                "the picture was decoded already; open the file again to decode it otherwise"
            )
        self._options = {
            "realism": realism, "perception": perception, "seed": seed, "steps": steps,
            "device": device, "tile": tile, "weights": weights,
        }  # fmt: skip
        return self

    def load(self) -> Any:
        """Decode once, at the file's own realism or as :meth:`decoding` says."""
        if self._data is not None:
            picture = decode(self._data, max_pixels=_limit(), **self._options)
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
        **{k: options[k] for k in ("quantizer", "seed", "realism", "weights") if k in options}
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
