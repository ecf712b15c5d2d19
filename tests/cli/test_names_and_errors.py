"""Names are data, and nothing but one line and an exit code leaves the command line."""

import errno
import io
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import veridical
from veridical.cli import terminal
from veridical.errors import InvalidSetting, MissingFile, OutOfMemory, SystemFault

ODD_NAMES = [
    b"[/x].jpg", b"[link=http://a.b]c[/link].jpg", b"\x1b[2J\x1b]0;t\x07.jpg", b"two\nlines.jpg",
    b"<!--<script>.jpg", b"caf\xe9-\xff.jpg", b":warning:.jpg", b"-dash.jpg", b"\xe2\x80\xaetxt.jpg",
]  # fmt: skip


@pytest.fixture
def odd(folder):
    """A folder with the same picture under every odd name."""
    inputs = folder / "odd"
    inputs.mkdir()
    for name in ODD_NAMES:
        path = os.fsencode(inputs) + b"/" + name
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
        with open(path, "wb") as file:  # noqa: PTH123 (bytes are no path)
            file.write((folder / "photo.jpg").read_bytes())
    return inputs


def harmless(text):
    """No control character but the end of a line, and nothing that cannot be written in UTF-8."""
    text.encode("utf-8")
    return all(c.isprintable() or c == "\n" for c in text)


def test_odd_names_work_in_every_command(run, odd):
    # Oracle: nine files in, nine files out, and nothing printed that a terminal would obey.
    out = odd.parent / "out"
    said = []
    for words in (
        ("decode", odd, "--out-dir", out, "--realism", 0, "--jobs", 1),
        ("encode", odd, "--out-dir", out / "coded", "--quality", 5, "--jobs", 1),
        ("info", odd),
        ("compare", odd, odd, "--out-dir", out / "table", "--jobs", 1),
    ):
        code, *texts = run(*words)
        assert code == 0, texts
        said += texts
    assert len(list(out.rglob("*.png"))) == len(list((out / "coded").rglob("*.avif"))) == 9
    assert all(harmless(text) for text in said)
    assert "[/x].jpg" in "".join(said)
    assert r"\x1b[2J" in "".join(said)
    assert r"caf\xe9-\xff" in "".join(said)


def test_odd_names_in_errors(run, odd):
    # Oracle: one line each, whatever the name holds.
    for name in ODD_NAMES:
        path = os.fsdecode(os.fsencode(odd) + b"/none-" + name)
        code, _, err = run("decode", path, odd.parent / "x.png")
        assert (code, err.count("\n")) == (2, 1), err
        assert harmless(err)


def test_a_page_holds_no_markup_of_a_name(run, odd):
    # Oracle: HTML: a script ends at "</script", and "<!--<script>" would change how it ends.
    page = odd.parent / "view.html"
    code, _, err = run("view", odd / "<!--<script>.jpg", "--out", page)
    assert code == 0, err
    data = page.read_text(encoding="utf-8").partition("const DATA = ")[2].partition(";\n")[0]
    assert "<" not in data
    assert "\\u003c!--\\u003cscript>.jpg" in data


@pytest.mark.parametrize(
    "words",
    [("decode", "", "x.png"), ("decode", "a.jpg", ""), ("decode", "a.jpg", "-o", ""), ("info", ""),
     ("view", "a.jpg", "--original="), ("encode", "a.jpg", "--out-dir=")],
)  # fmt: skip
def test_an_empty_argument_is_not_this_folder(run, folder, monkeypatch, words):
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    code, _, err = run(*words)
    assert code == 2
    assert "empty" in err
    assert sorted(folder.iterdir()) == before


def test_one_input_may_name_a_file_after_o(run, folder):
    # Oracle: avifenc's and our own view's -o; a folder that stands there, or no suffix, is a folder.
    photo = folder / "photo.jpg"
    assert run("decode", photo, "-o", folder / "one.png", "--realism", 0)[0] == 0
    assert run("encode", photo, "-o", folder / "one.webp")[0] == 0
    assert (folder / "one.png").is_file()
    assert (folder / "one.webp").is_file()
    (folder / "made.png").mkdir()
    for name in ("made.png", "v1.2"):
        assert run("decode", photo, "-o", folder / name, "--realism", 0, "--jobs", 1)[0] == 0
        assert (folder / name / "photo.png").is_file()


