"""After training: freeze, code validation pictures for real, and write weights with their prices."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from veridical.bitstream.container import read
from veridical.codec import Codec
from veridical.photo.learned.decode import decode_container, decode_latents
from veridical.photo.learned.encode import QUANTIZER_NAMES, LearnedEncoder
from veridical.photo.learned.model import (
    CodecNetworks,
    LearnedModel,
    generator_path,
    load_codec,
    save_codec,
    save_generator,
)
from veridical.photo.learned.parts import LatentWindow, learned_codec
from veridical.photo.learned.prices import QualityPrices
from veridical.photo.learned.prior import QUALITY_STEPS
from veridical.photo.network import laid_out
from veridical.photo.noise import NoiseField
from veridical.training.photo_codec_flow import GENERATOR_STAGES, Training, load_flow
from veridical.training.photo_pixels import centre_crops

__all__ = ["export", "export_generator", "rate_and_error"]

_STEPS = (1, 2, 4)


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


def export_generator(
    path: Path,
    training: Training,
    validation: Path,
    side: int,
    recipe: dict[str, Any],
    *,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
    say: Callable[[str], None] = lambda message: None,
) -> None:
    """Write the generator beside the codec's weights, with prices for every quantizer.

    Args:
        path: Weights file of the codec.
        training: Whose last stage is the generator.
        validation: Folder or tar file of pictures that were not trained on.
        side: Of their middles, in pixels.
        recipe: For the card.
        progress: Called with (stage, done, total).
        say: Called with a sentence for each quantizer and quality.

    Raises:
        TrainingData: No usable validation picture, or the last stage is not finished.
    """
    flow = load_flow(GENERATOR_STAGES[-1], training)
    generator_path(path).unlink(missing_ok=True)
    codec = load_codec(path)
    shipped = copy.deepcopy(flow).half().float()  # measured as it will be read
    shipped.log_scale.copy_(flow.log_scale)
    laid_out(shipped.network)
    model = replace(codec, flow=shipped.to(codec.device))
    pictures = centre_crops(validation, side)
    anchors = model.sizes[1].anchors
    qualities = [round(k * QUALITY_STEPS / (anchors - 1)) for k in range(anchors)]
    trained = hashlib.sha256((training.run / f"{GENERATOR_STAGES[-1]}.safetensors").read_bytes())
    log = _Log(training.run / "prices.jsonl", f"{codec.digest} {trained.hexdigest()}")
    prices, figures = {}, {}
    for number, name in enumerate(QUANTIZER_NAMES):
        found = []
        for done, picture in enumerate(pictures, 1):
            row = log.known.get((name, done))
            if row is None:
                row = log.add(
                    name, done, [_costs(model, picture, q, name, done) for q in qualities]
                )
            found.append(row)
            progress(f"prices of {name}", done, len(pictures))
        mean = np.maximum(np.mean(found, axis=0).T, 1e-9)
        prices[number] = QualityPrices(
            np.array(qualities), mean[0], mean[2 : 2 + len(_STEPS)], _STEPS
        )
        figures[name] = [
            {
                "quality": q / 100,
                "psnr_db_realism_0": round(float(-10 * np.log10(row[0])), 3),
                "error_ratio_realism_1": round(float(row[1] / row[0]), 4),
                "formula_over_measured_realism_1": round(float((row[0] + row[-1]) / row[1]), 4),
            }
            for q, row in zip(qualities, mean.T, strict=True)
        ]
        for figure in figures[name]:
            say(f"{name}: {figure}")
    validated = {"pictures": len(pictures), "side": side, "folder": validation.name}
    save_generator(
        path, flow, codec.digest, prices, recipe | {"validation": validated, "figures": figures}
    )


class _Log:
    """What was measured of the pictures so far, by quantizer and number; a kill costs one picture."""

    def __init__(self, path: Path, weights: str) -> None:
        self._path, self._weights = path, weights
        self.known: dict[tuple[str, int], list[list[float]]] = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
            try:
                row = json.loads(line)
            except ValueError:  # cut off by a kill
                continue
            if row["weights"] == weights:
                self.known[row["quantizer"], row["picture"]] = row["costs"]

    def add(self, quantizer: str, picture: int, costs: list[list[float]]) -> list[list[float]]:
        row = {"weights": self._weights, "quantizer": quantizer, "picture": picture, "costs": costs}
        with self._path.open("a", encoding="utf-8", newline="\n") as out:
            out.write("\n" + json.dumps(row))  # a line of its own, also after one that was cut off
        return costs


def _costs(
    model: LearnedModel, picture: np.ndarray, quality: int, quantizer: str, seed: int
) -> list[float]:
    """Error at realism 0, at realism 1 with the most steps, and the transport cost by steps."""
    encoder = LearnedEncoder(model, quality / 100, quantizer=quantizer, seed=seed)
    data = encoder.encode(Image.fromarray(picture))
    container = read(data, max_pixels=1 << 40)
    latents, _ = decode_latents(container, model)
    height, width = picture.shape[:2]
    window = LatentWindow(latents, 0, 0, height, width, quality, container.header.quantizer)
    source = torch.from_numpy(picture.astype(np.float32) / 255).permute(2, 0, 1).to(model.device)
    out: list[float] = []
    for steps in _STEPS:
        codec: Codec = learned_codec(model, steps=steps)
        x_mmse, x_real = (
            codec.decode(window, NoiseField(seed), realism=a).clamp(0, 1) for a in (0.0, 1.0)
        )
        out.append(float((x_real - x_mmse).square().mean()))
    errors = [float((x - source).square().mean()) for x in (x_mmse, x_real)]
    return errors + out
