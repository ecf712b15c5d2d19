"""Exactness of channel simulation by goodness of fit, and the law of the index. Seeds are fixed.

Chi-square statistics are held to |chi2 - df| < 4 sqrt(2 df), which a correct method misses once in some
thousand; Kolmogorov-Smirnov distances to 2.2 / sqrt(n), once in 8,000. What each would miss is said there.
"""

import itertools
import math

import numpy as np
import pytest
from scipy import integrate, stats

from veridical.quantize.simulation import (
    ArcChannel,
    ArcDither,
    GaussianChannel,
    GreedyRejection,
    LayeredDither,
    OrderedRandomCoding,
    PoissonRepresentation,
    TableChannel,
    UniformDither,
)

pytestmark = pytest.mark.statistical

TABLE = TableChannel(
    np.array([[0.7, 0.2, 0.1, 0.0], [0.1, 0.1, 0.0, 0.8], [0.05, 0.45, 0.45, 0.05]]),
    np.array([0.2, 0.3, 0.5]),
)
EXACT = [PoissonRepresentation, GreedyRejection]
EXACT_GAUSSIAN = [*EXACT, LayeredDither, lambda channel: LayeredDither(channel, "shifted")]


def drawn(method, x, seed):
    return method.reproduce(method.encode(x, seed), seed)


def assert_counts(counts, expected):
    """Pearson's chi-square of cells that expect more than five."""
    counts, expected = np.ravel(counts), np.ravel(expected)
    assert not np.any(counts[expected == 0])
    used = expected > 5
    df = np.count_nonzero(used) - 1
    chi2 = np.sum((counts[used] - expected[used]) ** 2 / expected[used])
    assert abs(chi2 - df) < 4 * math.sqrt(2 * df)


def assert_normal(values):
    n = values.size
    assert stats.kstest(values, "norm").statistic < 2.2 / math.sqrt(n)


@pytest.mark.parametrize("make", EXACT)
def test_a_table_row_by_row(make):
    # Oracle: P(y|x), n = 60,000 for all rows; chi-square. Misses a symbol that is off by less than
    # about 4 % of its probability.
    x = np.repeat(np.arange(3), 20_000)
    y = drawn(make(TABLE), x, 11)
    for row in range(3):
        counts = np.bincount(y[x == row], minlength=4)
        assert_counts(counts, 20_000 * TABLE.table[row])


@pytest.mark.parametrize("make", EXACT_GAUSSIAN)
@pytest.mark.parametrize("at", [0.0, 1.7, -2.5])
def test_the_conditional_law_of_the_gaussian_channel(make, at):
    # Oracle: N(t rho x / s, t^2 (1 - rho^2)), n = 20,000; KS distance below 0.0156, which a shift of
    # 0.04 deviations or a scale off by 6 % exceeds.
    channel = GaussianChannel(0.9, source_variance=4.0, output_variance=0.25)
    y = drawn(make(channel), np.full((20_000, 1), 2 * at), 23)[:, 0]
    noise = math.sqrt(0.25 * channel.noise)
    assert_normal((y - 0.5 * 0.9 * at) / noise)


@pytest.mark.parametrize("make", EXACT_GAUSSIAN)
def test_the_joint_law_of_the_gaussian_channel(make):
    # Oracle: with X of variance 1 and t = s, (Phi(X^), Phi((X - rho X^)/sqrt(1 - rho^2))) is uniform on
    # the square; 10 x 10 cells, n = 20,000; chi-square. Misses cells off by less than about 12 % each,
    # 4 % if a whole row is.
    channel = GaussianChannel.from_rate(1.0)
    x = np.random.default_rng(3).normal(size=(20_000, 1))
    y = drawn(make(channel), x, 5)
    back = (x - channel.correlation * y) / math.sqrt(channel.noise)
    cells = np.floor(10 * stats.norm.cdf(np.stack([y, back]))).astype(int)
    counts = np.bincount((10 * cells[0] + cells[1]).ravel(), minlength=100)
    assert_counts(counts, np.full(100, 200.0))


@pytest.mark.parametrize("make", EXACT_GAUSSIAN)
def test_a_gaussian_channel_in_three_dimensions(make):
    # Oracles: each coordinate normal, the squared length chi-squared of 3 degrees, coordinates and
    # neighbouring samples uncorrelated (4 standard errors); n = 8,000.
    n = 8_000
    channel = GaussianChannel.from_rate(1.5, dimension=3)
    x = np.tile([0.3, -1.2, 0.8], (n, 1))
    z = (drawn(make(channel), x, 9) - channel.correlation * x) / math.sqrt(channel.noise)
    for column in z.T:
        assert_normal(column)
        assert abs(np.mean(column[1:] * column[:-1])) < 4 / math.sqrt(n)
    assert stats.kstest(np.sum(z * z, axis=1), stats.chi2(3).cdf).statistic < 2.2 / math.sqrt(n)
    for i, j in itertools.combinations(range(3), 2):
        assert abs(np.mean(z[:, i] * z[:, j])) < 4 / math.sqrt(n)


