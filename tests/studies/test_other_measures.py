"""[T] Fig. 11: the lines against integration of the laws, and what is measured against the lines."""

import math

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.stats import norm

from veridical.studies.other_measures import PANELS
from veridical.studies.other_measures_lines import (
    gaussian_energy,
    gaussian_kl,
    gaussian_tv,
    lines,
    mixture_kl,
)
from veridical.studies.records import load_record


def test_gaussian_measures_by_quadrature():
    # Oracle: the defining integrals on a grid: KL and TV of densities, and the energy distance as
    # twice the integral of the squared difference of distribution functions; 1e-6.
    z = np.linspace(-12, 12, 200_001)
    step = z[1] - z[0]
    for s in (0.87, 0.95):
        p, q = norm.pdf(z, scale=s), norm.pdf(z)
        assert gaussian_kl(s) == pytest.approx(
            np.sum(p * (norm.logpdf(z, scale=s) - norm.logpdf(z))) * step, abs=1e-6
        )
        assert gaussian_tv(np.array(s)) == pytest.approx(
            0.5 * np.sum(np.abs(p - q)) * step, abs=1e-6
        )
        gap = norm.cdf(z, scale=s) - norm.cdf(z)
        assert gaussian_energy(s) == pytest.approx(2 * np.sum(gap**2) * step, abs=1e-6)
    assert mixture_kl(0.0) == pytest.approx(gaussian_kl(math.sqrt(0.75)), abs=1e-9)
    assert mixture_kl(1.0) == pytest.approx(0.0, abs=1e-12)
    assert gaussian_tv(np.array(1.0)) == 0


def test_ends_and_order_of_the_lines():
    # Oracles: every line goes from d + C at P = 0 to d at the estimate's own P, and no way beats the
    # optimum: 1e-4 for the grids of the lines.
    for name in PANELS:
        drawn = lines(name)
        for curve in drawn.values():
            assert np.all(np.diff(curve[0]) >= 0)
            assert np.all(np.diff(curve[1]) <= 1e-12)
        best = drawn.get("optimum")
        for curve in drawn.values():
            d = 1 - 4 / math.pi**2 if name.startswith("circle") else 0.25
            C = d if name.startswith("circle") else (1 - math.sqrt(0.75)) ** 2
            assert curve[1, -1] == pytest.approx(d, abs=1e-6)
            assert curve[1, 0] == pytest.approx(d + C, abs=2e-4)
            if best is not None:
                assert np.all(np.interp(curve[0], *best) <= curve[1] + 1e-4)


@pytest.mark.parametrize("panel", ["circle-w1", "circle-tv"])
def test_best_decoder_of_the_circle_by_linear_programming(panel):
    # Oracle: half of the circle by symmetry, as 60 points with one estimate, and X^ on a grid of 81
    # points of the plane between them and the estimate: the linear programme over joint laws of X^
    # and X with E dist(X^, X) <= P (W1), or all mass but P where X is (TV); 0.01, the grid's width.
    r = 2 / math.pi
    d = 1 - r * r
    angle = (np.arange(60) + 0.5) / 60 * math.pi - math.pi / 2
    x = np.column_stack([np.cos(angle), np.sin(angle)])
    estimate = np.array([r, 0.0])
    best = lines(panel)["optimum"]
    for P in (0.2, 0.4, 0.6):
        # By convexity X^ lies on the line from the estimate to some x: position t of 41.
        t = np.linspace(0, 1, 41)
        place = estimate + t[:, None, None] * (x - estimate)
        moved = np.sum((place - estimate) ** 2, axis=2)
        if panel == "circle-w1":
            left = np.linalg.norm(place - x, axis=2)
        else:
            left = np.broadcast_to((t < 1)[:, None], moved.shape).astype(float)
        # Variables: the share of the mass of each x that stops at each position.
        marginal = np.tile(np.eye(60), (1, 41))
        answer = linprog(
            moved.ravel(),
            A_ub=left.reshape(1, -1),
            b_ub=[P],
            A_eq=marginal,
            b_eq=np.full(60, 1 / 60),
        )
        assert d + answer.fun == pytest.approx(np.interp(P, *best), abs=0.01)


@pytest.mark.statistical
def test_measured_points_lie_on_the_lines(studied):
    # Oracle: the lines, at 20,000 samples (200 where a plan is needed) and one target a panel: within
    # 4 standard errors of D and P together, about 10 % of what realism adds.
    record = load_record(studied("t11")[0])
    for facts in record.facts["panels"].values():
        assert facts["largest_deviation_in_standard_errors"]
        assert all(off < 4 for off in facts["largest_deviation_in_standard_errors"].values())
    # Interpolation on the circle reaches no total variation below 1 before a = 1, where D = 2 d.
    jump = record.arrays["circle-tv; points; interpolation"]
    assert jump[3, 0] == pytest.approx(2 * (1 - 4 / math.pi**2), abs=4 * jump[4, 0])
