"""Codes for normal samples: the law and rate asked for, prices measured, data that do not fit told."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from veridical.arrays import Array, is_number, to_numpy
from veridical.errors import InvalidSetting
from veridical.interpolate import Calibration
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


def checked_law(
    rate_bits: float, rates: tuple[float, float], variance: float
) -> tuple[float, float]:
    """Rate, if it is among those that a family has, and standard deviation of the law coded."""
    least, most = rates
    if not is_number(rate_bits) or not least <= rate_bits <= most:
        raise InvalidSetting(f"rate_bits runs from {least} to {most}, got {rate_bits!r}")
    if not is_number(variance) or not 1e-290 <= variance <= 1e290:
        raise InvalidSetting(f"variance must be a number from 1e-290 to 1e290, got {variance!r}")
    return float(rate_bits), math.sqrt(variance)


def priced(draft: Any, coder: Any, x: Array, rng: np.random.Generator) -> Any:
    """The code with the price list and the rate measured on samples that made no part of it."""
    seed = int(rng.integers(1 << 62))
    index = draft.encoder.encode(x, seed)
    x_mmse = draft.decode(index, rng, realism=0.0, seed=seed)
    x_real = draft.generator.generate(x_mmse, rng, index)
    price = Calibration(
        float(np.mean(np.square(x - x_mmse))), float(np.mean(np.square(x_real - x_mmse)))
    )
    return replace(draft, calibration=price, rate_bits=coder.ideal_bits(index, seed) / x.size)
