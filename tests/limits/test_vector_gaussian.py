"""The vector Gaussian programme against the scalar closed form, cvxpy and known figures."""

import cvxpy
import numpy as np
import pytest
from scipy.optimize import minimize

from veridical.errors import InvalidSetting
from veridical.limits import (
    gaussian_distortion,
    oblivious_distortion,
    reverse_water_filling,
    vector_gaussian_distortion,
)

_SPECTRUM = [4.0, 1.0, 0.25, 0.05]


@pytest.mark.parametrize("P", [0.0, 0.05, 2.0])
@pytest.mark.parametrize("Rc", [0.0, 0.7, np.inf])
def test_one_component_is_the_scalar_closed_form(P, Rc):
    # Oracle: [T] eq. 65; the bracket (1e-7 of the variance) contains it within rounding.
    b = vector_gaussian_distortion([2.0], 1.0, P, Rc)
    exact = float(gaussian_distortion(1.0, P, Rc, 2.0))
    assert b.lower_distortion - 1e-12 <= exact <= b.upper_distortion + 1e-12
    assert b.upper_distortion - b.lower_distortion <= 2e-7


@pytest.mark.parametrize("Rc", [0.5, 8.0])
def test_against_cvxpy_at_equal_laws(Rc):
    # Oracle: cvxpy with Clarabel on the same programme at P=0 (the geometric mean is conic); 1e-5.
    spectrum, R = np.array(_SPECTRUM), 1.0
    u, v = cvxpy.Variable(4, nonneg=True), cvxpy.Variable(4, nonneg=True)
    root = sum(spectrum[i] * cvxpy.geo_mean(cvxpy.hstack([u[i], v[i]])) for i in range(4))
    budgets = [
        -0.5 * cvxpy.sum(cvxpy.log(1 - u)) <= R * np.log(2),
        -0.5 * cvxpy.sum(cvxpy.log(1 - v)) <= (R + Rc) * np.log(2),
    ]
    problem = cvxpy.Problem(cvxpy.Minimize(2 * spectrum.sum() - 2 * root), budgets)
    problem.solve(solver=cvxpy.CLARABEL)
    b = vector_gaussian_distortion(_SPECTRUM, R, 0.0, Rc)
    assert b.distortion == pytest.approx(problem.value, abs=1e-5)


def test_the_oblivious_encoder():
    # Oracle: optimal without common randomness (1e-6), 20.5 % worse at Rc=8, P=0 (to 0.1 %).
    for P in (0.0, 0.1):
        best = vector_gaussian_distortion(_SPECTRUM, 1.0, P).distortion
        assert oblivious_distortion(_SPECTRUM, 1.0, P) == pytest.approx(best, abs=1e-6)
    best = vector_gaussian_distortion(_SPECTRUM, 1.0, 0.0, 8.0).distortion
    assert oblivious_distortion(_SPECTRUM, 1.0, 0.0, 8.0) / best - 1 == pytest.approx(
        0.205, abs=1e-3
    )


def test_the_oblivious_encoder_at_small_rates():
    # Oracle: optimal without common randomness (1e-6); the multiplier of so small a budget is large.
    best = vector_gaussian_distortion(_SPECTRUM, 0.01, 0.0).distortion
    assert oblivious_distortion(_SPECTRUM, 0.01, 0.0) == pytest.approx(best, abs=1e-6)


def test_reverse_water_filling_spends_the_rate():
    # Oracle: the definition: one level, and the rate is met to 1e-12.
    D = reverse_water_filling(_SPECTRUM, 1.5)
    assert np.sum(0.5 * np.log2(np.array(_SPECTRUM) / D)) == pytest.approx(1.5, abs=1e-12)
    assert np.ptp(D[np.array(_SPECTRUM) > D]) < 1e-12


def test_bad_spectra_are_refused():
    for bad in ([], [-1.0], [np.nan], [0.0], [np.inf]):
        with pytest.raises(InvalidSetting):
            vector_gaussian_distortion(bad, 1.0, 0.0)


@pytest.mark.parametrize("R", [30.0, 1000.0])
@pytest.mark.parametrize("Rc", [0.0, 1.0, 8.0, np.inf])
@pytest.mark.parametrize("share", [0.0, 0.1])
def test_many_components_and_high_rates(R, Rc, share):
    # Oracles: the bracket itself, 1e-7 of D; D decreases in Rc and lies between Shannon's distortion and twice that.
    spectrum = np.exp(-np.arange(256) / 20.0)
    shannon = float(np.sum(reverse_water_filling(spectrum, R)))
    b = vector_gaussian_distortion(spectrum, R, share * shannon, Rc)
    none = vector_gaussian_distortion(spectrum, R, share * shannon)
    assert b.upper_distortion - b.lower_distortion <= 1e-7 * b.upper_distortion
    assert shannon * (1 - 1e-9) <= b.upper_distortion <= none.upper_distortion * (1 + 1e-9)
    assert none.upper_distortion <= 2 * shannon * (1 + 1e-9)
    assert np.sum(-0.5 * np.log2(1 - b.conveyed[b.conveyed < 1])) <= R * (1 + 1e-9)


def test_against_a_search_with_perception():
    # Oracle: sequential quadratic programming over (u, v) from several starts, which knows no multipliers; 1e-6.
    spectrum, R, Rc, P = np.array([2.0, 0.7, 0.1]), 1.2, 0.8, 0.15

    def value(x):
        u, v = x[:3], x[3:]
        W = float(spectrum @ (1 + u - 2 * np.sqrt(u * v)))
        return float(spectrum @ (1 - u)) + max(np.sqrt(W) - np.sqrt(P), 0.0) ** 2

    budgets = [
        {"type": "ineq", "fun": lambda x: R + 0.5 * np.sum(np.log2(1 - x[:3]))},
        {"type": "ineq", "fun": lambda x: R + Rc + 0.5 * np.sum(np.log2(1 - x[3:]))},
    ]
    rng = np.random.default_rng(0)
    best = min(
        minimize(
            value, rng.uniform(0.05, 0.5, 6), method="SLSQP", bounds=[(1e-9, 1 - 1e-9)] * 6,
            constraints=budgets, options={"ftol": 1e-13, "maxiter": 1000},
        ).fun
        for _ in range(6)
    )  # fmt: skip
    b = vector_gaussian_distortion(spectrum, R, P, Rc)
    assert b.lower_distortion - 1e-9 <= best
    assert best == pytest.approx(b.upper_distortion, abs=1e-6)
