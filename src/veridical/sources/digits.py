"""Handwritten digits as flat pictures on [0, 1], and the embedded 8x8 set.

:func:`small_digits` is the set of scikit-learn (1,797 real digits of 8x8 pixels, after the test part
of the UCI optical digits), which needs no download and serves tests and quick presets. The 28x28
digits of MNIST are read by :mod:`veridical.sources.mnist` into the same class.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veridical.errors import InvalidSetting

__all__ = ["Digits", "small_digits"]

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]

_HELD_OUT = 500


@dataclass(frozen=True)
class Digits:
    """Training and test digits; nothing is ever fitted to, or chosen by, the test digits.

    Attributes:
        name: where they come from.
        side: pixels of an edge.
        train: shape ``(n, side^2)``, float32 on [0, 1].
        train_labels: shape ``(n,)``, 0 to 9.
        test: shape ``(m, side^2)``.
        test_labels: shape ``(m,)``.
    """

    name: str
    side: int
    train: Floats = field(repr=False)
    train_labels: Labels = field(repr=False)
    test: Floats = field(repr=False)
    test_labels: Labels = field(repr=False)

    def __post_init__(self) -> None:
        pixels = self.side * self.side
        for x, y in ((self.train, self.train_labels), (self.test, self.test_labels)):
            if x.ndim != 2 or x.shape[1] != pixels or y.shape != x.shape[:1]:
                raise InvalidSetting(
                    f"{self.name}: {x.shape} pictures with {y.shape} labels are no table of "
                    f"{self.side}x{self.side} digits"
                )

    def limited(self, train: int | None, test: int | None = None) -> Digits:
        """The first ``train`` and ``test`` digits; ``None`` keeps all.

        Raises:
            InvalidSetting: fewer than 10 are asked for, or more than there are.
        """
        for asked, there in ((train, len(self.train)), (test, len(self.test))):
            if asked is not None and not 10 <= asked <= there:
                raise InvalidSetting(
                    f"{asked} digits of {there} were asked for; take 10 to {there}"
                )
        return Digits(
            self.name, self.side, self.train[:train], self.train_labels[:train],
            self.test[:test], self.test_labels[:test],
        )  # fmt: skip


def small_digits() -> Digits:
    """The 1,797 digits of scikit-learn, 8x8, in a fixed random order: 1,297 to train, 500 to test."""
    from sklearn.datasets import load_digits

    loaded: Any = load_digits()
    order = np.random.default_rng(1797).permutation(len(loaded.data))
    x = (loaded.data[order] / 16.0).astype(np.float32)
    y = loaded.target[order].astype(np.int64)
    return Digits("digits 8x8", 8, x[:-_HELD_OUT], y[:-_HELD_OUT], x[-_HELD_OUT:], y[-_HELD_OUT:])
