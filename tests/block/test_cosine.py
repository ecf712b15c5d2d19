"""The law of the best cosine against closed forms, mpmath's integrals and brute force."""

import math

import mpmath
import numpy as np
import pytest

from veridical.block.cosine import BestCosine, conveyed_share, mean_length
from veridical.errors import InvalidSetting


@pytest.mark.parametrize("bits", [0, 1, 3, 10])
def test_means_in_two_and_three_dimensions(bits):
    # Oracle: n=3, where a cosine is uniform: 1 - 2/(N+1). n=2, where an angle is: the integral of
    # cos(pi x) N (1-x)^(N-1), by mpmath. Rounding, 1e-13.
    N = 2**bits
    assert BestCosine(3, bits).mean() == pytest.approx(1 - 2 / (N + 1), abs=1e-13)
    exact = mpmath.quad(lambda x: mpmath.cos(mpmath.pi * x) * N * (1 - x) ** (N - 1), [0, 0.1, 1])
    assert BestCosine(2, bits).mean() == pytest.approx(float(exact), abs=1e-13)


@pytest.mark.parametrize(("n", "angle"), [(10_000, 0.5), (10_000, 0.8), (100, 1e-4), (5, 1.2)])
def test_far_tails(n, angle):
    # Oracle: mpmath's incomplete Beta function with 30 digits; the survival of one word whose number
    # is the inverse of the probability is exp(-1) to 1e-11 (1e-10 with exponents of 1e4).
    with mpmath.workdps(30):
        tail = mpmath.betainc((n - 1) / 2, 0.5, 0, mpmath.sin(angle) ** 2, regularized=True) / 2
        bits = float(-mpmath.log(tail, 2))
        exact = float(mpmath.exp(mpmath.mpf(2) ** bits * mpmath.log1p(-tail)))
    assert BestCosine(n, bits).survival(angle) == pytest.approx(exact, rel=2e-8)


def test_angles_beyond_a_right_angle():
    # Oracle: symmetry of one cosine, 1 - P(theta) = P(pi - theta), to 1e-12; the ends are exact.
    angles = np.linspace(0, math.pi, 41)
    one = BestCosine(7, 0).survival(angles)
    np.testing.assert_allclose(one + one[::-1], 1, atol=1e-12)
    assert one[0] == 1
    np.testing.assert_array_equal(BestCosine(7, math.inf).survival([0.0, 0.1]), [1.0, 0.0])


@pytest.mark.statistical
@pytest.mark.parametrize(("n", "bits"), [(2, 2), (3, 0), (5, 6), (24, 24), (12, 50)])
def test_drawn_cosines_follow_the_law(n, bits):
    # Oracle: the survival function, by Kolmogorov-Smirnov, 20,000 draws at a fixed seed, p > 1e-4;
    # would miss a deviation of less than 1.6 % anywhere. Mean within 4 standard errors.
    from scipy.stats import kstest

    law = BestCosine(n, bits)
    cosine, sine = law.draw(20_000, np.random.default_rng(4))
    np.testing.assert_allclose(cosine**2 + sine**2, 1, atol=1e-12)
    assert abs(cosine.mean() - law.mean()) < 4 * cosine.std() / math.sqrt(20_000)
    angles = np.arctan2(sine, cosine)
    assert kstest(angles, lambda a: 1 - law.survival(a)).pvalue > 1e-4


def test_the_kernel_is_a_density():
    # Oracle: its mean over uniform directions is 1: the integral over the law of one cosine,
    # a dense sum over quantiles (n=3: uniform cosines), 1e-4.
    t = np.linspace(-1, 1, 400_001)
    assert np.mean(np.exp(BestCosine(3, 6).log_kernel(t))) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("rate", [0.25, 1.0, 3.0])
def test_the_share_tends_to_the_limit_from_below(rate):
    # Oracle: [T] 66-71: the best cosine tends to sqrt(1 - 2^(-2R)). The approach from below, faster
    # than (log2 n)/n of the variance: sphere covering loses (1/2) log2 n bits a block and a length
    # 1/(2n). Monotone at n = 8, 16, ... 2^14.
    limit = -math.expm1(-2 * rate * math.log(2))
    lengths = 2 ** np.arange(3, 15)
    shares = np.array([conveyed_share(int(n), rate * int(n)) for n in lengths])
    assert np.all(np.diff(shares) > 0)
    assert np.all(shares < limit)
    assert np.all((limit - shares) * lengths < (1 - limit) * np.log2(lengths) + limit)


def test_mean_length_and_bad_settings():
    # Oracle: chi with two and three degrees: sqrt(pi/2), sqrt(8/pi); rounding.
    assert mean_length(2) == pytest.approx(math.sqrt(math.pi / 2), rel=1e-14)
    assert mean_length(3) == pytest.approx(math.sqrt(8 / math.pi), rel=1e-14)
    for n, bits in ((1, 2), (2.0, 2), (True, 2), (10**6, 2), (4, -1), (4, math.nan)):
        with pytest.raises(InvalidSetting):
            BestCosine(n, bits)
    with pytest.raises(InvalidSetting, match="64 bits"):
        BestCosine(4, 65).draw(2, np.random.default_rng(0))
