"""The Frechet distance against closed forms, and the statistics against numpy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from veridical.errors import InvalidSetting
from veridical.measure import (
    FeatureStatistics,
    frechet_difference,
    frechet_distance,
    frechet_with_error,
)

_SEEDS = st.integers(0, 2**32 - 1)


def random_law(rng, dimension, rank=None):
    factor = rng.normal(size=(dimension, dimension if rank is None else rank))
    return rng.normal(size=dimension), factor @ factor.T


def literal_formula(mu1, cov1, mu2, cov2):
    """The formula of the docstring with scipy's Schur-based square root."""
    root = sqrtm(cov1)
    cross = sqrtm(root @ cov2 @ root)
    return np.sum((mu1 - mu2) ** 2) + np.trace(cov1 + cov2 - 2 * np.real(cross))


@given(_SEEDS, st.integers(1, 8))
def test_agrees_with_the_formula_by_another_square_root(seed, dimension):
    # Oracle: scipy.linalg.sqrtm; 1e-6 of the traces (what that formula itself can hold).
    rng = np.random.default_rng(seed)
    first, second = random_law(rng, dimension), random_law(rng, dimension)
    scale = np.trace(first[1] + second[1])
    expected = literal_formula(*first, *second)
    assert frechet_distance(*first, *second) == pytest.approx(expected, abs=1e-6 * scale)


@given(_SEEDS, st.integers(1, 10))
def test_diagonal_covariances(seed, dimension):
    # Oracle: sum (m1 - m2)^2 + (s1 - s2)^2, Gaussian closed form; 1e-12 relative.
    rng = np.random.default_rng(seed)
    m1, m2 = rng.normal(size=(2, dimension))
    s1, s2 = rng.uniform(0, 3, size=(2, dimension))
    expected = np.sum((m1 - m2) ** 2 + (s1 - s2) ** 2)
    measured = frechet_distance(m1, np.diag(s1**2), m2, np.diag(s2**2))
    assert measured == pytest.approx(expected, rel=1e-12, abs=1e-12)


@given(_SEEDS, st.integers(1, 12))
def test_singular_covariances_of_rank_one(seed, dimension):
    # Oracle: |u|^2 + |v|^2 - 2 |u.v| for uu^T and vv^T; 1e-12 of the traces.
    u, v = np.random.default_rng(seed).normal(size=(2, dimension))
    zero = np.zeros(dimension)
    measured = frechet_distance(zero, np.outer(u, u), zero, np.outer(v, v))
    expected = u @ u + v @ v - 2 * abs(u @ v)
    assert measured == pytest.approx(expected, abs=1e-12 * (u @ u + v @ v))


@given(_SEEDS, st.integers(1, 8), st.booleans())
def test_equal_laws_are_at_distance_zero_and_a_shift_costs_its_square(seed, dimension, singular):
    # Oracle: W2^2 of a law and its translate is |shift|^2; 1e-12 of the trace.
    rng = np.random.default_rng(seed)
    mean, cov = random_law(rng, dimension, rank=1 if singular else None)
    shift = rng.normal(size=dimension)
    tolerance = 1e-12 * (1 + np.trace(cov))
    assert 0 <= frechet_distance(mean, cov, mean, cov) <= tolerance
    expected = pytest.approx(shift @ shift, abs=tolerance)
    assert frechet_distance(mean, cov, mean + shift, cov) == expected


@given(_SEEDS, st.integers(2, 8))
def test_symmetric_and_invariant_under_rotation_and_scale(seed, dimension):
    # Oracle: properties of W2^2; 1e-10 of the traces.
    rng = np.random.default_rng(seed)
    (m1, c1), (m2, c2) = random_law(rng, dimension), random_law(rng, dimension)
    turn, _ = np.linalg.qr(rng.normal(size=(dimension, dimension)))
    rotated = [(turn @ m, turn @ c @ turn.T) for m, c in ((m1, c1), (m2, c2))]
    distance = frechet_distance(m1, c1, m2, c2)
    tolerance = 1e-10 * np.trace(c1 + c2)
    assert frechet_distance(m2, c2, m1, c1) == pytest.approx(distance, abs=tolerance)
    assert frechet_distance(*rotated[0], *rotated[1]) == pytest.approx(distance, abs=tolerance)
    scaled = frechet_distance(3 * m1, 9 * c1, 3 * m2, 9 * c2)
    assert scaled == pytest.approx(9 * distance, abs=9 * tolerance)


def test_nearly_equal_laws_keep_their_digits():
    # Oracle: between C and (1+e)^2 C the squared distance is e^2 tr C. At e = 1e-7 the traces
    # cancel to 14 digits, and a formula with traces returns noise; 1e-4 relative here.
    _, cov = random_law(np.random.default_rng(5), 40)
    zero = np.zeros(40)
    measured = frechet_distance(zero, cov, zero, (1 + 1e-7) ** 2 * cov)
    assert measured == pytest.approx(1e-14 * np.trace(cov), rel=1e-4)


