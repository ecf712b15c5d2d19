"""The studies of random codes: what must be seen in each holds in its record."""

import numpy as np
import pytest

from veridical.studies.records import load_record


def test_random_codes_follow_their_law(studied):
    # Oracle: the exact law at 60 measured points (not independent: a point shares its codebooks with
    # four others) within 4 standard errors over 12 codebooks; would miss errors of D below 10 %, which
    # tests/block looks for. The law falls towards the limit. Single samples of blocks of 12 are nearer
    # to the source than the price of the block (a third of it at realism 0).
    record = load_record(studied("random-coding")[0])
    assert record.facts["points"] == 60
    assert record.facts["largest_deviation_in_standard_errors"] < 4
    assert record.facts["law_above_limit_and_falling"]
    single = record.arrays["single_perception"]
    assert single[0, 1] + 4 * single[0, 2] < 0.5 * single[0, 0]


def test_the_penalty_of_ignoring_perception(studied):
    # Oracle: 20.5 % at eigenvalues 4, 1, 1/4, 1/20, R=1, Rc=8, P=0 (0.05 %); nothing without common
    # randomness (1e-5); measured codes within 4 standard errors of the price list.
    record = load_record(studied("asymptotic-universality")[0])
    assert record.facts["known_case"] == pytest.approx(0.205, abs=5e-4)
    np.testing.assert_allclose(record.arrays["grid"][0], 0, atol=1e-5)
    assert record.facts["largest_deviation_in_standard_errors"] < 4
