"""Squared error and PSNR against hand-computed values and their defining identities."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from veridical.errors import InvalidSetting
from veridical.measure import mse_unit, psnr_db

_PICTURES = hnp.arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(3)))


def test_mse_of_black_and_white_is_one_and_psnr_is_zero():
    # Oracle: by hand; exact.
    black, white = np.zeros((2, 3, 3), np.uint8), np.full((2, 3, 3), 255, np.uint8)
    assert mse_unit(black, white) == 1.0
    assert psnr_db(black, white) == 0.0


def test_psnr_of_one_level_everywhere():
    # Oracle: 20 log10 255 = 48.1308 dB; 1e-9.
    a = np.full((4, 4), 100, np.uint8)
    assert psnr_db(a, a + 1) == pytest.approx(20 * math.log10(255), abs=1e-9)


def test_psnr_of_equal_pictures_is_infinite():
    a = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert psnr_db(a, a.copy()) == math.inf


@given(_PICTURES, st.integers(0, 2**32 - 1))
def test_integer_and_float_paths_agree(a, seed):
    # Oracle: the same pictures as floats on the unit scale; 1e-12 relative.
    b = np.random.default_rng(seed).integers(0, 256, a.shape, dtype=np.uint8)
    exact = mse_unit(a, b)
    assert mse_unit(a / 255.0, b / 255.0) == pytest.approx(exact, rel=1e-12, abs=1e-15)
    assert mse_unit(a, b / 255.0) == pytest.approx(exact, rel=1e-12, abs=1e-15)
    assert mse_unit(b, a) == exact


@given(_PICTURES, st.integers(0, 2**32 - 1))
def test_psnr_is_the_logarithm_of_the_error(a, seed):
    # Oracle: psnr = -10 log10(mse_unit); 1e-9 dB.
    b = np.random.default_rng(seed).integers(0, 256, a.shape, dtype=np.uint8)
    error = mse_unit(a, b)
    expected = math.inf if error == 0 else -10 * math.log10(error)
    assert psnr_db(a, b) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("measure", [mse_unit, psnr_db])
@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8)),
        (np.zeros((2, 3, 1), np.uint8), np.zeros((2, 3), np.uint8)),
        (np.zeros((0, 3), np.uint8), np.zeros((0, 3), np.uint8)),
        (np.zeros((2, 3), np.int32), np.zeros((2, 3), np.int32)),
    ],
)
def test_what_cannot_be_compared_is_refused(measure, a, b):
    with pytest.raises(InvalidSetting):
        measure(a, b)


def test_psnr_refuses_floats_and_mse_refuses_nan():
    with pytest.raises(InvalidSetting, match="uint8"):
        psnr_db(np.zeros((2, 2)), np.zeros((2, 2)))
    with pytest.raises(InvalidSetting, match="NaN"):
        mse_unit(np.array([0.0, np.nan]), np.zeros(2))
