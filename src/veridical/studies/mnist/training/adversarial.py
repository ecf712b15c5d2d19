"""Training of an ensemble of encoder-decoder pairs, [BM] section 4, resumable to the same result.

All randomness of a step is drawn from its number, and is the same for every pair, so that a run that
was killed goes on from its checkpoint to the same weights on a processor, and a pair comes out the
same whoever its neighbours are (up to rounding).
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
from veridical.studies.mnist.presets import Budget
from veridical.studies.mnist.table import MAX_DIM, PairRow
from veridical.studies.mnist.training.classifier import Distortion, squared_error
from veridical.studies.mnist.training.layers import ConvolutionMode
from veridical.studies.mnist.training.networks import Critics, Pairs, critic_loss
from veridical.writing import write_whole

_SCALE = 1e-3
_SHARE_OF_FULL_RATE = 0.8
_MAX_ONE_BY_ONE = 16
"""With more networks than this, one after the other is not even tried on a GPU."""


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """Where a run computes, how long it may take and to whom it reports.

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
        adversarial: with critics.
        start: state of the pairs that the first part left; ``None`` for fresh ones.
        distortion: squared error, or with deep features.
    """

    name: str
    rows: tuple[PairRow, ...]
    adversarial: bool
    start: Mapping[str, Tensor] | None = field(default=None, repr=False)
    distortion: Distortion = squared_error

    @property
    def second(self) -> bool:
        """Whether it is the second part of the training."""
        return self.adversarial or self.start is not None


class _State:
    """Networks and optimizers of a job, and how far it is."""

    def __init__(self, job: Job, budget: Budget, digits: Tensor, runtime: Runtime) -> None:
        self.job, self.budget, self.digits, self.device = job, budget, digits, runtime.device
        members = [row.member for row in job.rows]
        self.pairs = Pairs(members, budget.shape, runtime.mode)
        if job.start is not None:
            self.pairs.load_state_dict(dict(job.start))
        seeds = [m.seed + round(997 * row.weight) for m, row in zip(members, job.rows, strict=True)]
        self.critics = Critics(seeds if job.adversarial else seeds[:1], budget.shape, runtime.mode)
        self.pairs.to(self.device)
        self.critics.to(self.device)
        betas = (0.5, 0.9)
        self.adam_pairs = torch.optim.Adam(self.pairs.parameters(), betas=betas)
        self.adam_critics = torch.optim.Adam(self.critics.parameters(), betas=betas)
        self.weights = torch.tensor([row.weight for row in job.rows], device=self.device)
        self.epochs = budget.epochs[job.second]
        self.per_epoch = len(digits) // budget.batch
        self.total = self.epochs * self.per_epoch
        self.step, self.seconds = 0, 0.0

    def parts(self) -> dict[str, Any]:
        return {
            "pairs": self.pairs, "critics": self.critics,
            "adam_pairs": self.adam_pairs, "adam_critics": self.adam_critics,
        }  # fmt: skip

    def save(self, path: Path, digest: str, *, finished: bool) -> None:
        """Write a checkpoint if all weights are finite; a finished job keeps networks alone."""
        for stack in (self.pairs, self.critics):
            if not all(bool(torch.isfinite(p).all()) for p in stack.parameters()):
                raise TrainingData(f"{self.job.name}: a weight is not finite at step {self.step}")
        kept = ("pairs", "critics") if finished else tuple(self.parts())
        state: dict[str, Any] = {k: self.parts()[k].state_dict() for k in kept}
        state |= {"digest": digest, "step": self.step, "seconds": self.seconds}
        write_whole(path, lambda file: torch.save(state | {"finished": finished}, file))

    def restore(self, state: Mapping[str, Any]) -> None:
        for name, part in self.parts().items():
            part.load_state_dict(state[name])
        self.step, self.seconds = int(state["step"]), float(state["seconds"])

    def advance(self) -> None:
        """A step of the critics, of the pairs, or of both, on the batch of this step."""
        job, budget = self.job, self.budget
        epoch, place = divmod(self.step, self.per_epoch)
        deep = job.rows[0].distortion == "deep"
        base = budget.rate_deep if deep else budget.rate_pairs
        base *= budget.rate_second if job.second else 1.0
        full = epoch < _SHARE_OF_FULL_RATE * self.epochs
        for adam, rate in ((self.adam_pairs, base), (self.adam_critics, budget.rate_critics)):
            for group in adam.param_groups:
                group["lr"] = rate if full else rate / 5
        order = _order(len(self.digits), int(job.second), epoch)
        pick = torch.from_numpy(order[place * budget.batch : (place + 1) * budget.batch])
        x = self.digits[pick.to(self.digits.device)]
        random = torch.Generator(self.device).manual_seed(2 * self.step + int(job.second))
        u = torch.rand(len(x), MAX_DIM, generator=random, device=self.device) - 0.5
        self.pairs.train()
        if job.adversarial:
            share = torch.rand(len(x), 1, generator=random, device=self.device)
            with autocast(budget, self.device), torch.no_grad():
                fake = self.pairs(x, u).float()
            with autocast(budget, self.device):
                loss = critic_loss(self.critics, x, fake, share).sum()
            _update(self.adam_critics, loss)
        done = self.step / self.total
        both = budget.alone[0] <= done < 1 - budget.alone[1]
        if not job.adversarial or (both and (self.step + 1) % budget.critic_steps == 0):
            with autocast(budget, self.device):
                x_hat = self.pairs(x, u)
                unit = _SCALE / 20 if deep else _SCALE
                loss = unit * job.distortion(x, x_hat.float()).mean(1)
                if job.adversarial:
                    self.critics.requires_grad_(False)
                    loss = loss - _SCALE * self.weights * self.critics(x_hat).float().mean(1)
            _update(self.adam_pairs, loss.sum())
            self.critics.requires_grad_(True)
        self.step += 1


def autocast(budget: Budget, device: str) -> contextlib.AbstractContextManager[Any]:
    """Computation in bfloat16 on a GPU, where the preset has it."""
    narrow = budget.bfloat16 and device.startswith("cuda")
    return torch.autocast("cuda", torch.bfloat16) if narrow else contextlib.nullcontext()


@lru_cache(maxsize=2)
def _order(n: int, part: int, epoch: int) -> NDArray[np.int64]:
    """Order of the digits in an epoch."""
    return np.random.default_rng([7, part, epoch]).permutation(n)


def _update(adam: torch.optim.Optimizer, loss: Tensor) -> None:
    adam.zero_grad(set_to_none=True)
    loss.backward()
    adam.step()


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
    job: Job, budget: Budget, digits: Tensor, work: Path, runtime: Runtime
) -> dict[str, Any] | None:
    """Train, or go on; returns the finished state, or ``None`` if time ran out.

    Args:
        job: what to train.
        budget: sizes and schedule.
        digits: training digits, ``(n, p)``, on the device.
        work: folder of checkpoints.
        runtime: device, time, reports.

    Raises:
        TrainingData: a checkpoint of another configuration, or a weight is not finite.
    """
    work.mkdir(parents=True, exist_ok=True)
    path, digest = work / f"{job.name}.pt", budget.digest(job.rows, second=job.second)
    saved = load_state(path, digest)
    if saved is not None and saved["finished"]:
        return saved
    state = _State(job, budget, digits, runtime)
    if saved is not None:
        state.restore(saved)
    began = last = time.monotonic()
    already = state.seconds
    while state.step < state.total:
        state.advance()
        now = time.monotonic()
        state.seconds = already + now - began
        if now - last >= runtime.checkpoint_seconds or now > runtime.until:
            state.save(path, digest, finished=False)
            last = now
        if now > runtime.until:
            runtime.say(
                f"{job.name}: step {state.step} of {state.total}, {state.seconds:.0f} s so far"
            )
            return None
        runtime.progress(state.step, state.total)
    state.save(path, digest, finished=True)
    return load_state(path, digest)


def seconds_of_a_step(
    job: Job, budget: Budget, digits: Tensor, runtime: Runtime, *, steps: int = 4
) -> float:
    """Time of a step in the middle of a job, on networks that are thrown away."""
    state = _State(job, budget, digits, runtime)
    state.step = first = state.total // 2 // budget.critic_steps * budget.critic_steps
    began = 0.0
    for _ in range(2 * steps * budget.critic_steps):
        if state.step == first + steps * budget.critic_steps:
            _synchronize(runtime.device)
            began = time.monotonic()
        state.advance()
    _synchronize(runtime.device)
    return (time.monotonic() - began) / (steps * budget.critic_steps)


def _synchronize(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def fastest_mode(job: Job, budget: Budget, digits: Tensor, runtime: Runtime) -> ConvolutionMode:
    """The way of computing convolutions that is fastest for a job on this device."""
    times: dict[ConvolutionMode, float] = {}
    for mode in ConvolutionMode:
        if mode is ConvolutionMode.EACH and len(job.rows) > _MAX_ONE_BY_ONE:
            continue
        try:
            times[mode] = seconds_of_a_step(
                job, budget, digits, replace(runtime, mode=mode), steps=2
            )
        except RuntimeError as cause:  # out of memory, or a kernel that this device lacks
            runtime.say(f"{job.name}: {mode.value} does not run here: {str(cause)[:200]}")
    shown = ", ".join(f"{m.value} {1e3 * t:.1f} ms" for m, t in times.items())
    runtime.say(f"{job.name}: {len(job.rows)} networks, a step takes {shown}")
    return min(times, key=lambda mode: times[mode])
