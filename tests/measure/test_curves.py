"""BD-rate and BD-PSNR against curves whose answer is known in closed form."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator

from veridical.errors import InvalidSetting
from veridical.measure import bd_psnr_db, bd_rate_percent

_RATE = [0.1, 0.22, 0.5, 1.1]
_PSNR = [27.3, 29.9, 33.0, 37.4]


@st.composite
def curves(draw):
    steps = st.lists(st.floats(0.05, 3.0), min_size=1, max_size=6)
    log_steps = draw(steps)
    quality_steps = draw(
        st.lists(st.floats(0.05, 5.0), min_size=len(log_steps), max_size=len(log_steps))
    )
    rate = 0.05 * np.exp(np.concatenate([[0.0], np.cumsum(log_steps)]))
    psnr = 25.0 + np.concatenate([[0.0], np.cumsum(quality_steps)])
    return rate, psnr


@given(curves(), st.floats(0.2, 5.0))
def test_scaling_every_rate_gives_that_percentage(curve, factor):
    # Oracle: ln R_b - ln R_a is the constant ln(factor); 1e-9 relative.
    rate, psnr = curve
    measured = bd_rate_percent(rate, psnr, factor * rate, psnr)
    assert measured == pytest.approx(100 * (factor - 1), rel=1e-9, abs=1e-9)


def test_a_tenth_fewer_bits_is_minus_ten_percent():
    # Oracle: by definition; 1e-9 percentage points.
    cheaper = [0.9 * rate for rate in _RATE]
    assert bd_rate_percent(_RATE, _PSNR, cheaper, _PSNR) == pytest.approx(-10.0, abs=1e-9)


@given(curves(), st.floats(-3.0, 3.0))
def test_raising_every_psnr_gives_that_gain(curve, gain):
    # Oracle: q_b - q_a is the constant gain; 1e-9 dB.
    rate, psnr = curve
    assert bd_psnr_db(rate, psnr, rate, psnr + gain) == pytest.approx(gain, abs=1e-9)


@given(curves(), curves())
def test_exchanging_the_curves_inverts_the_ratio(first, second):
    # Oracle: (1 + x/100)(1 + y/100) = 1; 1e-9. Both start at 25 dB, so they always overlap.
    forward = bd_rate_percent(*first, *second)
    backward = bd_rate_percent(*second, *first)
    assert (1 + forward / 100) * (1 + backward / 100) == pytest.approx(1.0, rel=1e-9)


def test_straight_lines_have_the_mean_gap_of_their_middle():
    # Oracle: q = a + s ln R exactly, PCHIP keeps lines: the mean gap in ln R is the gap at the
    # middle of the shared PSNR range; 1e-9.
    rate = np.exp(np.array([0.0, 0.7, 1.0, 2.0]))
    psnr_a, psnr_b = 30 + 5 * np.log(rate), 31 + 4 * np.log(rate)
    middle = (max(30, 31) + min(40, 39)) / 2
    gap = (middle - 31) / 4 - (middle - 30) / 5
    measured = bd_rate_percent(rate, psnr_a, rate, psnr_b)
    assert measured == pytest.approx(100 * np.expm1(gap), abs=1e-9)


def test_different_curves_agree_with_dense_quadrature():
    # Oracle: trapezoid rule on 200,001 points of scipy's PCHIP; 1e-6 percentage points.
    rate_b, psnr_b = [0.12, 0.3, 0.45, 0.9, 1.6], [28.0, 31.5, 32.9, 36.2, 39.1]
    quality = np.linspace(28.0, 37.4, 200_001)
    log_a = PchipInterpolator(_PSNR, np.log(_RATE))(quality)
    log_b = PchipInterpolator(psnr_b, np.log(rate_b))(quality)
    gap = np.trapezoid(log_b - log_a, quality) / (37.4 - 28.0)
    measured = bd_rate_percent(_RATE, _PSNR, rate_b, psnr_b)
    assert measured == pytest.approx(100 * np.expm1(gap), abs=1e-6)


def test_the_order_of_the_points_does_not_matter():
    other = [0.8 * rate**1.1 for rate in _RATE]
    shuffled = bd_rate_percent(_RATE[::-1], _PSNR[::-1], other, _PSNR)
    assert shuffled == bd_rate_percent(_RATE, _PSNR, other, _PSNR)


@pytest.mark.parametrize(
    ("rate_b", "psnr_b", "message"),
    [
        (_RATE, [47.3, 49.9, 53.0, 57.4], "share no range"),
        (_RATE, [37.4, 39.9, 43.0, 47.4], "share no range"),
        (_RATE, [27.3, 29.9, 29.0, 37.4], "increase strictly"),
        ([0.1, 0.1, 0.5, 1.1], _PSNR, "increase strictly"),
        ([0.1], [30.0], "two equally long"),
        ([0.1, 0.2], _PSNR, "two equally long"),
        ([0.0, 0.2, 0.3, 0.4], _PSNR, "positive and finite"),
        (_RATE, [27.3, 29.9, 33.0, float("inf")], "positive and finite"),
    ],
)
def test_curves_that_cannot_be_compared_are_refused(rate_b, psnr_b, message):
    with pytest.raises(InvalidSetting, match=message):
        bd_rate_percent(_RATE, _PSNR, rate_b, psnr_b)


def test_bd_psnr_refuses_rates_that_do_not_overlap():
    with pytest.raises(InvalidSetting, match="share no range of rate"):
        bd_psnr_db(_RATE, _PSNR, [10 * rate + 1 for rate in _RATE], _PSNR)
