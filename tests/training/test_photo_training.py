"""Training: pairs are right, a killed run goes on as if it had not been killed, weights decode."""

import json
import shutil
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

import veridical
from veridical.errors import BadWeights, InvalidSetting, TrainingData
from veridical.photo.formats import open_image
from veridical.photo.weights import SHIPPED
from veridical.training import loop, photo_prices, photo_run, price_files, sources
from veridical.training.export import load_estimator, load_generator
from veridical.training.generator import STRENGTH
from veridical.training.loop import Execution, Schedule, train
from veridical.training.networks import NetworkConfig, RestorationNetwork, to_channels_last
from veridical.training.photo_run import run_all
from veridical.training.pictures import augment, dihedral
from veridical.training.pieces import fit_scale
from veridical.training.price_network import fit_price_network
from veridical.training.stages import claim

pytest.importorskip("accelerate")


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


@pytest.mark.parametrize("schedule", [Schedule(12), Schedule(12, hidden_rate=1e-3)])
def test_a_killed_run_goes_on_as_if_it_had_not_been_killed(tmp_path, schedule):
    # Oracle: the run that was not stopped; float32 on one machine, equal to 1e-6.
    from accelerate import Accelerator

    def network():
        torch.manual_seed(0)
        return to_channels_last(RestorationNetwork(NetworkConfig(1, (8, 8, 8))))

    def train(name, seconds=None):
        model, execution = network(), Execution(tmp_path / name, Accelerator(), seconds)
        return loop.train(model, loss, schedule, execution, model.hidden_weights())

    def loss(model, step):
        x = torch.from_numpy(np.random.default_rng(step).random((1, 3, 32, 32), np.float32))
        return (model(x, torch.zeros(1, 7)) - x).square().mean()

    whole, figures = train("a.ckpt")
    stops = 0
    while True:
        result = train("b.ckpt", seconds=0.0)
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

    execution = Execution(tmp_path / "c.ckpt", Accelerator())
    for width in (8, 16):
        network = RestorationNetwork(NetworkConfig(1, (width, 8, 8)))
        if width == 8:
            train(network, loss, Schedule(2), execution)
        else:
            with pytest.raises(TrainingData, match="another size"):
                train(network, loss, Schedule(2), execution)


@pytest.mark.parametrize("rates", [(0.0, 1e-3), (1e-3, 0.0)])
def test_a_checkpoint_of_other_optimizers_is_refused(tmp_path, rates):
    # Oracle: contract.
    from accelerate import Accelerator

    network = RestorationNetwork(NetworkConfig(1, (8, 8, 8)))

    def go(schedule):
        return train(
            network, lambda m, step: m.head.weight.square().sum(), schedule,
            Execution(tmp_path / "c.ckpt", Accelerator()), network.hidden_weights(),
        )  # fmt: skip

    go(Schedule(2, hidden_rate=rates[0]))
    with pytest.raises(TrainingData, match="other optimizers"):
        go(Schedule(4, hidden_rate=rates[1]))


@pytest.mark.parametrize("name", ["JPEG", "AVIF"])
def test_from_a_folder_to_weights_that_decode(pictures, tmp_path, name, monkeypatch):
    # Oracle: contract: the result opens a file, knows its price, and its recipe says what was trained; a
    # second call does no stage again and writes nothing; a start trains the whole estimator on, --only what it names; the card and the
    # generator's file say the same strength.
    for module in (sources, price_files):
        monkeypatch.setattr(module, "KINDS", ["flat"])  # others take long to draw
    monkeypatch.setattr(price_files, "_QUALITIES", (10, 40, 90))
    monkeypatch.setattr(photo_run, "fit_scale", lambda *given: fit_scale(*given, n=30))
    quick = partial(fit_price_network, steps=100)  # its law has tests of its own
    monkeypatch.setattr(photo_prices, "fit_price_network", quick)
    monkeypatch.setattr(photo_run, "validate", lambda *given: {"quality 10": [0.0]})
    arguments = [pictures / "train"], pictures / "val"
    said = []
    path = run_all(*arguments, tmp_path / "a", format=name, preset="tiny", say=said.append)
    data = veridical.encode(pictures / "val" / "0.png", format=name, quality=20)
    assert veridical.decode(data, weights=path, realism=1).size == (176, 192)
    assert open_image(data, veridical.DecodeOptions(weights=path)).info.price.mmse > 0
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["training_data"]["photographs"] == 3
    network = load_generator(path.with_name(f"{path.stem}-generator.onnx"))[0]["network"]
    strength = card["preset"]["generator"]["strength"]
    assert network["strength"] == strength == STRENGTH.get(name, 1.0)
    assert list(card["stages"]) == ["unet", "head", "whole", "shrinkage", "generator"]
    assert sum("stage" in s for s in said) == 5
    assert path.with_name(f"{path.stem}-price.json").exists()
    assert path.with_name(f"{path.stem}-cells.json").exists() == (name == "JPEG")
    assert not list(path.parent.glob("cells-*.npz"))
    said.clear()
    price = path.with_name(f"{path.stem}-price.onnx")
    written = price.stat().st_mtime_ns
    run_all(*arguments, tmp_path / "a", format=name, preset="tiny", say=said.append)
    assert not any("stage" in s for s in said)
    assert price.stat().st_mtime_ns == written
    if name == "JPEG":
        return
    first = [load(path)[1].state_dict() for load in (load_estimator, _generator_beside)]
    monkeypatch.setattr(
        photo_run, "write_prices", lambda *given: None
    )  # the weights are what counts now
    for only in (["generator"], ["shrinkage"], []):
        again = run_all(
            *arguments, tmp_path / "-".join(["b", *only]), format=name, preset="tiny", start=path, only=only, seed=1
        )  # fmt: skip
        second = [load(again)[1].state_dict() for load in (load_estimator, _generator_beside)]
        moved = [
            {k for k in a if not torch.equal(a[k], b[k])}
            for a, b in zip(first, second, strict=True)
        ]
        assert bool(moved[1]) == (only != ["shrinkage"])
        if only:
            assert all(k.startswith("shrinkage.") for k in moved[0])
            assert bool(moved[0]) == (only == ["shrinkage"])
        else:
            assert any(k.endswith("conv1.weight") for k in moved[0])


