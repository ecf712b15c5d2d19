"""Standard errors against the textbook formula for a mean."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veridical.errors import InvalidSetting
from veridical.measure import jackknife_error, mean_with_error

_SAMPLES = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30)


@given(_SAMPLES)
def test_the_jackknife_of_a_mean_is_its_textbook_error(values):
    # Oracle: sd / sqrt(n), an identity for the mean; 1e-9 of the largest value.
    sample = np.array(values)
    left_out = [np.delete(sample, i).mean() for i in range(sample.size)]
    scale = np.max(np.abs(sample))
    expected = mean_with_error(sample).standard_error
    assert jackknife_error(left_out) == pytest.approx(expected, rel=1e-9, abs=1e-9 * scale)


def test_mean_with_error_by_hand():
    # Oracle: mean 2, sd 1, n 3; 1e-15.
    measured = mean_with_error([1.0, 2.0, 3.0])
    assert measured.value == 2.0
    assert measured.standard_error == pytest.approx(1 / math.sqrt(3), abs=1e-15)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, math.nan], [1.0, math.inf], [[1.0, 2.0]]])
def test_too_few_or_infinite_values_are_refused(values):
    with pytest.raises(InvalidSetting, match="two or more finite"):
        mean_with_error(values)


@pytest.mark.parametrize("unit", [2.0**-900, 2.0**900])
def test_errors_of_values_whose_squares_leave_double_precision(unit):
    # Oracle: the same values in unit 1; powers of two scale exactly.
    values = np.array([1.0, 2.0, 4.0])
    assert (
        mean_with_error(unit * values).standard_error
        == unit * mean_with_error(values).standard_error
    )
    assert jackknife_error(unit * values) == unit * jackknife_error(values)
