"""The circle codec, measured, against the closed forms of [T] section II."""

import math

import numpy as np
import pytest

from veridical.errors import InvalidSetting
from veridical.limits import circle_distortion, circle_mmse, circle_w2_squared
from veridical.oneshot.circle import circle_codec
from veridical.sources.circle import circle_density, circle_samples
from veridical.transport import exact_plan

GRID = [(1, 1), (1, 3), (2, 1), (2, 2), (2, math.inf), (3, 5), (4, 1), (7, 2), (5, math.inf)]
N = 60_000


@pytest.fixture(scope="module")
def points():
    return circle_samples(N, np.random.default_rng(11))


def squared(x):
    return np.einsum("ij,ij->i", x, x)


def agree(values, expected):
    assert abs(values.mean() - expected) < 4 * values.std() / math.sqrt(len(values)) + 1e-12


@pytest.mark.statistical
@pytest.mark.parametrize(("M", "K"), GRID)
def test_price_and_measured_distortion(points, M, K):
    # Oracle: closed forms (24), (25), (26) of the room of limits, which shares no code with the
    # codec; the price list to 1e-12, the mean errors of 60,000 samples at a fixed seed to 4
    # standard errors. Would miss an error of D below about 1 to 2 %.
    codec = circle_codec(M, K)
    price = codec.calibration(None)
    assert price.mmse == pytest.approx(float(circle_mmse(M)), abs=1e-12)
    assert price.transport_cost == pytest.approx(float(circle_w2_squared(M, K)), abs=1e-12)
    index = codec.encode(points, seed=5)
    rng = np.random.default_rng(1)
    agree(squared(points - codec.decode(index, rng, realism=0, seed=5)), price.mmse)
    for share in (0.0, 0.3, 0.8):
        P = share * price.transport_cost
        out = codec.decode(index, rng, perception=P, seed=5)
        agree(squared(points - out), float(circle_distortion(M, P, K)))


@pytest.mark.statistical
@pytest.mark.parametrize(("M", "K"), GRID)
def test_reconstructions_fill_arcs_of_the_radius_of_the_realism(points, M, K):
    # Oracle: (26): given index and seed, X^ is at distance a from (1-a) X~ (1e-12), at angles
    # uniform on +-pi/(MK) of t: Kolmogorov-Smirnov, 60,000 samples, fixed seed, p > 1e-4. Would
    # miss a deviation of the law by less than about 0.9 % anywhere.
    from scipy.stats import kstest

    a = 0.35
    codec = circle_codec(M, K)
    index = codec.encode(points, seed=8)
    mmse = codec.decode(index, np.random.default_rng(3), realism=0, seed=8)
    out = codec.decode(index, np.random.default_rng(3), realism=a, seed=8)
    turn = out - (1 - a) * mmse
    assert np.allclose(squared(turn), a * a, rtol=0, atol=1e-12)
    base = mmse if M > 1 else np.array([[1.0, 0.0]])
    inside = turn[:, 0] * base[:, 0] + turn[:, 1] * base[:, 1]
    angle = np.arctan2(base[:, 0] * turn[:, 1] - base[:, 1] * turn[:, 0], inside)
    half = math.pi / (M * K) if M > 1 else math.pi
    if half == 0:
        assert np.abs(angle).max() < 1e-7
    else:
        assert kstest(angle, "uniform", args=(-half, 2 * half)).pvalue > 1e-4


@pytest.mark.statistical
@pytest.mark.parametrize(("M", "K"), GRID)
def test_full_realism_follows_the_source(points, M, K):
    # Oracle: p(X-) is uniform on the unit circle: radii exact to 1e-12, angles by
    # Kolmogorov-Smirnov as above.
    from scipy.stats import kstest

    codec = circle_codec(M, K)
    out = codec.decode(codec.encode(points, seed=2), np.random.default_rng(4), seed=2)
    assert np.allclose(squared(out), 1, rtol=0, atol=1e-12)
    angle = np.arctan2(out[:, 1], out[:, 0])
    assert kstest(angle, "uniform", args=(-math.pi, 2 * math.pi)).pvalue > 1e-4


