"""Training of the generator for latents: its prices, a killed run, and what it starts from."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image

from veridical.errors import BadWeights, InvalidSetting, TrainingData
from veridical.photo.learned.decode import decode_container
from veridical.photo.learned.encode import QUANTIZER_NAMES, LearnedEncoder
from veridical.photo.learned.generator import LatentFlow, generate
from veridical.photo.learned.model import generator_path, load_codec
from veridical.photo.network import NetworkConfig
from veridical.training import photo_codec_flow
from veridical.training.photo_codec import CODEC_PRESETS, load_networks
from veridical.training.photo_codec_flow import (
    GENERATOR_STAGES,
    Training,
    begin_flow,
    load_flow,
    train_stage,
)
from veridical.training.photo_codec_run import run_codec
from veridical.training.photo_parts import accelerator_for
from veridical.training.photo_pixels import Pixels, centre_crops

TINY = CODEC_PRESETS["tiny"]


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two photographs cut from one."""
    data = pytest.importorskip("skimage.data")
    out = tmp_path_factory.mktemp("pictures")
    for k in range(2):
        Image.fromarray(data.coffee()[60 * k : 60 * k + 120, 90:240]).save(out / f"{k}.png")
    return out


@pytest.fixture(scope="module")
def finished(folder, tmp_path_factory):
    """A whole run of the tiny preset."""
    run = tmp_path_factory.mktemp("run")
    torch.set_num_threads(1)
    return run, run_codec([folder], folder, run, preset="tiny")


def training_of(run):
    codec = load_networks(TINY, run)
    return Training(codec, Pixels.load(run / "pixels"), TINY.generator, run, accelerator_for(TINY))


def test_prices_are_those_of_decoded_files(finished, folder):
    # Oracle: pictures decoded from files, in 8 bits: rounding costs up to 1/12 of a squared level,
    # 1.3e-6, and 1 % is left for levels that the rounding clips.
    _, path = finished
    model = load_codec(path)
    assert sorted(model.prices) == list(range(len(QUANTIZER_NAMES)))
    d, c = [], []
    for seed, picture in enumerate(centre_crops(folder, TINY.generator.prices_side), 1):
        data = LearnedEncoder(model, 50.0, quantizer="dither", seed=seed).encode(
            Image.fromarray(picture)
        )
        plain, real = (
            np.asarray(decode_container(data, model, realism=a, seed=seed, max_pixels=10**6)) / 255
            for a in (0.0, 1.0)
        )
        d.append(np.mean((plain - picture / 255) ** 2))
        c.append(np.mean((real - plain) ** 2))
    price = model.prices_of(1).calibration(5000, 4)
    assert price.mmse == pytest.approx(np.mean(d), rel=0.01, abs=3e-6)
    assert price.transport_cost == pytest.approx(np.mean(c), rel=0.01, abs=3e-6)


def test_realism_is_a_blend_seeded_and_stepped(finished):
    # Oracle: half-way is the mean of the ends within a level of rounding; seeds and steps matter.
    _, path = finished
    model = load_codec(path)
    y, x = np.mgrid[:70, :90]
    picture = Image.fromarray(np.uint8(127 + 90 * np.sin(x * y / 300))).convert("RGB")
    data = LearnedEncoder(model, 20.0).encode(picture)

    def decoded(**options):
        return np.asarray(decode_container(data, model, max_pixels=10**6, **options)).astype(int)

    ends = [decoded(realism=a) for a in (0.0, 1.0)]
    inner = np.all([(e > 2) & (e < 253) for e in ends], axis=0)
    assert inner.mean() > 0.5
    assert np.all(np.abs(decoded(realism=0.5) - np.mean(ends, axis=0))[inner] <= 1)
    assert np.array_equal(decoded(realism=1.0), ends[1])
    assert not np.array_equal(decoded(realism=1.0, seed=1), ends[1])
    assert not np.array_equal(decoded(realism=1.0, steps=1), ends[1])
    assert np.array_equal(decoded(perception=0.0), ends[1])
    with pytest.raises(InvalidSetting, match="steps"):
        decoded(realism=1.0, steps=0)


def test_a_cut_run_ends_in_the_same_generator(finished, folder, tmp_path, monkeypatch):
    # Oracle: the run that was not cut; equal to the last bit.
    run, path = finished
    for name in ("codec.safetensors", "codec.json", path.name, path.with_suffix(".json").name):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    whole, calls = photo_codec_flow.train, []

    def cut(*args, **kwargs):
        calls.append(1)
        return whole(*args, **(kwargs | {"stop_after_seconds": 0.0 if len(calls) % 3 else None}))

    monkeypatch.setattr(photo_codec_flow, "train", cut)
    stopped = 0
    while run_codec([folder], folder, tmp_path, preset="tiny") is None:
        stopped += 1
        assert not generator_path(tmp_path / path.name).exists()
    assert stopped == 6
    a, b = (load_codec(p).flow.state_dict() for p in (path, tmp_path / path.name))
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_stages_move_only_what_is_theirs(finished):
    # Oracle: the weights of the stage before.
    training = training_of(finished[0])
    spread, flow, reflow = (load_flow(s, training).state_dict() for s in GENERATOR_STAGES)
    for key in spread:
        moved = not torch.equal(spread[key], flow[key])
        assert not (moved and not key.startswith("network.")), key
    assert any(not torch.equal(spread[k], flow[k]) for k in spread)
    assert any(not torch.equal(flow[k], reflow[k]) for k in spread)


