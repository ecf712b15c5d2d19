"""Training of the generator for latents: its prices, a killed run, and what it starts from."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from veridical.bitstream.container import read
from veridical.errors import BadWeights
from veridical.photo.decode import decode
from veridical.photo.encode import encode
from veridical.photo.vdc.model import load_model
from veridical.photo.vdc.quantizers import QUANTIZERS
from veridical.training import photo_codec_run, stages
from veridical.training.photo_codec import CODEC_PRESETS
from veridical.training.photo_codec_run import run_codec
from veridical.training.pictures import centre_crops
from veridical.training.sources import SourceSampler, prepare_sources
from veridical.training.vdc.export import load_synthesis
from veridical.training.vdc.generator import LatentSampler, LatentSpread, decoded

TINY = CODEC_PRESETS["tiny"]


@pytest.fixture
def sampler(vdc_run, vdc_pictures):
    run, path = vdc_run
    sources = prepare_sources([vdc_pictures], [], run / "sources", n_drawings=1)
    return LatentSampler(sources, load_model(path), patch=64, batch_size=4, seed=3)


def test_prices_are_those_of_decoded_files(vdc_run, vdc_pictures):
    # Oracle: pictures decoded from files, and numpy's line through the logarithms of their errors over those of
    # their bits, times the mean of what is left. In 8 bits rounding costs up to 1/12 of a squared level,
    # 1.3e-6, and 2 % are left for levels that the rounding clips and for what that does to the line.
    _, path = vdc_run
    model = load_model(path)
    assert sorted(model.prices) == list(range(len(QUANTIZERS)))
    bits, d, c = [], [], []
    for seed, picture in enumerate(centre_crops(vdc_pictures, TINY.prices_side), 1):
        data = encode(
            Image.fromarray(picture), format="VDC", quality=50.0, quantizer="dither", seed=seed,
            weights=path,
        )  # fmt: skip
        plain, real = (
            np.asarray(decode(data, realism=a, seed=seed, weights=path)) / 255 for a in (0.0, 1.0)
        )
        d.append(np.mean((plain - picture / 255) ** 2))
        c.append(np.mean((real - plain) ** 2))
        tiles = read(data, max_pixels=picture.size).tiles
        bits.append(8 * sum(len(t) for t in tiles) / (picture.shape[0] * picture.shape[1]))
    x = np.log(bits)
    lines = [np.polyfit(x, np.log(v), 1) for v in (d, c)]
    smear = [np.mean(v / np.exp(np.polyval(f, x))) for v, f in zip((d, c), lines, strict=True)]
    for b in bits:
        price = model.price(5000, 1, b)
        told = (price.mmse, price.transport_cost)
        expected = [np.exp(np.polyval(f, np.log(b))) * m for f, m in zip(lines, smear, strict=True)]
        assert told == pytest.approx(expected, rel=0.01, abs=3e-6)


def test_realism_is_a_blend(vdc_run):
    # Oracle: half-way is the mean of the ends within a level of rounding.
    _, path = vdc_run
    y, x = np.mgrid[:70, :90]
    picture = Image.fromarray(np.uint8(127 + 90 * np.sin(x * y / 300))).convert("RGB")
    data = encode(picture, format="VDC", quality=20.0, weights=path)

    def decoded(**options):
        return np.asarray(decode(data, weights=path, **options)).astype(int)

    ends = [decoded(realism=a) for a in (0.0, 1.0)]
    inner = np.all([(e > 2) & (e < 253) for e in ends], axis=0)
    assert inner.mean() > 0.5
    assert not np.array_equal(*ends)
    assert np.all(np.abs(decoded(realism=0.5) - np.mean(ends, axis=0))[inner] <= 1)
    assert np.array_equal(decoded(perception=0.0), ends[1])


def test_a_cut_run_ends_in_the_same_generator(vdc_run, vdc_pictures, tmp_path, monkeypatch):
    # Oracle: the run that was not cut, with the same codec; 1e-6, as sums may be in another order.
    run, path = vdc_run
    monkeypatch.setattr(stages.time, "monotonic", iter(range(10**6)).__next__)
    for name in ("measure_codec", "measure_generator"):
        monkeypatch.setattr(photo_codec_run, name, lambda *args, **options: None)
    (tmp_path / "sources").symlink_to(run / "sources")
    found, stopped = None, 0
    while found is None:
        found = run_codec(
            [vdc_pictures], vdc_pictures, tmp_path, preset="tiny", start=path, minutes=1 / 60
        )
        stopped += found is None
    assert stopped >= 2
    for stage in ("spread", "refinement", "generator"):
        a, b = (load_file(r / f"{stage}.safetensors") for r in (run, tmp_path))
        assert all(np.allclose(a[k], b[k], atol=1e-6, rtol=0) for k in a)


def test_a_codec_keeps_its_own_recipe(vdc_run, tmp_path):
    # Oracle: the card of the run that trained the codec, however many decoders were trained for it since.
    _, path = vdc_run
    trained = json.loads(path.with_suffix(".json").read_text())
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        codec = photo_codec_run._take(path, tmp_path / name)
        assert codec == {k: trained[k] for k in ("command", "training_data", "stages")}
        path = tmp_path / name / "vdc.npz"
        card = json.loads(path.with_suffix(".json").read_text())
        later = {"command": "later", "stages": {}, "codec": codec}
        path.with_suffix(".json").write_text(json.dumps(card | later))


def test_pieces_are_coded_as_files_are(sampler, vdc_run, tmp_path):
    # Oracle: the file of the same patch at the same quality, decoded: within a level, for what has no seed.
    batch = sampler.batch(5)
    assert np.array_equal(batch["source"], sampler.patches.batch(5)["source"])
    y = torch.from_numpy(sampler.coded(batch["source"][0], 4000, "scalar", 9))[None]
    _, synthesis = load_synthesis(vdc_run[1], sampler.model.n_latents)
    with torch.no_grad():
        x_mmse = synthesis(y, torch.tensor([4000]))[0][0].numpy()
    data = encode(
        Image.fromarray(batch["source"][0]), format="VDC", quality=40.0, weights=vdc_run[1]
    )
    bare = tmp_path / "vdc.npz"  # without a generator, so that the synthesis alone decodes
    for part in ("", "-analysis", "-hyper-analysis", "-synthesis"):
        for suffix in (".json", ".onnx" if part else ".npz"):
            name = f"vdc{part}{suffix}"
            (tmp_path / name).write_bytes((vdc_run[0] / name).read_bytes())
    wanted = np.asarray(decode(data, realism=0.0, weights=bare)).transpose(2, 0, 1)
    assert np.abs(255 * x_mmse.clip(0, 1) - wanted).max() <= 1
    again = LatentSampler(sampler.patches.sources, sampler.model, patch=64, batch_size=4, seed=3)
    assert all(np.array_equal(batch[k], v) for k, v in again.batch(5).items())


def test_patches_are_those_of_the_sources(sampler):
    # Oracle: contract: the size, and a share of grey ones near 4 % (of 300: 3 to 25, five deviations).
    patches = SourceSampler(sampler.patches.sources, patch=96, batch_size=300, seed=1).batch(0)
    x = patches["source"]
    assert x.shape == (300, 96, 96, 3)
    grey = np.all(x == x[..., :1], axis=(1, 2, 3)) & (x.std((1, 2, 3)) > 5)
    assert 3 <= grey.sum() <= 25


def test_the_scale_is_that_of_the_error(sampler, vdc_run):
    # Oracle: the root of the mean squared error of fresh crops, within a factor of 1.5 (a tiny
    # codec's error hardly depends on the quality, and crops differ).
    def coded(step):
        x, *rest = sampler.batch(step).values()
        x = torch.from_numpy(x).permute(0, 3, 1, 2) / 255
        return x, *map(torch.from_numpy, rest)

    batches = decoded(load_synthesis(vdc_run[1], sampler.model.n_latents)[1], coded)
    spread = LatentSpread(8)
    spread.measure_scale(batches)
    x, x_mmse, _, quality, _ = batches(99)
    measured = (x - x_mmse).square().mean().sqrt()
    assert 1 / 1.5 < float(spread.scale(quality).mean() / measured) < 1.5


def test_bad_input(vdc_pictures, tmp_path):
    (tmp_path / "a.npz").write_bytes(b"no weights")
    with pytest.raises(BadWeights):
        run_codec(
            [vdc_pictures], vdc_pictures, tmp_path / "run", preset="tiny", start=tmp_path / "a.npz"
        )