@pytest.mark.statistical
@pytest.mark.parametrize(("M", "K"), [(2, 1), (2, 2), (2, math.inf), (4, 1)])
def test_measured_transport_to_the_estimate(M, K):
    # Oracle: (25), against POT's exact plan between samples of X and of X~. The distance of n
    # samples is biased by a multiple of 1/n; twice the distance of a part less the mean of its
    # two halves removes it. 12 parts of 300, fixed seeds, 4 standard errors over the parts (at
    # most 0.03 at M=2, K=2, where it would miss an error below 10 %).
    import ot

    codec = circle_codec(M, K)
    rng = np.random.default_rng(6)
    coded = circle_samples(12 * 300, rng)
    mmse = codec.decode(codec.encode(coded, seed=1), rng, realism=0, seed=1)
    fresh = circle_samples(12 * 300, rng)

    def distance(x, y):
        return ot.emd2(ot.unif(len(x)), ot.unif(len(y)), ot.dist(x, y))

    parts = [
        2 * distance(x, y) - (distance(x[:150], y[:150]) + distance(x[150:], y[150:])) / 2
        for x, y in zip(mmse.reshape(12, 300, 2), fresh.reshape(12, 300, 2), strict=True)
    ]
    error = np.std(parts, ddof=1) / math.sqrt(12)
    assert error < 0.03
    assert abs(np.mean(parts) - float(circle_w2_squared(M, K))) < 4 * error


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("M", "K", "a"), [(2, 1, 0.5), (2, 2, 0.4), (2, math.inf, 0.3), (4, 1, 0.3)]
)
def test_measured_perception_between_the_ends(M, K, a):
    # Oracle: W2(p_X, p_X^) = (1 - a) W2 ([T] Prop. 3), by exact transport between samples of X and
    # of X^. Both laws live on curves, so that the distance of n samples is biased by a multiple of
    # 1/n: twice the distance of a part less the mean of its halves removes it. The same estimate
    # between two sets of samples of X itself is the floor, which must come out as 0. 16 parts of
    # 300, fixed seeds, 4 standard errors over the parts (about 0.004 of 0.06 to 0.15: it would
    # miss an error of W2 below about a tenth).
    import ot

    codec = circle_codec(M, K)
    rng = np.random.default_rng([M, round(10 * a)])
    x, fresh, other = (circle_samples(16 * 300, rng) for _ in range(3))
    out = codec.decode(codec.encode(x, seed=4), rng, realism=a, seed=4)

    def distance(x, y):
        return ot.emd2(ot.unif(len(x)), ot.unif(len(y)), ot.dist(x, y))

    def unbiased(left, right):
        parts = [
            2 * distance(p, q) - (distance(p[:150], q[:150]) + distance(p[150:], q[150:])) / 2
            for p, q in zip(left.reshape(16, 300, 2), right.reshape(16, 300, 2), strict=True)
        ]
        return np.mean(parts), np.std(parts, ddof=1) / 4

    expected = (1 - a) ** 2 * float(circle_w2_squared(M, K))
    value, error = unbiased(out, fresh)
    assert error < 0.006
    assert abs(value - expected) < 4 * error
    floor, floor_error = unbiased(other, fresh)
    assert abs(floor) < 4 * floor_error