def test_it_begins_with_the_flow_of_everyday_files(finished):
    # Oracle: with the weights of the fourth picture left out, and a side input that starts at
    # zero, the network answers as the everyday one does when that picture is zero.
    from veridical.photo.network import RestorationNetwork

    training = training_of(finished[0])
    everyday = RestorationNetwork(NetworkConfig(pictures=5, widths=(8, 8, 8), timed=True, bypass=8))
    with torch.no_grad():
        everyday.tail.weight.normal_()
    flow = begin_flow(training, everyday)
    generator = torch.Generator().manual_seed(0)
    parts = torch.randn(1, 12, 32, 32, generator=generator)
    features, time = torch.randn(1, 7, generator=generator), torch.tensor([0.3])
    state, side = parts[:, :3], torch.randn(1, 8, 8, 8, generator=generator)
    with_zero = torch.cat([parts[:, :9], torch.zeros(1, 3, 32, 32), parts[:, 9:]], 1)
    with torch.no_grad():
        a = flow.network(parts, features, time, state, side)
        b = everyday(with_zero, features, time, state)
    assert torch.allclose(a, b, atol=1e-5)
    assert float(b.abs().mean()) > 0.1


def test_the_scale_is_that_of_the_error(finished):
    # Oracle: the root of the mean squared error of fresh crops, within a factor of 1.5 (a tiny
    # codec's error hardly depends on the quality, and crops differ).
    training = training_of(finished[0])
    flow = begin_flow(training, None)
    x, x_mmse, _, quality = training.coded(99, 0)
    measured = (x - x_mmse).square().mean().sqrt()
    assert 1 / 1.5 < float(flow.scale(quality).mean() / measured) < 1.5


def test_a_perfect_flow_gives_the_source():
    # Oracle: a network that always predicts the same end puts exactly that on top of the estimate.
    class Told(LatentFlow):
        def forward(self, u, time, seen):
            return torch.ones_like(u)

    flow = Told(NetworkConfig(pictures=4, widths=(8, 8, 8), timed=True, bypass=8, side=8), 3)
    x = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        seen = flow.sees(x, torch.zeros(1, 8, 8, 8), torch.tensor([5000]))
        out = generate(flow, seen, torch.randn(1, 3, 32, 32), 4)
    moved = (out - x) / (seen.scale * seen.size)
    # Lightness (1,1,1)/sqrt 3, red minus blue (1,0,-1)/sqrt 2, green against both (1,-2,1)/sqrt 6.
    size = seen.size[0, :, 16, 16]
    axes = torch.tensor([[1.0, 1, 1], [1, 0, -1], [1, -2, 1]])
    axes = axes / axes.norm(dim=1, keepdim=True)
    want = (axes * size[:, None]).sum(0) / size
    assert torch.allclose(moved[0, :, 16, 16], want, atol=1e-3)


def test_a_generator_of_another_codec_is_refused(finished, tmp_path):
    _, path = finished
    for file in (path, path.with_suffix(".json"), generator_path(path)):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(BadWeights):  # the card is missing
        load_codec(tmp_path / path.name)
    beside = generator_path(path).with_suffix(".json")
    (tmp_path / beside.name).write_bytes(beside.read_bytes())
    assert load_codec(tmp_path / path.name).flow is not None
    from safetensors.torch import load_file, save_file

    file = generator_path(tmp_path / path.name)
    header = {"layout": 1, "codec": "00" * 32, "flow": {}, "prices": {}}
    save_file(load_file(file), file, metadata={"veridical": json.dumps(header)})
    import hashlib

    card = {"sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    file.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(BadWeights, match="generator of a codec"):
        load_codec(tmp_path / path.name)


def test_bad_input(finished, tmp_path):
    training = dataclasses.replace(training_of(finished[0]), run=tmp_path)
    with pytest.raises(TrainingData, match="train it first"):
        train_stage("flow", training, lambda title, done, total: None)
    with pytest.raises(InvalidSetting):
        LatentFlow(NetworkConfig(pictures=5, timed=True, bypass=8, side=8))
    with pytest.raises(InvalidSetting):
        dataclasses.replace(TINY.generator, patch=100)