def _generator_beside(path):
    return load_generator(path.with_name(f"{path.stem}-generator.onnx"))


def test_settings_outside_their_domain(tmp_path):
    with pytest.raises(InvalidSetting, match="preset"):
        run_all([tmp_path], tmp_path, tmp_path, format="JPEG", preset="huge")
    with pytest.raises(InvalidSetting, match="seed"):
        run_all([tmp_path], tmp_path, tmp_path, format="JPEG", seed=-1)
    with pytest.raises(InvalidSetting, match="--start"):
        run_all([tmp_path], tmp_path, tmp_path, format="JPEG", only=["generator"])
    with pytest.raises(InvalidSetting, match="whole"):
        run_all([tmp_path], tmp_path, tmp_path, format="JPEG", start=tmp_path, only=["hole"])
    with pytest.raises(InvalidSetting):
        Schedule(0)
    with pytest.raises(InvalidSetting, match="hidden"):
        Schedule(2, hidden_rate=-1e-3)


def test_settings_that_do_not_fit_together(tmp_path):
    # Oracle: contract: told before anything is read or made.
    for name in ("jpeg.onnx", "jpeg.json"):
        shutil.copy(SHIPPED / name, tmp_path)
    for end in (".onnx", ".json"):
        shutil.copy(SHIPPED / f"webp-generator{end}", tmp_path / f"jpeg-generator{end}")
    mixed = tmp_path / "jpeg.onnx"
    for kind, said, given in (
        (InvalidSetting, "same format", {"start": SHIPPED / "webp.onnx", "only": ["generator"]}),
        (InvalidSetting, "other features", {"start": SHIPPED / "jpeg.onnx"}),
        (BadWeights, "another estimator", {"start": mixed, "only": ["whole"], "format": "JPEG"}),
        (InvalidSetting, "not 'head'", {"start": SHIPPED / "avif.onnx", "only": ["head"]}),
        (InvalidSetting, "minutes", {"minutes": -1.0}),
        (InvalidSetting, "minutes", {"minutes": float("nan")}),
    ):
        with pytest.raises(kind, match=said):
            run_all(
                [tmp_path],
                tmp_path,
                tmp_path / "run",
                **{"format": "AVIF", "preset": "tiny"} | given,
            )
    assert not (tmp_path / "run").exists()


def test_the_folder_of_another_run_is_refused(tmp_path):
    # Oracle: contract: the same run goes on; another format or other weights would get its finished stages.
    start = SHIPPED / "webp.onnx"
    for name, run, own in (("AVIF", tmp_path / "a", None), ("WEBP", tmp_path / "b", start)):
        for _ in range(2):
            claim(run, name, own)
    with pytest.raises(InvalidSetting, match=r"a run for AVIF files; .*--run"):
        claim(tmp_path / "a", "VDC", None)
    with pytest.raises(InvalidSetting, match="WEBP files from other weights"):
        claim(tmp_path / "b", "WEBP", None)


def test_weights_of_another_kind_are_no_start(pictures, tmp_path):
    with pytest.raises(BadWeights):
        run_all(
            [pictures / "train"], pictures / "val", tmp_path / "run", format="JPEG", preset="tiny",
            start=SHIPPED / "jpeg-generator.onnx",
        )  # fmt: skip
    assert not (tmp_path / "run" / "sources").exists()


def test_a_format_with_a_training_of_its_own(tmp_path):
    with pytest.raises(InvalidSetting, match="photo-codec"):
        run_all([tmp_path], tmp_path, tmp_path, format="VDC", preset="tiny")
