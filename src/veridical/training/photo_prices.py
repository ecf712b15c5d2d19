"""The price list of photograph weights: measured on pictures of no training set, written with the weights."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from veridical.errors import TrainingData
from veridical.photo.condition import Condition, condition_of
from veridical.photo.expected import expected_error
from veridical.photo.model import PhotoModel, load_model, save_weights
from veridical.photo.noise import NoiseField
from veridical.photo.price import PriceList
from veridical.photo.restore import Tile, photo_codec
from veridical.training.photo_data import Pairs, pictures
from veridical.training.photo_parts import Preset, estimator_config, flow_config, load_stage
from veridical.writing import write_text

__all__ = ["STAGES", "Progress", "calibrate"]

_QUALITIES = {
    "AVIF": (5, 18, 32, 50, 68, 84),
    "WEBP": (0, 5, 20, 45, 75, 90),
    "JPEG": (2, 8, 18, 35, 60, 85),
}
_STEPS = (1, 2, 4)
STAGES = ("estimator", "spread", "flow", "reflow")
"""Trained stages, in order."""

Progress = Callable[[str, int, int], None]
"""Told (stage, done, total)."""


def calibrate(
    pairs: Pairs,
    preset: Preset,
    validation: Path,
    run: Path,
    *,
    command: str,
    started_from: str | None = None,
    stages: Sequence[str] = STAGES,
    progress: Progress = lambda stage, done, total: None,
    say: Callable[[str], None] = lambda message: None,
) -> Path:
    """Measure the price list on validation pictures and write the weights file.

    Args:
        pairs: Training set, for its residual scale and digest.
        preset: Sizes.
        validation: Folder or tar file of pictures in no training set.
        run: Folder of the run.
        command: For the card.
        started_from: Digest of the weights that the training began with, for the card.
        stages: Stages that were trained; the last one is the generator.
        progress: Called with (stage, done, total).
        say: Called with a sentence at the end.

    Raises:
        TrainingData: A stage is missing, or there are no validation pictures.
    """
    estimator = load_stage("spread", estimator_config(preset), run)
    flow = load_stage(stages[-1], flow_config(preset), run)
    unpriced = PriceList.unknown()
    # Measured as shipped, in half precision; the name of the result is for the result alone.
    save_weights(
        run / "unpriced.safetensors", estimator, flow, pairs.scale, unpriced, {"priced": False},
        start_noise=preset.start_noise,
    )  # fmt: skip
    load_model.cache_clear()
    model = load_model(run / "unpriced.safetensors", "auto")
    rows = _measure(model, validation, preset.calibration_side, run, progress)
    conditions = [Condition(**r["condition"]) for r in rows]
    expected = np.array([r["expected"] for r in rows])
    mmse = np.array([r["mmse"] for r in rows])
    cost = np.array([r["cost"] for r in rows])
    prices = PriceList.fit(conditions, expected, mmse, cost, _STEPS)
    figures = _figures(rows, replace(model, prices=prices))
    stage = {n: json.loads((run / f"{n}.json").read_text(encoding="utf-8")) for n in stages}
    recipe = {
        "command": command,
        "started_from": started_from,
        "training_data": {"pictures": pairs.n_pictures, "versions": len(pairs.records), "sha256": pairs.digest},
        "validation": {"files": len(rows), "sha256": _digest(validation)},
        "stages": stage,
        "machine": f"{os.cpu_count()} cores, {model.device.type}, torch {torch.__version__}, Python {platform.python_version()}",
        "start_noise": dict(preset.start_noise),
        "parameters": {"estimator": estimator.n_parameters(), "flow": flow.n_parameters()},
        "kmac_per_pixel": {
            "estimator": round(estimator.kmac_per_pixel(), 1), "flow_step": round(flow.kmac_per_pixel(), 1)
        },
        "figures": figures,
    }  # fmt: skip
    path = run / "everyday.safetensors"
    save_weights(path, estimator, flow, pairs.scale, prices, recipe, start_noise=preset.start_noise)
    load_model.cache_clear()
    say(f"weights: {path}")
    return path


def _digest(source: Path) -> str:
    sha = hashlib.sha256()
    for name, data in pictures([source]):
        sha.update(name.encode() + hashlib.sha256(data).digest())
    return sha.hexdigest()


def _measure(
    model: PhotoModel, validation: Path, side: int, run: Path, progress: Progress
) -> list[dict]:
    """Errors and transport costs of every validation picture, resumable."""
    log = run / "calibration.jsonl"
    rows = _rows(log)
    found = list(pictures([validation]))
    names = {name for name, _ in found}
    rows = [r for r in rows if r["weights"] == model.digest and r["name"] in names]
    seen = {(r["name"], r["format"], r["quality"]) for r in rows}
    if not found:
        raise TrainingData(f"{validation} holds no pictures for the price list")
    total = len(found) * sum(map(len, _QUALITIES.values()))
    done = 0
    with log.open("a", encoding="utf-8", newline="\n") as out:
        for k, (name, data) in enumerate(found):
            picture = Image.open(io.BytesIO(data)).convert("RGB")
            for fmt, qualities in _QUALITIES.items():
                for quality in qualities:
                    done += 1
                    if (name, fmt, quality) in seen:
                        continue
                    row = _measure_one(model, picture, fmt, quality, side, k)
                    row |= {
                        "name": name,
                        "format": fmt,
                        "quality": quality,
                        "weights": model.digest,
                    }
                    rows.append(row)
                    out.write(json.dumps(row) + "\n")
                    out.flush()
                    progress("calibrating", done, total)
    return rows


def _rows(log: Path) -> list[dict]:
    """Rows of an earlier run; a last line that a kill cut off is taken away."""
    if not log.exists():
        return []
    whole, _, rest = log.read_text(encoding="utf-8").rpartition("\n")
    if rest:
        write_text(log, whole + "\n" if whole else "")
    return [json.loads(line) for line in whole.splitlines()]


def _measure_one(
    model: PhotoModel, picture: Image.Image, fmt: str, quality: int, side: int, seed: int
) -> dict:
    buffer = io.BytesIO()
    picture.save(buffer, fmt, quality=quality)
    condition, _ = condition_of(fmt, buffer.getvalue(), *picture.size)
    with Image.open(buffer) as im:
        y = np.asarray(im.convert("RGB"))
    top = max(0, (y.shape[0] - side) // 32 * 16)
    left = max(0, (y.shape[1] - side) // 32 * 16)
    cut = np.s_[top : top + side, left : left + side]
    x = (
        torch.from_numpy(np.asarray(picture)[cut].astype(np.float32) / 255)
        .permute(2, 0, 1)
        .to(model.device)
    )
    tile = Tile(y[cut], top, left, condition)
    cost, error = [], []
    for steps in _STEPS:
        codec = photo_codec(model, steps=steps)
        x_mmse = codec.decode(tile, NoiseField(seed), realism=0.0).clamp(0, 1)
        x_real = codec.decode(tile, NoiseField(seed), realism=1.0).clamp(0, 1)
        cost.append(float((x_real - x_mmse).square().mean()))
        error.append(float((x_real - x).square().mean()))
    decoded = float(np.mean((y[cut] / 255.0 - np.asarray(picture)[cut] / 255.0) ** 2))
    return {
        "condition": {
            "format": condition.format, "bits_per_pixel": condition.bits_per_pixel,
            "quantizer": condition.quantizer, "chroma_full": condition.chroma_full,
        },
        "decoded": decoded,
        "expected": expected_error(model, tile.pixels, condition),
        "mmse": float((x_mmse - x).square().mean()),
        "cost": cost,
        "error_real": error,
    }  # fmt: skip


def _figures(rows: list[dict], model: PhotoModel) -> dict:
    """Means by format and quality: gain over the decoder, price of realism 1, prediction."""
    out: dict[str, list[dict]] = {}
    for fmt, qualities in _QUALITIES.items():
        for quality in qualities:
            mine = [r for r in rows if r["format"] == fmt and r["quality"] == quality]
            gain = np.mean([10 * np.log10(r["decoded"] / r["mmse"]) for r in mine])
            predicted = [
                model.prices.calibration(Condition(**r["condition"]), r["expected"], _STEPS[-1])
                for r in mine
            ]
            d = np.mean([r["mmse"] for r in mine])
            d1 = np.mean([r["error_real"][-1] for r in mine])
            out.setdefault(fmt, []).append(
                {
                    "quality": quality,
                    "bits_per_pixel": round(
                        float(np.mean([r["condition"]["bits_per_pixel"] for r in mine])), 3
                    ),
                    "gain_db_realism_0": round(float(gain), 3),
                    "error_ratio_realism_1": round(float(d1 / d), 3),
                    "formula_over_measured_realism_1": round(
                        float((d + np.mean([r["cost"][-1] for r in mine])) / d1), 4
                    ),
                    "predicted_over_measured_realism_1": round(
                        float(np.mean([c.distortion_at(1.0) for c in predicted]) / d1), 4
                    ),
                }
            )
    return out
