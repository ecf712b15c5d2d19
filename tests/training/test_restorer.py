"""Weights for any codec: from pairs of pictures to a function of arrays and a torch module."""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import veridical
from veridical.cli.main import application
from veridical.cli.train import _shipped
from veridical.errors import BadWeights, InvalidSetting, TrainingData
from veridical.photo.weights import SHIPPED
from veridical.training import photo_prices, photo_run
from veridical.training.pairs import decode_all, prepare_pairs
from veridical.training.pieces import fit_scale
from veridical.training.price_network import fit_price_network
from veridical.training.restorer import RestorerModule

pytest.importorskip("accelerate")


def halved(picture):
    """A codec of one's own: half the size and back."""
    small = picture.resize((picture.width // 2, picture.height // 2))
    return np.asarray(small.resize(picture.size))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Originals, decoded ones of two settings, and coded files of one byte a row."""
    out = tmp_path_factory.mktemp("codec")
    rng = np.random.default_rng(0)
    for k in range(3):
        coarse = rng.integers(0, 256, (30, 40, 3)).astype(np.uint8)
        x = Image.fromarray(coarse).resize((530 - k, 301), Image.Resampling.BICUBIC)
        for name in ("original", "decoded/a", "decoded/b", "coded/a", "coded/b"):
            (out / name).mkdir(parents=True, exist_ok=True)
        x.save(out / "original" / f"{k}.png", compress_level=1)
        for setting, y in (("a", halved(x)), ("b", np.asarray(x) // 32 * 32 + 16)):
            Image.fromarray(y).save(out / "decoded" / setting / f"{k}.png", compress_level=1)
            (out / "coded" / setting / f"{k}.xyz").write_bytes(
                bytes(1000 if setting == "a" else 4000)
            )
    return out


@pytest.fixture(scope="module")
def weights(folder):
    """From the command, with the tiny preset."""
    words = ["train", "restorer", "--original", folder / "original", "--decoded", folder / "decoded", "--coded",
             folder / "coded", "--name", "mine", "--preset", "tiny", "--run", folder / "run"]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photo_run, "fit_scale", lambda *given: fit_scale(*given, n=8))
        quick = partial(fit_price_network, steps=100)  # its law has tests of its own
        patch.setattr(photo_prices, "fit_price_network", quick)
        for stop in ([], ["--minutes", "0"]):  # the second finds all done
            result = CliRunner().invoke(application(), [*map(str, words), *stop])
            assert result.exit_code == 0, result.output
    return folder / "run" / "mine.onnx"


def test_pieces_are_the_same_places_of_both_pictures(folder, tmp_path):
    # Oracles: the pictures; rates by hand; no picture is trained on and held out.
    args = folder / "original", folder / "decoded", tmp_path
    pairs = prepare_pairs("mine", *args, coded=folder / "coded")
    assert len(pairs.held_out) == 6
    assert set(pairs.bits_per_pixel) == {
        8 * n / 301 / (530 - k) for n in (1000, 4000) for k in range(3)
    }
    first = np.asarray(Image.open(folder / "original" / "0.png"))
    assert np.array_equal(pairs.originals[0, :301], first[:, :512])
    assert np.array_equal(pairs.decoded[3, :301], first[:, :512] // 32 * 32 + 16)
    assert list(pairs.held_out) == [True, False, False] * 2
    rng = np.random.default_rng(0)
    assert not any((pairs.piece(rng).source == pairs.originals[0]).all() for _ in range(20))
    assert pairs.digest == prepare_pairs("mine", *args, coded=folder / "coded").digest
    assert pairs.digest != prepare_pairs("mine", *args).digest


def test_a_restorer_works_on_arrays_as_the_decoder_of_files_does(folder, weights):
    # Oracles: the interpolation, within a level of rounding; the price formula; the torch module, within 2 levels of half
    # precision; an array and its picture are the same.
    restorer = veridical.Restorer.load(weights)
    picture = Image.open(folder / "decoded" / "a" / "0.png").crop((0, 0, 163, 121))
    y, rate = np.asarray(picture), 0.05
    low, mid, high = (restorer(y, a, bits_per_pixel=rate).astype(float) for a in (0, 0.5, 1))
    assert low.shape == y.shape
    assert np.abs(mid - (low + high) / 2).max() <= 1
    assert np.array_equal(restorer(picture, 1, bits_per_pixel=rate), high)
    assert np.array_equal(restorer(y / 255.0, bits_per_pixel=rate), low)
    curve, price = restorer.curve(y, rate, n=3), restorer.price(y, rate)
    assert np.allclose(curve, [[a, price.mmse + a * a * price.transport_cost] for a in (0, 0.5, 1)])
    module = RestorerModule(weights)
    x = torch.from_numpy(y / 255.0).float().permute(2, 0, 1)[None].requires_grad_()
    for a, expected in ((0.0, low), (torch.full((1, 1, 1, 1), 0.5), mid), (1.0, high)):
        out = module(x, a, rate)
        assert (
            np.abs(255 * out.detach().clip(0, 1)[0].permute(1, 2, 0).numpy() - expected).max() < 2
        )
    out.mean().backward()
    assert x.grad.abs().sum() > 0
    grey = restorer(picture.convert("L"), 1, bits_per_pixel=rate)
    assert grey.mode == "L"


def test_a_rate_is_given_exactly_where_it_is_wanted(folder, weights, tmp_path):
    y = np.zeros((40, 40, 3), np.uint8)
    with pytest.raises(InvalidSetting, match="give bits_per_pixel"):
        veridical.Restorer.load(weights)(y)
    with pytest.raises(InvalidSetting, match="needed"):
        RestorerModule(weights)(torch.zeros(1, 3, 16, 16))
    with pytest.raises(InvalidSetting, match="positive"):
        veridical.Restorer.load(weights)(y, bits_per_pixel=0)
    assert veridical.Restorer.load(SHIPPED / "webp.onnx").rate_known
    with pytest.raises(BadWeights, match="luma_q_00"):
        veridical.Restorer.load(SHIPPED / "jpeg.onnx")
    with pytest.raises(BadWeights, match="folder"):
        veridical.Restorer.load(SHIPPED)


def test_a_shipped_file_is_named_without_its_folder(tmp_path, monkeypatch):
    # Oracle: the folder of the package; a file of one's own of that name goes before, and other folders are left alone.
    monkeypatch.chdir(tmp_path)
    assert _shipped(Path("avif.onnx")) == SHIPPED / "avif.onnx"
    assert _shipped(Path("none/avif.onnx")) == Path("none/avif.onnx")
    Path("avif.onnx").touch()
    assert _shipped(Path("avif.onnx")) == Path("avif.onnx")


def test_a_function_as_codec(folder, tmp_path, monkeypatch):
    # Oracle: the function itself; a second call keeps what is there; by the command a fault of the function is told.
    decode_all(halved, folder / "original", tmp_path / "out")
    x = Image.open(folder / "original" / "1.png")
    assert np.array_equal(Image.open(tmp_path / "out" / "1.png"), halved(x))
    decode_all(lambda x: 1 / 0, folder / "original", tmp_path / "out")
    (tmp_path / "own_codec.py").write_text("def broken(x):\n    return 'no file'\n")
    monkeypatch.syspath_prepend(tmp_path)
    words = [
        "train",
        "restorer",
        "--original",
        str(folder / "original"),
        "--name",
        "own",
        "--run",
        str(tmp_path / "r"),
    ]
    try:
        for codec, cause in (
            ("own_codec:broken", TrainingData),
            ("own_codec:none", InvalidSetting),
        ):
            result = CliRunner().invoke(application(), [*words, "--codec", codec])
            assert isinstance(result.exception, cause)
    finally:
        sys.modules.pop("own_codec", None)


def test_pairs_that_do_not_fit_are_refused(folder, tmp_path):
    original, decoded = folder / "original", folder / "decoded"
    for name in ("AVIF", "avif", "a-b", ""):
        with pytest.raises(InvalidSetting, match="name"):
            prepare_pairs(name, original, decoded, tmp_path / "run")
    with pytest.raises(TrainingData, match="no folder"):
        prepare_pairs("mine", original, tmp_path / "none", tmp_path / "run")
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(TrainingData, match="0 pictures"):
        prepare_pairs("mine", original, other, tmp_path / "run")
    for k in range(2):
        Image.new("RGB", (530, 300)).save(other / f"{k}.png")
    with pytest.raises(TrainingData, match="another size"):
        prepare_pairs("mine", original, other, tmp_path / "run")
    with pytest.raises(TrainingData, match="no coded file of 0"):
        prepare_pairs("mine", original, decoded / "a", tmp_path / "run", coded=other.parent)
