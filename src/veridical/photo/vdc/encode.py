"""From a picture to the bytes of a ``.vdc`` file, at a quality or under a size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image

from veridical.bitstream.container import Container, Header, write
from veridical.errors import InvalidSetting, TargetUnreachable
from veridical.interpolate import check_realism
from veridical.photo.learned.coding import TileKey, encode_tile
from veridical.photo.learned.model import LearnedModel, quality_number
from veridical.photo.learned.prior import LARGEST_HYPER, QUALITY_STEPS
from veridical.photo.learned.quantizers import QUANTIZERS
from veridical.photo.learned.transform import STRIDE
from veridical.photo.restore import MARGIN, windows

__all__ = ["DEFAULT_QUALITY", "FILE_TILE", "QUANTIZER_NAMES", "LatentPicture", "LearnedEncoder"]

DEFAULT_QUALITY = 35.0
FILE_TILE = 512

QUANTIZER_NAMES = tuple(QUANTIZERS)
"""In the order of their numbers."""

_CLOSE = 0.99
_FINEST = 5


@dataclass(frozen=True, eq=False)
class LatentPicture:
    """A picture after the analysis: everything that does not depend on the quality.

    Attributes:
        latents: Before the gain, float32 of shape (latents, rows, columns).
        header: With everything but the quality.
        metadata: ICC profile, Exif and XMP.
    """

    latents: np.ndarray = field(repr=False)
    header: dict[str, Any]
    metadata: dict[str, bytes] = field(repr=False)


@dataclass(frozen=True)
class LearnedEncoder:
    """Settings of the learned encoder; perception-oblivious, as [T] Props 1 and 2 allow.

    Attributes:
        model: The model.
        quality: 0 to 100, continuous, or None for the default.
        bpp: Instead: largest number of bits per pixel of the whole file, by search.
        max_bytes: Instead: largest size of the whole file, by search.
        quantizer: "scalar"; "dither" or "e8" (blocks of eight) for common randomness from the seed.
        seed: Common randomness of the file; not used by "scalar".
        realism: What a decoder uses if it is not told.
        tile: Side of the file's tiles in pixels, a multiple of 64.
    """

    model: LearnedModel = field(repr=False)
    quality: float | None = None
    bpp: float | None = None
    max_bytes: int | None = None
    quantizer: str = "scalar"
    seed: int = 0
    realism: float = 0.0
    tile: int = FILE_TILE

    def __post_init__(self) -> None:
        if sum(x is not None for x in (self.quality, self.bpp, self.max_bytes)) > 1:
            raise InvalidSetting("give one of quality, bpp and max_bytes, not several")
        if self.quality is not None:
            quality_number(self.quality)
        if self.bpp is not None and not 0 < self.bpp < 1000:
            raise InvalidSetting(
                f"bpp must be a positive number of bits per pixel, got {self.bpp!r}"
            )
        if self.max_bytes is not None and self.max_bytes < 1:
            raise InvalidSetting(f"max_bytes must be positive, got {self.max_bytes!r}")
        if self.quantizer not in QUANTIZERS:
            raise InvalidSetting(
                f"quantizer must be one of {', '.join(QUANTIZERS)}, got {self.quantizer!r}"
            )
        check_realism(self.realism)

    def encode(self, x: Image.Image, seed: int = 0) -> bytes:
        """The file's bytes; ``x`` is of mode L or RGB.

        ``seed`` is the common randomness if the settings leave it at 0.

        Raises:
            TargetUnreachable: Even the lowest quality is larger than the target.
            InvalidSetting: A field that the header cannot hold.
        """
        picture = self.analyse(x, self.seed or seed)
        if self.bpp is None and self.max_bytes is None:
            quality = DEFAULT_QUALITY if self.quality is None else self.quality
            return self.at_quality(picture, quality_number(quality))
        target = self.max_bytes if self.bpp is None else int(self.bpp * x.width * x.height / 8)
        return self._search(picture, target or 0)

    def analyse(self, x: Image.Image, seed: int) -> LatentPicture:
        """Run the analysis, window by window."""
        if x.mode not in ("L", "RGB"):
            raise InvalidSetting(
                f"a .vdc file holds modes L and RGB, not {x.mode}; convert it first"
            )
        quantizer = QUANTIZERS[self.quantizer]()
        fields: dict[str, Any] = {
            "model": self.model.name, "digest": self.model.short_digest,
            "width": x.width, "height": x.height, "channels": 1 if x.mode == "L" else 3,
            "quantizer": quantizer.number, "randomness_bits": quantizer.randomness_bits,
            "seed": seed if quantizer.randomness_bits else 0,
            "realism": round(1000 * self.realism), "tile": self.tile,
        }  # fmt: skip
        Header(**fields)
        pixels = np.asarray(x)
        if pixels.ndim == 2:
            pixels = np.broadcast_to(pixels[:, :, None], (*pixels.shape, 3))
        rows, columns = -(-x.height // STRIDE), -(-x.width // STRIDE)
        latents = np.empty((self.model.sizes[1].latents, rows, columns), dtype=np.float32)
        for y0, y1, top, bottom in windows(x.height, self.tile + 2 * MARGIN, MARGIN):
            for x0, x1, left, right in windows(x.width, self.tile + 2 * MARGIN, MARGIN):
                y = self._analysed(pixels[y0:y1, x0:x1])
                at = np.s_[
                    :, top // STRIDE : -(-bottom // STRIDE), left // STRIDE : -(-right // STRIDE)
                ]
                latents[at] = y[
                    :,
                    (top - y0) // STRIDE : -(-(bottom - y0) // STRIDE),
                    (left - x0) // STRIDE : -(-(right - x0) // STRIDE),
                ]
        metadata = {k: bytes(v) for k, v in x.info.items() if k in ("icc_profile", "exif", "xmp")}
        return LatentPicture(latents, fields, metadata)

    @torch.inference_mode()
    def _analysed(self, pixels: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(np.array(pixels)).to(self.model.device)
        x = x.permute(2, 0, 1)[None].float().div_(255)
        x = _replicated(x, STRIDE).contiguous(memory_format=torch.channels_last)
        return self.model.analysis(x)[0].cpu().numpy()

    def at_quality(self, picture: LatentPicture, quality: int) -> bytes:
        """The file at a quality of 0 to 10,000."""
        header = Header(**picture.header, quality=quality)
        tiles = tuple(self._tiles(picture, header))
        return write(Container(header, tiles, picture.metadata))

    def _tiles(self, picture: LatentPicture, header: Header) -> Iterator[bytes]:
        quantizer = QUANTIZERS[self.quantizer]()
        gain = self.gain(header.quality)
        for index in range(header.rows * header.columns):
            top, left, height, width = (v // STRIDE for v in _rounded_up(header.window(index)))
            y = picture.latents[:, top : top + height, left : left + width] * gain
            key = TileKey(height, width, header.quality, quantizer, header.seed, index)
            yield encode_tile(self.model.entropy, y, self.hyperlatents(y), key)[0]

    @torch.inference_mode()
    def gain(self, quality: int) -> np.ndarray:
        """Gain of each channel, shape (latents, 1, 1)."""
        number = torch.tensor([quality], device=self.model.device)
        return self.model.gains(number)[0][0].cpu().numpy()

    @torch.inference_mode()
    def hyperlatents(self, y: np.ndarray) -> np.ndarray:
        """Whole hyperlatents of a tile's latents in steps."""
        x = torch.from_numpy(np.ascontiguousarray(y))[None].to(self.model.device)
        z = self.model.hyper_analysis(_replicated(x, 4)).round()
        return z.clamp(-LARGEST_HYPER, LARGEST_HYPER)[0].cpu().numpy().astype(np.int64)

    def _search(self, picture: LatentPicture, target: int) -> bytes:
        """Highest quality whose file is within ``target`` bytes, by bisection.

        It stops at 99 % of the target, or when neighbouring qualities differ by 0.05.
        """
        low, high = 0, QUALITY_STEPS
        best = self.at_quality(picture, high)
        if len(best) <= target:
            return best
        best = self.at_quality(picture, low)
        if len(best) > target:
            pixels = picture.header["width"] * picture.header["height"]
            raise TargetUnreachable(
                f"a .vdc file of this picture has at least {len(best):,} bytes ({8 * len(best) / pixels:.3f} "
                f"bits per pixel), more than the {target:,} allowed; raise the target or make the picture smaller"
            )
        while high - low > _FINEST and len(best) < _CLOSE * target:
            middle = (low + high) // 2
            data = self.at_quality(picture, middle)
            if len(data) <= target:
                low, best = middle, data
            else:
                high = middle
        return best


def _rounded_up(window: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    top, left, height, width = window
    return top, left, height + -height % STRIDE, width + -width % STRIDE


def _replicated(x: torch.Tensor, grid: int) -> torch.Tensor:
    height, width = x.shape[-2:]
    bottom, right = -height % grid, -width % grid
    if not bottom and not right:
        return x
    return torch.nn.functional.pad(x, (0, right, 0, bottom), mode="replicate")
