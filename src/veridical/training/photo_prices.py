"""The price list of photograph weights: measured on pictures of no training set, written with the weights."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from veridical.errors import TrainingData
from veridical.photo.condition import BASIC_FEATURES, Condition
from veridical.photo.formats.conventional import ConventionalFormat
from veridical.photo.noise import NoiseField
from veridical.photo.options import DecodeOptions, Target
from veridical.photo.price import PriceList
from veridical.photo.restoration import (
    PixelWindow,
    RestorationDecoder,
    RestorationModel,
    expected_error,
    load_restoration,
)
from veridical.photo.tiles import Box
from veridical.photo.weights import write_weights
from veridical.training.estimator import BlockEstimator
from veridical.training.export import EstimatorGraph, FlowGraph, example, to_onnx, with_header
from veridical.training.networks import NetworkConfig
from veridical.training.photo_data import Pairs, conventional, pictures
from veridical.training.photo_parts import Preset, estimator_config, flow_config, load_stage
from veridical.writing import write_text

__all__ = [
    "STAGES",
    "STEPS",
    "Progress",
    "calibrate",
    "digest_of",
    "exported",
    "figures_of",
    "measure_file",
    "write_pair",
]

_QUALITIES = {
    "AVIF": (5, 18, 32, 50, 68, 84),
    "WEBP": (0, 5, 20, 45, 75, 90),
    "JPEG": (2, 8, 18, 35, 60, 85),
}
_QUALITIES_OF_OTHERS = (2, 8, 18, 35, 60, 85)
STEPS = (1, 2, 4)
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
    chosen = conventional(pairs.format)
    estimator = load_stage("spread", estimator_config(preset), run)
    flow = load_stage(stages[-1], flow_config(preset), run)
    path = run / f"{pairs.format.lower()}.onnx"
    header: dict[str, Any] = {
        "kind": "estimator", "format": pairs.format, "features": list(BASIC_FEATURES),
        "network": asdict(estimator.config), "prices": None,
        "scale": [pairs.scale.with_quantizer.tolist(), pairs.scale.without_quantizer.tolist()],
        "start_noise": preset.start_noise.get(pairs.format, 1.0),
    }  # fmt: skip
    # Measured as shipped, in half precision; the name of the result is for the result alone.
    unpriced = run / "unpriced.onnx"
    networks = tuple(exported(n, header) for n in (EstimatorGraph(estimator), FlowGraph(flow)))
    write_pair(unpriced, networks, header, flow.config, {"priced": False})
    model = load_restoration(pairs.format, DecodeOptions(weights=unpriced))
    rows = _measure(model, chosen, validation, preset.calibration_side, run, progress)
    conditions = [Condition(**r["condition"]) for r in rows]
    expected, mmse, cost = (np.array([r[k] for r in rows]) for k in ("expected", "mmse", "cost"))
    prices = PriceList.fit(conditions, expected, mmse, cost, STEPS)
    stage = {n: json.loads((run / f"{n}.json").read_text(encoding="utf-8")) for n in stages}
    recipe = {
        "format": pairs.format,
        "command": command,
        "started_from": started_from,
        "training_data": {"pictures": pairs.n_pictures, "versions": len(pairs.records), "sha256": pairs.digest},
        "validation": {"files": len(rows), "sha256": digest_of(validation)},
        "stages": stage,
        "machine": f"{os.cpu_count()} cores, torch {torch.__version__}, Python {platform.python_version()}",
        "start_noise": header["start_noise"],
        "parameters": {"estimator": estimator.n_parameters(), "flow": flow.n_parameters()},
        "kmac_per_pixel": {
            "estimator": round(estimator.kmac_per_pixel(), 1), "flow_step": round(flow.kmac_per_pixel(), 1)
        },
        "figures": figures_of(rows, prices),
    }  # fmt: skip
    write_pair(path, networks, header | {"prices": prices.as_json()}, flow.config, recipe)
    say(f"weights: {path}")
    return path


def exported(graph: EstimatorGraph | FlowGraph | BlockEstimator, header: dict[str, Any]) -> bytes:
    """The ONNX file of a network that is told the header's features."""
    return to_onnx(graph, example(graph, len(header["features"])), graph.OUTPUTS, header)


def write_pair(
    path: Path,
    networks: tuple[bytes, ...],
    header: dict[str, Any],
    flow: NetworkConfig,
    recipe: dict[str, Any],
) -> None:
    """Estimator and generator; the generator's metadata names its estimator."""
    estimator = with_header(networks[0], header)
    own = {k: header[k] for k in ("format", "features")} | {
        "kind": "flow", "network": asdict(flow), "estimator": hashlib.sha256(estimator).hexdigest(),
    }  # fmt: skip
    write_weights(path, estimator, recipe)
    beside = path.with_name(f"{path.stem}-generator{path.suffix}")
    write_weights(beside, with_header(networks[1], own), recipe)


def digest_of(source: Path) -> str:
    """SHA-256 over names and bytes of the pictures of a folder or tar file."""
    sha = hashlib.sha256()
    for name, data in pictures([source]):
        sha.update(name.encode() + hashlib.sha256(data).digest())
    return sha.hexdigest()


