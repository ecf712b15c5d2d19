"""The blend and its price list."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veridical.errors import InvalidSetting
from veridical.interpolate import Calibration, check_perception, check_realism, interpolate

costs = st.floats(1e-6, 1e3)
realisms = st.floats(0, 1)


@given(costs, costs, realisms)
def test_realism_and_perception_are_inverse(d, c, a):
    # Oracle: algebra, P = (1-a)^2 C  <=>  a = 1 - sqrt(P/C); rounding only, 1e-7 absolute
    # (the square root of a rounding error of 1e-16).
    price = Calibration(d, c)
    assert price.realism_for(price.perception_at(a)) == pytest.approx(a, abs=1e-7)


@given(costs, costs, st.floats(0, 2e3))
def test_distortion_of_a_perception_is_that_of_its_realism(d, c, p):
    # Oracle: two formulas of [T], (38) and (41)+(43), must agree; relative 1e-9.
    price = Calibration(d, c)
    assert price.distortion_for(p) == pytest.approx(
        price.distortion_at(price.realism_for(p)), rel=1e-9
    )


@given(costs, costs)
def test_ends_of_the_curve(d, c):
    # Oracle: [T] eq. 9: no constraint costs d, perfect realism d + C. Exact.
    price = Calibration(d, c)
    assert price.distortion_for(math.inf) == d
    assert price.distortion_at(0) == d
    assert price.distortion_for(0) == pytest.approx(d + c, rel=1e-12)
    assert price.realism_for(0) == 1


def test_price_of_a_gaussian_quantized_to_one_bit():
    # Oracle: X ~ N(0,1), Z = sign X: E[X|Z] = +-sqrt(2/pi), d = 1 - 2/pi, and posterior sampling
    # has C = d, so realism 1 costs 2d ([T] Prop. 1). Monte Carlo, n = 200,000, fixed seed,
    # |measured - predicted| < 4 standard errors. Would miss an error below 0.4 %.
    rng = np.random.default_rng(7)
    x = rng.standard_normal(200_000)
    sign = np.sign(x)
    x_mmse = sign * math.sqrt(2 / math.pi)
    x_real = sign * np.abs(rng.standard_normal(len(x)))
    d = 1 - 2 / math.pi
    price = Calibration(d, d)
    for a in (0.0, 0.3, 0.7, 1.0):
        error = (x - interpolate(x_mmse, x_real, a)) ** 2
        tolerance = 4 * error.std() / math.sqrt(len(error))
        assert abs(error.mean() - price.distortion_at(a)) < tolerance


def test_ends_of_the_blend_are_exact():
    # Oracle: definition; bit-exact.
    a, b = np.array([0.1, 0.2]), np.array([0.3, 0.7])
    assert interpolate(a, b, 0) is a
    assert interpolate(a, b, 1) is b


@pytest.mark.parametrize("bad", [-0.1, 1.1, math.nan, math.inf, "1", None, True])
def test_realism_outside_its_domain(bad):
    with pytest.raises(InvalidSetting, match="realism"):
        check_realism(bad)


@pytest.mark.parametrize("bad", [-1e-9, math.nan, "0", None])
def test_perception_outside_its_domain(bad):
    with pytest.raises(InvalidSetting, match="perception"):
        check_perception(bad)


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_calibration_refuses_impossible_prices(bad):
    with pytest.raises(InvalidSetting):
        Calibration(bad, 1.0)
    with pytest.raises(InvalidSetting):
        Calibration(1.0, bad)


def test_shapes_must_agree():
    with pytest.raises(InvalidSetting, match="shape"):
        interpolate(np.zeros(2), np.zeros(3), 0.5)
