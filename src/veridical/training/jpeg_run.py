"""The whole training of the JPEG estimator's head, from pictures to a priced weights file.

    veridical train jpeg TRAIN... --camera CAMERA --validation VAL --start jpeg.onnx --run runs/jpeg

The U-Net and the generator are those of the weights it starts from. Every stage leaves its result in the
run's folder, so the same command goes on after a kill.
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
from veridical.photo.formats.jpeg import JPEG
from veridical.photo.jpeg_header import CONDITIONS
from veridical.photo.options import DecodeOptions
from veridical.photo.price import PriceList
from veridical.photo.restoration import load_restoration
from veridical.photo.weights import damaged_weights
from veridical.training.drawings import KINDS, draw
from veridical.training.export import FlowGraph, load_torch, read_tensors
from veridical.training.jpeg_data import Sources, fit_scale, prepare_sources
from veridical.training.jpeg_network import JpegEstimator
from veridical.training.jpeg_train import JpegPreset, train_jpeg
from veridical.training.jpeg_validation import opened, saved, validate
from veridical.training.networks import NetworkConfig
from veridical.training.photo_data import pictures
from veridical.training.photo_prices import (
    STEPS,
    digest_of,
    exported,
    figures_of,
    measure_file,
    write_pair,
)
from veridical.writing import write_text

_START_NOISE = 0.71
_QUALITIES = (2, 8, 18, 35, 60, 85, 95)
_DRAWN = (10, 50, 80, 95)


def load_jpeg(path: Path) -> tuple[dict[str, Any], JpegEstimator]:
    """Metadata and torch network of a JPEG estimator with a head.

    Raises:
        BadWeights: Missing, damaged, or an estimator without a head.
    """
    header, tensors = read_tensors(path)
    with damaged_weights(path):
        network = JpegEstimator(NetworkConfig.of(header["network"]), **header["head"])
        known = network.state_dict()
        network.load_state_dict({k: v for k, v in tensors.items() if k in known})
    return header, network.eval().requires_grad_(False)


def run_jpeg(
    photographs: Sequence[Path],
    camera: Sequence[Path],
    validation: Path,
    start: Path,
    run: Path,
    *,
    preset: JpegPreset | None = None,
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
        preset: Sizes.
        seed: Of every batch.
        minutes: Save a checkpoint and stop after so many minutes of training.
        report: Called with (step, loss, seconds).

    Raises:
        BadWeights: ``start`` is not the weights of an estimator.
        TrainingData: No usable pictures.
    """
    preset = preset or JpegPreset()
    run.mkdir(parents=True, exist_ok=True)
    sources = prepare_sources(photographs, camera, run / "sources")
    header, base = load_torch(start)
    kept = run / "scale.json"
    if not kept.exists():
        known = ResidualScale(*(np.array(t, dtype=float) for t in header["scale"]))
        fitted = fit_scale(sources, known)
        write_text(
            kept,
            json.dumps([t.tolist() for t in (fitted.with_quantizer, fitted.without_quantizer)]),
        )
    scale = ResidualScale(*map(np.array, json.loads(kept.read_text(encoding="utf-8"))))
    seconds = None if minutes is None else 60 * minutes
    done = train_jpeg(sources, scale, base, preset, run, seed=seed, seconds=seconds, report=report)
    if done is None:
        return None
    inputs = [*photographs, "--camera", *camera]
    words = ["veridical train jpeg", *(getattr(p, "name", p) for p in inputs)]
    words += ["--validation", validation.name, "--start", start.name, "--seed", str(seed)]
    command = " ".join(map(str, words))
    return export_jpeg(
        done[0], done[1], scale, sources, preset, validation, start, run, command=command
    )


def export_jpeg(
    network: JpegEstimator,
    figures: dict[str, float],
    scale: ResidualScale,
    sources: Sources,
    preset: JpegPreset,
    validation: Path,
    start: Path,
    run: Path,
    *,
    command: str,
    every: int = 2,
    side: int = 160,
) -> Path:
    """Price a trained network and write it with its generator and cards."""
    _, flow = load_torch(start.with_name(f"{start.stem}-generator{start.suffix}"))
    header: dict[str, Any] = {
        "kind": "estimator", "format": "JPEG", "features": list(CONDITIONS), "prices": None,
        "network": asdict(network.network.config), "head": {"width": preset.width, "blocks": preset.blocks},
        "scale": [scale.with_quantizer.tolist(), scale.without_quantizer.tolist()],
        "start_noise": _START_NOISE,
    }  # fmt: skip
    network = network.eval().requires_grad_(False)
    networks = tuple(exported(graph, header) for graph in (network, FlowGraph(flow)))
    unpriced = run / "unpriced.onnx"
    write_pair(unpriced, networks, header, flow.config, {"priced": False})
    model = load_restoration("JPEG", DecodeOptions(weights=unpriced))
    rows = [
        measure_file(model, JPEG, source, data, side, k) | {"quality": group}
        for k, (group, source, data) in enumerate(_priced_files(validation, every))
    ]
    # Drawings and files coded before scatter too widely to tell photographs' prices; figures have them.
    fitted = [r for r in rows if r["quality"].startswith("photographs")]
    conditions = [Condition(**r["condition"]) for r in fitted]
    expected, mmse, cost = (np.array([r[k] for r in fitted]) for k in ("expected", "mmse", "cost"))
    prices = PriceList.fit(conditions, expected, mmse, cost, STEPS)
    gains = validate(network, scale, [validation], every=3)
    recipe = {
        "format": "JPEG",
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
        "start_noise": _START_NOISE,
        "parameters": {"estimator": network.n_parameters(), "flow": flow.n_parameters()},
        "kmac_per_pixel": {
            "estimator": round(network.kmac_per_pixel(), 1), "flow_step": round(flow.kmac_per_pixel(), 1)
        },
        "gain_db_on_validation": {k: round(float(np.mean(v)), 3) for k, v in gains.items()},
        "figures": figures_of(rows, prices),
    }  # fmt: skip
    path = run / "jpeg.onnx"
    write_pair(path, networks, header | {"prices": prices.as_json()}, flow.config, recipe)
    return path


def _priced_files(validation: Path, every: int) -> Iterator[tuple[str, Image.Image, bytes]]:
    """(group, source, file) of photographs, drawings and photographs coded before."""
    for _, data in list(pictures([validation]))[::every]:
        picture = opened(data).crop((96, 96, 416, 416))
        for q in _QUALITIES:
            yield f"photographs {q:03}", picture, saved(picture, "JPEG", quality=q)
        before = opened(saved(picture, "JPEG", quality=30)).crop((4, 4, 320, 320))
        shifted = picture.crop((4, 4, 320, 320))
        yield "JPEG 30 in 90", shifted, saved(before, "JPEG", quality=90)
        again = opened(saved(picture, "AVIF", quality=30, speed=9))
        yield "AVIF 30 in 90", picture, saved(again, "JPEG", quality=90)
    for kind in KINDS:
        picture = draw(kind, 30_000).crop((96, 96, 416, 416))
        for q in _DRAWN:
            mode = "4:4:4" if q == 80 else "4:2:0"
            yield f"drawings {q:03}", picture, saved(picture, "JPEG", quality=q, subsampling=mode)
