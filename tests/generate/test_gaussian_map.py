"""The optimal map between normal laws."""

import math

import numpy as np
import pytest

from veridical.errors import InvalidSetting
from veridical.generate.gaussian_map import GaussianMap


def root(S):
    values, vectors = np.linalg.eigh(S)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def estimated(d, k, seed=0):
    """Covariances of a source and of its estimate from ``k`` noisy numbers: they do not commute."""
    rng = np.random.default_rng([d, seed])
    Q = np.linalg.qr(rng.standard_normal((d, d)))[0]
    T = Q @ np.diag(np.geomspace(4, 0.25, d)) @ Q.T
    B = rng.standard_normal((k, d)) / math.sqrt(d)
    G = T @ B.T @ np.linalg.inv(B @ T @ B.T + 0.3 * np.eye(k))
    return G @ B @ T, T


@pytest.mark.parametrize(
    ("d", "k"), [(1, 1), (2, 2), (2, 1), (10, 10), (10, 4), (50, 50), (50, 25)]
)
def test_the_map_costs_what_bures_says(d, k):
    # Oracle: tr(S + T - 2 (S^(1/2) T S^(1/2))^(1/2)), the least there is; the cost
    # tr(S + T) - 2 tr(A S) of the map, and the covariance that it gives, both to 1e-6.
    S, T = estimated(d, k)
    S = (S + S.T) / 2
    made = GaussianMap.of_moments(np.zeros(d), S, np.ones(d), T)
    cost = np.trace(S) + np.trace(T) - 2 * np.trace(made.matrix @ S)
    bures = np.trace(S) + np.trace(T) - 2 * np.trace(root(root(S) @ T @ root(S)))
    assert cost == pytest.approx(bures, rel=1e-6)
    reached = made.matrix @ S @ made.matrix.T + made.noise @ made.noise.T
    np.testing.assert_allclose(reached, T, atol=1e-6)


@pytest.mark.statistical
def test_it_generates():
    # Oracles: sample moments after fitting on the same samples: exact (1e-9) where S has full rank,
    # and the covariance of the noise where S is 0.
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((500, 3)) * [1, 2, 3], rng.standard_normal((400, 3)) + 1
    out = GaussianMap.fitted(x, y).generate(x, rng)
    np.testing.assert_allclose(out.mean(axis=0), y.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(np.cov(out.T, bias=True), np.cov(y.T, bias=True), atol=1e-9)

    still = GaussianMap.fitted(np.zeros((9, 2)), y[:, :2])
    np.testing.assert_allclose(
        still.noise @ still.noise.T, np.cov(y[:, :2].T, bias=True), atol=1e-9
    )
    with pytest.raises(InvalidSetting):
        GaussianMap.fitted(x, y[:, :2])