@pytest.mark.parametrize(
    "method",
    [PoissonRepresentation(ArcChannel(5)), GreedyRejection(ArcChannel(5)), ArcDither(5)],
)
def test_the_arc_of_the_circle(method):
    # Oracles: the angle from the sample is uniform on (-pi/5, pi/5), and so is the output on the circle;
    # n = 20,000, KS.
    angle = np.random.default_rng(4).uniform(0, 2 * np.pi, 20_000)
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    y = drawn(method, x, 31)
    apart = np.angle((y[:, 0] + 1j * y[:, 1]) / (x[:, 0] + 1j * x[:, 1])) * 5 / np.pi
    assert stats.kstest(apart, stats.uniform(-1, 2).cdf).statistic < 2.2 / math.sqrt(20_000)
    around = np.arctan2(y[:, 1], y[:, 0]) / np.pi
    assert stats.kstest(around, stats.uniform(-1, 2).cdf).statistic < 2.2 / math.sqrt(20_000)


def test_uniform_dither_at_fixed_samples():
    # Oracle: the error is uniform on (-w/2, w/2) whatever the sample; n = 20,000, KS.
    for at in (0.0, 0.31, -7.77):
        x = np.full((20_000, 1), at)
        error = (drawn(UniformDither(0.7), x, 2) - x)[:, 0] / 0.7
        assert stats.kstest(error, stats.uniform(-0.5, 1).cdf).statistic < 2.2 / math.sqrt(20_000)


def test_the_index_of_the_poisson_representation_is_a_mixture_of_geometric_laws():
    # Oracle: given Y_K = y the number of earlier points is geometric with mean E_Q (r(y) - r(Y))+; n =
    # 30,000; chi-square on the first 15 indices and the rest, and the mean of log2 K (4 errors).
    n, q, r = 30_000, TABLE.output, TABLE.ratio[0]
    mean = np.maximum(r[:, None] - r, 0.0) @ q
    k = np.arange(4000)
    law = TABLE.table[0] @ ((mean / (1 + mean))[:, None] ** k / (1 + mean)[:, None])
    index = PoissonRepresentation(TABLE).encode(np.zeros(n, int), 41)
    counts = np.bincount(np.minimum(index, 15), minlength=16)
    assert_counts(counts, n * np.append(law[:15], 1 - law[:15].sum()))
    logs = np.log2(index + 1.0)
    assert abs(np.mean(logs) - law @ np.log2(k + 1.0)) < 4 * np.std(logs) / math.sqrt(n)


def test_the_index_of_greedy_rejection():
    # Oracles: P(K >= k) by the published recursion on probabilities; the mean number of proposals is
    # sup r exactly (Flamich and Theis 2023); n = 30,000; chi-square, and 4 standard errors.
    n, q = 30_000, TABLE.output
    so_far, reach = np.zeros(4), []
    for _ in range(2000):
        reach.append(1 - so_far.sum())
        so_far += np.minimum(TABLE.table[0] - so_far, reach[-1] * q)
    index = GreedyRejection(TABLE).encode(np.zeros(n, int), 43)
    law = -np.diff(reach)
    counts = np.bincount(np.minimum(index, 10), minlength=11)
    assert_counts(counts, n * np.append(law[:10], 1 - law[:10].sum()))
    number = index + 1.0
    assert abs(np.mean(number) - TABLE.ratio[0].max()) < 4 * np.std(number) / math.sqrt(n)


def resampled_law(row, candidates):
    """Exact law of importance resampling: all compositions of ``candidates`` draws of ``Q``."""
    q, r = TABLE.output, TABLE.ratio[row]
    law = np.zeros(4)
    for a, b, c in itertools.product(range(candidates + 1), repeat=3):
        d = candidates - a - b - c
        if d < 0:
            continue
        counts = np.array([a, b, c, d])
        weight = counts * r
        if weight.sum() > 0:
            law += stats.multinomial.pmf(counts, candidates, q) * weight / weight.sum()
        else:
            # Every score is infinite, and the first proposal is taken.
            law += stats.multinomial.pmf(counts, candidates, q) * counts / candidates
    return law


def test_ordered_random_coding_is_importance_resampling():
    # Oracle: the exact law of resampling among N draws, by enumeration; n = 30,000, chi-square; and its
    # distance from the target, which is what is lost: total variation 0.3710, 0.1985, 0.0819 at N = 2, 4,
    # 8 (0.2 %), so that the test tells the law from the target at every N.
    distances = []
    for candidates in (2, 4, 8):
        law = resampled_law(1, candidates)
        y = drawn(OrderedRandomCoding(TABLE, candidates), np.ones(30_000, int), 47)
        assert_counts(np.bincount(y, minlength=4), 30_000 * law)
        distances.append(0.5 * float(np.sum(np.abs(law - TABLE.table[1]))))
    np.testing.assert_allclose(distances, [0.3710, 0.1985, 0.0819], rtol=0.002)


