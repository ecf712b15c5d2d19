"""D at a given rate: against the closed form, the forward solver, and theory with any reproduction."""

import math

import cvxpy
import numpy as np
import pytest
from scipy.optimize import brentq

from veridical.errors import InvalidSetting
from veridical.limits import (
    FiniteSource,
    TotalVariation,
    bernoulli_distortion,
    distortion_at_rate,
    least_distortion,
    least_rate,
    shannon_distortion_lower,
)
from veridical.limits.coupling import best_coupling, information
from veridical.limits.divergence import by_name

_COIN = FiniteSource([0.9, 0.1], [[0, 1], [1, 0]])


@pytest.mark.parametrize("R", [0.0, 0.1, 0.4])
@pytest.mark.parametrize("P", [0.0, 0.02, 0.3])
def test_against_the_bernoulli_closed_form(R, P):
    # Oracle: [BM] eq. 6 solved for D (bisection of the closed form, 1e-9); the bracket, relative to D at R = 0, 1e-6.
    b = distortion_at_rate(_COIN, R, P, divergence=TotalVariation())
    exact = float(bernoulli_distortion(0.1, R, P))
    assert b.lower_distortion - 1e-9 <= exact <= b.upper_distortion + 1e-9
    assert b.gap <= 2e-7


@pytest.mark.parametrize(
    "name", ["tv", "w2", "kl", "kl-reverse", "chi2", "hellinger", "js", "renyi"]
)
def test_it_is_the_inverse(name):
    # Oracle: least_rate at both ends of the bracket (solver of R at D, its own certificate): the rates enclose R, 1e-6 bits.
    rng = np.random.default_rng(4)
    p, x = rng.dirichlet(np.ones(6)), rng.normal(size=6)
    source, measure = (
        FiniteSource(p, np.square(x[:, None] - x)),
        by_name(name, cost=np.abs(x[:, None] - x)),
    )
    b = distortion_at_rate(source, 0.7, 0.03, divergence=measure)
    assert least_rate(source, b.lower_distortion * 0.999, 0.03, divergence=measure).upper_bits > 0.7
    assert least_rate(source, b.upper_distortion, 0.03, divergence=measure).lower_bits <= 0.7 + 1e-6
    q = p @ b.channel
    assert measure.value(p, q) <= 0.03 * (1 + 1e-6)
    assert information(p[:, None] * b.channel) <= 0.7 * math.log(2) + 1e-9


def test_enough_rate_leaves_the_least_distortion_of_the_perception():
    # Oracle: a linear programme written here with cvxpy (total variation at most P, any rate), 1e-6.
    rng = np.random.default_rng(8)
    p, d = rng.dirichlet(np.ones(5)), rng.uniform(size=(5, 5))
    J = cvxpy.Variable((5, 5), nonneg=True)
    rules = [cvxpy.sum(J, axis=1) == p, 0.5 * cvxpy.norm1(cvxpy.sum(J, axis=0) - p) <= 0.1]
    exact = cvxpy.Problem(cvxpy.Minimize(cvxpy.sum(cvxpy.multiply(J, d))), rules).solve(
        solver=cvxpy.CLARABEL
    )
    b = distortion_at_rate(FiniteSource(p, d), 3.0, 0.1, divergence=TotalVariation())
    assert b.distortion == pytest.approx(exact, abs=1e-6)


def test_rates_that_no_finite_distortion_allows_are_refused():
    # Oracle: forbidden pairs leave the identity alone, which needs the entropy.
    d = np.where(np.eye(3) > 0, 0.0, np.inf)
    with pytest.raises(InvalidSetting, match="finite distortion"):
        distortion_at_rate(FiniteSource([0.5, 0.3, 0.2], d), 0.5)
    with pytest.raises(InvalidSetting, match="divergence"):
        distortion_at_rate(_COIN, 0.5, 0.1)


@pytest.mark.parametrize("R", [0.05, 0.3, 0.9])
def test_shannon_with_any_reproduction_of_a_fair_coin(R):
    # Oracle: E[X | U] = +-m with h((1 - m)/2) = 1 - R is best, since the entropy is concave in m^2; 1e-6.
    def h(e):
        return -e * math.log2(e) - (1 - e) * math.log2(1 - e)

    m = 1 - 2 * brentq(lambda e: h(e) - (1 - R), 1e-12, 0.5)
    found = shannon_distortion_lower([-1.0, 1.0], [0.5, 0.5], R)
    assert found == pytest.approx(1 - m**2, abs=1e-6)
    assert found <= 1 - m**2 + 1e-12
    # Without common randomness perfect realism costs twice that, and the bracket closes.
    b = least_distortion([-1.0, 1.0], [0.5, 0.5], R, 0.0)
    assert b.upper_distortion == pytest.approx(2 * (1 - m**2), abs=1e-5)
    assert b.gap <= 1e-5


@pytest.mark.parametrize("nats", [0.01, 0.3, 0.9, 5.0])
def test_couplings_against_a_conic_solver(nats):
    # Oracle: cvxpy with Clarabel, the mean gain to 1e-5; the budget to rounding and the marginals to 1e-14.
    rng = np.random.default_rng(2)
    gain, rows, columns = (
        rng.normal(size=(4, 5)),
        rng.dirichlet(np.ones(4)),
        rng.dirichlet(np.ones(5)),
    )
    J = cvxpy.Variable((4, 5), nonneg=True)
    budget = cvxpy.sum(cvxpy.rel_entr(J, np.outer(rows, columns))) <= nats
    rules = [cvxpy.sum(J, axis=1) == rows, cvxpy.sum(J, axis=0) == columns, budget]
    exact = cvxpy.Problem(cvxpy.Maximize(cvxpy.sum(cvxpy.multiply(J, gain))), rules).solve(
        solver=cvxpy.CLARABEL
    )
    found = best_coupling(gain, rows, columns, nats)
    assert float(np.sum(found * gain)) == pytest.approx(exact, abs=1e-5)
    assert information(found) <= nats * (1 + 1e-12)
    np.testing.assert_allclose(found.sum(0), columns, atol=1e-14)
    np.testing.assert_allclose(found.sum(1), rows, atol=1e-14)
