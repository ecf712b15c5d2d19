"""Wasserstein distortion: both ends, windows, and what is refused."""

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from veridical.errors import InvalidSetting
from veridical.measure import Trunk, TrunkFeatures, mse_unit, wasserstein_distortion

RNG = np.random.default_rng(0)
X = RNG.normal(2.0, 1.0, (24, 40, 3))
Y = RNG.normal(1.5, 2.0, (24, 40, 3))
PICTURES = RNG.integers(0, 256, (2, 48, 64, 3), dtype=np.uint8)


def test_a_narrow_window_is_exactly_squared_error():
    # Oracle: the mean squared error, to the last bit, and mse_unit of pictures within rounding.
    for sigma in (0, 1e-9, 0.1):
        assert wasserstein_distortion(X, Y, sigma) == float(np.mean(np.square(X - Y)))
    a, b = PICTURES
    assert wasserstein_distortion(a / 255, b / 255, 0) == pytest.approx(mse_unit(a, b), rel=1e-12)


def test_a_wide_window_is_the_distance_of_global_moments():
    # Oracle: means and deviations of each channel by numpy: exactly at infinity, within 1e-6 at 10 times the picture
    # (the heat kernel with reflection has decayed by exp(-(pi 10)^2 / 2)).
    moments = [(p.mean(axis=(0, 1)), p.std(axis=(0, 1))) for p in (X, Y)]
    (m, s), (n, t) = moments
    far = float(np.mean((m - n) ** 2) + np.mean((s - t) ** 2))
    assert wasserstein_distortion(X, Y, math.inf) == pytest.approx(far, rel=1e-12)
    assert wasserstein_distortion(X, Y, 400) == pytest.approx(far, rel=1e-6)
    # What one law has drawn twice is far in squared error and near in law: 2 against order 1/960.
    again = np.random.default_rng(1).normal(2.0, 1.0, X.shape)
    assert wasserstein_distortion(X, again, 0) > 1.8
    assert wasserstein_distortion(X, again, math.inf) < 0.02


def test_windows_between_are_those_of_the_definition():
    # Oracle: the definition with explicit sums over a periodic-mirror extension, sigma 1.5, by a loop; 1e-12.
    a, b = X[:9, :8, 0], Y[:9, :8, 0]
    radius = int(4 * 1.5 + 0.5)
    w = np.exp(-0.5 * (np.arange(-radius, radius + 1) / 1.5) ** 2)
    window = np.outer(w, w) / np.sum(w) ** 2
    total = 0.0
    pads = [np.pad(p, radius, mode="symmetric") for p in (a, b)]
    for i in range(9):
        for j in range(8):
            parts = [p[i : i + 2 * radius + 1, j : j + 2 * radius + 1] for p in pads]
            m = [np.sum(window * p) for p in parts]
            s = [math.sqrt(np.sum(window * (p - c) ** 2)) for p, c in zip(parts, m, strict=True)]
            total += (m[0] - m[1]) ** 2 + (s[0] - s[1]) ** 2
    assert wasserstein_distortion(a, b, 1.5) == pytest.approx(total / 72, rel=1e-12)
    assert wasserstein_distortion(b, a, 1.5) == wasserstein_distortion(a, b, 1.5)
    assert wasserstein_distortion(a, a, 1.5) == 0.0


def test_published_code_on_small_pictures():
    # Oracle: the PyTorch class of github.com/balle-lab/wasserstein-distortion (8887292, one feature, log2_sigma = 0 to 4
    # everywhere), run once. Binomial windows on a pyramid have the deviation sqrt((4^k - 1) / 6), not 2^k; margins of
    # zeros make its border the same as ours. Float32 at 0; the narrowest window has three rows, 5 %; the others 1 %.
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 1, (32, 32)), rng.normal(0.5, 2, (32, 32))
    smooth = 4 * gaussian_filter(rng.standard_normal((32, 32)), 2, mode="wrap")
    blurred = smooth + 0.5 * rng.standard_normal((32, 32)), smooth
    published = (
        (noise, (0.5501983, 0.2116524, 0.1460889, 0.1316816, 0.1264385)),
        (blurred, (0.02802097, 0.0163135, 0.0087577, 0.0054093, 0.0044862)),
    )
    for pair, numbers in published:
        a, b = (np.pad(p, 32) for p in pair)
        for k, (theirs, off) in enumerate(
            zip(numbers, (1e-6, 0.05, 0.01, 0.01, 0.01), strict=True)
        ):
            sigma = math.sqrt((4**k - 1) / 6)
            assert wasserstein_distortion(a, b, sigma) == pytest.approx(theirs, rel=off)


@pytest.mark.parametrize("trunk", list(Trunk))
def test_features_of_a_trunk(trunk):
    # Oracle: the same function on the features themselves, with sigma in their positions: equal to rounding; both ends.
    pytest.importorskip("torch")
    features = TrunkFeatures(trunk=trunk, stage=2)
    a, b = PICTURES
    f, g = features(a), features(b)
    ratio = f.shape[0] / 48
    assert ratio < 1
    assert wasserstein_distortion(a, b, 0, features=features) == float(np.mean(np.square(f - g)))
    for sigma in (8.0, math.inf):
        direct = wasserstein_distortion(f, g, sigma * ratio)
        assert wasserstein_distortion(a, b, sigma, features=features) == pytest.approx(direct)
    assert wasserstein_distortion(a, a, 8.0, features=features) == 0.0


@pytest.mark.parametrize(
    ("x", "y", "sigma"),
    [
        (X, Y[:5], 1), (X, Y, -1), (X, Y, math.nan), (X, Y, "1"), (X, Y, True), (X[0, 0], Y[0, 0], 1),
        (X * np.nan, Y, 1), (X + 1j, Y, 1), (X[:0], Y[:0], 1),
    ],
)  # fmt: skip
def test_bad_input_is_refused(x, y, sigma):
    with pytest.raises(InvalidSetting):
        wasserstein_distortion(x, y, sigma)
    with pytest.raises(InvalidSetting):
        TrunkFeatures(stage=6)
    with pytest.raises(InvalidSetting):
        TrunkFeatures()(np.zeros((40, 40), dtype=np.uint8))
