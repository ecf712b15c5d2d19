"""Codes on a user's own vectors: front, bytes, prices against the vector Gaussian, what is refused and warned of."""

import math

import numpy as np
import pytest

import veridical
from veridical.block.lattice import lattice_codec
from veridical.block.random_coding import random_code
from veridical.block.transform_design import water_filling
from veridical.block.trellis import trellis_codec
from veridical.errors import DamagedFile, InvalidSetting
from veridical.kept import open_message
from veridical.limits import reverse_water_filling, vector_gaussian_distortion
from veridical.quantize.lattice import gosset
from veridical.quantize.trellis import Trellis

D, VARIANCES = 12, np.repeat([4.0, 0.5, 0.02], 4)
BASIS = np.linalg.qr(np.random.default_rng(3).standard_normal((D, D)))[0]
_MADE = {}


def vectors(n, seed):
    z = np.random.default_rng(seed).standard_normal((n, D))
    return z * np.sqrt(VARIANCES) @ BASIS.T + 3.0


def codec_of(name):
    if name not in _MADE:
        method, Rc = {
            "trellis": (Trellis(8), 0.5), "dither": (Trellis(8), math.inf), "E8": (gosset(), 0.5),
        }[name]  # fmt: skip
        _MADE[name] = veridical.design(
            vectors(24_000, 1), method=method, rate_bits=12.0, common_bits=Rc,
            rng=np.random.default_rng(0),
        )  # fmt: skip
    return _MADE[name]


names = pytest.mark.parametrize("name", ["trellis", "dither", "E8"])


@names
def test_messages_and_files_carry_vectors_of_any_number(name, tmp_path):
    # Oracle: the index itself, through the codec that was saved and loaded; 0 to 70 vectors, the last block filled up.
    codec = codec_of(name)
    codec.save(tmp_path / "c.npz")
    again = veridical.load_codec(tmp_path / "c.npz")
    for n in (0, 1, 7, 70):
        x = vectors(n, 2)
        index = codec.encode(x, seed=5)
        message = open_message(again, codec.to_message(index, seed=5))
        assert message.seed == 5
        assert np.array_equal(message.index, index)
        outs = [
            c.decode(index, np.random.default_rng(1), realism=0.6, seed=5) for c in (codec, again)
        ]
        assert outs[0].shape == (n, D)
        assert np.array_equal(*outs)
    data = codec.to_bytes(index, seed=5)
    for cut in (data[:-1], data[:3], data + b"x"):
        with pytest.raises(DamagedFile):
            codec.from_bytes(cut, len(index), seed=5)
    with pytest.raises(DamagedFile, match="seed"):
        codec.from_bytes(data, len(index), seed=6)
    with pytest.raises(InvalidSetting, match="table of"):
        codec.to_bytes(index[:, 1:])


@pytest.mark.statistical
@names
def test_prices_hold_on_new_vectors_and_stand_near_the_limit(name):
    # Oracle: the vector Gaussian's D(R, Rc, P) at the rate of the real bytes, from another room: never below it by more
    # than 2 % (4 standard errors of 6,000 vectors), at P = inf within 0.6 dB (8 states have 0.45 at high rates) or 1 dB
    # (E8 has 0.65, more at low rates). The price list, made on other vectors: within 3 %.
    codec, y = codec_of(name), vectors(6000, 9)
    index, rng = codec.encode(y, seed=1), np.random.default_rng(0)
    bits = 8 * len(codec.to_bytes(index, seed=1)) / len(y)
    assert bits == pytest.approx(codec.rate_bits, rel=0.02)
    assert bits == pytest.approx(12.0, rel=0.03)
    for realism, P in ((0.0, math.inf), (1.0, 0.0)):
        out = codec.decode(index, rng, realism=realism, seed=1)
        found = float(np.mean(np.sum(np.square(y - out), axis=1)))
        assert found == pytest.approx(codec.calibration.distortion_at(realism), rel=0.03)
        limit = vector_gaussian_distortion(VARIANCES, bits, P, codec.common_bits, tolerance=1e-3)
        assert found > 0.98 * limit.lower_distortion
        if realism == 0.0:
            most = 1.0 if name == "E8" else 0.6
            assert 10 * math.log10(found / limit.distortion) < most


