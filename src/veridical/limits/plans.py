"""Transport plans with exact marginals: rounding along a tree, and the cheapest plan by a linear programme."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from veridical.arrays import Array

_ROUNDING = 2e-15
"""Mass that sums of a whole law may miss by rounding."""


def round_on_tree(plan: Array, rows: Array, columns: Array, allowed: Array) -> Array | None:
    """A plan with exactly these marginals that differs from a near one on a tree of its largest entries.

    Entries outside ``allowed`` stay zero. The flow that mends the marginals runs along a maximum spanning tree,
    leaves first. Nothing if the allowed pairs do not connect the imbalance, or an entry would turn negative.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import (
        breadth_first_order,
        connected_components,
        minimum_spanning_tree,
    )

    n, m = plan.shape
    i, j = np.nonzero(allowed)
    # Positive weights, the least for the largest entry.
    weight = 1.0 + np.log(np.max(plan)) - np.log(np.maximum(plan[i, j], 1e-300))
    tree = minimum_spanning_tree(coo_array((weight, (i, n + j)), shape=(n + m, n + m)).tocsr())
    missing = np.concatenate([rows - np.sum(plan, axis=1), columns - np.sum(plan, axis=0)])
    out = plan.copy()
    _, label = connected_components(tree, directed=False)
    for root in np.unique(label, return_index=True)[1]:
        order, parent = breadth_first_order(tree, root, directed=False)
        for node in order[:0:-1]:
            up = int(parent[node])
            a, b = (node, up - n) if node < n else (up, node - n)
            out[a, b] += missing[node]
            missing[up] -= missing[node]
    roots = np.unique(label, return_index=True)[1]
    if np.min(out) < -_ROUNDING or np.max(np.abs(missing[roots])) > _ROUNDING:
        return None
    return np.maximum(out, 0.0)


def cheapest_plan(cost: Array, rows: Array, columns: Array) -> tuple[Array, Array] | None:
    """The cheapest plan between two positive laws, and the potentials of the columns (HiGHS).

    Args:
        cost: shape ``(n, m)``; ``inf`` forbids.
        rows: their marginal, shape ``(n,)``.
        columns: theirs, shape ``(m,)``.

    Returns:
        Nothing if no plan is allowed or HiGHS fails.
    """
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    i, j = np.nonzero(np.isfinite(cost))
    n, k = rows.size, np.arange(i.size)
    A = coo_array(
        (np.ones(2 * i.size), (np.concatenate([i, n + j]), np.concatenate([k, k]))),
        shape=(n + columns.size, i.size),
    ).tocsc()
    scale = float(np.max(cost[i, j])) or 1.0
    # The last marginal follows from the others; rounding must not contradict it.
    right = np.concatenate([rows, columns * (np.sum(rows) / np.sum(columns))])[:-1]
    # The least tolerances that HiGHS takes: with its own, sums over 512 symbols are off by more than rounding can mend.
    exact = dict.fromkeys(("primal_feasibility_tolerance", "dual_feasibility_tolerance"), 1e-10)
    found = linprog(cost[i, j] / scale, A_eq=A[:-1], b_eq=right, method="highs-ds", options=exact)
    if not found.success:
        return None
    plan = np.zeros(cost.shape)
    plan[i, j] = np.maximum(found.x, 0.0)
    mended = round_on_tree(plan, rows, columns, np.isfinite(cost))
    potentials = np.append(found.eqlin.marginals[n:], 0.0) * scale
    return None if mended is None else (mended, potentials)


def transport_bound(cost: Array, rows: Array, potentials: Array) -> tuple[NDArray[np.intp], float]:
    """``sum_i p_i min_j (c_ij - h_j)``: with ``h.q`` added, a lower bound on the cost of any plan to ``q``.

    Returns:
        The columns that attain the minima, and the sum.
    """
    reduced = cost - potentials
    best = np.argmin(reduced, axis=1)
    return best, float(rows @ reduced[np.arange(rows.size), best])
