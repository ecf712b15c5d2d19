"""Perception as [BM] measures it, by a critic that is trained to convergence for one point alone.

The critic's loss ``E f(X) - E f(X^)`` estimates ``W1`` only as well as the critic is trained, and the critic
of an adversarial training follows a decoder that moves. Here the decoder stands still: a fresh critic,
with the same first weights and the same order of digits for every point, learns to tell training digits
from reconstructions of training digits until its loss on a part of them that is held out has stopped
growing, and is then measured on test digits and their own reconstructions: it knows neither, and what
makes one test digit unlike another cancels. A Wasserstein critic whose slope is bounded by a penalty of
10 overestimates a distance ``s`` by ``s / 20`` of it: the slope that maximises ``g s - 10 (g - 1)^2`` is
``g = 1 + s / 20``.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veridical.errors import InvalidSetting
from veridical.measure import mean_with_error
from veridical.studies.mnist.presets import Budget
from veridical.studies.mnist.training.networks import Critics, critic_loss

Pictures = NDArray[np.floating[Any]]

_SEED = 41
_HELD_OUT = 0.1
_GROWTH = 0.02
"""The loss has converged when it grew by less than this share in two windows one after the other."""

_AT_LEAST = 2
"""Windows before the loss may be taken to have stopped growing: at first it may not have begun."""


@dataclass(frozen=True)
class CriticDistance:
    """A critic's estimate of ``W1`` between digits and reconstructions.

    Attributes:
        value: ``E f(X) - E f(X^)`` on test digits, in units of pictures.
        standard_error: over the test digits, for the critic as it is.
        steps: that the critic was trained.
        converged: whether its loss stopped growing within the steps of the preset.
    """

    value: float
    standard_error: float
    steps: int
    converged: bool


def critic_distance(
    train: tuple[Pictures, Pictures], test: tuple[Pictures, Pictures], budget: Budget
) -> CriticDistance:
    """Train one critic on digits and reconstructions and measure it on others.

    Args:
        train: digits ``(n, p)`` and reconstructions ``(m, p)``, on [0, 1].
        test: other digits ``(k, p)``, two or more, and the reconstruction of each.
        budget: sizes and schedule of the critic.

    Raises:
        InvalidSetting: fewer than two batches of digits or reconstructions to train on.
    """
    given, asked = ([_tensor(part) for part in pair] for pair in (train, test))
    sizes = [len(part) - max(2, int(_HELD_OUT * len(part))) for part in given]
    if min(sizes) < 2 * budget.batch:
        raise InvalidSetting(
            f"a critic learns from two batches of {budget.batch} or more, got {min(sizes)} digits"
        )
    learnt = [part[:size] for part, size in zip(given, sizes, strict=True)]
    held_out = [part[size:] for part, size in zip(given, sizes, strict=True)]
    critic = Critics([_SEED], budget.shape)
    adam = torch.optim.Adam(critic.parameters(), betas=(0.5, 0.9), lr=budget.convergence.rate)
    best, state, steps, idle = -math.inf, copy.deepcopy(critic.state_dict()), 0, 0
    for window in range(budget.convergence.windows):
        for _ in range(budget.convergence.steps):
            _advance(critic, adam, learnt, budget.batch, steps)
            steps += 1
        loss = float(torch.sub(*(_scores(critic, part).mean() for part in held_out)))
        grew = window < _AT_LEAST or loss > best + _GROWTH * abs(best)
        idle = 0 if grew else idle + 1
        if loss > best:
            best, state = loss, copy.deepcopy(critic.state_dict())
        if idle == 1:  # fine steps for what the coarse ones no longer gain
            adam.param_groups[0]["lr"] = budget.convergence.rate / 5
        if idle == 2:
            break
    critic.load_state_dict(state)
    real, fake = (_scores(critic, part).double().numpy() for part in asked)
    gap = mean_with_error(real - fake)
    return CriticDistance(gap.value, gap.standard_error, steps, idle == 2)


def _tensor(x: Pictures) -> Tensor:
    return torch.from_numpy(np.asarray(x, dtype=np.float32))


def _advance(
    critic: Critics, adam: torch.optim.Optimizer, learnt: list[Tensor], batch: int, step: int
) -> None:
    """One step of WGAN-GP, with the randomness of its number."""
    random = torch.Generator().manual_seed(step)
    real, fake = (part[torch.randint(len(part), (batch,), generator=random)] for part in learnt)
    share = torch.rand(batch, 1, generator=random)
    adam.zero_grad(set_to_none=True)
    critic_loss(critic, real, fake[None], share).sum().backward()
    adam.step()


def _scores(critic: Critics, x: Tensor) -> Tensor:
    """``f(x)`` of every picture, ``(n,)``."""
    with torch.inference_mode():
        return torch.cat([critic(part[None])[0] for part in x.split(1000)])