@pytest.mark.statistical
@names
def test_samples_have_mean_and_covariance_of_the_source(name):
    # Oracle: the law of the vectors, standardised, within four standard errors of 6,000 design vectors and 20,000 coded
    # ones: means 0.06, entries of the covariance 0.085. Would miss a loss of variance below that.
    codec, y = codec_of(name), vectors(20_000, 8)
    out = codec.decode(codec.encode(y, seed=1), np.random.default_rng(0), realism=1.0, seed=1)
    z = (out - 3.0) @ BASIS / np.sqrt(VARIANCES)
    assert np.max(np.abs(z.mean(axis=0))) < 0.06
    assert np.max(np.abs(np.cov(z.T) - np.eye(D))) < 0.085


@pytest.mark.statistical
@pytest.mark.parametrize("spread", [np.geomspace(2, 1, 8), np.ones(8)])
def test_even_laws_that_are_not_normal_come_out(spread):
    # Oracle: kurtosis 6 of Laplace data along known axes (a normal law has 3, E8 alone gave 4.2, and turned axes of
    # equal variances 4.4): within 0.6, three standard errors of 80,000 heavy-tailed numbers and of the design's own.
    def laplace(n, seed):
        return np.random.default_rng(seed).laplace(size=(n, 8)) * spread

    codec = veridical.design(
        laplace(20_000, 0), method=Trellis(8), rate_bits=12, common_bits=math.inf,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    index = codec.encode(laplace(10_000, 1), seed=2)
    out = codec.decode(index, np.random.default_rng(0), realism=1.0, seed=2) / spread
    assert np.mean(out**4) / np.mean(out**2) ** 2 == pytest.approx(6.0, abs=0.6)


def test_foreign_vectors_are_warned_of_with_figures():
    # Oracle: variance 25 instead of 1 and a shifted mean are told, the design's own law is not, not even one vector of it.
    codec = codec_of("trellis")
    with pytest.warns(UserWarning, match=r"principal components 1 to 4 have 2[3-7].* times"):
        codec.encode(3.0 + 5 * (vectors(500, 4) - 3.0))
    with pytest.warns(UserWarning, match="do not fit"):
        codec.encode(vectors(500, 4) + 4.0)
    for n in (1, 10, 500):
        codec.encode(vectors(n, 4))


@pytest.mark.parametrize(
    "made",
    [
        lambda rng: trellis_codec(8, rate_bits=1.0, samples=8000, rng=rng),
        lambda rng: lattice_codec(gosset(), rate_bits=1.0, samples=8000, rng=rng),
        lambda rng: random_code(8, 0.5),
    ],
)
def test_codes_of_normal_numbers_tell_another_power(made):
    # Oracle: the mean square of the numbers themselves, in the warning; numbers of the law are taken in silence, one
    # block as well as many. Complex ones are refused.
    rng = np.random.default_rng(6)
    codec = made(rng)
    for n in (1, 20, 500):
        codec.encode(rng.standard_normal((n, 8)))
    with pytest.warns(UserWarning, match=r"mean square is 2[3-7]\.\d+, .* variance 1 "):
        codec.encode(5 * rng.standard_normal((500, 8)))
    with pytest.raises(InvalidSetting):
        codec.encode(rng.standard_normal((5, 8)) + 1j)


def test_heavy_tails_are_told_with_figures():
    # Oracle: Cauchy vectors, whose mean error does not settle; normal and Laplace ones (the other tests) give no warning.
    x = np.random.default_rng(1).standard_cauchy((4000, 8))
    with pytest.warns(UserWarning, match=r"one of 1000 vectors .* has \d+% of their error"):
        veridical.design(x, method=Trellis(4), rate_bits=8, rng=np.random.default_rng(0))


def test_rates_are_those_of_reverse_water_filling():
    # Oracle: Shannon's allocation by the limits' room, where every component that it sends gets 0.1 bits or more.
    rates = water_filling(VARIANCES, 12.0, 0.1)
    shannon = 0.5 * np.log2(VARIANCES / reverse_water_filling(VARIANCES, 12.0))
    np.testing.assert_allclose(rates, shannon[: rates.size], atol=1e-9)
    assert shannon[rates.size :] == pytest.approx(0.0, abs=1e-9)


def test_constant_and_dependent_columns_are_no_trouble():
    # Oracle: the constant itself, and the linear relation between columns, which hold in every reconstruction to rounding.
    rng = np.random.default_rng(0)
    a = rng.standard_normal((4000, 2))
    x = np.column_stack([a, a @ [1.0, -1.0], np.full(4000, 7.0)])
    codec = veridical.design(x, method=Trellis(4), rate_bits=3, rng=rng)
    out = codec.decode(codec.encode(x[:50]), rng, realism=1.0)
    np.testing.assert_allclose(out[:, 3], 7.0, atol=1e-9)
    np.testing.assert_allclose(out[:, 2], out[:, 0] - out[:, 1], atol=1e-9)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"method": "trelis"}, "method is"),
        ({"seeds": 2}, "no setting seeds"),
        ({"method": "codebook", "common_bits": 1.0}, "no setting common_bits"),
        ({"rate_bits": 0.01}, "strongest component"),
        ({"rate_bits": 200}, "strongest component"),
        ({"rate_bits": -1}, "more than 0"),
        ({"rng": 7}, "Generator"),
        ({"samples": np.zeros((100, 3))}, "all the same"),
        ({"samples": np.eye(3)}, "too few"),
        ({"samples": np.full((100, 3), np.nan)}, "NaN"),
        ({"common_bits": 0.123}, "common_bits"),
    ],
)
def test_bad_settings_are_refused(settings, words):
    given = {
        "samples": vectors(200, 0), "method": "trellis", "rate_bits": 8,
        "rng": np.random.default_rng(0), **settings,
    }  # fmt: skip
    with pytest.raises(InvalidSetting, match=words):
        veridical.design(given.pop("samples"), **given)


