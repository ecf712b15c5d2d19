"""The estimator's head and what it is trained on."""

from dataclasses import asdict

import numpy as np
import pytest
import torch
from PIL import Image

from veridical.errors import TrainingData
from veridical.photo.condition import ResidualScale
from veridical.photo.jpeg_header import CONDITIONS
from veridical.training.drawings import HELD_OUT, KINDS, draw
from veridical.training.estimator import BlockEstimator, Shrinkage
from veridical.training.estimator_train import Plateau, train_estimator
from veridical.training.export import load_estimator, write_network
from veridical.training.loop import Execution
from veridical.training.networks import NetworkConfig
from veridical.training.pictures import conventional
from veridical.training.pieces import PieceSampler, fit_scale
from veridical.training.residual import local_size, unet_change
from veridical.training.sources import prepare_sources

SMALL = NetworkConfig(2, (8, 8, 8), spread=True, features=4)


def network(seed=0, blocks=1):
    torch.manual_seed(seed)
    made = BlockEstimator(SMALL, CONDITIONS, width=8, blocks=blocks)
    with torch.no_grad():
        for name in ("tail", "spread.4"):
            torch.nn.init.normal_(made.network.get_submodule(name).weight, std=0.05)
    return made.eval()


def told(n=1, **changes):
    values = dict.fromkeys(CONDITIONS, 0.4) | {"grey": 0.0} | changes
    return torch.tensor([[float(values[k]) for k in CONDITIONS]]).expand(n, -1)


def test_a_new_head_changes_nothing():
    # Oracle: the U-Net alone, in float32: 1e-5 of the range, and of the sizes.
    made = network()
    y = torch.rand(2, 3, 48, 64)
    scale = torch.full((2, 1, 1, 1), 0.05)
    with torch.no_grad():
        x, size = made(y, told(2), scale)
        change, trunk = unet_change(made.network, y, told(2), scale)
        expected = local_size(made.network.spread(trunk))
    assert torch.allclose(x, y + change, atol=1e-5)
    assert torch.allclose(size, expected, atol=1e-5)
    assert (x - y).abs().max() > 0.01


def test_the_head_corrects_in_units_of_the_steps():
    # Oracle: by hand: of one coefficient, half a step more is a cosine wave of that size; grey files
    # stay grey. 1e-5 of the range.
    made = network()
    with torch.no_grad():
        made.network.tail.weight.zero_()
        made.to_change.bias[9] = 0.5  # luma, one period down and across in 16 pixels
        y = torch.full((1, 3, 32, 32), 0.5)
        x, _ = made(y, told(luma_q_09=np.log2(24) / 8), torch.full((1, 1, 1, 1), 0.05))
        wave = torch.cos(torch.pi * (2 * torch.arange(8) + 1) / 16)
        expected = 0.25 * 0.5 * 24 / 255 * wave[:, None] * wave[None]
        assert torch.allclose((x - y)[0, 1, 8:16, 8:16], expected, atol=1e-5)
        made.to_change.bias[64 + 9] = 0.5
        grey, _ = made(y, told(grey=1.0), torch.full((1, 1, 1, 1), 0.05))
        colour, _ = made(y, told(), torch.full((1, 1, 1, 1), 0.05))
    assert (grey[0] - grey[0, :1]).abs().max() < 1e-6
    assert (colour[0] - colour[0, :1]).abs().max() > 1e-3


