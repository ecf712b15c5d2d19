"""Squared 2-Wasserstein distance between two sets of samples: exact and sliced.

Both estimate ``W2^2(p, q) = min over couplings of E|X - Y|^2`` (or its average over
one-dimensional projections) from finite samples, whose empirical distance is biased upwards:
two samples of one law are some distance apart, about ``n^(-2/d)`` for the exact distance in
``d`` dimensions, and ``1/n`` for the sliced one. Compare numbers only at equal sample sizes,
beside the same estimate for two halves of the reference.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.arrays import check_spread
from veridical.errors import InvalidSetting, NotConverged
from veridical.extras import require
from veridical.measure.uncertainty import Measured, split_error


def exact_w2_squared(x: ArrayLike, y: ArrayLike, *, splits: int = 5) -> Measured:
    """Exact ``W2^2`` between two empirical laws, by the network simplex of POT (``ot.emd2``).

    Memory is ``8 n m`` bytes; n = m = 2,000 in 8 dimensions took 3 s on one CPU core.

    Args:
        x: samples, shape ``(n, d)``, equally weighted, in random order.
        y: samples, shape ``(m, d)``.
        splits: number of disjoint parts for the standard error, 2 or more.

    Returns:
        ``value``: the distance of the whole samples, in squared units of ``x``.
        ``standard_error``: spread of the distance over the parts, ``sd / sqrt(splits)``. It does
        not contain the upward bias (see the module).

    Raises:
        InvalidSetting: shapes do not fit, a value is not finite, or too few samples to split.
        NotConverged: POT stopped before the optimum.
    """
    left, right = two_samples(x, y, splits)
    return Measured(exact_cost(left, right), split_error(exact_cost, left, right, splits))


def sliced_w2_squared(
    x: ArrayLike, y: ArrayLike, directions: int, rng: np.random.Generator, *, splits: int = 5
) -> Measured:
    """Sliced ``W2^2``: the mean of the one-dimensional ``W2^2`` over random directions.

    ``SW^2 = E over unit vectors u of W2^2(u.X, u.Y)`` (Rabin, Peyre, Delon and Bernot 2011). For
    two laws that differ by a shift ``s`` it is ``|s|^2 / d``.

    Args:
        x: samples, shape ``(n, d)``, equally weighted, in random order.
        y: samples, shape ``(m, d)``.
        directions: number of unit vectors, 2 or more; unused randomness when ``d = 1``.
        rng: source of the directions.
        splits: number of disjoint parts for the standard error, 2 or more.

    Returns:
        ``value``: in squared units of ``x``. ``standard_error``: from the parts (samples) and
        from the spread over directions, added in quadrature. The bias is not in it.

    Raises:
        InvalidSetting: shapes do not fit, a value is not finite, or too few samples, directions.
    """
    left, right = two_samples(x, y, splits)
    if directions < 2:
        raise InvalidSetting(f"directions is {directions}; two or more are needed for an error")
    axes = rng.standard_normal((left.shape[1], directions))
    axes /= np.linalg.norm(axes, axis=0)
    per_direction = _sorted_w2_squared(left @ axes, right @ axes)

    def mean_distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        return float(np.mean(_sorted_w2_squared(a @ axes, b @ axes)))

    sample_error = split_error(mean_distance, left, right, splits)
    direction_error = float(np.std(per_direction, ddof=1)) / math.sqrt(directions)
    return Measured(float(np.mean(per_direction)), math.hypot(sample_error, direction_error))


def two_samples(
    x: ArrayLike, y: ArrayLike, splits: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two tables of one width that can be split into parts.

    Raises:
        InvalidSetting: they are not.
    """
    left, right = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[1] or left.shape[1] == 0:
        raise InvalidSetting(
            f"samples of shapes {left.shape} and {right.shape}; "
            "give two tables with one sample a row and the same number of columns"
        )
    if not (np.all(np.isfinite(left)) and np.all(np.isfinite(right))):
        raise InvalidSetting("the samples hold NaN or infinite values; remove them first")
    check_spread(left, "samples")
    check_spread(right, "samples")
    fewest = min(left.shape[0], right.shape[0])
    if splits < 2 or fewest < 2 * splits:
        raise InvalidSetting(
            f"{fewest} samples cannot give a standard error from {splits} parts; "
            "use at least 2 parts and 2 samples for each"
        )
    return left, right


def exact_cost(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    metric: Literal["sqeuclidean", "euclidean"] = "sqeuclidean",
) -> float:
    """Least mean cost of a coupling of two sets, by POT's network simplex.

    Raises:
        NotConverged: POT stopped before the optimum.
    """
    from scipy.spatial.distance import cdist

    ot = require("ot")
    cost = cdist(x, y, metric)  # not POT's: it expands squares and loses laws far from the origin
    unit = float(np.max(cost)) or 1.0  # POT takes what is below 1e-14 or so for equal
    weights_x, weights_y = ot.unif(x.shape[0]), ot.unif(y.shape[0])
    result: Any = ot.emd2(
        weights_x, weights_y, cost / unit, numItermax=10_000_000, log=True, check_marginals=False
    )
    value, log = result
    if log["warning"] is not None:
        raise NotConverged(f"exact transport stopped early ({log['warning']}); use fewer samples")
    return unit * float(value)


def _sorted_w2_squared(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """One-dimensional ``W2^2`` of each column: the monotone coupling is optimal.

    Args:
        x: shape ``(n, k)``.
        y: shape ``(m, k)``.

    Returns:
        Shape ``(k,)``: ``integral over t of (F_x^-1(t) - F_y^-1(t))^2``, exact for steps.
    """
    n, m = x.shape[0], y.shape[0]
    x, y = np.sort(x, axis=0), np.sort(y, axis=0)
    if n == m:
        return np.mean(np.square(x - y), axis=0)
    # Both quantile functions are constant between consecutive multiples of 1/n and 1/m; counted
    # in units of 1/(n m) the breakpoints are integers, so that no step is lost to rounding.
    breaks = np.union1d(np.arange(n + 1) * m, np.arange(m + 1) * n)
    starts, weights = breaks[:-1], np.diff(breaks) / (n * m)
    return weights @ np.square(x[starts // m] - y[starts // n])