@pytest.mark.parametrize("x", [np.zeros((3, 5)), np.zeros(D), np.full((2, D), np.inf), [["a"] * D]])
def test_other_tables_are_refused_at_the_encoder(x):
    with pytest.raises(InvalidSetting, match="numbers"):
        codec_of("trellis").encode(x)


def test_heavy_tails_without_common_randomness():
    # Oracle: with Rc = 0 the law of X- is that of fresh samples and C = d: D at realism 1 is 2 d within 5 %, second
    # moments within 8 %, no sample beyond 1.5 times the largest of as many (a steep last piece of the map gave 4 times).
    rng = np.random.default_rng(5)
    spread = np.sqrt(np.geomspace(2, 0.25, 8) / 2)
    train, test = (rng.laplace(size=(n, 8)) * spread for n in (12_000, 6_000))
    codec = veridical.design(train, method="trellis", rate_bits=8.0, rng=np.random.default_rng(1))
    index = codec.encode(test, seed=0)
    best, real = (
        codec.decode(index, np.random.default_rng(2), realism=a, seed=0) for a in (0.0, 1.0)
    )
    d, error = (np.mean(np.sum((test - x) ** 2, axis=1)) for x in (best, real))
    assert error == pytest.approx(2 * d, rel=0.05)
    assert real.var(axis=0) == pytest.approx(test.var(axis=0), rel=0.08)
    assert np.abs(real / spread).max() < 1.5 * np.abs(test / spread).max()
