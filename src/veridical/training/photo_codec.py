"""Training of the networks of ``.vdc`` files: transforms, gains, prior and laws together.

The objective of one picture at quality ``q`` is (with [T] eq. 45 at ``P`` = infinity)

    (bits / pixel + lambda(q) 255^2 |x - x_mmse|^2) (lambda_mid / lambda(q))^balance,

with ``q`` drawn anew for every picture, so that one model learns all rates; the last factor keeps
fine qualities from drowning the coarse ones and changes no optimum of a single quality. The rate
is that of the smooth laws, which the frozen tables follow (``training.vdc.codec``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from veridical.errors import InvalidSetting, TrainingData
from veridical.photo.vdc.prior import QUALITY_STEPS, STRIDE, PriorConfig
from veridical.training.loop import Schedule, train
from veridical.training.photo_codec_flow import FlowPreset
from veridical.training.photo_pixels import CropSampler, Pixels
from veridical.training.stages import accelerator_for, save_stage
from veridical.training.vdc.codec import TrainedCodec, lambda_of
from veridical.training.vdc.transform import TransformConfig


@dataclass(frozen=True)
class CodecPreset:
    """Sizes of one training.

    Attributes:
        name: Of the model; goes into every file.
        transform: Sizes of the transforms.
        prior: Sizes of the entropy model.
        patch: Side of the crops, a multiple of 64.
        batch_size: Crops in a step.
        schedule: Steps and rates.
        generator: Sizes of the generator's training.
        lambdas: Weight of the squared error at quality 0 and 100.
        balance: See the module.
        dither_share: Share of steps that quantize with dither.
        validation_side: Side of the validation crops.
        mixed_precision: "no" or "bf16", which is used where the hardware has it.
    """

    name: str
    schedule: Schedule
    generator: FlowPreset
    transform: TransformConfig = field(default_factory=TransformConfig)
    prior: PriorConfig = field(default_factory=PriorConfig)
    patch: int = 192
    batch_size: int = 6
    lambdas: tuple[float, float] = (4e-4, 0.15)
    balance: float = 0.35
    dither_share: float = 0.2
    validation_side: int = 512
    mixed_precision: str = "no"

    def __post_init__(self) -> None:
        if self.patch < 64 or self.patch % 64 or not 0 < self.lambdas[0] < self.lambdas[1]:
            raise InvalidSetting(f"crops are multiples of 64, and lambdas rise: {self}")


CODEC_PRESETS = {
    "cpu": CodecPreset(
        "photo-cpu-1",
        Schedule(16000, 5e-4),
        FlowPreset(
            Schedule(500, 2e-3, 0.98), Schedule(2500, 5e-4), Schedule(500, 3e-4, 0.99),
            reflow_batches=120, prices_side=160,
        ),
        mixed_precision="bf16",
    ),
    "gpu": CodecPreset(
        "photo-gpu-1",
        Schedule(200_000, 4e-4, 0.9995),
        FlowPreset(
            Schedule(1000, 2e-3, 0.98), Schedule(40_000, 4e-4, 0.9995), Schedule(6000, 3e-4, 0.9995),
            (96, 176, 224), patch=256, batch_size=16, reflow_batches=600,
        ),
        TransformConfig((96, 176, 256), (2, 3, 3), (2, 3, 4), 64),
        PriorConfig(224, 96, 160, 224),
        patch=256, batch_size=24, mixed_precision="bf16",
    ),
    "tiny": CodecPreset(
        "photo-tiny-1",
        Schedule(6),
        FlowPreset(
            Schedule(3), Schedule(4), Schedule(3), (8, 8, 8), 8, 64, 2, reflow_batches=2,
            reflow_steps=2, prices_side=64,
        ),
        TransformConfig((8, 8, 16), (1, 1, 1), (1, 1, 1), 8),
        PriorConfig(32, 8, 8, 16, 3),
        patch=64, batch_size=2, validation_side=96,
    ),
}  # fmt: skip
"""``cpu``: see docs/training.md for its hours on two cores; ``gpu``: a day on a large GPU; ``tiny``: tests."""

Report = Callable[[str, int, int, float, float], None]


def codec_loss(
    model: Callable[..., object], x: Tensor, preset: CodecPreset, seed: list[int]
) -> Tensor:
    """Objective of a batch; ``seed`` determines qualities and noise.

    Args:
        model: A :class:`TrainedCodec`, perhaps wrapped.
        x: Pictures in [0, 1], shape (n, 3, height, width).
        preset: Of the training.
        seed: Numbers from 0 to 2^32 - 1.
    """
    rng = np.random.default_rng([*seed, 1])
    n = len(x)
    t = (rng.permutation(n) + rng.random(n)) / n
    quality = torch.from_numpy((t * (QUALITY_STEPS + 1)).astype(np.int64)).to(x.device)
    generator = torch.Generator(x.device)
    generator.manual_seed(int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0] >> 1))
    channels = preset.prior.latents + preset.prior.hyper
    shape = (n, channels, x.shape[2] // STRIDE, x.shape[3] // STRIDE)
    noise = torch.rand(shape, generator=generator, device=x.device) - 0.5
    out: Any = model(x, quality, noise, dither=bool(rng.random() < preset.dither_share))
    bits = (out.latent_bits + out.hyper_bits) / (x.shape[2] * x.shape[3])
    error = (out.picture - x).square().mean((1, 2, 3))
    weight = lambda_of(quality, preset.lambdas)
    middle = (preset.lambdas[0] * preset.lambdas[1]) ** 0.5
    return ((bits + weight * 255**2 * error) * (middle / weight) ** preset.balance).mean()


def new_networks(preset: CodecPreset, seed: int = 1) -> TrainedCodec:
    """Networks before training."""
    torch.manual_seed(seed)  # initial weights only; nothing else reads the global generator
    return TrainedCodec(preset.transform, preset.prior)


def load_networks(preset: CodecPreset, run: Path) -> TrainedCodec:
    """The trained networks of a run.

    Raises:
        TrainingData: The stage is not finished.
    """
    from safetensors.torch import load_model

    path = run / "codec.safetensors"
    if not path.exists():
        raise TrainingData(f"{path} is missing; train it first")
    networks = TrainedCodec(preset.transform, preset.prior)
    load_model(networks, str(path))
    return networks.eval().requires_grad_(False)


def train_codec(
    pixels: Pixels,
    preset: CodecPreset,
    run: Path,
    report: Report,
    *,
    seed: int = 1,
    seconds: float | None = None,
) -> TrainedCodec | None:
    """The stage of training; ``None`` if ``seconds`` ran out, with a checkpoint to go on from."""
    accelerator = accelerator_for(preset)
    sampler = CropSampler(
        pixels, patch=preset.patch, batch_size=preset.batch_size,
        seed=seed + 1000 * accelerator.process_index,
    )  # fmt: skip
    model = new_networks(preset, seed)
    for parameter in model.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    def loss(network: TrainedCodec, step: int) -> Tensor:
        x = torch.from_numpy(sampler.batch(step)).to(accelerator.device)
        x = x.permute(0, 3, 1, 2).float().div_(255)
        with accelerator.autocast():
            return codec_loss(network, x, preset, [seed, step, accelerator.process_index])

    result = train(
        model, loss, preset.schedule, run / "codec.ckpt", accelerator=accelerator, stop_after_seconds=seconds,
        report=lambda s, v, t: report("codec", s, preset.schedule.steps, v, t),
    )  # fmt: skip
    if result is None:
        return None
    save_stage("codec", *result, run)
    return load_networks(preset, run)
