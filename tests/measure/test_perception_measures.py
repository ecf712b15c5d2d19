"""Estimators of other perception measures against closed forms, brute force and each other."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from veridical.errors import InvalidSetting
from veridical.measure.perception_measures import (
    binned_kl_nats,
    binned_total_variation,
    energy_distance,
    equal_cells,
    gaussian_kl_nats,
    nearest_kl_nats,
    over_parts,
    w1_distance,
)


@pytest.fixture(scope="module")
def scaled():
    """Samples of N(0, 1/4) and N(0, 1), and the closed forms between these laws."""
    rng = np.random.default_rng(0)
    s = 0.5
    cross = math.sqrt(2 * math.log(1 / s) / (1 / s**2 - 1))
    truth = {
        "w1": (1 - s) * math.sqrt(2 / math.pi),
        "energy": (2 * math.sqrt(2 * (1 + s * s)) - 2 * s - 2) / math.sqrt(math.pi),
        "tv": 2 * (norm.cdf(cross / s) - norm.cdf(cross)),
        "kl": 0.5 * (s * s - 1 - 2 * math.log(s)),
    }
    return s * rng.standard_normal((40_000, 1)), rng.standard_normal((40_000, 1)), truth


@pytest.mark.statistical
def test_gaussian_closed_forms(scaled):
    # Oracles: W1, energy distance, total variation and KL of N(0, 1/4) and N(0, 1) by hand; 4
    # standard errors of 10 parts (0.5 to 3 % of the values), and for the two binned ones also what
    # quadrature says that 64 cells lose (less than 1 % of TV and 2 % of KL).
    x_hat, x, truth = scaled
    cells = equal_cells(np.random.default_rng(1).standard_normal(40_000), 64)
    found = {
        "w1": (w1_distance, 0.0),
        "energy": (energy_distance, 0.0),
        "tv": (lambda a, b: binned_total_variation(a, b, cells), 0.01),
        "kl": (lambda a, b: binned_kl_nats(a, b, cells), 0.02),
    }
    for name, (measure, loss) in found.items():
        value = over_parts(measure, x_hat, x, splits=10)
        assert value.standard_error < 0.05 * truth[name]
        error = 4 * value.standard_error + loss * truth[name]
        assert abs(value.value - truth[name]) < error, name
    for measure in (gaussian_kl_nats, nearest_kl_nats):
        value = over_parts(measure, x_hat, x, splits=10)
        assert abs(value.value - truth["kl"]) < 4 * value.standard_error + 0.01 * truth["kl"]


@pytest.mark.statistical
def test_equal_laws_measure_nothing():
    # Oracle: 0 for the estimators that are free of bias to first order, and the known bias
    # sqrt((B - 1)(1/n + 1/m) / (2 pi)) for TV, within 4 standard errors over 60 pairs (8 % for TV).
    rng = np.random.default_rng(2)
    cells = equal_cells(rng.standard_normal(20_000), 20)
    free = {"energy": energy_distance, "kl": lambda a, b: binned_kl_nats(a, b, cells),
            "nearest": nearest_kl_nats}  # fmt: skip
    draws = [rng.standard_normal((2, 2000, 1)) for _ in range(60)]
    for name, measure in free.items():
        values = [measure(a, b) for a, b in draws]
        assert abs(np.mean(values)) < 4 * np.std(values) / math.sqrt(60), name
    tv = [binned_total_variation(a, b, cells) for a, b in draws]
    bias = math.sqrt(19 * (2 / 2000) / (2 * math.pi))
    assert abs(np.mean(tv) - bias) < 4 * np.std(tv) / math.sqrt(60)
    assert all(w1_distance(a, b) > 0 for a, b in draws)


def test_energy_distance_is_the_sum_over_pairs():
    # Oracle: the definition by loops; 1e-12. One dimension (sorting) and two (blocks), unequal sizes.
    rng = np.random.default_rng(3)
    for d in (1, 2):
        x, y = rng.normal(size=(7, d)) + 5e3, rng.normal(size=(5, d)) + 5e3

        def mean(a, b):
            return np.mean([np.linalg.norm(p - q) for p in a for q in b])

        expected = 2 * mean(x, y) - mean(x, x) * 7 / 6 - mean(y, y) * 5 / 4
        assert energy_distance(x, y) == pytest.approx(expected, abs=1e-11)


def test_w1_in_the_plane_is_that_on_a_line():
    # Oracle: the same numbers as points of a line in the plane, network simplex against sorting;
    # 1e-9. A shift costs its length, exactly.
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(60, 1)), 2 * rng.normal(size=(40, 1))
    across = np.array([[0.6, 0.8]])
    assert w1_distance(x @ across, y @ across) == pytest.approx(w1_distance(x, y), abs=1e-9)
    plane = rng.normal(size=(50, 2))
    assert w1_distance(plane + np.array([3.0, 4.0]), plane) == pytest.approx(5.0, abs=1e-9)


@pytest.mark.statistical
def test_kl_in_three_dimensions():
    # Oracle: the Gaussian formula with covariance and shift, by numpy on the true moments; nearest
    # neighbours within 6 % and moments within 3 % (10,000 samples: errors of 1 to 2 %).
    rng = np.random.default_rng(5)
    root = np.array([[1.0, 0.0, 0.0], [0.5, 0.7, 0.0], [0.0, -0.3, 0.5]])
    shift = np.array([0.4, 0.0, -0.2])
    S = root @ root.T
    truth = 0.5 * (np.trace(S) + shift @ shift - 3 - np.linalg.slogdet(S)[1])
    x_hat = shift + rng.normal(size=(10_000, 3)) @ root.T
    x = rng.normal(size=(10_000, 3))
    assert gaussian_kl_nats(x_hat, x) == pytest.approx(truth, rel=0.03)
    assert nearest_kl_nats(x_hat, x) == pytest.approx(truth, rel=0.06)


def test_singular_laws():
    # Oracles: disjoint supports have TV 1 and infinite KL; equal samples have no density.
    x = np.linspace(-1, 1, 50)
    cells = equal_cells(np.linspace(-5, 5, 1000), 20)
    assert binned_total_variation(x + 4, x - 4, cells) == 1.0
    assert binned_kl_nats(x + 4, x - 4, cells) == math.inf
    with pytest.raises(InvalidSetting, match="density"):
        nearest_kl_nats(np.zeros(20), x)


@pytest.mark.parametrize(
    "call",
    [
        lambda: w1_distance(np.zeros((3, 2)), np.zeros((3, 1))),
        lambda: w1_distance([math.nan], [0.0]),
        lambda: energy_distance([1.0], [0.0, 1.0]),
        lambda: gaussian_kl_nats(np.zeros((9, 1)), np.arange(9.0)),
        lambda: nearest_kl_nats(np.arange(4.0), np.arange(4.0)),
        lambda: equal_cells(np.zeros((9, 2)), 3),
        lambda: equal_cells(np.arange(9.0), 10),
        lambda: equal_cells(np.arange(9.0), 1),
        lambda: over_parts(w1_distance, np.arange(9.0), np.arange(9.0), splits=1),
        lambda: over_parts(w1_distance, np.arange(9.0), np.arange(9.0), splits=6),
    ],
)
def test_bad_input(call):
    with pytest.raises(InvalidSetting):
        call()
