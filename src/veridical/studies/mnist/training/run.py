"""The whole training for the studies of digits: classifier, pairs, deep pairs, constructive route.

    python -m veridical.studies.mnist.training.run --preset paper --data DATA --work runs/paper \
        --out runs/paper/out --minutes 8

Each job leaves checkpoints in ``work`` and its results in ``out``; the same command goes on after a
kill or where its time ended. It needs PyTorch, accelerate and numpy alone, so that it runs on a bare
GPU machine; what it leaves in ``out`` is copied for ``veridical study`` (``docs/mnist.md`` says where).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from veridical.errors import TrainingData
from veridical.studies.mnist.data import Digits
from veridical.studies.mnist.presets import BUDGETS, Budget, budget_named
from veridical.studies.mnist.table import PairRow
from veridical.studies.mnist.training.adversarial import (
    Job,
    Runtime,
    fastest_mode,
    load_state,
    run_job,
)  # fmt: skip
from veridical.studies.mnist.training.classifier import (
    Distortion,
    deep_distortion,
    load_classifier,
    squared_error,
    train_classifier,
)  # fmt: skip
from veridical.studies.mnist.training.codes import code_outputs
from veridical.studies.mnist.training.layers import ConvolutionMode
from veridical.studies.mnist.training.outputs import pair_outputs
from veridical.training.loop import keep_memory

PARTS = ("classifier", "estimators", "pairs", "deep", "generator")
"""In the order of training; ``pairs`` need the first part of ``estimators``, ``deep`` the classifier, ``generator``
both parts and a classifier of its own."""


def train_parts(
    budget: Budget,
    data: Path | None,
    work: Path,
    out: Path,
    *,
    parts: tuple[str, ...] = PARTS,
    runtime: Runtime | None = None,
    tune: bool = False,
) -> bool:
    """Train what is missing in ``out``; returns whether everything is there now.

    Args:
        budget: the preset.
        data: folder with MNIST.
        work: folder of checkpoints.
        out: folder of results.
        parts: some of ``PARTS``; those that one needs are trained with it.
        runtime: device, time, reports.
        tune: find the fastest way of computing convolutions first, for each job.

    Raises:
        MissingFile, DamagedFile: MNIST is missing or damaged.
        TrainingData: a checkpoint of other settings, or a training that diverged.
    """
    keep_memory()
    run = _Run(budget, budget.load_digits(data), data, work, out, runtime or Runtime(), tune)
    steps: dict[str, Callable[[], bool]] = {
        "classifier": run.classifier, "estimators": run.estimators, "generator": run.generator,
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
    runtime: Runtime
    tune: bool

    def _tensors(self) -> tuple[Tensor, Tensor]:
        train, test = (torch.from_numpy(x) for x in (self.digits.train, self.digits.test))
        return train.to(self.runtime.device), test.to(self.runtime.device)

    def classifier(self) -> bool:
        """Trained on all training digits of the source, whatever the preset's number."""
        path = self.out / "classifier.npz"
        if not path.is_file():
            facts = train_classifier(
                replace(self.budget, digits=None).load_digits(self.data), path,
                epochs=self.budget.classifier_epochs, rate=self.budget.classifier_rate,
                progress=self.runtime.progress,
            )  # fmt: skip
            self.runtime.say(f"classifier: {facts}")
        return True

    def _has(self, rows: tuple[PairRow, ...], folder: str) -> bool:
        return all((self.out / folder / f"{row.name}.npz").is_file() for row in rows)

    def _finish(self, job: Job, folder: str) -> bool:
        """Train a job and write its outputs, if they are not all there."""
        if self._has(job.rows, folder):
            return True
        train, test = self._tensors()
        runtime = self.runtime
        if self.tune:
            runtime = replace(runtime, mode=fastest_mode(job, self.budget, train, runtime))
        state = run_job(job, self.budget, train, self.work, runtime)
        if state is None:
            return False
        pair_outputs(job, state, self.budget, (train, test), self.out / folder, runtime)
        runtime.say(
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
        model, facts = load_classifier(self.out / "classifier.npz", self.digits.side)
        return deep_distortion(model.to(self.runtime.device), float(facts["alpha"]))

    def estimators(self) -> bool:
        """Both parts at lambda = 0, with the copies that common randomness needs."""
        first = self._first("squared")
        return self._finish(first, "first") and self._finish(self._last(first), "last")

    def _last(self, first: Job) -> Job:
        """The estimators' second part, as long as the pairs'."""
        start = self._state(first, "first")["pairs"]
        return Job(name="last-squared", rows=first.rows, adversarial=False, start=start)

    def pairs(self, kind: str) -> bool:
        """The second part: every lambda from the state at lambda = 0 of its ``(dim, L)``."""
        first = self._first(kind)
        return self._finish(first, "first") and all(
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
        saved = self._state(first, "first")
        pick = torch.tensor([first.rows.index(replace(row, weight=0.0)) for row in group])
        return Job(
            name=f"second-{kind}-{number}", rows=group, adversarial=True,
            start={k: v[pick] for k, v in saved["pairs"].items()}, distortion=first.distortion,
        )  # fmt: skip

    def _state(self, job: Job, folder: str) -> dict[str, Any]:
        """What a finished job left in its checkpoint."""
        path = self.work / f"{job.name}.pt"
        saved = load_state(path, self.budget.digest(job.rows, second=job.second))
        if saved is None:
            raise TrainingData(
                f"{path} is missing, and the next part begins there; remove {self.out / folder} "
                "to train it again"
            )
        return saved

    def generator(self) -> bool:
        """The generator of the constructive route, from the estimates of every code."""
        codes = self.out / "codes"
        if all((codes / f"{code.name}-real.npz").is_file() for code in self.budget.codes):
            return True
        if not self.estimators():
            return False
        first = self._first("squared")
        states = [self._state(first, "first"), self._state(self._last(first), "last")]
        path = self.out / "generators-classifier.npz"
        if not path.is_file():  # not the one that judges
            train_classifier(
                self.digits, path, epochs=self.budget.classifier_epochs,
                rate=self.budget.classifier_rate, seed=1, progress=self.runtime.progress,
            )  # fmt: skip
        classifier = load_classifier(path, self.digits.side)[0].to(self.runtime.device)
        return code_outputs(
            self.budget, self._tensors(), states, classifier, self.work, codes, self.runtime
        )


def main(arguments: list[str] | None = None) -> int:
    """Command line of the module."""
    parser = argparse.ArgumentParser(
        prog="python -m veridical.studies.mnist.training.run", description=__doc__
    )
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

    runtime = Runtime(device=given.device, say=say)
    if given.minutes is not None:
        runtime = replace(runtime, until=began + 60 * given.minutes)
    if given.mode is not None:
        runtime = replace(runtime, mode=ConvolutionMode(given.mode))
    if given.device.startswith("cuda"):
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
        runtime = replace(runtime, checkpoint_seconds=240.0)
    finished = train_parts(
        budget_named(given.preset), given.data, given.work, given.out,
        parts=tuple(given.parts), runtime=runtime,
        tune=given.mode is None and given.device.startswith("cuda"),
    )  # fmt: skip
    say("finished" if finished else "stopped; the same command goes on")
    return 0 if finished else 3


if __name__ == "__main__":
    sys.exit(main())
