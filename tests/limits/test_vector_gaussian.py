"""The vector Gaussian programme against the scalar closed form, cvxpy and known figures."""

import cvxpy
import numpy as np
import pytest

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
