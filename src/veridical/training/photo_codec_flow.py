"""Training of the generator of ``.vdc`` files: the spread of the error, a flow, one round of reflow.

The codec is trained before and stays as it is. Every step codes fresh crops at random qualities,
quantized as in use, and the flow learns what the synthesis missed (``training.flow_parts``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from veridical.errors import InvalidSetting, TrainingData
from veridical.generate.flow import integrate_on_arcs
from veridical.photo.vdc.prior import QUALITY_STEPS, STRIDE
from veridical.training.estimator_train import spread_loss
from veridical.training.flow_parts import (
    end_loss,
    interpolate_path,
    normal_noise,
    stratified_times,
)
from veridical.training.loop import Schedule, train
from veridical.training.networks import NetworkConfig, to_channels_last
from veridical.training.photo_pixels import CropSampler, Pixels
from veridical.training.residual import whiten
from veridical.training.stages import save_stage
from veridical.training.vdc.codec import TrainedCodec
from veridical.training.vdc.generator import FlowInput, LatentFlow
from veridical.writing import write_text

if TYPE_CHECKING:
    from accelerate import Accelerator

GENERATOR_STAGES = ("spread", "flow", "reflow")
"""In order; each begins with the result of the one before."""


@dataclass(frozen=True)
class FlowPreset:
    """Sizes of the generator's training.

    Attributes:
        spread, flow, reflow: Schedules.
        widths: Channels of the flow's network at 1/4, 1/8, 1/16.
        bypass: Of its bypass.
        patch: Side of the crops, a multiple of 64.
        batch_size: Crops in a step.
        reflow_batches: Batches of (start, end) pairs drawn for the reflow.
        reflow_steps: Steps with which their end points are computed.
        prices_side: Side of the validation crops from which prices are measured.
    """

    spread: Schedule
    flow: Schedule
    reflow: Schedule
    widths: tuple[int, int, int] = (64, 112, 128)
    bypass: int = 96
    patch: int = 192
    batch_size: int = 4
    reflow_batches: int = 160
    reflow_steps: int = 12
    prices_side: int = 256

    def __post_init__(self) -> None:
        if self.patch < 64 or self.patch % 64 or self.batch_size < 1 or self.reflow_batches < 1:
            raise InvalidSetting(f"crops are multiples of 64, and batches are positive: {self}")

    def network(self, codec: TrainedCodec) -> NetworkConfig:
        """Sizes of the flow's network, which sees the synthesis of a codec."""
        return NetworkConfig(
            pictures=4, widths=self.widths, timed=True, bypass=self.bypass,
            side=codec.config[0].widths[0], features=1,
        )  # fmt: skip

    def schedule(self, stage: str) -> Schedule:
        """Schedule of a stage."""
        return {"spread": self.spread, "flow": self.flow, "reflow": self.reflow}[stage]


class Report(Protocol):
    """Told of progress: stage, steps done, steps in all."""

    def __call__(self, title: str, done: int, total: int) -> None:
        """See the class."""
        ...


