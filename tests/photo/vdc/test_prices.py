"""Prices of ``.vdc`` files: what they refuse, and interpolation in quality."""

import json

import numpy as np
import pytest

from veridical.errors import InvalidSetting
from veridical.photo.vdc.prices import ByRate, QualityPrices


def test_prices_are_interpolated():
    # Oracle: geometric mean half-way.
    q, d = np.array([0, 100]), np.array([0.01, 0.0001])
    half = QualityPrices(q, d, np.array([0.09, 0.01])).calibration(50)
    assert (half.mmse, half.transport_cost) == pytest.approx((0.001, 0.03))
    early = QualityPrices(q, d)
    assert early.error(50) == pytest.approx(0.001)
    assert early.calibration(50) is None


def test_prices_go_by_bits_per_pixel():
    # Oracle: pictures whose errors and costs are powers of their bits per pixel, at each quality others; 1e-9.
    # With noise its deviation, and the mean of the errors about the line; four of their own standard errors.
    rng = np.random.default_rng(0)
    q, bits = np.array([0, 100]), np.exp(rng.uniform(-2, 1, (400, 2)))
    noise = rng.normal(0, 0.1, bits.shape)
    mmse, cost = 0.001 * bits ** np.array([1, 2]), 0.002 * bits ** np.array([0.5, 3])
    exact = QualityPrices.fitted(q, bits, mmse, cost)
    for k in range(2):
        found = exact.calibration(int(q[k]), 0.5)
        expected = (0.001 * 0.5 ** (1, 2)[k], 0.002 * 0.5 ** (0.5, 3)[k])
        assert (found.mmse, found.transport_cost) == pytest.approx(expected, rel=1e-9)
        assert found.uncertainty_db == pytest.approx(0, abs=1e-9)
    noisy = QualityPrices.fitted(q, bits, mmse * np.exp(noise), cost)
    spread = 10 / np.log(10) * 0.1
    told = [noisy.error(0, b) for b in bits[:, 0]]
    assert np.mean(mmse[:, 0] * np.exp(noise[:, 0]) / told) == pytest.approx(1, abs=4 * 0.1 / 20)
    assert noisy.calibration(0, 0.5).uncertainty_db == pytest.approx(spread, rel=4 / np.sqrt(800))
    # Bits far beyond those measured are not followed; without bits the price is that of a usual picture.
    assert exact.error(0, 1e9) == exact.error(0, 1e8)
    assert exact.error(0) == pytest.approx(0.001 * np.exp(np.log(bits[:, 0]).mean()))


def test_one_picture_gives_no_line():
    # Oracle: the picture itself, whatever the bits.
    one = QualityPrices.fitted(
        np.array([0]), np.array([[0.3]]), np.array([[0.01]]), np.array([[0.01]])
    )
    assert one.error(0, 0.1) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("q", "d", "c"),
    [
        ([0], [0.0], [1.0]),
        ([1, 0], [1.0, 1.0], [1.0, 1.0]),
        ([0], [1.0], [1.0, 2.0]),
        ([0], [1.0], [0.0]),
        ([], [], []),
    ],
)
def test_impossible_prices_are_refused(q, d, c):
    with pytest.raises(InvalidSetting):
        QualityPrices(np.array(q), np.array(d), np.array(c))


@pytest.mark.parametrize("cost", [None, np.array([0.04, 0.01])])
@pytest.mark.parametrize("by_rate", [None, ByRate(*np.arange(8.0).reshape(4, 2))])
def test_prices_survive_a_header(cost, by_rate):
    # Oracle: the numbers themselves, by way of JSON.
    prices = QualityPrices(np.array([0, 100]), np.array([0.01, 0.0001]), cost, by_rate)
    again = QualityPrices.of(json.loads(json.dumps(prices.as_json())))
    assert again.as_json() == prices.as_json()
