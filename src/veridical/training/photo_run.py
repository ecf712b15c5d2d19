"""The whole training of photograph weights, from a folder of pictures to a calibrated file.

Stages: prepare, estimator, flow, reflow pairs and reflow, calibration. Each leaves its result in
the run's folder and is skipped when that is there, so the same command goes on after a kill.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from veridical.errors import BadWeights, InvalidSetting
from veridical.photo.condition import ResidualScale
from veridical.training.export import load_torch
from veridical.training.loop import keep_memory
from veridical.training.photo import train_estimator, train_flow, train_reflow, train_spread
from veridical.training.photo_data import conventional, prepare
from veridical.training.photo_parts import (
    PRESETS,
    Preset,
    Start,
    estimator_config,
    processes,
    save_stage,
)
from veridical.training.photo_prices import STAGES, Progress, calibrate
from veridical.training.warm_start import contains


def run_all(
    data: Sequence[Path],
    validation: Path,
    run: Path,
    *,
    format: str,  # noqa: A002 (the word for it)
    preset: str = "cpu",
    minutes: float | None = None,
    start: Path | None = None,
    keep_estimator: bool = False,
    seed: int = 0,
    progress: Progress = lambda stage, done, total: None,
    say: Callable[[str], None] = lambda message: None,
) -> Path | None:
    """Train, calibrate and write weights.

    Args:
        data: Folders or tar files of training pictures.
        validation: Folder or tar file of other pictures, for the price list.
        run: Folder of the run.
        format: Name of a conventional format.
        preset: Name in ``PRESETS``.
        minutes: Stop with a checkpoint after this long.
        start: Estimator's weights file, with its generator beside it, from which both begin, instead of
            from nothing.
        keep_estimator: Take the estimator of ``start`` as it is and train the generator alone.
        seed: Of the settings at which the pictures are coded and of every batch; going on from
            earlier weights with another seed shows the networks other files.
        progress: Called with (stage, done, total).
        say: Called with a sentence at the start and end of stages.

    Returns:
        The weights file, or None if time ran out first.

    Raises:
        InvalidSetting: Unknown preset, a negative seed, or an estimator to keep without weights to
            start from.
        BadWeights: ``start`` is not a weights file, or one of other sizes than the preset's.
        TrainingData: No usable pictures.
    """
    conventional(format)
    sizes = _checked(preset, start, keep_estimator, seed)
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    keep_memory()
    run.mkdir(parents=True, exist_ok=True)
    model = None if start is None else _loaded(start, sizes)
    group = processes()
    if not group.is_main_process:
        progress, say = (lambda stage, done, total: None), (lambda message: None)
    with group.main_process_first():
        pairs = prepare(
            data,
            run / "pairs",
            format=format,
            seed=seed,
            progress=lambda d, n: progress("preparing", d, n),
        )
    say(f"{pairs.n_pictures} pictures, {len(pairs.records)} coded versions")
    stages: list[tuple[str, Callable[..., nn.Module | None], int]] = [
        ("estimator", train_estimator, 1),
        ("spread", train_spread, 4),
        ("flow", train_flow, 2),
        ("reflow", train_reflow, 3),
    ]
    if model is not None:
        pairs = replace(pairs, scale=model.scale)  # the units that its networks know
    if model is not None and keep_estimator:
        if group.is_main_process:
            save_stage("spread", model.estimator, {"kept_from": model.digest}, run)
        group.wait_for_everyone()
        stages = stages[2:]
    for name, stage, own_seed in stages:
        finished = (run / f"{name}.safetensors").exists()
        group.wait_for_everyone()
        if finished:
            continue
        # Never negative: whether time is up is agreed upon by all processes inside the stage.
        left = None if deadline is None else max(0.0, deadline - time.monotonic())

        def report(title: str, done: int, total: int, *_: float) -> None:
            progress(title, done, total)

        begin: dict[str, Any] = {"start": model} if name in ("estimator", "flow") else {}
        begin["seed"] = own_seed + len(STAGES) * seed
        if stage(pairs, sizes, run, report, seconds=left, **begin) is None:
            return None
        say(f"stage {name} is done: {(run / f'{name}.json').read_text(encoding='utf-8')}")
    if not group.is_main_process:
        return run / f"{format.lower()}.onnx"
    return calibrate(
        pairs, sizes, validation, run,
        command=_command(data, validation, format, preset, start, keep_estimator, seed),
        started_from=None if model is None else model.digest,
        stages=STAGES[1:] if keep_estimator else STAGES,
        progress=progress, say=say,
    )  # fmt: skip


def _checked(preset: str, start: Path | None, keep_estimator: bool, seed: int) -> Preset:  # noqa: FBT001 (private)
    if keep_estimator and start is None:
        raise InvalidSetting("keeping the estimator needs weights to start from (--start FILE)")
    if seed < 0:
        raise InvalidSetting(f"the seed must not be negative, got {seed}")
    if preset not in PRESETS:
        raise InvalidSetting(f"preset must be one of {', '.join(PRESETS)}, got {preset!r}")
    return PRESETS[preset]


def _command(
    data: Sequence[Path],
    validation: Path,
    format_name: str,
    preset: str,
    start: Path | None,
    keep_estimator: bool,  # noqa: FBT001 (private)
    seed: int,
) -> str:
    words = ["veridical train photo", *(p.name for p in data), "--validation", validation.name]
    words += ["--format", format_name.lower(), "--preset", preset]
    words += [] if start is None else ["--start", start.name]
    words += [f"--seed {seed}"] if seed else []
    return " ".join(words + ["--keep-estimator"] * keep_estimator)


def _loaded(start: Path, preset: Preset) -> Start:
    header, estimator = load_torch(start)
    _, flow = load_torch(start.with_name(f"{start.stem}-generator{start.suffix}"))
    if not contains(estimator_config(preset), estimator.config):
        raise BadWeights(
            f"{start} has an estimator that this preset's has no room for; choose the preset it was trained with, or a larger one"
        )
    scale = ResidualScale(*(np.array(table, dtype=float) for table in header["scale"]))
    return Start(estimator, flow, scale, hashlib.sha256(start.read_bytes()).hexdigest())
