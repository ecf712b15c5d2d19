"""Other perception measures than W2: total variation, Kullback-Leibler, W1 and energy distance ([T] Fig. 11).

Each function takes reconstructions and *independent* samples of the source and estimates how far
their laws are apart; a reconstruction of a reference sample must not be compared with it. Which one?

* :func:`w1_distance`: same geometry as W2, without squares. In units of the samples.
* :func:`energy_distance`: no transport problem to solve, unbiased, and finite for any laws.
* :func:`binned_total_variation`: the best any test can tell the laws apart by one sample.
* :func:`gaussian_kl_nats` for Gaussian laws; :func:`binned_kl_nats` and :func:`nearest_kl_nats` for
  others. ``KL(p_X^ || p_X)`` is infinite for an estimate on few points, and the estimators are not.

Standard errors come from :func:`over_parts`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array, Whole
from veridical.errors import InvalidSetting
from veridical.measure.uncertainty import Measured, split_error
from veridical.measure.wasserstein import exact_cost
from veridical.transport import weighted_points

__all__ = [
    "Cells",
    "Measure",
    "binned_kl_nats",
    "binned_total_variation",
    "energy_distance",
    "equal_cells",
    "gaussian_kl_nats",
    "nearest_kl_nats",
    "over_parts",
    "w1_distance",
]

Measure = Callable[[Array, Array], float]
"""Reconstructions ``(n, d)`` and samples of the source ``(m, d)`` to a number, 0 for equal laws."""
Cells = Callable[[Array], Whole]
"""Samples ``(n, d)`` to cells ``0, 1, 2, ...`` of a partition of the space, shape ``(n,)``."""

_PAIRS = 4_000_000


def _tables(x_hat: ArrayLike, x: ArrayLike, fewest: int = 1) -> tuple[Array, Array]:
    left, _ = weighted_points(x_hat, name="reconstructions")
    right, _ = weighted_points(x, name="samples of the source")
    if left.shape[1] != right.shape[1] or min(len(left), len(right)) < fewest:
        raise InvalidSetting(
            f"tables of shapes {left.shape} and {right.shape}; give {fewest} or more samples each, "
            "with the same number of coordinates"
        )
    return left, right


def over_parts(measure: Measure, x_hat: ArrayLike, x: ArrayLike, *, splits: int = 5) -> Measured:
    """A measure of the whole samples, with the spread over disjoint parts as its standard error.

    Args:
        measure: for example :func:`w1_distance`.
        x_hat: reconstructions in random order, shape ``(n, d)``.
        x: samples of the source in random order, shape ``(m, d)``.
        splits: number of parts, 2 or more. A bias that falls with the number of samples is larger
            in the parts, and is not in the error.

    Raises:
        InvalidSetting: fewer than two samples for each part.
    """
    left, right = _tables(x_hat, x, max(2 * splits, 4))
    if splits < 2:
        raise InvalidSetting(f"a standard error needs 2 parts or more, got {splits}")
    return Measured(measure(left, right), split_error(measure, left, right, splits))


def w1_distance(x_hat: ArrayLike, x: ArrayLike) -> float:
    """``W1 = min over couplings of E|X^ - X|``, in units of the samples.

    Exact for the two sets: by sorting in one dimension, else by POT's network simplex, with
    ``8 n m`` bytes. Biased upwards, as every distance between two finite sets.

    Raises:
        InvalidSetting: bad samples.
        NotConverged: POT stopped before the optimum.
    """
    left, right = _tables(x_hat, x)
    if left.shape[1] == 1:
        from scipy.stats import wasserstein_distance

        return float(wasserstein_distance(left[:, 0], right[:, 0]))
    return exact_cost(left, right, "euclidean")


def energy_distance(x_hat: ArrayLike, x: ArrayLike) -> float:
    """``2 E|X^ - X| - E|X^ - X^'| - E|X - X'|``, in units of the samples (Szekely and Rizzo 2013).

    A U-statistic: unbiased, and so a little below 0 now and then for equal laws. It is quadratic in
    the difference of the laws: a mixture ``a p_X + (1 - a) q`` has ``(1 - a)^2`` times that of ``q``.
    By sorting in one dimension, else over all pairs.

    Raises:
        InvalidSetting: bad samples, or fewer than two of either.
    """
    left, right = _tables(x_hat, x, 2)
    n, m = len(left), len(right)
    if left.shape[1] == 1:
        both = np.concatenate([left, right])[:, 0]
        within = _sum_on_a_line(left[:, 0]), _sum_on_a_line(right[:, 0])
        across = _sum_on_a_line(both) - sum(within)
    else:
        within = _sum_of_pairs(left, left) / 2, _sum_of_pairs(right, right) / 2
        across = _sum_of_pairs(left, right)
    return 2 * (across / (n * m) - within[0] / (n * (n - 1)) - within[1] / (m * (m - 1)))


def _sum_on_a_line(x: Array) -> float:
    """``sum over pairs i < j of |x_i - x_j|``, about the median against cancellation."""
    x = np.sort(x)
    return float((2 * np.arange(x.size) - (x.size - 1)) @ (x - x[x.size // 2]))


def _sum_of_pairs(x: Array, y: Array) -> float:
    """``sum over i, j of |x_i - y_j|``, in blocks."""
    from scipy.spatial.distance import cdist

    step = max(1, _PAIRS // len(y))
    return float(sum(np.sum(cdist(x[k : k + step], y)) for k in range(0, len(x), step)))


def equal_cells(x: ArrayLike, count: int) -> Cells:
    """Cells of a line between the quantiles of given numbers, each with a share ``1 / count``.

    Args:
        x: reference numbers, shape ``(n,)`` or ``(n, 1)``; not those that are to be measured.
        count: how many, 2 or more.

    Raises:
        InvalidSetting: more coordinates than one, or fewer numbers than cells.
    """
    points, _ = weighted_points(x, name="reference numbers")
    if points.shape[1] != 1 or not 2 <= count <= len(points):
        raise InvalidSetting(
            f"{count} cells of numbers of shape {points.shape}: give one coordinate, and 2 cells or "
            "more but no more than numbers"
        )
    edges = np.quantile(points[:, 0], np.arange(1, count) / count)
    return lambda values: np.searchsorted(edges, np.asarray(values).reshape(-1), side="right")


def _laws(x_hat: ArrayLike, x: ArrayLike, cells: Cells) -> tuple[Array, Array]:
    left, right = (cells(table) for table in _tables(x_hat, x))
    size = 1 + int(max(left.max(), right.max()))
    p, q = (np.bincount(c, minlength=size) / c.size for c in (left, right))
    return p, q


def binned_total_variation(x_hat: ArrayLike, x: ArrayLike, cells: Cells) -> float:
    """``1/2 sum over cells of |p_X^ - p_X|``, in [0, 1].

    The total variation of the binned laws, which is at most that of the laws (data processing), plus
    a bias of about ``sqrt((B - 1)(1/n + 1/m) / (2 pi))`` for ``B`` even cells and nearly equal laws.

    Raises:
        InvalidSetting: bad samples.
    """
    p, q = _laws(x_hat, x, cells)
    return 0.5 * float(np.sum(np.abs(p - q)))


def binned_kl_nats(x_hat: ArrayLike, x: ArrayLike, cells: Cells) -> float:
    """``KL(p_X^ || p_X)`` of the binned laws in nats, which is at most that of the laws.

    The plug-in value less its bias to first order, ``(B - 1)/(2n) + (sum p/q - 1)/(2m)`` over the ``B``
    cells in use; a little below 0 now and then for equal laws. Infinite where a cell has
    reconstructions and no sample of the source.

    Raises:
        InvalidSetting: bad samples.
    """
    p, q = _laws(x_hat, x, cells)
    held = p > 0
    p, q = p[held], q[held]
    if not q.min() > 0:
        return np.inf
    bias = (p.size - 1) / (2 * np.shape(x_hat)[0]) + (np.sum(p / q) - 1) / (2 * np.shape(x)[0])
    return float(np.sum(p * np.log(p / q)) - bias)


def nearest_kl_nats(x_hat: ArrayLike, x: ArrayLike, *, neighbours: int = 5) -> float:
    """``KL(p_X^ || p_X)`` in nats for laws with densities, by distances to nearest neighbours.

    ``d/n sum_i log(nu_k(i) / rho_k(i)) + log(m / (n - 1))``, where ``rho_k`` and ``nu_k`` are the
    distances from reconstruction ``i`` to the ``k``-th other reconstruction and the ``k``-th sample
    of the source (Wang, Kulkarni and Verdu 2009). Consistent, not of one sign of bias.

    Raises:
        InvalidSetting: bad samples, too few, or more than ``k`` equal reconstructions: their law has
            no density.
    """
    left, right = _tables(x_hat, x, neighbours + 1)
    from scipy.spatial import cKDTree

    rho = cKDTree(left).query(left, [neighbours + 1])[0][:, 0]
    nu = cKDTree(right).query(left, [neighbours])[0][:, 0]
    if not (rho.min() > 0 and nu.min() > 0):
        raise InvalidSetting(
            "several samples are equal, so that their law has no density and the divergence may be "
            "infinite; use binned_kl_nats or another measure"
        )
    (n, d), m = left.shape, len(right)
    return float(d * np.mean(np.log(nu / rho)) + np.log(m / (n - 1)))


def gaussian_kl_nats(x_hat: ArrayLike, x: ArrayLike) -> float:
    """``KL`` of the Gaussian law with the moments of ``X^`` to that with the moments of ``X``, in nats.

    ``1/2 (tr(S^-1 S^) + (m - m^)' S^-1 (m - m^) - d + log(det S / det S^))``: the divergence if both
    laws are Gaussian, and nothing in particular if they are not.

    Raises:
        InvalidSetting: bad samples, or a covariance without inverse.
    """
    left, right = _tables(x_hat, x, 2)
    d = left.shape[1]
    first, second = (np.atleast_2d(np.cov(t, rowvar=False)) for t in (left, right))
    signs, logs = zip(*(np.linalg.slogdet(c) for c in (first, second)), strict=True)
    if min(signs) <= 0:
        raise InvalidSetting("a covariance has no inverse; give more samples, or fewer coordinates")
    shift = right.mean(axis=0) - left.mean(axis=0)
    ratio = np.linalg.solve(second, np.column_stack([first, shift]))
    return 0.5 * float(np.trace(ratio[:, :d]) + shift @ ratio[:, d] - d + logs[1] - logs[0])
