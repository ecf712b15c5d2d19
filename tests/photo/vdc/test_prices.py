"""Prices of ``.vdc`` files: what they refuse, and interpolation in quality and steps."""

import json

import numpy as np
import pytest

from veridical.errors import InvalidSetting
from veridical.photo.vdc.prices import QualityPrices


def test_prices_are_interpolated():
    # Oracle: geometric mean half-way; numbers of steps between two take the nearest below.
    costs = np.array([[0.04, 0.01], [0.09, 0.01]])
    prices = QualityPrices(np.array([0, 100]), np.array([0.01, 0.0001]), costs, (1, 4))
    for steps, cost in ((1, 0.02), (3, 0.02), (4, 0.03), (9, 0.03)):
        half = prices.calibration(50, steps)
        assert (half.mmse, half.transport_cost) == pytest.approx((0.001, cost))


def test_prices_without_a_generator():
    early = QualityPrices.without_cost(np.array([0, 100]), np.array([0.01, 0.0001]))
    assert not early.complete
    assert early.error(50) == pytest.approx(0.001)
    with pytest.raises(InvalidSetting, match="transport cost"):
        early.calibration(50, 4)


@pytest.mark.parametrize(
    ("q", "d", "c", "steps"),
    [
        ([0], [0.0], [[1.0]], (1,)),
        ([1, 0], [1.0, 1.0], [[1.0, 1.0]], (1,)),
        ([0], [1.0], [[1.0, 2.0]], (1,)),
        ([0], [1.0], [[0.0]], (1,)),
        ([0], [1.0], [[1.0], [1.0]], (4, 1)),
        ([0], [1.0], [[1.0]], (1, 4)),
    ],
)
def test_impossible_prices_are_refused(q, d, c, steps):
    with pytest.raises(InvalidSetting):
        QualityPrices(np.array(q), np.array(d), np.array(c), steps)


def test_prices_survive_a_header():
    # Oracle: the numbers themselves, by way of JSON.
    for prices in (
        QualityPrices(np.array([0, 100]), np.array([0.01, 0.0001]), np.array([[0.04, 0.01]]), (1,)),
        QualityPrices.without_cost(np.array([0, 100]), np.array([0.01, 0.0001])),
    ):
        again = QualityPrices.of(json.loads(json.dumps(prices.as_json())))
        assert again.as_json() == prices.as_json()
        assert again.cost.shape == prices.cost.shape