@pytest.mark.statistical
def test_a_seed_bit_is_not_an_information_bit(points):
    # Oracles: theory.md's numbers, d and W2^2 with M=2, K=2 and with M=4, K=1: the price lists to
    # 1e-6; and measured on 60,000 samples: d as a mean error, W2^2 by exact plans between 10 parts
    # of 400 fresh samples and the atoms of X~ with their measured shares (few atoms: the bias is
    # below 1/1000), 4 standard errors. Both numbers differ by more than 10 standard errors.
    found = []
    for M, K, d, cost in ((2, 2, 0.594715, 0.258966), (4, 1, 0.189431, 0.189431)):
        codec = circle_codec(M, K)
        price = codec.calibration(None)
        assert (price.mmse, price.transport_cost) == pytest.approx((d, cost), abs=1e-6)
        mmse = codec.decode(
            codec.encode(points, seed=3), np.random.default_rng(3), realism=0, seed=3
        )
        errors = squared(points - mmse)
        agree(errors, d)
        atoms, counts = np.unique(mmse.round(9), axis=0, return_counts=True)
        assert len(atoms) == 4
        fresh = circle_samples(4000, np.random.default_rng(12)).reshape(10, 400, 2)
        parts = [exact_plan(x, atoms, y_weights=counts / N).cost for x in fresh]
        agree(np.array(parts), cost)
        found.append([errors.mean(), errors.std() / 245, np.mean(parts), np.std(parts) / 3])
    one, two = np.array(found)
    assert one[0] - two[0] > 10 * np.hypot(one[1], two[1])
    assert one[2] - two[2] > 10 * np.hypot(one[3], two[3])


@pytest.mark.parametrize("K", [1, 3, math.inf])
def test_the_seed_is_needed_and_long_batches_are_seamless(K):
    # Oracle: the seed sequence of sample i does not depend on the batch; exact, across chunks.
    x = circle_samples(40_000, np.random.default_rng(0))
    codec = circle_codec(3, K)
    whole = codec.encode(x, seed=9)
    assert np.array_equal(whole[:20_000], codec.encode(x[:20_000], seed=9))
    assert np.array_equal(codec.encode(x, seed=10), whole) == (K == 1)


@pytest.mark.parametrize(("M", "K"), [(2**31, 2**63), (20_000, 3), (2**20, math.inf)])
def test_huge_designs_reproduce_the_point(M, K):
    # Oracle: no point is further than half a cell from its centroid; rounding 1e-12.
    x = circle_samples(500, np.random.default_rng(0))
    codec = circle_codec(M, K)
    out = codec.decode(codec.encode(x, seed=1), np.random.default_rng(0), realism=0, seed=1)
    assert np.sqrt(squared(x - out)).max() <= math.pi / M + 1e-12


@pytest.mark.parametrize(
    ("M", "K"),
    [(0, 1), (-1, 1), (2.0, 1), (True, 1), (2**31 + 1, 1), (2, 0), (2, 1.5), (2, math.nan)],
)
def test_counts_outside_their_range(M, K):
    with pytest.raises(InvalidSetting, match="whole number"):
        circle_codec(M, K)


@pytest.mark.parametrize(
    "bad",
    [
        np.array([[1.0, 0.1]]), np.array([[math.nan, 0.0]]), np.array([[math.inf, 0.0]]),
        np.zeros((3, 2)), np.zeros(4), np.zeros((2, 3)), "circle",
    ],
)  # fmt: skip
@pytest.mark.parametrize("M", [1, 2])
def test_points_off_the_circle(M, bad):
    with pytest.raises(InvalidSetting, match="circle"):
        circle_codec(M).encode(bad)


@pytest.mark.parametrize("bad", [[2], [-1], [0.5], [[0]]])
def test_indices_of_another_design(bad):
    with pytest.raises(InvalidSetting, match=r"ind(ex|ices)"):
        circle_codec(2).decode(np.array(bad), np.random.default_rng(0))


def test_no_samples_and_bad_amounts():
    codec = circle_codec(3, 2)
    none = codec.encode(np.zeros((0, 2)))
    assert none.shape == (0,)
    assert codec.decode(none, np.random.default_rng(0)).shape == (0, 2)
    with pytest.raises(InvalidSetting, match="n must"):
        circle_samples(-1, np.random.default_rng(0))
    assert circle_density([0.0, 9.0]) == pytest.approx(1 / (2 * math.pi))
    with pytest.raises(InvalidSetting, match="finite"):
        circle_density(math.nan)
