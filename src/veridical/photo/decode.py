"""From a coded file to a picture at any realism."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image

from veridical.bitstream.container import SIGNATURE
from veridical.codec import resolve_realism
from veridical.interpolate import check_perception, check_realism
from veridical.photo.expected import file_price
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

__all__ = ["decode", "decode_picture", "vdc_bytes"]


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
    data = vdc_bytes(source)
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


def vdc_bytes(source: Source) -> bytes | None:
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
    if perception is None:
        a = check_realism(0.0 if realism is None else realism)
    else:
        price = file_price(model, picture.pixels, picture.condition, steps)
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
