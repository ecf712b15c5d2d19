"""Training of ``.vdc`` files' networks: what is trained is what codes, and a run can be cut anywhere."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from veridical.errors import InvalidSetting, TrainingData
from veridical.photo.vdc.coding import TileKey, encode_tile
from veridical.photo.vdc.model import load_model
from veridical.photo.vdc.prior import pass_places, scale_of_row
from veridical.photo.vdc.quantizers import CommonRandomness, Dithered, Scalar
from veridical.training import photo_codec, photo_codec_run
from veridical.training.photo_codec import (
    CODEC_PRESETS,
    CodecPreset,
    codec_loss,
    new_networks,
)
from veridical.training.photo_codec_prices import rate_and_error
from veridical.training.photo_codec_run import run_codec
from veridical.training.pictures import centre_crops
from veridical.training.stages import restore_stage
from veridical.training.vdc.export import codec_tensors, entropy_model

TINY = CODEC_PRESETS["tiny"]


def load_networks(run):
    networks = new_networks(TINY)
    assert restore_stage("codec", networks, run)
    return networks.eval().requires_grad_(False)


def test_a_run_ends_in_weights_that_code(vdc_run):
    # Oracle: the card's figures are those of real files; the model codes and decodes.
    _, path = vdc_run
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["name"] == "photo-tiny-1"
    assert card["training_data"]["photographs"] == 4
    assert [f["quality"] for f in card["figures"]] == [0, 50, 100]
    model = load_model(path)
    assert model.entropy.prior.config == TINY.prior
    assert model.network("synthesis").header["network"]["widths"] == [*TINY.transform.widths]


def test_figures_are_measured_on_files(vdc_run, vdc_pictures):
    # Oracle: rate and error of the decoded files of all validation pictures, at one quality; the
    # card rounds to 1e-4 bits and 1e-3 dB.
    _, path = vdc_run
    figure = json.loads(path.with_suffix(".json").read_text())["figures"][1]
    pictures = centre_crops(vdc_pictures, TINY.validation_side)
    assert [p.shape for p in pictures] == [(96, 96, 3)] * 4
    rate, error = np.mean(
        [rate_and_error(load_model(path), p, [5000])[0] for p in pictures], axis=0
    )
    assert figure["bits_per_pixel"] == pytest.approx(rate, abs=1e-4)
    assert figure["psnr_db"] == pytest.approx(-10 * np.log10(error), abs=1e-3)


def test_the_frozen_prior_of_a_trained_model_is_the_trained_one(vdc_run):
    # Oracle: the trained real weights, rounded as in training; equal to the last bit.
    run, path = vdc_run
    trained = codec_tensors(load_networks(run))
    with np.load(path) as shipped:
        assert {*trained, "header"} == {*shipped.files}
        assert all(np.array_equal(trained[k], shipped[k]) for k in trained)


def lively():
    networks = new_networks(TINY)
    with torch.no_grad():
        networks.analysis.tail.weight.mul_(6)
        for context in networks.prior.contexts:
            context.mean.weight.mul_(40)
            context.row.weight.mul_(6)
    return networks.eval().requires_grad_(False)


@pytest.mark.parametrize("dither", [False, True])
def test_training_sees_the_latents_and_the_rate_of_the_real_coder(dither):
    # Oracles: the decoder's latents, all of them; and the real message, whose length is that of
    # the smooth law at the coded numbers within 1 % and 64 bytes (for latents that are not far
    # outside the laws: there the smooth law stops at 20 bits, and an escape costs what it costs).
    networks = lively()
    rng = np.random.default_rng(2)
    y = torch.from_numpy(1.5 * rng.standard_normal((1, 32, 24, 20)).astype(np.float32))
    z = torch.from_numpy(rng.integers(-3, 4, (1, 8, 6, 5)).astype(np.float32))
    quality = torch.tensor([6000])
    key = TileKey(24, 20, 6000, Dithered(3) if dither else Scalar(), seed=5)
    noise = np.zeros(y.numel(), dtype=np.float32)
    for k in range(4):
        places = pass_places(k, 32, 24, 20)
        levels = CommonRandomness(5, k).symbols(places.size, 8).reshape(places.shape)
        noise[places] = (levels + 0.5) / 8 - 0.5
    noise = torch.from_numpy(noise).reshape(y.shape)
    latents, mean, rows = networks._passes(y, z, quality, noise, dither=dither)
    entropy = entropy_model(networks)
    data, coded = encode_tile(entropy, y[0].numpy(), z[0].numpy().astype(int), key)
    assert np.array_equal(latents[0].numpy(), coded)
    assert rows.unique().numel() > 5
    smooth = networks.latent_law.bits((latents - mean) / 16, rows)
    bits = float(smooth[rows > 0].sum() + networks.hyper_law.bits(z, torch.tensor([1])).sum())
    assert abs(8 * len(data) - bits) < 0.01 * bits + 512


def test_the_loss_reaches_every_weight():
    # Oracle: a gradient that is finite, and not zero somewhere in every tensor but those that
    # start behind a factor of zero (scale and shift) or count only in other qualities' rows.
    networks = new_networks(TINY)
    x = torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    codec_loss(networks, x, TINY, [1, 2]).backward()
    silent = [
        name
        for name, p in networks.named_parameters()
        if p.grad is None or not torch.isfinite(p.grad).all() or not p.grad.any()
    ]
    assert all("embed" in name for name in silent), silent


def test_the_loss_is_a_function_of_its_seed():
    networks = new_networks(TINY)
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    a, b, c = (codec_loss(networks, x, TINY, s).item() for s in ([1, 2], [1, 2], [1, 3]))
    assert a == b != c


def test_noisy_and_rounded_rates_are_near_each_other():
    # Oracle: the rate that is trained against that of real rounding, for latents of the very law
    # that the model assumes (means 0, one scale); n = 61,440, seed 0; they differ by what noise
    # costs at low rates. Within 5 % at 2 steps and 15 % at 0.4 steps.
    networks = new_networks(TINY)
    generator = torch.Generator().manual_seed(0)
    for row, tolerance in ((27.0, 0.05), (12.0, 0.15)):
        x = scale_of_row(row) * torch.randn(61_440, generator=generator)
        noise = torch.rand(61_440, generator=generator) - 0.5
        rows = torch.full_like(x, row)
        with torch.no_grad():
            noisy = float(networks.latent_law.bits(x + noise, rows).mean())
            rounded = float(networks.latent_law.bits(torch.floor(x + 0.5), rows).mean())
        assert abs(noisy / rounded - 1) < tolerance


def test_a_cut_run_ends_in_the_same_weights(vdc_run, vdc_pictures, tmp_path, monkeypatch):
    # Oracle: the run that was not cut; equal to the last bit.
    run, _ = vdc_run
    calls = []
    whole = photo_codec.train

    def cut(model, loss, schedule, execution):
        calls.append(1)
        seconds = 0.0 if len(calls) < 4 else None
        return whole(model, loss, schedule, dataclasses.replace(execution, seconds=seconds))

    monkeypatch.setattr(photo_codec, "train", cut)
    for name in ("measure_codec", "measure_generator"):
        monkeypatch.setattr(photo_codec_run, name, lambda *args, **options: None)
    (tmp_path / "sources").symlink_to(run / "sources")
    for _ in range(3):
        assert run_codec([vdc_pictures], vdc_pictures, tmp_path, preset="tiny") is None
    assert torch.load(tmp_path / "codec.ckpt", weights_only=True)["step"] == 3
    assert run_codec([vdc_pictures], vdc_pictures, tmp_path, preset="tiny") is not None
    a, b = (load_networks(r).state_dict() for r in (run, tmp_path))
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_a_finished_run_has_nothing_to_do(vdc_run, vdc_pictures):
    # Oracle: the weights file, which is not written anew.
    run, path = vdc_run
    before = path.stat().st_mtime_ns
    assert run_codec([vdc_pictures], vdc_pictures, run, preset="tiny", minutes=0) == path
    assert path.stat().st_mtime_ns == before


def test_no_time_is_no_training(vdc_run, vdc_pictures, tmp_path):
    (tmp_path / "sources").symlink_to(vdc_run[0] / "sources")
    assert run_codec([vdc_pictures], vdc_pictures, tmp_path, preset="tiny", minutes=0) is None


def test_bad_input(vdc_pictures, tmp_path):
    with pytest.raises(InvalidSetting, match="preset"):
        run_codec([vdc_pictures], vdc_pictures, tmp_path, preset="huge")
    with pytest.raises(TrainingData, match="no picture"):
        run_codec([tmp_path], vdc_pictures, tmp_path / "run", preset="tiny")
    with pytest.raises(InvalidSetting):
        dataclasses.replace(TINY, patch=100)
    with pytest.raises(InvalidSetting):
        CodecPreset("x", TINY.schedule, lambdas=(1.0, 0.1))
