"""Exact optimal plans between finite sets: POT's network simplex, and sorting in one dimension."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array
from veridical.errors import InvalidSetting, NotConverged
from veridical.extras import require
from veridical.transport.plan import Plan, check_dimensions, squared_distances, weighted_points

_MOST_PAIRS = 40_000_000


def exact_plan(
    x: ArrayLike,
    y: ArrayLike,
    *,
    x_weights: ArrayLike | None = None,
    y_weights: ArrayLike | None = None,
) -> Plan:
    """Plan of least cost ``W2^2 = min over couplings of E|X - Y|^2``, with its dual certificate.

    In one dimension by sorting, otherwise by ``ot.emd``; the latter holds the whole matrix of
    distances and so takes up to 40 million pairs (6,300 x 6,300; 640,000 x 62).

    Args:
        x: shape ``(n, d)``.
        y: shape ``(m, d)``.
        x_weights: shape ``(n,)``, equal if left out.
        y_weights: shape ``(m,)``.

    Returns:
        At most ``n + m - 1`` entries; ``gap`` is rounding.

    Raises:
        InvalidSetting: bad points or weights, or too many pairs.
        NotConverged: POT stopped before the optimum.
    """
    left, a = weighted_points(x, x_weights, name="first points")
    right, b = weighted_points(y, y_weights, name="second points")
    check_dimensions(left, right)
    if left.shape[1] == 1:
        return plan_on_a_line(left[:, 0], right[:, 0], x_weights=a, y_weights=b)
    if a.size * b.size > _MOST_PAIRS:
        raise InvalidSetting(
            f"an exact plan of {a.size} x {b.size} points needs more than {_MOST_PAIRS} distances; "
            "use learn_cells or sinkhorn, or fewer points"
        )
    return _network_simplex(squared_distances(left, right), a, b)


def _network_simplex(cost: Array, a: Array, b: Array) -> Plan:
    ot = require("ot")

    unit = float(np.max(cost)) or 1.0  # POT takes what is below 1e-14 or so for equal
    cost = cost / unit
    result: Any = ot.emd(a, b, cost, numItermax=100_000_000, log=True, check_marginals=False)
    matrix, log = result
    if log["warning"] is not None:
        raise NotConverged(f"exact transport stopped early ({log['warning']}); use fewer points")
    rows, columns = np.nonzero(matrix)
    mass = matrix[rows, columns]
    # The certificate does not rest on POT: whatever its column potential, the rows' follow.
    g = np.asarray(log["v"], dtype=np.float64)
    f = np.min(cost - g, axis=1)
    return Plan(
        rows, columns, mass, cost.shape, unit * float(mass @ cost[rows, columns]),
        unit * float(a @ f + b @ g), unit * f, unit * g,
    )  # fmt: skip


def plan_on_a_line(
    x: ArrayLike,
    y: ArrayLike,
    *,
    x_weights: ArrayLike | None = None,
    y_weights: ArrayLike | None = None,
) -> Plan:
    """The monotone plan between two sets of numbers, which is optimal: ``O(n log n)``, no matrix.

    Args:
        x: shape ``(n,)``.
        y: shape ``(m,)``.
        x_weights: shape ``(n,)``, equal if left out.
        y_weights: shape ``(m,)``.

    Raises:
        InvalidSetting: bad numbers or weights.
    """
    left, a = weighted_points(np.ravel(np.asarray(x)), x_weights, name="first points")
    right, b = weighted_points(np.ravel(np.asarray(y)), y_weights, name="second points")
    order_x, order_y = (np.argsort(p[:, 0], kind="stable") for p in (left, right))
    u, v = left[order_x, 0], right[order_y, 0]
    A, B = np.cumsum(a[order_x]), np.cumsum(b[order_y])
    A[-1] = B[-1] = 1.0
    ends = np.sort(np.concatenate([A, B]))
    starts = np.concatenate([[0.0], ends[:-1]])
    real = ends > starts
    starts, mass = starts[real], (ends - starts)[real]
    i, j = np.searchsorted(A, starts, side="right"), np.searchsorted(B, starts, side="right")
    # Along the staircase of entries f_i + g_j = (u_i - v_j)^2. Where a row ends, column `at` is
    # still there, so that f grows by the difference of two costs in that column; the same for g.
    at = np.searchsorted(B, A[:-1], side="left")
    f = np.concatenate([[0.0], np.cumsum(_sq(u[1:], v[at]) - _sq(u[:-1], v[at]))])
    row = np.minimum(np.searchsorted(A, B[:-1], side="right"), u.size - 1)
    g = np.concatenate([[0.0], np.cumsum(_sq(u[row], v[1:]) - _sq(u[row], v[:-1]))])
    g += _sq(u[0], v[0])
    row_potential, column_potential = np.empty_like(f), np.empty_like(g)
    row_potential[order_x], column_potential[order_y] = f, g
    return Plan(
        order_x[i], order_y[j], mass, (u.size, v.size), float(mass @ _sq(u[i], v[j])),
        float(a @ row_potential + b @ column_potential), row_potential, column_potential,
    )  # fmt: skip


def _sq(p: Array, q: Array) -> Array:
    return np.square(p - q)
