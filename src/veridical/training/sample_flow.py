"""Training of sample flows and the rounds of reflow, in plain PyTorch, in seconds.

A round fits ``v(u_t, t)`` to ``u_1 - u_0`` by least squares along the lines between pairs. In round
0 the pairs are estimate and source, ``(X~ + s N, X)``, the coupling of posterior sampling. Each
round of *reflow* pairs starts with the ends that the flow before it reached from them: the laws of
start and end stay, every convex transport cost falls or stays, and the paths straighten (Liu, Gong,
Liu 2023, Theorems 3.5 and 3.7).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from veridical.arrays import Array
from veridical.errors import InvalidSetting, TrainingData
from veridical.generate.sample_flow import (
    FlowGenerator,
    Velocity,
    VelocityConfig,
    load_flow,
    save_flow,
    warp,
)
from veridical.training.loop import Schedule

__all__ = ["SampleFlowSettings", "reflow", "reflow_rounds", "train_sample_flow"]

Report = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class SampleFlowSettings:
    """How a sample flow is trained.

    Attributes:
        noise: Standard deviation of the noise of the start, as a share of the root mean square
            spread of the source per coordinate.
        width: Units of a hidden layer.
        depth: Hidden layers.
        batch: Pairs in an optimizer step.
        schedule: Steps and rates of a round; rounds of reflow begin at the weights of the round
            before them.
        integration_steps: Euler steps of the flow.
        pairs: Pairs that a round of reflow simulates.
    """

    noise: float = 0.1
    width: int = 128
    depth: int = 3
    batch: int = 1024
    schedule: Schedule = field(
        default_factory=lambda: Schedule(steps=3000, learning_rate=2e-3, average=0.998)
    )
    integration_steps: int = 64
    pairs: int = 50_000

    def __post_init__(self) -> None:
        if not (math.isfinite(self.noise) and self.noise > 0):
            raise InvalidSetting(f"noise must be positive and finite, got {self.noise!r}")
        if min(self.width, self.depth, self.batch, self.integration_steps, self.pairs) < 1:
            raise InvalidSetting(f"every size must be 1 or more: {self}")


def train_sample_flow(
    x_mmse: Array,
    x: Array,
    settings: SampleFlowSettings,
    *,
    seed: int,
    report: Report = lambda step, steps: None,
) -> FlowGenerator:
    """Round 0: the flow between estimates and the source.

    Args:
        x_mmse: Estimates, shape ``(n, d)``.
        x: The samples that they are estimates of, shape ``(n, d)``.
        settings: Sizes and schedule.
        seed: Start of the weights, of the batches and of the noise. PyTorch's global generator is
            left as it was.
        report: Called with (step, steps) now and then.

    Raises:
        InvalidSetting: Arrays that do not fit.
        TrainingData: Fewer than two samples, all alike, or not finite; or the loss diverged.
    """
    estimates, source = _tensors(x_mmse, x)
    spread = float(source.std(dim=0).square().mean().sqrt())
    if not (len(source) > 1 and spread > 0):
        raise TrainingData("a flow needs at least two samples that differ")
    config = VelocityConfig(
        dimension=source.shape[1],
        noise=settings.noise * spread,
        centre=tuple(source.mean(dim=0).tolist()),
        scale=spread,
        width=settings.width,
        depth=settings.depth,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Velocity(config)
    random = torch.Generator().manual_seed(seed + 1)

    def pairs(size: int) -> tuple[Tensor, Tensor]:
        pick = torch.randint(len(source), (size,), generator=random)
        noise = torch.randn(size, config.dimension, generator=random)
        return estimates[pick] + config.noise * noise, source[pick]

    return FlowGenerator(_fit(network, pairs, settings, random, report), settings.integration_steps)


def reflow(
    before: FlowGenerator,
    x_mmse: Array,
    settings: SampleFlowSettings,
    *,
    seed: int,
    report: Report = lambda step, steps: None,
) -> FlowGenerator:
    """One round of reflow: pairs of starts and the ends that the flow before carried them to.

    Args:
        before: The flow that makes the pairs; the new one begins at its weights.
        x_mmse: Estimates, shape ``(n, d)``, from which starts are drawn.
        settings: Sizes and schedule.
        seed: Of the pairs and the batches.
        report: Called with (step, steps) now and then.
    """
    draws = np.random.default_rng([seed, 1])
    chosen = np.asarray(x_mmse)[draws.integers(len(x_mmse), size=settings.pairs)]
    starts = before.start(chosen, draws)
    start, end = _tensors(starts, before.carry(starts))
    random = torch.Generator().manual_seed(seed + 1)

    def pairs(size: int) -> tuple[Tensor, Tensor]:
        pick = torch.randint(len(start), (size,), generator=random)
        return start[pick], end[pick]

    network = copy.deepcopy(before.network).requires_grad_(requires_grad=True)
    return replace(before, network=_fit(network, pairs, settings, random, report))


def reflow_rounds(
    x_mmse: Array,
    x: Array,
    settings: SampleFlowSettings,
    *,
    rounds: int,
    seed: int,
    folder: Path | None = None,
    report: Callable[[int, int, int], None] = lambda finished, step, steps: None,
) -> Iterator[FlowGenerator]:
    """The flow and its rounds of reflow, one after the other.

    Args:
        x_mmse: Estimates, shape ``(n, d)``.
        x: The samples that they are estimates of, shape ``(n, d)``.
        settings: Sizes and schedule.
        rounds: Rounds of reflow, 0 or more; ``rounds + 1`` generators follow.
        seed: Of round 0; round ``k`` uses a seed derived from it.
        folder: Where each round is kept as ``round-k.safetensors`` as soon as it is trained; a
            round that is there already is read instead of trained. Use another folder, or an empty
            one, for other data or settings.
        report: Called with (rounds finished, step, steps).

    Raises:
        BadWeights: A file in the folder is damaged.
        InvalidSetting, TrainingData: See :func:`train_sample_flow`.
    """
    if rounds < 0:
        raise InvalidSetting(f"rounds of reflow must be 0 or more, got {rounds}")
    generator: FlowGenerator | None = None
    for k in range(rounds + 1):
        path = None if folder is None else folder / f"round-{k}.safetensors"

        def tell(step: int, steps: int, k: int = k) -> None:
            report(k, step, steps)

        if path is not None and path.exists():
            generator = load_flow(path)
        elif generator is None:
            generator = train_sample_flow(x_mmse, x, settings, seed=seed, report=tell)
        else:
            generator = reflow(generator, x_mmse, settings, seed=seed + 1000 * k, report=tell)
        if path is not None and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            save_flow(generator, path)
        yield generator


def _fit(
    network: Velocity,
    pairs: Callable[[int], tuple[Tensor, Tensor]],
    settings: SampleFlowSettings,
    random: torch.Generator,
    report: Report,
) -> Velocity:
    """Least squares of the velocity; returns the averaged network."""
    schedule = settings.schedule
    optimizer = torch.optim.Adam(network.parameters(), betas=(0.9, 0.99))
    averaged = copy.deepcopy(network).requires_grad_(requires_grad=False)
    for step in range(schedule.steps):
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate(step)
        start, end = pairs(settings.batch)
        s = torch.rand(settings.batch, 1, generator=random)
        t = warp(s, network.bend)[0]
        loss = (network(torch.lerp(start, end, t), s) - (end - start)).square().sum(1).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.follow(averaged, network, step + 1)
        if step % 100 == 0 or step == schedule.steps - 1:
            value = float(loss.detach())
            if not math.isfinite(value):
                raise TrainingData(f"the loss is {value} at step {step}; lower the rate")
            report(step + 1, schedule.steps)
    return averaged.eval()


def _tensors(first: Array, second: Array) -> tuple[Tensor, Tensor]:
    if np.ndim(first) != 2 or np.shape(first) != np.shape(second) or np.shape(first)[1] == 0:
        raise InvalidSetting(
            f"estimates and samples must be tables of one shape, got {np.shape(first)} and "
            f"{np.shape(second)}"
        )
    if not (np.all(np.isfinite(first)) and np.all(np.isfinite(second))):
        raise TrainingData("the samples hold NaN or infinite values; remove them first")
    return (
        torch.from_numpy(np.asarray(first, dtype=np.float32)),
        torch.from_numpy(np.asarray(second, dtype=np.float32)),
    )
