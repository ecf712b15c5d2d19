"""Prices from a network's numbers, and the residual scale."""

import numpy as np
import pytest

from veridical.errors import BadWeights, InvalidSetting
from veridical.photo.condition import Condition, ResidualScale
from veridical.photo.price import LEAST, calibration_of


def conditions(n, seed=0):
    rng = np.random.default_rng(seed)
    return [Condition(float(2 ** rng.uniform(-4, 1)), float(rng.uniform(0, 1))) for _ in range(n)]


def test_a_picture_costs_the_mean_of_its_windows():
    # Oracle: arithmetic, 1e-9: means of errors and costs; the root of the mean variance in decibels.
    d, c, v = np.array([1e-3, 3e-3]), np.array([2e-3, 4e-3]), np.array([0.04, 0.12])
    price = calibration_of(np.stack([np.log(d + LEAST), np.log(c + LEAST), np.log(v)], 1))
    assert price.mmse == pytest.approx(2e-3, rel=1e-9)
    assert price.transport_cost == pytest.approx(3e-3, rel=1e-9)
    assert price.uncertainty_db == pytest.approx(10 / np.log(10) * np.sqrt(0.08), rel=1e-9)
    assert {type(v) for v in vars(price).values()} == {float}


def test_prices_are_bounded():
    # Oracle: contract: errors between LEAST / 10 and a quarter of the squared range, at most 12 dB of uncertainty.
    low = calibration_of(np.array([[-1e30, -1e30, -1e30]]))
    high = calibration_of(np.array([[1e30, 1e30, 1e30]]))
    assert (low.mmse, low.transport_cost) == pytest.approx((LEAST / 10, LEAST / 10))
    assert (high.mmse, high.transport_cost, high.uncertainty_db) == (0.25, 0.25, 12.0)


@pytest.mark.parametrize("predicted", [np.zeros((1, 2)), np.zeros(3), np.full((1, 3), np.nan)])
def test_what_is_no_price_is_refused(predicted):
    with pytest.raises(BadWeights):
        calibration_of(predicted)


def test_residual_scale_is_fitted_and_bounded():
    # Oracle: data from the model; relative 1 %; and the stated bounds.
    cs = conditions(300)
    mse = np.array([2 ** (-9 - 1.2 * c.log2_bpp + 2 * c.quantizer) for c in cs])
    scale = ResidualScale.fit(cs, mse)
    for c, m in zip(cs[:30], mse, strict=False):
        assert scale(c) == pytest.approx(min(0.3, np.sqrt(m)), rel=0.01)
    assert 0.001 <= scale(Condition(1e6, 0.0)) <= 0.3
    assert 0.001 <= scale(Condition(1e-9, 1.0)) <= 0.3


@pytest.mark.parametrize("bpp", [0, -1.0])
def test_rates_must_be_positive(bpp):
    with pytest.raises(InvalidSetting):
        Condition(bpp)
