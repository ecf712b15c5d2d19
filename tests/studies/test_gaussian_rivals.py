"""Random and group codes in the comparison: rates, prices and the law of what they make."""

import math

import numpy as np
import pytest
from scipy.stats import kstest

from veridical.studies.gaussian_rivals import (
    GROUP_LENGTH,
    RANDOM_LENGTH,
    group_common_bits,
    make_group,
    make_random,
)


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("make", "n", "blocks", "Rc"),
    [
        (make_random, RANDOM_LENGTH, 800, 0.0),
        (make_random, RANDOM_LENGTH, 300, 1.0),
        (make_group, GROUP_LENGTH, 16, 1.0),
    ],
)
def test_rate_price_and_law(make, n, blocks, Rc):
    # Oracles: one bit of real bytes within 1 % (plus 12 bytes); D = d + a^2 C at a = 0, 1/2, 1 within 4
    # standard errors, of D itself and, for the group code, of a price measured on as many samples
    # (hence sqrt 2; 3 % more for the random code, whose price is the mean over codebooks); the
    # samples at realism 1 are normal: Kolmogorov-Smirnov at 0.1 % (1.95). This would miss an error of
    # D below 5 %.
    rng = np.random.default_rng(3)
    code = make(1.0, Rc, 16 * GROUP_LENGTH, rng)
    x = rng.standard_normal((blocks, n))
    index = code.encode(x, seed=9)
    assert 8 * len(code.to_bytes(index, seed=9)) <= 1.01 * x.size + 96
    for a in (0.0, 0.5, 1.0):
        out = code.decode(index, rng, realism=a, seed=9)
        error = np.mean(np.square(x - out), axis=1)
        room = 4 * math.sqrt(2) * error.std() / math.sqrt(blocks)
        price = code.calibration.distortion_at(a)
        assert abs(error.mean() - price) < room + 0.03 * price
    assert kstest(out.ravel(), "norm").statistic * math.sqrt(out.size) < 1.95


def test_common_randomness_of_the_group_code_is_a_multiple():
    # Oracle: log2(5) / 7 = 0.3317 bits a step.
    assert group_common_bits(0.0) == 0.0
    assert group_common_bits(1.0) == pytest.approx(3 * math.log2(5) / 7)
    assert group_common_bits(0.5) == pytest.approx(2 * math.log2(5) / 7)