@dataclass(frozen=True)
class Training:
    """What all stages need.

    Attributes:
        codec: Trained; on the accelerator's device.
        pixels: Of the training pictures.
        preset: Sizes.
        run: Folder of the run.
        accelerator: An ``accelerate.Accelerator``.
    """

    codec: TrainedCodec
    pixels: Pixels
    preset: FlowPreset
    run: Path
    accelerator: Accelerator

    def coded(self, seed: int, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Source, estimate, features of the synthesis and qualities of the crops of a step."""
        p, device = self.preset, self.accelerator.device
        sampler = CropSampler(self.pixels, patch=p.patch, batch_size=p.batch_size, seed=seed)
        x = torch.from_numpy(sampler.batch(step)).to(device).permute(0, 3, 1, 2).float().div_(255)
        rng = np.random.default_rng([seed, step, 1])
        t = (rng.permutation(len(x)) + rng.random(len(x))) / len(x)
        quality = torch.from_numpy((t * (QUALITY_STEPS + 1)).astype(np.int64)).to(device)
        prior = self.codec.config[1]
        shape = (len(x), prior.latents + prior.hyper, p.patch // STRIDE, p.patch // STRIDE)
        noise = normal_noise(shape, [seed, step, 2], device)
        uniform = torch.special.ndtr(noise) - 0.5
        with torch.no_grad(), self.accelerator.autocast():
            latents = self.codec.decoded(x, quality, uniform, dither=bool(rng.random() < 0.25))
            x_mmse, side = self.codec.synthesis.with_features(latents, quality)
        return x, x_mmse.float(), side.float(), quality


def begin_flow(training: Training, seed: int = 5) -> LatentFlow:
    """A flow before training; its unit of length is measured on the codec.

    Args:
        training: What all stages need.
        seed: Of the weights and of the crops.
    """
    torch.manual_seed(seed)  # initial weights only; nothing else reads the global generator
    flow = LatentFlow(training.preset.network(training.codec))
    place, log_error = [], []
    for step in range(24):
        x, x_mmse, _, quality = training.coded(seed, step)
        log_error.extend((x - x_mmse).square().mean((1, 2, 3)).clamp(min=1e-7).log().tolist())
        place.extend((quality / QUALITY_STEPS).tolist())
    curve = np.polyfit(place, log_error, 2)
    anchors = np.linspace(0.0, 1.0, len(flow.log_scale))
    flow.log_scale.copy_(torch.from_numpy(np.polyval(curve, anchors) / 2))
    return flow


def load_flow(stage: str, training: Training) -> LatentFlow:
    """The result of a finished stage of a run.

    Raises:
        TrainingData: The stage is not finished.
    """
    from safetensors.torch import load_model

    path = training.run / f"{stage}.safetensors"
    if not path.exists():
        raise TrainingData(f"{path} is missing; train it first")
    flow = LatentFlow(training.preset.network(training.codec))
    load_model(flow, str(path))
    return flow.eval().requires_grad_(False)


def train_stage(
    stage: str,
    training: Training,
    report: Report,
    *,
    seconds: float | None = None,
) -> LatentFlow | None:
    """One stage of ``GENERATOR_STAGES``; ``None`` if ``seconds`` ran out, with a checkpoint.

    Args:
        stage: Its name.
        training: What all stages need.
        report: Told of progress.
        seconds: Save a checkpoint and stop after so many.

    Raises:
        TrainingData: The stage before is not finished, or the loss is not finite.
    """
    before = GENERATOR_STAGES.index(stage) - 1
    schedule = training.preset.schedule(stage)
    flow = begin_flow(training) if before < 0 else load_flow(GENERATOR_STAGES[before], training)
    flow = flow.requires_grad_(False)
    loss = _spread_loss(training)
    if stage == "spread":
        flow.spread.requires_grad_(True)
    else:
        flow.network.requires_grad_(True)
        to_channels_last(flow.network)
        store = _reflow_pairs(training, flow, report) if stage == "reflow" else None
        loss = _flow_loss(training, store)
    result = train(
        flow, loss, schedule, training.run / f"{stage}.ckpt", accelerator=training.accelerator,
        report=lambda s, _v, _t: report(stage, s, schedule.steps), stop_after_seconds=seconds,
    )  # fmt: skip
    if result is None:
        return None
    save_stage(stage, *result, training.run)
    return load_flow(stage, training)


def _spread_loss(training: Training) -> Callable[[LatentFlow, int], Tensor]:
    def loss(flow: LatentFlow, step: int) -> Tensor:
        x, x_mmse, side, quality = training.coded(6, step)
        seen = flow.conditioning(x_mmse, side, quality)
        return spread_loss(x - x_mmse, seen.size, seen.scale)

    return loss


def _flow_loss(training: Training, store: np.memmap | None) -> Callable[[LatentFlow, int], Tensor]:
    """Of the flow to the source, or, with pairs, to the ends of the flow before."""
    n_crops = training.preset.batch_size

    def loss(flow: LatentFlow, step: int) -> Tensor:
        k, seed = step, _FLOW_SEED
        if store is not None:
            k = int(np.random.default_rng([_REFLOW_SEED, step, 1]).integers(len(store)))
            seed = _REFLOW_SEED
        x, x_mmse, side, quality = training.coded(seed, k)
        seen = flow.conditioning(x_mmse, side, quality)
        n = normal_noise(tuple(x.shape), [seed, k, 0], x.device)
        if store is None:
            r = whiten(x - x_mmse, seen.size, seen.scale)
        else:
            r = torch.from_numpy(store[k].astype(np.float32)).to(x.device)
        time = stratified_times(n_crops, [seed, step, 7], x.device)
        with training.accelerator.autocast():
            out = flow(interpolate_path(n, r, time), time, seen)
        return end_loss(out, r, time)

    return loss


_FLOW_SEED, _REFLOW_SEED = 7, 8


def _reflow_pairs(training: Training, flow: LatentFlow, report: Report) -> np.memmap:
    """End points of the flow for the batches of the reflow, half precision, resumable."""
    p = training.preset
    shape = (p.reflow_batches, p.batch_size, 3, p.patch, p.patch)
    path, mark = training.run / "reflow.f16", training.run / "reflow.done"
    new = not path.exists() or path.stat().st_size != 2 * int(np.prod(shape))
    if new:
        mark.unlink(missing_ok=True)  # before the file is made anew, which it would call full
    store = np.memmap(path, dtype=np.float16, mode="w+" if new else "r+", shape=shape)
    first = int(mark.read_text(encoding="utf-8")) if mark.exists() else 0
    flow = flow.to(training.accelerator.device)
    for k in range(first, p.reflow_batches):
        store[k] = _ends(training, flow, k).cpu().numpy().astype(np.float16)
        if k % 10 == 9 or k + 1 == p.reflow_batches:
            store.flush()
            write_text(mark, str(k + 1))
            report("reflow pairs", k + 1, p.reflow_batches)
    return store


def _ends(training: Training, flow: LatentFlow, k: int) -> Tensor:
    with torch.inference_mode(), training.accelerator.autocast():
        x, x_mmse, side, quality = training.coded(_REFLOW_SEED, k)
        seen: FlowInput = flow.conditioning(x_mmse, side, quality)
        n = normal_noise(tuple(x.shape), [_REFLOW_SEED, k, 0], x.device)

        def predict(u: Tensor, time: float) -> Tensor:
            t = torch.full((len(u),), time, device=u.device)
            return flow(u, t, seen).float()

        return integrate_on_arcs(predict, n, training.preset.reflow_steps)
