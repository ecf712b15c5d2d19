"""The closed form for KL and the Gaussian against a search that knows neither of its steps."""

import cvxpy
import numpy as np
import pytest
from scipy.optimize import minimize

from veridical.errors import InvalidSetting
from veridical.limits import (
    gaussian_distortion_kl,
    reverse_water_filling,
    vector_gaussian_distortion,
    vector_gaussian_distortion_kl,
)


@pytest.mark.parametrize(("bits", "P"), [(1.0, 0.01), (1.0, 0.1), (0.3, 0.05), (2.0, 0.0005)])
def test_least_distortion_among_jointly_gaussian_pairs(bits, P):
    # Oracle: sequential quadratic programming over the deviation s of X^ and the correlation r,
    # minimise 1 + s^2 - 2 r s subject to -1/2 log2(1 - r^2) <= R and (s^2 - 1)/2 - log s <= P, from
    # several starts; 1e-6. At R = 1, P = 0.01 it is 0.251274.
    constraints = [
        {"type": "ineq", "fun": lambda v: bits + 0.5 * np.log2(1 - v[1] ** 2)},
        {"type": "ineq", "fun": lambda v: P - (v[0] ** 2 - 1) / 2 + np.log(v[0])},
    ]
    best = min(
        minimize(
            lambda v: 1 + v[0] ** 2 - 2 * v[0] * v[1], start, method="SLSQP",
            bounds=[(1e-3, 3), (0, 1 - 1e-9)], constraints=constraints,
            options={"ftol": 1e-12, "maxiter": 500},
        ).fun
        for start in ([1.0, 0.1], [0.9, 0.5], [1.1, 0.3])
    )  # fmt: skip
    assert float(gaussian_distortion_kl(bits, P)) == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize(
    ("spectrum", "bits", "P"),
    [([4.0, 1.0], 1.0, 0.01), ([4.0, 1.0, 0.25], 2.0, 0.3), ([1.0, 0.5, 0.2, 0.1], 0.7, 0.05)],
)
def test_vector_gaussian_against_a_conic_solver(spectrum, bits, P):
    # Oracle: cvxpy with Clarabel on shares of variance, which knows nothing of the multipliers; relative 1e-6.
    # The shares returned are measured here: both budgets, and the upper end.
    u, v = cvxpy.Variable(len(spectrum), nonneg=True), cvxpy.Variable(len(spectrum), nonneg=True)
    roots = cvxpy.hstack([cvxpy.geo_mean(cvxpy.hstack([a, b])) for a, b in zip(u, v, strict=True)])
    problem = cvxpy.Problem(
        cvxpy.Minimize(np.array(spectrum) @ (1 + v - 2 * roots)),
        [
            -0.5 * cvxpy.sum(cvxpy.log(1 - u)) <= bits * np.log(2),
            0.5 * cvxpy.sum(v - 1 - cvxpy.log(v)) <= P,
        ],
    )
    problem.solve(solver=cvxpy.CLARABEL)
    b = vector_gaussian_distortion_kl(spectrum, bits, P)
    assert b.upper_distortion - b.lower_distortion <= 1e-10 * b.distortion
    assert b.distortion == pytest.approx(problem.value, rel=1e-6)
    x, y = b.conveyed, b.variances
    assert -0.5 * np.sum(np.log2(1 - x)) <= bits * (1 + 1e-9)
    assert 0.5 * np.sum(y - 1 - np.log(y)) <= P * (1 + 1e-9)
    attained = float(np.array(spectrum) @ (1 + y - 2 * np.sqrt(x * y)))
    assert attained == pytest.approx(b.upper_distortion, rel=1e-9)


@pytest.mark.parametrize(("bits", "P"), [(1.0, 0.01), (0.0, 0.1), (5.0, 1e-8), (30.0, 1e-30)])
def test_one_component_is_the_scalar(bits, P):
    # Oracle: the closed form; relative 1e-10.
    b = vector_gaussian_distortion_kl([2.0], bits, P)
    assert b.distortion == pytest.approx(float(gaussian_distortion_kl(bits, P, 2.0)), rel=1e-10)


def test_vector_gaussian_at_its_edges():
    # Oracles: equality of laws (the same programme as W2 = 0), Shannon's distortion, spectra over 30 decades; 1e-7.
    spectrum = [4.0, 1.0, 0.0]
    same = vector_gaussian_distortion(spectrum, 1.0, 0.0, np.inf).distortion
    for P in (0.0, 1e-38):
        assert vector_gaussian_distortion_kl(spectrum, 1.0, P).distortion == pytest.approx(
            same, rel=1e-7
        )
    loose = vector_gaussian_distortion_kl(spectrum, 3.0, np.inf).distortion
    assert loose == pytest.approx(float(np.sum(reverse_water_filling(spectrum, 3.0))), rel=1e-12)
    wide = vector_gaussian_distortion_kl([1.0, 1e-12, 3e-5], 20.0, 40.0)
    assert wide.upper_distortion - wide.lower_distortion <= 1e-7 * wide.distortion
    with pytest.raises(InvalidSetting):
        vector_gaussian_distortion_kl(spectrum, 1.0, -0.1)
