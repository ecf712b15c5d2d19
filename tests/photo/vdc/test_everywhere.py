"""``.vdc`` files wherever conventional files may stand: tables, pages, folders, Pillow, notices."""

import csv
import io
import json
import re
import shutil
from base64 import b64decode
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import veridical
from veridical.cli.main import application
from veridical.errors import BadWeights, InvalidSetting, UnsupportedFormat
from veridical.measure.photo import compare
from veridical.photo.options import DecodeOptions
from veridical.photo.reader import open_source
from veridical.photo.vdc import model as model_module
from veridical.photo.weights import SHIPPED

REALISMS = (0.0, 0.5, 1.0)


@pytest.fixture
def shipped(lively, monkeypatch):
    """As if the package shipped the tiny weights."""
    return as_shipped(lively, monkeypatch)


def as_shipped(path, monkeypatch):
    monkeypatch.setattr(model_module, "vdc_path", lambda weights: weights or path)
    return path


@pytest.fixture
def folder(tmp_path, weights):
    """a.png with a.vdc and a.avif made of it; too small for the perceptual distances."""
    rng = np.random.default_rng(0)
    pixels = np.kron(rng.integers(60, 200, (3, 4, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels).save(tmp_path / "a.avif", quality=20)
    data = veridical.encode(tmp_path / "a.png", format="vdc", quality=60, weights=weights)
    (tmp_path / "a.vdc").write_bytes(data)
    return tmp_path


def run(*words):
    """The command line; its own errors are raised."""
    result = CliRunner().invoke(application(), [str(w) for w in words])
    if result.exception is not None:
        raise result.exception
    return result.output


def pixels_of(picture):
    return np.asarray(picture.convert("RGB")).astype(float)


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a - b) ** 2))


def data_of(page):
    found = re.search(r"const DATA = (\{.*\});", page.read_text(encoding="utf-8"))
    return json.loads(found.group(1))


def picture_of(url):
    return Image.open(io.BytesIO(b64decode(url.removeprefix("data:image/webp;base64,"))))


def test_compare_measures_what_decode_gives(folder, lively):
    # Oracle: PSNR by numpy of veridical.decode's pictures, 1e-9 dB; predictions d + a^2 C of the
    # made-up prices (d = 0.01 * 100^-0.6, C = 0.4 d), 1e-9 dB.
    before = pixels_of(Image.open(folder / "a.png"))
    options = DecodeOptions(weights=lively, seed=4)
    rows = compare(folder / "a.png", folder / "a.vdc", options)
    assert [row.name for row in rows] == ["realism 0", "realism 0.5", "realism 1"]
    for a, row in zip(REALISMS, rows, strict=True):
        x = veridical.decode(folder / "a.vdc", realism=a, seed=4, weights=lively)
        assert row.psnr_db == pytest.approx(psnr(before, pixels_of(x)), abs=1e-9)
        predicted = 32 - 10 * np.log10(1 + 0.4 * a * a)
        assert row.predicted_psnr_db == pytest.approx(predicted, abs=1e-9)
    assert rows[0].psnr_db != rows[2].psnr_db
    with pytest.raises(InvalidSetting, match="32 x 24"):
        compare(Image.new("RGB", (3, 3)), folder / "a.vdc", options)


def test_compare_without_a_generator_says_so(folder, weights):
    out = run("compare", folder / "a.png", folder / "a.vdc", "--weights", weights)
    assert "no generator" in out
    assert "│ realism 0 " in out
    assert "realism 0.5" not in out
    assert "ordinary decoder" not in out


def test_folders_of_both_kinds_are_compared(folder, shipped):
    # Oracle: the rows of the single files; a mean over fewer files than the others says so.
    (folder / "in").mkdir()
    (folder / "out").mkdir()
    shutil.move(folder / "a.png", folder / "in")
    for name in ("a.vdc", "a.avif"):
        shutil.move(folder / name, folder / "out")
    table = folder / "table"
    out = run(
        "compare", folder / "in", folder / "out", "-o", table, "--jobs", 1
    )  # fmt: skip
    assert "ordinary decoder (1 of 2)" in out
    rows = list(csv.reader((table / "comparison.csv").read_text().splitlines()))[1:]
    assert [row[1] for row in rows if "vdc" in row[0]] == [f"realism {a:g}" for a in REALISMS]
    assert len(rows) == 3 + 4
    alone = compare(folder / "in" / "a.png", folder / "out" / "a.vdc", DecodeOptions())
    assert [float(r[2]) for r in rows if "vdc" in r[0]] == [row.psnr_db for row in alone]


