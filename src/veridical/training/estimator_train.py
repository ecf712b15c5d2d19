"""Training of an estimator: its U-Net by least squares, the head on a U-Net that stays, all of it, and its shrinkage.

The loss of head and whole for a patch is ``|x - x_mmse|^2 / (e(y) + floor)^0.8``, where ``e(y)`` is the squared error
that the network itself expects of the patch (its spread head, learned beside it by Gaussian likelihood, without
gradient into the rest), completed by the residual scale to the power 0.4. The weight depends on what the
decoder sees alone, so the minimiser stays ``E[x | file]``; and as the gradient of the logarithm of an error is
its inverse, every patch counts nearly by its decibels, fine qualities and flat areas as much as coarse ones. That of the
shrinkage is ``log(|x - x_mmse|^2 / n + floor)``, n the samples of a patch: exactly by decibels, with weights that depend on the source a little.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from veridical.training.estimator import BlockEstimator
from veridical.training.loop import Execution, Schedule, Trained, train
from veridical.training.networks import RestorationNetwork, to_channels_last
from veridical.training.residual import along_colours, local_size, unet_change

if TYPE_CHECKING:
    from accelerate import Accelerator

_FLOOR = 3e-6
"""Added to the squared error to expect, (0.44 of 255 levels)^2: rounding leaves 0.29."""

_POWER = 0.8

Tensors = Callable[[int], tuple[Tensor, ...]]
"""What a step learns from: for an estimator source, decoded, features and scale."""


Part = Literal["head", "whole", "shrinkage"]
"""What is trained: the head and the spread head; both and the U-Net; or the shrinkage."""


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
class HeadPreset:
    """Sizes of the head.

    Attributes:
        schedule: Of its training.
        width: Channels at 1/8 of the resolution.
        blocks: Residual blocks.
    """

    schedule: Schedule = field(
        default_factory=lambda: Plateau(1500, 1e-3, hidden_rate=2e-3, decay=500)
    )
    width: int = 96
    blocks: int = 2


def spread_loss(residual: Tensor, size: Tensor, scale: Tensor) -> Tensor:
    """Gaussian log-likelihood of the local size of the error.

    Args:
        residual: ``x - x_mmse``, (n, 3, height, width).
        size: Predicted standard deviation in units of ``scale``, of its shape.
        scale: Shape (n, 1, 1, 1).
    """
    energy = nn.functional.avg_pool2d(along_colours(residual / scale).square(), 4)
    expected = nn.functional.avg_pool2d(size.square(), 4)
    return (expected.log() + energy / expected).mean()


def in_threads(
    accelerator: Accelerator,
    parameters: list[nn.Parameter],
    part: Callable[..., tuple[Tensor, ...]],
) -> Callable[..., Tensor]:
    """A loss whose gradients are computed by two threads on a processor, for half of the rows each.

    Threads that share every convolution wait for each other hundreds of times a step, which on a machine
    that does other work costs threefold.

    Args:
        accelerator: Of ``accelerate``.
        parameters: What is trained.
        part: Of rows of every tensor, and of what else the loss is called with: their mean loss, and
            its gradients for all parameters.

    Returns:
        Called with tensors of equally many rows and ``more=``; gives a scalar with those gradients.
    """
    workers = 2 if accelerator.device.type == "cpu" else 1
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))

    def loss(*rows: Tensor, more: Any = None) -> Tensor:
        n = min(workers, len(rows[0]))
        if workers == 1:
            found = [part(*rows, more=more)]
        else:
            found = list(pool.map(lambda k: part(*(v[k::n] for v in rows), more=more), range(n)))
        shares = [len(rows[0][k::n]) / len(rows[0]) for k in range(n)]
        value, *gradients = (
            sum((s * g for s, g in zip(shares, p, strict=True)), torch.zeros_like(p[0]))
            for p in zip(*found, strict=True)
        )
        linear = torch.stack([(p * g).sum() for p, g in zip(parameters, gradients, strict=True)])
        return value + linear.sum() - linear.sum().detach()

    return loss


def train_unet(
    network: RestorationNetwork, batches: Tensors, schedule: Schedule, execution: Execution
) -> Trained | None:
    """Least squares, all but the spread head; None if the seconds ran out, with a checkpoint."""
    network.requires_grad_(True).spread.requires_grad_(False)
    to_channels_last(network)

    def loss(model: RestorationNetwork, step: int) -> Tensor:
        x, y, features, scale = batches(step)
        with execution.accelerator.autocast():
            change, _ = unet_change(model, y, features, scale)
        return (((y + change).float() - x) ** 2 * _weight(y, scale)).mean()

    return train(network, loss, schedule, execution, network.hidden_weights())


def _weight(y: Tensor, scale: Tensor) -> Tensor:
    """Inverse of the squared error to expect of a patch, from what the decoder sees of it.

    Busy patches have larger errors; measured on the training files, in proportion to the 0.27th
    power of the gradient energy. Without this a few of them would drown all others.
    """
    grey = y.mean(1, keepdim=True)
    energy = grey.diff(dim=2).square().mean((1, 2, 3)) + grey.diff(dim=3).square().mean((1, 2, 3))
    return 1 / (scale**2 * (energy[:, None, None, None] / scale**2 + 0.01) ** 0.27)


def _estimator_loss(
    network: BlockEstimator, x: Tensor, y: Tensor, features: Tensor, scale: Tensor, part: Part
) -> Tensor:
    """See the module; ``x`` and ``y`` are (n, 3, height, width)."""
    with torch.set_grad_enabled(network.network.tail.weight.requires_grad):
        change, trunk = unet_change(network.network, y, features, scale)
    out, log_size = network.head(y, features, scale, change, trunk)
    if part == "shrinkage":
        return ((out.float() - x).square().mean((1, 2, 3)) + _FLOOR).log().mean()
    size = local_size(log_size)
    expected = (size.detach() * scale).square().mean((1, 2, 3), keepdim=True)
    weight = (expected + _FLOOR) ** _POWER * scale ** (2 - 2 * _POWER)
    error = ((out.float() - x).square() / weight).mean()
    return error + 0.1 * spread_loss(x - out.detach().float(), size.float(), scale)


def train_estimator(
    network: BlockEstimator,
    batches: Tensors,
    schedule: Schedule,
    execution: Execution,
    *,
    part: Part,
) -> Trained | None:
    """Train a part on what else stays as it is; None if the seconds ran out, with a checkpoint."""
    for name, parameter in network.named_parameters():
        of_shrinkage, of_unet = (name.startswith(p) for p in ("shrinkage.", "network."))
        head = not of_unet or name.startswith("network.spread")
        trains = (
            of_shrinkage if part == "shrinkage" else not of_shrinkage and (part == "whole" or head)
        )
        parameter.requires_grad_(trains)
    to_channels_last(network)
    trained = [p for p in network.parameters() if p.requires_grad]

    def gradients(*rows: Tensor, more: BlockEstimator) -> tuple[Tensor, ...]:
        with execution.accelerator.autocast():
            value = _estimator_loss(more, *rows, part=part)
        return value.detach(), *torch.autograd.grad(value, trained)

    split = in_threads(execution.accelerator, trained, gradients)
    return train(
        network, lambda model, step: split(*batches(step), more=model), schedule, execution,
        network.hidden_weights(),
    )  # fmt: skip
