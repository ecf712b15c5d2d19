"""After training: freeze, code validation pictures for real, and write weights with their prices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from veridical.photo.learned.decode import decode_container
from veridical.photo.learned.encode import LearnedEncoder
from veridical.photo.learned.model import (
    CodecNetworks,
    LearnedModel,
    load_codec,
    save_codec,
)
from veridical.photo.learned.prices import QualityPrices
from veridical.photo.learned.prior import QUALITY_STEPS
from veridical.training.photo_pixels import centre_crops

__all__ = ["export", "rate_and_error"]


def rate_and_error(
    model: LearnedModel, picture: np.ndarray, qualities: list[int], quantizer: str = "scalar"
) -> np.ndarray:
    """Bits per pixel of real files and squared error on the [0, 1] scale, shape (qualities, 2)."""
    encoder = LearnedEncoder(model, quantizer=quantizer)
    analysed = encoder.analyse(Image.fromarray(picture), seed=1)
    out = []
    for quality in qualities:
        data = encoder.at_quality(analysed, quality)
        decoded = np.asarray(decode_container(data, model, realism=0.0, max_pixels=1 << 40))
        error = np.mean((decoded.astype(np.float64) - picture) ** 2) / 255**2
        out.append((8 * len(data) / (picture.shape[0] * picture.shape[1]), error))
    return np.array(out)


def export(
    networks: CodecNetworks,
    name: str,
    validation: Path,
    side: int,
    run: Path,
    recipe: dict[str, Any],
    *,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
    say: Callable[[str], None] = lambda message: None,
) -> Path:
    """Write ``run/photo-codec.safetensors`` and its card, with prices and figures measured on files.

    Args:
        networks: Trained.
        name: Of the model.
        validation: Folder or tar file of pictures that were not trained on.
        side: Of their middles, in pixels.
        run: Folder of the run.
        recipe: What made the networks; goes into the card.
        progress: Called with (stage, done, total).
        say: Called with a sentence for each quality.

    Raises:
        TrainingData: No usable validation picture.
    """
    pictures = centre_crops(validation, side)
    unpriced = run / "unpriced.safetensors"
    save_codec(unpriced, networks, recipe, name=name)
    model = load_codec(unpriced)
    anchors = networks.config[1].anchors
    qualities = [round(k * QUALITY_STEPS / (anchors - 1)) for k in range(anchors)]
    found = []
    for done, picture in enumerate(pictures, 1):
        found.append(rate_and_error(model, picture, qualities))
        progress("measuring", done, len(pictures))
    rate, error = np.mean(found, axis=0).T
    figures = [
        {
            "quality": quality / 100,
            "bits_per_pixel": round(float(r), 4),
            "psnr_db": round(float(-10 * np.log10(e)), 3),
        }
        for quality, r, e in zip(qualities, rate, error, strict=True)
    ]
    for figure in figures:
        say(
            f"quality {figure['quality']:g}: {figure['bits_per_pixel']} bits per pixel, {figure['psnr_db']} dB"
        )
    prices = QualityPrices.without_cost(np.array(qualities), np.maximum(error, 1e-9))
    path = run / "photo-codec.safetensors"
    validated = {"pictures": len(pictures), "side": side, "folder": validation.name}
    card = recipe | {"validation": validated, "figures": figures}
    save_codec(path, networks, card, name=name, prices={0: prices})
    return path
