"""Prices of ``.vdc`` files: what they refuse, and interpolation in quality."""

import json

import numpy as np
import pytest

from veridical.errors import InvalidSetting
from veridical.photo.vdc.prices import QualityPrices


def test_prices_are_interpolated():
    # Oracle: geometric mean half-way.
    q, d = np.array([0, 100]), np.array([0.01, 0.0001])
    half = QualityPrices(q, d, np.array([0.09, 0.01])).calibration(50)
    assert (half.mmse, half.transport_cost) == pytest.approx((0.001, 0.03))
    early = QualityPrices(q, d)
    assert early.error(50) == pytest.approx(0.001)
    assert early.calibration(50) is None


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
def test_prices_survive_a_header(cost):
    # Oracle: the numbers themselves, by way of JSON.
    prices = QualityPrices(np.array([0, 100]), np.array([0.01, 0.0001]), cost)
    again = QualityPrices.of(json.loads(json.dumps(prices.as_json())))
    assert again.as_json() == prices.as_json()