def test_a_bad_line_of_a_list_fails_alone(run, folder):
    # Oracle: of seven lines one names a picture; the others are named one by one and stop nothing.
    lines = [
        b"a\0b.jpg",
        b"x" * 5000,
        b"caf\xff.jpg",
        b"none*.jpg",
        os.fsencode(folder / "empty"),
        b"no.jpg",
    ]
    (folder / "empty").mkdir()
    (folder / "list").write_bytes(b"\n".join([*lines, os.fsencode(folder / "photo.jpg")]))
    out = folder / "out"
    code, _, err = run(
        "encode", "--from-list", folder / "list", "--out-dir", out, "--jobs", 1, "--quality", 5
    )
    assert code == 3, err
    assert "6 of 7 failed" in err
    assert harmless(err)
    assert [p.name for p in out.glob("*.avif")] == ["photo.avif"]


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied", "a.jpg"),
            2,
            "a.jpg: Permission denied",
        ),
        (OSError(errno.EIO, "Input/output error"), 2, "Input/output error"),
        (MemoryError(), 2, "not enough memory"),
        (ZeroDivisionError("by zero"), 1, "ZeroDivisionError"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_whatever_happens_is_one_line(run, folder, monkeypatch, fault, code, says):
    def fail(*words, **settings):
        raise fault

    monkeypatch.setattr("veridical.cli.photo._all", fail)
    got, out, err = run("decode", folder / "photo.jpg", folder / "x.png")
    assert (got, out, err.count("\n")) == (code, "", 1)
    assert says in err


def test_public_functions_raise_typed_errors(folder, monkeypatch):
    # Oracle: the tree of errors.py, for wrong kinds, odd paths and a system that refuses.
    photo = folder / "photo.jpg"
    for wrong in (None, 7, open, [photo]):
        with pytest.raises(InvalidSetting):
            veridical.open(wrong)
    for settings in (
        {"tile": "512"}, {"device": None}, {"weights": 7}, {"threads": 2.0}, {"realism": 1j},
        {"realism": "0"}, {"seed": np.True_}, {"weights": b"x"},
    ):  # fmt: skip
        with pytest.raises(InvalidSetting):
            veridical.DecodeOptions(**settings)
    with pytest.raises(InvalidSetting):
        veridical.encode(photo, format=None)
    for path in ("a\0b", "x" * 5000, "", folder):
        with pytest.raises(MissingFile):
            veridical.info(path)
    for fault, kind in ((MemoryError(), OutOfMemory), (OSError(5, "bad disk"), SystemFault)):

        def fail(*words, fault=fault, **settings):
            raise fault

        monkeypatch.setattr("veridical.photo.formats.read_bytes", fail)
        with pytest.raises(kind):
            veridical.open(photo)


def test_no_argument_of_any_kind_is_a_defect(folder, monkeypatch):
    # Oracle: a result or an error of the tree, for every argument of the public functions in turn.
    monkeypatch.chdir(folder)  # one of the values is the name of a file
    photo = (folder / "photo.jpg").read_bytes()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 2))
    codec = veridical.design(x, rate_bits=1.0, rng=rng)
    index, page = codec.encode(x), veridical.Page("")
    options = {
        "weights": None,
        "device": "cpu",
        "threads": 1,
        "tile": 512,
        "max_pixels": 9000,
        "allow_partial": False,
    }
    told = {"notice": print, "progress": lambda done, total: None}
    small = {"image": Image.new("RGB", (16, 16)), "format": "WEBP"}
    calls = [
        (veridical.open, {"source": photo}),
        (veridical.info, {"source": photo, "options": None}),
        (veridical.decode, {"source": photo, "realism": 0.0, "seed": 0} | options | told),
        (veridical.decode, {"source": photo, "perception": 0.1, "as_array": True}),
        (veridical.open(photo).decode, {"realism": 0.0, "as_array": False}),
        (veridical.encode, small | {"quality": 30, "max_pixels": 999, "notice": print}),
        (veridical.encode, small | {"bpp": 30.0}),
        (veridical.encode, small | {"format": "VDC", "quantizer": "scalar", "seed": 1, "realism": 0.0}),
        (veridical.design, {"samples": x, "rate_bits": 1.0, "seeds": 1, "rng": rng, "variable_length": False}),
        (veridical.load_codec, {"path": folder / "none.npz", "max_bytes": 9}),
        (veridical.Restorer.load, {"weights": folder / "none.onnx"}),
        (page.save, {"path": folder / "page.html"}),
        (codec.save, {"path": folder / "c.npz"}),
        (codec.encode, {"x": x, "seed": 0}),
        (codec.decode, {"index": index, "rng": rng, "realism": 0.5, "seed": 0}),
        (codec.to_message, {"index": index, "seed": 0}),
    ]  # fmt: skip
    wrong = (
        None,
        7,
        -1,
        True,
        2**70,
        "x",
        b"x",
        float("nan"),
        1j,
        [],
        {},
        object(),
        io.BytesIO(b"x"),
    )
    wrong += (np.array([]), np.array([[None]]), np.array(["a"]))
    defects = []
    for call, given in calls:
        for name in given:
            for value in wrong:
                try:
                    call(**given | {name: value})
                except veridical.VeridicalError:
                    pass
                except Exception as cause:  # noqa: BLE001 (whatever it is, it is the defect)
                    defects.append(f"{call.__qualname__}({name}={value!r}): {cause!r}")
    assert defects == []


