"""The whole training of ``.vdc`` files' networks, from pictures to priced weights.

Stages: the codec and its weights, then the local size of its error, the generator, and their prices. Each leaves
its result in the run's folder and is skipped when that is there, so the same command goes on after a kill. The
generator is trained on the files of the codec as they are shipped.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from veridical.photo.vdc.model import load_model
from veridical.photo.weights import network_path, write_weights
from veridical.training.generator import train_generator
from veridical.training.photo_codec import CODEC_PRESETS, CodecPreset, new_networks, train_codec
from veridical.training.photo_codec_prices import measure_codec, measure_generator
from veridical.training.sources import Sources, SourceSampler, prepare_sources
from veridical.training.stages import (
    Batches,
    Progress,
    Stage,
    accelerator_for,
    chosen,
    claim,
    deadline_after,
    finished,
    origin,
    pictures_named,
    run_stages,
    silent,
    stage_figures,
)
from veridical.training.vdc.export import load_synthesis, save_codec, save_decoder
from veridical.training.vdc.generator import (
    LatentSampler,
    LatentSpread,
    decoded,
    given,
    train_spread,
)

N = TypeVar("N", bound=nn.Module)


def run_codec(
    data: Sequence[Path],
    validation: Path,
    run: Path,
    *,
    camera: Sequence[Path] = (),
    preset: str | CodecPreset = "cpu",
    minutes: float | None = None,
    start: Path | None = None,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda message: None,
) -> Path | None:
    """Train, freeze, measure and write weights; a killed run goes on where it was.

    Args:
        data: Folders or tar files of training photographs.
        validation: Folder or tar file of other pictures, for rates and prices.
        run: Folder of the run.
        camera: Folders or tar files of camera pictures, taken at half their size.
        preset: Name in ``CODEC_PRESETS``, or sizes.
        minutes: Save a checkpoint and stop after so many.
        start: ``NAME.npz`` of a codec to keep; its decoder alone is trained on.
        progress: Called with (stage, done, total).
        say: Called with a sentence at the end of stages.

    Returns:
        The weights file of the codec, or None if time ran out first.

    Raises:
        InvalidSetting: Unknown preset, a negative time, or the folder of another run.
        BadWeights: ``start`` is no weights file of a codec.
        TrainingData: No usable pictures, or a checkpoint of other sizes.
    """
    sizes = chosen(preset, CODEC_PRESETS)
    sizes = replace(sizes, generator=sizes.generator.of_format("VDC"))
    deadline = deadline_after(minutes)
    if start is not None:
        load_model(start)  # damaged ones are refused here
    claim(run, "VDC", start)
    taken = {} if start is None else {"codec": _take(start, run)}
    sources = prepare_sources(
        data, camera, run / "sources", lambda done, total: progress("preparing", done, total),
        n_drawings=sizes.drawings,
    )  # fmt: skip
    accelerator: Any = accelerator_for(sizes.mixed_precision)

    def go(*stages: Stage) -> bool:
        return run_stages(stages, run, accelerator, deadline=deadline, progress=progress, say=say)

    command = ("photo-codec", *pictures_named(data, camera, validation))
    recipe = origin(command, preset, sources, start) | taken | {"preset": asdict(sizes)}
    path = run / "vdc.npz"
    if start is None and not _train_codec(path, sizes, sources, accelerator, recipe, go):
        return None
    model = load_model(path, threads=1)
    config, synthesis = load_synthesis(path, model.n_latents)
    torch.manual_seed(5)  # initial weights only; nothing else reads the global generator
    side = config.widths[0]
    own, least = sizes.generator, sizes.generator.least_squares(sizes.refinement)
    spread, refinement, generator = LatentSpread(side), least.network(side), own.network(side)

    def batches(seed: int) -> Batches:
        sampler = LatentSampler(
            sources, model, patch=sizes.generator_patch, batch_size=sizes.generator_batch, seed=seed
        )
        return Batches(sampler, accelerator)

    def fixed(network: N) -> N:
        return network.to(accelerator.device).eval().requires_grad_(False)

    stages = (
        Stage("spread", spread, steps=sizes.spread.steps, train=lambda execution: train_spread(
            spread, decoded(fixed(synthesis), batches(2)), sizes.spread, execution)),
        Stage("refinement", refinement, steps=least.schedule.steps, train=lambda execution: train_generator(
            refinement, given(fixed(synthesis), fixed(spread)), batches(4), least, execution)),
        Stage("generator", generator, steps=own.schedule.steps, train=lambda execution: train_generator(
            generator, given(fixed(synthesis), fixed(spread), fixed(refinement)), batches(3), own, execution)),
    )  # fmt: skip
    if not go(*stages):
        return None
    recipe["stages"] = recipe.get("stages", {}) | stage_figures(stages, run)
    if not finished(network_path(path, "generator"), recipe):
        networks = {"refinement": refinement.cpu().eval(), "generator": generator.cpu().eval()}
        save_decoder(path, spread.cpu().eval(), networks, recipe)
        shown = {"progress": progress, "say": say}
        card = {"name": model.name} | recipe
        measure_codec(path, validation, sizes.validation_side, card, **shown)
        measure_generator(
            path, validation, sizes.prices_side, run / "prices.jsonl", recipe, **shown
        )
    return path


def _train_codec(
    path: Path,
    sizes: CodecPreset,
    sources: Sources,
    accelerator: Any,
    recipe: dict[str, Any],
    go: Callable[[Stage], bool],
) -> bool:
    """The first stage and its files; False if time ran out."""
    codec = new_networks(sizes)
    sampler = SourceSampler(sources, patch=sizes.patch, batch_size=sizes.batch_size, seed=1)
    stage = Stage(
        "codec", codec, steps=sizes.schedule.steps,
        train=lambda execution: train_codec(codec, Batches(sampler, accelerator), sizes, execution),
    )  # fmt: skip
    if not go(stage):
        return False
    recipe["stages"] = stage_figures([stage], path.parent)
    if not path.exists():
        save_codec(path, codec.cpu().eval().requires_grad_(False), recipe, name=sizes.name)
    return True


def _take(start: Path, run: Path) -> dict[str, Any]:
    """The files of a codec without its generator and figures, into the folder of a run that has none; its recipe."""
    path, model = run / "vdc.npz", load_model(start)
    card = json.loads(start.with_suffix(".json").read_text(encoding="utf-8"))
    kept = ("command", "training_data", "stages")
    recipe = card.get("codec") or {k: card[k] for k in kept if k in card}
    if path.exists():
        return recipe
    for part in ("analysis", "hyper-analysis", "synthesis"):
        for suffix in (".onnx", ".json"):
            shutil.copyfile(
                network_path(start, part).with_suffix(suffix),
                network_path(path, part).with_suffix(suffix),
            )
    write_weights(path, start.read_bytes(), {"name": model.name})
    return recipe
