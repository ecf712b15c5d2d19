"""The decoder's networks against the trained ones, and what it makes of them."""

import copy

import numpy as np
import pytest
import torch
from PIL import Image

from veridical.photo.tiles import Box
from veridical.photo.vdc.decoder import LatentWindow, VdcDecoder
from veridical.photo.vdc.encode import VdcEncoder
from veridical.photo.vdc.model import load_model


def in_half_precision(network, least=1):
    """A copy as it is shipped: what has so many numbers (all of what the first layout of weights held)."""
    network = copy.deepcopy(network)
    with torch.no_grad():
        for value in network.parameters():
            if value.numel() >= least:
                value.copy_(value.half().float())
    return network


@pytest.fixture
def window():
    latents = np.random.default_rng(0).integers(-40, 41, (32, 5, 3)).astype(np.int16)
    return LatentWindow(latents, Box(32, 105, 16, 60), 6200, 1)


def test_networks_are_the_trained_ones(networks, trained_generator, lively, window):
    # Oracle: torch's networks in half precision; 1e-4 of the full scale, as sums are in another order.
    decoder = VdcDecoder(load_model(lively))
    estimate = decoder.estimate(window)
    found = decoder.generate(estimate, 3)
    quality = torch.tensor([6200])
    spread, refine, generator = (in_half_precision(n, 256) for n in trained_generator)
    with torch.no_grad():
        y = torch.from_numpy(window.latents.astype(np.float32))[None]
        y = y * networks.gains(quality)[1] / 16
        x, side = in_half_precision(networks.synthesis)(y, quality)
        size, scale, features = spread(side, quality, torch.ones(1))
        x = refine(x, size, side, features, scale)
        x_real = generator(x, size, side, features, scale)
    assert (found - estimate.x_mmse).std() > 0.01
    for mine, theirs in ((estimate.x_mmse, x), (found, x_real)):
        assert mine.shape == (3, 73, 44)
        assert np.max(np.abs(mine - theirs[0, :, :73, :44].numpy())) < 1e-4


def test_latents_of_the_encoder_are_the_trained_ones(networks, lively):
    # Oracle: torch's transforms in half precision, 1e-3 steps.
    encoder = VdcEncoder(load_model(lively))
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    found = encoder.analyse(Image.fromarray(pixels)).latents
    x = torch.from_numpy(np.pad(pixels, ((0, 8), (0, 14), (0, 0)), mode="edge"))
    with torch.no_grad():
        y = in_half_precision(networks.analysis)(x.permute(2, 0, 1)[None].float() / 255)
        gain = networks.gains(torch.tensor([4000]))[0]
        padded = torch.nn.functional.pad(y * gain, (0, 0, 0, 1), mode="replicate")
        z = in_half_precision(networks.hyper_analysis)(padded)[0].round().numpy()
    assert np.max(np.abs(found - y[0].numpy())) < 1e-3
    mine = encoder.model.gains(4000)[0]
    assert np.allclose(mine, gain[0].numpy(), rtol=1e-6)
    assert np.mean(encoder.hyperlatents(found * mine) != z) < 0.01  # ties of rounding