def test_numbers_of_numpy_are_numbers(folder):
    # Oracle: the same settings with Python's own numbers; equal objects and equal pictures.
    own = veridical.DecodeOptions(realism=0.0, seed=3, tile=256, max_pixels=10_000)
    same = veridical.DecodeOptions(
        realism=np.float32(0), seed=np.uint64(3), tile=np.int64(256),
        max_pixels=np.int32(10_000),
    )  # fmt: skip
    assert repr(own) == repr(same)
    photo = folder / "photo.png"
    for name, value in (("quality", 30), ("bpp", 2.0), ("max_bytes", 3000)):
        given = veridical.encode(
            photo, format="JPEG", max_pixels=np.int64(10_000), **{name: np.asarray(value)[()]}
        )
        assert given == veridical.encode(photo, format="JPEG", **{name: value})


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")  # noqa: PTH110
def test_a_full_disk_behind_standard_output_is_said(folder):
    # Oracle: one line, exit code 2, from a real process.
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-m", "veridical", "info", folder / "photo.jpg"],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "No space left" in done.stderr


@pytest.mark.parametrize(
    "words",
    [("encode", "--qual\x1b[2Jity", "a"), ("\u202e[/x]\n",), ("decode", "--seed", "\x9b\x07x", "a"),
     ("view", "a", "--original"), ("encode", "--jobs", "\x1b[31m1"), ("models", "\x7f", "\x1bc"),
     ("train", "photo", "--preset", "a\nb", "c\nd")],
)  # fmt: skip
def test_usage_errors_are_one_line_that_controls_no_terminal(run, words):
    # Oracle: one printable line that says where help is, and exit code 2.
    code, out, err = run(*words)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert harmless(err)


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--start", "webp.onnx", "--only", "generator"), "same format"), (("--start", "jpeg.onnx"), "features"),
     (("--minutes", -1), "minutes")],
)  # fmt: skip
def test_options_of_a_training_that_do_not_fit_together(run, folder, words, said):
    # Oracle: one line that says the cause and a remedy, and exit code 2; nothing is made.
    pytest.importorskip("accelerate")
    to = folder / "run"
    code, _, err = run(
        "train", "photo", folder, "--validation", folder, "--run", to, "--format", "avif", *words
    )
    assert (code, err.count("\n")) == (2, 1), err
    assert said in err
    assert not to.exists()


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
@pytest.mark.parametrize("words", [("--help",), ("info", "photo.jpg"), ("models",)])
def test_a_closed_pipe_ends_a_command_quietly(folder, words):
    # Oracle: exit code 0 and nothing on standard error; the reader is gone before the first byte.
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "veridical", *words],
        stdout=writing, stderr=subprocess.PIPE, text=True, check=False, cwd=folder,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_shown():
    assert terminal.shown("plain ü 字 [b]") == "plain ü 字 [b]"
    assert terminal.shown("a\x1b\n\t\x7f\x9b\udcff\u202e") == r"a\x1b\n\t\x7f\x9b\xff\u202e"


@pytest.mark.skipif(os.name != "posix", reason="pipes and links of POSIX")
def test_what_is_no_regular_file_is_neither_read_nor_written(run, folder):
    # Oracle: one line, exit code 2, and no waiting for somebody to write to a pipe.
    photo, pipe = folder / "photo.jpg", folder / "pipe.png"
    os.mkfifo(pipe)
    (folder / "pipe.jpg").symlink_to(pipe)
    for source in (folder / "pipe.jpg", "/dev/zero", "/dev/null"):
        for words in (
            ("decode", source, folder / "x.png"),
            ("encode", source, folder / "x.avif"),
            ("info", source),
        ):
            code, _, err = run(*words)
            assert (code, err.count("\n")) == (2, 1), err
    code, _, err = run("decode", photo, pipe, "--force")
    assert code == 2
    assert "no regular file" in err
    out = folder / "out"
    (folder / "in" / "deep").mkdir(parents=True)
    (folder / "in" / "deep" / "0.jpg").write_bytes(photo.read_bytes())
    (folder / "elsewhere").mkdir()
    out.mkdir()
    (out / "deep").symlink_to(folder / "elsewhere")
    code, _, err = run("decode", folder / "in", "--out-dir", out, "--realism", 0, "--jobs", 1)
    assert code == 2
    assert "leads out" in err
    assert not list((folder / "elsewhere").iterdir())
    assert not (folder / "x.png").exists()


