"""Channel simulation: one interface, indices and seed alone, certificates, and what is refused."""

import dataclasses
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veridical.errors import InvalidSetting, NotConverged
from veridical.quantize.simulation import (
    ArcChannel,
    ArcDither,
    GaussianChannel,
    GreedyRejection,
    LayeredDither,
    OrderedRandomCoding,
    PoissonRepresentation,
    RatioChannel,
    TableChannel,
    UniformDither,
)
from veridical.quantize.simulation.proposals import coins, proposals

SEEDS = st.integers(0, 2**64 - 1)
GAUSS = GaussianChannel(0.8, source_variance=4.0, output_variance=2.0)
PLANE = GaussianChannel.from_rate(1.5, dimension=2)
TABLE = TableChannel(np.array([[0.7, 0.2, 0.1, 0.0], [0.1, 0.1, 0.0, 0.8]]), np.array([0.25, 0.75]))
ARC = ArcChannel(6)


def gaussian_samples(channel, n, rng):
    return rng.normal(size=(n, channel.dimension)) * math.sqrt(channel.source_variance)


def circle_points(channel, n, rng):
    angle = rng.uniform(0, 2 * np.pi, n)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def symbols(channel, n, rng):
    return rng.integers(0, len(channel.table), n)


SOURCES = {GaussianChannel: gaussian_samples, TableChannel: symbols, ArcChannel: circle_points}
SELECTIONS = [
    method(channel)
    for channel in (GAUSS, PLANE, TABLE, ARC)
    for method in (
        PoissonRepresentation,
        GreedyRejection,
        lambda channel: OrderedRandomCoding(channel, 20),
    )
]
DITHERS = [UniformDither(0.5, 3), LayeredDither(PLANE), LayeredDither(GAUSS, "shifted")]


def samples_for(method, n, rng):
    if isinstance(method, UniformDither):
        return rng.normal(size=(n, method.dimension))
    return SOURCES[type(method.channel)](method.channel, n, rng)


@pytest.mark.parametrize("method", SELECTIONS + DITHERS)
@settings(max_examples=12)
@given(seed=SEEDS, n=st.integers(0, 40), cut=st.integers(0, 40), start=st.integers(0, 2**39))
def test_index_and_seed_alone_reproduce_the_sample(method, seed, n, cut, start):
    # Oracles: encoding twice is the same; a batch in two parts is the batch; the decoder's copy of the
    # method knows the proposal law only (another correlation gives the same), all exact.
    x = samples_for(method, n, np.random.default_rng(seed))
    index = method.encode(x, seed, first=start)
    assert index.dtype == np.int64
    assert len(index) == n
    assert np.array_equal(method.encode(x, seed, first=start), index)
    cut = min(cut, n)
    parts = [
        method.encode(x[:cut], seed, first=start),
        method.encode(x[cut:], seed, first=start + cut),
    ]
    assert np.array_equal(np.concatenate(parts), index)
    y = method.reproduce(index, seed, first=start)
    assert y.shape == np.shape(x)
    if n:
        alone = method.reproduce(index[n - 1 :], seed, first=start + n - 1)
        assert np.array_equal(alone, y[n - 1 :])
    channel = getattr(method, "channel", None)
    if isinstance(channel, GaussianChannel) and not isinstance(method, LayeredDither):
        other = dataclasses.replace(
            method, channel=dataclasses.replace(channel, correlation=0.1, source_variance=9.0)
        )
        assert np.array_equal(other.reproduce(index, seed, first=start), y)


@given(seed=SEEDS, n=st.integers(0, 40), outputs=st.integers(1, 9))
def test_angular_dither_stays_on_the_arc(seed, n, outputs):
    # Oracle: the reproduction lies within pi/M of the sample; rounding 1e-9.
    method = ArcDither(outputs)
    x = circle_points(None, n, np.random.default_rng(seed))
    y = method.reproduce(method.encode(x, seed), seed)
    np.testing.assert_allclose(np.hypot(*y.T), 1.0, atol=1e-12)
    assert np.all(np.einsum("nd,nd->n", x, y) >= math.cos(math.pi / outputs) - 1e-9)


