"""Weighted points, and plans between two sets of them with a bracket of the least cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array, Whole, check_spread
from veridical.errors import InvalidSetting


@dataclass(frozen=True)
class Plan:
    """A coupling of ``n`` weighted points ``x_i`` and ``m`` weighted points ``y_j``, as a list of entries.

        sum over entries of mass |x_row - y_column|^2 = cost >= W2^2 >= lower

    Attributes:
        rows, columns: shape ``(e,)``, the points that an entry joins.
        mass: shape ``(e,)``, positive, sums to 1; the sums by row and by column are the two laws.
        shape: ``(n, m)``.
        cost: squared units of the points.
        lower: a proven lower bound on ``W2^2`` between the two point sets, from potentials with
            ``f_i + g_j <= |x_i - y_j|^2`` (Kantorovich duality); equal to ``cost`` up to rounding
            when the plan is optimal.
        row_potential, column_potential: those potentials, shapes ``(n,)`` and ``(m,)``.
    """

    rows: Whole = field(repr=False)
    columns: Whole = field(repr=False)
    mass: Array = field(repr=False)
    shape: tuple[int, int]
    cost: float
    lower: float
    row_potential: Array = field(repr=False)
    column_potential: Array = field(repr=False)

    @property
    def gap(self) -> float:
        """``cost - lower``, not below 0: the plan costs at most this much more than the best."""
        return max(0.0, self.cost - self.lower)

    def row_means(self, x: Array) -> Array:
        """``E[X | y_j]`` for every column, shape ``(m, d)``; zeros where a column has no mass."""
        m = self.shape[1]
        total = np.bincount(self.columns, self.mass, m)
        part = x[self.rows] * self.mass[:, None]
        sums = np.stack([np.bincount(self.columns, c, m) for c in part.T], axis=1)
        return sums / np.where(total > 0, total, 1.0)[:, None]


def weighted_points(
    values: ArrayLike, weights: ArrayLike | None = None, *, name: str = "points"
) -> tuple[Array, Array]:
    """Points as a table ``(n, d)`` and their law ``(n,)``; equal weights unless given.

    Args:
        values: shape ``(n, d)``, or ``(n,)`` for numbers.
        weights: shape ``(n,)``, not negative; they are divided by their sum.
        name: what error messages call the points.

    Raises:
        InvalidSetting: no points, a value that is not finite or whose square is not, or weights that are no law.
    """
    points = _real_numbers(values, name)
    points = points[:, None] if points.ndim == 1 else points
    if points.ndim != 2 or 0 in points.shape:
        raise InvalidSetting(
            f"{name} have shape {points.shape}; give a table with one point a row, not empty"
        )
    if not np.all(np.isfinite(points)):
        raise InvalidSetting(f"the {name} hold NaN or infinite values; remove them first")
    check_spread(points, name)
    n = points.shape[0]
    if weights is None:
        return points, np.full(n, 1.0 / n)
    law = _real_numbers(weights, f"weights of the {name}")
    if law.shape != (n,) or not np.all(np.isfinite(law)) or np.any(law < 0) or not np.any(law > 0):
        raise InvalidSetting(
            f"weights of the {name} must be {n} finite numbers, none negative and one positive"
        )
    return points, law / np.sum(law)


def _real_numbers(values: Any, name: str) -> Array:
    """Any array, or torch tensor, of real numbers."""
    try:
        array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    except (TypeError, ValueError) as cause:
        raise InvalidSetting(f"the {name} are no table of numbers: {cause}") from cause
    if array.dtype.kind not in "biuf":
        raise InvalidSetting(
            f"the {name} are {array.dtype}, not real numbers; give complex numbers as two coordinates"
        )
    return array.astype(np.float64)


def squared_distances(x: Array, y: Array) -> Array:
    """``|x_i - y_j|^2``, shape ``(n, m)``, as sums of squares, so that equal points are 0 apart."""
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(x, y, "sqeuclidean"), dtype=np.float64)


def check_dimensions(x: Array, y: Array) -> None:
    """Two tables of points with the same number of columns.

    Raises:
        InvalidSetting: they differ.
    """
    if x.shape[1] != y.shape[1]:
        raise InvalidSetting(
            f"points of {x.shape[1]} and {y.shape[1]} coordinates have no distance; "
            "give both in the same space"
        )
