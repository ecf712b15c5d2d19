"""Sample distances against an assignment solver, POT in one dimension, and closed forms."""

import math

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from veridical.errors import InvalidSetting
from veridical.measure import exact_w2_squared, sliced_w2_squared

_SEEDS = st.integers(0, 2**32 - 1)


@given(_SEEDS, st.integers(4, 30), st.integers(1, 4))
def test_exact_distance_is_the_best_assignment(seed, n, dimension):
    # Oracle: scipy's assignment solver (equal weights, equal sizes); 1e-10 relative.
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, n, dimension))
    cost = cdist(x, y, "sqeuclidean")
    expected = cost[linear_sum_assignment(cost)].mean()
    assert exact_w2_squared(x, y, splits=2).value == pytest.approx(expected, rel=1e-10)


@given(_SEEDS, st.integers(4, 25), st.integers(4, 25))
@settings(max_examples=25)
def test_unequal_sizes_in_one_dimension(seed, n, m):
    # Oracle: POT's one-dimensional solver; both of ours must agree with it; 1e-10.
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, 1)), rng.normal(size=(m, 1)) + 0.5
    expected = float(ot.emd2_1d(x, y, metric="sqeuclidean"))
    sliced = sliced_w2_squared(x, y, 3, rng, splits=2)
    assert exact_w2_squared(x, y, splits=2).value == pytest.approx(expected, abs=1e-10)
    assert sliced.value == pytest.approx(expected, abs=1e-10)


@given(_SEEDS, st.integers(1, 5))
@settings(max_examples=25)
def test_a_shifted_sample_is_its_shift_away(seed, dimension):
    # Oracle: a translation is an optimal map, W2^2 = |s|^2; 1e-9.
    rng = np.random.default_rng(seed)
    x, shift = rng.normal(size=(20, dimension)), rng.normal(size=dimension)
    assert exact_w2_squared(x, x + shift).value == pytest.approx(shift @ shift, abs=1e-9)
    assert exact_w2_squared(x, x).value == pytest.approx(0.0, abs=1e-12)


@pytest.mark.statistical
def test_sliced_distance_of_a_shift():
    # Oracle: E (u.s)^2 = |s|^2 / d over random directions u; the samples are each other's
    # translate, so only the directions are random: |error| < 4 standard errors. Would miss a
    # relative error below 15 %.
    rng = np.random.default_rng(3)
    x, shift = rng.normal(size=(50, 6)), np.array([2.0, 0, 0, 1.0, 0, 0])
    measured = sliced_w2_squared(x, x + shift, 2000, rng)
    assert abs(measured.value - 5 / 6) < 4 * measured.standard_error
    assert measured.standard_error < 0.04


@pytest.mark.statistical
@pytest.mark.parametrize("exact", [True, False])
def test_gaussian_closed_form_in_one_dimension(exact):
    # Oracle: W2^2(N(0,1), N(1,4)) = 1 + 1 = 2; n = 3,000 (exact: 1,000), fixed seed;
    # |error| < 4 standard errors + 0.02 of upward bias. Would miss an error below about 15 %.
    rng = np.random.default_rng(8)
    n = 1000 if exact else 3000
    x, y = rng.normal(size=(n, 1)), 1 + 2 * rng.normal(size=(n, 1))
    measured = exact_w2_squared(x, y) if exact else sliced_w2_squared(x, y, 2, rng)
    assert abs(measured.value - 2.0) < 4 * measured.standard_error + 0.02
    assert 0.01 < measured.standard_error < 0.2


@pytest.mark.statistical
def test_the_standard_error_is_the_spread_over_fresh_samples():
    # Oracle: standard deviation over 60 fresh samples of the same laws, fixed seed; the root
    # mean square of the claimed errors must be within 30 % of it (both known to about 10 %).
    rng = np.random.default_rng(21)
    measured = [
        exact_w2_squared(rng.normal(size=(200, 2)), 1 + rng.normal(size=(200, 2)))
        for _ in range(60)
    ]
    spread = np.std([m.value for m in measured], ddof=1)
    claimed = math.sqrt(np.mean([m.standard_error**2 for m in measured]))
    assert claimed == pytest.approx(spread, rel=0.3)


def test_the_same_generator_state_gives_the_same_number():
    x, y = np.random.default_rng(1).normal(size=(2, 40, 3))
    first = sliced_w2_squared(x, y, 10, np.random.default_rng(4))
    assert first == sliced_w2_squared(x, y, 10, np.random.default_rng(4))


@pytest.mark.parametrize(
    ("x", "y", "splits"),
    [
        (np.zeros((10, 2)), np.zeros((10, 3)), 2),
        (np.zeros(10), np.zeros(10), 2),
        (np.zeros((10, 0)), np.zeros((10, 0)), 2),
        (np.full((10, 2), np.nan), np.zeros((10, 2)), 2),
        (np.zeros((10, 2)), np.zeros((10, 2)), 1),
        (np.zeros((10, 2)), np.zeros((3, 2)), 2),
    ],
)
def test_unusable_samples_are_refused(x, y, splits):
    with pytest.raises(InvalidSetting):
        exact_w2_squared(x, y, splits=splits)
    with pytest.raises(InvalidSetting):
        sliced_w2_squared(x, y, 5, np.random.default_rng(0), splits=splits)


def test_a_single_direction_is_refused():
    with pytest.raises(InvalidSetting, match="directions"):
        sliced_w2_squared(np.zeros((20, 2)), np.zeros((20, 2)), 1, np.random.default_rng(0))


@pytest.mark.parametrize(("unit", "origin"), [(1e-60, 0.0), (1e-8, 0.0), (1e60, 0.0), (1.0, 1e8)])
def test_any_unit_and_origin(unit, origin):
    # Oracle: squared units, whatever the origin; 1e-9 relative, 1e-6 where coordinates have eight digits left.
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(40, 2)), rng.normal(size=(40, 2)) + 0.5
    expected = exact_w2_squared(x, y, splits=2).value
    found = exact_w2_squared(x * unit + origin, y * unit + origin, splits=2).value
    assert found == pytest.approx(expected * unit**2, rel=1e-6 if origin else 1e-9, abs=0)
