"""From a picture to the bytes of a ``.vdc`` file, at a quality or under a size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from veridical.bitstream.container import Container, Header, write
from veridical.errors import InvalidSetting
from veridical.photo.options import MARGIN, EncodeOptions, Target
from veridical.photo.search import largest_quality
from veridical.photo.tiles import Box, tiles
from veridical.photo.vdc.coding import TileKey, encode_tile
from veridical.photo.vdc.model import VdcModel
from veridical.photo.vdc.prior import LARGEST_HYPER, QUALITY_STEPS, STRIDE, latent_places
from veridical.photo.vdc.quantizers import quantizer_named

DEFAULT_QUALITY = 35.0
FILE_TILE = 512

Array32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LatentPicture:
    """A picture after the analysis: everything that does not depend on the quality.

    Attributes:
        latents: Before the gain, float32 of shape (latents, rows, columns).
        header: With everything but the quality.
        metadata: ICC profile, Exif and XMP.
    """

    latents: Array32 = field(repr=False)
    header: dict[str, Any]
    metadata: dict[str, bytes] = field(repr=False)


@dataclass(frozen=True)
class VdcEncoder:
    """Encoder of ``.vdc`` files; perception-oblivious, as [T] Props 1 and 2 allow.

    Attributes:
        model: The model.
        options: Quantizer, common randomness and default realism.
        tile: Side of the file's tiles in pixels, a multiple of 64.
    """

    model: VdcModel = field(repr=False)
    options: EncodeOptions = field(default_factory=EncodeOptions)
    tile: int = FILE_TILE

    def encode(self, x: Image.Image, target: Target | None = None) -> bytes:
        """The file's bytes; ``x`` is of mode L or RGB.

        Raises:
            TargetUnreachable: Even the lowest quality is larger than the target.
            InvalidSetting: An unknown quantizer, or a field that the header cannot hold.
        """
        picture, target = self.analyse(x), target or Target()
        limit = target.size_limit(x.width, x.height)
        if limit is None:
            quality = DEFAULT_QUALITY if target.quality is None else target.quality
            return self.at_quality(picture, round(quality * (QUALITY_STEPS // 100)))
        return largest_quality(
            lambda quality: self.at_quality(picture, quality), limit, QUALITY_STEPS,
            name="a .vdc file", pixels=x.width * x.height, enough=0.99, finest=5,
        )  # fmt: skip

    def analyse(self, x: Image.Image) -> LatentPicture:
        """Run the analysis, window by window."""
        if x.mode not in ("L", "RGB"):
            raise InvalidSetting(
                f"a .vdc file holds modes L and RGB, not {x.mode}; convert it first"
            )
        o, quantizer = self.options, quantizer_named(self.options.quantizer)
        fields: dict[str, Any] = {
            "model": self.model.name, "digest": self.model.short_digest,
            "width": x.width, "height": x.height, "channels": 1 if x.mode == "L" else 3,
            "quantizer": quantizer.number, "randomness_bits": quantizer.randomness_bits,
            "seed": o.seed if quantizer.randomness_bits else 0,
            "realism": round(1000 * o.realism), "tile": self.tile,
        }  # fmt: skip
        Header(**fields)
        pixels = np.asarray(x)
        if pixels.ndim == 2:
            pixels = np.broadcast_to(pixels[:, :, None], (*pixels.shape, 3))
        rows, columns = -(-x.height // STRIDE), -(-x.width // STRIDE)
        latents = np.empty((self.model.n_latents, rows, columns), dtype=np.float32)
        for part in tiles(x.height, x.width, self.tile + 2 * MARGIN):
            window, core = part.window, part.core
            y = self.analysed(pixels[window.top : window.bottom, window.left : window.right])
            inside = Box(*(c - w for c, w in (
                (core.top, window.top), (core.bottom, window.top),
                (core.left, window.left), (core.right, window.left),
            )))  # fmt: skip
            latents[:, *latent_places(core)] = y[:, *latent_places(inside)]
        metadata = {k: bytes(v) for k, v in x.info.items() if k in ("icc_profile", "exif", "xmp")}
        return LatentPicture(latents, fields, metadata)

    def analysed(self, pixels: np.ndarray) -> Array32:
        """Latents of a window, uint8 of shape (height, width, 3), before the gain."""
        x = pixels.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
        return self.model.network("analysis")(x=_replicated(x, STRIDE)[None])[0][0]

    def at_quality(self, picture: LatentPicture, quality: int) -> bytes:
        """The file at a quality of 0 to 10,000."""
        header = Header(**picture.header, quality=quality)
        return write(Container(header, tuple(self._tiles(picture, header)), picture.metadata))

    def _tiles(self, picture: LatentPicture, header: Header) -> Iterator[bytes]:
        quantizer = quantizer_named(self.options.quantizer)
        gain, _ = self.model.gains(header.quality)
        bound = header.pack()
        for index in range(header.rows * header.columns):
            top, left, height, width = header.window(index)
            y = (
                picture.latents[:, *latent_places(Box(top, top + height, left, left + width))]
                * gain
            )
            _, rows, columns = y.shape
            key = TileKey(rows, columns, header.quality, quantizer, header.seed, index, bound)
            yield encode_tile(self.model.entropy, y, self.hyperlatents(y), key)[0]

    def hyperlatents(self, y: Array32) -> NDArray[np.int64]:
        """Whole hyperlatents of a tile's latents in steps."""
        z = self.model.network("hyper-analysis")(y=_replicated(y, 4)[None])[0][0]
        return np.clip(np.rint(z), -LARGEST_HYPER, LARGEST_HYPER).astype(np.int64)


def _replicated(x: Array32, grid: int) -> Array32:
    """Channels of which both sides are multiples of ``grid``."""
    height, width = x.shape[-2:]
    return np.pad(x, ((0, 0), (0, -height % grid), (0, -width % grid)), mode="edge")
