"""Plans against independent solvers, certificates, and points that do not fit."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment, linprog

from veridical.errors import InvalidSetting
from veridical.transport import (
    LaguerreCells,
    exact_plan,
    learn_cells,
    plan_on_a_line,
    plan_to_sites,
    refined_plan,
    sinkhorn,
    squared_distances,
)

_SEEDS = st.integers(0, 2**32 - 1)


def check_marginals(plan, a, b):
    np.testing.assert_allclose(np.bincount(plan.rows, plan.mass, a.size), a, atol=1e-12)
    np.testing.assert_allclose(np.bincount(plan.columns, plan.mass, b.size), b, atol=1e-12)
    assert np.all(plan.mass >= 0)


@given(_SEEDS)
@settings(max_examples=25)
def test_exact_plan_against_assignment(seed):
    # Oracle: scipy's assignment solver on equal weights; 1e-10 relative; the gap is rounding.
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(2, 30)), int(rng.integers(1, 4))
    x, y = rng.normal(size=(n, d)), rng.normal(size=(n, d))
    cost = squared_distances(x, y)
    rows, columns = linear_sum_assignment(cost)
    plan = exact_plan(x, y)
    assert plan.cost == pytest.approx(cost[rows, columns].mean(), rel=1e-10)
    assert plan.gap <= 1e-9 * (1 + plan.cost)
    check_marginals(plan, np.full(n, 1 / n), np.full(n, 1 / n))


@given(_SEEDS)
@settings(max_examples=20)
def test_weighted_plans_against_a_linear_program(seed):
    # Oracle: HiGHS on the transport polytope, 1e-9; on the line, sorting must agree with it too,
    # with ties and zero weights among the points.
    rng = np.random.default_rng(seed)
    n, m = (int(k) for k in rng.integers(2, 7, 2))
    x, y = rng.integers(-3, 4, n).astype(float), rng.integers(-3, 4, m).astype(float)
    a, b = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))
    a[0] = 0.0
    a /= a.sum()
    cost = np.square(x[:, None] - y)
    equal = np.zeros((n + m, n * m))
    for i in range(n):
        equal[i, i * m : (i + 1) * m] = 1
    for j in range(m):
        equal[n + j, j::m] = 1
    best = linprog(cost.ravel(), A_eq=equal, b_eq=np.concatenate([a, b])).fun
    line = plan_on_a_line(x, y, x_weights=a, y_weights=b)
    assert line.cost == pytest.approx(best, abs=1e-9)
    assert line.gap <= 1e-9
    check_marginals(line, a, b)
    plane = exact_plan(
        np.column_stack([x, 0 * x]), np.column_stack([y, 0 * y]), x_weights=a, y_weights=b
    )
    assert plane.cost == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_entropic_bracket_contains_the_exact_cost(seed):
    # Oracle: the network simplex; the bracket holds at any blur and closes as it shrinks; the
    # divergence of a set with itself is 0 to 1e-5, which the undebiased cost would miss by 0.1.
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(40, 2)), rng.normal(size=(50, 2)) + 0.5
    exact = exact_plan(x, y).cost
    for blur, gap in ((1.0, 2.0), (0.1, 0.3)):
        found = sinkhorn(x, y, blur_squared=blur)
        assert found.lower - 1e-9 <= exact <= found.cost + 1e-9
        assert found.gap <= gap
    assert sinkhorn(x, x, blur_squared=0.5).divergence == pytest.approx(0.0, abs=1e-5)


def test_cells_learnt_from_samples_give_the_exact_plan():
    # Oracle: the network simplex on the same 3,000 samples and 7 sites: the refined plan to 1e-6,
    # learnt cells alone with masses within 0.03 (4 standard errors of the batches' mean).
    rng = np.random.default_rng(3)
    x, sites = rng.normal(size=(3000, 2)), rng.normal(size=(7, 2))
    masses = rng.dirichlet(np.full(7, 5.0))
    exact = exact_plan(x, sites, y_weights=masses)
    cells = learn_cells(x, sites, rng=rng, masses=masses)
    share = np.bincount(cells.assign(x), minlength=7) / 3000
    assert np.max(np.abs(share - masses)) < 0.03
    refined = refined_plan(cells, x, masses=masses)
    assert refined.cost == pytest.approx(exact.cost, rel=1e-6)
    assert refined.gap <= 1e-5 * exact.cost
    check_marginals(refined, np.full(3000, 1 / 3000), masses)
    again = plan_to_sites(x, sites, rng=rng, masses=masses)
    assert again.cost == pytest.approx(exact.cost, rel=1e-6)


def test_few_large_cells_from_a_poor_start():
    # Oracles: the network simplex on the same 20,000 samples; and the certificate, whose potentials
    # are checked sample by sample. 1e-9 of the cost, from potentials that miss the masses by far;
    # one site has no mass.
    rng = np.random.default_rng(4)
    x, sites = rng.normal(size=(20_000, 2)), rng.normal(size=(6, 2))
    masses = np.array([0.4, 0.3, 0.15, 0.1, 0.05, 0.0])
    plan = refined_plan(LaguerreCells(sites, np.zeros(6)), x, masses=masses)
    assert plan.gap <= 1e-9 * plan.cost
    cost = squared_distances(x, sites)
    assert np.min(cost - plan.row_potential[:, None] - plan.column_potential) > -1e-9
    assert plan.lower == pytest.approx(
        plan.row_potential.mean() + masses[:5] @ plan.column_potential[:5], rel=1e-9
    )
    assert plan.cost == pytest.approx(exact_plan(x, sites, y_weights=masses).cost, rel=1e-9)
    check_marginals(plan, np.full(20_000, 1 / 20_000), masses)


def test_samples_that_repeat_are_planned_once():
    # Oracle: the network simplex between the 12 distinct points and the sites; 1e-9.
    rng = np.random.default_rng(5)
    points, sites = rng.normal(size=(12, 2)), rng.normal(size=(8, 2))
    which = rng.integers(12, size=70_000)
    plan = plan_to_sites(points[which], sites, rng=rng)
    law = np.bincount(which, minlength=12) / 70_000
    assert plan.cost == pytest.approx(exact_plan(points, sites, x_weights=law).cost, rel=1e-9)
    entries = np.sum((points[which[plan.rows]] - sites[plan.columns]) ** 2, axis=1)
    assert plan.mass @ entries == pytest.approx(plan.cost, rel=1e-9)
    assert plan.gap <= 1e-9 * plan.cost
    check_marginals(plan, np.full(70_000, 1 / 70_000), np.full(8, 1 / 8))


@pytest.mark.parametrize(
    "call",
    [
        lambda: exact_plan(np.zeros((2, 2)), np.zeros((2, 3))),
        lambda: exact_plan(np.full((2, 2), np.nan), np.zeros((2, 2))),
        lambda: exact_plan(np.zeros((0, 2)), np.zeros((2, 2))),
        lambda: exact_plan(np.zeros((2, 2)), np.zeros((2, 2)), x_weights=[0.5, -0.5]),
        lambda: exact_plan(np.zeros((2, 2)), np.zeros((2, 2)), x_weights=[0.5, 0.2, 0.3]),
        lambda: exact_plan(np.zeros((7000, 2)), np.zeros((7000, 2))),
        lambda: sinkhorn(np.zeros((2, 2)), np.zeros((2, 2)), blur_squared=0.0),
        lambda: sinkhorn(np.zeros((2, 2)), np.zeros((2, 2)), blur_squared=math.nan),
        lambda: learn_cells(
            np.zeros((3, 2)), np.zeros((2, 2)), rng=np.random.default_rng(), steps=1
        ),
    ],
)
def test_points_that_do_not_fit_are_refused(call):
    with pytest.raises(InvalidSetting):
        call()


@pytest.mark.parametrize("unit", [1e-140, 1e-60, 1e60, 1e140])
def test_points_in_any_unit(unit):
    # Oracle: the cost is squared units (1e-9 relative); beyond double precision the unit is refused instead.
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(20, 2)), rng.normal(size=(20, 2))
    assert exact_plan(x * unit, y * unit).cost == pytest.approx(
        exact_plan(x, y).cost * unit**2, rel=1e-9, abs=0
    )
    for power in (160, -160):
        with pytest.raises(InvalidSetting, match="another unit"):
            exact_plan(x * 10.0**power, y * 10.0**power)
