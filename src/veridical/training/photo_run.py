"""The whole training of a conventional format's weights, from pictures to a priced file.

Stages: the U-Net of the estimator by least squares, its head on blocks, the generator. Each leaves its
result in the run's folder and is skipped when that is there, so the same command goes on after a kill.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from veridical.errors import InvalidSetting
from veridical.photo.condition import BASIC_FEATURES, ResidualScale
from veridical.photo.formats.conventional import ConventionalFormat
from veridical.training.estimator import BlockEstimator
from veridical.training.estimator_train import HeadPreset, Plateau, train_head, train_unet
from veridical.training.estimator_validation import validate
from veridical.training.export import load_estimator
from veridical.training.generator import SHARES, FilterGenerator, GeneratorPreset, train_generator
from veridical.training.loop import Schedule
from veridical.training.networks import NetworkConfig
from veridical.training.pairs import Pairs
from veridical.training.photo_prices import Progress, write_priced
from veridical.training.pictures import conventional
from veridical.training.pieces import PieceSampler, Sources, fit_scale, prepare_sources
from veridical.training.stages import (
    Batches,
    accelerator_for,
    processes,
    restore_stage,
    save_stage,
)
from veridical.writing import write_text


@dataclass(frozen=True)
class Preset:
    """Sizes of one training.

    Attributes:
        unet: Schedule of the U-Net.
        head: Sizes of the estimator's head.
        generator: Of the generator.
        widths: Channels of the U-Net at 1/4, 1/8, 1/16.
        blocks: Its residual blocks at these on the way down.
        blocks_up: And at 1/8 and 1/4 on the way up.
        patch: Side of the patches in pixels.
        batch_size: Patches in a step.
        drawings: Of each kind.
        mixed_precision: "no" or "bf16", which is used where the device has it.
    """

    unet: Schedule
    head: HeadPreset = field(default_factory=HeadPreset)
    generator: GeneratorPreset = field(default_factory=GeneratorPreset)
    widths: tuple[int, int, int] = (64, 112, 128)
    blocks: tuple[int, int, int] = (1, 4, 2)
    blocks_up: tuple[int, int] = (3, 2)
    patch: int = 128
    batch_size: int = 8
    drawings: int = 60
    mixed_precision: str = "bf16"

    def estimator(self, names: Sequence[str]) -> BlockEstimator:
        """A new estimator that is told these features."""
        config = NetworkConfig(
            2, self.widths, self.blocks, self.blocks_up, spread=True, features=len(BASIC_FEATURES)
        )
        return BlockEstimator(config, names, width=self.head.width, blocks=self.head.blocks)


PRESETS = {
    "cpu": Preset(Schedule(24_000, 8e-4, hidden_rate=1.5e-3)),
    "gpu": Preset(
        Schedule(30_000, 6e-4, 0.9995, hidden_rate=1.5e-3),
        HeadPreset(Plateau(6000, 1e-3, hidden_rate=2e-3)),
        GeneratorPreset(Schedule(8000, 5e-4), (64, 112, 128)),
        widths=(96, 176, 224), patch=192, batch_size=32,
    ),
    "tiny": Preset(
        Schedule(6), HeadPreset(Plateau(4, hidden_rate=1e-3, decay=2), 8, 1), GeneratorPreset(Schedule(4), (8, 8, 8)),
        (8, 8, 8), (1, 1, 1), (1, 1), patch=48, batch_size=2, drawings=1, mixed_precision="no",
    ),
}  # fmt: skip
"""``cpu``: some hours of two cores; ``gpu``: for a large GPU, not yet run; ``tiny``: tests."""


def run_all(
    data: Sequence[Path],
    validation: Path,
    run: Path,
    *,
    format: str | Pairs,  # noqa: A002 (the word for it)
    camera: Sequence[Path] = (),
    preset: str | Preset = "cpu",
    minutes: float | None = None,
    start: Path | None = None,
    keep_estimator: bool = False,
    seed: int = 0,
    progress: Progress = lambda stage, done, total: None,
    say: Callable[[str], None] = lambda message: None,
) -> Path | None:
    """Train, measure prices and write weights.

    Args:
        data: Folders or tar files of training photographs.
        validation: Folder or tar file of other pictures, for the price list.
        run: Folder of the run.
        format: Name of a conventional format; or pairs, which are all the data then.
        camera: Folders or tar files of camera pictures, taken at half their size.
        preset: Name in ``PRESETS``, or sizes.
        minutes: Stop with a checkpoint after this long.
        start: Estimator's weights file whose U-Net is kept, and whose head is trained on.
        keep_estimator: Take the estimator of ``start`` as it is and train the generator alone.
        seed: Of the settings at which the pictures are coded and of every batch.
        progress: Called with (stage, done, total).
        say: Called with a sentence at the start and end of stages.

    Returns:
        The weights file, or None if time ran out first.

    Raises:
        InvalidSetting: Unknown preset, a negative seed, or an estimator to keep without weights to
            start from.
        BadWeights: ``start`` is not a weights file of an estimator.
        TrainingData: No usable pictures.
    """
    form = format if isinstance(format, Pairs) else conventional(format)
    sizes = _checked(preset, start, keep_estimator, seed)
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    accelerator, group = accelerator_for(sizes), processes()
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)  # initial weights only; nothing else reads the global generator
    known = None
    if start is None:
        estimator = sizes.estimator(form.features)
    else:
        header, estimator = load_estimator(start)
        if header["format"] == form.name:
            known = ResidualScale(*(np.array(table, dtype=float) for table in header["scale"]))
    generator = sizes.generator.network()
    if not group.is_main_process:
        progress, say = (lambda stage, done, total: None), (lambda message: None)
    with group.main_process_first():
        sources = form if isinstance(form, Pairs) else prepare_sources(
            data, camera, run / "sources", lambda done, total: progress("preparing", done, total),
            n_drawings=sizes.drawings,
        )  # fmt: skip
        scale = known or _scale(sources, form, run / "scale.json")

    def batches(number: int, **kinds: Any) -> Batches:
        sampler = PieceSampler(
            sources, form, form.features, scale, patch=sizes.patch, batch_size=sizes.batch_size,
            seed=number + 3 * seed, **kinds,
        )  # fmt: skip
        return Batches(sampler, accelerator)

    def train_on_estimates(network: FilterGenerator, *given: Any, **options: Any) -> Any:
        fixed = estimator.to(accelerator.device).eval().requires_grad_(False)
        own = batches(3, shares=SHARES, finest=sizes.generator.finest, largest=sizes.patch + 72)
        return train_generator(network, fixed, own, sizes.generator, *given[2:], **options)

    stages: list[tuple[str, nn.Module, Callable[..., Any], Schedule]] = [
        ("unet", estimator.network, train_unet, sizes.unet),
        ("head", estimator, train_head, sizes.head.schedule),
        ("generator", generator, train_on_estimates, sizes.generator.schedule),
    ]
    stages = stages[0 if start is None else 2 if keep_estimator else 1 :]
    for number, (name, network, train_stage, schedule) in enumerate(stages, 1):
        finished = restore_stage(name, network, run)
        group.wait_for_everyone()
        if finished:
            continue
        # Never negative: whether time is up is agreed upon by all processes inside the stage.
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        result = train_stage(
            network, batches(number), schedule, run / f"{name}.ckpt", accelerator, seconds=left,
            report=lambda s, v, t, name=name, n=schedule.steps: progress(name, s, n),
        )  # fmt: skip
        if result is None:
            return None
        save_stage(name, result[0], result[1], run)
        restore_stage(name, network, run)
        say(f"stage {name} is done: {(run / f'{name}.json').read_text(encoding='utf-8')}")
    path = run / f"{form.name.lower()}.onnx"
    if not group.is_main_process:
        return path
    estimator, generator = estimator.cpu().eval(), generator.cpu().eval()
    recipe = _recipe(sources, estimator, generator, sizes, run, [name for name, *_ in stages])
    recipe |= {
        "format": form.name,
        "command": _command(data, camera, validation, form, preset, start, keep_estimator, seed),
        "started_from": None if start is None else hashlib.sha256(start.read_bytes()).hexdigest(),
    }  # fmt: skip
    if not isinstance(form, Pairs):
        gains = validate(estimator, form, scale, [validation])
        recipe["gain_db_on_validation"] = {k: round(float(np.mean(v)), 3) for k, v in gains.items()}
    write_priced(path, form, estimator, generator, scale, validation, recipe, progress)
    say(f"weights: {path}")
    return path


def _scale(sources: Sources | Pairs, form: ConventionalFormat | Pairs, kept: Path) -> ResidualScale:
    """Fitted once for a run."""
    if not kept.exists():
        fitted = fit_scale(sources, form)
        tables = [t.tolist() for t in (fitted.with_quantizer, fitted.without_quantizer)]
        write_text(kept, json.dumps(tables))
    return ResidualScale(*map(np.array, json.loads(kept.read_text(encoding="utf-8"))))


def _checked(
    preset: str | Preset, start: Path | None, keep_estimator: bool, seed: int  # noqa: FBT001 (private)
) -> Preset:  # fmt: skip
    if keep_estimator and start is None:
        raise InvalidSetting("keeping the estimator needs weights to start from (--start FILE)")
    if seed < 0:
        raise InvalidSetting(f"the seed must not be negative, got {seed}")
    if isinstance(preset, Preset):
        return preset
    if preset not in PRESETS:
        raise InvalidSetting(f"preset must be one of {', '.join(PRESETS)}, got {preset!r}")
    return PRESETS[preset]


def _command(
    data: Sequence[Path],
    camera: Sequence[Path],
    validation: Path,
    form: ConventionalFormat | Pairs,
    preset: str | Preset,
    start: Path | None,
    keep_estimator: bool,  # noqa: FBT001 (private)
    seed: int,
) -> str:
    if isinstance(form, Pairs):
        words = ["veridical train restorer --name", form.name.lower()]
    else:
        words = ["veridical train photo", *(p.name for p in data)]
        words += [f"--camera {p.name}" for p in camera]
        words += ["--validation", validation.name, "--format", form.name.lower()]
    words += ["--preset", preset if isinstance(preset, str) else "own"]
    words += [] if start is None else ["--start", start.name]
    words += [f"--seed {seed}"] if seed else []
    return " ".join(words + ["--keep-estimator"] * keep_estimator)


def _recipe(
    sources: Sources | Pairs,
    estimator: BlockEstimator,
    generator: FilterGenerator,
    sizes: Preset,
    run: Path,
    stages: Sequence[str],
) -> dict[str, Any]:
    return {
        "training_data": {
            "photographs": len(sources.photographs), "camera_pieces": len(sources.camera),
            "drawings": len(sources.drawings), "sha256": sources.digest,
        },
        "stages": {n: json.loads((run / f"{n}.json").read_text(encoding="utf-8")) for n in stages},
        "preset": asdict(replace(sizes)),
        "machine": f"{os.cpu_count()} cores, torch {torch.__version__}, Python {platform.python_version()}",
        "parameters": {"estimator": estimator.n_parameters(), "generator": generator.n_parameters()},
        "kmac_per_pixel": {
            "estimator": round(estimator.kmac_per_pixel(), 1),
            "generator": round(generator.kmac_per_pixel(), 1),
        },
    }  # fmt: skip
