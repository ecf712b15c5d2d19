"""A ``.vdc`` file that is open: parsed once, entropy-decoded once, and decoded window by window.

Tiles of the file are independent; windows of the decoder overlap and see across the borders of
tiles, so that no border shows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from veridical.bitstream.container import Container
from veridical.errors import BadWeights, DamagedFile, WrongModel
from veridical.interpolate import Calibration
from veridical.notices import Notice, silent
from veridical.photo.image import Decodes, FileInfo, mean_of_channels
from veridical.photo.options import DecodeOptions
from veridical.photo.tiles import Box
from veridical.photo.vdc.coding import TileKey, decode_tile
from veridical.photo.vdc.decoder import LatentWindow, VdcDecoder
from veridical.photo.vdc.model import VdcModel, load_model
from veridical.photo.vdc.prior import STRIDE, latent_places
from veridical.photo.vdc.quantizers import QUANTIZER_TITLES, quantizer_numbered


def decode_latents(
    container: Container, model: VdcModel, *, allow_partial: bool = False
) -> tuple[NDArray[np.int16], list[int]]:
    """The latents of a whole picture in 1/16 steps, and the numbers of damaged tiles.

    Damaged tiles are zeros, if ``allow_partial``.

    Raises:
        WrongModel: The file was made with other weights.
        UnsupportedFormat: It uses a quantizer that this version does not have.
        DamagedFile: A tile is damaged, unless ``allow_partial``.
    """
    header = container.header
    model.check(header)
    quantizer = quantizer_numbered(header.quantizer, header.randomness_bits)
    rows, columns = -(-header.height // STRIDE), -(-header.width // STRIDE)
    latents = np.zeros((model.n_latents, rows, columns), dtype=np.int16)
    damaged = []
    for index, data in enumerate(container.tiles):
        top, left, height, width = header.window(index)
        own = latents[:, *latent_places(Box(top, top + height, left, left + width))]
        _, rows, columns = own.shape
        key = TileKey(rows, columns, header.quality, quantizer, header.seed, index, container.bound)
        try:
            if data is None:
                raise DamagedFile(f"tile {index} is missing; fetch the file again")
            own[:] = decode_tile(model.entropy, data, key)
        except DamagedFile as error:
            if not allow_partial:
                raise DamagedFile(
                    f"tile {index}: {error}; the others can be decoded with --allow-partial"
                ) from error
            damaged.append(index)
    return latents, damaged


@dataclass(frozen=True, eq=False)
class VdcImage(Decodes):
    """See ``image.CodedImage``.

    Attributes:
        container: The file taken apart.
        n_bytes: Size of the whole file.
        options: How it is to be decoded.
        notice: Called with a sentence for each damaged tile, when the file is entropy-decoded.
    """

    container: Container = field(repr=False)
    n_bytes: int
    options: DecodeOptions = field(default_factory=DecodeOptions)
    notice: Notice = field(default=silent, repr=False)

    @property
    def height(self) -> int:
        """In pixels."""
        return self.container.header.height

    @property
    def width(self) -> int:
        """In pixels."""
        return self.container.header.width

    @property
    def ordinary(self) -> None:
        """No other program opens these files."""
        return None

    @property
    def default_realism(self) -> float:
        """What the file says."""
        return self.container.header.realism / 1000

    @cached_property
    def model(self) -> VdcModel:
        """The file's own weights.

        Raises:
            BadWeights: Missing or damaged.
            WrongModel: The file was made with other weights.
        """
        o = self.options
        found = load_model(o.weights, device=o.device, threads=o.threads)
        found.check(self.container.header)
        found.check_decoder()
        return found

    @property
    def has_generator(self) -> bool:
        """Whether the weights hold one."""
        return self.model.has_generator

    @cached_property
    def decoder(self) -> VdcDecoder:
        """The networks of the file's model."""
        return VdcDecoder(self.model)

    @cached_property
    def _latents(self) -> tuple[NDArray[np.int16], list[tuple[int, int, int, int]]]:
        """Latents of the picture, and (top, left, height, width) of damaged tiles."""
        latents, damaged = decode_latents(
            self.container, self.model, allow_partial=self.options.allow_partial
        )
        places = [self.container.header.window(index) for index in damaged]
        for top, left, height, width in places:
            self.notice(
                f"the tile of {width} x {height} pixels at ({left}, {top}) is damaged and left grey"
            )
        return latents, places

    def window(self, box: Box) -> LatentWindow:
        """Latents of a window; the first call decodes those of the whole picture.

        Raises:
            DamagedFile: A tile is damaged, unless the options allow it.
        """
        latents, damaged = self._latents
        header, lost = self.container.header, False
        if damaged:
            whole = np.ones((header.rows, header.columns), dtype=bool)
            for top, left, _, _ in damaged:
                whole[top // header.tile, left // header.tile] = False
            side = header.tile
            lost = not whole[
                box.top // side : -(-box.bottom // side), box.left // side : -(-box.right // side)
            ].any()
        return LatentWindow(
            latents[:, *latent_places(box)], box, header.quality, header.quantizer, lost
        )

    def price(self) -> Calibration | None:
        """Of quality, quantizer and bits per pixel; None if it was not measured."""
        header = self.container.header
        return self.model.price(header.quality, header.quantizer, self.container.bits_per_pixel)

    @property
    def info(self) -> FileInfo:
        """Every field of the header, and the price if the file's weights are at hand."""
        header = self.container.header
        details = {
            "model": f"{header.model} (weights {header.digest.hex()})",
            "quality": f"{header.quality / 100:g} of 100",
            "quantizer": QUANTIZER_TITLES.get(header.quantizer, f"number {header.quantizer}"),
            "common randomness": f"{header.randomness_bits} bits a number, seed {header.seed}",
            "default realism": f"{header.realism / 1000:g}",
            "tiles": f"{header.rows} x {header.columns} of {header.tile} pixels a side",
            "metadata": ", ".join(
                f"{k} {len(v):,} bytes" for k, v in self.container.metadata.items()
            )
            or "none",
        }
        price = None
        try:
            price, prices = self.price(), self.model.prices.get(header.quantizer)
        except (BadWeights, WrongModel):
            if self.options.weights is not None:
                raise
        else:
            if price is None and prices is not None:
                psnr = -10 * math.log10(prices.error(header.quality, self.container.bits_per_pixel))
                details["PSNR at realism 0"] = f"{psnr:.2f} dB predicted"
        return FileInfo(
            "VDC", self.width, self.height, self.n_bytes, 8 * self.n_bytes / (self.width * self.height),
            None, header.channels == 1, False, False, price, details,
            self.container.damage, price is None or self.has_generator,
        )  # fmt: skip

    def finish(self, colours: np.ndarray) -> Image.Image:
        """A Pillow picture of mode L or RGB with metadata; damaged tiles are grey.

        ``info["damaged_tiles"]`` holds (top, left, height, width) of each.
        """
        places = self._latents[1]
        for top, left, height, width in places:
            colours[top : top + height, left : left + width] = 128
        grey = self.container.header.channels == 1
        out = Image.fromarray(mean_of_channels(colours) if grey else colours)
        if places:
            out.info["damaged_tiles"] = places
        out.info.update(self.container.metadata)
        return out
