"""Entropy-coded trellis codes: bytes, price list, limits, law of blocks."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from veridical.block.trellis import trellis_codec
from veridical.errors import DamagedFile, InvalidSetting
from veridical.limits import gaussian_distortion
from veridical.quantize.trellis import STATES, Shifts, Trellis

SETTINGS = {
    "8, none": (8, 1.0, 0.0, 1.0),
    "8, third": (8, 1.5, 1 / 3, 0.01),
    "16, one": (16, 2.0, 1.0, 1.0),
    "8, log 6": (8, 1.0, 1 + math.log2(3), 25.0),
    "64, dither": (64, 1.0, math.inf, 1.0),
}
names = pytest.mark.parametrize("name", list(SETTINGS))
_MADE = {}


def codec_of(name):
    if name not in _MADE:
        states, R, Rc, variance = SETTINGS[name]
        _MADE[name] = trellis_codec(
            states, rate_bits=R, common_bits=Rc, variance=variance, samples=40_000,
            rng=np.random.default_rng(len(name)),
        )  # fmt: skip
    return _MADE[name]


@pytest.mark.filterwarnings("ignore:these numbers do not fit")
@names
def test_bytes_carry_every_index_of_any_length(name):
    # Oracle: the index itself; lengths around the row of 4,096, and samples a million times too large;
    # length within 1 % and 30 bytes of the ideal code length.
    codec = codec_of(name)
    rng = np.random.default_rng(0)
    for n in (0, 1, 2, 4097, 9000):
        x = math.sqrt(codec.variance) * rng.normal(size=n)
        x[:3] *= 1e6
        index = codec.encode(x, seed=5)
        data = codec.to_bytes(index, seed=5)
        assert np.array_equal(codec.from_bytes(data, n, seed=5), index)
        assert 8 * len(data) <= 1.01 * codec.encoder.coder.ideal_bits(index, 5) + 240
        out = codec.decode(index, rng, seed=5)
        assert out.shape == x.shape
        assert np.all(np.isfinite(out))
    table = rng.normal(size=(7, 30))
    index = codec.encode(table, seed=1)
    assert np.array_equal(index.ravel(), codec.encode(table.ravel(), seed=1))
    assert codec.decode(index, rng, realism=0.3, seed=1).shape == (7, 30)


@pytest.mark.filterwarnings("ignore:these numbers do not fit")
@settings(max_examples=10)
@given(st.integers(0, 2**64 - 1), st.floats(0.0, 1e300), st.integers(0, 40))
def test_any_seed_any_size(seed, size, n):
    # Oracle: the index itself.
    x = size * np.random.default_rng(n).normal(size=n)
    for name in ("8, third", "8, log 6"):
        codec = codec_of(name)
        index = codec.encode(x, seed=seed)
        data = codec.to_bytes(index, seed=seed)
        assert np.array_equal(codec.from_bytes(data, n, seed=seed), index)


@pytest.mark.statistical
@names
def test_rate_prices_and_law(name):
    # Oracles: the rate asked for (1.5 %); D = d + a^2 C at three settings, 5 standard errors and the 1.5 % by which
    # 40,000 samples of the price list may miss; X- follows the source: norms of blocks of 20, single
    # samples, sums of neighbours, Kolmogorov-Smirnov above 1e-4 (would miss 1.5 % of the distribution
    # function of norms). Neighbours make up each other's shifts, hence the sums.
    codec = codec_of(name)
    _, R, _, variance = SETTINGS[name]
    rng, s = np.random.default_rng(1), math.sqrt(variance)
    x = s * rng.normal(size=(3000, 20))
    index = codec.encode(x, seed=2)
    assert 8 * len(codec.to_bytes(index, seed=2)) / x.size == pytest.approx(R, rel=0.015)
    price = codec.calibration
    for P in (0.0, 0.3 * price.transport_cost, math.inf):
        out = codec.decode(index, rng, perception=P, seed=2)
        errors = np.mean(np.square(x - out), axis=1)
        tolerance = 5 * errors.std() / math.sqrt(len(errors)) + 0.015 * price.distortion_for(P)
        assert abs(errors.mean() - price.distortion_for(P)) < tolerance
    real = codec.decode(index, rng, realism=1.0, seed=2) / s
    assert kstest(np.sum(np.square(real), axis=1), "chi2", args=(20,)).pvalue > 1e-4
    assert kstest(real[:, 0], "norm").pvalue > 1e-4
    assert kstest((real[:, 3] + real[:, 4]) / math.sqrt(2), "norm").pvalue > 1e-4


@pytest.mark.statistical
def test_64_states_are_close_to_the_limit_in_real_bytes():
    # Oracle: D(R) and D(R, inf, 0) of the Gaussian at the rate of the bytes; at most .35 dB above each
    # (measured .30; 60,000 samples leave 0.025 dB of noise at one standard error of matched samples).
    codec = codec_of("64, dither")
    x = np.random.default_rng(7).normal(size=60_000)
    x /= math.sqrt(np.mean(np.square(x)))
    index = codec.encode(x, seed=3)
    rate = 8 * len(codec.to_bytes(index, seed=3)) / x.size
    rng = np.random.default_rng(8)
    for realism, limit in (
        (0.0, 4.0**-rate),
        (1.0, float(gaussian_distortion(rate, 0.0, math.inf))),
    ):
        D = np.mean(np.square(x - codec.decode(index, rng, realism=realism, seed=3)))
        assert 0 < 10 * math.log10(D / limit) < 0.35


@pytest.mark.statistical
def test_blocks_are_nearly_as_far_from_the_code_as_the_source():
    # Oracle: the source itself, coded by the same code under another seed: a test that knows the code. The
    # root distance of a block is 1-Lipschitz, so that its difference bounds the W2 of blocks from below: at most
    # 5e-4 of the variance (measured 3e-4 without common randomness, 1e-5 with); with dither the squared
    # distances agree within 1 %. The wrong channel has teeth: x_mmse itself misses by 0.02 or more.
    for name in ("8, none", "8, third", "16, one", "64, dither"):
        codec, rng = codec_of(name), np.random.default_rng(1)
        x = math.sqrt(codec.variance) * np.random.default_rng(9).normal(size=60_000)
        index = codec.encode(x, seed=4)
        outs = (x, codec.decode(index, rng, seed=4), codec.decode(index, rng, realism=0.0, seed=4))
        far = [
            np.mean(np.square(y - codec.encoder.points(codec.encoder.encode(y, 11), 11)))
            / codec.variance
            for y in outs
        ]
        assert (math.sqrt(far[0]) - math.sqrt(far[1])) ** 2 < 5e-4
        if codec.common_bits > 1:
            assert far[1] == pytest.approx(far[0], rel=0.01)
        if codec.common_bits == 0:
            assert (math.sqrt(far[0]) - math.sqrt(far[2])) ** 2 > 0.02


def test_trellises():
    # Oracles: by definition two ways into each state; Viterbi against all paths of 4 states, exact.
    for states in STATES:
        moves = Trellis(states).moves
        assert np.array_equal(np.bincount(moves.ravel()), np.full(states, 2))
    trellis, rng = Trellis(4), np.random.default_rng(0)
    costs = rng.random((7, 4, 3)).astype(np.float32)
    best = np.full(3, np.inf)
    for path in range(2**7):
        state, total = 0, np.zeros(3)
        for t in range(7):
            u = path >> t & 1
            total += costs[t, 2 * u + trellis.odd[state]]
            state = trellis.moves[state, u]
        best = np.minimum(best, total)
    found = trellis.cheapest(costs)
    total = np.take_along_axis(costs, found[:, None], axis=1).sum(axis=(0, 1))
    np.testing.assert_allclose(total, best, rtol=1e-5)


def test_common_bits_are_those_of_the_shifts():
    # Oracle: log2 of the number of shifts a place; shifts are below 2 steps.
    for bits in (0.0, 0.5, 1 / 3, 0.75, 1.0, 2.0, 1 + math.log2(3), math.inf):
        shifts = Shifts.of_bits(bits)
        assert shifts.common_bits == pytest.approx(bits)
        steps = shifts.steps(3, 4800)
        assert steps.max() < 2 * shifts.fractions
        if math.isfinite(bits):
            places = [len(np.unique(steps[r :: shifts.period])) for r in range(shifts.period)]
            assert np.mean(np.log2(places)) == pytest.approx(bits)
    for bad in (-1.0, 0.123456, 1.1, math.nan):
        with pytest.raises(InvalidSetting):
            Shifts.of_bits(bad)


def test_bad_input_is_refused():
    codec, rng = codec_of("8, none"), np.random.default_rng(0)
    for settings_ in (
        {"states": 7}, {"rate_bits": 0.01}, {"rate_bits": 9.0}, {"variance": 0.0}, {"common_bits": 1.05},
    ):  # fmt: skip
        with pytest.raises(InvalidSetting):
            trellis_codec(**{"states": 8, "rate_bits": 1.0, "rng": rng, **settings_})
    for bad in (["a"], [np.nan], [np.inf], [1j]):
        with pytest.raises(InvalidSetting):
            codec.encode(np.array(bad))
    with pytest.raises(InvalidSetting, match="path"):
        codec.to_bytes(np.ones(9, dtype=int))
    with pytest.raises(InvalidSetting, match="whole"):
        codec.decode(np.ones(3), rng)
    data = codec.to_bytes(codec.encode(rng.normal(size=50)))
    for at in range(0, 8 * len(data), 7):
        broken = bytearray(data)
        broken[at // 8] ^= 1 << at % 8
        with pytest.raises(DamagedFile):
            codec.from_bytes(bytes(broken), 50)
    with pytest.raises(DamagedFile, match="asked"):
        codec.from_bytes(data, 49)
