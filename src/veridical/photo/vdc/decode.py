"""From the bytes of a ``.vdc`` file to a picture at any realism, through the same parts and tiles.

```
 container ─ tiles ─ entropy decoding (whole numbers) ─ latents of the whole picture
 windows of latents ─ LatentEstimator ─ x_mmse ─┬─ blend ─ core of the window
                                     generator ─┘
```
Tiles of the file are independent; windows of the decoder overlap and see across the borders of
tiles, so that no border shows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from veridical.bitstream.container import Container, Header, read
from veridical.codec import resolve_realism
from veridical.errors import DamagedFile, InvalidSetting, WrongModel
from veridical.interpolate import Calibration
from veridical.photo.learned.coding import TileKey, decode_tile
from veridical.photo.learned.model import LearnedModel
from veridical.photo.learned.parts import LatentGenerator, Latents, LatentWindow, learned_codec
from veridical.photo.learned.quantizers import quantizer_numbered
from veridical.photo.learned.transform import STRIDE
from veridical.photo.noise import NoiseField
from veridical.photo.restore import DEFAULT_STEPS, DEFAULT_TILE, assemble, check_steps

__all__ = ["check_model", "decode_container", "decode_latents"]


def check_model(header: Header, model: LearnedModel) -> None:
    """Refuse a file of other weights.

    Raises:
        WrongModel: Name or digest differ.
    """
    if (header.model, header.digest) != (model.name, model.short_digest):
        raise WrongModel(
            f"the file was made with model {header.model} ({header.digest.hex()}), and {model.name} "
            f"({model.short_digest.hex()}) is loaded; name the file's own weights with --weights FILE, "
            "or install the version of veridical that made it"
        )


def decode_latents(
    container: Container, model: LearnedModel, *, allow_partial: bool = False
) -> tuple[Latents, list[int]]:
    """The latents of a whole picture in 1/16 steps, and the numbers of damaged tiles.

    Damaged tiles are zeros, if ``allow_partial``.

    Raises:
        WrongModel: The file was made with other weights.
        UnsupportedFormat: It uses a quantizer that this version does not have.
        DamagedFile: A tile is damaged, unless ``allow_partial``.
    """
    header = container.header
    check_model(header, model)
    quantizer = quantizer_numbered(header.quantizer, header.randomness_bits)
    rows, columns = -(-header.height // STRIDE), -(-header.width // STRIDE)
    latents = np.zeros((model.sizes[1].latents, rows, columns), dtype=np.int16)
    damaged = []
    for index, data in enumerate(container.tiles):
        top, left, height, width = header.window(index)
        r, c = top // STRIDE, left // STRIDE
        h, w = -(-height // STRIDE), -(-width // STRIDE)
        key = TileKey(h, w, header.quality, quantizer, header.seed, index)
        try:
            if data is None:
                raise DamagedFile(f"tile {index} is missing; fetch the file again")
            latents[:, r : r + h, c : c + w] = decode_tile(model.entropy, data, key)
        except DamagedFile as error:
            if not allow_partial:
                raise DamagedFile(
                    f"tile {index}: {error}; the others can be decoded with --allow-partial"
                ) from error
            damaged.append(index)
    return latents, damaged


def decode_container(
    data: bytes,
    model: LearnedModel,
    *,
    realism: float | None = None,
    perception: float | None = None,
    seed: int = 0,
    steps: int = DEFAULT_STEPS,
    tile: int = DEFAULT_TILE,
    max_pixels: int,
    allow_partial: bool = False,
    generator: LatentGenerator | None = None,
    notice: Callable[[str], None] = lambda message: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Image.Image:
    """Decode the bytes of a ``.vdc`` file.

    Args:
        data: The whole file.
        model: The model that made it.
        realism: 0 to 1; None for the file's own default.
        perception: Instead: squared Wasserstein-2 distance to photographs to be met.
        seed: Private randomness of the generator.
        steps: Of the generator's flow.
        tile: Side of the decoder's windows in pixels, a multiple of 16; bounds the memory.
        max_pixels: Limit against decompression bombs.
        allow_partial: Decode what is whole of a damaged file; damaged tiles are grey, and told.
        generator: Generator conditioned on latents, instead of the model's own.
        notice: Called with a sentence for each damage.
        progress: Called with (windows done, windows in all).

    Returns:
        Pillow picture of mode L or RGB with ICC profile, Exif and XMP in ``info``; of a damaged
        file, ``info["damaged_tiles"]`` holds (top, left, height, width) of each grey window.

    Raises:
        VeridicalError: Any of ``errors``.
    """
    container = read(data, max_pixels=max_pixels, allow_partial=allow_partial)
    header = container.header
    a = header.realism / 1000
    if realism is not None or perception is not None:
        prices = model.prices_of(header.quantizer)
        price = Calibration(0.0, 0.0)
        if prices is not None and prices.complete:
            price = prices.calibration(header.quality, check_steps(steps))
        elif perception is not None:
            raise InvalidSetting("these weights have no measured prices; give a realism instead")
        a = resolve_realism(price, realism, perception)
    for sentence in container.damage:
        notice(sentence)
    latents, damaged = decode_latents(container, model, allow_partial=allow_partial)

    def cut(y0: int, y1: int, x0: int, x1: int) -> LatentWindow:
        part = latents[:, y0 // STRIDE : -(-y1 // STRIDE), x0 // STRIDE : -(-x1 // STRIDE)]
        return LatentWindow(part, y0, x0, y1 - y0, x1 - x0, header.quality, header.quantizer)

    colour = assemble(
        header.height, header.width, cut, learned_codec(model, steps=steps, generator=generator),
        realism=a, noise=NoiseField(seed), tile=tile, progress=progress,
    )  # fmt: skip
    out = _picture(colour, header, damaged, notice)
    out.info.update(container.metadata)
    return out


def _picture(
    colour: np.ndarray, header: Header, damaged: list[int], notice: Callable[[str], None]
) -> Image.Image:
    places = [header.window(index) for index in damaged]
    for top, left, height, width in places:
        colour[top : top + height, left : left + width] = 128
        notice(f"the tile of {width} x {height} pixels at ({left}, {top}) is damaged and left grey")
    if header.channels == 1:
        total = colour.astype(np.uint16).sum(2, dtype=np.uint16)
        colour = ((total + 1) // 3).astype(np.uint8)
    out = Image.fromarray(colour)
    if places:
        out.info["damaged_tiles"] = places
    return out
