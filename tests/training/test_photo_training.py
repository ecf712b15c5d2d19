"""Training: pairs are right, a killed run goes on as if it had not been killed, weights decode."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

import veridical
from veridical.errors import BadWeights, InvalidSetting, TrainingData
from veridical.photo.weights import SHIPPED
from veridical.training import loop, photo_run
from veridical.training.augment import augment
from veridical.training.loop import Schedule, train
from veridical.training.networks import NetworkConfig, RestorationNetwork, to_channels_last
from veridical.training.photo_data import (
    Pairs,
    PairSampler,
    dihedral,
    encode_at_random,
    prepare,
)
from veridical.training.photo_run import run_all

pytest.importorskip("accelerate")


@pytest.fixture(scope="module")
def pairs(pictures, tmp_path_factory):
    return prepare([pictures / "train"], tmp_path_factory.mktemp("pairs"), format="JPEG")


def test_decoded_and_source_lie_on_each_other(pairs):
    # Oracle: the error stored at preparation, from the whole picture; patches of 160 pixels cover
    # nearly all of it: each patch's error within a factor of 3 (a turned or shifted pair is off
    # by a factor of 10 and more on these pictures).
    sampler = PairSampler(pairs, patch=160, batch_size=36, seed=0)
    batch = sampler.batch(0)
    error = ((batch["source"].astype(float) - batch["decoded"]) ** 2).mean((1, 2, 3)) / 255**2
    stored = sorted(r["mse"] for r in pairs.records)
    assert error.min() > stored[0] / 3
    assert error.max() < stored[-1] * 3


def test_batches_depend_on_seed_and_step_alone(pairs):
    one, two = (PairSampler(pairs, patch=64, batch_size=4, seed=1) for _ in range(2))
    two.batch(0)
    for key, value in one.batch(5).items():
        assert np.array_equal(value, two.batch(5)[key])
    assert not np.array_equal(one.batch(5)["source"], one.batch(6)["source"])


def test_symmetries_are_eight():
    x = np.arange(6).reshape(2, 3, 1)
    seen = {(dihedral(x, k).shape, dihedral(x, k).tobytes()) for k in range(8)}
    assert len(seen) == 8


def test_an_augmented_picture_is_smaller_and_mostly_grainy():
    # Oracle: the ranges that the function promises; grey pictures, where grain is at full size.
    # Of 60 pictures 40 +- 4 standard deviations (15) are grainy; levels within 10 % of the range.
    grey = Image.new("RGB", (400, 300), (128, 128, 128))
    taken = [augment(grey, np.random.default_rng(k), 160) for k in range(60)]
    factors = [t.width / 400 for t in taken]
    assert 0.54 < min(factors) < 0.65
    assert 0.9 < max(factors) <= 1
    assert all(abs(t.height / 300 - f) < 0.01 for t, f in zip(taken, factors, strict=True))
    levels = np.array([np.asarray(t, dtype=float).std() for t in taken])
    grainy = levels[levels > 0]
    assert 25 <= len(grainy) <= 55
    assert 0.9 < grainy.min() < 2
    assert 5 < grainy.max() < 7.7


def test_a_small_picture_keeps_its_size():
    # Oracle: contract: patches need 160 pixels.
    taken = [augment(Image.new("RGB", (160, 400)), np.random.default_rng(k), 160) for k in range(5)]
    assert {t.size for t in taken} == {(160, 400)}


def test_every_picture_is_coded_twice_and_once_again_augment(pairs):
    # Oracle: contract; an augmented picture has a source of its own.
    for name in ("0.png", "1.png", "2.png"):
        mine = [r for r in pairs.records if r["name"] == name]
        by_source = [sum(r["source"] == at for r in mine) for at in {r["source"] for r in mine}]
        assert sorted(by_source) == [1, 2]


def test_a_prepared_set_is_reused_and_recognised(pictures, pairs):
    before = (pairs.folder / "pixels.u8").stat().st_mtime_ns
    again = prepare([pictures / "train"], pairs.folder, format="JPEG")
    assert again.digest == pairs.digest
    assert (pairs.folder / "pixels.u8").stat().st_mtime_ns == before
    with pytest.raises(TrainingData):
        Pairs.load(pictures)


def test_no_usable_picture(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"no picture")
    with pytest.raises(TrainingData, match="no picture"):
        prepare([tmp_path / "in"], tmp_path / "out", format="JPEG")
    with pytest.raises(TrainingData, match="neither"):
        prepare([tmp_path / "in" / "a.png"], tmp_path / "out", format="JPEG")


def test_noise_needs_more_than_a_byte_a_pixel():
    # Oracle: the pixels of the file with plain tables, exactly. For progressive files Pillow reserves
    # one byte a pixel, too few here.
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8))

    class Finest:
        draws = iter([0.999, 0.0, 0.0])  # quality 93, 4:4:4, progressive

        def random(self):
            return next(self.draws)

    coded = encode_at_random(noise, "JPEG", Finest())
    plain = io.BytesIO()
    noise.save(plain, "JPEG", quality=93, subsampling="4:4:4")
    assert np.array_equal(Image.open(io.BytesIO(coded)), Image.open(plain))
    assert len(coded) > 256 * 256


def test_another_seed_means_other_files_and_other_batches(pictures, tmp_path, monkeypatch):
    # Oracle: contract, on what reaches the first stage.
    seen = []

    def stage(pairs, sizes, run, report, *, seconds, start, seed):
        seen.append((pairs.digest, json.dumps(pairs.records), seed))

    monkeypatch.setattr(photo_run, "train_estimator", stage)
    for seed in (0, 1, 1):
        run = tmp_path / str(len(seen))
        assert (
            run_all(
                [pictures / "train"], pictures / "val", run, format="JPEG", preset="tiny", seed=seed
            )
            is None
        )
    zero, one, again = seen
    assert all(a != b for a, b in zip(zero, one, strict=True))
    assert one == again


@pytest.mark.parametrize("schedule", [Schedule(12), Schedule(12, hidden_rate=1e-3)])
def test_a_killed_run_goes_on_as_if_it_had_not_been_killed(tmp_path, schedule):
    # Oracle: the run that was not stopped; float32 on one machine, equal to 1e-6.
    from accelerate import Accelerator

    def network():
        torch.manual_seed(0)
        return to_channels_last(RestorationNetwork(NetworkConfig(1, (8, 8, 8))))

    def train(model, *arguments, **options):
        return loop.train(model, *arguments, hidden=model.hidden_weights(), **options)

    def loss(model, step):
        x = torch.from_numpy(np.random.default_rng(step).random((1, 3, 32, 32), np.float32))
        return (model(x, torch.zeros(1, 7)) - x).square().mean()

    whole, figures = train(
        network(), loss, schedule, tmp_path / "a.ckpt", accelerator=Accelerator()
    )
    stops = 0
    while True:
        result = train(
            network(), loss, schedule, tmp_path / "b.ckpt", accelerator=Accelerator(),
            stop_after_seconds=0.0,
        )  # fmt: skip
        if result is not None:
            break
        stops += 1
    assert stops >= 5
    assert figures["steps"] == result[1]["steps"] == 12
    for a, b in zip(whole.parameters(), result[0].parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    from accelerate import Accelerator

    def loss(model, step):
        return sum(p.square().sum() for p in model.parameters())

    for width in (8, 16):
        network = RestorationNetwork(NetworkConfig(1, (width, 8, 8)))
        if width == 8:
            train(network, loss, Schedule(2), tmp_path / "c.ckpt", accelerator=Accelerator())
        else:
            with pytest.raises(TrainingData, match="another size"):
                train(network, loss, Schedule(2), tmp_path / "c.ckpt", accelerator=Accelerator())


@pytest.mark.parametrize("rates", [(0.0, 1e-3), (1e-3, 0.0)])
def test_a_checkpoint_of_other_optimizers_is_refused(tmp_path, rates):
    # Oracle: contract.
    from accelerate import Accelerator

    network = RestorationNetwork(NetworkConfig(1, (8, 8, 8)))

    def go(schedule):
        return train(
            network, lambda m, step: m.head.weight.square().sum(), schedule, tmp_path / "c.ckpt",
            accelerator=Accelerator(), hidden=network.hidden_weights(),
        )  # fmt: skip

    go(Schedule(2, hidden_rate=rates[0]))
    with pytest.raises(TrainingData, match="other optimizers"):
        go(Schedule(4, hidden_rate=rates[1]))


def test_from_a_folder_to_weights_that_decode(pictures, tmp_path):
    # Oracle: contract: the command's result opens a file; a second call does no stage again.
    arguments = ([pictures / "train"], pictures / "val", tmp_path)
    said = []
    path = run_all(*arguments, format="JPEG", preset="tiny", say=said.append)
    out = veridical.decode(
        veridical.encode(pictures / "val" / "0.png", format="JPEG", quality=20),
        weights=path,
        realism=1,
    )
    assert out.size == (176, 192)
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["training_data"]["pictures"] == 3
    assert any("stage flow" in s for s in said)
    said.clear()
    run_all(*arguments, format="JPEG", preset="tiny", say=said.append)
    assert not any("stage" in s for s in said)


def test_settings_outside_their_domain(tmp_path):
    with pytest.raises(InvalidSetting, match="preset"):
        run_all([tmp_path], tmp_path, tmp_path, format="JPEG", preset="huge")
    with pytest.raises(InvalidSetting, match="seed"):
        run_all([tmp_path], tmp_path, tmp_path, format="JPEG", seed=-1)
    with pytest.raises(InvalidSetting):
        Schedule(0)
    with pytest.raises(InvalidSetting, match="hidden"):
        Schedule(2, hidden_rate=-1e-3)


def test_weights_of_a_larger_network_are_no_start(pictures, tmp_path):
    # Oracle: contract; nothing is prepared before.
    with pytest.raises(BadWeights, match="no room"):
        run_all(
            [pictures / "train"], pictures / "val", tmp_path / "run", format="JPEG", preset="tiny",
            start=SHIPPED / "jpeg.onnx",
        )  # fmt: skip
    assert not (tmp_path / "run" / "pairs").exists()


def test_a_format_with_a_training_of_its_own(tmp_path):
    with pytest.raises(InvalidSetting, match="photo-codec"):
        run_all([tmp_path], tmp_path, tmp_path, format="VDC", preset="tiny")