def test_view_shows_both_kinds(folder, shipped):
    # Oracle: the pictures on the page are veridical.decode's, bit for bit; a .vdc file has no
    # ordinary decoder, an AVIF file has.
    page = folder / "x.html"
    run("view", folder / "a.vdc", folder / "a.avif", "--out", page, "--seed", 5)
    vdc, conventional = data_of(page)["files"]
    assert vdc["ordinary"] is None
    assert conventional["ordinary"].startswith("data:image/webp")
    for name, a in (("x_mmse", 0.0), ("x_real", 1.0)):
        x = veridical.decode(folder / "a.vdc", realism=a, seed=5)
        assert picture_of(vdc[name]).tobytes() == x.tobytes()
    assert vdc["x_mmse"] != vdc["x_real"]
    assert vdc["price"]["mmse"] == pytest.approx(0.01 * 100**-0.6)
    assert [row[1] for row in vdc["rows"]] == ["32.00", "31.59", "30.54"]


def test_view_needs_a_generator(folder, weights):
    with pytest.raises(InvalidSetting, match=r"no generator.*--weights"):
        run("view", folder / "a.vdc", "--out", folder / "x.html", "--weights", weights)
    assert not (folder / "x.html").exists()


def test_a_file_without_its_weights_is_told_before_anything_else(folder, monkeypatch, tmp_path):
    as_shipped(tmp_path / "vdc.npz", monkeypatch)
    with pytest.raises(BadWeights, match="train photo-codec"):
        veridical.decode(folder / "a.vdc")


def test_weights_of_the_other_kind_are_told(folder, weights):
    with pytest.raises(BadWeights):
        run("decode", folder / "a.avif", folder / "x.png", "--realism", 0, "--weights", weights)
    with pytest.raises(BadWeights):
        run("decode", folder / "a.vdc", folder / "x.png", "--weights", SHIPPED / "avif.onnx")
    assert not (folder / "x.png").exists()


@pytest.mark.parametrize("generator", [True, False])
def test_the_demo_takes_the_format_part(folder, lively, weights, monkeypatch, generator):
    # Oracle: rate under the target; on the page only with a generator, in the table always.
    Image.open(folder / "a.png").save(folder / "demo.webp", lossless=True)
    monkeypatch.setattr("importlib.resources.files", lambda package: folder)
    as_shipped(lively if generator else weights, monkeypatch)
    out = run("demo", "--out-dir", folder / "demo", "--bpp", 12)
    assert "VDC" in out
    assert ("no generator" in out) is not generator
    data = (folder / "demo" / "coffee.vdc").read_bytes()
    assert 8 * len(data) <= 12 * 32 * 24
    with Image.open(folder / "demo" / "coffee.vdc.realism-0.png") as x:
        assert x.tobytes() == veridical.decode(data, realism=0.0).tobytes()
    titles = [f["title"].split(",")[0] for f in data_of(folder / "demo" / "demo.html")["files"]]
    jxl = ["JXL"] if find_spec("pillow_jxl") else []
    assert titles == ["AVIF", "WEBP", "JPEG", *jxl, *(["VDC"] if generator else [])]


def test_info_on_the_command_line(folder, lively):
    # Oracle: the made-up prices, as above; P = (1-a)^2 C.
    out = run("info", folder / "a.vdc", "--weights", lively)
    for sentence in ("PSNR 32.00 dB", "PSNR 31.59 dB", "PSNR 30.54 dB"):
        assert out.count(sentence) == 1
    assert "at most 0.000252" in out  # 0.004 * 100^-0.6
    assert "PSNR at realism 0" not in out


def test_every_option_of_decode_arrives(folder, lively, monkeypatch):
    # Oracle: what the command line was told.
    from veridical.photo.formats import vdc as format_module

    seen = []
    whole = format_module.VdcFormat.open

    def spy(self, data, options, notice, **more):
        seen.append(options)
        return whole(self, data, options, notice, **more)

    monkeypatch.setattr(format_module.VdcFormat, "open", spy)
    run(
        "decode", folder / "a.vdc", folder / "x.png", "--perception", 0.001, "--seed", 6,
        "--device", "cpu", "--tile", 256, "--weights", lively, "--max-pixels", 999, "--allow-partial",
    )  # fmt: skip
    told = DecodeOptions(
        perception=0.001, seed=6, device="cpu", tile=256, weights=lively, max_pixels=999,
        allow_partial=True,
    )  # fmt: skip
    assert seen == [told]
    run("decode", folder / "a.vdc", folder / "y.png", "--realism", 0.25, "--weights", lively)
    assert seen[1].realism == 0.25