def test_shrinkage_keeps_what_least_squares_keep():
    # Oracle: by hand: the change of every picture is twice the right one in luma's bands above 6, and right elsewhere
    # with an error of its own, so the best factors are 0.5 and 1; 0.03. A new one changes nothing, 1e-6.
    random = torch.Generator().manual_seed(0)
    made = Shrinkage(2)
    change = 0.1 * torch.randn(4, 192, 8, 8, generator=random)
    y, size, told = torch.zeros_like(change), torch.full((4, 2, 8, 8), 0.01), torch.zeros(4, 2)
    assert torch.allclose(made(change, y, size, told), change, rtol=1e-6)
    k = torch.arange(64)
    fine = torch.cat([(k // 8 + k % 8) > 6, torch.zeros(128, dtype=torch.bool)])[:, None, None]
    adam = torch.optim.Adam(made.parameters(), 1e-2)
    for _ in range(150):
        moved = 0.1 * torch.randn(4, 192, 8, 8, generator=random)
        right = torch.where(fine, moved / 2, moved) + 0.02 * torch.randn(
            moved.shape, generator=random
        )
        loss = (made(moved, y, size, told) - right).square().sum()
        adam.zero_grad()
        loss.backward()
        adam.step()
    share = (made(change, y, size, told) / change).detach()
    assert (share - torch.where(fine, 0.5, 1.0)).abs().max() < 0.03


def test_a_shrinkage_that_was_not_trained_is_left_out(tmp_path):
    # Oracle: the estimate with a new one, a factor of 1: 1e-5 of the range. A file without one is read as without, and one with, with.
    made, left_out = network(), network()
    left_out.shrinks = False
    y, scale = torch.rand(1, 3, 48, 64), torch.full((1, 1, 1, 1), 0.05)
    with torch.no_grad():
        x, without = (n(y, told(), scale)[0] for n in (made, left_out))
    assert torch.allclose(x, without, atol=1e-5)
    about = {"network": asdict(SMALL), "head": made.sizes, "features": list(CONDITIONS)}
    for n in (made, left_out):
        with torch.no_grad():
            for value in n.parameters():  # equal ones would become one in a file
                value.add_(0.01 * torch.randn_like(value))
        path = tmp_path / "a.onnx"
        header = {"kind": "estimator", "format": "JPEG", **about}
        write_network(path, n, header, {}, features=(2, len(CONDITIONS)))
        assert load_estimator(path)[1].shrinks == n.shrinks


def test_shrinkage_alone_is_trained_in_its_stage(tmp_path):
    # Oracle: contract; nothing else moves in that stage, and it does not in the others.
    from accelerate import Accelerator

    rows = (
        torch.rand(2, 3, 48, 48),
        torch.rand(2, 3, 48, 48),
        told(2),
        torch.full((2, 1, 1, 1), 0.05),
    )
    for part in ("shrinkage", "head", "whole"):
        made = network()
        before = {k: v.clone() for k, v in made.state_dict().items()}
        execution = Execution(tmp_path / f"{part}.ckpt", Accelerator())
        result = train_estimator(
            made, lambda step: rows, Plateau(2, average=0.0, decay=1), execution, part=part
        )
        after = result[0].state_dict()
        moved = {k for k in before if not torch.equal(before[k], after[k])}
        assert moved
        assert all(k.startswith("shrinkage.") == (part == "shrinkage") for k in moved)
        assert part == "whole" or not any(k.startswith("network.tail") for k in moved)


@pytest.mark.parametrize("kind", [*KINDS, *HELD_OUT])
def test_drawings_repeat_and_differ(kind):
    # Oracle: contract.
    if kind == "plot":
        pytest.importorskip("matplotlib")
    one, again, other = draw(kind, 5, 96), draw(kind, 5, 96), draw(kind, 6, 96)
    assert one.size == (96, 96)
    assert one.mode == "RGB"
    assert one.tobytes() == again.tobytes()
    assert one.tobytes() != other.tobytes()


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for k in range(2):
        tile = rng.integers(0, 256, (40, 40, 3)).astype(np.uint8)
        picture = Image.fromarray(tile).resize((1100, 1100), Image.Resampling.BICUBIC)
        picture.save(folder / f"{k}.png", compress_level=1)
    return prepare_sources([folder], [folder], folder / "run", n_drawings=1)


@pytest.mark.parametrize("name", ["AVIF", "WEBP", "JPEG", "JXL"])
def test_batches_depend_on_the_step_alone_and_conditions_on_the_file(sources, name):
    # Oracle: contract; fine pieces are within 12 levels of their sources, a shifted one of these
    # pictures is off by 30 and more; settings vary.
    if name == "JXL":
        pytest.importorskip("pillow_jxl")
    form = conventional(name)
    scale = ResidualScale(np.array([-9.0, 0, 0, 0, 0, 0, 0]), np.array([-9.0, 0, 0, 0, 0, 0, 0]))
    settings = {"patch": 48, "batch_size": 4, "seed": 3}
    sampler = PieceSampler(sources, form, scale, **settings)
    a, b = sampler.batch(7), sampler.batch(7)
    assert all(np.array_equal(a[k], b[k]) for k in a)
    assert a["source"].shape == a["decoded"].shape == (4, 48, 48, 3)
    assert a["features"].shape == (4, len(form.features))
    pieces = [sampler.piece(np.random.default_rng([1, k])) for k in range(24)]
    assert all(p.source.shape == p.decoded.shape for p in pieces)
    told = {p.condition.quantizer for p in pieces}
    assert len(told) > 10 or (name == "JXL" and None in told and len(told) > 5)  # half do not tell
    if name == "JPEG":
        grey = [p.condition.named()["grey"] for p in pieces]
        assert set(grey) == {0.0, 1.0}
        assert all(
            g == 0 or np.ptp(p.decoded, axis=2).max() == 0
            for g, p in zip(grey, pieces, strict=True)
        )
    fine = [p for p in pieces if (p.condition.quantizer or 1) < 0.5]
    assert fine
    assert np.mean([np.mean(np.abs(p.source.astype(float) - p.decoded)) for p in fine]) < 12


def test_pictures_are_cut_and_small_ones_filled(tmp_path):
    # Oracle: contract: 1100 x 600 gives two pieces, 160 x 700 one, 100 x 700 none; made pieces are reused.
    for k, size in enumerate([(1100, 600), (160, 700), (100, 700)]):
        Image.effect_noise(size, 30).save(tmp_path / f"{k}.png")
    (tmp_path / "text.png").write_text("no picture")
    made = prepare_sources([tmp_path], [], tmp_path / "run", n_drawings=1)
    assert made.photographs.shape == (3, 512, 512, 3)
    assert len(made.camera) == 0
    before = (tmp_path / "run" / "photographs.u8").stat().st_mtime_ns
    again = prepare_sources([tmp_path], [], tmp_path / "run", n_drawings=1)
    assert again.digest == made.digest
    assert (tmp_path / "run" / "photographs.u8").stat().st_mtime_ns == before
    with pytest.raises(TrainingData, match="no picture"):
        prepare_sources([tmp_path / "run"], [], tmp_path / "other", n_drawings=1)
    with pytest.raises(TrainingData, match="neither"):
        prepare_sources([tmp_path / "0.png"], [], tmp_path / "other", n_drawings=1)


def test_the_scale_follows_the_errors(sources):
    # Oracle: errors of other pieces, within a factor of 2.5 on average (a fit of seven numbers to few pieces).
    form = conventional("WEBP")
    scale = fit_scale(sources, form, n=60)
    sampler = PieceSampler(sources, form, None, patch=128, batch_size=1, seed=5)
    pieces = [sampler.piece(np.random.default_rng([2, k]), "photograph") for k in range(20)]
    ratios = [
        np.sqrt(np.mean((p.source / 255.0 - p.decoded / 255.0) ** 2)) / scale(p.condition)
        for p in pieces
    ]
    assert 1 / 2.5 < np.exp(np.mean(np.log(ratios))) < 2.5
