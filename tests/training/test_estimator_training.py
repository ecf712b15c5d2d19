"""The JPEG estimator's head: its network, its training pairs, and a training from pictures to a priced file."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from veridical.training.jpeg_data import JpegSampler, fit_scale, prepare_sources
from veridical.training.jpeg_network import JpegEstimator
from veridical.training.jpeg_run import load_jpeg, run_jpeg
from veridical.training.jpeg_train import JpegPreset, Plateau

import veridical
from veridical.photo.condition import ResidualScale
from veridical.photo.formats import open_image
from veridical.photo.jpeg_header import CONDITIONS, conditioning
from veridical.photo.tiles import Box
from veridical.training import jpeg_data, jpeg_run
from veridical.training.drawings import HELD_OUT, KINDS, draw
from veridical.training.export import load_torch
from veridical.training.networks import NetworkConfig
from veridical.training.photo_parts import PRESETS, estimator_config, flow_config
from veridical.training.photo_prices import exported, write_pair
from veridical.training.residual import estimate

SMALL = NetworkConfig(2, (8, 8, 8), spread=True, features=4)


def network(seed=0, blocks=1):
    torch.manual_seed(seed)
    made = JpegEstimator(SMALL, width=8, blocks=blocks)
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
        expected = estimate(made.network, y, told(2)[:, :4], scale)
    assert torch.allclose(x, expected[0], atol=1e-5)
    assert torch.allclose(size, expected[1], atol=1e-5)
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


@pytest.fixture
def sources(tmp_path, monkeypatch):
    monkeypatch.setattr(jpeg_data, "_DRAWINGS", 1)
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for k in range(2):
        tile = rng.integers(0, 256, (40, 40, 3)).astype(np.uint8)
        picture = Image.fromarray(tile).resize((1100, 1100), Image.Resampling.BICUBIC)
        picture.save(folder / f"{k}.png", compress_level=1)
    return folder, prepare_sources([folder], [folder], tmp_path / "run" / "sources")


def test_batches_depend_on_the_step_alone_and_conditions_on_the_file(sources):
    # Oracle: contract; the decoded patch is nearer to its source than to another one's, and settings
    # vary: both grey and colour, several tables among 24 pieces.
    scale = ResidualScale(np.array([-9.0, 0, 0, 0, 0, 0, 0]), np.array([-9.0, 0, 0, 0, 0, 0, 0]))
    sampler = JpegSampler(sources[1], scale, patch=48, batch_size=4, seed=3)
    a, b = sampler.batch(7), sampler.batch(7)
    assert all(np.array_equal(a[k], b[k]) for k in a)
    assert a["source"].shape == a["decoded"].shape == (4, 48, 48, 3)
    pieces = [sampler.piece(np.random.default_rng([1, k])) for k in range(24)]
    heads = [p.header for p in pieces]
    assert {h.grey for h in heads} == {True, False}
    assert len({h.tables[0].tobytes() for h in heads}) > 10
    for p in pieces:
        assert p.source.shape == p.decoded.shape
        conditions = conditioning(p.header, *p.source.shape[1::-1])
        assert conditions["grey"] == float(np.ptp(p.decoded, axis=2).max() == 0 and p.header.grey)
    fine = [p for p in pieces if p.header.tables[0].mean() < 20]
    assert np.mean([np.mean(np.abs(p.source.astype(float) - p.decoded)) for p in fine]) < 12


def test_from_pictures_to_a_file_that_decodes(sources, tmp_path, monkeypatch):
    # Oracle: torch and ONNX Runtime agree within 1e-3 of the range (weights in half precision in both);
    # the file decodes at both ends of realism and knows a price.
    monkeypatch.setattr(jpeg_run, "_QUALITIES", (20, 90))
    monkeypatch.setattr(jpeg_run, "KINDS", ["flat"])
    monkeypatch.setattr(jpeg_run, "fit_scale", lambda *given: fit_scale(*given, n=30))
    monkeypatch.setattr(jpeg_run, "validate", lambda *args, **settings: {"quality 10": [0.0]})
    tiny = PRESETS["tiny"]
    base, flow = (make(tiny) for make in (estimator_config, flow_config))
    torch.manual_seed(0)
    from veridical.training.export import EstimatorGraph, FlowGraph
    from veridical.training.networks import RestorationNetwork

    networks = RestorationNetwork(base), RestorationNetwork(flow)
    for parameter in (p for n in networks for p in n.parameters()):
        torch.nn.init.normal_(parameter, std=0.05)  # the exporter keeps one of equal tensors
    names = ("half_log2_bpp", "quantizer", "quantizer_known", "chroma_full")
    header = {
        "kind": "estimator", "format": "JPEG", "features": list(names), "prices": None, "scale": [[0.0] * 7] * 2,
        "network": vars(base), "start_noise": 1.0,
    }  # fmt: skip
    made = (exported(EstimatorGraph(networks[0]), header), exported(FlowGraph(networks[1]), header))
    start = tmp_path / "start" / "jpeg.onnx"
    write_pair(start, made, header, flow, {})
    preset = JpegPreset(
        Plateau(3, 1e-3, hidden_rate=1e-3, decay=2), width=8, blocks=1, patch=48, batch_size=2
    )
    path = run_jpeg(
        [sources[0]], [sources[0]], sources[0], start, tmp_path / "run", preset=preset, seed=2
    )
    _, trained = load_jpeg(path)
    base_again = load_torch(path)[1].state_dict()
    assert all(torch.equal(v, trained.network.state_dict()[k]) for k, v in base_again.items())
    buffer = io.BytesIO()
    draw("cartoon", 3, 96).save(buffer, "JPEG", quality=40)
    file = open_image(buffer.getvalue(), veridical.DecodeOptions(weights=path))
    state = file.decoder.run_estimator(file.pixels[None])
    with torch.no_grad():
        x, size = trained(*(torch.from_numpy(state[k]) for k in ("y", "features", "scale")))
    assert np.abs(state["x_mmse"] - x.numpy()).max() < 1e-3
    assert np.abs(state["size"] / size.numpy() - 1).max() < 1e-2
    estimate_ = file.decoder.estimate(file.window(Box(0, 96, 0, 96)))
    inside = file.window(Box(0, 96, 0, 96)).project(estimate_.x_mmse)
    moved, again = (np.std(a - estimate_.x_mmse) for a in (state["x_mmse"][0], inside))
    assert again < moved / 2  # not zero: two rounds of projections do not quite end
    assert file.info.price.mmse > 0
    assert veridical.decode(buffer.getvalue(), weights=path, realism=1.0).size == (96, 96)
