"""Training of an ensemble of encoder-decoder pairs, [BM] section 4, resumable to the same result.

Everything random in a step is drawn from the number of the step, and the same for every pair, so
that a run that was killed goes on from its checkpoint to the same weights on a processor, and a pair
comes out the same whoever its neighbours are (up to rounding).
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veridical.errors import TrainingData
from veridical.estimate.digit_pairs import WIDEST, Pairs
from veridical.estimate.ensemble import ConvolutionMode
from veridical.training.digit_critic import Critics, critic_loss
from veridical.training.digit_rows import Budget, PairRow

__all__ = [
    "Distortion",
    "Job",
    "Limits",
    "fastest_mode",
    "load_state",
    "run_job",
    "seconds_of_a_step",
    "squared_error",
]

Distortion = Callable[[Tensor, Tensor], Tensor]
"""Distortion ``(E, B)`` between pictures ``(B, p)`` and reconstructions ``(E, B, p)``."""

_SCALE = 1e-3
_SHARE_OF_FULL_RATE = 0.8
_MOST_ONE_BY_ONE = 16
"""With more networks than this, one after the other is not even tried on a GPU."""


def squared_error(x: Tensor, x_hat: Tensor) -> Tensor:
    """``|x - x^|^2``, summed over pixels."""
    return (x - x_hat).square().sum(-1)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a run may use and whom it tells.

    Attributes:
        device: where it runs.
        mode: how convolutions are computed.
        until: stop, with a checkpoint, when ``time.monotonic()`` is past this.
        checkpoint_seconds: time between checkpoints.
        progress: called with (done, total) steps of the job.
        say: called with a sentence now and then.
    """

    device: str = "cpu"
    mode: ConvolutionMode = ConvolutionMode.GROUPS
    until: float = math.inf
    checkpoint_seconds: float = 60.0
    progress: Callable[[int, int], None] = lambda done, total: None
    say: Callable[[str], None] = lambda message: None


@dataclass(frozen=True, kw_only=True)
class Job:
    """Pairs that train together in one process.

    Attributes:
        name: of its checkpoint.
        rows: the pairs, all with the same kind of distortion.
        adversarial: the second part, with critics.
        start: state of the pairs to begin with; ``None`` for fresh ones.
        distortion: squared error, or with deep features.
    """

    name: str
    rows: tuple[PairRow, ...]
    adversarial: bool
    start: Mapping[str, Tensor] | None = field(default=None, repr=False)
    distortion: Distortion = squared_error


class _State:
    """Networks and optimizers of a job."""

    def __init__(self, job: Job, budget: Budget, limits: Limits) -> None:
        members = [row.member for row in job.rows]
        self.pairs = Pairs(members, budget.shape, limits.mode)
        if job.start is not None:
            self.pairs.put(job.start)
        seeds = [m.seed + round(997 * row.weight) for m, row in zip(members, job.rows, strict=True)]
        self.critics = Critics(seeds if job.adversarial else seeds[:1], budget.shape, limits.mode)
        self.pairs.to(limits.device)
        self.critics.to(limits.device)
        betas = (0.5, 0.9)
        self.adam_pairs = torch.optim.Adam(self.pairs.parameters(), betas=betas)
        self.adam_critics = torch.optim.Adam(self.critics.parameters(), betas=betas)
        self.step, self.seconds = 0, 0.0

    def parts(self) -> dict[str, Any]:
        return {
            "pairs": self.pairs, "critics": self.critics,
            "adam_pairs": self.adam_pairs, "adam_critics": self.adam_critics,
        }  # fmt: skip

    def save(self, path: Path, digest: str, *, finished: bool) -> None:
        """Write to a temporary name and rename; a finished job keeps networks alone."""
        kept = ("pairs", "critics") if finished else tuple(self.parts())
        state: dict[str, Any] = {k: self.parts()[k].state_dict() for k in kept}
        state |= {"digest": digest, "step": self.step, "seconds": self.seconds}
        temporary = path.with_suffix(".tmp")
        torch.save(state | {"finished": finished}, temporary)
        temporary.replace(path)

    def restore(self, state: Mapping[str, Any]) -> None:
        for name, part in self.parts().items():
            if name in state:
                part.load_state_dict(state[name])
        self.step, self.seconds = int(state["step"]), float(state["seconds"])


def load_state(path: Path, digest: str) -> dict[str, Any] | None:
    """A checkpoint, or ``None`` where there is none.

    Raises:
        TrainingData: it is damaged, or belongs to another configuration.
    """
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        found = state["digest"]
    except Exception as cause:
        raise TrainingData(
            f"{path} is no checkpoint ({cause}); remove it to train again"
        ) from cause
    if found != digest:
        raise TrainingData(
            f"{path} was trained with other settings or rows ({found}, now {digest}); "
            "use another folder, or remove it to train again"
        )
    return state


def run_job(
    job: Job, budget: Budget, digits: Tensor, work: Path, limits: Limits
) -> dict[str, Any] | None:
    """Train, or go on; returns the finished state, or ``None`` if time ran out.

    Args:
        job: what to train.
        budget: sizes and schedule.
        digits: training digits, ``(n, p)``, on the device.
        work: folder of checkpoints.
        limits: device, time, reports.

    Raises:
        TrainingData: a checkpoint of another configuration, or the loss is not finite.
    """
    work.mkdir(parents=True, exist_ok=True)
    path, digest = work / f"{job.name}.pt", budget.digest(job.rows, adversarial=job.adversarial)
    saved = load_state(path, digest)
    if saved is not None and saved["finished"]:
        return saved
    state = _State(job, budget, limits)
    if saved is not None:
        state.restore(saved)
    epochs = budget.epochs[1 if job.adversarial else 0]
    per_epoch = len(digits) // budget.batch
    total = epochs * per_epoch
    began = last = time.monotonic()
    already = state.seconds
    weights = torch.tensor([row.weight for row in job.rows], device=limits.device)
    while state.step < total:
        _one_step(job, budget, digits, state, weights, limits, epochs, per_epoch)
        state.step += 1
        now = time.monotonic()
        state.seconds = already + now - began
        if now - last >= limits.checkpoint_seconds or now > limits.until:
            _check_finite(state, job)
            state.save(path, digest, finished=False)
            last = now
        if now > limits.until:
            limits.say(f"{job.name}: step {state.step} of {total}, {state.seconds:.0f} s so far")
            return None
        limits.progress(state.step, total)
    _check_finite(state, job)
    state.save(path, digest, finished=True)
    return load_state(path, digest)