def test_ordered_random_coding_tends_to_the_poisson_representation():
    # Oracle: with many candidates the race is the same race: 1,000 samples, N = 2,048; at least 99 % of
    # the indices agree, and the law of the output is that of the channel (KS).
    channel = GaussianChannel.from_rate(1.0)
    x = np.full((1_000, 1), 1.1)
    ordered = OrderedRandomCoding(channel, 2048)
    index = ordered.encode(x, 53)
    assert np.mean(index == PoissonRepresentation(channel).encode(x, 53)) > 0.99
    y = ordered.reproduce(index, 53)[:, 0]
    assert_normal((y - 1.1 * channel.correlation) / math.sqrt(channel.noise))


@pytest.mark.parametrize("make", EXACT)
def test_the_mean_of_the_logarithm_of_the_index(make):
    # Oracles: E log2 K <= D + log2(e)/e + 1 (Li and El Gamal 2018), and for greedy rejection
    # D + 1 + (1 + 1/e) log2 e; from below, L + log2(L + 1) + 1 >= H(K) >= I, which a broken index would
    # not carry. n = 5,000; the standard error is below 0.03.
    for rate in (0.5, 2.0, 3.5):
        channel = GaussianChannel.from_rate(rate)
        x = np.random.default_rng(6).normal(size=(5_000, 1))
        mean = np.mean(np.log2(make(channel).encode(x, 3) + 1.0))
        most = 1 + math.log2(math.e) * (1 / math.e + (make is GreedyRejection))
        assert mean < channel.divergence_bits + most
        assert mean + math.log2(mean + 1) + 1 > rate


def test_the_mean_number_of_proposals_over_the_source():
    # Oracles: E sup r in closed form, against the mean of the bound over 200,000 samples (4 standard
    # errors; its variance is finite at this dispersion); and greedy rejection's mean index, which is sup r
    # averaged (n = 20,000). At c = 1 + rho it is ((1 + rho)/(1 - rho))^(d/2).
    channel = GaussianChannel(0.5, dimension=2, dispersion=2.5)
    x = np.random.default_rng(2).normal(size=(200_000, 2))
    bound = np.exp(channel.log_bound(x))
    error = 4 * np.std(bound) / math.sqrt(len(x))
    assert abs(np.mean(bound) - channel.mean_proposals) < error
    number = GreedyRejection(channel).encode(x[:20_000], 1) + 1.0
    spread = 4 * np.std(number) / math.sqrt(20_000)
    assert abs(np.mean(number) - channel.mean_proposals) < spread + error
    assert GaussianChannel(0.5, dispersion=1.5).mean_proposals == pytest.approx(math.sqrt(3))
    assert math.isinf(GaussianChannel(0.5, dispersion=1.0).mean_proposals)


def test_layers_make_the_noise():
    # Oracles: widths squared over (2 sigma)^2 are chi-squared of 3 degrees for direct layers (KS); shifted
    # widths are never below 2 sqrt(2 log 2) sigma; n = 20,000; and the second moment of the noise.
    channel = GaussianChannel(0.6)
    sigma = math.sqrt(channel.noise)
    width, centre, dither = LayeredDither(channel).layers(8, 20_000)
    squares = (width[:, 0] / (2 * sigma)) ** 2
    assert stats.kstest(squares, stats.chi2(3).cdf).statistic < 2.2 / math.sqrt(20_000)
    assert not np.any(centre)
    width, centre, dither = LayeredDither(channel, "shifted").layers(8, 20_000)
    assert width.min() >= 2 * math.sqrt(2 * math.log(2)) * sigma * (1 - 1e-12)
    moment = (width**2 / 12 + centre**2)[:, 0]
    assert abs(np.mean(moment) - sigma**2) < 4 * np.std(moment) / math.sqrt(20_000)
    assert stats.kstest(dither[:, 0], "uniform").statistic < 2.2 / math.sqrt(20_000)


def test_the_rate_of_uniform_dither_is_the_mutual_information():
    # Oracle: H(K | U) = I(X; X^) = h(X + U) - log2 w by quadrature (Ziv 1985), against the mean of the exact
    # code length -log2 P(K | U); n = 20,000; 4 standard errors.
    w, n = 1.3, 20_000
    x = np.random.default_rng(12).normal(size=(n, 1))
    method = UniformDither(w)
    k = method.encode(x, 3)
    _, _, u = method.layers(3, n)
    lengths = -np.log2(stats.norm.cdf(w * (k + u + 0.5)) - stats.norm.cdf(w * (k + u - 0.5)))

    def density(y):
        return (stats.norm.cdf(y + w / 2) - stats.norm.cdf(y - w / 2)) / w

    entropy = integrate.quad(lambda y: -density(y) * math.log2(density(y)), -8, 8, limit=200)[0]
    assert abs(np.mean(lengths) - (entropy - math.log2(w))) < 4 * np.std(lengths) / math.sqrt(n)