@given(seed=SEEDS, step=st.floats(1e-3, 1e3))
def test_uniform_dither_stays_within_half_a_step(seed, step):
    # Oracle: |X^ - X| <= w/2, up to rounding.
    x = np.random.default_rng(seed).normal(size=(50, 2)) * 10
    method = UniformDither(step, 2)
    y = method.reproduce(method.encode(x, seed), seed)
    assert np.max(np.abs(y - x)) <= step / 2 * (1 + 1e-9) + 1e-12


@pytest.mark.parametrize("channel", [GAUSS, PLANE, TABLE, ARC])
def test_the_certificate_of_the_poisson_representation(channel):
    # Oracle: the argmin over 60 times as many proposals as the bound, by the definition; exact. (A later
    # winner has probability e^-60.)
    rng = np.random.default_rng(5)
    x = SOURCES[type(channel)](channel, 40, rng)
    rows = channel.check(x)
    index = PoissonRepresentation(channel).encode(x, 17)
    for i in range(40):
        count = math.ceil(60 * math.exp(float(channel.log_bound(rows[i : i + 1])[0]))) + 60
        if count > 60_000:
            continue
        sample = np.array([i])
        time = np.cumsum(-np.log(coins(17, sample, 0, count)))
        ratio = channel.log_ratio(rows[i : i + 1], proposals(channel, 17, sample, 0, count))[0]
        assert index[i] == np.argmin(np.log(time) - ratio)


def test_greedy_rejection_on_a_table_is_harshas():
    # Oracle: the algorithm as published for finite alphabets, with the probabilities given so far kept
    # for every symbol (Harsha et al. 2010), in a loop over samples; exact.
    method = GreedyRejection(TABLE)
    x = np.random.default_rng(0).integers(0, 2, 150)
    index = method.encode(x, 3)
    law = TABLE.output
    for i in range(150):
        given_so_far, k = np.zeros(4), 0
        while True:
            left = 1.0 - given_so_far.sum()
            now = np.minimum(TABLE.table[x[i]] - given_so_far, left * law)
            y = proposals(TABLE, 3, np.array([i]), k, 1)[0, 0]
            if coins(3, np.array([i]), k, 1)[0, 0] < now[y] / (left * law[y]):
                break
            given_so_far += now
            k += 1
        assert index[i] == k


def grid(channel):
    """All outputs of a channel and their probabilities under the proposal law: shape ``(1, b, ...)``."""
    if isinstance(channel, TableChannel):
        return np.arange(len(channel.output))[None], channel.output
    if isinstance(channel, ArcChannel):
        angle = (np.arange(60_000) + 0.5) * (2 * np.pi / 60_000)
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)[None], np.full(60_000, 1 / 60_000)
    spread = math.sqrt(channel.dispersion * channel.output_variance)
    count = 20_001 if channel.dimension == 1 else 401
    line = np.linspace(-7, 7, count)
    law = np.exp(-(line**2) / 2) / math.sqrt(2 * math.pi) * (line[1] - line[0])
    if channel.dimension == 1:
        return (spread * line)[None, :, None], law
    plane = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(1, -1, 2)
    return spread * plane, np.outer(law, law).ravel()


@pytest.mark.parametrize(
    "channel", [GAUSS, PLANE, GaussianChannel(-0.6, dispersion=1.0), TABLE, ARC]
)
def test_the_largest_ratio_and_the_excess_of_each_channel(channel):
    # Oracles: sums over a fine grid of all outputs: the ratio integrates to 1 and never exceeds its bound,
    # and E_Q (r - level)+ agrees within 3e-4 (the step of the grid); at the peak the bound is met.
    x = channel.check(SOURCES[type(channel)](channel, 5, np.random.default_rng(2)))
    outputs, law = grid(channel)
    ratio = np.exp(channel.log_ratio(x, np.repeat(outputs, len(x), axis=0)))
    bound = np.exp(channel.log_bound(x))
    assert np.all(ratio <= bound[:, None] * (1 + 1e-12))
    np.testing.assert_allclose(ratio @ law, 1.0, atol=3e-4)
    for share in (0.0, 0.01, 0.3, 0.9, 1.0, 2.0):
        level = share * bound
        expected = np.maximum(ratio - level[:, None], 0.0) @ law
        np.testing.assert_allclose(channel.excess(x, level), expected, atol=3e-4)
    if isinstance(channel, GaussianChannel):
        m, c = channel.means(x), channel.dispersion
        peak = m * c / (c - channel.noise) * math.sqrt(channel.output_variance)
        at_peak = channel.log_ratio(x, peak[:, None])[:, 0]
        np.testing.assert_allclose(at_peak, channel.log_bound(x), rtol=1e-9, atol=1e-9)


