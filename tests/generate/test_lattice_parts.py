"""Means of lattice cells and samples of them, against quadrature and rejection."""

import math

import numpy as np
import pytest

from veridical.errors import InvalidSetting
from veridical.estimate.lattice import OddMap, exact_means, fitted_means
from veridical.generate.lattice import CellSampler, IntervalPlan
from veridical.quantize.lattice import Lattice, construction_a, gosset, hexagonal, self_similar


@pytest.mark.parametrize(("step", "s"), [(0.3, 1.0), (2.5, 1.0), (9.0, 1.0), (0.7, 0.2)])
def test_means_of_intervals(step, s):
    # Oracle: adaptive quadrature, 1e-5 of s (the table has straight pieces); the inverse to 1e-12; far
    # beyond the table the mean keeps to the interval.
    from scipy.integrate import quad

    means = exact_means(step, s)
    p = np.array([0.0, 0.1, 0.5, 1.0, 2.7, 6.0]) * s
    for value in p:
        a, b = value - step / 2, value + step / 2
        top, _ = quad(lambda x: x * math.exp(-0.5 * (x / s) ** 2), a, b)
        mass, _ = quad(lambda x: math.exp(-0.5 * (x / s) ** 2), a, b)
        got = float(means(np.array([[-value]]))[0, 0])
        assert got == pytest.approx(-top / mass, abs=1e-5 * s)
    np.testing.assert_allclose(means.inverse(means(p[:, None])), p[:, None], atol=1e-9 * s)
    far = float(means(np.array([[1e3 * s]]))[0, 0])
    assert abs(far - 1e3 * s) <= step


@pytest.mark.statistical
def test_fitted_means_agree_with_exact_ones():
    # Oracle: the closed form; 200,000 samples, within 0.02 over two standard deviations.
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200_000, 1))
    p = x + rng.uniform(-1, 1, x.shape)
    fit, exact = fitted_means(x, p, by_coordinate=True), exact_means(2.0, 1.0)
    at = np.linspace(-2, 2, 41)[:, None]
    assert np.abs(fit(at) - exact(at)).max() < 0.02


def test_radial_maps():
    # Oracle: by hand: lengths are mapped, directions kept, 0 stays, the last piece goes on.
    twice = OddMap(np.array([0.0, 1.0, 2.0]), np.array([0.0, 2.0, 3.0]), by_coordinate=False)
    rows = np.array([[0.6, 0.8], [0.0, 0.0], [0.0, -5.0]])
    np.testing.assert_allclose(twice(rows), [[1.2, 1.6], [0, 0], [0, -6]], atol=1e-12)
    np.testing.assert_allclose(twice.inverse(twice(rows)), rows, atol=1e-12)
    for knots, values in (([0.0], [0.0]), ([0.0, 1], [0.1, 1]), ([0.0, 1, 1], [0.0, 1, 2])):
        with pytest.raises(InvalidSetting, match="odd map"):
            OddMap(np.array(knots), np.array(values), by_coordinate=True)


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("family", "cosets"),
    [
        (hexagonal(), self_similar(hexagonal(), 1)),
        (hexagonal(), self_similar(hexagonal(), 2)),
        (hexagonal(), construction_a(hexagonal(), 1, 3)),
        (gosset(), construction_a(gosset(), 6)),
    ],
    ids=["A2", "A2/2", "A2, Z3", "E8, k=6"],
)
def test_cells_are_sampled_by_the_cut_normal_law(family, cosets):
    # Oracle: plain rejection from points uniform in the cell of L3: mean and mean square of each
    # coordinate at one p, 4.5 standard errors of both samples (about 1 % of the cell); and no
    # sample outside the cell.
    lattice = Lattice(family, 1.8 if family.dimension == 2 else 1.3)
    rng = np.random.default_rng(1)
    d = family.dimension
    y = rng.random((60_000 if d == 2 else 20_000, d)) * family.period
    e = (y - cosets.nearest_fine(y) / cosets.modulus) * lattice.axis
    p = np.linspace(0.7, -0.4, d)
    weight = np.exp(-0.5 * np.sum(np.square(p + e), axis=1))
    kept = e[rng.random(len(e)) < weight / weight.max()]
    sampler = CellSampler(lattice, cosets, 1.0, 1.0, float(np.mean(np.square(e))))
    drawn = sampler(np.tile(p, (6000, 1)), rng) - p
    assert not np.any(cosets.nearest_fine(drawn / lattice.axis))
    for power in (1, 2):
        a, b = kept**power, drawn**power
        error = np.sqrt(a.var(axis=0) / len(a) + b.var(axis=0) / len(b))
        assert np.all(np.abs(a.mean(axis=0) - b.mean(axis=0)) < 4.5 * error)


@pytest.mark.statistical
def test_interval_plan_gives_the_normal_law_and_is_monotone():
    # Oracle: the plan between the law of a grid and the normal law: Kolmogorov-Smirnov at 20,000
    # samples, and each point's samples fill the interval between its own two levels.
    from scipy.stats import kstest, norm

    below = np.array([0.1, 0.3, 0.7, 0.9, 1.0])
    law = np.diff(below, prepend=0.0)
    rng = np.random.default_rng(2)
    k = rng.choice(5, 20_000, p=law)
    out = IntervalPlan(0.5, below, 2.0)((k[:, None] - 2) * 0.5, rng)[:, 0]
    assert kstest(out / 2, "norm").pvalue > 1e-3
    for place in range(5):
        level = norm.cdf(out[k == place] / 2)
        assert level.min() >= below[place] - law[place] - 1e-9
        assert level.max() <= below[place] + 1e-9
