"""Training of the JPEG estimator's head, on top of a U-Net that stays as it is.

Loss of a patch: ``|x - x_mmse|^2 / (e(y) + floor)^0.8``, where ``e(y)`` is the squared error that the network
itself expects of the patch (its spread head, learned beside it by Gaussian likelihood, without gradient into
the rest), completed by the residual scale to the power 0.4. The weight depends on what the decoder sees
alone, so the minimiser stays ``E[x | file]``; and as the gradient of the logarithm of an error is its
inverse, every patch counts nearly by its decibels, fine qualities and flat areas as much as coarse ones.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from veridical.photo.condition import ResidualScale
from veridical.training.flow_parts import spread_loss
from veridical.training.jpeg_data import JpegSampler, Sources
from veridical.training.jpeg_network import JpegEstimator
from veridical.training.loop import Schedule, train
from veridical.training.networks import RestorationNetwork, to_channels_last
from veridical.training.photo_parts import accelerator_for
from veridical.training.residual import local_size

_FLOOR = 3e-6
"""Added to the squared error to expect, (0.44 of 255 levels)^2: rounding leaves 0.29."""

_POWER = 0.8


@dataclass(frozen=True)
class Plateau(Schedule):
    """A constant rate after the warm-up, then a straight line to zero.

    Attributes:
        decay: Steps of the line at the end. Until they begin, ``steps`` may be changed.
    """

    decay: int = 700

    def rate(self, step: int, peak: float | None = None) -> float:
        """Learning rate at a step."""
        peak = self.learning_rate if peak is None else peak
        return peak * min(1.0, (step + 1) / 50, (self.steps - step) / self.decay)


@dataclass(frozen=True)
class JpegPreset:
    """Sizes of a training of the head.

    Attributes:
        schedule: Of the training.
        width: Channels of the head at 1/8 of the resolution.
        blocks: Its residual blocks.
        patch: Side of the patches in pixels.
        batch_size: Patches in a step.
        mixed_precision: "no" or "bf16", which is used where the device has it.
    """

    schedule: Schedule = Plateau(2400, 1e-3, hidden_rate=2e-3)
    width: int = 96
    blocks: int = 2
    patch: int = 128
    batch_size: int = 8
    mixed_precision: str = "bf16"


def jpeg_loss(
    network: JpegEstimator, x: Tensor, y: Tensor, features: Tensor, scale: Tensor
) -> Tensor:
    """See the module; ``x`` and ``y`` are (n, 3, height, width)."""
    with torch.no_grad():
        change, trunk = network.trunk(y, features, scale)
    out, log_size = network.head(y, features, change, trunk)
    size = local_size(log_size)
    expected = (size.detach() * scale).square().mean((1, 2, 3), keepdim=True)
    weight = (expected + _FLOOR) ** _POWER * scale ** (2 - 2 * _POWER)
    error = ((out.float() - x).square() / weight).mean()
    return error + 0.1 * spread_loss(x - out.detach().float(), size.float(), scale)


def train_jpeg(
    sources: Sources,
    scale: ResidualScale,
    base: RestorationNetwork,
    preset: JpegPreset,
    run: Path,
    *,
    seed: int = 1,
    seconds: float | None = None,
    report: Callable[[int, float, float], None] = lambda step, loss, seconds: None,
) -> tuple[JpegEstimator, dict[str, float]] | None:
    """Train to the end of the schedule; ``None`` if ``seconds`` ran out, with a checkpoint.

    On a processor two threads take half a batch each: threads that share every convolution wait for
    each other hundreds of times a step, which on a machine that does other work costs threefold.
    """
    accelerator = accelerator_for(preset)
    torch.manual_seed(seed)  # initial weights only
    network = JpegEstimator(
        replace(base.config, spread=True), width=preset.width, blocks=preset.blocks
    )
    network.network.load_state_dict(base.state_dict())
    for name, parameter in network.network.named_parameters():
        parameter.requires_grad_(name.startswith("spread"))
    to_channels_last(network)
    sampler = JpegSampler(
        sources, scale, patch=preset.patch, batch_size=preset.batch_size, seed=seed
    )
    trained = [p for p in network.parameters() if p.requires_grad]
    workers = 2 if accelerator.device.type == "cpu" else 1
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
    coming: dict[int, Future[dict[str, np.ndarray]]] = {}

    def part(model: JpegEstimator, batch: dict[str, np.ndarray], k: int) -> tuple[Tensor, ...]:
        b = {
            name: torch.from_numpy(v[k::workers]).to(accelerator.device)
            for name, v in batch.items()
        }
        x, y = (b[name].permute(0, 3, 1, 2).float().div_(255) for name in ("source", "decoded"))
        with accelerator.autocast():
            value = jpeg_loss(model, x, y, b["features"], b["scale"][:, None, None, None])
        return value.detach(), *torch.autograd.grad(value, trained)

    def loss(model: JpegEstimator, step: int) -> Tensor:
        batch = coming.pop(step).result() if step in coming else sampler.batch(step)
        parts = list(pool.map(lambda k: part(model, batch, k), range(workers)))
        coming[step + 1] = pool.submit(sampler.batch, step + 1)
        value, *gradients = (torch.stack(p).mean(0) for p in zip(*parts, strict=True))
        linear = torch.stack([(p * g).sum() for p, g in zip(trained, gradients, strict=True)]).sum()
        return value + linear - linear.detach()  # whose gradient is that of the loss

    result = train(
        network, loss, preset.schedule, run / "estimator.ckpt", accelerator=accelerator, hidden=network.hidden_weights(),
        report=report, stop_after_seconds=seconds,
    )  # fmt: skip
    pool.shutdown()
    if result is None:
        return None
    averaged, figures = result
    assert isinstance(averaged, JpegEstimator)
    return averaged, figures
