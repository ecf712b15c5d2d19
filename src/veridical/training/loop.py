"""One training loop for every network: resumable, with averaged weights, on any device.

The loop is the same on a processor, one GPU or several processes (Hugging Face accelerate); what is
trained is a ``loss(model, step) -> scalar tensor``, in which every process sees its own rows of the
step's batch, equally many, so that the mean of the gradients is that of the whole batch. A checkpoint is written about once a minute
to a temporary name and renamed, so a killed run goes on from its last minute.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from veridical.errors import InvalidSetting, TrainingData
from veridical.training.muon import ConvolutionMuon
from veridical.writing import replacing

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["Execution", "Schedule", "Trained", "keep_memory", "train"]

Trained = tuple[nn.Module, dict[str, float]]
"""A network and the figures of its training."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Attributes:
        steps: Optimizer steps.
        learning_rate: Peak rate of Adam; linear warm-up over 200 steps, then a half cosine to 0.
        clip_norm: Longest gradient; a longer one is scaled down.
        hidden_rate: Peak rate of Muon for the network's hidden weights, with the same course; 0
            leaves them to Adam.
        average: Decay of the exponential average of the weights; the average is the result.
        checkpoint_seconds: Time between checkpoints.
    """

    steps: int
    learning_rate: float = 1e-3
    average: float = 0.999
    checkpoint_seconds: float = 60.0
    hidden_rate: float = 0.0
    clip_norm: float = 1.0

    def __post_init__(self) -> None:
        if self.steps < 1 or not self.learning_rate > 0 or not 0 <= self.average < 1:
            raise InvalidSetting(
                f"steps and learning rate must be positive, average in [0, 1): {self}"
            )
        if not self.hidden_rate >= 0:
            raise InvalidSetting(f"the rate of hidden weights must not be negative: {self}")

    def rate(self, step: int, peak: float | None = None) -> float:
        """Learning rate at a step, of Adam or of what has another peak."""
        warm = min(1.0, (step + 1) / 200)
        peak = self.learning_rate if peak is None else peak
        return peak * warm * 0.5 * (1 + math.cos(math.pi * step / self.steps))

    def follow(self, averaged: nn.Module, network: nn.Module, step: int) -> None:
        """Move the average of the weights after ``step`` steps; it is short at the beginning."""
        decay = min(self.average, (1 + step) / (10 + step))
        with torch.no_grad():
            for mean, new in zip(averaged.parameters(), network.parameters(), strict=True):
                mean.lerp_(new.detach(), 1 - decay)


@dataclass(frozen=True)
class Execution:
    """Where a network is trained.

    Attributes:
        checkpoint: File of the checkpoint; its folder is made.
        accelerator: An ``accelerate.Accelerator``.
        seconds: Stop with a checkpoint after so many; None for no end.
        report: Called about every two seconds with (step, mean loss, seconds trained).
    """

    checkpoint: Path
    accelerator: Accelerator
    seconds: float | None = None
    report: Callable[[int, float, float], None] = lambda step, loss, seconds: None


def keep_memory() -> None:
    """Ask glibc to keep freed memory instead of returning it to the system at once.

    Large activations are otherwise mapped and unmapped at every layer, and the page faults cost
    more than the arithmetic. Without glibc this does nothing.
    """
    import ctypes

    try:
        libc = ctypes.CDLL(None)
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
        libc.mallopt(-3, 2**30)  # M_MMAP_THRESHOLD
    except (OSError, AttributeError, TypeError):  # not glibc; on Windows no library has no name
        return


class _Task(nn.Module):
    """The loss as a module, which is what several processes wrap.

    Whatever it calls of the model then takes part in the exchange of gradients.
    """

    def __init__(self, model: nn.Module, loss: Callable[[Any, int], Tensor]) -> None:
        super().__init__()
        self.model = model
        self._loss = loss

    def forward(self, step: int) -> Tensor:
        # Mixed precision is the business of the loss; around its own sums it would lose digits.
        with torch.autocast(next(self.model.parameters()).device.type, enabled=False):
            return self._loss(self.model, step)


class _Run:
    """State of one training that survives in its checkpoint."""

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[Any, int], Tensor],
        schedule: Schedule,
        hidden: Sequence[nn.Parameter],
        execution: Execution,
    ) -> None:
        self.checkpoint, self.accelerator = execution.checkpoint, execution.accelerator
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        accelerator = self.accelerator
        model.to(accelerator.device)  # the optimizers hold its memory
        self.averaged = copy.deepcopy(model).requires_grad_(False)
        hidden = hidden if schedule.hidden_rate else ()
        taken = {id(p) for p in hidden}
        others = [p for p in model.parameters() if id(p) not in taken]
        made: dict[str, torch.optim.Optimizer] = {
            "optimizer": torch.optim.Adam(others, betas=(0.9, 0.99))
        }
        if hidden:
            made["muon"] = ConvolutionMuon(hidden, lr=schedule.hidden_rate)
        self.step, self.seconds, self.recent = 0, 0.0, 0.0
        saved = None
        if self.checkpoint.exists():
            saved = _load(self.checkpoint)
            self._restore(model, saved, made)
        self.network = model
        self.task, *ready = accelerator.prepare(_Task(model, loss), *made.values())
        self.optimizers = dict(zip(made, ready, strict=True))
        if saved is not None:
            for name, optimizer in self.optimizers.items():
                optimizer.load_state_dict(saved[name])

    def _restore(self, model: nn.Module, saved: dict[str, Any], made: Collection[str]) -> None:
        if ("muon" in made) != ("muon" in saved):
            raise TrainingData(
                f"{self.checkpoint} is from a training with other optimizers; remove it or use another run folder"
            )
        try:
            model.load_state_dict(saved["model"])
            self.averaged.load_state_dict(saved["averaged"])
        except RuntimeError as cause:
            raise TrainingData(
                f"{self.checkpoint} is from a network of another size; remove it or use another run folder"
            ) from cause
        self.step, self.seconds, self.recent = saved["step"], saved["seconds"], saved["recent"]

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        if not self.accelerator.is_main_process:
            return
        state = {
            "model": self.network.state_dict(), "averaged": self.averaged.state_dict(),
            **{name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "step": self.step, "seconds": self.seconds, "recent": self.recent,
        }  # fmt: skip
        with replacing(self.checkpoint) as temporary:
            torch.save(state, temporary)

    def advance(self, schedule: Schedule) -> Tensor:
        """One optimizer step and one step of the average; returns the loss."""
        peaks = {"muon": schedule.hidden_rate}
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = schedule.rate(self.step, peaks.get(name))
        value = self.task(self.step)
        self.network.zero_grad(set_to_none=True)
        self.accelerator.backward(value)
        self.accelerator.clip_grad_norm_(self.task.parameters(), schedule.clip_norm)
        for optimizer in self.optimizers.values():
            optimizer.step()
        self.step += 1
        schedule.follow(self.averaged, self.network, self.step)
        return value.detach()

    def agreed(self, late: bool) -> bool:  # noqa: FBT001 (private)
        """Whether the first process is late: clocks differ, and all have to stop at the same step."""
        if self.accelerator.num_processes == 1:
            return late
        from accelerate.utils import broadcast

        flag = torch.tensor([float(late)], device=self.accelerator.device)
        return bool(broadcast(flag).item())

    def note(self, value: Tensor) -> None:
        """Fold a loss into the running mean; a loss that is not finite ends the training."""
        current = float(value)
        if not math.isfinite(current):
            raise TrainingData(
                f"the loss is {current} at step {self.step}; lower the learning rate"
            )
        self.recent = current if self.recent == 0.0 else 0.95 * self.recent + 0.05 * current


def _load(checkpoint: Path) -> dict[str, Any]:
    try:
        return torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as cause:
        raise TrainingData(
            f"{checkpoint} is no checkpoint ({cause}); remove it to train again"
        ) from cause


def train(
    model: nn.Module,
    loss: Callable[[Any, int], Tensor],
    schedule: Schedule,
    execution: Execution,
    hidden: Sequence[nn.Parameter] = (),
) -> Trained | None:
    """Train to the end of the schedule, from the checkpoint if there is one.

    Args:
        model: The network; moved to the accelerator's device.
        loss: Loss of one step, the mean over this process's rows of the batch; all its randomness
            must come from the step number.
        schedule: Length and rates.
        execution: Checkpoint, device, time, reports.
        hidden: The model's hidden weights, for which the schedule may have a rate of their own.

    Returns:
        The averaged network and its figures, or None if the seconds ran out before the end.

    Raises:
        TrainingData: The loss is not finite, or the checkpoint belongs to another network.
    """
    run = _Run(model, loss, schedule, hidden, execution)
    first = run.step
    began = last_save = last_report = time.monotonic()
    already = run.seconds
    while run.step < schedule.steps:
        value = run.advance(schedule)
        now = time.monotonic()
        run.seconds = already + now - began
        if run.step % 20 == 0 or run.step == schedule.steps:
            run.note(value)
            if now - last_report > 2:
                execution.report(run.step, run.recent, run.seconds)
                last_report = now
        if now - last_save > schedule.checkpoint_seconds:
            run.save()
            last_save = now
        if execution.seconds is not None and run.agreed(now - began > execution.seconds):
            run.save()
            execution.accelerator.wait_for_everyone()
            return None
    if run.step != first:
        run.save()
    execution.accelerator.wait_for_everyone()
    figures = {"steps": run.step, "seconds": round(run.seconds, 1), "loss": run.recent}
    return run.averaged.eval(), figures
