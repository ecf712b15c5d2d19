"""The network of a format's prices, from errors and costs that are measured on training and validation pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from veridical.codec import Decoder
from veridical.errors import TrainingData
from veridical.photo.formats.conventional import ConventionalFormat
from veridical.photo.options import DecodeOptions
from veridical.photo.price import LEAST, calibration_of
from veridical.photo.restoration import (
    PixelWindow,
    RestorationDecoder,
    RestorationModel,
    load_restoration,
)
from veridical.photo.tiles import Box
from veridical.photo.weights import network_path, write_weights
from veridical.training.export import belonging, write_network
from veridical.training.pairs import Pairs
from veridical.training.pictures import pictures
from veridical.training.price_files import SIDE, training_pieces, validation_pieces
from veridical.training.price_network import PictureStatistics, PriceNetwork, fit_price_network
from veridical.training.sources import Sources
from veridical.training.stages import MeasuredRows, Progress, silent

_WEIGHTS = {
    "photograph": 1.0,
    "drawing": 1.0,
    "recompressed": 0.7,
    "photographs": 5.0,
    "before": 1.0,
    "drawings": 1.0,
}
"""How often a row is drawn in the fit, by kind: training pieces, then validation files."""


def write_prices(
    path: Path,
    form: ConventionalFormat | Pairs,
    sources: Sources | Pairs,
    validation: Path,
    n_pieces: int,
    run: Path,
    recipe: dict[str, Any],
    progress: Progress = silent,
) -> None:
    """Measure a format's weights as they lie there, write the network of their prices beside them, and its figures into every card.

    Args:
        path: ``FORMAT.onnx`` with its generator.
        form: The format.
        sources: Training pictures; pairs are their own.
        validation: Folder or tar file of photographs that nothing was trained on; pairs hold their own.
        n_pieces: Of training pictures to measure.
        run: Folder for a log from which a killed measurement goes on.
        recipe: For the cards.
        progress: Called with (stage, done, total).

    Raises:
        TrainingData: There are no validation pictures.
    """
    model = load_restoration(form.name, DecodeOptions(weights=path))
    rows = measured(model, form, sources, validation, n_pieces, run / "prices.jsonl", progress)
    told = (np.array([r[k] for r in rows]) for k in ("statistics", "mmse", "cost"))
    weight = np.array([_weight(r["group"]) for r in rows])
    network = fit_price_network(
        *told, weight=weight, progress=lambda *done: progress("fitting prices", *done)
    )
    card = recipe | {
        "price_pieces": n_pieces,
        "validation": {
            "files": sum(r["number"] >= n_pieces for r in rows),
            "sha256": form.digest if isinstance(form, Pairs) else digest_of(validation),
        },
        "figures": figures_of([r for r in rows if r["number"] >= n_pieces], network),
    }
    header = belonging(path, "price", form) | {"network": network.sizes}
    features = (2, len(form.features))
    write_network(network_path(path, "price"), network, header, card, features=features)
    for old in (path, network_path(path, "generator"), network_path(path, "cells")):
        if old.exists():
            write_weights(old, old.read_bytes(), card)


def _weight(group: str) -> float:
    kind = "before" if "before" in group else group.partition(" ")[0]
    return _WEIGHTS[kind]


def digest_of(source: Path) -> str:
    """SHA-256 over names and bytes of the pictures of a folder or tar file."""
    sha = hashlib.sha256()
    for name, data in pictures([source]):
        sha.update(name.encode() + hashlib.sha256(data).digest())
    return sha.hexdigest()


def measured(
    model: RestorationModel,
    form: ConventionalFormat | Pairs,
    sources: Sources | Pairs,
    validation: Path,
    n_pieces: int,
    log: Path,
    progress: Progress,
) -> list[dict]:
    """Errors, transport costs and statistics of training pieces and validation files, resumable."""
    networks = (model.estimator, model.generator, model.beside("cells"))
    said = " ".join([*(n.digest for n in networks if n is not None), str(n_pieces)])
    digest = hashlib.sha256(said.encode()).hexdigest()[:16]
    found = MeasuredRows(log, digest)
    known = {r["number"] for r in found.rows}
    tried = list(validation_pieces(form, validation))
    if not tried:
        raise TrainingData(f"{validation} holds no pictures to measure prices on")
    tasks = [*training_pieces(sources, form, n_pieces), *tried]
    for number, task in enumerate(tasks):
        progress("measuring prices", number + 1, len(tasks))
        taken = None if number in known else task()
        if taken is None:
            continue
        group, piece, top, left = taken
        cells = None
        if isinstance(form, ConventionalFormat):
            cells = form.read_cells(piece.file, piece.decoded)
        cut = np.s_[top : top + SIDE, left : left + SIDE]
        height, width = piece.decoded[cut].shape[:2]
        window = PixelWindow(piece.decoded[cut], Box(top, top + height, left, left + width), cells)
        row = measure_window(
            RestorationDecoder(model, piece.condition), window, piece.source[cut], number
        )
        bits = piece.condition.bits_per_pixel
        found.add(row | {"number": number, "group": group, "bits_per_pixel": bits})
    return sorted(found.rows, key=lambda r: r["number"])


def measure_window(
    decoder: RestorationDecoder, window: PixelWindow, source: np.ndarray, seed: int
) -> dict[str, Any]:
    """Errors, transport cost and statistics of a window.

    Args:
        decoder: Of its file.
        window: Decoded.
        source: Of the same place, uint8 of shape (height, width, 3).
        seed: Of film grain.
    """
    state, errors = errors_of(decoder, window, source, seed)
    with torch.inference_mode():
        told = (torch.from_numpy(state[name]) for name in PriceNetwork.INPUTS)
        statistics = PictureStatistics()(*told)[0].numpy()
    decoded = float(np.mean(np.square((window.pixels - source.astype(float)) / 255)))
    return {"decoded": decoded} | errors | {"statistics": [round(float(v), 4) for v in statistics]}


def errors_of(
    decoder: Decoder[Any, np.ndarray, int], window: Any, source: np.ndarray, seed: int
) -> tuple[Any, dict[str, float]]:
    """The estimator's state; and errors of realism 0 and 1 and the transport cost, all on the [0, 1] scale and clipped to it."""
    estimate = decoder.estimate(window, 0)
    x_mmse, x_real = (
        np.clip(v, 0, 1, dtype=np.float64)
        for v in (estimate.x_mmse, decoder.generate(estimate, seed))
    )
    x = source.transpose(2, 0, 1) / 255
    pairs = {"mmse": (x_mmse, x), "cost": (x_real, x_mmse), "error_real": (x_real, x)}
    errors = {name: float(np.mean(np.square(a - b))) for name, (a, b) in pairs.items()}
    return estimate.state[1], errors