def seconds_of_a_step(
    job: Job, budget: Budget, digits: Tensor, limits: Limits, *, steps: int = 4
) -> float:
    """Time of a step in the middle of a job, on networks that are thrown away."""
    state = _State(job, budget, limits)
    epochs = budget.epochs[1 if job.adversarial else 0]
    per_epoch = len(digits) // budget.batch
    weights = torch.tensor([row.weight for row in job.rows], device=limits.device)
    state.step = first = (epochs * per_epoch) // 2 // budget.critic_steps * budget.critic_steps
    began = 0.0
    for _ in range(2 * steps * budget.critic_steps):
        if state.step == first + steps * budget.critic_steps:
            _settled(limits.device)
            began = time.monotonic()
        _one_step(job, budget, digits, state, weights, limits, epochs, per_epoch)
        state.step += 1
    _settled(limits.device)
    return (time.monotonic() - began) / (steps * budget.critic_steps)


def _settled(device: str) -> None:
    """Wait until a GPU has done what it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def fastest_mode(job: Job, budget: Budget, digits: Tensor, limits: Limits) -> ConvolutionMode:
    """The way of computing convolutions that is fastest for a job on this device."""
    times: dict[ConvolutionMode, float] = {}
    for mode in ConvolutionMode:
        if mode is ConvolutionMode.EACH and len(job.rows) > _MOST_ONE_BY_ONE:
            continue
        try:
            times[mode] = seconds_of_a_step(
                job, budget, digits, replace(limits, mode=mode), steps=2
            )
        except RuntimeError as cause:  # out of memory, or a kernel that this device lacks
            limits.say(f"{job.name}: {mode.value} does not run here: {str(cause)[:200]}")
    found = min(times, key=lambda mode: times[mode])
    shown = ", ".join(f"{m.value} {1e3 * t:.1f} ms" for m, t in times.items())
    limits.say(f"{job.name}: {len(job.rows)} networks, a step takes {shown}")
    return found


def _check_finite(state: _State, job: Job) -> None:
    for stack in (state.pairs, state.critics):
        if not all(bool(torch.isfinite(p).all()) for p in stack.parameters()):
            raise TrainingData(f"{job.name}: a weight is not finite at step {state.step}")


def _one_step(
    job: Job, budget: Budget, digits: Tensor, state: _State, weights: Tensor,
    limits: Limits, epochs: int, per_epoch: int,
) -> None:  # fmt: skip
    """A step of the critics, of the pairs, or of both, on the batch of this step."""
    epoch, place = divmod(state.step, per_epoch)
    full = epoch < _SHARE_OF_FULL_RATE * epochs
    base = budget.rate_deep if job.rows[0].distortion == "deep" else budget.rate_pairs
    base *= budget.rate_second if job.adversarial else 1.0
    for adam, rate in ((state.adam_pairs, base), (state.adam_critics, budget.rate_critics)):
        for group in adam.param_groups:
            group["lr"] = rate if full else rate / 5
    order = _order(len(digits), int(job.adversarial), epoch)
    pick = torch.from_numpy(order[place * budget.batch : (place + 1) * budget.batch])
    x = digits[pick.to(digits.device)]
    random = torch.Generator(limits.device).manual_seed(2 * state.step + int(job.adversarial))
    u = torch.rand(len(x), WIDEST, generator=random, device=limits.device) - 0.5
    narrow = (
        torch.autocast("cuda", torch.bfloat16)
        if budget.bfloat16 and limits.device.startswith("cuda")
        else contextlib.nullcontext()
    )
    state.pairs.train()
    if job.adversarial:
        share = torch.rand(len(x), 1, generator=random, device=limits.device)
        with narrow, torch.no_grad():
            fake = state.pairs(x, u).float()
        with narrow:
            loss = critic_loss(state.critics, x, fake, share).sum()
        _update(state.adam_critics, loss)
    done = state.step / (epochs * per_epoch)
    both = budget.alone[0] <= done < 1 - budget.alone[1]
    if not job.adversarial or (both and (state.step + 1) % budget.critic_steps == 0):
        with narrow:
            x_hat = state.pairs(x, u)
            unit = _SCALE if job.rows[0].distortion == "squared" else _SCALE / 20
            loss = unit * job.distortion(x, x_hat.float()).mean(1)
            if job.adversarial:
                state.critics.requires_grad_(False)
                loss = loss - _SCALE * weights * state.critics(x_hat).float().mean(1)
        _update(state.adam_pairs, loss.sum())
        state.critics.requires_grad_(True)


@lru_cache(maxsize=2)
def _order(n: int, part: int, epoch: int) -> NDArray[np.int64]:
    """Order of the digits in an epoch."""
    return np.random.default_rng([7, part, epoch]).permutation(n)


def _update(adam: torch.optim.Optimizer, loss: Tensor) -> None:
    adam.zero_grad(set_to_none=True)
    loss.backward()
    adam.step()
