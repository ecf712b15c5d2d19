"""Transforms before training, their gains and their price in arithmetic."""

import numpy as np
import pytest
import torch

from veridical.errors import InvalidSetting
from veridical.photo.vdc.prior import PriorConfig
from veridical.training.photo_codec import CODEC_PRESETS
from veridical.training.vdc.prior import TrainedPrior
from veridical.training.vdc.transform import (
    Analysis,
    Gains,
    HyperAnalysis,
    Synthesis,
    TransformConfig,
    cosine_blocks,
    kmac_per_pixel,
)


def test_cosine_blocks_are_orthonormal_and_hold_the_mean():
    # Oracle: Gram matrix of the identity; the first is the flat grey block.
    blocks = cosine_blocks(160)
    gram = blocks.reshape(160, -1) @ blocks.reshape(160, -1).T
    assert torch.allclose(gram, torch.eye(160), atol=1e-5)
    assert torch.allclose(blocks[0], torch.full((3, 16, 16), 768**-0.5))


def test_before_training_the_transforms_are_nearly_a_cosine_transform():
    # Oracle: a smooth picture, which the lowest frequencies hold to 40 dB and more; the networks
    # beside begin at a tenth of their size, not at zero, and add an error of some 0.03. Over 25 dB
    # (random networks alone, or blocks in another order than the analysis', are under 12 dB).
    torch.manual_seed(0)
    config = TransformConfig((8, 8, 16), (1, 1, 1), (1, 1, 1), 8)
    analysis, synthesis = Analysis(config, 160), Synthesis(config, 160)
    y, x = np.mgrid[:64, :48] / 64
    picture = np.stack([0.5 + 0.4 * np.sin(4 * x + 3 * y + k) for k in range(3)])
    with torch.no_grad():
        tensor = torch.from_numpy(picture)[None].float()
        found = synthesis(analysis(tensor), torch.tensor([5000]))
    assert found.shape == tensor.shape
    assert float((found - tensor).square().mean()) < 10**-2.5


def test_gains_are_geometric_between_anchors():
    # Oracle: by hand: span 16 around 8, nine anchors; a quarter of the way is a quarter of the log.
    gains = Gains(PriorConfig(32))
    gain, inverse = gains(torch.tensor([0, 2500, 10_000]))
    assert gain[:, 0, 0, 0].tolist() == pytest.approx([2, 4, 32], rel=1e-5)
    assert torch.allclose(gain * inverse, torch.ones_like(gain))


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_presets_stay_light(name):
    # Oracle: for processors 10 to 40 thousand multiply-accumulates a pixel and side; the entropy
    # model counts on both sides. The preset for GPUs may take twice as much.
    sizes = CODEC_PRESETS[name]
    prior = kmac_per_pixel(TrainedPrior(sizes.prior))
    latents = sizes.prior.latents
    encode = kmac_per_pixel(Analysis(sizes.transform, latents)) + prior
    encode += kmac_per_pixel(HyperAnalysis(sizes.prior))
    decode = kmac_per_pixel(Synthesis(sizes.transform, latents)) + prior
    most = 40 if name == "cpu" else 100
    assert 10 < encode < most
    assert 10 < decode < most


def test_work_is_counted_as_convolutions_do_it():
    # Oracle: outputs of every convolution counted by hooks on a picture of 64 x 64.
    config = CODEC_PRESETS["tiny"]
    network = Analysis(config.transform, 32)
    total = [0]

    def count(layer, _, out):
        total[0] += layer.weight.numel() * out.shape[2] * out.shape[3]

    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(count)
    network(torch.zeros(1, 3, 64, 64))
    assert kmac_per_pixel(network) == pytest.approx(total[0] / 64**2 / 1000)


@pytest.mark.parametrize("change", [{"widths": (4, 8, 8)}, {"blocks": (-1, 0, 0)}, {"hidden": 1}])
def test_sizes_that_do_not_fit_are_refused(change):
    with pytest.raises(InvalidSetting):
        TransformConfig(**change)
