"""Codecs designed from samples against the closed forms of the circle."""

import math

import numpy as np
import pytest

import veridical
from veridical.errors import InvalidSetting
from veridical.oneshot.joint import Search


@pytest.mark.statistical
def test_the_circle_is_rediscovered_from_samples():
    # Oracle: rotated half circles ([T] eqs 24, 25), d = 0.594715, W2^2 = 0.258966; 2 %. Nothing in
    # the design knows of rotations of cells; 4,000 samples at a fixed seed.
    rng = np.random.default_rng(1)
    angle = rng.random(4000) * 2 * math.pi
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    codec = veridical.design(x, rate_bits=1, seeds=2, perception=0.0, rng=rng)
    price = codec.calibration
    assert price.mmse == pytest.approx(0.594715, rel=0.02)
    assert price.transport_cost == pytest.approx(0.258966, rel=0.02)
    index = codec.encode(x, seed=3)
    data = codec.to_bytes(index, seed=3)
    assert np.array_equal(codec.from_bytes(data, 4000, seed=3), index)


def circle(n, seed=1):
    rng = np.random.default_rng(seed)
    angle = rng.random(n) * 2 * math.pi
    return np.stack([np.cos(angle), np.sin(angle)], axis=1), rng


@pytest.mark.statistical
def test_without_a_perception_error_comes_first_and_the_rotation_is_still_found():
    # Oracle: the circle, where both can be had: d within 2 %, W2^2 within 6 % of [T] eqs 24, 25
    # (unrotated codebooks have 0.59).
    x, rng = circle(4000)
    price = veridical.design(x, rate_bits=1, seeds=2, rng=rng).calibration
    assert price.mmse == pytest.approx(0.594715, rel=0.02)
    assert price.transport_cost == pytest.approx(0.258966, rel=0.06)


@pytest.mark.statistical
def test_the_price_is_what_is_measured():
    # Oracle: d + a^2 C on the design samples, over 20 seeds; 4 standard errors.
    rng = np.random.default_rng(5)
    x = rng.normal(size=(800, 2)) @ np.array([[1.0, 0.4], [0.0, 0.7]])
    for K in (1, 3):
        codec = veridical.design(x, rate_bits=2, seeds=K, perception=0.05, rng=rng)
        for a in (0.0, 0.6, 1.0):
            found = []
            for seed in range(20):
                out = codec.decode(codec.encode(x, seed=seed), rng, realism=a, seed=seed)
                found.append(np.mean(np.sum(np.square(out - x), axis=1)))
            error = np.std(found, ddof=1) / math.sqrt(20) + 1e-12
            assert abs(np.mean(found) - codec.calibration.distortion_at(a)) < 4 * error + 1e-9


def test_one_seed_is_lloyds_codebook_with_posterior_sampling():
    # Oracle: [T] Props 1, 2: W2^2(p_X, p_X~) = d for the MMSE quantizer; 1e-9.
    x, rng = circle(1000)
    codec = veridical.design(x, rate_bits=1.585, rng=rng)
    assert codec.outputs == 3
    assert codec.calibration.transport_cost == pytest.approx(codec.calibration.mmse, abs=1e-9)


def test_more_seeds_are_never_dearer():
    # Oracle: J at P = 0 of the same codebook for every seed, which is among the candidates.
    rng = np.random.default_rng(7)
    x = np.concatenate([rng.normal(size=(300, 2)), rng.normal(size=(300, 2)) * 0.3 + 2])
    one = veridical.design(x, rate_bits=1, rng=np.random.default_rng(0)).calibration
    two = veridical.design(x, rate_bits=1, seeds=2, perception=0.0, rng=rng).calibration
    assert two.distortion_for(0.0) <= one.distortion_for(0.0) * (1 + 1e-9)


@pytest.mark.parametrize("K", [1, 2])
def test_variable_length_meets_its_rate_in_real_bytes(K):
    # Oracles: the entropy bound, and the coder's bytes within 16 bytes and 1 % of it.
    rng = np.random.default_rng(8)
    x = rng.normal(size=3000)
    codec = veridical.design(
        x, rate_bits=1.5, seeds=K, perception=0.0, variable_length=True, rng=rng
    )
    assert codec.entropy_bits <= 1.5
    index = codec.encode(x[:, None], seed=2)
    data = codec.to_bytes(index, seed=2)
    assert len(data) <= 3000 * codec.entropy_bits / 8 * 1.01 + 16
    assert np.array_equal(codec.from_bytes(data, 3000, seed=2), index)


