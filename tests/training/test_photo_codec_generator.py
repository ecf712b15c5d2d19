"""Training of the generator for latents: its prices, a killed run, and what it starts from."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from veridical.errors import InvalidSetting, TrainingData
from veridical.photo.decode import decode
from veridical.photo.encode import encode
from veridical.photo.vdc.model import load_model
from veridical.photo.vdc.quantizers import QUANTIZERS
from veridical.training import photo_codec_flow, photo_codec_run
from veridical.training.networks import NetworkConfig
from veridical.training.photo_codec import CODEC_PRESETS, load_networks
from veridical.training.photo_codec_flow import (
    GENERATOR_STAGES,
    Training,
    begin_flow,
    load_flow,
    train_stage,
)
from veridical.training.photo_codec_run import run_codec
from veridical.training.photo_pixels import Pixels, centre_crops
from veridical.training.stages import accelerator_for
from veridical.training.vdc.generator import LatentFlow

TINY = CODEC_PRESETS["tiny"]


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def training_of(run):
    codec = load_networks(TINY, run)
    return Training(codec, Pixels.load(run / "pixels"), TINY.generator, run, accelerator_for(TINY))


def test_prices_are_those_of_decoded_files(vdc_run, vdc_pictures):
    # Oracle: pictures decoded from files, in 8 bits: rounding costs up to 1/12 of a squared level,
    # 1.3e-6, and 1 % is left for levels that the rounding clips.
    _, path = vdc_run
    model = load_model(path)
    assert sorted(model.prices) == list(range(len(QUANTIZERS)))
    d, c = [], []
    for seed, picture in enumerate(centre_crops(vdc_pictures, TINY.generator.prices_side), 1):
        data = encode(
            Image.fromarray(picture), format="VDC", quality=50.0, quantizer="dither", seed=seed,
            weights=path,
        )  # fmt: skip
        plain, real = (
            np.asarray(decode(data, realism=a, seed=seed, weights=path)) / 255 for a in (0.0, 1.0)
        )
        d.append(np.mean((plain - picture / 255) ** 2))
        c.append(np.mean((real - plain) ** 2))
    price = model.price(5000, 1, 4)
    assert price.mmse == pytest.approx(np.mean(d), rel=0.01, abs=3e-6)
    assert price.transport_cost == pytest.approx(np.mean(c), rel=0.01, abs=3e-6)


def test_realism_is_a_blend_seeded_and_stepped(vdc_run):
    # Oracle: half-way is the mean of the ends within a level of rounding; seeds and steps matter.
    _, path = vdc_run
    y, x = np.mgrid[:70, :90]
    picture = Image.fromarray(np.uint8(127 + 90 * np.sin(x * y / 300))).convert("RGB")
    data = encode(picture, format="VDC", quality=20.0, weights=path)

    def decoded(**options):
        return np.asarray(decode(data, weights=path, **options)).astype(int)

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


def test_a_cut_run_ends_in_the_same_generator(vdc_run, vdc_pictures, tmp_path, monkeypatch):
    # Oracle: the run that was not cut; equal to the last bit.
    run, _ = vdc_run
    for name in ("codec.safetensors", "codec.json", "vdc.npz", "vdc.json"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    whole, calls = photo_codec_flow.train, []

    def cut(*args, **kwargs):
        calls.append(1)
        return whole(*args, **(kwargs | {"stop_after_seconds": 0.0 if len(calls) % 3 else None}))

    monkeypatch.setattr(photo_codec_flow, "train", cut)
    exported = []
    monkeypatch.setattr(
        photo_codec_run, "export_generator", lambda *args, **options: exported.append(args)
    )
    stopped = 0
    while run_codec([vdc_pictures], vdc_pictures, tmp_path, preset="tiny") is None:
        stopped += 1
        assert not exported
    assert stopped == 6
    a, b = (load_flow("reflow", training_of(r)).state_dict() for r in (run, tmp_path))
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_stages_move_only_what_is_theirs(vdc_run):
    # Oracle: the weights of the stage before.
    training = training_of(vdc_run[0])
    spread, flow, reflow = (load_flow(s, training).state_dict() for s in GENERATOR_STAGES)
    for key in spread:
        moved = not torch.equal(spread[key], flow[key])
        assert not (moved and not key.startswith("network.")), key
    assert any(not torch.equal(spread[k], flow[k]) for k in spread)
    assert any(not torch.equal(flow[k], reflow[k]) for k in spread)


def test_the_scale_is_that_of_the_error(vdc_run):
    # Oracle: the root of the mean squared error of fresh crops, within a factor of 1.5 (a tiny
    # codec's error hardly depends on the quality, and crops differ).
    training = training_of(vdc_run[0])
    flow = begin_flow(training)
    x, x_mmse, _, quality = training.coded(99, 0)
    measured = (x - x_mmse).square().mean().sqrt()
    assert 1 / 1.5 < float(flow.scale(quality).mean() / measured) < 1.5


def test_bad_input(vdc_run, tmp_path):
    training = dataclasses.replace(training_of(vdc_run[0]), run=tmp_path)
    with pytest.raises(TrainingData, match="train it first"):
        train_stage("flow", training, lambda title, done, total: None)
    with pytest.raises(InvalidSetting):
        LatentFlow(NetworkConfig(pictures=5, timed=True, bypass=8, side=8, features=1))
    with pytest.raises(InvalidSetting):
        dataclasses.replace(TINY.generator, patch=100)