def _measure(
    model: RestorationModel,
    chosen: ConventionalFormat,
    validation: Path,
    side: int,
    run: Path,
    progress: Progress,
) -> list[dict]:
    """Errors and transport costs of every validation picture, resumable."""
    log = run / "calibration.jsonl"
    qualities = _QUALITIES.get(chosen.name, _QUALITIES_OF_OTHERS)
    digest = model.estimator.digest + model.generator.digest
    found = list(pictures([validation]))
    names = {name for name, _ in found}
    rows = [r for r in _rows(log) if r["weights"] == digest and r["name"] in names]
    seen = {(r["name"], r["quality"]) for r in rows}
    if not found:
        raise TrainingData(f"{validation} holds no pictures for the price list")
    jobs = [(k, *one, q) for k, one in enumerate(found) for q in qualities]
    with log.open("a", encoding="utf-8", newline="\n") as out:
        for done, (k, name, data, quality) in enumerate(jobs, 1):
            if (name, quality) in seen:
                continue
            picture = Image.open(io.BytesIO(data)).convert("RGB")
            row = _measure_one(model, chosen, picture, quality, side, k)
            row |= {"name": name, "quality": quality, "weights": digest}
            rows.append(row)
            out.write(json.dumps(row) + "\n")
            out.flush()
            progress("calibrating", done, len(jobs))
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
    model: RestorationModel,
    chosen: ConventionalFormat,
    picture: Image.Image,
    quality: int,
    side: int,
    seed: int,
) -> dict:
    data = chosen.encode(picture, Target(quality=quality))
    return measure_file(model, chosen, picture, data, side, seed)


def measure_file(
    model: RestorationModel,
    chosen: ConventionalFormat,
    source: Image.Image,
    data: bytes,
    side: int,
    seed: int,
) -> dict:
    """Errors and transport costs of the middle ``side`` pixels of a file.

    Args:
        model: Networks of the file's format.
        chosen: The format.
        source: What the file stands for.
        data: The file.
        side: In pixels.
        seed: Of the generator's noise.

    Raises:
        TrainingData: The file is lossless.
    """
    condition = chosen.condition(data, *source.size)
    if condition is None:
        raise TrainingData(f"{chosen.name} files for the price list must not be lossless")
    y = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    top = max(0, (y.shape[0] - side) // 32 * 16)
    left = max(0, (y.shape[1] - side) // 32 * 16)
    cut = np.s_[top : top + side, left : left + side]
    x = np.asarray(source)[cut].transpose(2, 0, 1) / 255
    height, width = y[cut].shape[:2]
    window = PixelWindow(
        y[cut], Box(top, top + height, left, left + width), chosen.read_cells(data)
    )
    decoder = RestorationDecoder(model, condition)
    estimate = decoder.estimate(window)
    x_mmse = np.clip(estimate.x_mmse, 0, 1)
    cost, error = [], []
    for steps in STEPS:
        timed = replace(model, options=replace(model.options, steps=steps))
        real = RestorationDecoder(timed, condition).generate(estimate, NoiseField(seed))
        x_real = np.clip(real, 0, 1)
        cost.append(float(np.mean(np.square(x_real - x_mmse))))
        error.append(float(np.mean(np.square(x_real - x))))
    return {
        "condition": asdict(condition),
        "decoded": float(np.mean(np.square(y[cut].transpose(2, 0, 1) / 255 - x))),
        "expected": expected_error(decoder, y[cut]),
        "mmse": float(np.mean(np.square(x_mmse - x))),
        "cost": cost,
        "error_real": error,
    }


def figures_of(rows: list[dict], prices: PriceList) -> list[dict]:
    """Means by quality: gain over the decoder, price of realism 1, prediction.

    To errors of the gain a millionth of the range is added, below which rounding to 8 bits hides them.
    """
    out = []
    for quality in sorted({r["quality"] for r in rows}):
        mine = [r for r in rows if r["quality"] == quality]
        gain = np.mean([10 * np.log10((r["decoded"] + 1e-6) / (r["mmse"] + 1e-6)) for r in mine])
        predicted = [
            prices.calibration(Condition(**r["condition"]), r["expected"], STEPS[-1]) for r in mine
        ]
        bpp = np.mean([r["condition"]["bits_per_pixel"] for r in mine])
        d, d1 = np.mean([r["mmse"] for r in mine]), np.mean([r["error_real"][-1] for r in mine])
        formula = d + np.mean([r["cost"][-1] for r in mine])
        out.append(
            {
                "quality": quality,
                "bits_per_pixel": round(float(bpp), 3),
                "gain_db_realism_0": round(float(gain), 3),
                "error_ratio_realism_1": round(float(d1 / d), 3),
                "formula_over_measured_realism_1": round(float(formula / d1), 4),
                "predicted_over_measured_realism_1": round(
                    float(np.mean([c.distortion_at(1.0) for c in predicted]) / d1), 4
                ),
            }
        )
    return out
