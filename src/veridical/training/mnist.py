"""The whole training for the studies of digits: classifier, pairs, deep pairs, constructive route.

    python -m veridical.training.mnist --preset paper --data DATA --work runs/paper --out runs/paper/out --minutes 8

Each job leaves checkpoints in ``work`` and its results in ``out``; the same command goes on after a
kill or where its time ended. It needs PyTorch and numpy alone, so that it runs on a bare GPU machine;
what it leaves in ``out`` is copied for ``veridical study`` (``docs/mnist.md`` says where).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from veridical.errors import TrainingData
from veridical.estimate.ensemble import ConvolutionMode
from veridical.sources.digits import Digits, small_digits
from veridical.sources.mnist import find_mnist, load_mnist
from veridical.training.digit_classifier import (
    accuracy,
    deep_distortion,
    deep_weight,
    trained_classifier,
)
from veridical.training.digit_flow import flow_outputs
from veridical.training.digit_loop import (
    Distortion,
    Job,
    Limits,
    fastest_mode,
    load_state,
    run_job,
    squared_error,
)
from veridical.training.digit_outputs import load_output, pair_outputs, save_output
from veridical.training.digit_rows import BUDGETS, Budget, PairRow, budget_named
from veridical.training.loop import keep_memory

__all__ = ["PARTS", "load_digits_of", "main", "train_parts"]

PARTS = ("classifier", "estimators", "flow", "pairs", "deep")
"""In the order of training; ``flow`` and ``pairs`` each need ``estimators``, ``deep`` the classifier."""


def load_digits_of(budget: Budget, data: Path | None) -> Digits:
    """The digits that a preset is trained and tested on.

    Raises:
        MissingFile: no MNIST in the folder.
        DamagedFile: a file is not MNIST's.
    """
    digits = small_digits() if budget.source == "small" else load_mnist(find_mnist(data))
    return digits.limited(budget.digits, budget.tested)


def train_parts(
    budget: Budget,
    data: Path | None,
    work: Path,
    out: Path,
    *,
    parts: tuple[str, ...] = PARTS,
    limits: Limits | None = None,
    tune: bool = False,
) -> bool:
    """Train what is missing in ``out``; returns whether everything is there now.

    Args:
        budget: the preset.
        data: folder with MNIST.
        work: folder of checkpoints.
        out: folder of results.
        parts: some of ``PARTS``; those that one needs are trained with it.
        limits: device, time, reports.
        tune: find the fastest way of computing convolutions first, for each job.

    Raises:
        MissingFile, DamagedFile: see :func:`load_digits_of`.
        TrainingData: a checkpoint of other settings, or a training that diverged.
    """
    keep_memory()
    chosen = Limits() if limits is None else limits
    digits = load_digits_of(budget, data)
    run = _Run(budget, digits, data, work, out, chosen, tune)
    steps: dict[str, Callable[[], bool]] = {
        "classifier": run.classifier, "estimators": run.estimators, "flow": run.flow,
        "pairs": lambda: run.pairs("squared"), "deep": lambda: run.pairs("deep"),
    }  # fmt: skip
    threads = torch.get_num_threads()
    # Networks for 8x8 digits gain nothing from threads, and on a busy machine they wait for them.
    torch.set_num_threads(1 if budget.source == "small" else threads)
    try:
        return all(steps[name]() for name in PARTS if name in parts)
    finally:
        torch.set_num_threads(threads)


@dataclass
class _Run:
    """One call: data on the device, and the jobs."""

    budget: Budget
    digits: Digits
    data: Path | None
    work: Path
    out: Path
    limits: Limits
    tune: bool = False

    def tensors(self) -> tuple[Tensor, Tensor]:
        device = self.limits.device
        train, test = (torch.from_numpy(x) for x in (self.digits.train, self.digits.test))
        return train.to(device), test.to(device)

    def _path(self, row: PairRow, folder: str) -> Path:
        return self.out / folder / f"{row.name}.npz"

    def classifier(self) -> bool:
        """Trained on all training digits of the source, whatever the preset's number."""
        path = self.out / "classifier.npz"
        if load_output(path) is not None:
            return True
        whole = load_digits_of(replace(self.budget, digits=None), self.data)
        began = time.monotonic()
        model = trained_classifier(
            whole, self.out / "classifier.pt",
            epochs=self.budget.classifier_epochs, rate=self.budget.classifier_rate,
            progress=self.limits.progress,
        )  # fmt: skip
        facts = {
            "test_accuracy": accuracy(model, whole.test, whole.test_labels),
            "alpha": deep_weight(model, whole), "seconds": time.monotonic() - began,
            "epochs": self.budget.classifier_epochs, "digits": len(whole.train),
        }  # fmt: skip
        save_output(path, facts, {})
        self.limits.say(f"classifier: {facts}")
        return True

    def _has(self, rows: tuple[PairRow, ...], folder: str) -> bool:
        return all(load_output(self._path(row, folder)) is not None for row in rows)

    def _finish(self, job: Job, folder: str) -> bool:
        if self._has(job.rows, folder):
            return True
        train, test = self.tensors()
        limits = self.limits
        if self.tune:
            limits = replace(limits, mode=fastest_mode(job, self.budget, train, limits))
        state = run_job(job, self.budget, train, self.work, limits)
        if state is None:
            return False
        pair_outputs(job, state, self.budget, (train, test), self.out / folder, limits)
        self.limits.say(
            f"{job.name}: {len(job.rows)} pairs, {state['step']} steps, {state['seconds']:.0f} s"
        )
        return True

    def _first(self, kind: str) -> Job:
        rows = self.budget.estimators
        if kind == "deep":
            rows = tuple(r for r in self.budget.deep_rows if r.weight == 0)
        return Job(
            name=f"first-{kind}", rows=rows, adversarial=False, distortion=self._distortion(kind)
        )

    def _distortion(self, kind: str) -> Distortion:
        if kind == "squared":
            return squared_error
        self.classifier()
        facts = (load_output(self.out / "classifier.npz") or {})["facts"]
        model = trained_classifier(self.digits, self.out / "classifier.pt", epochs=0)
        return deep_distortion(model.to(self.limits.device), float(facts["alpha"]))

    def estimators(self) -> bool:
        """The first part of the training, with the copies that common randomness needs."""
        return self._finish(self._first("squared"), "first")

    def pairs(self, kind: str) -> bool:
        """The second part: every lambda from the state at lambda = 0 of its ``(dim, L)``."""
        first = self._first(kind)
        if not self._finish(first, "first"):
            return False
        return all(
            self._has(group, "pairs") or self._finish(self._second(kind, k, group, first), "pairs")
            for k, group in enumerate(self._groups(kind))
        )

    def _groups(self, kind: str) -> list[tuple[PairRow, ...]]:
        """Pairs that train together: as many as the preset says, or those of one ``(dim, L)``."""
        rows = self.budget.rows if kind == "squared" else self.budget.deep_rows
        size = self.budget.together
        if size:
            return [rows[k : k + size] for k in range(0, len(rows), size)]
        keys = dict.fromkeys((r.dim, r.levels) for r in rows)
        return [tuple(r for r in rows if (r.dim, r.levels) == key) for key in keys]

    def _second(self, kind: str, number: int, group: tuple[PairRow, ...], first: Job) -> Job:
        """The job of a group, from the state that the first part left."""
        path = self.work / f"{first.name}.pt"
        saved = load_state(path, self.budget.digest(first.rows))
        if saved is None:
            raise TrainingData(
                f"{path} is missing, and the second part begins there; remove {self.out / 'first'} "
                "to train it again"
            )
        plain = {
            (r.dim, r.levels): e
            for e, r in enumerate(first.rows)
            if r == replace(r, copy=0, dithered=False)
        }
        pick = torch.tensor([plain[r.dim, r.levels] for r in group])
        return Job(
            name=f"second-{kind}-{number}", rows=group, adversarial=True,
            start={k: v[pick] for k, v in saved["pairs"].items()}, distortion=first.distortion,
        )  # fmt: skip

    def flow(self) -> bool:
        """The flow of the constructive route, from the estimates of every code."""
        if not self.estimators():
            return False
        train, test = self.tensors()
        return flow_outputs(self.budget, train, test, self.work, self.out / "codes", self.limits)


