"""Pairs of digits: the table, the quantizer, ensembles, and runs that are killed."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from veridical.errors import InvalidSetting, TrainingData
from veridical.studies.mnist.data import small_digits
from veridical.studies.mnist.presets import BUDGETS, Convergence, PairShape
from veridical.studies.mnist.table import TABLE, Member, PairRow, rows_of
from veridical.studies.mnist.training.adversarial import Job, Runtime, run_job
from veridical.studies.mnist.training.convergence import critic_distance
from veridical.studies.mnist.training.layers import ConvolutionMode
from veridical.studies.mnist.training.networks import Critics, Pairs, critic_loss
from veridical.studies.mnist.training.outputs import reconstruct
from veridical.studies.mnist.training.run import main, train_parts
from veridical.studies.records import load_record

SHAPE = PairShape(
    side=8, encoder=(12,), hidden=10, base=2, channels=(4, 3, 2),
    kernels=((3, 2), (3, 1), (2, 1)), critic=(3, 4),
)  # fmt: skip


def test_the_table_has_98_pairs_at_nine_rates():
    # Oracle: [BM]: 98 pairs; rates dim log2 L from 2 to 16 bits, nine of them.
    rows = rows_of(TABLE)
    assert len(rows) == len(set(rows)) == 98
    rates = sorted({row.rate_bits for row in rows})
    assert len(rates) == 9
    assert (rates[0], rates[-1]) == (2.0, 16.0)
    assert "squared-2-2-4.6" in {row.name for row in rows}
    with pytest.raises(InvalidSetting):
        PairRow(dim=2, levels=2, distortion="other")
    # The smaller preset has them all, for both distortions.
    for kind, kept in (("squared", BUDGETS["cpu"].rows), ("deep", BUDGETS["cpu"].deep_rows)):
        assert set(kept) == set(rows_of(TABLE, kind))


def test_paper_sizes_are_those_of_the_paper():
    # Oracle: parameters counted by hand from [BM]'s table of layers (normalization apart).
    shape = PairShape()
    pairs = Pairs([Member(2, 2)], shape)
    linear = [(784, 512), (512, 256), (256, 128), (128, 128), (128, 4), (4, 128), (128, 512)]
    conv = [(32, 64, 25), (64, 128, 25), (128, 1, 16)]
    expected = sum(i * o + o for i, o in linear) + sum(i * o * k + o for i, o, k in conv)
    counted = sum(p.numel() for n, p in pairs.weights.items() if n.endswith(("weight", "bias")))
    assert counted == expected
    index, pictures = reconstruct(pairs, torch.rand(3, 784), torch.zeros(3, 4))
    assert pictures.shape == (1, 3, 784)
    assert index.shape == (1, 3, 4)
    assert not pictures.requires_grad
    critics = sum(p.numel() for p in Critics([0], shape).parameters())
    assert critics == sum(i * o * 25 + o for i, o in ((1, 64), (64, 128), (128, 256))) + 4097
    with pytest.raises(InvalidSetting):
        PairShape(base=5)


def test_the_quantizer_is_the_nearest_centre_with_a_soft_gradient():
    # Oracle: the formulas of [BM], coordinate by coordinate in float64; tolerance 1e-6.
    pairs = Pairs([Member(3, 5)], SHAPE)
    z = torch.linspace(-0.99, 0.99, 40).reshape(1, 10, 4).requires_grad_()
    index, given = pairs.quantize(z, torch.zeros(10, 4))
    given.sum().backward()
    centres = np.linspace(-1, 1, 5)
    for k in range(10):
        for d in range(3):
            value = float(z.detach()[0, k, d])
            assert index[0, k, d] == np.argmin(np.abs(value - centres))
            assert abs(float(given.detach()[0, k, d]) - centres[index[0, k, d]]) < 1e-6
            step = 1e-6
            soft = [
                np.sum(centres * (w := np.exp(-0.4 * np.abs(v - centres)))) / np.sum(w)
                for v in (value - step, value + step)
            ]
            assert abs(float(z.grad[0, k, d]) - (soft[1] - soft[0]) / (2 * step)) < 1e-5
    assert torch.all(index[..., 3] == 0)
    assert torch.all(given[..., 3] == 0)
    # Noise never leaves the bin, and dither is subtracted: the error is at most half a bin.
    u = torch.rand(10, 4, generator=torch.Generator().manual_seed(0)) - 0.5
    assert torch.all((pairs.quantize(z, u)[1] - given)[..., :3].abs() <= 0.25 + 1e-6)
    dithered = Pairs([Member(3, 5, dithered=True)], SHAPE)
    inside = z.detach() * 0.7
    index, seen = dithered.quantize(inside, u)
    assert torch.all((seen - inside)[..., :3].abs() <= 0.25 + 1e-6)
    assert torch.allclose(dithered.lookup(index, u), seen, atol=1e-6)


@pytest.mark.parametrize("mode", list(ConvolutionMode))
def test_an_ensemble_is_its_members(mode):
    # Oracle: each network alone, one after the other; losses and gradients within 1e-4 relative.
    members = [Member(2, 2, seed=1), Member(4, 5, seed=2), Member(3, 3, seed=3, dithered=True)]
    random = torch.Generator().manual_seed(0)
    x, u = torch.rand(16, 64, generator=random), torch.rand(16, 4, generator=random) - 0.5
    share = torch.rand(16, 1, generator=random)

    def losses(pairs, critics):
        x_hat = pairs.train()(x, u)
        own = (x - x_hat).square().sum(-1).mean(1) - critics(x_hat).mean(1)
        return torch.stack([own, critic_loss(critics, x, x_hat.detach(), share)])

    pairs, critics = Pairs(members, SHAPE, mode), Critics([4, 5, 6], SHAPE, mode)
    together = losses(pairs, critics)
    together.sum().backward()
    for e, member in enumerate(members):
        one = Pairs([member], SHAPE), Critics([4 + e], SHAPE)
        alone = losses(*one)
        torch.testing.assert_close(together[:, e], alone[:, 0], rtol=1e-4, atol=1e-5)
        alone.sum().backward()
        for whole, single in zip((pairs, critics), one, strict=True):
            for name, p in single.weights.items():
                whole_gradient = whole.weights[name].grad
                if p.grad is not None and not name.endswith("bias"):
                    torch.testing.assert_close(
                        whole_gradient[e], p.grad[0], rtol=1e-3, atol=1e-4, msg=name
                    )


class Killed(Exception):
    """Stands for the end of a process."""


def kill_at(step):
    def progress(done, total):
        if done == step:
            raise Killed

    return progress


@pytest.mark.parametrize("adversarial", [False, True])
def test_a_killed_run_goes_on_to_the_same_weights(tmp_path, adversarial):
    # Oracle: the same job without interruption; every tensor bit for bit.
    budget = replace(BUDGETS["quick"], shape=SHAPE, epochs=(2, 2), batch=16)
    rows = tuple(PairRow(dim=2, levels=2, weight=w) for w in (0.0, 4.0))
    job = Job(name="job", rows=rows, adversarial=adversarial)
    digits = torch.rand(96, 64, generator=torch.Generator().manual_seed(1))
    whole = run_job(job, budget, digits, tmp_path / "a", Runtime())
    for step in (3, 7):
        with pytest.raises(Killed):
            run_job(
                job, budget, digits, tmp_path / "b",
                Runtime(progress=kill_at(step), checkpoint_seconds=0.0),
            )  # fmt: skip
    assert run_job(job, budget, digits, tmp_path / "b", Runtime(until=-1.0)) is None
    again = run_job(job, budget, digits, tmp_path / "b", Runtime())
    assert whole["step"] == again["step"] == 12
    for part in ("pairs", "critics"):
        for name, value in whole[part].items():
            assert torch.equal(value, again[part][name]), name
    # The pairs have moved; and apart, far beyond rounding, where a critic pulls one of them.
    fresh = Pairs([row.member for row in rows], SHAPE).weights["encoder0/weight"]
    weight = whole["pairs"]["weights.encoder0/weight"]
    assert float((weight - fresh.detach()).abs().max()) > 1e-3
    assert (float((weight[0] - weight[1]).abs().max()) > 1e-3) is adversarial
    # A checkpoint of other settings, or a damaged one, is refused.
    with pytest.raises(TrainingData, match="other settings"):
        run_job(job, replace(budget, rate_pairs=1e-3), digits, tmp_path / "b", Runtime())
    (tmp_path / "b" / "job.pt").write_bytes(b"damaged")
    with pytest.raises(TrainingData, match="no checkpoint"):
        run_job(job, budget, digits, tmp_path / "b", Runtime())


def test_the_command_stops_in_time_and_goes_on(tmp_path, capsys):
    # Oracle: exit code 3 and no result at zero minutes; then what the part promises.
    given = ["--preset", "quick", "--work", str(tmp_path / "w"), "--out", str(tmp_path / "o")]
    given += ["--parts", "estimators", "--device", "cpu"]
    assert main([*given, "--minutes", "0"]) == 3
    assert not list((tmp_path / "o").rglob("*.npz"))
    assert main(given) == 0
    assert "finished" in capsys.readouterr().out
    output = load_record(tmp_path / "o" / "first" / "squared-4-4-0.npz").arrays
    assert output["reconstruction"].shape == (250, 64)
    assert output["index"].shape == (500, 4)
    assert output["index"].max() <= 3
    # The rate bound: no index outside dim log2 L bits; and the pair has learnt something.
    # The second part goes on from the first, at a lower rate: its error is smaller.
    digits = small_digits()
    first, last = (
        np.mean(np.sum((digits.test[:250] - found["reconstruction"] / 255.0) ** 2, axis=1))
        for found in (output, load_record(tmp_path / "o" / "last" / "squared-4-4-0.npz").arrays)
    )
    spread = np.mean(np.sum((digits.test - digits.train.mean(axis=0)) ** 2, axis=1))
    assert last < first < 0.8 * spread


def test_pairs_of_a_rate_are_kept_when_the_next_is_killed(tmp_path):
    # Oracle: the same training without interruption, array by array; and what a finished group left is
    # not written again. A group is the pairs of one (dim, L).
    budget = replace(
        BUDGETS["quick"], shape=SHAPE, digits=96, tested=40, epochs=(1, 1),
        convergence=replace(BUDGETS["quick"].convergence, digits=64),
    )  # fmt: skip
    parts, reports = ("pairs",), []

    def train(folder, runtime):
        folders = tmp_path / folder / "work", tmp_path / folder / "out"
        return train_parts(budget, None, *folders, parts=parts, runtime=runtime)

    def progress(done, total):
        reports.append(done)
        if len(reports) == 8:  # of three steps each: estimators, first group, second group
            raise Killed

    assert train("whole", Runtime())
    with pytest.raises(Killed):
        train("killed", Runtime(progress=progress, checkpoint_seconds=0.0))
    out = tmp_path / "killed" / "out" / "pairs"
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert sorted(before) == ["squared-2-2-0.npz", "squared-2-2-4.npz"]
    assert train("killed", Runtime())
    assert all((out / name).stat().st_mtime_ns == time for name, time in before.items())
    names = {path.name for path in out.iterdir()}
    assert names == {f"{row.name}.npz" for row in budget.rows}
    for name in names:
        again, whole = (
            load_record(tmp_path / f / "out" / "pairs" / name) for f in ("killed", "whole")
        )
        for key, value in whole.arrays.items():
            assert np.array_equal(again.arrays[key], value), (name, key)


@pytest.mark.statistical
def test_a_converged_critic_finds_the_distance_of_a_shift():
    # Oracle: W1 between a law and its shift by s is s, and with a penalty of 10 the best slope is
    # 1 + s/20, so that the loss is s + s^2/20; 5 % for a critic of 8 + 16 channels. A critic that was
    # stopped early, or an error of sign or scale, fails. Between two samples of one law it finds no more than
    # 4 standard errors and 0.1.
    digits = small_digits()
    budget = replace(
        BUDGETS["quick"], batch=64, convergence=Convergence(rate=1e-2, steps=40, windows=10)
    )
    direction = np.random.default_rng(0).standard_normal(64)
    shift = 1.5 * direction / np.linalg.norm(direction)
    train, test = digits.train.astype(np.float64), digits.test.astype(np.float64)
    found = critic_distance((train[:600], train[600:] + shift), (test, test + shift), budget)
    assert found.converged
    assert found.value == pytest.approx(1.5 + 1.5**2 / 20, rel=0.05)
    same = critic_distance((train[:600], train[600:]), (test[:250], test[250:]), budget)
    assert abs(same.value) < 4 * same.standard_error + 0.1
    # The critic and its steps are the same for the same samples, bit for bit.
    short = replace(budget, convergence=Convergence(rate=1e-2, steps=3, windows=2))
    twice = [critic_distance((train[:600], train[600:]), (test, test), short) for _ in range(2)]
    assert twice[0] == twice[1]
    assert not twice[0].converged
    with pytest.raises(InvalidSetting, match="two batches"):
        critic_distance((train, train[:100]), (test, test), budget)
