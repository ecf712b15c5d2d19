"""Data that do not fit the code that they are given to are told, with figures."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from veridical.arrays import to_numpy
from veridical.kept import Kept

_SLACK = 0.1
_DEVIATIONS = 6.0
_FEWEST = 100
"""Numbers that tell: the mean square of fewer is too skewed for a rule by standard errors."""


def misfit(ratio: float, noise: float) -> bool:
    """Whether a mean square of ``ratio`` times what was expected says more than its standard error."""
    return not abs(ratio - 1) <= _SLACK + _DEVIATIONS * noise


def warn_of_power(x: Any, variance: float) -> None:
    """Warn of numbers whose mean square is not that of ``N(0, variance)``."""
    values = np.asarray(to_numpy(x), dtype=np.float64)
    if values.size < _FEWEST:
        return
    with np.errstate(over="ignore"):
        power = float(np.mean(np.square(values)))
    noise = math.sqrt(2 / values.size)
    if misfit(power / variance, noise):
        warnings.warn(
            f"these numbers do not fit the code: their mean square is {power:.4g}, and it is made for normal ones of "
            f"variance {variance:.4g} (1 +- {noise:.2g} times that is to be expected), so that its rate and prices do "
            "not hold; scale them, give the code their variance, or use veridical.design(samples)",
            stacklevel=4,
        )


class NormalCodec(Kept):
    """A codec for independent normal samples of a ``variance``, which tells of others."""

    def encode(self, x: Any, *, seed: int = 0) -> Any:
        """Index of samples; see :class:`Kept`.

        Warns:
            UserWarning: their mean square is not ``variance``, with figures.
        """
        codec: Any = self
        index = super().encode(x, seed=seed)
        warn_of_power(x, codec.variance)
        return index
