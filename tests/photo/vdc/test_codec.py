"""Whole pictures: every size and mode, tiles, targets, damage, and all doors to the format."""

import dataclasses
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from typer.testing import CliRunner

import veridical
from veridical.bitstream.container import read, write
from veridical.cli.main import application
from veridical.errors import (
    BadWeights,
    DamagedFile,
    InvalidSetting,
    MissingFile,
    PictureTooLarge,
    TargetUnreachable,
    UnsupportedFormat,
    VeridicalError,
    WrongModel,
)
from veridical.photo.image import CodedImage
from veridical.photo.options import DecodeOptions, EncodeOptions, Target
from veridical.photo.vdc import model as model_module
from veridical.photo.vdc.encode import VdcEncoder
from veridical.photo.vdc.image import decode_latents
from veridical.photo.vdc.model import load_model
from veridical.photo.weights import network_path, write_weights
from veridical.photo.windows import decode_at

LIMIT = 10**7
GOLDEN = Path(__file__).parent / "golden"


def picture(width, height, mode="RGB", seed=0):
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (-(-height // 9) + 1, -(-width // 9) + 1, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def coded(model, x, quality=None, *, bpp=None, max_bytes=None, tile=512, **options):
    target = Target(quality=quality, bpp=bpp, max_bytes=max_bytes)
    return VdcEncoder(model, EncodeOptions(**options), tile).encode(x, target)


def decoded(data, model, *, notice=lambda message: None, **options):
    return veridical.decode(data, weights=model.path, notice=notice, **options)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("size", [(1, 1), (1, 70), (16, 16), (33, 17), (150, 90)])
@pytest.mark.parametrize("quantizer", ["scalar", "dither", "e8"])
def test_every_size_and_mode_comes_back(model, size, mode, quantizer):
    # Oracle: size and mode of the input; the picture is that of a model that was never trained.
    data = coded(model, picture(*size, mode), 70.0, quantizer=quantizer, seed=3, tile=64)
    out = decoded(data, model)
    assert (out.size, out.mode) == (size, mode)
    header = read(data, max_pixels=LIMIT).header
    told = {"scalar": (0, 0), "dither": (3, 3), "e8": (3, 4)}
    assert (header.seed, header.randomness_bits) == told[quantizer]
    assert out.tobytes() == decoded(data, model).tobytes()


def test_decoding_in_windows_is_decoding_whole(model):
    # Oracle: the picture in one window; the margin of 64 pixels is wider than what the tiny
    # synthesis sees, so that only rounding is left: one level.
    data = coded(model, picture(300, 210), 90.0, tile=64)
    whole, windows = (np.asarray(decoded(data, model, tile=t)).astype(int) for t in (1024, 192))
    assert np.max(np.abs(whole - windows)) <= 1


def test_tiles_of_the_file_are_independent(model):
    # Oracle: a file in which the last tile is another picture's has the others' latents still.
    from veridical.bitstream.container import Container

    one, two = (
        read(coded(model, picture(150, 90, seed=k), 60.0, tile=64), max_pixels=LIMIT)
        for k in (0, 1)
    )
    mixed = Container(one.header, (*one.tiles[:5], two.tiles[5]))
    a, b = (decode_latents(read(write(c), max_pixels=LIMIT), model)[0] for c in (one, mixed))
    assert np.array_equal(a[:, :4], b[:, :4])
    assert np.array_equal(a[:, :, :8], b[:, :, :8])
    assert not np.array_equal(a, b)


@settings(max_examples=8)
@given(st.integers(1500, 6000))
def test_the_search_meets_its_target(model, target):
    # Oracle: the size itself; no more than the target, and a higher quality does not fit or the
    # file is within 1 % of it.
    x = picture(96, 80)
    encoder = VdcEncoder(model)
    data = encoder.encode(x, Target(max_bytes=target))
    assert len(data) <= target
    quality = read(data, max_pixels=LIMIT).header.quality
    if quality < 10_000 and len(data) < 0.99 * target:
        assert len(encoder.at_quality(encoder.analyse(x), min(quality + 12, 10_000))) > target


def test_rate_rises_with_quality(model):
    # Oracle: monotony of the gains, on qualities 20 apart (below 20 the hyperlatents of a model
    # that was never trained outweigh the latents).
    x = picture(96, 80)
    sizes = [len(coded(model, x, float(q))) for q in range(20, 101, 20)]
    assert sizes == sorted(sizes)
    assert sizes[-1] > 1.5 * sizes[0]


def test_an_impossible_target_is_told(model):
    with pytest.raises(TargetUnreachable, match="at least"):
        coded(model, picture(50, 50), max_bytes=60)


def test_the_file_of_a_flat_picture_is_small_and_its_header_counted(model):
    # Oracle: 92 bytes of container and 4 of checksum besides the words.
    data = coded(model, Image.new("L", (16, 16)), 0.0)
    tiles = read(data, max_pixels=LIMIT).tiles
    assert len(data) == 10 + 58 + 16 + len(tiles[0]) + 12


def test_damage_everywhere(model):
    # Oracle: every altered byte is a typed error; in a partial decode it is a picture whose
    # damage is told and grey, and whose other tiles' latents are the whole file's.
    data = coded(model, picture(70, 40), 30.0, tile=64)
    sound = np.asarray(decoded(data, model))
    for at in range(0, len(data), 3):
        bad = bytearray(data)
        bad[at] ^= 0x41
        with pytest.raises(VeridicalError):
            decoded(bytes(bad), model)
    told = []
    bad = bytearray(data)
    bad[-20] ^= 1
    out = decoded(bytes(bad), model, allow_partial=True, notice=told.append)
    assert out.info["damaged_tiles"] == [(0, 64, 40, 6)]
    assert len(told) == 3
    x = np.asarray(out)
    assert np.all(x[:, 64:] == 128)
    assert x.shape == sound.shape
    with pytest.raises(DamagedFile, match="--allow-partial"):
        decoded(data[:-30], model)


def test_a_tile_that_lies_is_noticed_behind_a_right_checksum(model):
    # Oracle: the checksum of the latents, which stands in the tile's message.
    from veridical.bitstream.container import Container

    c = read(coded(model, picture(70, 40), 30.0, tile=64), max_pixels=LIMIT)
    for wrong in (
        c.tiles[1],
        c.tiles[0][:-4],
        b"\0" * 4,
        c.tiles[0][:3],
        c.tiles[0][:-4] + b"abcd",
    ):
        lying = write(Container(c.header, (wrong, c.tiles[1])))
        with pytest.raises(DamagedFile, match="tile 0"):
            decoded(lying, model)
        out = decoded(lying, model, allow_partial=True)
        assert out.info["damaged_tiles"] == [(0, 0, 40, 64)]


def rewritten(data, **changes):
    """A file with other fields of its header, and all checksums of chunks right."""
    c = read(data, max_pixels=LIMIT)
    return write(dataclasses.replace(c, header=dataclasses.replace(c.header, **changes)))


def test_tiles_are_bound_to_header_place_and_length(model):
    # Oracle: an error for every change that leaves the checksums of the chunks right; files of version 1
    # have no such bond and stay readable.
    x = Image.new("RGB", (128, 64), "teal")
    data = coded(model, x, 60.0, tile=64)
    c = read(data, max_pixels=LIMIT)
    for change in (
        {"width": 127}, {"height": 63}, {"channels": 1}, {"quality": 6001}, {"realism": 5}, {"seed": 1},
    ):  # fmt: skip
        with pytest.raises(DamagedFile, match="other numbers"):
            decoded(rewritten(data, **change), model)
    first, second = c.tiles
    for tiles in ((second, first), (first + bytes(4), second), (first, second[:-4] + bytes(4))):
        with pytest.raises(DamagedFile):
            decoded(write(dataclasses.replace(c, tiles=tiles)), model)
    latents = decode_latents(c, model)[0]
    old = (GOLDEN / "e8.vdc").read_bytes()
    assert old[8] == 1
    assert decoded(old, model).size == (150, 90)
    swapped = dataclasses.replace(c, version=1, tiles=c.tiles)
    with pytest.raises(DamagedFile):  # nor does a newer file pass for an old one
        decode_latents(swapped, model)
    assert latents.any()


def test_a_tile_of_too_few_bytes_is_refused_before_its_work(model, monkeypatch):
    # Oracle: the bits of the likeliest hyperlatents; real messages of flat pictures, the shortest there
    # are, have more at every quality.
    from veridical.photo.vdc import coding

    for quality in (0.0, 35.0, 100.0):
        data = coded(model, Image.new("RGB", (640, 640), "white"), quality, tile=1024)
        assert decoded(data, model).size == (640, 640)
    c = read(data, max_pixels=LIMIT)
    monkeypatch.setattr(coding, "SymbolDecoder", None)  # which would fail
    with pytest.raises(DamagedFile, match="cannot hold 40 x 40"):
        decoded(write(dataclasses.replace(c, tiles=(bytes(24),))), model)


def test_what_is_lost_is_not_decoded(model, monkeypatch):
    # Oracle: no network is run for a picture without a tile, and the result is grey.
    c = read(coded(model, picture(1024, 1024), 30.0), max_pixels=10**7)
    data = bytearray(write(c))
    for tile in c.tiles:
        data[data.index(tile) + 8] ^= 1
    monkeypatch.setattr(model_module.VdcModel, "network", None)
    x = decoded(bytes(data), model, allow_partial=True, tile=512)
    assert np.all(np.asarray(x) == 128)
    assert len(x.info["damaged_tiles"]) == 4


def test_another_model_is_refused(model, entropy):
    other = dataclasses.replace(model, name="photo-other")
    data = coded(other, picture(20, 20), 30.0)
    with pytest.raises(WrongModel, match=r"photo-other .* golden-1"):
        decoded(data, model)


def test_limits_and_settings(model):
    data = coded(model, picture(20, 20), 30.0, realism=0.25)
    with pytest.raises(PictureTooLarge):
        decoded(data, model, max_pixels=399)
    with pytest.raises(InvalidSetting, match="no generator"):
        decoded(data, model, realism=0.5)
    with pytest.raises(InvalidSetting, match="no generator"):
        decoded(data, model)  # the file's own realism
    assert decoded(data, model, realism=0.0).size == (20, 20)
    for bad in (
        {"quality": 101.0}, {"quality": 1.0, "bpp": 1.0}, {"bpp": -1.0}, {"max_bytes": 0},
        {"quantizer": "leech"}, {"realism": 2.0}, {"seed": -1}, {"seed": 2**64},
    ):  # fmt: skip
        with pytest.raises(InvalidSetting):
            veridical.encode(picture(20, 20), format="VDC", weights=model.path, **bad)
    with pytest.raises(InvalidSetting):
        coded(model, picture(20, 20), tile=100)
    with pytest.raises(InvalidSetting, match="modes L and RGB"):
        coded(model, picture(20, 20).convert("RGBA"))


def test_metadata_survives(model):
    x = picture(20, 20)
    x.info.update(icc_profile=b"a profile", exif=b"Exif\0\0MM", xmp=b"<x/>", gamma=2)
    out = decoded(coded(model, x, 10.0), model)
    assert out.info == {"icc_profile": b"a profile", "exif": b"Exif\0\0MM", "xmp": b"<x/>"}


def test_the_public_functions(weights, model, tmp_path):
    # Oracle: the same bytes as the encoder's own.
    x = picture(60, 40)
    options = {"quantizer": "dither", "seed": 9, "weights": weights}
    data = veridical.encode(x, format="vdc", quality=35.5, **options)
    assert data == coded(model, x, 35.5, quantizer="dither", seed=9)
    (tmp_path / "x.vdc").write_bytes(data)
    out = veridical.decode(tmp_path / "x.vdc", weights=weights)
    assert out.tobytes() == decoded(data, model).tobytes()
    info = veridical.info(data, weights=weights)
    assert (info.format, info.width, info.height) == ("VDC", 60, 40)
    assert info.bits_per_pixel == 8 * len(data) / 2400
    assert info.details["quality"] == "35.5 of 100"
    assert info.details["common randomness"] == "3 bits a number, seed 9"
    assert info.details["quantizer"] == "scalar with dither"
    # Prices are geometric between 0.01 and 0.0001: 0.01 * 100^-0.355.
    assert info.predicted_psnr_db(0.0) == pytest.approx(20 + 20 * 0.355)
    with pytest.raises(InvalidSetting, match="these are for"):
        veridical.encode(x, format="avif", **options)
    with pytest.raises(InvalidSetting, match="integer"):
        veridical.encode(x, format="avif", quality=35.5)
    with pytest.raises(MissingFile):
        veridical.decode(tmp_path / "none.vdc", weights=weights)


def test_an_open_file_is_entropy_decoded_once(model, lively, monkeypatch):
    # Oracle: a count of the calls; and pictures at several realisms are those of single decodes.
    from veridical.photo.vdc import image as image_module

    calls = []
    whole = image_module.decode_latents

    def counted(*args, **options):
        calls.append(1)
        return whole(*args, **options)

    monkeypatch.setattr(image_module, "decode_latents", counted)
    data = coded(model, picture(300, 210), 60.0)
    options = DecodeOptions(weights=lively, tile=192, seed=4)
    image: CodedImage = veridical.open(data, options)
    assert image.ordinary is None
    assert not calls
    assert image.info.price is not None
    found = decode_at(image, [0.0, 0.5, 1.0], options)
    decode_at(image, [1.0], options)
    assert len(calls) == 1
    for a, x in zip((0.0, 0.5, 1.0), found, strict=True):
        assert (
            x.tobytes() == veridical.decode(data, dataclasses.replace(options, realism=a)).tobytes()
        )


def test_no_torch_is_needed(lively, tmp_path):
    # Oracle: the modules of a fresh process that encodes, reads and decodes.
    picture(60, 40).save(tmp_path / "x.png")
    code = f"""
import sys, veridical
weights = {str(lively)!r}
data = veridical.encode({str(tmp_path / "x.png")!r}, format="VDC", quality=40, weights=weights)
veridical.info(data, weights=weights)
veridical.decode(data, realism=1.0, weights=weights)
wanted = "torch", "accelerate", "onnx", "safetensors"
print([name for name in wanted if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"


def test_alpha_is_laid_on_white_with_a_notice(weights):
    # Oracle: what JPEG does here: white where the picture is transparent.
    told = []
    clear = Image.new("RGBA", (24, 24), (0, 0, 0, 0))
    options = {"format": "vdc", "quality": 20, "weights": weights}
    data = veridical.encode(clear, notice=told.append, **options)
    white = veridical.encode(Image.new("RGB", (24, 24), "white"), **options)
    assert data == white
    assert "alpha" in told[0]


def test_without_weights_the_remedy_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("VERIDICAL_WEIGHTS", str(tmp_path))
    with pytest.raises(BadWeights, match="train photo-codec"):
        veridical.encode(picture(20, 20), format="vdc")


def test_info_without_the_weights_has_no_price(monkeypatch, tmp_path, model):
    monkeypatch.setenv("VERIDICAL_WEIGHTS", str(tmp_path))
    info = veridical.info(coded(model, picture(20, 20), 30.0))
    assert info.price is None
    assert np.isnan(info.predicted_psnr_db(0.0))


def copied(path, folder, name="tiny"):
    """Weights and all that lies beside them, in another folder."""
    for file in path.parent.glob(f"{path.stem}*"):
        shutil.copy(file, folder / file.name.replace(path.stem, name, 1))
    return folder / f"{name}.npz"


def named_as_shipped(path, folder):
    """A folder with weights under the names that the package ships."""
    (folder / "shipped").mkdir()
    return copied(path, folder / "shipped", "vdc").parent


def test_no_price_is_told_before_the_generator_is_measured(weights, tmp_path):
    # Oracle: a perception of 0 must not be claimed where nothing was measured.
    from veridical.photo.vdc.prices import QualityPrices
    from veridical.training.vdc.export import save_prices

    path = copied(weights, tmp_path)
    prices = QualityPrices(np.array([0, 10_000]), np.array([0.01, 0.0001]))
    save_prices(path, {0: prices})
    data = coded(load_model(path), picture(20, 20), 50.0)
    info = veridical.info(data, weights=path)
    assert info.price is None
    assert info.details["PSNR at realism 0"] == "30.00 dB predicted"
    with pytest.raises(InvalidSetting, match="no prices"):
        veridical.decode(data, weights=path, perception=0.1)


def test_damaged_weights_are_refused(weights, tmp_path):
    path = copied(weights, tmp_path)
    assert load_model(path).digest == load_model(weights).digest
    card = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(card | {"sha256": "0" * 64}))
    with pytest.raises(BadWeights, match="not the file"):
        load_model(path)
    path.write_bytes(b"\0" * 100)
    with pytest.raises(BadWeights):
        load_model(path)
    with pytest.raises(BadWeights):
        load_model(tmp_path / "none.npz")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("tables.latent.lows", lambda x: x[:-1]),
        ("tables.hyper.frequencies", lambda x: x.astype(float)),
        ("tables.latent.frequencies", lambda x: x + 1),
        ("gains.log_gain", lambda x: x * np.nan),
        ("gains.log_inverse", lambda x: x[:, 1:]),
        ("prior.enter.weight", lambda x: x[:-1]),
        ("prior.enter.bias", lambda x: None),
        ("header", lambda x: x[:-1]),
        ("header", lambda x: np.frombuffer(x.tobytes().replace(b"0.01", b" NaN"), np.uint8)),
        ("header", lambda x: np.array([{}], dtype=object)),
    ],
)
def test_wrong_tensors_are_refused(weights, tmp_path, name, change):
    # Oracle: contract; the card fits the file, so that nothing but its contents is wrong.
    path = tmp_path / "w.npz"
    with np.load(weights) as file:
        tensors = dict(file)
    tensors[name] = change(tensors[name])
    np.savez(path, **{k: v for k, v in tensors.items() if v is not None})
    card = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    path.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(BadWeights, match=r"w\.npz"):
        load_model(path)


def test_files_that_are_no_codec_are_named_as_that(weights, tmp_path):
    # Oracle: contract: nothing is damaged here.
    network = tmp_path / "tiny-analysis.onnx"
    copied(weights, tmp_path)
    np.savez(tmp_path / "samples.npz", x=np.zeros(3))
    digest = hashlib.sha256((tmp_path / "samples.npz").read_bytes()).hexdigest()
    (tmp_path / "samples.json").write_text(json.dumps({"sha256": digest}))
    for path, says in ((network, "NAME.npz"), (tmp_path / "samples.npz", "other weights")):
        with pytest.raises(BadWeights, match=says) as caught:
            load_model(path)
        assert path.name in str(caught.value)
        assert "damaged" not in str(caught.value)
    from veridical.training.export import load_estimator

    with pytest.raises(BadWeights, match="of kind 'vdc-analysis', not 'estimator'"):
        load_estimator(network)


@pytest.mark.parametrize("part", ["synthesis", "spread", "refinement"])
def test_nothing_is_predicted_that_cannot_be_decoded(model, lively, weights, tmp_path, part):
    # Oracle: decoding, which refuses the same; without a generator there is realism 0 alone.
    from veridical.cli.inspect import _facts

    path = copied(lively, tmp_path)
    data = coded(model, picture(20, 20), 30.0)
    assert [p["realism"] for p in _facts(veridical.info(data, weights=path))["predictions"]] == [
        0,
        0.5,
        1,
    ]
    assert [p["realism"] for p in _facts(veridical.info(data, weights=weights))["predictions"]] == [
        0
    ]
    network_path(path, part).unlink()
    for ask in (veridical.info, veridical.decode):
        with pytest.raises(BadWeights, match=f"{part}.onnx is missing"):
            ask(data, weights=path)


def test_weights_that_are_replaced_are_read_anew(weights, lively, tmp_path):
    path = copied(weights, tmp_path)
    assert load_model(path) is load_model(path)
    assert not load_model(path).has_generator
    copied(lively, tmp_path)
    assert load_model(path).has_generator
    os.utime(path, ns=(1, 1))
    before = load_model(path)
    os.utime(path, ns=(2, 2))
    assert load_model(path) is not before
    # Oracle: the card's digest; size and time of the exchanged file are those of the one before.
    other = path.with_name("other.npz")
    other.write_bytes(path.read_bytes()[:-1] + b"\1")
    shutil.copystat(path, other)
    other.replace(path)
    with pytest.raises(BadWeights, match="not the file"):
        load_model(path)


@pytest.mark.parametrize("part", ["synthesis", "spread", "generator"])
def test_networks_of_another_codec_are_refused(model, lively, tmp_path, part, with_header):
    path = copied(lively, tmp_path)
    data = coded(model, picture(20, 20), 30.0)
    assert veridical.decode(data, realism=1.0, weights=path).size == (20, 20)
    network = network_path(path, part)
    write_weights(
        network,
        with_header(network.read_bytes(), {"kind": f"vdc-{part}", "codec": "00" * 32}),
        {},
    )
    with pytest.raises(BadWeights, match="another codec"):
        veridical.decode(data, realism=1.0, weights=path)
    network.unlink()
    with pytest.raises((BadWeights, InvalidSetting)):
        veridical.decode(data, realism=1.0, weights=path)


def test_pillow_reads_and_writes(weights, monkeypatch, tmp_path):
    # Oracle: the public functions, through Pillow's own names.
    import veridical.photo.plugin

    monkeypatch.setenv("VERIDICAL_WEIGHTS", str(named_as_shipped(weights, tmp_path)))
    x = picture(50, 30)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    x.info["icc_profile"] = profile
    file = io.BytesIO()
    x.save(file, "VDC", quality=40)
    assert file.getvalue() == veridical.encode(x, format="vdc", quality=40)
    opened = Image.open(io.BytesIO(file.getvalue()))
    assert isinstance(opened, veridical.photo.plugin.VdcImageFile)
    assert (opened.format, opened.size, opened.mode) == ("VDC", (50, 30), "RGB")
    assert opened.info["icc_profile"] == profile
    assert opened.tobytes() == veridical.decode(file.getvalue()).tobytes()
    with pytest.warns(UserWarning, match="alpha"):
        x.convert("RGBA").resize((9, 9)).point(lambda v: v // 2).save(io.BytesIO(), "VDC")
    with pytest.raises(DamagedFile):
        Image.open(io.BytesIO(file.getvalue()[:-3]))


def test_pillow_by_suffix(weights, monkeypatch, tmp_path):
    import veridical.photo.plugin  # noqa: F401 (registers)

    monkeypatch.setenv("VERIDICAL_WEIGHTS", str(named_as_shipped(weights, tmp_path)))
    x = picture(40, 30, "L")
    x.save(tmp_path / "x.vdc", bpp=8.0)
    assert (tmp_path / "x.vdc").stat().st_size <= 1200
    with Image.open(tmp_path / "x.vdc") as im:
        assert im.mode == "L"
        assert np.asarray(im).shape == (30, 40)


def test_the_command_line(weights, tmp_path):
    run = CliRunner().invoke
    picture(60, 44).save(tmp_path / "a.png")
    coded, out = str(tmp_path / "a.vdc"), str(tmp_path / "b.png")
    w = ["--weights", str(weights)]
    result = run(application(), ["encode", str(tmp_path / "a.png"), coded, "--bpp", "4", *w])
    assert result.exit_code == 0, result.output
    assert "bytes" in result.output
    assert run(application(), ["decode", coded, out, "--realism", "0", *w]).exit_code == 0
    with Image.open(out) as im:
        assert im.size == (60, 44)
    shown = run(application(), ["info", coded, *w]).output
    for word in (
        "golden-1",
        "quantizer",
        "tiles",
        "default realism",
        "predicted PSNR",
        "metadata",
    ):
        assert word in shown
    data = bytearray((tmp_path / "a.vdc").read_bytes())
    data[-30] ^= 1
    (tmp_path / "a.vdc").write_bytes(data)
    assert isinstance(run(application(), ["decode", coded, out, "-f", *w]).exception, DamagedFile)
    assert run(application(), ["decode", coded, out, "-f", "--allow-partial", *w]).exit_code == 0
    wrong = run(
        application(), ["encode", str(tmp_path / "a.png"), str(tmp_path / "a.avif"), "--seed", "3"]
    )
    assert isinstance(wrong.exception, InvalidSetting)


def test_a_newer_version_is_told(model):
    data = bytearray(coded(model, picture(20, 20), 30.0))
    data[8] = 3
    with pytest.raises(UnsupportedFormat, match="update"):
        decoded(bytes(data), model)
