"""Presets: data, sizes and schedules of the training, and which of the 98 pairs are trained."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from veridical.errors import InvalidSetting
from veridical.studies.mnist.data import Digits, find_mnist, load_mnist, small_digits
from veridical.studies.mnist.table import TABLE, Code, PairRow, rows_of


@dataclass(frozen=True, kw_only=True)
class PairShape:
    """Sizes of the networks; the defaults are [BM]'s for 28x28 digits.

    Attributes:
        side: pixels of an edge.
        encoder: hidden widths of the encoder.
        hidden: hidden width of the decoder.
        base: pixels of an edge before the first transposed convolution.
        channels: before each transposed convolution.
        kernels: (size, stride) of each transposed convolution; they lead from base to side.
        critic: channels of the critic's convolutions.
    """

    side: int = 28
    encoder: tuple[int, ...] = (512, 256, 128, 128)
    hidden: int = 128
    base: int = 4
    channels: tuple[int, int, int] = (32, 64, 128)
    kernels: tuple[tuple[int, int], ...] = ((5, 2), (5, 2), (4, 1))
    critic: tuple[int, ...] = (64, 128, 256)

    def __post_init__(self) -> None:
        size = self.base
        for kernel, stride in self.kernels:
            size = (size - 1) * stride + kernel
        if size != self.side or len(self.kernels) != len(self.channels):
            raise InvalidSetting(f"the decoder ends at {size} pixels instead of {self.side}")


@dataclass(frozen=True, kw_only=True)
class GeneratorBudget:
    """Size and training of the one generator that serves all codes.

    Attributes:
        width, depth: of the network: channels of a place, and residual blocks.
        batch, steps: of the training; a step is of one code.
        rate: of Adam at its peak.
        error: weight of the squared error, as a share of the variance of digits, against the distance of laws.
    """

    width: int = 160
    depth: int = 5
    batch: int = 1024
    steps: int = 40_000
    rate: float = 1e-3
    error: float = 0.3


@dataclass(frozen=True, kw_only=True)
class Convergence:
    """Training of the critic that measures one point.

    Attributes:
        digits: training digits whose reconstructions it learns from.
        rate: of Adam, a fifth of it for the last steps.
        steps: between two looks at the loss that is held out.
        windows: the most looks.
    """

    digits: int = 10_000
    rate: float = 2e-4
    steps: int = 1000
    windows: int = 40


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A preset: data, sizes, schedule and rows.

    Attributes:
        name: of the preset.
        source: ``mnist`` or ``small`` (8x8).
        digits: how many training digits; ``None`` for all.
        tested: how many test digits; ``None`` for all.
        shape: of the networks.
        rows: pairs with squared error.
        deep_rows: pairs with deep-feature distortion.
        seeded: ``(dim, L)`` for which ``K = 2`` and ``4`` and dither are trained too.
        batch: digits of a step.
        epochs: passes over the digits at lambda = 0, and after it for each lambda; the estimators of the
            constructive route go on at lambda = 0. In the second part the critics see every batch, and encoder and decoder every ``critic_steps``-th, the
            usual order of WGAN-GP; [BM] does not state its number.
        critic_steps: critic steps for one step of encoder and decoder.
        rate_pairs: Adam's rate of encoder and decoder; ``rate_deep`` with deep features.
        rate_deep: see above.
        rate_second: Adam's rate of encoder and decoder in the second part, as a share of the first's.
        rate_critics: Adam's rate of the critics.
        alone: share of the second part, at its beginning and at its end, in which the critics train
            alone: first so that pairs do not run from a critic that knows nothing, last so that the
            critic's loss measures the pair that is kept.
        classifier_epochs: passes of the classifier, at ``classifier_rate``.
        classifier_rate: see above.
        together: the most pairs in one process; 0 keeps pairs of one ``(dim, L)`` together.
        bfloat16: compute networks in bfloat16 on a GPU.
        generator: of the constructive route.
        convergence: of the critics that measure perception.
    """

    name: str
    source: str
    digits: int | None
    tested: int | None
    shape: PairShape
    rows: tuple[PairRow, ...] = field(repr=False)
    deep_rows: tuple[PairRow, ...] = field(repr=False)
    seeded: tuple[tuple[int, int], ...]
    batch: int = 64
    epochs: tuple[int, int] = (25, 25)
    critic_steps: int = 5
    rate_pairs: float = 1e-2
    rate_deep: float = 5e-3
    rate_second: float = 1.0
    rate_critics: float = 2e-4
    alone: tuple[float, float] = (0.04, 0.04)
    classifier_epochs: int = 30
    classifier_rate: float = 1e-2
    together: int = 0
    bfloat16: bool = False
    generator: GeneratorBudget = field(default_factory=GeneratorBudget)
    convergence: Convergence = field(default_factory=Convergence)

    def load_digits(self, data: Path | None) -> Digits:
        """The digits to train and test on, from a folder with MNIST where they are MNIST's.

        Raises:
            MissingFile: no MNIST in the folder.
            DamagedFile: a file is not MNIST's.
        """
        small = self.source == "small"
        digits = small_digits() if small else load_mnist(find_mnist(data)).shuffled_test()
        return digits.limited(self.digits, self.tested)

    def digest(
        self, rows: Sequence[PairRow], *, second: bool = False, generator: bool = False
    ) -> str:
        """Identifies what the first or second part of the training of some rows, or of their generator, depends on."""
        first = (
            "source", "digits", "shape", "batch", "rate_pairs", "rate_deep", "classifier_epochs",
            "classifier_rate", "bfloat16",
        )  # fmt: skip
        later = ("epochs", "critic_steps", "rate_second", "rate_critics", "alone")
        whole = asdict(self)
        own: dict[str, Any] = {
            k: whole[k] for k in first + later * second + ("generator",) * generator
        }
        own |= {"first_epochs": self.epochs[0]}
        text = json.dumps([own, [asdict(r) for r in rows]], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def estimators(self) -> tuple[PairRow, ...]:
        """Rows at lambda = 0, once each, with the copies and dithered ones of ``seeded``."""
        plain = [r for r in self.rows if r.weight == 0]
        more = [PairRow(dim=d, levels=L, copy=c) for d, L in self.seeded for c in (1, 2, 3)]
        more += [PairRow(dim=d, levels=L, dithered=True) for d, L in self.seeded]
        return (*plain, *more)

    @property
    def codes(self) -> tuple[Code, ...]:
        """Of the constructive route: every rate with ``K = 1``, and ``seeded`` with more and dither."""
        plain = [Code(dim=r.dim, levels=r.levels) for r in self.rows if r.weight == 0]
        more = [Code(dim=d, levels=L, seeds=k) for d, L in self.seeded for k in (2, 4)]
        more += [Code(dim=d, levels=L, dithered=True) for d, L in self.seeded]
        return (*plain, *more)


# All 98 pairs, ordered so that a run that is cut short has both ends of the rates.
_ENDS_FIRST = {
    key: TABLE[key]
    for key in ((2, 2), (4, 4), (4, 16), (4, 2), (4, 6), (3, 2), (4, 3), (4, 8), (4, 11))
}
_FEW: dict[tuple[int, int], tuple[float, ...]] = {(2, 2): (0, 4), (4, 4): (0, 4)}

_SMALL_SHAPE = PairShape(
    side=8, encoder=(48, 32), hidden=32, base=2, channels=(16, 12, 8),
    kernels=((3, 2), (3, 1), (2, 1)), critic=(8, 16),
)  # fmt: skip
# Half the width, and half to a quarter of the channels: about a tenth of the arithmetic.
_THIN_SHAPE = PairShape(
    encoder=(256, 128, 64, 64), hidden=64, channels=(16, 32, 32), critic=(16, 32, 64)
)

BUDGETS: dict[str, Budget] = {
    "quick": Budget(
        name="quick", source="small", digits=None, tested=None, shape=_SMALL_SHAPE,
        rows=rows_of(_FEW), deep_rows=rows_of({(2, 2): (0, 4)}, "deep"), seeded=((2, 2),),
        batch=32, epochs=(2, 1), critic_steps=2, rate_second=0.2, rate_critics=2e-3,
        alone=(0.2, 0.1), classifier_epochs=5, classifier_rate=0.03,
        generator=GeneratorBudget(width=24, depth=1, batch=64, steps=60, rate=2e-3),
        convergence=Convergence(digits=400, rate=2e-3, steps=8, windows=3),
    ),
    "cpu": Budget(
        name="cpu", source="mnist", digits=10_000, tested=None, shape=_THIN_SHAPE,
        rows=rows_of(_ENDS_FIRST), deep_rows=rows_of(_ENDS_FIRST, "deep"),
        seeded=((2, 2), (4, 4)),
        batch=32, epochs=(4, 3), critic_steps=2, rate_second=0.2, rate_critics=1e-3, alone=(0.15, 0.1),
        generator=GeneratorBudget(width=48, depth=3, batch=128, steps=9000, rate=2e-3),
        convergence=Convergence(digits=5000, rate=2e-3, steps=200, windows=10),
    ),
    "paper": Budget(
        name="paper", source="mnist", digits=None, tested=None, shape=PairShape(),
        rows=rows_of(TABLE), deep_rows=rows_of(TABLE, "deep"), seeded=tuple(TABLE),
        together=49, bfloat16=True,
    ),
}  # fmt: skip


def budget_named(name: str) -> Budget:
    """A preset by its name.

    Raises:
        InvalidSetting: there is none of this name.
    """
    if name not in BUDGETS:
        raise InvalidSetting(f"unknown preset {name!r}; choose one of {', '.join(BUDGETS)}")
    return BUDGETS[name]
