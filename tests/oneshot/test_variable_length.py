"""Codes of variable length: time sharing on the lower hull, with and without seeds."""

import math

import numpy as np
import pytest
from scipy.stats import norm

import veridical
from veridical.oneshot.swap import posterior_of, with_generator
from veridical.oneshot.variable import hull, neighbours
from veridical.random import random_choices, random_symbols

GRID = (np.arange(1000) + 0.5) / 1000


def designed(x, rate, seeds, *, variable_length=True, perception=0.0):
    return veridical.design(
        x, rate_bits=rate, seeds=seeds, perception=perception,
        variable_length=variable_length, rng=np.random.default_rng(0),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("x", "rate", "bar"),
    [
        (norm.ppf(GRID), 1.0, 0.465),
        (norm.ppf(GRID), 1.5, 0.227),
        (norm.ppf(GRID), 2.0, 0.113),
        (math.sqrt(12) * (GRID - 0.5), 1.5, 0.185),
    ],
)
def test_two_seeds_reach_an_independent_search_and_spend_the_rate(x, rate, bar):
    # Oracle: D(P=0) of an independent search on quantile grids of 4,000, K = 2; within 2 %. The rate is
    # spent to 2^-15 of a hull step.
    codec = designed(x, rate, 2)
    assert codec.calibration.distortion_for(0.0) <= 1.02 * bar
    assert rate - 1e-4 <= codec.entropy_bits <= rate


@pytest.mark.parametrize("perception", [None, 0.0, 0.1])
def test_never_dearer_than_fixed_length_at_its_entropy_or_than_one_seed(perception):
    # Oracle: the fixed-length design, which is a point of the search: at its own entropy variable
    # length costs no more (1 %: two separate local searches); more seeds cost no more than fewer (1e-9).
    x = np.random.default_rng(0).normal(size=1500)
    fixed = designed(x, 1.0, 2, variable_length=False, perception=perception)
    P = 0.0 if perception is None else perception
    codecs = [designed(x, fixed.entropy_bits, K, perception=perception) for K in (1, 2)]
    one, two = (c.calibration.distortion_for(P) for c in codecs)
    assert two <= 1.01 * fixed.calibration.distortion_for(P)
    assert two <= one * (1 + 1e-9)


@pytest.mark.statistical
def test_shared_time_measured():
    # Oracles: the price list (d, C) of a code that shares time, on its own samples over 40 seeds, 4
    # standard errors; X- has the source's moments (4 standard errors of 40 x 500 samples); bytes within
    # 24 bytes and 4 standard errors of H(Z|S). With one seed C = d ([T] Prop. 2), also when time is shared.
    x = np.random.default_rng(3).normal(size=(500, 2)) @ np.array([[1.0, 0.5], [0.0, 0.6]])
    for K in (1, 2):
        codec = designed(x, 1.2, K)
        assert len(codec.encoder.shares) == 2 * K
        rng = np.random.default_rng(4)
        found, moments, lengths = [], [], []
        for seed in range(40):
            index = codec.encode(x, seed=seed)
            data = codec.to_bytes(index, seed=seed)
            assert np.array_equal(codec.from_bytes(data, len(x), seed=seed), index)
            mmse = codec.decode(index, rng, realism=0.0, seed=seed)
            real = codec.decode(index, rng, realism=1.0, seed=seed)
            squares = (np.square(x - mmse), np.square(mmse - real), np.square(x - real))
            found.append([s.sum(axis=1).mean() for s in squares])
            moments.append(np.concatenate([real.mean(axis=0), np.square(real).mean(axis=0)]))
            lengths.append(8 * (len(data) - 24) / len(x))
        price = codec.calibration
        expected = [price.mmse, price.transport_cost, price.mmse + price.transport_cost]
        error = np.std(found, axis=0, ddof=1) / math.sqrt(40)
        assert np.all(np.abs(np.mean(found, axis=0) - expected) < 4 * error)
        truth = np.concatenate([x.mean(axis=0), np.square(x).mean(axis=0)])
        error = np.std(moments, axis=0, ddof=1) / math.sqrt(40)
        assert np.all(np.abs(np.mean(moments, axis=0) - truth) < 4 * error)
        assert np.mean(lengths) < codec.entropy_bits + 4 * np.std(lengths) / math.sqrt(40)
        if K == 1:
            assert price.transport_cost == pytest.approx(price.mmse, rel=1e-9)


def test_posterior_sampling_on_shared_time():
    # Oracle: C = d for posterior sampling, measured on the design samples over one seed; 5 standard errors.
    x = np.random.default_rng(5).normal(size=2000)
    codec = designed(x, 1.3, 2)
    plain = with_generator(codec, posterior_of(codec, x), x, rng=np.random.default_rng(0))
    assert plain.calibration.transport_cost == pytest.approx(codec.calibration.mmse, rel=0.15)
    assert plain.calibration.transport_cost > 1.3 * codec.calibration.transport_cost


def test_degenerate_rates():
    # Oracles: rate 0 is the mean; a rate above log2 of the number of samples costs nothing.
    x = np.random.default_rng(6).normal(size=(6, 1))
    for K in (1, 2):
        assert designed(x, 0.0, K).calibration.mmse == pytest.approx(np.var(x), rel=1e-12)
        assert designed(x, 4.0, K).calibration.mmse == pytest.approx(0.0, abs=1e-12)
        assert designed(np.ones(9), 1.5, K).entropy_bits == 0.0


def test_hull_and_neighbours():
    # Oracle: by hand; (1.5, 1.2) is above the chord from (1, 1.5) to (2, 0.5), (2, 0.9) is dominated.
    H, J = [0.0, 1.5, 1.0, 2.0, 2.0, 3.0], [3.0, 1.2, 1.5, 0.9, 0.5, 0.6]
    assert hull(H, J) == [0, 2, 4]
    assert neighbours(H, J, 1.2) == (2, 4)
    assert neighbours(H, J, 9.0) == (4, 4)
    assert neighbours(H, J, 1.0) == (2, 4)


@pytest.mark.statistical
def test_choices_in_proportion():
    # Oracle: with equal shares the symbols themselves; else binomial counts, 5 standard deviations.
    assert np.array_equal(random_choices(3, 50, (1, 1, 1)), random_symbols(3, 50, 3))
    found = np.bincount(random_choices(3, 90_000, (1, 5, 3)), minlength=3)
    p = np.array([1, 5, 3]) / 9
    assert np.all(np.abs(found - 90_000 * p) < 5 * np.sqrt(90_000 * p * (1 - p)))
    for bad in ((), (0, 1), (1.5,), ((1, 2),)):
        with pytest.raises(veridical.VeridicalError):
            random_choices(0, 1, bad)