def test_folders_to_vdc_and_back(folder, lively):
    # Oracle: the bytes and pictures of the single functions, with one worker and with two.
    (folder / "in").mkdir()
    for k in (0, 1):
        shutil.copy(folder / "a.png", folder / "in" / f"{k}.png")
    coded, weights = folder / "coded", ("--weights", lively)
    words = ("--format", "vdc", "--quantizer", "dither", "--seed", 3, "--quality", 50.5)
    run("encode", folder / "in", "--out-dir", coded, *words, *weights, "--jobs", 1)
    options = {"quantizer": "dither", "seed": 3, "weights": lively}
    data = veridical.encode(folder / "a.png", format="vdc", quality=50.5, **options)
    assert [p.read_bytes() for p in sorted(coded.glob("*.vdc"))] == [data, data]
    x = veridical.decode(data, realism=1.0, seed=2, weights=lively)
    words = ("--realism", 1, "--seed", 2, "--device", "cpu", *weights)
    for jobs in (1, 2):
        out = folder / f"out{jobs}"
        run("decode", coded / "*.vdc", "--out-dir", out, *words, "--jobs", jobs)
        for name in ("0.png", "1.png"):
            with Image.open(out / name) as found:
                assert found.tobytes() == x.tobytes()


@pytest.mark.parametrize(
    ("mode", "word"), [("RGBA", "alpha"), ("CMYK", "CMYK"), ("I;16", "16-bit"), ("P", None)]
)
def test_other_modes_are_converted_with_a_notice(weights, mode, word):
    # Oracle: the file of the converted picture; 16 bits by v / 257.
    rgb = Image.fromarray(np.random.default_rng(1).integers(0, 256, (16, 20, 3)).astype(np.uint8))
    grey = rgb.convert("L")
    given = rgb.convert(mode) if mode != "I;16" else None
    if mode == "I;16":
        given = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
        converted = grey
    elif mode == "RGBA":
        given.putalpha(0)
        converted = Image.new("RGB", rgb.size, "white")
    else:
        converted = given.convert("RGB")
    told = []
    options = {"format": "vdc", "quality": 50, "weights": weights}
    data = veridical.encode(given, notice=told.append, **options)
    assert data == veridical.encode(converted, **options)
    assert [word in sentence for sentence in told] == ([] if word is None else [True])


def test_a_vdc_file_is_no_input_of_encode(folder):
    # Oracle: contract: the same with and without the plugin, with a remedy.
    import veridical.photo.plugin

    for call in (open_source, veridical.encode):
        with pytest.raises(UnsupportedFormat, match="veridical decode"):
            call(folder / "a.vdc")


def test_pillow_decodes_as_told(folder, shipped):
    # Oracle: veridical.decode with the same settings; after the first look it is too late.
    import veridical.photo.plugin

    options = {"realism": 0.5, "seed": 9, "device": "cpu", "weights": shipped}
    with Image.open(folder / "a.vdc") as im:
        x = im.decoding(**options).convert("RGB")
        with pytest.raises(InvalidSetting, match="open the file again"):
            im.decoding(realism=1.0)
    expected = veridical.decode(folder / "a.vdc", **options)
    assert x.tobytes() == expected.tobytes()
    assert x.tobytes() != veridical.decode(folder / "a.vdc", realism=0.0).tobytes()
    with Image.open(folder / "a.vdc") as im, pytest.raises(InvalidSetting, match="realism"):
        im.decoding(realism=2.0).load()


def test_pillow_writes_with_weights(folder, weights, monkeypatch, tmp_path):
    import veridical.photo.plugin  # noqa: F401 (registers)

    as_shipped(tmp_path / "vdc.npz", monkeypatch)
    with Image.open(folder / "a.png") as picture:
        picture.save(folder / "b.vdc", quality=60, weights=weights)
    assert (folder / "b.vdc").read_bytes() == (folder / "a.vdc").read_bytes()


def test_the_snippet_of_the_page(folder, shipped, monkeypatch):
    # Oracle: the page itself, in a folder that has a photo.png.
    page = Path(__file__).parents[3] / "docs" / "photographs.md"
    shutil.copy(folder / "a.png", folder / "photo.png")
    monkeypatch.chdir(folder)
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    space = {}
    exec(compile(code, page, "exec"), space)  # noqa: S102 (our own documentation)
    expected = veridical.decode("photo.vdc", realism=0.7, seed=1)
    assert space["natural"].tobytes() == expected.tobytes()