@pytest.mark.parametrize(
    ("mu", "cov"),
    [
        (np.zeros(3), np.eye(2)),
        (np.zeros((2, 1)), np.eye(2)),
        (np.zeros(2), np.array([[1.0, 0.5], [0.0, 1.0]])),
        (np.zeros(2), np.array([[1.0, 2.0], [2.0, 1.0]])),
        (np.zeros(2), np.array([[1.0, np.nan], [np.nan, 1.0]])),
        (np.array([0.0, np.inf]), np.eye(2)),
    ],
)
def test_what_is_no_law_is_refused(mu, cov):
    with pytest.raises(InvalidSetting):
        frechet_distance(mu, cov, np.zeros(2), np.eye(2))


@given(_SEEDS, st.integers(1, 6), st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_merged_statistics_are_those_of_the_whole(seed, dimension, sizes):
    # Oracle: numpy's mean and cov of all rows at once; 1e-10 relative to a mean of 1,000.
    rng = np.random.default_rng(seed)
    parts = [1000 + rng.normal(size=(size, dimension)) for size in sizes]
    parts.append(1000 + rng.normal(size=(2, dimension)))
    merged = FeatureStatistics.of(parts[0])
    for part in parts[1:]:
        merged = merged + FeatureStatistics.of(part)
    rows = np.concatenate(parts)
    assert merged.count == rows.shape[0]
    np.testing.assert_allclose(merged.mean, rows.mean(axis=0), rtol=1e-13)
    expected = np.cov(rows, rowvar=False).reshape(dimension, dimension)
    np.testing.assert_allclose(merged.covariance, expected, atol=1e-9)


def test_statistics_refuse_what_they_cannot_hold():
    with pytest.raises(InvalidSetting, match="finite rows"):
        FeatureStatistics.of(np.array([[1.0, np.nan]]))
    with pytest.raises(InvalidSetting, match="finite rows"):
        FeatureStatistics.of(np.zeros(3))
    single = FeatureStatistics.of(np.zeros((1, 2)))
    with pytest.raises(InvalidSetting, match="two or more feature vectors"):
        _ = single.covariance
    with pytest.raises(InvalidSetting, match="dimensions cannot be merged"):
        _ = single + FeatureStatistics.of(np.zeros((1, 3)))


def picture_pairs(rng, pictures):
    """Features of ``pictures`` pairs: patches share their picture's own level."""
    pairs = []
    for _ in range(pictures):
        level = rng.normal(scale=0.5, size=3)
        original = level + rng.normal(size=(30, 3))
        changed = 0.8 * original + 0.3 * rng.normal(size=3)
        pairs.append((FeatureStatistics.of(original), FeatureStatistics.of(changed)))
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


@pytest.mark.statistical
def test_the_jackknife_error_is_the_spread_over_fresh_pictures():
    # Oracle: standard deviation over 100 independent sets of 12 pictures, fixed seed; the mean
    # jackknife error must lie between 0.8 and 1.5 of it (the deviation itself is known to 7 %,
    # and the jackknife errs upwards). Would miss a wrong error below 20 %.
    rng = np.random.default_rng(11)
    measured = [frechet_with_error(*picture_pairs(rng, 12)) for _ in range(100)]
    spread = np.std([m.value for m in measured], ddof=1)
    claimed = np.mean([m.standard_error for m in measured])
    assert 0.8 < claimed / spread < 1.5


def test_frechet_with_error_of_equal_sets_and_of_unequal_lists():
    reference, other = picture_pairs(np.random.default_rng(2), 3)
    same = frechet_with_error(reference, reference)
    assert same.value == pytest.approx(0.0, abs=1e-12)
    assert same.standard_error == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(InvalidSetting, match="pairs"):
        frechet_with_error(reference, other[:2])
    with pytest.raises(InvalidSetting, match="two or more pairs"):
        frechet_with_error(reference[:1], other[:1])


def test_the_difference_of_two_reconstructions():
    # Oracle: the two distances themselves, 1e-12; the error of a comparison with itself is 0.
    rng = np.random.default_rng(6)
    reference, first = picture_pairs(rng, 5)
    _, second = picture_pairs(rng, 5)
    near = frechet_with_error(reference, first).value
    far = frechet_with_error(reference, second).value
    measured = frechet_difference(reference, first, second)
    assert measured.value == pytest.approx(far - near, abs=1e-12)
    assert measured.standard_error > 0
    same = frechet_difference(reference, first, first)
    assert (same.value, same.standard_error) == (0.0, 0.0)
    with pytest.raises(InvalidSetting, match="pairs"):
        frechet_difference(reference, first, second[:4])
