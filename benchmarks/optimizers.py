"""Muon against Adam: what the estimator gains over the decoder after equally many steps.

    python benchmarks/optimizers.py PICTURES... --validation OTHERS --out runs/optimizers --steps 1000

Trains the estimator of preset `cpu-long` from nothing with each optimizer on the same batches, and
prints, for the middle 256 pixels of each validation picture at two qualities of each format, the
mean gain of realism 0 over the ordinary decoder in dB, and the seconds of a step. About three minutes for each
of the two on two cores; goes on after a kill.
"""

from __future__ import annotations

import argparse
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from veridical.photo.condition import condition_of
from veridical.photo.residual import estimate
from veridical.training.loop import Schedule, keep_memory
from veridical.training.photo import train_estimator
from veridical.training.photo_data import Pairs, pictures, prepare
from veridical.training.photo_parts import PRESETS

QUALITIES = {"AVIF": (25, 45), "WEBP": (5, 25), "JPEG": (5, 15)}
RATES = {"Adam": (1e-3, 0.0), "Muon": (8e-4, 2e-3)}
SIDE = 256


def as_tensor(picture: Image.Image) -> torch.Tensor:
    """Shape (1, 3, height, width), in [0, 1]."""
    return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)[None] / 255


def gain(network: nn.Module, pairs: Pairs, picture: Image.Image, fmt: str, quality: int) -> float:
    """Gain in dB on the middle of a picture."""
    left, top = ((n - SIDE) // 32 * 16 for n in picture.size)
    picture = picture.crop((left, top, left + SIDE, top + SIDE))
    coded = io.BytesIO()
    picture.save(coded, fmt, quality=quality)
    condition, _ = condition_of(fmt, coded.getvalue(), SIDE, SIDE)
    x, y = as_tensor(picture), as_tensor(Image.open(coded))
    features = torch.from_numpy(condition.features())[None]
    scale = torch.full((1, 1, 1, 1), float(pairs.scale(condition)))
    with torch.inference_mode():
        estimated, _ = estimate(network, y, features, scale)
    before, after = ((z.clamp(0, 1) - x).square().mean() for z in (y, estimated))
    return float(10 * (before / after).log10())


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--validation", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1000)
    chosen = parser.parse_args()
    keep_memory()
    pairs = prepare(chosen.data, chosen.out / "pairs")
    found = [Image.open(io.BytesIO(b)).convert("RGB") for _, b in pictures([chosen.validation])]
    rows = [(fmt, q) for fmt, qualities in QUALITIES.items() for q in qualities]
    print("| optimizer | s / step |", *(f"{fmt} {q} |" for fmt, q in rows))
    print("|---" * (2 + len(rows)) + "|")
    for name, (rate, hidden) in RATES.items():
        run = chosen.out / f"{name}-{chosen.steps}"
        schedule = Schedule(chosen.steps, rate, 0.99, hidden_rate=hidden)
        preset = replace(PRESETS["cpu-long"], estimator=schedule)
        network = train_estimator(pairs, preset, run, lambda *_: None)
        if network is None:
            raise RuntimeError("a training without a limit of time came to no end")
        seconds = json.loads((run / "estimator.json").read_text(encoding="utf-8"))["seconds"]
        gains = [np.mean([gain(network, pairs, p, *row) for p in found]) for row in rows]
        print(f"| {name} | {seconds / chosen.steps:.3f} |", *(f"{g:+.3f} |" for g in gains))


if __name__ == "__main__":
    main()