def main(arguments: list[str] | None = None) -> int:
    """Command line of the module."""
    parser = argparse.ArgumentParser(prog="python -m veridical.training.mnist", description=__doc__)
    parser.add_argument("--preset", default="paper", choices=list(BUDGETS))
    parser.add_argument("--data", type=Path, default=None, help="folder with MNIST")
    parser.add_argument("--work", type=Path, required=True, help="folder of checkpoints")
    parser.add_argument("--out", type=Path, required=True, help="folder of results")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--minutes", type=float, default=None, help="stop, ready to go on")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--mode", default=None, choices=[m.value for m in ConvolutionMode])
    given = parser.parse_args(arguments)
    began = time.monotonic()

    def say(message: str) -> None:
        sys.stdout.write(f"{time.monotonic() - began:8.1f} s  {message}\n")
        sys.stdout.flush()

    limits = Limits(device=given.device, say=say)
    if given.minutes is not None:
        limits = replace(limits, until=began + 60 * given.minutes)
    if given.mode is not None:
        limits = replace(limits, mode=ConvolutionMode(given.mode))
    if given.device.startswith("cuda"):
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
        limits = replace(limits, checkpoint_seconds=240.0)
    finished = train_parts(
        budget_named(given.preset), given.data, given.work, given.out,
        parts=tuple(given.parts), limits=limits,
        tune=given.mode is None and given.device.startswith("cuda"),
    )  # fmt: skip
    say("finished" if finished else "stopped; the same command goes on")
    return 0 if finished else 3


if __name__ == "__main__":
    sys.exit(main())
