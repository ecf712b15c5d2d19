"""The price list and the residual scale."""

import numpy as np
import pytest

from veridical.errors import BadWeights, InvalidSetting
from veridical.photo.condition import Condition, ResidualScale
from veridical.photo.price import PriceList, fit_log_linear


def conditions(n, seed=0):
    rng = np.random.default_rng(seed)
    return [Condition(float(2 ** rng.uniform(-4, 1)), float(rng.uniform(0, 1))) for _ in range(n)]


def beliefs(n, seed=1):
    """Errors that an estimator might expect of pictures."""
    return np.exp(np.random.default_rng(seed).normal(-7, 1, n))


def fitted(cs, expected, mmse, cost):
    """To photographs of one unevenness."""
    return PriceList.fit(cs, expected, np.full(len(cs), 0.7), mmse, cost, np.ones(len(cs), bool))


def test_the_fit_finds_its_own_law():
    # Oracle: data without noise from the model; relative 1e-3.
    cs, expected = conditions(300), beliefs(300)
    truth = np.array([np.exp(-1 - 0.3 * c.log2_bpp + 1.5 * c.quantizer) for c in cs])
    truth = truth * expected**0.8
    prices = fitted(cs, expected, truth, 0.5 * truth)
    for c, e, d in zip(cs[:60], expected, truth, strict=False):
        assert prices.calibration(c, e, 0.7).mmse == pytest.approx(d, rel=1e-3)
        assert prices.calibration(c, e, 0.7).transport_cost == pytest.approx(0.5 * d, rel=1e-3)


def test_ratios_average_one_with_noise():
    # Oracle: the normal equations of gamma regression with a constant: the ratios of measurement to
    # prediction average 1; 1e-6.
    rng = np.random.default_rng(0)
    x = np.c_[np.ones(500), rng.normal(size=(500, 2))]
    y = np.exp(x @ [-6, 0.7, -0.2]) * rng.gamma(1, 1, 500)
    w = fit_log_linear(x, y)
    assert np.mean(y / np.exp(x @ w)) == pytest.approx(1, abs=1e-6)


def test_the_uncertainty_is_that_of_predictions():
    # Oracle: data from the model with errors of exp(.5 u - .8) dB at unevenness u, photographs at u near .7 and others
    # anywhere up to 3; 4,000 files of each, within 15 %: the mean of photographs is fitted, the law is a parabola.
    rng = np.random.default_rng(2)
    cs, e = conditions(8000), beliefs(8000)
    usual = np.arange(8000) < 4000
    u = np.where(usual, rng.uniform(0.5, 0.9, 8000), rng.uniform(0, 3, 8000))
    off = np.exp(0.5 * u - 0.8) * rng.normal(size=8000)
    d = e * 10 ** (off / 10)
    prices = PriceList.fit(cs, e, u, d, d, usual)
    for condition in (Condition(0.5, 0.5), Condition(0.5)):
        for seen in (0.7, 1.5, 2.5):
            found = prices.calibration(condition, 1e-3, seen).uncertainty_db
            assert found == pytest.approx(np.exp(0.5 * seen - 0.8), rel=0.15)
    assert prices.calibration(Condition(0.5), 1e-3, 1e9).uncertainty_db <= 12


def test_unknown_quantizers_have_a_price():
    # Oracle: the model without the terms in the quantizer; relative 1e-3.
    cs, expected = conditions(300), beliefs(300)
    d = np.array([np.exp(-0.8 * c.log2_bpp) for c in cs]) * expected
    prices = fitted(cs, expected, d, d)
    c = Condition(0.5)
    assert prices.calibration(c, 2e-3, 0.7).mmse == pytest.approx(2e-3 * np.exp(0.8), rel=1e-3)


def test_no_measurements():
    with pytest.raises(InvalidSetting):
        fit_log_linear(np.ones((0, 1)), np.ones(0))


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


@pytest.mark.parametrize(
    "spoil",
    [
        lambda v: v["mmse"].pop(),
        lambda v: v["cost"].append([]),
        lambda v: v["spread"].append(1.0),
        lambda v: v["mmse"][0].__setitem__(0, float("nan")),
    ],
)
def test_misshapen_price_lists_are_refused(spoil):
    cs = conditions(60)
    d = np.full(60, 1e-3)
    values = fitted(cs, beliefs(60), d, d).as_json()
    assert PriceList.of(values).as_json() == values
    spoil(values)
    with pytest.raises((BadWeights, ValueError)):
        PriceList.of(values)
