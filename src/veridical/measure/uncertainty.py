"""A measured number and its standard error, and the two ways the package finds the latter."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.errors import InvalidSetting


@dataclass(frozen=True)
class Measured:
    """A number with the standard error of its sampling.

    Attributes:
        value: the estimate, in the unit that the function which returns it names.
        standard_error: one standard deviation of ``value`` over repeated sampling, same unit.
            A bias that every sample of this size shares is not in it.
    """

    value: float
    standard_error: float


def mean_with_error(values: ArrayLike) -> Measured:
    """Mean of independent values with its standard error ``sd / sqrt(n)``.

    Args:
        values: shape ``(n,)``, n >= 2, for example one PSNR per picture.

    Raises:
        InvalidSetting: fewer than two values, or one that is not finite.
    """
    sample = _finite_sample(values)
    return Measured(float(np.mean(sample)), _deviation(sample) / math.sqrt(sample.size))


def jackknife_error(left_out: Sequence[float] | ArrayLike) -> float:
    """Standard error of a statistic from its values with each of ``n`` units left out in turn.

    ``sqrt((n - 1) / n * sum (t_i - mean t)^2)`` (Efron and Stein 1981). For the mean it equals
    ``sd / sqrt(n)`` exactly; for smooth statistics it is slightly too large on average.

    Args:
        left_out: shape ``(n,)``, n >= 2; ``left_out[i]`` is the statistic without unit ``i``.

    Raises:
        InvalidSetting: fewer than two values, or one that is not finite.
    """
    sample = _finite_sample(left_out)
    n, unit = sample.size, _power_of_two(sample)
    spread = float(np.sum(np.square((sample - np.mean(sample)) / unit)))
    return unit * math.sqrt((n - 1) / n * spread)


def split_error(
    statistic: Callable[[NDArray[np.float64], NDArray[np.float64]], float],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    splits: int,
) -> float:
    """``sd / sqrt(splits)`` of a statistic of two samples over disjoint, interleaved parts of them."""
    parts = [statistic(x[i::splits], y[i::splits]) for i in range(splits)]
    return _deviation(np.array(parts)) / math.sqrt(splits)


def _power_of_two(values: NDArray[np.float64]) -> float:
    """A unit of values that costs no digit: squares of squared distances would leave double precision."""
    return 2.0 ** float(np.frexp(np.max(np.abs(values)))[1])


def _deviation(values: NDArray[np.float64]) -> float:
    unit = _power_of_two(values)
    return unit * float(np.std(values / unit, ddof=1))


def _finite_sample(values: ArrayLike) -> np.ndarray:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or sample.size < 2 or not np.all(np.isfinite(sample)):
        raise InvalidSetting(
            "a standard error needs a list of two or more finite values; "
            f"these have shape {sample.shape}; "
            "measure more units and leave out infinite ones"
        )
    return sample
