"""What a coded file is, and what decoding it will cost at every realism, before it is decoded."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from veridical.bitstream.container import Header, read
from veridical.errors import BadWeights, WrongModel
from veridical.interpolate import Calibration
from veridical.photo.decode import vdc_bytes
from veridical.photo.expected import file_price
from veridical.photo.model import load_model
from veridical.photo.reader import DEFAULT_MAX_PIXELS, CodedPicture, Source, open_coded
from veridical.photo.restore import DEFAULT_STEPS, check_steps

if TYPE_CHECKING:
    from veridical.photo.learned.prices import QualityPrices

__all__ = ["FileInfo", "info", "picture_info"]


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

    Args:
        source: Path or bytes of an AVIF, WebP, JPEG or ``.vdc`` file.
        steps: Steps of the generator; the transport cost depends on them.
        weights: Own weights file instead of the shipped one.
        max_pixels: Limit against decompression bombs.

    Raises:
        VeridicalError: Any of ``errors``.
    """
    check_steps(steps)
    data = vdc_bytes(source)
    if data is not None:
        return _vdc_info(data, None if weights is None else Path(weights), max_pixels, steps)
    picture = open_coded(source, max_pixels=max_pixels)
    return picture_info(picture, steps=steps, weights=weights)


def picture_info(
    picture: CodedPicture,
    *,
    steps: int = DEFAULT_STEPS,
    weights: str | PathLike[str] | None = None,
) -> FileInfo:
    """As :func:`info`, for a file that is open already."""
    condition = picture.condition
    price = Calibration(0.0, 0.0)
    if condition is not None:
        model = load_model(None if weights is None else Path(weights))
        price = file_price(model, picture.pixels, condition, check_steps(steps))
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
    container = read(data, max_pixels=max_pixels)
    header = container.header
    from veridical.photo.learned.quantizers import QUANTIZER_TITLES

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
        if prices.complete:
            price = prices.calibration(header.quality, steps)
        else:
            error = prices.error(header.quality)
            details["PSNR at realism 0"] = f"{-10 * math.log10(error):.2f} dB predicted"
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
