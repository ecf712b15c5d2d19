"""What the studies of digits share: outputs of the training, measures of them, and where both are kept.

All studies of one preset use one folder, ``work/mnist-<preset>``, so that nothing is trained twice:
``checkpoints``, ``out`` (what the training made of the test digits) and ``measured``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from veridical.measure import (
    FeatureStatistics,
    Measured,
    exact_w2_squared,
    frechet_with_error,
    kernel_distance,
    mean_with_error,
    sliced_w2_squared,
)
from veridical.studies.mnist.data import Digits
from veridical.studies.mnist.presets import BUDGETS, Budget, budget_named
from veridical.studies.mnist.table import PairRow
from veridical.studies.records import Record, Run, load_record, make_folder, save_record

if TYPE_CHECKING:
    from veridical.studies.mnist.training.classifier import DigitClassifier

Array = NDArray[np.float64]

PRESETS = tuple(BUDGETS)
MEASURES = ("squared", "deep", "frechet", "sliced", "exact", "kid", "w1")
"""Squared error, deep-feature distortion; Frechet distance on the classifier's features, sliced W2, exact
W2, kernel distance on the features; ``W1`` by a critic trained to convergence."""

COSTLY_REALISM = (0.0, 0.4, 0.5, 0.8, 1.0)
"""Where along a knob the measures that take a minute are taken: exact W2 and ``w1``."""

_TRANSPORT = {"quick": 200, "cpu": 2000, "paper": 5000}
_GROUPS = 10
_DIRECTIONS = {"quick": 32, "cpu": 256, "paper": 256}


@dataclass(frozen=True)
class Measurements:
    """Digits and outputs of a preset.

    Attributes:
        budget: the preset.
        digits: training and test digits.
        folder: of the preset.
        classifier: of [BM], Table 3.
        facts: of the classifier: test accuracy, ``alpha``.
    """

    budget: Budget
    digits: Digits = field(repr=False)
    folder: Path
    classifier: DigitClassifier = field(repr=False)
    facts: dict[str, Any]

    @property
    def test(self) -> Array:
        """Test digits, ``(m, p)``."""
        return self.digits.test.astype(np.float64)

    @property
    def coded(self) -> Array:
        """The first half of them, whose reconstructions are measured."""
        return self.test[: len(self.digits.test) // 2]

    def pairs(self, kind: str) -> list[tuple[PairRow, Record]]:
        """Rows that are trained, with their outputs, in the order of the preset."""
        rows = self.budget.rows if kind == "squared" else self.budget.deep_rows
        paths = [(row, self.folder / "out" / "pairs" / f"{row.name}.npz") for row in rows]
        return [(row, load_record(path)) for row, path in paths if path.is_file()]

    def codes(self) -> list[Record]:
        """Codes of the constructive route that are trained, with what the generator drew."""
        folder = self.folder / "out" / "codes"
        found = []
        for code in self.budget.codes:
            drawn = folder / f"{code.name}-real.npz"
            if drawn.is_file():
                record = load_record(folder / f"{code.name}.npz")
                arrays = {**record.arrays, **load_record(drawn).arrays}
                found.append(Record(record.study, record.facts, arrays))
        return found

    def features(self, pictures: Array) -> Array:
        """Features of the classifier, ``(n, 50)``."""
        from veridical.studies.mnist.training.classifier import features

        return features(self.classifier, pictures)

    def deep(self, first: Array, second: Array) -> Array:
        """``|x - y|^2 + alpha |Psi(x) - Psi(y)|^2`` of every pair of digits, ``(n,)``."""
        from veridical.studies.mnist.training.classifier import deep_errors

        return deep_errors(self.classifier, self.facts["alpha"], first, second)

    def measured(
        self,
        name: str,
        pictures: Callable[[], Array],
        learnt: Callable[[], Array] | None = None,
        *,
        exact: bool = True,
    ) -> dict[str, tuple[float, float]]:
        """All ``MEASURES`` of reconstructions of the coded digits, as (value, standard error).

        The distances on samples compare them with the other half of the test digits, so that no digit
        meets its own reconstruction.

        Args:
            name: what they are kept under in ``measured``.
            pictures: makes the reconstructions of ``coded``; what is kept of others is measured anew.
            learnt: makes reconstructions of training digits, from which a critic learns; without
                them ``w1`` is not measured.
            exact: measure exact W2 too, which takes a minute for 5,000 digits.
        """
        x_hat = pictures()
        digest = hashlib.sha256(x_hat.astype(np.float32).tobytes()).hexdigest()[:16]
        facts = self.kept(name)
        facts = facts if facts.get("digest") == digest else {"digest": digest}
        possible = {"exact": exact, "w1": learnt is not None}
        wanted = [m for m in MEASURES if possible.get(m, True) and m not in facts]
        if wanted:
            for measure in wanted:
                if measure == "w1" and learnt is not None:
                    facts |= self._critic(x_hat, learnt())
                    continue
                value = self._measure(measure, x_hat)
                facts[measure] = (value.value, value.standard_error)
            make_folder(self.folder / "measured")
            save_record(Record(name, facts, {}), self.folder / "measured")
        return {m: (float(facts[m][0]), float(facts[m][1])) for m in MEASURES if m in facts}

    def kept(self, name: str) -> dict[str, Any]:
        """What was measured: values with their errors, steps of the critic, whether it converged."""
        path = self.folder / "measured" / f"{name}.npz"
        return dict(load_record(path).facts) if path.is_file() else {}

    def floor(self) -> dict[str, tuple[float, float]]:
        """The distances between the two halves of the test digits themselves."""
        return self.measured("floor", lambda: self.coded)

    def _critic(self, x_hat: Array, learnt: Array) -> dict[str, Any]:
        """``w1``, the steps of its critic, and whether it converged."""
        from veridical.studies.mnist.training.convergence import critic_distance

        found = critic_distance((self.digits.train, learnt), (self.coded, x_hat), self.budget)
        return {
            "w1": (found.value, found.standard_error),
            "critic_steps": found.steps, "converged": found.converged,
        }  # fmt: skip

    def _measure(self, measure: str, x_hat: Array) -> Measured:
        x, half = self.coded, len(self.coded)
        if measure == "squared":
            return mean_with_error(np.sum(np.square(x - x_hat), axis=1))
        if measure == "deep":
            return mean_with_error(self.deep(x, x_hat))
        first, second = x_hat, self.test[half : 2 * half]
        if measure == "kid":
            return kernel_distance(self.features(first), self.features(second))
        if measure == "sliced":
            return sliced_w2_squared(
                first, second, _DIRECTIONS[self.budget.name], np.random.default_rng(17)
            )
        if measure == "exact":
            n = min(half, _TRANSPORT[self.budget.name])
            return exact_w2_squared(first[:n], second[:n])
        parts = [
            [FeatureStatistics.of(f) for f in np.array_split(self.features(side), _GROUPS)]
            for side in (second, first)
        ]
        return frechet_with_error(parts[0], parts[1])


def measurements(run: Run, parts: tuple[str, ...]) -> Measurements:
    """Everything that a study of digits needs, after training what is missing.

    Args:
        run: preset, folders, progress.
        parts: of the training, see :mod:`veridical.studies.mnist.training.run`.

    Raises:
        InvalidSetting: unknown preset.
        MissingFile: the preset needs MNIST, and there is none.
    """
    from veridical.studies.mnist.training.adversarial import Runtime
    from veridical.studies.mnist.training.classifier import load_classifier
    from veridical.studies.mnist.training.run import train_parts

    budget = budget_named(run.preset)
    folder = run.work.parent / f"mnist-{run.preset}"
    train_parts(
        budget, run.data, folder / "checkpoints", folder / "out",
        parts=("classifier", *parts), runtime=Runtime(progress=run.progress),
    )  # fmt: skip
    digits = budget.load_digits(run.data)
    classifier, facts = load_classifier(folder / "out" / "classifier.npz", digits.side)
    return Measurements(budget, digits, folder, classifier, facts)


def spending(used: Measurements) -> dict[str, Any]:
    """The part of a record's facts that says what was spent, and on what."""
    budget = used.budget
    return {
        "preset": budget.name, "source": used.digits.name, "digits": len(used.digits.train),
        "tested": len(used.digits.test), "epochs": list(budget.epochs),
        "critic_steps": budget.critic_steps, "batch": budget.batch,
        "transport": min(len(used.digits.test) // 2, _TRANSPORT[budget.name]),
        "accuracy": used.facts["test_accuracy"], "alpha": used.facts["alpha"],
    }  # fmt: skip
