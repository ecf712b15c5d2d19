"""Posterior sampling from stored samples: the law of the source, the price d, and what it conditions on."""

import dataclasses

import numpy as np
import pytest

import veridical
from veridical.errors import InvalidSetting
from veridical.generate.posterior import PosteriorGenerator
from veridical.generate.sample_flow import FlowGenerator, Velocity, VelocityConfig
from veridical.interpolate import Calibration
from veridical.oneshot.circle import circle_codec
from veridical.oneshot.swap import posterior_of, with_generator
from veridical.sources.circle import circle_samples


@pytest.fixture(scope="module")
def designed():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(900, 2)) @ np.array([[1.0, 0.3], [0.0, 0.6]])
    return x, veridical.design(x, rate_bits=1, seeds=3, perception=0.0, rng=rng)


def coded(codec, x, seed):
    index = codec.encode(x, seed=seed)
    return index, codec.decode(index, np.random.default_rng(0), realism=0.0, seed=seed)


@pytest.mark.parametrize("known", [True, False])
def test_every_draw_lies_in_the_cell_of_its_index_and_seed(designed, known):
    # Oracle: the encoder itself: a draw, encoded under the same seed symbols, has the same index.
    # Exact, with the index as context and without it (the means of these cells all differ).
    x, codec = designed
    index, x_mmse = coded(codec, x, seed=5)
    generator = posterior_of(codec, x)
    drawn = generator.generate(x_mmse, np.random.default_rng(2), index if known else None)
    assert np.array_equal(codec.encode(drawn, seed=5), index)
    assert {tuple(row) for row in drawn} <= {tuple(row) for row in x}


@pytest.mark.statistical
def test_the_price_is_d_and_the_law_that_of_the_samples(designed):
    # Oracles: [T] Prop. 1, C = d, over 40 seeds; the mean and the second moments of the samples.
    # 4 standard errors each; this would miss an error of C below about 2 %.
    x, codec = designed
    generator = posterior_of(codec, x)
    rng = np.random.default_rng(3)
    costs, moments = [], []
    for seed in range(40):
        index, x_mmse = coded(codec, x, seed)
        drawn = generator.generate(x_mmse, rng, index)
        costs.append(np.mean(np.sum((drawn - x_mmse) ** 2, axis=1)))
        moments.append(
            [*drawn.mean(axis=0), *(drawn**2).mean(axis=0), np.mean(drawn[:, 0] * drawn[:, 1])]
        )
    truth = [*x.mean(axis=0), *(x**2).mean(axis=0), np.mean(x[:, 0] * x[:, 1])]
    found = np.column_stack([costs, moments])
    error = found.std(axis=0, ddof=1) / np.sqrt(40)
    assert np.all(np.abs(found.mean(axis=0) - [codec.calibration.mmse, *truth]) < 4 * error)


@pytest.mark.statistical
def test_the_index_separates_cells_of_equal_mean():
    # Oracle by hand: an inner and an outer pair of numbers, both of mean 0; with the index the draw
    # keeps its distance from 0, without it the first cell is taken. Weights 1 : 3 in a cell show as
    # frequencies: 4 standard errors of 4,000 draws, 0.03.
    x = np.array([[-1.0], [1.0], [-3.0], [3.0]])
    weights = np.array([1.0, 3.0, 2.0, 2.0]) / 8
    generator = PosteriorGenerator.from_cells(
        x, weights, np.array([[0, 0, 1, 1]]), np.zeros((1, 2, 1))
    )
    rng = np.random.default_rng(4)
    z = np.repeat([0, 1], 4000)
    drawn = generator.generate(np.zeros((8000, 1)), rng, z)[:, 0]
    assert np.array_equal(np.abs(drawn), np.where(z == 0, 1.0, 3.0))
    assert np.mean(drawn[:4000] > 0) == pytest.approx(0.75, abs=0.03)
    assert np.all(np.abs(generator.generate(np.zeros((50, 1)), rng)) == 1.0)


