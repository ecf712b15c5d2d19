"""What every entry point of the room asks of its input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array, real_numbers
from veridical.errors import InvalidSetting

# A law may miss a sum of one by this much; it is then divided by its sum.
_SUM_TOLERANCE = 1e-9
# Sums of a whole table of larger entries overflow.
_LARGEST = 1e300


def _floats(values: ArrayLike, name: str) -> Array:
    array = np.array(real_numbers(values, name))
    if np.any(np.isnan(array)):
        raise InvalidSetting(f"{name} holds NaN; remove or replace those entries")
    return array


def law(values: ArrayLike, name: str = "source") -> Array:
    """A probability vector, shape ``(n,)``: not negative, sums to 1 within 1e-9.

    Raises:
        InvalidSetting: it is not one.
    """
    array = _floats(values, name)
    if array.ndim != 1 or array.size == 0:
        raise InvalidSetting(f"{name} must be a list of probabilities, got shape {array.shape}")
    if np.any(array < 0):
        worst = int(np.argmin(array))
        raise InvalidSetting(f"{name} has a negative probability {array[worst]!r} at index {worst}")
    total = math.fsum(array)
    if not abs(total - 1.0) <= _SUM_TOLERANCE:
        raise InvalidSetting(f"{name} sums to {total!r}; divide it by its sum")
    return array / total


def cost_matrix(values: ArrayLike, name: str) -> Array:
    """A matrix of shape ``(n, m)``, not negative; ``inf`` forbids a pair.

    Raises:
        InvalidSetting: it is not one, or a row or the whole forbids everything.
    """
    array = _floats(values, name)
    if array.ndim != 2 or array.size == 0:
        raise InvalidSetting(
            f"{name} must be a table, rows for the source, got shape {array.shape}"
        )
    if np.any(array < 0):
        raise InvalidSetting(f"{name} has negative entries; add a constant to make them positive")
    largest = float(np.max(array, where=np.isfinite(array), initial=0.0))
    if largest > _LARGEST:
        raise InvalidSetting(
            f"{name} has finite entries up to {largest:.3g}, which overflow; divide by a unit"
        )
    if np.any(np.all(np.isinf(array), axis=1)):
        raise InvalidSetting(f"a row of {name} is infinite everywhere; allow one reconstruction")
    return array


def constraint(value: Any, name: str) -> float:
    """A bound ``D`` or ``P`` as a float: not negative, infinity allowed.

    Raises:
        InvalidSetting: negative, NaN, or no number.
    """
    try:
        number = float(value)
    except (TypeError, ValueError) as cause:
        raise InvalidSetting(f"{name} must be one number, got {value!r}") from cause
    if not number >= 0:
        raise InvalidSetting(f"{name} must be 0 or more, got {value!r}")
    return number


def non_negative(values: ArrayLike, name: str) -> Array:
    """An array of numbers that are 0 or more, infinity allowed.

    Raises:
        InvalidSetting: one is negative or NaN.
    """
    array = _floats(values, name)
    if np.any(array < 0):
        raise InvalidSetting(f"{name} must be 0 or more, got {float(np.min(array))!r}")
    return array


def finite_non_negative(values: ArrayLike, name: str) -> Array:
    """An array of numbers that are 0 or more, and finite.

    Raises:
        InvalidSetting: one is negative, infinite or NaN.
    """
    array = non_negative(values, name)
    if not np.all(np.isfinite(array)):
        raise InvalidSetting(f"{name} must be finite, got {float(np.max(array))!r}")
    return array


def probability(values: ArrayLike, name: str) -> Array:
    """An array of numbers in [0, 1].

    Raises:
        InvalidSetting: one is outside.
    """
    array = non_negative(values, name)
    if np.any(array > 1):
        raise InvalidSetting(f"{name} must be at most 1, got {float(np.max(array))!r}")
    return array


def positive_float(value: Any, name: str) -> float:
    """A finite number above 0.

    Raises:
        InvalidSetting: it is not.
    """
    number = constraint(value, name)
    if not (math.isfinite(number) and number > 0):
        raise InvalidSetting(f"{name} must be positive and finite, got {value!r}")
    return number
