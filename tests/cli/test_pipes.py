"""Standard input and output, JSON, default names, quiet and verbose, and the curve."""

import io
import json
import logging
import sys
from pathlib import Path

import pytest
from PIL import Image

import veridical
from veridical.cli import terminal
from veridical.errors import InvalidSetting


@pytest.fixture(autouse=True)
def no_perceptual_measures(monkeypatch):
    """They have tests of their own, and load torch."""
    monkeypatch.setattr("veridical.measure.photo.has_metrics", lambda: False)


@pytest.fixture
def piped(monkeypatch, capfdbinary):
    """Call the command line with bytes on standard input; (exit code, bytes of standard output, error)."""
    from veridical.cli.main import main

    def call(data, *words):
        out = io.TextIOWrapper(io.BytesIO())
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "argv", ["veridical", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        out.flush()
        return stop.value.code or 0, out.buffer.getvalue(), capfdbinary.readouterr().err.decode()

    return call


def test_there_and_back_through_pipes(piped, folder):
    # Oracle: the public functions on the same bytes; equal to the last bit, and nothing else is written.
    before = sorted(folder.iterdir())
    photo = (folder / "photo.png").read_bytes()
    code, coded, err = piped(photo, "encode", "-", "--format", "webp", "--quality", 30)
    assert (code, err) == (0, "")
    assert coded == veridical.encode(photo, format="WEBP", quality=30)
    for words in (("-",), ("-", "-"), ("-", "-o", "-")):
        code, png, err = piped(coded, "decode", *words, "--realism", 0.5)
        assert (code, err) == (0, "")
        with Image.open(io.BytesIO(png)) as picture:
            assert picture.format == "PNG"
            assert picture.tobytes() == veridical.decode(coded, realism=0.5).tobytes()
    code, jpeg, _ = piped(coded, "decode", "-", "--format", "jpg")
    assert code == 0
    assert jpeg.startswith(b"\xff\xd8")
    assert sorted(folder.iterdir()) == before


def test_files_on_one_side_of_the_pipe(piped, folder):
    # Oracle: a page begins as HTML does; a comparison has its four rows; what was sent is what is described.
    coded = (folder / "photo.jpg").read_bytes()
    code, out, _ = piped(coded, "info", "-", "--json")
    assert code == 0
    assert json.loads(out)["n_bytes"] == len(coded)
    code, out, _ = piped(coded, "compare", folder / "photo.png", "-", "--json")
    assert code == 0
    assert len(json.loads(out)["rows"]) == 4
    code, out, _ = piped(coded, "view", "-", "-o", "-")
    assert code == 0
    assert out.startswith(b"<!doctype html>")
    assert piped(coded, "decode", "-", folder / "x.png", "--realism", 0)[0] == 0
    with Image.open(folder / "x.png") as picture:
        assert picture.size == (64, 48)


def test_what_cannot_be_piped_is_said(piped, folder):
    code, out, err = piped(b"", "decode", "-")
    assert (code, out) == (2, b"")
    assert "empty" in err
    code, _, err = piped(b"", "decode", folder / "photo.jpg", "-", "--json")
    assert code == 2
    assert "--json" in err
    code, _, err = piped(b"x", "compare", "-", "-")
    assert code == 2
    assert "only one" in err


def test_streams_and_files_are_read_within_a_limit(piped, folder, monkeypatch):
    # Oracle: the limit, which stands for 2 GiB: one byte more is refused, wherever it comes from.
    coded = (folder / "photo.jpg").read_bytes()
    (folder / "list").write_text("photo.jpg\n")
    monkeypatch.setattr("veridical.arrays.MOST_FILE_BYTES", len(coded))
    assert piped(coded, "info", "-")[0] == 0
    assert piped(b"", "info", folder / "photo.jpg")[0] == 0
    (folder / "long.jpg").write_bytes(coded + b"\0")
    for code, out, err in (
        piped(coded + b"\0", "info", "-"),
        piped(coded + b"\0", "view", "-", "-o", "-"),
        piped(b"", "info", folder / "long.jpg"),
    ):
        assert (code, len(out)) == (2, 0)
        assert "the limit of a file" in err
    with (folder / "long.jpg").open("rb") as file, pytest.raises(InvalidSetting, match="limit"):
        veridical.info(file)
    monkeypatch.setattr("veridical.cli.files._LONGEST_LIST", 9)
    words = ("encode", "--from-list", folder / "list", "--out-dir", folder / "o")
    code, _, err = piped(b"", *words)
    assert (code, "the list" in err) == (2, True)


def test_names_that_are_left_out(run, folder):
    # Oracle: beside the input, with the format's suffix; what stands there stays.
    photo = folder / "photo.png"
    assert run("encode", photo, "--format", "webp", "--quality", 20)[0] == 0
    assert (folder / "photo.webp").is_file()
    code, _, err = run("decode", folder / "photo.webp", "--realism", 0)
    assert code == 2
    assert "photo.png exists" in err
    assert run("decode", folder / "photo.webp", "--realism", 0, "--format", "bmp")[0] == 0
    assert (folder / "photo.bmp").is_file()
    code, _, err = run("encode", folder / "photo.webp", "--format", "webp")
    assert code == 2
    assert "input itself" in err


def test_json_is_what_the_functions_say(run, folder):
    # Oracle: veridical.info and veridical.compare; numbers equal, what is no number is null.
    files = [folder / "photo.jpg", folder / "two.jpg"]
    files[1].write_bytes(files[0].read_bytes())
    code, out, _ = run("info", *files, "--json")
    assert code == 0
    first, second = (json.loads(line) for line in out.splitlines())
    assert first | {"file": second["file"]} == second
    info = veridical.info(files[0])
    assert first["price"]["mmse"] == info.price.mmse
    assert first["predictions"][1]["psnr_db"] == info.predicted_psnr_db(0.5)
    code, out, _ = run("compare", folder / "photo.png", files[0], "--json")
    rows = json.loads(out)["rows"]
    assert rows[0]["name"] == "ordinary decoder"
    assert rows[0]["predicted_psnr_db"] is None
    found = veridical.compare(folder / "photo.png", files[0])
    assert [r["psnr_db"] for r in rows] == [r.psnr_db for r in found]
    code, out, _ = run("encode", folder / "photo.png", folder / "c.jpg", "--json")
    said = json.loads(out)
    assert said["n_bytes"] == (folder / "c.jpg").stat().st_size
    assert (said["width"], said["height"], said["format"]) == (64, 48, "JPEG")
    out = run("decode", *files, "--out-dir", folder / "o", "--json", "--jobs", 1, "--realism", 0)[1]
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["input"] for line in lines] == [str(file) for file in files]
    assert [Path(line["output"]).name for line in lines] == ["photo.png", "two.png"]