@torch.inference_mode()
def figures_of(rows: Sequence[dict], network: PriceNetwork) -> list[dict]:
    """Means by kind of file: gain over the decoder, price of realism 1, prediction."""
    out = []
    for group in sorted({r["group"] for r in rows}):
        mine = [r for r in rows if r["group"] == group]
        told = torch.tensor([r["statistics"] for r in mine])
        prices = [calibration_of(v[None]) for v in network.from_statistics(told).numpy()]
        gain = np.mean([10 * np.log10((r["decoded"] + LEAST) / (r["mmse"] + LEAST)) for r in mine])
        off = [
            10 * np.log10((r["mmse"] + LEAST) / (c.mmse + LEAST))
            for r, c in zip(mine, prices, strict=True)
        ]
        d, d1 = np.mean([r["mmse"] for r in mine]), np.mean([r["error_real"] for r in mine])
        predicted = np.mean([c.distortion_at(1.0) for c in prices])
        stated = np.mean([(c.uncertainty_db or 0) ** 2 for c in prices])
        out.append(
            {
                "group": group,
                "bits_per_pixel": round(float(np.mean([r["bits_per_pixel"] for r in mine])), 3),
                "gain_db_realism_0": round(float(gain), 3),
                "prediction_off_db": [round(float(np.mean(off)), 2), round(float(np.std(off)), 2)],
                "uncertainty_stated_db": round(float(np.sqrt(stated)), 2),
                "error_ratio_realism_1": round(float(d1 / d), 3),
                "formula_over_measured_realism_1": round(
                    float((d + np.mean([r["cost"] for r in mine])) / d1), 4
                ),
                "predicted_over_measured_realism_1": round(float(predicted / d1), 4),
            }
        )
    return out
