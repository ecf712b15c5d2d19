"""From a coded file to a picture at any realism, and what it will cost."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from veridical.bitstream.container import SIGNATURE, Header, read
from veridical.codec import resolve_realism
from veridical.errors import BadWeights, WrongModel
from veridical.interpolate import Calibration, check_perception, check_realism
from veridical.photo.model import load_model
from veridical.photo.noise import NoiseField
from veridical.photo.reader import (
    DEFAULT_MAX_PIXELS,
    CodedPicture,
    Source,
    open_coded,
    read_bytes,
)
from veridical.photo.restore import (
    DEFAULT_STEPS,
    DEFAULT_TILE,
    check_steps,
    photo_codec,
    restore,
)

if TYPE_CHECKING:
    from veridical.photo.learned.prices import QualityPrices

__all__ = ["FileInfo", "decode", "decode_picture", "info"]


def decode(
    source: Source,
    *,
    realism: float | None = None,
    perception: float | None = None,
    seed: int = 0,
    steps: int = DEFAULT_STEPS,
    device: str = "auto",
    tile: int = DEFAULT_TILE,
    weights: str | PathLike[str] | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    allow_partial: bool = False,
    notice: Callable[[str], None] = lambda message: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Image.Image:
    """Decode an AVIF, WebP, JPEG or ``.vdc`` file at any realism.

    Args:
        source: Path or bytes of the file.
        realism: 0 gives the least error, 1 follows the statistics of photographs, values between
            the optimal tradeoff; the default is 0, or what a ``.vdc`` file says.
        perception: Instead of a realism: squared Wasserstein-2 distance to the law of photographs
            to be met, per channel sample on the [0, 1] scale; 0 is realism 1.
        seed: Private randomness of the generator; the same seed gives the same picture.
        steps: Steps of the generator's flow.
        device: "auto", "cpu", "cuda" or "cuda:N".
        tile: Side of the tiles in pixels, a multiple of 16; bounds the memory.
        weights: Own weights file instead of the shipped one.
        max_pixels: Limit against decompression bombs.
        allow_partial: Decode what is whole of a damaged ``.vdc`` file; its damaged tiles are grey,
            and told in notices and in ``info["damaged_tiles"]``.
        notice: Called with a sentence when something was converted.
        progress: Called with (tiles done, tiles in all).

    Returns:
        Pillow picture of mode L, LA, RGB or RGBA, with ICC profile, Exif and XMP in ``info``.

    Raises:
        VeridicalError: Any of ``errors``; the message says the cause and the remedy.

    Source: [T] Prop. 3 with an everyday codec as the perception-oblivious encoder.
    """
    if realism is not None:
        check_realism(realism)
    if perception is not None:
        check_perception(perception)
    NoiseField(seed)
    data = _vdc_bytes(source)
    if data is not None:
        from veridical.photo.learned.decode import decode_container
        from veridical.photo.learned.model import load_codec

        check_steps(steps)
        return decode_container(
            data, load_codec(None if weights is None else Path(weights), device),
            realism=realism, perception=perception, seed=seed, steps=steps, tile=tile,
            max_pixels=max_pixels, allow_partial=allow_partial, notice=notice, progress=progress,
        )  # fmt: skip
    picture = open_coded(source, max_pixels=max_pixels, notice=notice)
    return decode_picture(
        picture, realism=realism, perception=perception, seed=seed, steps=steps, device=device,
        tile=tile, weights=weights, notice=notice, progress=progress,
    )  # fmt: skip


def _vdc_bytes(source: Source) -> bytes | None:
    """The bytes of a source that begins like a ``.vdc`` file; None for any other."""
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source) if bytes(source[:4]) == SIGNATURE[:4] else None
    try:
        with Path(source).open("rb") as file:
            begins = file.read(4) == SIGNATURE[:4]
    except OSError:
        return None  # the reader of everyday files says what is wrong
    return read_bytes(source) if begins else None


def decode_picture(
    picture: CodedPicture,
    *,
    realism: float | None = None,
    perception: float | None = None,
    seed: int = 0,
    steps: int = DEFAULT_STEPS,
    device: str = "auto",
    tile: int = DEFAULT_TILE,
    weights: str | PathLike[str] | None = None,
    notice: Callable[[str], None] = lambda message: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Image.Image:
    """As :func:`decode`, for a file that is open already (several settings of one file)."""
    if picture.condition is None:
        notice("the file is lossless: every realism is the picture itself")
        return picture.to_image(picture.pixels)
    model = load_model(None if weights is None else Path(weights), device)
    codec = photo_codec(model, steps=steps)
    price = model.prices.calibration(picture.condition, steps)
    if realism is None and perception is None:
        realism = 0.0
    a = resolve_realism(price, realism, perception)
    colour = restore(
        picture.pixels,
        picture.condition,
        codec,
        realism=a,
        noise=NoiseField(seed),
        tile=tile,
        progress=progress,
    )
    if picture.grey:
        colour = np.repeat(_rounded_mean(colour)[:, :, None], 3, axis=2)
    return picture.to_image(colour)


def _rounded_mean(colour: np.ndarray) -> np.ndarray:
    total = colour[:, :, 0].astype(np.uint16)
    total += colour[:, :, 1]
    total += colour[:, :, 2]
    return ((total + 1) // 3).astype(np.uint8)


@dataclass(frozen=True)
class FileInfo:
    """What a coded file is and what decoding it will cost.

    Attributes:
        format, width, height, n_bytes, bits_per_pixel: Of the file.
        quantizer: 0 (finest) to 1 (coarsest) within the format, or None.
        grey, alpha, lossless: Of the picture.
        price: Predicted error and transport cost; zeros for a lossless file, and if not ``priced``.
        priced: Whether there is a price; a ``.vdc`` file without its weights has none.
        details: Every field of a ``.vdc`` file's header, by name.
    """

    format: str
    width: int
    height: int
    n_bytes: int
    bits_per_pixel: float
    quantizer: float | None
    grey: bool
    alpha: bool
    lossless: bool
    price: Calibration
    priced: bool = True
    details: dict[str, str] = field(default_factory=dict)

    def predicted_psnr_db(self, realism: float) -> float:
        """Predicted PSNR in dB at a realism; infinite for a lossless file, NaN without a price."""
        if not self.priced:
            return math.nan
        d = self.price.distortion_at(realism)
        return math.inf if d == 0 else -10 * math.log10(d)


def info(
    source: Source,
    *,
    steps: int = DEFAULT_STEPS,
    weights: str | PathLike[str] | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> FileInfo:
    """Read a file and predict its price at every setting, without decoding it at any realism.

    Raises:
        VeridicalError: Any of ``errors``.
    """
    data = _vdc_bytes(source)
    if data is not None:
        return _vdc_info(data, None if weights is None else Path(weights), max_pixels, steps)
    picture = open_coded(source, max_pixels=max_pixels)
    condition = picture.condition
    price = Calibration(0.0, 0.0)
    if condition is not None:
        model = load_model(None if weights is None else Path(weights))
        price = model.prices.calibration(condition, check_steps(steps))
    return FileInfo(
        format=picture.format,
        width=picture.width,
        height=picture.height,
        n_bytes=picture.n_bytes,
        bits_per_pixel=picture.bits_per_pixel,
        quantizer=None if condition is None else condition.quantizer,
        grey=picture.grey,
        alpha=picture.alpha is not None,
        lossless=condition is None,
        price=price,
    )


def _vdc_info(data: bytes, weights: Path | None, max_pixels: int, steps: int) -> FileInfo:
    from veridical.photo.learned.quantizers import QUANTIZER_TITLES

    container = read(data, max_pixels=max_pixels)
    header = container.header
    details = {
        "model": f"{header.model} (weights {header.digest.hex()})",
        "quality": f"{header.quality / 100:g} of 100",
        "quantizer": QUANTIZER_TITLES.get(header.quantizer, f"number {header.quantizer}"),
        "common randomness": f"{header.randomness_bits} bits a number, seed {header.seed}",
        "default realism": f"{header.realism / 1000:g}",
        "tiles": f"{header.rows} x {header.columns} of {header.tile} pixels a side",
        "metadata": ", ".join(f"{k} {len(v):,} bytes" for k, v in container.metadata.items())
        or "none",
    }
    prices = _vdc_prices(header, weights)
    price = None
    if prices is not None:
        error = prices.error(header.quality)
        details["PSNR at realism 0"] = f"{-10 * math.log10(error):.2f} dB predicted"
        price = prices.calibration(header.quality, steps) if prices.complete else None
    return FileInfo(
        "VDC", header.width, header.height, len(data), 8 * len(data) / (header.width * header.height),
        None, header.channels == 1, False, False, price or Calibration(0.0, 0.0), price is not None,
        details,
    )  # fmt: skip


def _vdc_prices(header: Header, weights: Path | None) -> QualityPrices | None:
    """The prices of a file's own weights, if they are at hand and have been measured."""
    from veridical.photo.learned.decode import check_model
    from veridical.photo.learned.model import load_codec

    try:
        model = load_codec(weights)
        check_model(header, model)
    except (BadWeights, WrongModel):
        if weights is not None:
            raise
        return None
    return model.prices_of(header.quantizer)