def test_quiet_says_errors_and_results_alone(run, folder):
    deep = folder / "deep.png"
    Image.new("I;16", (16, 16)).save(deep)
    for words in (("-q", "encode"), ("encode", "--quiet"), ("encode", "-q")):
        assert run(*words, deep, folder / "c.jpg", "-f") == (0, "", "")
    assert "16-bit" in run("encode", deep, folder / "c.jpg", "-f")[2]  # the next call is not quiet
    assert "64 x 48" in run("info", "-q", folder / "photo.jpg")[1]
    code, _, err = run("-q", "info", folder / "none.jpg")
    assert code == 2
    assert "none.jpg" in err
    assert run("-q", "info", "--verbose", folder / "photo.jpg")[0] == 2


def test_verbose_tells_what_the_library_logs(run, folder):
    # Oracle: the logger's own records name the weights; without the option nothing is said.
    code, _, err = run("--verbose", "decode", folder / "photo.jpg", folder / "x.png")
    assert code == 0
    assert "jpeg.onnx" in err or "64 x 48" in err
    assert run("decode", folder / "photo.jpg", folder / "x.png", "-f")[2] == ""
    assert not [h for h in logging.getLogger("veridical").handlers if isinstance(h, terminal._Log)]


def test_info_passes_notices_on(run, folder):
    # Oracle: a JPEG with a second picture behind its end (JPEG: what follows EOI is no part of it).
    whole = (folder / "photo.jpg").read_bytes()
    (folder / "two.jpg").write_bytes(whole + whole)
    code, out, err = run("info", folder / "two.jpg", "--json")
    assert code == 0
    assert "second picture" in err
    assert "second picture" in json.loads(out)["notices"][0]
    assert "second picture" in veridical.info(folder / "two.jpg").notices[0]
    assert veridical.info(folder / "photo.jpg").notices == ()


