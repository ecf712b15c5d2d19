"""The whole training of ``.vdc`` files' networks, from a folder of pictures to priced weights.

Stages: pixels, codec, weights of the codec, then spread, flow and reflow of its generator and their
prices. Each leaves its result in the run's folder and is skipped when that is there, so the same
command goes on after a kill.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from veridical.errors import InvalidSetting
from veridical.photo.vdc.model import network_path
from veridical.training.loop import keep_memory
from veridical.training.photo_codec import (
    CODEC_PRESETS,
    load_networks,
    train_codec,
)
from veridical.training.photo_codec_flow import GENERATOR_STAGES, Training, train_stage
from veridical.training.photo_codec_prices import export, export_generator
from veridical.training.photo_pixels import Pixels, prepare_pixels
from veridical.training.stages import accelerator_for


def run_codec(
    data: Sequence[Path],
    validation: Path,
    run: Path,
    *,
    preset: str = "cpu",
    minutes: float | None = None,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
    say: Callable[[str], None] = lambda message: None,
) -> Path | None:
    """Train, freeze, measure and write weights; a killed run goes on where it was.

    Args:
        data: Folders or tar files of training pictures.
        validation: Folder or tar file of other pictures, for rates and prices.
        run: Folder of the run.
        preset: Name in ``CODEC_PRESETS``.
        minutes: Save a checkpoint and stop after so many.
        progress: Called with (stage, done, total).
        say: Called with a sentence at the end of stages.

    Returns:
        The weights file of the codec, or None if time ran out first.

    Raises:
        InvalidSetting: Unknown preset.
        TrainingData: No usable pictures, or a checkpoint of other sizes.
    """
    if preset not in CODEC_PRESETS:
        raise InvalidSetting(f"preset must be one of {', '.join(CODEC_PRESETS)}, got {preset!r}")
    sizes = CODEC_PRESETS[preset]
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    keep_memory()
    run.mkdir(parents=True, exist_ok=True)
    pixels = prepare_pixels(
        data, run / "pixels", smallest_side=sizes.patch,
        progress=lambda d, n: progress("preparing", d, n),
    )  # fmt: skip
    say(f"{len(pixels.records)} pictures")

    def left() -> float | None:
        return None if deadline is None else max(0.0, deadline - time.monotonic())

    def report(title: str, done: int, total: int, *_: float) -> None:
        progress(title, done, total)

    def finished(stage: str) -> None:
        say(f"stage {stage} is done: {(run / f'{stage}.json').read_text(encoding='utf-8')}")

    if not (run / "codec.safetensors").exists():
        if train_codec(pixels, sizes, run, report, seconds=left()) is None:
            return None
        finished("codec")
    recipe = _recipe(data, validation, preset, pixels)
    path = run / "vdc.npz"
    if not _measured(path):
        stages = {"stages": {"codec": json.loads((run / "codec.json").read_text(encoding="utf-8"))}}
        export(
            load_networks(sizes, run), sizes.name, validation, sizes.validation_side, run, recipe | stages,
            progress=progress, say=say,
        )  # fmt: skip
    accelerator = accelerator_for(sizes)
    codec = load_networks(sizes, run).to(accelerator.device)
    training = Training(codec, pixels, sizes.generator, run, accelerator)
    for stage in GENERATOR_STAGES:
        if (run / f"{stage}.safetensors").exists():
            continue
        if train_stage(stage, training, report, seconds=left()) is None:
            return None
        finished(stage)
    if not _measured(network_path(path, "generator")):
        stages = {
            s: json.loads((run / f"{s}.json").read_text(encoding="utf-8")) for s in GENERATOR_STAGES
        }
        export_generator(
            path, training, validation, sizes.generator.prices_side, recipe | {"stages": stages},
            progress=progress, say=say,
        )  # fmt: skip
    return path


def _measured(path: Path) -> bool:
    """Whether a weights file was written with the figures on its card."""
    card = path.with_suffix(".json")
    return card.exists() and "figures" in json.loads(card.read_text(encoding="utf-8"))


def _recipe(
    data: Sequence[Path], validation: Path, preset: str, pixels: Pixels
) -> dict[str, object]:
    words = ["veridical train photo-codec", *(p.name for p in data)]
    words += ["--validation", validation.name, "--preset", preset]
    return {
        "command": " ".join(words),
        "training_data": {"pictures": len(pixels.records), "sha256": pixels.digest},
    }