@pytest.mark.skipif(os.name != "posix", reason="closed by a shell of POSIX")
@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_closed_streams(folder, closed):
    # Oracle: exit codes of the same commands with open streams, and the same picture: no file takes the number
    # of a closed stream, into which a notice would be written.
    program = f"{sys.executable} -m veridical"
    for words, code in (
        ("info photo.jpg", 0),
        ("decode photo.jpg x.png --realism 0 --force", 0),
        ("info none.jpg", 2),
    ):
        shell = ["sh", "-c", f"{program} {words} {closed}"]
        done = subprocess.run(shell, cwd=folder, capture_output=True, check=False)
        assert (done.returncode, b"Traceback" in done.stderr) == (code, False), done.stderr
    picture = veridical.decode(folder / "photo.jpg", realism=0, threads=1)
    with Image.open(folder / "x.png") as found:
        assert np.abs(np.asarray(found).astype(int) - np.asarray(picture)).max() <= 1


@pytest.mark.skipif(os.name != "posix", reason="environments of POSIX")
def test_a_bare_environment(folder):
    # Oracle: the same answer without HOME, in the locale C, and in a folder that was removed.
    import json

    words = [sys.executable, "-m", "veridical", "info", folder / "photo.jpg", "--json"]
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")}
    gone = folder / "gone"
    gone.mkdir()
    shell = ["sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh", *words]
    for command, where in ((words, folder), (shell, gone)):
        done = subprocess.run(
            [str(w) for w in command],
            cwd=where,
            env=kept | {"LC_ALL": "C"},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["width"] == 64


def test_no_output_takes_the_place_of_an_input(run, folder):
    # Oracle: exit code 2 and every file as it was, also with --force, whichever command and under any name.
    photo = (folder / "photo.jpg").read_bytes()
    for name in ("page.html", "curve.png", "original.png"):
        (folder / name).write_bytes(photo)
    (folder / "link.png").symlink_to("curve.png")
    (folder / "in").mkdir()
    (folder / "out").mkdir()
    for name in ("in/a.png", "out/b.png", "out/a.avif"):
        (folder / name).write_bytes((folder / "photo.png").read_bytes())
    np.save(folder / "x.npy", np.random.default_rng(0).normal(size=(60, 2)))
    codec, message = folder / "c.npz", folder / "m.vds"
    assert run("design", folder / "x.npy", "--rate", 1, "--out", codec)[0] == 0
    assert run("samples", "encode", folder / "x.npy", message, "--codec", codec)[0] == 0
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for words in (
        ("view", folder / "page.html"),
        ("view", folder / "photo.jpg", "--original", folder / "page.html", "-o", folder / "page.html"),
        ("info", folder / "curve.png", "--plot", folder / "curve.png"),
        ("info", folder / "curve.png", "--plot", folder / "link.png"),
        ("compare", folder / "original.png", folder / "photo.jpg", "--plot", folder / "original.png"),
        ("encode", folder / "in", folder / "out/a.avif", folder / "out/b.png", "-o", folder / "out", "-j", 1),
        ("samples", "encode", folder / "x.npy", codec, "--codec", codec),
        ("samples", "decode", message, codec, "--codec", codec),
    ):  # fmt: skip
        code, _, err = run(*words, "--force")
        assert (code, err.count("\n")) == (2, 1), (words, err)
        assert "input" in err or "would both become" in err
        after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        assert {k: after.get(k) for k in before} == before


def test_a_format_that_is_none_is_said(run, folder):
    # Oracle: exit code 2, one line that names what was asked, and nothing written.
    before = sorted(folder.rglob("*"))
    for words in (("decode", folder / "photo.jpg"), ("encode", folder / "photo.png")):
        for name in ("../x", "no", "p/ng", "\x1b[2J"):
            code, _, err = run(*words, "--format", name)
            assert (code, err.count("\n")) == (2, 1), err
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("name", ["$\\frac$.jpg", "_x.jpg", "$a$b$.jpg", "\udcff.jpg"])
def test_a_curve_takes_any_name(run, folder, name, monkeypatch):
    # Oracle: exit code 0, a PNG, and the name in the legend as it is printed.
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    try:
        (folder / name).write_bytes((folder / "photo.jpg").read_bytes())
    except (OSError, UnicodeError):
        pytest.skip("no such name on this system")
    made, legend = [], Figure.legend

    def remembered(figure, *words, **settings):
        made.append(legend(figure, *words, **settings))
        return made[-1]

    monkeypatch.setattr(Figure, "legend", remembered)
    code, _, err = run("info", folder / name, "--plot", folder / "curve.png")
    assert (code, err) == (0, "")
    assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG")
    texts = [text.get_text() for text in made[0].get_texts()]
    assert any(terminal.shown(name) in text for text in texts)
