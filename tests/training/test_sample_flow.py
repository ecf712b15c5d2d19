"""Sample flows: the law of the source comes out, and crossing lines are exchanged."""

import numpy as np
import pytest
import torch

from veridical.errors import BadWeights, InvalidSetting, TrainingData
from veridical.generate.sample_flow import (
    FlowGenerator,
    Velocity,
    VelocityConfig,
    load_flow,
    save_flow,
    warp,
)
from veridical.training.loop import Schedule
from veridical.training.sample_flow import SampleFlowSettings, reflow_rounds, train_sample_flow

TINY = SampleFlowSettings(
    noise=0.2, width=64, depth=2, batch=256, integration_steps=32, pairs=4000,
    schedule=Schedule(steps=1200, learning_rate=1.2e-2, average=0.99),
)  # fmt: skip


def crossing(n, rng):
    """X uniform on [-1, 1]; the index is the sign if the seed bit is 0, and says nothing if it is 1."""
    x = rng.uniform(-1, 1, (n, 1))
    seed_bit = rng.integers(2, size=(n, 1))
    return np.where(seed_bit == 0, np.sign(x) / 2, 0.0), x


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Layers this small lose far more to waiting threads than two cores give."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def rounds():
    x_mmse, x = crossing(20_000, np.random.default_rng(0))
    return x_mmse, x, list(reflow_rounds(x_mmse, x, TINY, rounds=1, seed=5))


@pytest.mark.statistical
def test_law_is_that_of_the_source(rounds):
    # Oracle: the uniform law on [-1, 1], by W2^2 = mean of (sorted - quantile)^2, 4,000 samples.
    # Tolerance 0.004, 1.2 % of the variance 1/3: noise alone is about 1e-4, the rest is what 1,200
    # steps of a small network leave (0.0009; steps too small to arrive leave 0.008); the estimate without any flow is at 0.0104 and more.
    x_mmse, _, flows = rounds
    quantiles = (np.arange(4000) + 0.5) / 2000 - 1
    for flow in flows:
        y = flow.generate(x_mmse[:4000], np.random.default_rng(9))
        assert np.mean((np.sort(y[:, 0]) - quantiles) ** 2) < 0.004
    noisy = flows[0].start(x_mmse[:4000], np.random.default_rng(9))
    assert np.mean((np.sort(noisy[:, 0]) - quantiles) ** 2) > 0.01


@pytest.mark.statistical
def test_cost_falls_from_posterior_sampling_towards_the_least(rounds):
    # Oracle by hand: d = (1/12 + 1/3)/2 = 5/24, the cost of posterior sampling, and W2^2 = 1/12
    # between (-1/2, 0, 1/2 with 1/4, 1/2, 1/4) and the uniform law, each quarter of which gives
    # 1/12. Tolerance 0.02 above it, a sixth of the gap: the noise of the start and the small
    # network cost some of that. No plan is below 1/12 by more than the error of the law allows.
    x_mmse, x, flows = rounds
    d = np.mean((x - x_mmse) ** 2)
    assert d == pytest.approx(5 / 24, rel=0.03)
    for flow in flows:
        cost = np.mean((flow.generate(x_mmse, np.random.default_rng(9)) - x_mmse) ** 2)
        assert 1 / 12 - 0.01 < cost < 1 / 12 + 0.02


def test_reflow_straightens(rounds):
    # Oracle: a straight flow needs one step: its end in one step is nearer to its own end in 32
    # after a round of reflow, by half at least.
    x_mmse, _, flows = rounds
    start = flows[0].start(x_mmse[:2000], np.random.default_rng(1))
    first = torch.from_numpy(start.astype(np.float32))
    bent, straight = (
        np.mean((flow.network.flow(first, 1).numpy() - flow.carry(start)) ** 2) for flow in flows
    )
    assert straight < bent / 2


def test_same_seed_same_flow_and_no_global_seed_is_moved():
    x_mmse, x = crossing(500, np.random.default_rng(0))
    short = SampleFlowSettings(width=8, depth=1, batch=16, schedule=Schedule(steps=3))
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    one, two = (train_sample_flow(x_mmse, x, short, seed=3) for _ in range(2))
    other = train_sample_flow(x_mmse, x, short, seed=4)
    assert torch.equal(torch.random.get_rng_state(), before)
    draws = [g.generate(x_mmse, np.random.default_rng(1)) for g in (one, two, other)]
    assert np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])


def test_a_killed_run_goes_on(tmp_path):
    # Oracle: the run that was not interrupted; exact.
    x_mmse, x = crossing(500, np.random.default_rng(0))
    short = SampleFlowSettings(width=8, depth=1, batch=16, pairs=50, schedule=Schedule(steps=3))
    whole = list(reflow_rounds(x_mmse, x, short, rounds=2, seed=3))
    stopped = reflow_rounds(x_mmse, x, short, rounds=2, seed=3, folder=tmp_path)
    next(stopped)
    next(stopped)
    stopped.close()
    trained = []
    again = list(
        reflow_rounds(
            x_mmse, x, short, rounds=2, seed=3, folder=tmp_path,
            report=lambda done, step, steps: trained.append(done),
        )
    )  # fmt: skip
    assert set(trained) == {2}
    for one, two in zip(whole, again, strict=True):
        draws = [g.generate(x_mmse, np.random.default_rng(1)) for g in (one, two)]
        assert np.array_equal(*draws)


def test_file_round_trip_and_damage(tmp_path):
    config = VelocityConfig(dimension=2, noise=0.1, centre=(0.0, 1.0), scale=2.0, width=4, depth=1)
    generator = FlowGenerator(Velocity(config).eval(), 7)
    save_flow(generator, tmp_path / "a.safetensors")
    again = load_flow(tmp_path / "a.safetensors")
    assert again.network.config == config
    assert again.steps == 7
    (tmp_path / "b.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes()[:90])
    for name in ("b.safetensors", "none.safetensors"):
        with pytest.raises(BadWeights):
            load_flow(tmp_path / name)
    with pytest.raises(InvalidSetting, match="shape"):
        again.generate(np.zeros((3, 1)), np.random.default_rng(0))


def test_warped_time():
    # Oracle: ends 0 and 1; slope by a central difference, 1e-6.
    assert warp(0.0, 3.0)[0] == pytest.approx(0.0, abs=1e-15)
    assert warp(1.0, 3.0)[0] == pytest.approx(1.0, abs=1e-15)
    t, slope = warp(0.4, 3.0)
    assert slope == pytest.approx((warp(0.4001, 3.0)[0] - warp(0.3999, 3.0)[0]) / 2e-4, rel=1e-6)
    assert t < 0.4


def test_bad_data():
    x = np.zeros((5, 2))
    with pytest.raises(TrainingData, match="differ"):
        train_sample_flow(x, x, TINY, seed=0)
    with pytest.raises(TrainingData, match="NaN"):
        train_sample_flow(x, x + np.nan, TINY, seed=0)
    with pytest.raises(InvalidSetting):
        train_sample_flow(x, x[:4], TINY, seed=0)
    with pytest.raises(InvalidSetting):
        next(reflow_rounds(x, x, TINY, rounds=-1, seed=0))
    with pytest.raises(InvalidSetting):
        SampleFlowSettings(noise=0.0)