def gaussian_by_functions(**changes):
    """``GaussianChannel(0.8)`` of dispersion 1 with the proposals of the other, by functions."""
    from scipy.special import ndtri

    same = GaussianChannel(0.8)
    known = {
        "words": 1,
        "sampler": lambda u: ndtri(u) * math.sqrt(1.25),
        "log_density_ratio": same.log_ratio,
        "log_ratio_bound": same.log_bound,
        "ratio_excess": same.excess,
        "divergence_bits": same.divergence_bits,
    }
    return RatioChannel(**(known | changes))


def test_a_channel_by_functions_is_the_same_channel():
    # Oracle: GaussianChannel; exact.
    x = np.random.default_rng(1).normal(size=(200, 1))
    for method in (PoissonRepresentation, GreedyRejection, lambda c: OrderedRandomCoding(c, 30)):
        ours, same = method(gaussian_by_functions()), method(GaussianChannel(0.8))
        index = same.encode(x, 4)
        assert np.array_equal(ours.encode(x, 4), index)
        assert np.array_equal(ours.reproduce(index, 4), same.reproduce(index, 4))


def test_ratios_without_or_above_their_bound_are_refused():
    x = np.random.default_rng(1).normal(size=(200, 1))
    unbounded = gaussian_by_functions(log_ratio_bound=None)
    for method in (PoissonRepresentation, GreedyRejection):
        with pytest.raises(InvalidSetting, match="no finite bound"):
            method(unbounded).encode(x, 0)
        lower = gaussian_by_functions(log_ratio_bound=lambda rows: np.full(len(rows), 0.1))
        with pytest.raises(InvalidSetting, match="exceeds the bound"):
            method(lower).encode(x, 0)
        with pytest.raises(InvalidSetting, match="the limit is 3"):
            method(GaussianChannel(0.99), most_proposals=3).encode(x, 0)
    assert OrderedRandomCoding(unbounded, 8).encode(x, 0).max() < 8
    with pytest.raises(InvalidSetting, match="excess"):
        GreedyRejection(gaussian_by_functions(ratio_excess=None)).encode(x, 0)
    nothing = gaussian_by_functions(log_density_ratio=lambda x, y: np.full(y.shape[:2], np.nan))
    for method in (PoissonRepresentation, GreedyRejection, lambda c: OrderedRandomCoding(c, 30)):
        with pytest.raises(InvalidSetting, match="NaN"):
            method(nothing).encode(x, 0)


def test_a_ratio_that_is_not_one_stops_with_an_error():
    # A "ratio" of zero everywhere accepts nothing: the limit is met, and what there is is attached.
    zero = gaussian_by_functions(
        log_density_ratio=lambda x, y: np.full(y.shape[:2], -np.inf),
        log_ratio_bound=lambda x: np.zeros(len(x)),
    )
    for method in (PoissonRepresentation, GreedyRejection):
        with pytest.raises(NotConverged, match="density ratio") as caught:
            method(zero, most_proposals=4).encode(np.zeros((3, 1)), 0)
        assert caught.value.best.index.shape == (3,)


@pytest.mark.parametrize("method", SELECTIONS + DITHERS + [ArcDither(3)])
def test_samples_indices_and_seeds_that_do_not_fit(method):
    bad_samples = [
        np.full((4, 2), np.nan),
        np.zeros((2, 2, 2)),
        "abc",
        np.zeros((4, 5)),
        [[0.5, None]],
    ]
    for bad in bad_samples:
        with pytest.raises(InvalidSetting):
            method.encode(bad, 0)
    index = [[0.5]] if isinstance(method, UniformDither | LayeredDither) else [0.5]
    for bad in (index, [[[0]]], "x", [2**60], [[2**60] * 3], [-(2**60)]):
        with pytest.raises(InvalidSetting):
            method.reproduce(bad, 0)
    for seed in (-1, 2**64, 0.5):
        with pytest.raises(InvalidSetting, match="seed"):
            method.reproduce(
                np.zeros((2, method.dimension), int)
                if isinstance(method, UniformDither | LayeredDither)
                else [0, 1],
                seed,
            )


