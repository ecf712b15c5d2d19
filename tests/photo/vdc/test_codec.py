"""Whole pictures: every size and mode, tiles, targets, damage, and all doors to the format."""

import io
import json
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

import veridical
from veridical.bitstream.container import read
from veridical.cli.main import app
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
from veridical.photo.encode import LearnedSettings
from veridical.photo.learned import model as model_module
from veridical.photo.learned.decode import decode_container
from veridical.photo.learned.encode import LearnedEncoder
from veridical.photo.learned.model import load_codec

LIMIT = 10**7


def picture(width, height, mode="RGB", seed=0):
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (-(-height // 9) + 1, -(-width // 9) + 1, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def decoded(data, model, **options):
    return decode_container(data, model, max_pixels=LIMIT, **options)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("size", [(1, 1), (1, 70), (16, 16), (33, 17), (150, 90)])
@pytest.mark.parametrize("quantizer", ["scalar", "dither", "e8"])
def test_every_size_and_mode_comes_back(model, size, mode, quantizer):
    # Oracle: size and mode of the input; the picture is that of a model that was never trained.
    data = LearnedEncoder(model, 70.0, quantizer=quantizer, seed=3, tile=64).encode(
        picture(*size, mode)
    )
    out = decoded(data, model)
    assert (out.size, out.mode) == (size, mode)
    header = read(data, max_pixels=LIMIT).header
    told = {"scalar": (0, 0), "dither": (3, 3), "e8": (3, 4)}
    assert (header.seed, header.randomness_bits) == told[quantizer]
    assert out.tobytes() == decoded(data, model).tobytes()


def test_decoding_in_windows_is_decoding_whole(model):
    # Oracle: the picture in one window; the margin of 64 pixels is wider than what the tiny
    # synthesis sees, so that only rounding is left: one level.
    data = LearnedEncoder(model, 90.0, tile=64).encode(picture(300, 210))
    whole, windows = (np.asarray(decoded(data, model, tile=t)).astype(int) for t in (1024, 192))
    assert np.max(np.abs(whole - windows)) <= 1


def test_tiles_of_the_file_are_independent(model):
    # Oracle: a file in which the last tile is another picture's has the others' latents still.
    from veridical.bitstream.container import Container, write
    from veridical.photo.learned.decode import decode_latents

    encoder = LearnedEncoder(model, 60.0, tile=64)
    one, two = (read(encoder.encode(picture(150, 90, seed=k)), max_pixels=LIMIT) for k in (0, 1))
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
    encoder = LearnedEncoder(model, max_bytes=target)
    data = encoder.encode(x)
    assert len(data) <= target
    quality = read(data, max_pixels=LIMIT).header.quality
    if quality < 10_000 and len(data) < 0.99 * target:
        assert len(encoder.at_quality(encoder.analyse(x, 0), min(quality + 12, 10_000))) > target


def test_rate_rises_with_quality(model):
    # Oracle: monotony of the gains, on qualities 20 apart (below 20 the hyperlatents of a model
    # that was never trained outweigh the latents).
    x = picture(96, 80)
    sizes = [len(LearnedEncoder(model, float(q)).encode(x)) for q in range(20, 101, 20)]
    assert sizes == sorted(sizes)
    assert sizes[-1] > 1.5 * sizes[0]


def test_an_impossible_target_is_told(model):
    with pytest.raises(TargetUnreachable, match="at least"):
        LearnedEncoder(model, max_bytes=60).encode(picture(50, 50))


def test_the_file_of_a_flat_picture_is_small_and_its_header_counted(model):
    # Oracle: 92 bytes of container and 4 of checksum besides the words.
    data = LearnedEncoder(model, 0.0).encode(Image.new("L", (16, 16)))
    tiles = read(data, max_pixels=LIMIT).tiles
    assert len(data) == 10 + 58 + 16 + len(tiles[0]) + 12


def test_damage_everywhere(model):
    # Oracle: every altered byte is a typed error; in a partial decode it is a picture whose
    # damage is told and grey, and whose other tiles' latents are the whole file's.
    data = LearnedEncoder(model, 30.0, tile=64).encode(picture(70, 40))
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
    from veridical.bitstream.container import Container, write

    c = read(LearnedEncoder(model, 30.0, tile=64).encode(picture(70, 40)), max_pixels=LIMIT)
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


def test_another_model_is_refused(model, tmp_path, networks):
    from veridical.photo.learned.model import save_codec

    save_codec(tmp_path / "o.safetensors", networks, {}, name="photo-other")
    other = load_codec(tmp_path / "o.safetensors")
    data = LearnedEncoder(model, 30.0).encode(picture(20, 20))
    with pytest.raises(WrongModel, match=r"photo-test .* photo-other"):
        decoded(data, other)


def test_limits_and_settings(model):
    data = LearnedEncoder(model, 30.0, realism=0.25).encode(picture(20, 20))
    with pytest.raises(PictureTooLarge):
        decode_container(data, model, max_pixels=399)
    with pytest.raises(InvalidSetting, match="no generator"):
        decoded(data, model, realism=0.5)
    with pytest.raises(InvalidSetting, match="no generator"):
        decoded(data, model)  # the file's own realism
    assert decoded(data, model, realism=0.0).size == (20, 20)
    for bad in (
        {"quality": 101.0}, {"quality": 1.0, "bpp": 1.0}, {"bpp": -1.0}, {"max_bytes": 0},
        {"quantizer": "leech"}, {"realism": 2.0},
    ):  # fmt: skip
        with pytest.raises(InvalidSetting):
            LearnedEncoder(model, **bad)
    for bad in ({"tile": 100}, {"seed": -1, "quantizer": "dither"}):
        with pytest.raises(InvalidSetting):
            LearnedEncoder(model, **bad).encode(picture(20, 20))
    with pytest.raises(InvalidSetting, match="modes L and RGB"):
        LearnedEncoder(model).encode(picture(20, 20).convert("RGBA"))


def test_a_generator_plugs_in_and_is_blended(model):
    # Oracle: [T] Prop. 3 by hand: x_mmse + a (x_real - x_mmse), to half a level of rounding.
    class Brighter:
        def generate(self, x_mmse, rng, context):
            assert context.latents.shape[1:] == (-(-context.height // 16), -(-context.width // 16))
            assert rng.window(context.top, context.left, 4, 4).shape == (3, 4, 4)
            return torch.full_like(x_mmse, 1.0)

    data = LearnedEncoder(model, 30.0).encode(picture(40, 24))
    plain = np.asarray(decoded(data, model)).astype(float)
    half = np.asarray(decoded(data, model, realism=0.5, generator=Brighter())).astype(float)
    assert np.max(np.abs(half - (plain + 255) / 2)) <= 1


def test_metadata_survives(model):
    x = picture(20, 20)
    x.info.update(icc_profile=b"a profile", exif=b"Exif\0\0MM", xmp=b"<x/>", gamma=2)
    out = decoded(LearnedEncoder(model, 10.0).encode(x), model)
    assert out.info == {"icc_profile": b"a profile", "exif": b"Exif\0\0MM", "xmp": b"<x/>"}


def test_the_public_doors(weights, model, tmp_path):
    # Oracle: the same bytes as the encoder's own.
    x = picture(60, 40)
    learned = LearnedSettings(quantizer="dither", seed=9, weights=weights)
    data = veridical.encode(x, format="vdc", quality=35.5, learned=learned)
    assert data == LearnedEncoder(model, 35.5, quantizer="dither", seed=9).encode(x)
    (tmp_path / "x.vdc").write_bytes(data)
    out = veridical.decode(tmp_path / "x.vdc", weights=weights)
    assert out.tobytes() == decoded(data, model).tobytes()
    facts = veridical.info(data, weights=weights)
    assert (facts.format, facts.width, facts.height) == ("VDC", 60, 40)
    assert facts.bits_per_pixel == 8 * len(data) / 2400
    assert facts.details["quality"] == "35.5 of 100"
    assert facts.details["common randomness"] == "3 bits a number, seed 9"
    assert facts.details["quantizer"] == "scalar with dither"
    # Prices are geometric between 0.01 and 0.0001: 0.01 * 100^-0.355.
    assert facts.predicted_psnr_db(0.0) == pytest.approx(20 + 20 * 0.355)
    with pytest.raises(InvalidSetting, match="these are for"):
        veridical.encode(x, format="avif", learned=learned)
    with pytest.raises(InvalidSetting, match="integer"):
        veridical.encode(x, format="avif", quality=35.5)
    with pytest.raises(MissingFile):
        veridical.decode(tmp_path / "none.vdc", weights=weights)


def test_alpha_is_laid_on_white_with_a_notice(weights):
    # Oracle: what JPEG does here: white where the picture is transparent.
    told = []
    clear = Image.new("RGBA", (24, 24), (0, 0, 0, 0))
    learned = LearnedSettings(weights=weights)
    data = veridical.encode(clear, format="vdc", quality=20, learned=learned, notice=told.append)
    white = veridical.encode(
        Image.new("RGB", (24, 24), "white"), format="vdc", quality=20, learned=learned
    )
    assert data == white
    assert "alpha" in told[0]


def test_without_weights_the_remedy_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(model_module, "DEFAULT_CODEC", tmp_path / "photo-codec.safetensors")
    with pytest.raises(BadWeights, match="train photo-codec"):
        veridical.encode(picture(20, 20), format="vdc")


def test_info_without_the_weights_has_no_price(monkeypatch, tmp_path, model):
    monkeypatch.setattr(model_module, "DEFAULT_CODEC", tmp_path / "photo-codec.safetensors")
    facts = veridical.info(LearnedEncoder(model, 30.0).encode(picture(20, 20)))
    assert not facts.priced
    assert np.isnan(facts.predicted_psnr_db(0.0))


def test_no_price_is_told_before_the_generator_is_measured(networks, tmp_path):
    # Oracle: a perception of 0 must not be claimed where nothing was measured.
    from veridical.photo.learned.model import save_codec
    from veridical.photo.learned.prices import QualityPrices

    path = tmp_path / "early.safetensors"
    prices = QualityPrices.without_cost(np.array([0, 10_000]), np.array([0.01, 0.0001]))
    save_codec(path, networks, {}, name="photo-early", prices={0: prices})
    data = LearnedEncoder(load_codec(path), 50.0).encode(picture(20, 20))
    facts = veridical.info(data, weights=path)
    assert not facts.priced
    assert facts.details["PSNR at realism 0"] == "30.00 dB predicted"
    with pytest.raises(InvalidSetting, match="no measured prices"):
        veridical.decode(data, weights=path, perception=0.1)


def test_damaged_weights_are_refused(weights, tmp_path):
    path = tmp_path / "w.safetensors"
    shutil.copy(weights, path)
    shutil.copy(weights.with_suffix(".json"), path.with_suffix(".json"))
    assert load_codec(path).digest == load_codec(weights).digest
    card = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(card | {"sha256": "0" * 64}))
    with pytest.raises(BadWeights, match="not the file"):
        load_codec(path)
    path.write_bytes(b"\0" * 100)
    with pytest.raises(BadWeights):
        load_codec(path)
    with pytest.raises(BadWeights):
        load_codec(tmp_path / "none.safetensors")


def test_pillow_reads_and_writes(weights, monkeypatch):
    # Oracle: the public functions, through Pillow's own names.
    import veridical.photo.plugin

    monkeypatch.setattr(model_module, "DEFAULT_CODEC", weights)
    x = picture(50, 30)
    x.info["icc_profile"] = b"a profile"
    file = io.BytesIO()
    x.save(file, "VDC", quality=40)
    assert file.getvalue() == veridical.encode(x, format="vdc", quality=40)
    opened = Image.open(io.BytesIO(file.getvalue()))
    assert isinstance(opened, veridical.photo.plugin.VdcImageFile)
    assert (opened.format, opened.size, opened.mode) == ("VDC", (50, 30), "RGB")
    assert opened.info["icc_profile"] == b"a profile"
    assert opened.tobytes() == veridical.decode(file.getvalue()).tobytes()
    with pytest.warns(UserWarning, match="alpha"):
        x.convert("RGBA").resize((9, 9)).point(lambda v: v // 2).save(io.BytesIO(), "VDC")
    with pytest.raises(DamagedFile):
        Image.open(io.BytesIO(file.getvalue()[:-3]))


def test_pillow_by_suffix(weights, monkeypatch, tmp_path):
    import veridical.photo.plugin  # noqa: F401 (registers)

    monkeypatch.setattr(model_module, "DEFAULT_CODEC", weights)
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
    result = run(app, ["encode", str(tmp_path / "a.png"), coded, "--bpp", "4", *w])
    assert result.exit_code == 0, result.output
    assert "bytes" in result.output
    assert run(app, ["decode", coded, out, "--realism", "0", *w]).exit_code == 0
    with Image.open(out) as im:
        assert im.size == (60, 44)
    shown = run(app, ["info", coded, *w]).output
    for word in (
        "photo-test",
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
    assert isinstance(run(app, ["decode", coded, out, "-f", *w]).exception, DamagedFile)
    assert run(app, ["decode", coded, out, "-f", "--allow-partial", *w]).exit_code == 0
    wrong = run(app, ["encode", str(tmp_path / "a.png"), str(tmp_path / "a.avif"), "--seed", "3"])
    assert isinstance(wrong.exception, InvalidSetting)


def test_a_newer_version_is_told(model):
    data = bytearray(LearnedEncoder(model, 30.0).encode(picture(20, 20)))
    data[8] = 2
    with pytest.raises(UnsupportedFormat, match="update"):
        decoded(bytes(data), model)
