"""From learnt cells to a plan that is exact, or says how far from exact it is.

Cells learnt by stochastic gradients miss the masses of the sites by a little. Only samples near
the borders of cells can be at fault: these, and what the sites still lack, form a small transport
problem that the network simplex solves exactly. Its potential draws new borders, and so on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from veridical.errors import InvalidSetting
from veridical.transport.cells import _CHUNK, LaguerreCells, _scores, learn_cells
from veridical.transport.exact import exact_plan
from veridical.transport.plan import Array, Plan, Whole, check_dimensions, weighted_points

__all__ = ["plan_to_sites", "refined_plan"]

_EXACT_PAIRS = 500_000
_BORDER = 2_000
_NEVER = -1e300


def plan_to_sites(
    samples: ArrayLike,
    sites: ArrayLike,
    *,
    rng: np.random.Generator,
    masses: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    start: ArrayLike | None = None,
) -> Plan:
    """A plan from many samples to few sites, by whichever solver fits the size.

    Exact in one dimension and up to 500,000 pairs; beyond, cells are learnt and refined.

    Args:
        samples: shape ``(n, d)``.
        sites: shape ``(m, d)``.
        rng: for learning the cells.
        masses: law of the sites, equal if left out.
        weights: law of the samples, likewise.
        start: first potential of the sites, where one is known.

    Raises:
        InvalidSetting: bad points or weights.
        NotConverged: POT stopped before the optimum.
    """
    x, a = weighted_points(samples, weights, name="samples")
    y, b = weighted_points(sites, masses, name="sites")
    if x.shape[1] == 1 or a.size * b.size <= _EXACT_PAIRS:
        return exact_plan(x, y, x_weights=a, y_weights=b)
    cells = learn_cells(x, y, rng=rng, masses=b, weights=a, start=start)
    return refined_plan(cells, x, masses=b, weights=a)


def refined_plan(
    cells: LaguerreCells,
    samples: ArrayLike,
    *,
    masses: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    rounds: int = 6,
) -> Plan:
    """The plan that cells imply, with the masses of the sites met by moving samples at borders.

    Stops when the gap is below 1e-6 of the cost, or after some rounds; the plan of least cost is
    returned with the best lower bound found.

    Args:
        cells: sites and potential.
        samples: shape ``(n, d)``.
        masses: of the sites, equal if left out.
        weights: of the samples.
        rounds: border problems to solve, 1 or more.

    Raises:
        InvalidSetting: bad points or weights, or rounds below 1.
        NotConverged: POT stopped before the optimum.
    """
    x, a = weighted_points(samples, weights, name="samples")
    y, b = weighted_points(cells.sites, masses, name="sites")
    check_dimensions(x, y)
    if rounds < 1:
        raise InvalidSetting(f"rounds is {rounds}; solve at least one border problem")
    g, border, plans = cells.potential, _BORDER, []
    for _ in range(rounds):
        cell, margin = _cells_and_margins(x, y, g)
        plan = _repaired(x, a, y, b, g, (cell, margin), border)
        plans.append(plan)
        if plan.gap <= 1e-6 * plan.cost:
            break
        g, border = plan.column_potential, 2 * border
    best = min(plans, key=lambda p: p.cost)
    bound = max(plans, key=lambda p: p.lower)
    return Plan(
        best.rows, best.columns, best.mass, best.shape, best.cost,
        bound.lower, bound.row_potential, bound.column_potential,
    )  # fmt: skip


def _cells_and_margins(x: Array, y: Array, g: Array) -> tuple[Whole, Array]:
    """The cell of each sample, and by how much the second choice is dearer."""
    cell, margin = np.empty(x.shape[0], dtype=np.int64), np.full(x.shape[0], np.inf)
    step = max(1, _CHUNK // y.shape[0])
    for first in range(0, x.shape[0], step):
        part = slice(first, first + step)
        scores = _scores(x[part], y, -g)
        cell[part] = np.argmin(scores, axis=1)
        if y.shape[0] > 1:
            two = np.partition(scores, 1, axis=1)
            margin[part] = two[:, 1] - two[:, 0]
    return cell, margin


def _repaired(
    x: Array, a: Array, y: Array, b: Array, g: Array, assigned: tuple[Whole, Array], border: int
) -> Plan:
    """Samples inside the cells stay; the others are distributed exactly over what the sites lack."""
    n, m = a.size, b.size
    cell, margin = assigned
    order = np.argsort(margin, kind="stable")
    while True:
        free = order[:border]
        stays = np.ones(n, dtype=bool)
        stays[free] = False
        lacking = b - np.bincount(cell[stays], a[stays], m)
        if border >= n or np.all(lacking >= 0):
            break
        border = 2 * border
    kept = np.flatnonzero(stays)
    open_sites = np.flatnonzero(lacking > 0)
    small = exact_plan(
        x[free], y[open_sites], x_weights=a[free], y_weights=np.maximum(lacking[open_sites], 0.0)
    )
    moved = float(np.sum(a[free]))
    rows = np.concatenate([kept, free[small.rows]])
    columns = np.concatenate([cell[kept], open_sites[small.columns]])
    mass = np.concatenate([a[kept], small.mass * moved])
    cost = float(mass @ np.sum(np.square(x[rows] - y[columns]), axis=1))
    # Sites that lack nothing keep out of the small problem and keep their potential, up to the
    # constant by which the two differ; sites without mass must not attract anything.
    new = g + np.mean(small.column_potential - g[open_sites])
    new[open_sites] = small.column_potential
    new[b == 0] = _NEVER
    f = _least(x, y, new)
    return Plan(rows, columns, mass, (n, m), cost, float(a @ f + b @ new), f, new)


def _least(x: Array, y: Array, g: Array) -> Array:
    """``f_i = min_j |x_i - y_j|^2 - g_j``, the best potential of the rows."""
    cell, _ = _cells_and_margins(x, y, g)
    return np.sum(np.square(x - y[cell]), axis=1) - g[cell]