def test_weights_by_the_environment(run, folder, monkeypatch):
    # Oracle: the file of an option wins; a variable that names nothing is an error and not ignored.
    monkeypatch.setenv("VERIDICAL_WEIGHTS", str(folder))
    code, _, err = run("decode", folder / "photo.jpg", folder / "x.png")
    assert code == 2
    assert str(folder / "jpeg.onnx") in err
    from veridical.photo.weights import SHIPPED

    assert run("decode", folder / "photo.jpg", folder / "x.png", "--weights", SHIPPED)[0] == 0
    monkeypatch.setenv("VERIDICAL_WEIGHTS", str(folder / "none"))
    code, _, err = run("decode", folder / "photo.jpg", folder / "y.png")
    assert code == 2
    assert "VERIDICAL_WEIGHTS" in err


def test_the_curve(run, folder):
    # Oracle: the files' own signatures; a picture of any other kind is refused before anything is done.
    png, svg, photo = folder / "curve.png", folder / "curve.svg", folder / "photo.jpg"
    assert run("compare", folder / "photo.png", photo, "--plot", png)[0] == 0
    assert png.read_bytes().startswith(b"\x89PNG")
    assert run("info", photo, "--plot", svg)[0] == 0
    assert svg.read_bytes().startswith(b"<?xml")
    assert run("info", photo, "--plot", svg)[0] == 2  # it exists
    assert run("info", photo, "--plot", svg, "--force")[0] == 0
    code, _, err = run("info", photo, "--plot", folder / "curve.txt")
    assert code == 2
    assert ".png" in err


def test_short_version(run):
    assert run("-V")[1] == run("--version")[1] == f"veridical {veridical.__version__}\n"


def test_heic_and_jxl_of_folders_are_found(run, folder):
    # Oracle: the extras are named where they are missing; until then such files are not passed over.
    (folder / "in").mkdir()
    (folder / "in" / "a.jxl").write_bytes(b"\xff\x0a" + bytes(40))
    code, _, err = run("encode", folder / "in", "--out-dir", folder / "out", "--jobs", 1)
    assert code == 3
    assert f"  {folder / 'in' / 'a.jxl'}" in err


def test_models_say_licence_recipe_and_figures(run):
    # Oracle: the cards beside the weights.
    from veridical.photo.weights import SHIPPED

    out = run("models")[1]
    for word in ("avif-generator.onnx", "Apache-2.0", "veridical train photo-codec", "dB"):
        assert word in out
    lines = [json.loads(line) for line in run("models", "--json")[1].splitlines()]
    assert len(lines) == len([p for p in SHIPPED.iterdir() if p.suffix in (".onnx", ".npz")])
    for line in lines:
        card = json.loads(Path(line["file"]).with_suffix(".json").read_text(encoding="utf-8"))
        assert line == {"file": line["file"], "licence": "Apache-2.0"} | card


def test_standard_input_is_one_file(piped, folder):
    # Oracle: one line and exit code 2 where - stands beside --out-dir or in a command for samples; nothing is written,
    # also not a file of that name.
    picture = (folder / "photo.png").read_bytes()
    (folder / "list").write_text("-\n")
    before = sorted(folder.rglob("*"))
    for words in (
        ("encode", "-", "--out-dir", folder / "o"),
        ("encode", "-", folder / "photo.png", "--out-dir", folder / "o"),
        ("encode", "--from-list", folder / "list", "--out-dir", folder / "o"),
        ("samples", "encode", "-", folder / "m.vds", "--codec", folder / "c.npz"),
        ("samples", "decode", folder / "m.vds", "-", "--codec", folder / "c.npz"),
    ):
        code, out, err = piped(picture, *words)
        assert (code, out, err.count("\n")) == (2, b"", 1), err
        assert "name" in err
    assert sorted(folder.rglob("*")) == before
