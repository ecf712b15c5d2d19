"""After training: code validation pictures for real, and write prices and figures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from veridical.bitstream.container import read
from veridical.photo.decode import decode
from veridical.photo.options import EncodeOptions, Target
from veridical.photo.tiles import Box
from veridical.photo.vdc.decoder import LatentWindow, VdcDecoder
from veridical.photo.vdc.encode import VdcEncoder
from veridical.photo.vdc.image import decode_latents
from veridical.photo.vdc.model import VdcModel, load_model
from veridical.photo.vdc.prices import QualityPrices
from veridical.photo.vdc.prior import QUALITY_STEPS
from veridical.photo.vdc.quantizers import QUANTIZERS
from veridical.photo.weights import network_path, write_weights
from veridical.training.photo_prices import errors_of
from veridical.training.pictures import centre_crops
from veridical.training.stages import MeasuredRows, Progress, silent
from veridical.training.vdc.export import save_prices


def rate_and_error(model: VdcModel, picture: np.ndarray, qualities: list[int]) -> np.ndarray:
    """Bits per pixel of real files, and squared error on the [0, 1] scale; (qualities, 2)."""
    encoder = VdcEncoder(model, EncodeOptions(seed=1))
    analysed = encoder.analyse(Image.fromarray(picture))
    out = []
    for quality in qualities:
        data = encoder.at_quality(analysed, quality)
        decoded = np.asarray(decode(data, realism=0.0, weights=model.path))
        error = np.mean((decoded.astype(np.float64) - picture) ** 2) / 255**2
        out.append((8 * len(data) / (picture.shape[0] * picture.shape[1]), error))
    return np.array(out)


def _anchors(model: VdcModel) -> list[int]:
    """Qualities that the entropy model has tables of."""
    anchors = model.entropy.prior.config.anchors
    return [round(k * QUALITY_STEPS / (anchors - 1)) for k in range(anchors)]


def measure_codec(
    path: Path,
    validation: Path,
    side: int,
    recipe: dict[str, Any],
    *,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda message: None,
) -> None:
    """Put rates and errors, measured on files, on the card of a codec.

    Args:
        path: ``NAME.npz``.
        validation: Folder or tar file of pictures that were not trained on.
        side: Of their middles, in pixels.
        recipe: What made the networks; goes onto the card.
        progress: Called with (stage, done, total).
        say: Called with a sentence for each quality.

    Raises:
        TrainingData: No usable validation picture.
    """
    pictures = centre_crops(validation, side)
    model = load_model(path)
    qualities = _anchors(model)
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
    validated = {"pictures": len(pictures), "side": side, "folder": validation.name}
    write_weights(path, path.read_bytes(), recipe | {"validation": validated, "figures": figures})


def measure_generator(
    path: Path,
    validation: Path,
    side: int,
    log: Path,
    recipe: dict[str, Any],
    *,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda message: None,
) -> None:
    """Measure prices for every quantizer, and put figures on the generator's card.

    Args:
        path: Weights file of the codec, with the generator beside it.
        validation: Folder or tar file of pictures that were not trained on.
        side: Of their middles, in pixels.
        log: File from which a killed measurement goes on.
        recipe: For the card.
        progress: Called with (stage, done, total).
        say: Called with a sentence for each quantizer and quality.

    Raises:
        TrainingData: No usable validation picture.
    """
    model = load_model(path)
    pictures = centre_crops(validation, side)
    qualities = _anchors(model)
    trained = hashlib.sha256(network_path(path, "generator").read_bytes()).hexdigest()
    measured = MeasuredRows(log, f"{model.digest} {trained} {side}")
    known = {(r["quantizer"], r["picture"]): r["costs"] for r in measured.rows}
    prices, figures = {}, {}
    for number, name in enumerate(QUANTIZERS):
        found = []
        for done, picture in enumerate(pictures, 1):
            costs = known.get((name, done))
            if costs is None:
                costs = [_costs(model, picture, q, name, done) for q in qualities]
                measured.add({"quantizer": name, "picture": done, "costs": costs})
            found.append(costs)
            progress(f"prices of {name}", done, len(pictures))
        mean = np.mean(found, axis=0).T
        errors, _, costs, tiles = np.moveaxis(np.array(found), 2, 0)
        prices[number] = QualityPrices.fitted(np.array(qualities), tiles, errors, costs)
        figures[name] = [
            {
                "quality": q / 100,
                "psnr_db_realism_0": round(float(-10 * np.log10(row[0])), 3),
                "error_ratio_realism_1": round(float(row[1] / row[0]), 4),
                "formula_over_measured_realism_1": round(float((row[0] + row[2]) / row[1]), 4),
            }
            for q, row in zip(qualities, mean.T, strict=True)
        ]
        for figure in figures[name]:
            say(f"{name}: {figure}")
    validated = {"pictures": len(pictures), "side": side, "folder": validation.name}
    save_prices(path, prices)
    card = recipe | {"validation": validated, "figures": figures}
    for part in ("spread", "refinement", "generator"):
        network = network_path(path, part)
        write_weights(network, network.read_bytes(), card)


def _costs(
    model: VdcModel, picture: np.ndarray, quality: int, quantizer: str, seed: int
) -> list[float]:
    """Error at realism 0 and at realism 1, the transport cost, and bits per pixel."""
    encoder = VdcEncoder(model, EncodeOptions(quantizer=quantizer, seed=seed))
    data = encoder.encode(Image.fromarray(picture), Target(quality=quality / 100))
    container = read(data, max_pixels=picture.size)
    latents, _ = decode_latents(container, model)
    box = Box(0, picture.shape[0], 0, picture.shape[1])
    window = LatentWindow(latents, box, quality, container.header.quantizer)
    _, errors = errors_of(VdcDecoder(model), window, picture, seed)
    return [errors["mmse"], errors["error_real"], errors["cost"], container.bits_per_pixel or 0.0]