def test_degenerate_sources_have_sensible_codecs():
    # Oracles: rate 0 gives the mean and d = the variance; equal samples cost nothing; one and a
    # thousand coordinates work.
    rng = np.random.default_rng(9)
    x = rng.normal(size=(400, 2))
    flat = veridical.design(x, rate_bits=0, rng=rng)
    assert flat.outputs == 1
    assert flat.calibration.mmse == pytest.approx(np.var(x, axis=0).sum(), rel=1e-9)
    still = veridical.design(np.ones((50, 2)), rate_bits=2, seeds=2, rng=rng)
    assert still.calibration.mmse == 0
    out = still.decode(still.encode(np.ones((5, 2))), rng, realism=1.0)
    np.testing.assert_allclose(out, 1.0)
    for d in (1, 1000):
        wide = rng.normal(size=(60, d))
        codec = veridical.design(wide, rate_bits=1, seeds=2, perception=0.0, rng=rng)
        assert codec.decode(codec.encode(wide), rng, realism=0.5).shape == (60, d)


@pytest.mark.parametrize(
    ("x", "settings"),
    [
        (np.zeros((3, 2)), {"rate_bits": 3}),
        (np.full((9, 2), np.nan), {"rate_bits": 1}),
        (np.full((9, 2), np.inf), {"rate_bits": 1}),
        (np.zeros((9, 2, 2)), {"rate_bits": 1}),
        (np.arange(9.0), {"rate_bits": -1}),
        (np.arange(9.0), {"rate_bits": math.nan}),
        (np.arange(9.0), {"rate_bits": 40}),
        (np.arange(9.0), {"rate_bits": 1, "seeds": 0}),
        (np.arange(9.0), {"rate_bits": 1, "seeds": 10**6}),
        (np.arange(9.0), {"rate_bits": 1, "seeds": 2, "perception": -1.0}),
        (np.arange(9.0), {"rate_bits": 1, "plan_samples": 1}),
        (np.arange(9.0), {"rate_bits": 1, "weights": np.zeros(9)}),
    ],
)
def test_bad_input_is_refused(x, settings):
    with pytest.raises(InvalidSetting):
        veridical.design(x, rng=np.random.default_rng(0), **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"perception": -1.0}, {"perception": "a"}, {"rng": 7}, {"rate_bits": "1"}, {"samples": ["a", "b"]},
        {"samples": np.ones(9) * 1j}, {"samples": [[1], [2, 3]]}, {"seeds": 1.0}, {"plan_samples": "9"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("seeds", [1, 2])
def test_wrong_kinds_are_refused_at_any_number_of_seeds(settings, seeds):
    given = {
        "samples": np.arange(9.0),
        "rate_bits": 1,
        "seeds": seeds,
        "rng": np.random.default_rng(0),
    }
    given |= settings
    with pytest.raises(InvalidSetting):
        veridical.design(given.pop("samples"), **given)


def test_numpy_scalars_are_numbers_and_tensors_come_back_as_tensors():
    # Oracle: the same design from Python numbers and arrays.
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(200, 2))
    made = [
        veridical.design(s, rate_bits=R, seeds=K, perception=P, rng=np.random.default_rng(1))
        for s, R, K, P in (
            (x, 1.0, 2, 0.5), (torch.tensor(x), np.float32(1), np.int64(2), np.float32(0.5)),
        )
    ]  # fmt: skip
    index = made[1].encode(torch.tensor(x), seed=3)
    assert isinstance(index, torch.Tensor)
    assert np.array_equal(index.numpy(), made[0].encode(x, seed=3))
    outs = [
        c.decode(i, np.random.default_rng(2), realism=r, seed=3)
        for c, i, r in zip(made, (index.numpy(), index), (0.5, np.float32(0.5)), strict=True)
    ]
    assert isinstance(outs[1], torch.Tensor)
    np.testing.assert_array_equal(outs[0], outs[1].numpy())


def test_heavy_tails_are_warned_of():
    # Oracle: Cauchy has no mean error (the warning), normal and Laplace have one (none: an error in tests).
    rng = np.random.default_rng(0)
    with pytest.warns(UserWarning, match="heavy tails"):
        veridical.design(rng.standard_cauchy(3000), rate_bits=1, rng=rng)
    for x in (rng.normal(size=3000), rng.laplace(size=3000)):
        veridical.design(x, rate_bits=2, rng=rng)


@pytest.mark.parametrize("variable_length", [False, True])
def test_samples_far_from_the_origin(variable_length):
    # Oracle: the prices of the same samples about 0; 2^27 is added without rounding. Means of cells have eight
    # digits left: 1e-6 relative, where an expanded square would have none.
    x = np.round(np.random.default_rng(3).normal(size=(120, 2)) * 2**12) / 2**12
    near, far = (
        veridical.design(
            x + origin, rate_bits=1, seeds=2, perception=0.1, variable_length=variable_length,
            rng=np.random.default_rng(5), search_settings=Search(starts=2),
        ).calibration
        for origin in (0.0, 2.0**27)
    )  # fmt: skip
    assert far.mmse == pytest.approx(near.mmse, rel=1e-6)
    assert far.transport_cost == pytest.approx(near.transport_cost, rel=1e-6)
