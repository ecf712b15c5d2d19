"""Transforms before training, their gains and their price in arithmetic."""

import numpy as np
import pytest
import torch

from veridical.errors import InvalidSetting
from veridical.photo.vdc.prior import PriorConfig
from veridical.training.networks import kmac_per_pixel
from veridical.training.photo_codec import CODEC_PRESETS
from veridical.training.vdc.prior import TrainedPrior
from veridical.training.vdc.transform import (
    Analysis,
    Gains,
    HyperAnalysis,
    Synthesis,
    TransformConfig,
    cosine_blocks,
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
        found, _ = synthesis(analysis(tensor), torch.tensor([5000]))
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
    latents, prior = sizes.prior.latents, TrainedPrior(sizes.prior)
    x, y, z = (
        torch.zeros(1, 3, 64, 64),
        torch.zeros(1, latents, 4, 4),
        torch.zeros(1, sizes.prior.hyper, 1, 1),
    )
    quality = torch.tensor([5000])

    def laws():
        h = prior.features(z, quality)
        return [prior.laws(k, h, y) for k in range(4)]

    parts = (
        lambda: Analysis(sizes.transform, latents)(x),
        lambda: HyperAnalysis(sizes.prior)(y),
        lambda: Synthesis(sizes.transform, latents)(y, quality),
        laws,
    )
    analysis, hyper, synthesis, entropy = (kmac_per_pixel(part, 64**2) for part in parts)
    encode, decode = analysis + hyper + entropy, synthesis + entropy
    most = 40 if name == "cpu" else 100
    assert 10 < encode < most
    assert 10 < decode < most


@pytest.mark.parametrize("change", [{"widths": (4, 8, 8)}, {"blocks": (-1, 0, 0)}, {"hidden": 1}])
def test_sizes_that_do_not_fit_are_refused(change):
    with pytest.raises(InvalidSetting):
        TransformConfig(**change)
