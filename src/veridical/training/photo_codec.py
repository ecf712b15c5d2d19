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
from typing import Any

import numpy as np
import torch
from torch import Tensor

from veridical.errors import InvalidSetting
from veridical.photo.vdc.prior import QUALITY_STEPS, STRIDE, PriorConfig
from veridical.training.estimator_train import Tensors
from veridical.training.generator import GeneratorPreset
from veridical.training.loop import Execution, Schedule, Trained, train
from veridical.training.networks import to_channels_last
from veridical.training.vdc.codec import TrainedCodec, lambda_of
from veridical.training.vdc.transform import TransformConfig


@dataclass(frozen=True)
class CodecPreset:
    """Sizes of one training.

    Attributes:
        name: Of the model; goes into every file.
        transform: Sizes of the transforms.
        prior: Sizes of the entropy model.
        patch: Side of the crops of the codec's training, a multiple of 64.
        batch_size: Crops in a step.
        schedule: Steps and rates.
        spread: Schedule of the local size of the error.
        refinement: Schedule of the refinement.
        generator: Sizes of refinement and generator, and of the latter's training.
        lambdas: Weight of the squared error at quality 0 and 100.
        balance: See the module.
        dither_share: Share of steps that quantize with dither.
        generator_patch, generator_batch: The same of the generator's training.
        validation_side, prices_side: Sides of the validation crops for rates, and for prices.
        drawings: Of each kind, beside the photographs.
        mixed_precision: "no" or "bf16", which is used where the hardware has it.
    """

    name: str
    schedule: Schedule
    spread: Schedule = field(default_factory=lambda: Schedule(500, 2e-3, average=0.98))
    refinement: Schedule = field(default_factory=lambda: Schedule(3000, 4e-3, average=0.998))
    generator: GeneratorPreset = field(default_factory=GeneratorPreset)
    transform: TransformConfig = field(default_factory=TransformConfig)
    prior: PriorConfig = field(default_factory=PriorConfig)
    patch: int = 192
    batch_size: int = 6
    lambdas: tuple[float, float] = (4e-4, 0.15)
    balance: float = 0.35
    dither_share: float = 0.2
    generator_patch: int = 128
    generator_batch: int = 8
    validation_side: int = 512
    prices_side: int = 384
    drawings: int = 60
    mixed_precision: str = "no"

    def __post_init__(self) -> None:
        if self.patch < 64 or self.patch % 64 or not 0 < self.lambdas[0] < self.lambdas[1]:
            raise InvalidSetting(f"crops are multiples of 64, and lambdas rise: {self}")


CODEC_PRESETS = {
    "cpu": CodecPreset("photo-cpu-1", Schedule(16000, 5e-4), mixed_precision="bf16"),
    "gpu": CodecPreset(
        "photo-gpu-1",
        Schedule(200_000, 4e-4, 0.9995),
        refinement=Schedule(8000, 2e-3),
        generator=GeneratorPreset(Schedule(8000, 5e-4), (64, 112, 128)),
        transform=TransformConfig((96, 176, 256), (2, 3, 3), (2, 3, 4), 64),
        prior=PriorConfig(224, 96, 160, 224),
        patch=256, batch_size=24, generator_patch=192, generator_batch=32, prices_side=256, mixed_precision="bf16",
    ),
    "tiny": CodecPreset(
        "photo-tiny-1",
        Schedule(6),
        Schedule(3),
        Schedule(4),
        GeneratorPreset(Schedule(4), (8, 8, 8)),
        TransformConfig((8, 8, 16), (1, 1, 1), (1, 1, 1), 8),
        PriorConfig(32, 8, 8, 16, 3),
        patch=64, batch_size=2, generator_patch=64, generator_batch=2, validation_side=96, prices_side=64, drawings=1,
    ),
}  # fmt: skip
"""``cpu``: see docs/training.md for its hours on two cores; ``gpu``: a day on a large GPU; ``tiny``: tests."""


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


def new_networks(preset: CodecPreset) -> TrainedCodec:
    """Networks before training."""
    torch.manual_seed(1)  # initial weights only; nothing else reads the global generator
    return TrainedCodec(preset.transform, preset.prior)


def train_codec(
    network: TrainedCodec, batches: Tensors, preset: CodecPreset, execution: Execution
) -> Trained | None:
    """Train all of it; None if the seconds ran out, with a checkpoint."""
    to_channels_last(network)

    def loss(model: TrainedCodec, step: int) -> Tensor:
        (x,) = batches(step)
        with execution.accelerator.autocast():
            return codec_loss(model, x, preset, [1, step, execution.accelerator.process_index])

    return train(network, loss, preset.schedule, execution)
