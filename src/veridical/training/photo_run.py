"""The whole training of a conventional format's weights, from pictures to a priced file.

Stages: the U-Net of the estimator by least squares, its head on blocks, both together, its shrinkage, the generator. Each leaves its
result in the run's folder and is skipped when that is there, so the same command goes on after a kill.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from veridical.errors import InvalidSetting
from veridical.photo.condition import BASIC_FEATURES, ResidualScale
from veridical.photo.formats.conventional import ConventionalFormat
from veridical.photo.weights import network_path
from veridical.training.estimator import BlockEstimator
from veridical.training.estimator_train import (
    HeadPreset,
    Part,
    Plateau,
    train_estimator,
    train_unet,
)
from veridical.training.estimator_validation import validate
from veridical.training.export import (
    example,
    load_estimator,
    load_generator_beside,
    write_weights_of,
)
from veridical.training.generator import (
    SHARES,
    FilterGenerator,
    GeneratorPreset,
    train_generator,
)
from veridical.training.loop import Execution, Schedule, Trained
from veridical.training.networks import NetworkConfig, kmac_per_pixel
from veridical.training.pairs import Pairs
from veridical.training.photo_cells import write_cells
from veridical.training.photo_prices import write_prices
from veridical.training.pictures import conventional
from veridical.training.pieces import PieceSampler, fit_scale
from veridical.training.sources import Sources, prepare_sources
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
    processes,
    run_stages,
    silent,
    stage_figures,
)
from veridical.writing import write_text


@dataclass(frozen=True)
class Preset:
    """Sizes of one training.

    Attributes:
        unet: Schedule of the U-Net.
        head: Sizes of the estimator's head.
        whole: Schedule of U-Net and head together.
        shrinkage: Schedule of the estimator's shrinkage.
        generator: Of the generator.
        widths: Channels of the U-Net at 1/4, 1/8, 1/16.
        blocks: Its residual blocks at these on the way down.
        blocks_up: And at 1/8 and 1/4 on the way up.
        patch: Side of the patches in pixels.
        batch_size: Patches in a step.
        drawings: Of each kind.
        cell_pieces: Pieces of training pictures that the network of cells is fitted to.
        price_pieces: Pieces that prices are measured on.
        mixed_precision: "no" or "bf16", which is used where the device has it.
    """

    unet: Schedule
    head: HeadPreset = field(default_factory=HeadPreset)
    whole: Schedule = field(
        default_factory=lambda: Plateau(4000, 4e-4, hidden_rate=8e-4, decay=3000)
    )
    shrinkage: Schedule = field(default_factory=lambda: Plateau(2000, 4e-3, decay=1200))
    generator: GeneratorPreset = field(default_factory=GeneratorPreset)
    widths: tuple[int, int, int] = (64, 112, 128)
    blocks: tuple[int, int, int] = (1, 4, 2)
    blocks_up: tuple[int, int] = (3, 2)
    patch: int = 128
    batch_size: int = 8
    drawings: int = 60
    cell_pieces: int = 900
    price_pieces: int = 2000
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
        Plateau(12_000, 4e-4, hidden_rate=8e-4, decay=6000),
        generator=GeneratorPreset(Schedule(8000, 5e-4), (64, 112, 128)),
        widths=(96, 176, 224), patch=192, batch_size=32,
    ),
    "short": Preset(
        Schedule(2000, 8e-4, hidden_rate=1.5e-3), HeadPreset(Plateau(200, 1e-3, hidden_rate=2e-3, decay=150)),
        Plateau(300, 4e-4, hidden_rate=8e-4, decay=250), Plateau(300, 4e-3, decay=200), GeneratorPreset(Schedule(100)),
        cell_pieces=300, price_pieces=400,
    ),
    "tiny": Preset(
        Schedule(6), HeadPreset(Plateau(4, hidden_rate=1e-3, decay=2), 8, 1),
        Plateau(4, hidden_rate=1e-3, decay=2), Plateau(4, decay=2), GeneratorPreset(Schedule(4), (8, 8, 8)),
        (8, 8, 8), (1, 1, 1), (1, 1), patch=48, batch_size=2, drawings=1, cell_pieces=2, price_pieces=4, mixed_precision="no",
    ),
}  # fmt: skip
"""``cpu``: some hours of two cores; ``short``: minutes of one core from weights of another format; ``gpu``: for a large GPU, not yet run; ``tiny``: tests."""


STAGES: dict[str, tuple[int, Callable[[Preset], Schedule]]] = {
    "unet": (1, lambda sizes: sizes.unet),
    "head": (2, lambda sizes: sizes.head.schedule),
    "whole": (4, lambda sizes: sizes.whole),
    "shrinkage": (5, lambda sizes: sizes.shrinkage),
    "generator": (3, lambda sizes: sizes.generator.schedule),
}
"""In order, each with the number that seeds its batches and its schedule."""

_GOES_ON = ("whole", "shrinkage", "generator")
"""Stages of a training that starts from weights; those before begin with new ones."""


@dataclass(frozen=True, eq=False)
class _Training:
    """What the stages of a run train, and on what.

    Attributes:
        sizes: Of the run.
        form: The format.
        sources: Training pictures; pairs are their own.
        scale: Residual scale.
        estimator, generator: New, or to go on with.
        before: Weights that an estimator of the same format goes on from; empty if there are none.
        accelerator: Of all stages.
        seed: Of the run.
    """

    sizes: Preset
    form: ConventionalFormat | Pairs
    sources: Sources | Pairs
    scale: ResidualScale
    estimator: BlockEstimator
    generator: FilterGenerator
    before: Mapping[str, Tensor]
    accelerator: Any
    seed: int

    def stage(self, name: str) -> Stage:
        """One of :data:`STAGES`."""
        _, schedule = STAGES[name]
        parts: dict[str, nn.Module] = {"unet": self.estimator.network, "generator": self.generator}
        network = parts.get(name, self.estimator)
        return Stage(name, network, partial(self._train, name), schedule(self.sizes).steps)

    def _batches(self, name: str, **kinds: Any) -> Batches:
        sampler = PieceSampler(
            self.sources, self.form, self.scale, patch=self.sizes.patch,
            batch_size=self.sizes.batch_size, seed=STAGES[name][0] + 4 * self.seed, **kinds,
        )  # fmt: skip
        return Batches(sampler, self.accelerator)

    def _train(self, name: str, execution: Execution) -> Trained | None:
        if name == "generator":
            finest, largest = self.sizes.generator.finest, self.sizes.patch + 72
            batches = self._batches(name, shares=SHARES, finest=finest, largest=largest)
            fixed = self.estimator.to(self.accelerator.device).eval().requires_grad_(False)
            own = self.sizes.generator
            return train_generator(self.generator, fixed.given, batches, own, execution)
        schedule, batches = STAGES[name][1](self.sizes), self._batches(name)
        if name == "unet":
            return train_unet(self.estimator.network, batches, schedule, execution)
        part = cast("Part", name)
        result = train_estimator(self.estimator, batches, schedule, execution, part=part)
        if result is not None and name == "whole" and self.before:
            halfway(result[0], self.before)
        return result

    def write(
        self, path: Path, recipe: dict[str, Any], validation: Path, progress: Progress
    ) -> None:
        """Weights, cells and prices, with the recipe on every card."""
        form, run = self.form, path.parent
        estimator, generator = self.estimator.cpu().eval(), self.generator.cpu().eval()
        recipe |= _costs({"estimator": estimator, "generator": generator}, len(form.features))
        write_weights_of(path, form, estimator, generator, self.scale, recipe)
        write_cells(path, form, self.sources, self.sizes.cell_pieces, run, progress)
        if not isinstance(form, Pairs):
            recipe["gain_db_on_validation"] = validate(path, form, [validation])
        n = self.sizes.price_pieces
        write_prices(path, form, self.sources, validation, n, run, recipe, progress)
        for measured in run.glob("cells-*.npz"):  # 160 MB of which nothing is asked any more
            measured.unlink()


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
    only: Sequence[str] = (),
    seed: int = 0,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda message: None,
) -> Path | None:
    """Train, write weights, and measure their prices.

    Args:
        data: Folders or tar files of training photographs.
        validation: Folder or tar file of other pictures, for the prices.
        run: Folder of the run.
        format: Name of a conventional format; or pairs, which are all the data then.
        camera: Folders or tar files of camera pictures, taken at half their size.
        preset: Name in ``PRESETS``, or sizes.
        minutes: Stop with a checkpoint after this long.
        start: Estimator's weights file to train on as a whole; of the same format, the result is the mean of
            the weights before and after.
        only: Stages to train on weights of ``start`` of the same format, whose other networks stay as they are.
        seed: Of the settings at which the pictures are coded and of every batch.
        progress: Called with (stage, done, total).
        say: Called with a sentence at the start and end of stages.

    Returns:
        The weights file, or None if time ran out first.

    Raises:
        InvalidSetting: Unknown preset or stage, a negative seed or time, stages to train alone without weights of
            the same format to start from, weights that are told other features, or the folder of another run.
        BadWeights: ``start`` is not a weights file of an estimator, or has no generator of its own that could stay.
        TrainingData: No usable pictures.
    """
    form = format if isinstance(format, Pairs) else conventional(format)
    sizes = _checked(preset, start, only, seed)
    sizes = replace(sizes, generator=sizes.generator.of_format(form.name))
    deadline = deadline_after(minutes)
    torch.manual_seed(seed)  # initial weights only; nothing else reads the global generator
    estimator, known = _begin(start, sizes, form, only)
    estimator.shrinks |= not only or "shrinkage" in only
    stays = start is not None and only and "generator" not in only
    generator = load_generator_beside(start) if stays else sizes.generator.network()
    claim(run, form.name, start)
    accelerator, group = accelerator_for(sizes.mixed_precision), processes()
    if not group.is_main_process:
        progress, say = silent, (lambda message: None)
    with group.main_process_first():
        sources = form if isinstance(form, Pairs) else prepare_sources(
            data, camera, run / "sources", lambda done, total: progress("preparing", done, total),
            n_drawings=sizes.drawings,
        )  # fmt: skip
        scale = known or _scale(sources, form, run / "scale.json")
    before = {} if known is None else {k: v.clone() for k, v in estimator.state_dict().items()}
    training = _Training(
        sizes, form, sources, scale, estimator, generator, before, accelerator, seed
    )
    wanted = only or (STAGES if start is None else _GOES_ON)
    stages = [training.stage(name) for name in STAGES if name in wanted]
    if not run_stages(stages, run, accelerator, deadline=deadline, progress=progress, say=say):
        return None
    path = run / f"{form.name.lower()}.onnx"
    if group.is_main_process:
        command = _command(form, pictures_named(data, camera, validation))
        more = [f"--seed {seed}"] * (seed > 0) + [f"--only {stage}" for stage in only]
        recipe = origin(command, preset, sources, start, more) | {
            "format": form.name, "stages": stage_figures(stages, run), "preset": asdict(sizes),
            "machine": f"{os.cpu_count()} cores, torch {torch.__version__}, Python {platform.python_version()}",
        }  # fmt: skip
        if not finished(network_path(path, "price"), recipe):
            training.write(path, recipe, validation, progress)
        say(f"weights: {path}")
    return path


def _begin(
    start: Path | None, sizes: Preset, form: ConventionalFormat | Pairs, only: Sequence[str]
) -> tuple[BlockEstimator, ResidualScale | None]:
    """A new estimator or the one to go on with, and its residual scale where that is of the same format."""
    if start is None:
        return sizes.estimator(form.features), None
    header, estimator = load_estimator(start)
    same = header["format"] == form.name
    if only and not same:
        raise InvalidSetting(
            f"stages alone are trained on weights of the same format, and {start} is for {header['format']} files; "
            f"start from weights for {form.name}, or train all stages (without --only)"
        )
    if header["features"] != list(form.features):
        raise InvalidSetting(
            f"{start} is told other features than files of {form.name} have; start from weights for "
            f"{form.name} or for a format of like features, or from nothing (without --start)"
        )
    scale = ResidualScale(*(np.array(table, dtype=float) for table in header["scale"]))
    return estimator, scale if same else None


def halfway(network: nn.Module, before: Mapping[str, Tensor]) -> None:
    """The mean of a network's weights and those that it went on from.

    Better than either where the new pictures are of more kinds than those before (Wortsman et al., 2022).
    """
    for name, value in network.state_dict().items():
        value.copy_((value + before[name].to(value)) / 2)


def _scale(sources: Sources | Pairs, form: ConventionalFormat | Pairs, kept: Path) -> ResidualScale:
    """Fitted once for a run."""
    if not kept.exists():
        fitted = fit_scale(sources, form)
        tables = [t.tolist() for t in (fitted.with_quantizer, fitted.without_quantizer)]
        write_text(kept, json.dumps(tables))
    return ResidualScale(*map(np.array, json.loads(kept.read_text(encoding="utf-8"))))


def _checked(preset: str | Preset, start: Path | None, only: Sequence[str], seed: int) -> Preset:
    if only and start is None:
        raise InvalidSetting("stages alone need weights to start from (--start FILE)")
    if unknown := set(only) - set(_GOES_ON):
        raise InvalidSetting(f"stages alone are {', '.join(_GOES_ON)}, not {min(unknown)!r}")
    if seed < 0:
        raise InvalidSetting(f"the seed must not be negative, got {seed}")
    return chosen(preset, PRESETS)


def _command(form: ConventionalFormat | Pairs, named: Sequence[str]) -> tuple[str, ...]:
    if isinstance(form, Pairs):
        return ("restorer", "--name", form.name.lower())
    return ("photo", *named, "--format", form.name.lower())


def _costs(networks: Mapping[str, Any], n_features: int) -> dict[str, dict[str, float]]:
    """Trained numbers, and thousands of multiply-accumulates a pixel, by network."""
    parameters, kmac = {}, {}
    for name, network in networks.items():
        inputs = [*example(network, features=(2, n_features)).values()]
        macs = kmac_per_pixel(lambda n=network, x=inputs: n(*x), inputs[0].numel() // 3)
        parameters[name], kmac[name] = sum(p.numel() for p in network.parameters()), round(macs, 1)
    return {"parameters": parameters, "kmac_per_pixel": kmac}
