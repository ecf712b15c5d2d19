"""From learnt cells to a plan that is exact, or says how far from exact it is.

Cells learnt by stochastic gradients miss the masses of the sites by a little. Newton's method on the
dual brings this down to a sample or so. What is left is the fault of samples near the borders of
cells: these, and what the sites still lack, form a small transport problem that the network simplex
solves exactly. The better of its potential and the present one draws new borders, and so on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array, Whole
from veridical.errors import InvalidSetting
from veridical.transport.cells import LaguerreCells, learn_cells
from veridical.transport.exact import exact_plan
from veridical.transport.newton import Borders, borders, newton_potential
from veridical.transport.plan import Plan, check_dimensions, weighted_points

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

    Exact in one dimension and up to 500,000 pairs of distinct samples and sites; beyond, cells are
    learnt and refined.

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
    distinct, which = np.unique(x, axis=0, return_inverse=True)
    if 2 * distinct.shape[0] <= a.size:
        law = np.bincount(which.ravel(), a, distinct.shape[0])
        plan = plan_to_sites(distinct, y, rng=rng, masses=b, weights=law, start=start)
        return _spread(plan, which.ravel(), a)
    cells = learn_cells(x, y, rng=rng, masses=b, weights=a, start=start)
    return refined_plan(cells, x, masses=b, weights=a)


def _spread(plan: Plan, which: Whole, a: Array) -> Plan:
    """A plan of distinct points as one of the samples: each takes its share of its point's entries."""
    order = np.argsort(which, kind="stable")
    starts = np.searchsorted(which[order], np.arange(plan.shape[0] + 1))
    copies = np.diff(starts)[plan.rows]
    entry = np.repeat(np.arange(plan.rows.size), copies)
    place = np.arange(entry.size) - np.repeat(np.cumsum(copies) - copies, copies)
    rows = order[starts[plan.rows[entry]] + place]
    law = np.bincount(which, a, plan.shape[0])
    return Plan(
        rows, plan.columns[entry], plan.mass[entry] * a[rows] / law[which[rows]],
        (a.size, plan.shape[1]), plan.cost, plan.lower, plan.row_potential[which], plan.column_potential,
    )  # fmt: skip


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
    g, now = newton_potential(x, a, y, b, np.where(b > 0, cells.potential, _NEVER))
    border, plans = _BORDER, []
    for _ in range(rounds):
        plan = _repaired(x, a, y, b, g, now, border)
        plans.append(plan)
        if plan.gap <= 1e-6 * plan.cost:
            break
        if plan.lower > now.value:
            g, now = plan.column_potential, borders(x, a, y, b, plan.column_potential)
        border = 2 * border
    best = min(plans, key=lambda p: p.cost)
    bound = max(plans, key=lambda p: p.lower)
    return Plan(
        best.rows, best.columns, best.mass, best.shape, best.cost,
        bound.lower, bound.row_potential, bound.column_potential,
    )  # fmt: skip


def _repaired(x: Array, a: Array, y: Array, b: Array, g: Array, now: Borders, border: int) -> Plan:
    """Samples inside the cells stay; the others are distributed exactly over what the sites lack."""
    n, m = a.size, b.size
    order = np.argsort(now.margin, kind="stable")
    cell = now.cell
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
    # constant by which the two differ; sites without mass must not attract anything. The small
    # problem may fall into parts whose potentials are arbitrary against each other: then the
    # present potential proves more.
    new = g + np.mean(small.column_potential - g[open_sites])
    new[open_sites] = small.column_potential
    new[b == 0] = _NEVER
    found = borders(x, a, y, b, new)
    if found.value < now.value:
        new, found = g, now
    f = np.sum(np.square(x - y[found.cell]), axis=1) - new[found.cell]
    return Plan(rows, columns, mass, (n, m), cost, found.value, f, new)