def test_the_seed_symbol_is_read_off_the_estimate():
    # Oracle by hand: two seeds cut the numbers 0..3 differently; each index and estimate leaves one
    # set of numbers, and a cell that nobody is in gives way to the nearest one with samples.
    x = np.arange(4.0)[:, None]
    cells = np.array([[0, 0, 1, 1], [0, 1, 1, 1]])
    points = np.array([[[0.5], [2.5], [9.0]], [[0.0], [2.0], [9.0]]])
    generator = PosteriorGenerator.from_cells(x, np.full(4, 0.25), cells, points)
    rng = np.random.default_rng(5)
    for value, z, allowed in [
        (0.5, 0, {0, 1}),
        (0.0, 0, {0}),
        (2.0, 1, {1, 2, 3}),
        (9.0, 2, {2, 3}),
    ]:
        drawn = generator.generate(np.full((40, 1), value), rng, np.full(40, z))
        assert set(drawn[:, 0]) == allowed


def test_three_generators_in_one_codec(designed):
    # Oracles: the interface; the price d for posterior sampling (exact within 4 standard errors of
    # 900 samples) and that of the plan from the design, within the same; the same bytes for all.
    x, codec = designed
    config = VelocityConfig(dimension=2, noise=0.1, centre=(0.0, 0.0), scale=1.0, width=4, depth=1)
    flow = FlowGenerator(Velocity(config).eval(), 2)
    index = codec.encode(x, seed=7)
    for generator, price in [
        (posterior_of(codec, x), codec.calibration.mmse),
        (codec.generator, codec.calibration.transport_cost),
        (flow, None),
    ]:
        other = with_generator(codec, generator, x, rng=np.random.default_rng(6), seed=7)
        assert other.generator is generator
        assert other.calibration.mmse == codec.calibration.mmse
        assert other.to_bytes(index, seed=7) == codec.to_bytes(index, seed=7)
        out = other.decode(index, np.random.default_rng(8), realism=1.0, seed=7)
        assert out.shape == x.shape
        x_mmse = codec.decode(index, np.random.default_rng(0), realism=0.0, seed=7)
        each = np.sum((out - x_mmse) ** 2, axis=1)
        error = 4 * np.std(each) / 30 * np.sqrt(2)
        assert abs(np.mean(each) - other.calibration.transport_cost) < error
        if price is not None:
            assert abs(price - other.calibration.transport_cost) < error


def test_a_part_is_replaced_by_hand_too(designed):
    # Oracle: the price that was put in; 1e-12.
    x, codec = designed
    d = codec.calibration.mmse
    plain = dataclasses.replace(
        codec, generator=posterior_of(codec, x), calibration=Calibration(d, d)
    )
    assert plain.calibration(codec.encode(x)).distortion_for(0.0) == pytest.approx(2 * d, rel=1e-12)


def test_the_circle_takes_another_generator():
    # Oracle: the antipode of the arc's middle is never optimal: its cost is (1 + r)^2 by hand, exact.
    class Far:
        def generate(self, x_mmse, rng, context):
            return -x_mmse / np.hypot(*x_mmse.T)[:, None]

    codec = circle_codec(2, 2)
    x = circle_samples(500, np.random.default_rng(0))
    other = with_generator(codec, Far(), x, rng=np.random.default_rng(1))
    assert other.calibration.transport_cost == pytest.approx((1 + 2 / np.pi) ** 2, rel=1e-12)
    with pytest.raises(InvalidSetting, match="codebooks"):
        posterior_of(codec, x)


def test_bad_input(designed):
    x, codec = designed
    generator = posterior_of(codec, x)
    rng = np.random.default_rng(0)
    with pytest.raises(InvalidSetting, match="shape"):
        generator.generate(np.zeros((3, 1)), rng)
    with pytest.raises(InvalidSetting, match="indices"):
        generator.generate(np.zeros((3, 2)), rng, np.zeros(2, dtype=int))
    with pytest.raises(InvalidSetting):
        generator.generate(np.zeros((3, 2)), rng, np.array([0, 1, 2]))
    with pytest.raises(InvalidSetting, match="coordinates"):
        posterior_of(codec, x[:, :1])
    with pytest.raises(InvalidSetting, match="fit"):
        PosteriorGenerator.from_cells(
            x, np.ones(3), np.zeros((1, 900), dtype=int), np.zeros((1, 2, 2))
        )
    many = dataclasses.replace(
        codec.encoder, sites=np.zeros((60_000, 1, 2)), offsets=np.zeros((60_000, 1))
    )
    with pytest.raises(InvalidSetting, match="entries"):
        PosteriorGenerator.from_code(many, codec.estimator, x)

    class Thin:
        def generate(self, x_mmse, rng, context):
            return x_mmse[:, :1]

    with pytest.raises(InvalidSetting, match="shape"):
        with_generator(codec, Thin(), x, rng=rng)
