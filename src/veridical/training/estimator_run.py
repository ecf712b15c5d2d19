"""The whole training of an estimator's head, from pictures to a priced weights file.

    veridical train estimator TRAIN... --format FORMAT --camera CAMERA --validation VAL --start FORMAT.onnx --run RUN

The U-Net and the generator are those of the weights it starts from, and so is the head if they have one.
Every stage leaves its result in the run's folder, so the same command goes on after a kill.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from veridical.photo.condition import Condition, ResidualScale
from veridical.photo.formats.conventional import ConventionalFormat
from veridical.photo.options import DecodeOptions
from veridical.photo.price import PriceList
from veridical.photo.restoration import load_restoration
from veridical.photo.weights import damaged_weights
from veridical.training.drawings import KINDS, draw
from veridical.training.estimator import BlockEstimator
from veridical.training.estimator_train import HeadPreset, train_head
from veridical.training.estimator_validation import opened, saved, validate
from veridical.training.export import FlowGraph, load_torch, read_tensors
from veridical.training.networks import NetworkConfig
from veridical.training.photo_data import conventional, pictures
from veridical.training.photo_prices import (
    STEPS,
    digest_of,
    exported,
    figures_of,
    measure_file,
    write_pair,
)
from veridical.training.pieces import PieceSampler, Sources, fit_scale, prepare_sources
from veridical.writing import write_text

__all__ = ["export_estimator", "load_estimator", "run_estimator"]

_QUALITIES = (2, 8, 18, 35, 60, 85, 95)
_DRAWN = (10, 50, 80, 95)


def load_estimator(path: Path) -> tuple[dict[str, Any], BlockEstimator]:
    """Metadata and torch network of an estimator with a head.

    Raises:
        BadWeights: Missing, damaged, or an estimator without a head.
    """
    header, tensors = read_tensors(path)
    with damaged_weights(path):
        config = NetworkConfig.of(header["network"])
        network = BlockEstimator(config, header["features"], **header["head"])
        known = network.state_dict()
        network.load_state_dict({k: v for k, v in tensors.items() if k in known})
    return header, network.eval().requires_grad_(False)


def _begin(
    start: Path, form: ConventionalFormat, preset: HeadPreset, seed: int
) -> tuple[dict[str, Any], BlockEstimator]:
    """The network of a weights file; a U-Net alone gets a head that does nothing yet."""
    if "head" in read_tensors(start)[0]:
        return load_estimator(start)
    header, base = load_torch(start)
    torch.manual_seed(seed)  # initial weights only
    config = replace(base.config, spread=True)
    network = BlockEstimator(config, form.features, width=preset.width, blocks=preset.blocks)
    network.network.load_state_dict(base.state_dict())
    return header, network


def run_estimator(
    photographs: Sequence[Path],
    camera: Sequence[Path],
    validation: Path,
    start: Path,
    run: Path,
    *,
    format: str,  # noqa: A002 (the word for it)
    preset: HeadPreset | None = None,
    seed: int = 1,
    minutes: float | None = None,
    report: Callable[[int, float, float], None] = lambda step, loss, seconds: None,
) -> Path | None:
    """Train, price and write weights; None if time ran out first.

    Args:
        photographs: Folders or tar files of training photographs.
        camera: Folders or tar files of camera pictures, taken at half their size.
        validation: Folder of other photographs.
        start: Weights file of an estimator, with its generator beside it.
        run: Folder of the run.
        format: Name of the format.
        preset: Sizes.
        seed: Of every batch.
        minutes: Save a checkpoint and stop after so many minutes of training.
        report: Called with (step, loss, seconds).

    Raises:
        BadWeights: ``start`` is not the weights of an estimator.
        TrainingData: No usable pictures.
    """
    preset, form = preset or HeadPreset(), conventional(format)
    run.mkdir(parents=True, exist_ok=True)
    sources = prepare_sources(photographs, camera, run / "sources")
    header, network = _begin(start, form, preset, seed)
    scale = ResidualScale(*(np.array(t, dtype=float) for t in header["scale"]))
    kept = run / "scale.json"
    if "head" not in header and not kept.exists():
        fitted = fit_scale(sources, form, scale)
        write_text(
            kept,
            json.dumps([t.tolist() for t in (fitted.with_quantizer, fitted.without_quantizer)]),
        )
    if kept.exists():
        scale = ResidualScale(*map(np.array, json.loads(kept.read_text(encoding="utf-8"))))
    seconds = None if minutes is None else 60 * minutes
    sampler = PieceSampler(
        sources, form, form.features, scale, patch=preset.patch, batch_size=preset.batch_size, seed=seed
    )  # fmt: skip
    done = train_head(network, sampler, preset, run, seconds=seconds, report=report)
    if done is None:
        return None
    inputs = [*photographs, "--camera", *camera]
    words = ["veridical train estimator", *(getattr(p, "name", p) for p in inputs)]
    words += ["--format", form.name.lower(), "--validation", validation.name]
    words += ["--start", start.name, "--seed", str(seed)]
    return export_estimator(
        done[0], done[1], form, scale, sources, preset, validation, start, run,
        command=" ".join(map(str, words)),
    )  # fmt: skip


def export_estimator(
    network: BlockEstimator,
    figures: dict[str, float],
    form: ConventionalFormat,
    scale: ResidualScale,
    sources: Sources,
    preset: HeadPreset,
    validation: Path,
    start: Path,
    run: Path,
    *,
    command: str,
    every: int = 2,
    side: int = 160,
) -> Path:
    """Price a trained network and write it with its generator and cards."""
    started, _ = read_tensors(start)
    _, flow = load_torch(start.with_name(f"{start.stem}-generator{start.suffix}"))
    header: dict[str, Any] = {
        "kind": "estimator", "format": form.name, "features": list(form.features), "prices": None,
        "network": asdict(network.network.config), "head": {"width": preset.width, "blocks": preset.blocks},
        "scale": [scale.with_quantizer.tolist(), scale.without_quantizer.tolist()],
        "start_noise": started["start_noise"],
    }  # fmt: skip
    network = network.eval().requires_grad_(False)
    networks = tuple(exported(graph, header) for graph in (network, FlowGraph(flow)))
    unpriced = run / "unpriced.onnx"
    write_pair(unpriced, networks, header, flow.config, {"priced": False})
    model = load_restoration(form.name, DecodeOptions(weights=unpriced))
    rows = [
        measure_file(model, form, source, data, side, k) | {"quality": group}
        for k, (group, source, data) in enumerate(
            _priced_files(validation, form.pillow_names[0], every)
        )
    ]
    # Drawings and files coded before scatter too widely to tell photographs' prices; figures have them.
    fitted = [r for r in rows if r["quality"].startswith("photographs")]
    conditions = [Condition(**r["condition"]) for r in fitted]
    expected, mmse, cost = (np.array([r[k] for r in fitted]) for k in ("expected", "mmse", "cost"))
    prices = PriceList.fit(conditions, expected, mmse, cost, STEPS)
    gains = validate(network, form, scale, [validation])
    recipe = {
        "format": form.name,
        "command": command,
        "started_from": hashlib.sha256(start.read_bytes()).hexdigest(),
        "training_data": {
            "photographs": len(sources.photographs), "camera_pieces": len(sources.camera),
            "drawings": len(sources.drawings), "sha256": sources.digest,
        },
        "validation": {"files": len(rows), "sha256": digest_of(validation)},
        "stages": {"head": figures},
        "preset": asdict(replace(preset)),
        "machine": f"{os.cpu_count()} cores, torch {torch.__version__}, Python {platform.python_version()}",
        "start_noise": started["start_noise"],
        "parameters": {"estimator": network.n_parameters(), "flow": flow.n_parameters()},
        "kmac_per_pixel": {
            "estimator": round(network.kmac_per_pixel(), 1), "flow_step": round(flow.kmac_per_pixel(), 1)
        },
        "gain_db_on_validation": {k: round(float(np.mean(v)), 3) for k, v in gains.items()},
        "figures": figures_of(rows, prices),
    }  # fmt: skip
    path = run / f"{form.name.lower()}.onnx"
    write_pair(path, networks, header | {"prices": prices.as_json()}, flow.config, recipe)
    return path


def _priced_files(
    validation: Path, name: str, every: int
) -> Iterator[tuple[str, Image.Image, bytes]]:
    """(group, source, file) of photographs, drawings and photographs coded before."""
    for _, data in list(pictures([validation]))[::every]:
        picture = opened(data).crop((96, 96, 416, 416))
        for q in _QUALITIES:
            yield f"photographs {q:03}", picture, saved(picture, name, quality=q)
        before = opened(saved(picture, "JPEG", quality=30)).crop((4, 4, 320, 320))
        shifted = picture.crop((4, 4, 320, 320))
        yield "JPEG 30 before 90", shifted, saved(before, name, quality=90)
        again = opened(saved(picture, "AVIF", quality=30, speed=9))
        yield "AVIF 30 before 90", picture, saved(again, name, quality=90)
    for kind in KINDS:
        picture = draw(kind, 30_000).crop((96, 96, 416, 416))
        for q in _DRAWN:
            chroma = {"subsampling": "4:4:4" if q == 80 else "4:2:0"} if name != "WEBP" else {}
            yield f"drawings {q:03}", picture, saved(picture, name, quality=q, **chroma)