@pytest.mark.parametrize(
    "make",
    [
        lambda: GaussianChannel(1.0),
        lambda: GaussianChannel(float("nan")),
        lambda: GaussianChannel(0.5, source_variance=0.0),
        lambda: GaussianChannel(0.5, output_variance=math.inf),
        lambda: GaussianChannel(0.5, dimension=0),
        lambda: GaussianChannel(0.5, dispersion=0.9),
        lambda: GaussianChannel(0.0, dispersion=1.0),
        lambda: GaussianChannel.from_rate(-1.0),
        lambda: GaussianChannel.from_rate(math.inf),
        lambda: TableChannel(np.ones((2, 2)), np.array([0.5, 0.5])),
        lambda: TableChannel(np.eye(2), np.array([1.0, 0.0])),
        lambda: TableChannel(np.eye(2), np.array([1.0])),
        lambda: TableChannel(np.array([[1.5, -0.5], [0, 1]]), np.array([0.5, 0.5])),
        lambda: TableChannel(np.zeros((0, 0)), np.zeros(0)),
        lambda: ArcChannel(0),
        lambda: ArcChannel(2.5),
        lambda: RatioChannel(0, abs, max),
        lambda: PoissonRepresentation(GAUSS, most_proposals=0),
        lambda: GreedyRejection(GAUSS, most_proposals=True),
        lambda: OrderedRandomCoding(GAUSS, 0),
        lambda: OrderedRandomCoding(GAUSS, 2**25),
        lambda: UniformDither(0.0),
        lambda: UniformDither(1.0, 0),
        lambda: LayeredDither(GAUSS, "diagonal"),
        lambda: ArcDither(0),
        lambda: OrderedRandomCoding(GAUSS, 8).reproduce([8], 0),
        lambda: UniformDither(1e-9).encode([[1e9]], 0),
        lambda: PoissonRepresentation(GAUSS).encode([[0.0]], 0, first=2**40),
        lambda: PoissonRepresentation(ARC).encode([[1.0, 1.0]], 0),
        lambda: PoissonRepresentation(TABLE).encode([2], 0),
        lambda: PoissonRepresentation(TABLE).encode([0.5], 0),
    ],
)
def test_settings_outside_their_range(make):
    with pytest.raises(InvalidSetting):
        make()


def test_memory_does_not_grow_with_the_proposals():
    # Oracle: 50,000 samples of 4 numbers take 1.6 MB; encoding and reproducing them may take 8 MiB more.
    # The words of the first 8 proposals alone, all samples at once, would be 12.8 MB.
    x = np.random.default_rng(0).normal(size=(50_000, 4))
    channel = GaussianChannel.from_rate(1.0, dimension=4)
    for method in (PoissonRepresentation(channel), LayeredDither(channel)):
        method.encode(x[:10], 0)
        tracemalloc.start()
        try:
            method.reproduce(method.encode(x, 0), 0)
            assert tracemalloc.get_traced_memory()[1] < 8 << 20
        finally:
            tracemalloc.stop()


def test_extreme_samples_and_channels():
    # No information: every method takes the first proposal or nearly; a useless table costs nothing.
    flat = TableChannel(np.full((3, 4), 0.25), np.full(3, 1 / 3))
    assert flat.information_bits == 0.0
    for method in (PoissonRepresentation, GreedyRejection, lambda c: OrderedRandomCoding(c, 5)):
        assert not np.any(method(flat).encode(np.zeros(20, int), 1))
    # A noiseless table: the symbol itself, with certainty.
    same = TableChannel(np.eye(5), np.full(5, 0.2))
    x = np.arange(5)
    for method in (PoissonRepresentation(same), GreedyRejection(same)):
        assert np.array_equal(method.reproduce(method.encode(x, 1), 1), x)
    # A thousand coordinates: even at half a bit the ratio has no bound that could be waited for, which
    # is said; what needs no search goes on.
    wide = GaussianChannel.from_rate(0.5, dimension=1000)
    x = np.random.default_rng(0).normal(size=(3, 1000))
    for method in (PoissonRepresentation(wide), GreedyRejection(wide)):
        with pytest.raises(InvalidSetting, match="fewer coordinates"):
            method.encode(x, 1)
    for method in (LayeredDither(wide), OrderedRandomCoding(wide, 10)):
        assert method.reproduce(method.encode(x, 1), 1).shape == (3, 1000)
