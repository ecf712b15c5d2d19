"""The kernel distance (KID) between sets of features."""

import numpy as np
import pytest

from veridical.errors import InvalidSetting
from veridical.measure import kernel_distance


def test_it_is_the_unbiased_statistic():
    # Oracle: the definition, pair by pair (Binkowski et al. 2018, eq. 4); 1e-12 relative. More rows
    # than one block of the sum.
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((5, 3)), rng.standard_normal((4, 3)) + 0.5

    def mean(a, b, *, same):
        terms = [
            (float(u @ v) / 3 + 1) ** 3
            for i, u in enumerate(a)
            for j, v in enumerate(b)
            if not (same and i == j)
        ]
        return sum(terms) / len(terms)

    expected = mean(x, x, same=True) + mean(y, y, same=True) - 2 * mean(x, y, same=False)
    assert kernel_distance(x, y, splits=2).value == pytest.approx(expected, rel=1e-12)
    many = np.tile(x, (300, 1))
    halves = kernel_distance(many, many, splits=2).value
    assert halves == pytest.approx(kernel_distance(many[::-1], many, splits=2).value, rel=1e-9)


@pytest.mark.statistical
def test_two_normal_laws_are_as_far_apart_as_their_moments():
    # Oracle: with d = 1 it is sum_j C(3, j) (E X^j - E Y^j)^2; for N(0, 1) and N(s, 1) that is
    # 3 s^2 + 3 s^4 + (s^3 + 3 s)^2. Within 4 standard errors, and the error within a factor of 2 of
    # the spread over 12 repetitions; without the correction of the diagonal the first would fail.
    rng, s = np.random.default_rng(1), 0.3
    expected = 3 * s**2 + 3 * s**4 + (s**3 + 3 * s) ** 2
    found = [
        kernel_distance(rng.standard_normal((600, 1)), rng.standard_normal((500, 1)) + s)
        for _ in range(12)
    ]
    values = [f.value for f in found]
    error = float(np.mean([f.standard_error for f in found]))
    assert abs(np.mean(values) - expected) < 4 * error / np.sqrt(12)
    assert 0.5 < error / np.std(values, ddof=1) < 2
    same = [
        kernel_distance(rng.standard_normal((400, 1)), rng.standard_normal((400, 1))).value
        for _ in range(12)
    ]
    assert min(same) < 0 < max(same)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (np.zeros((30, 2)), np.zeros((30, 3))),
        (np.zeros(30), np.zeros(30)),
        (np.zeros((19, 2)), np.zeros((30, 2))),
        (np.full((30, 2), np.nan), np.zeros((30, 2))),
    ],
)
def test_bad_features_are_refused(x, y):
    with pytest.raises(InvalidSetting):
        kernel_distance(x, y)
