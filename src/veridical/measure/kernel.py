"""Kernel distance between two sets of features, the KID of Binkowski et al. (2018).

``MMD^2 = E k(X, X') + E k(Y, Y') - 2 E k(X, Y)`` with the kernel ``k(x, y) = (x.y / d + 1)^3`` on features
of dimension ``d``. Unlike the Frechet distance its estimate has no bias, so that it can be negative for
two samples of nearly one law, and sets of different sizes can be compared.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.measure.uncertainty import Measured, split_error
from veridical.measure.wasserstein import two_samples

_ROWS = 1000


def kernel_distance(x: ArrayLike, y: ArrayLike, *, splits: int = 10) -> Measured:
    """Unbiased estimate of the squared kernel distance.

    Args:
        x: features, shape ``(n, d)``, in random order.
        y: features, shape ``(m, d)``.
        splits: number of disjoint parts for the standard error, 2 or more.

    Returns:
        ``value``: of the whole samples, without unit. ``standard_error``: spread over the parts,
        ``sd / sqrt(splits)``.

    Raises:
        InvalidSetting: shapes do not fit, a value is not finite, or too few samples to split.
    """
    left, right = two_samples(x, y, splits)
    return Measured(_unbiased(left, right), split_error(_unbiased, left, right, splits))


def _unbiased(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    n, m = len(x), len(y)
    within_x = (_kernel_sum(x, x) - float(np.sum(_diagonal(x)))) / (n * (n - 1))
    within_y = (_kernel_sum(y, y) - float(np.sum(_diagonal(y)))) / (m * (m - 1))
    return within_x + within_y - 2 * _kernel_sum(x, y) / (n * m)


def _kernel_sum(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    blocks = (x[k : k + _ROWS] @ y.T for k in range(0, len(x), _ROWS))
    return sum(float(np.sum((block / x.shape[1] + 1) ** 3)) for block in blocks)


def _diagonal(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return (np.sum(np.square(x), axis=1) / x.shape[1] + 1) ** 3
