"""Every open, rename, removal, new folder and fsync of the writing commands fails once."""

import errno
import os
import re
import sys

import numpy as np
import pytest
from PIL import Image

from veridical.photo.weights import SHIPPED

FAULTS = (
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EIO, "I/O"),
    MemoryError(),
)
COMMANDS = {
    "encode": (["encode", "photo.png", "out.avif", "--quality", "20", "--force"], "out.avif"),
    "encode many": (
        ["encode", "in", "--out-dir", "many", "--quality", "20", "--jobs", "1", "--force"],
        "many/photo.avif",
    ),
    "decode": (["decode", "photo.jpg", "out.png", "--realism", "0", "--force"], "out.png"),
    "design": (
        ["design", "x.npy", "--rate", "1", "--out", "new.npz", "-f", "--jobs", "1"],
        "new.npz",
    ),
    "samples encode": (["samples", "encode", "x.npy", "out.vds", "-c", "c.npz", "-f"], "out.vds"),
    "samples decode": (["samples", "decode", "x.vds", "out.npy", "-c", "c.npz", "-f"], "out.npy"),
    "view": (["view", "photo.jpg", "--out", "v.html", "--force"], "v.html"),
    "compare": (
        ["compare", "in", "coded", "--out-dir", "t", "--jobs", "1", "--force"],
        "t/comparison.csv",
    ),
    "models": (["models", "w"], None),
    "serve": (["serve", "--site", "site"], "site/photo.png"),
    "study": (["study", "bm5", "--out-dir", "st"], "st/bm5.npz"),
}
PLAN = {"root": None, "once": None, "left": 0, "fault": None, "hit": False}
MOST, MOST_RUNS = 40, 200
TEMPORARY = re.compile(r"\.[0-9a-f]{12}\.tmp$")


def strike(event):
    """Fail if it is this event's turn."""
    PLAN["left"] -= 1
    if PLAN["left"] == 0:
        PLAN["hit"] = True
        raise PLAN["fault"]


def hook(event, args):
    if PLAN["root"] is None or event not in (
        "open",
        "os.rename",
        "os.remove",
        "os.mkdir",
        "os.chmod",
    ):
        return
    if isinstance(args[0], str | bytes | os.PathLike) and PLAN["once"]:
        PLAN["once"](event, args)
    elif isinstance(args[0], str | bytes | os.PathLike):
        path = os.path.abspath(os.fsdecode(args[0]))  # noqa: PTH100 (calls nothing that is audited)
        if path.startswith(PLAN["root"]):
            strike(event)


@pytest.fixture(scope="session")
def audited():
    """The hook, which cannot be taken away again and does nothing without a plan."""
    sys.addaudithook(hook)


@pytest.fixture
def inputs(folder, monkeypatch):
    """What the commands read, in the current folder."""
    from veridical.oneshot.circle import circle_codec

    monkeypatch.chdir(folder)
    monkeypatch.setattr("veridical.measure.photo.has_metrics", lambda: False)
    for name, file in (("page", "photo.png"), ("in", "photo.png"), ("coded", "photo.jpg")):
        (folder / name).mkdir()
        (folder / name / file).write_bytes((folder / file).read_bytes())
    monkeypatch.setattr("veridical.web.site.PAGE", folder / "page")
    monkeypatch.setattr(
        "veridical.web.site.SHIPPED", folder / "w"
    )  # a network of its page, and a card
    (folder / "w").mkdir()
    (folder / "w" / "jpeg.onnx").write_bytes(b"a network")
    (folder / "w" / "jpeg.json").write_bytes((SHIPPED / "jpeg.json").read_bytes())
    codec, angle = circle_codec(3), np.arange(30.0)
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    np.save(folder / "x.npy", x)
    codec.save(folder / "c.npz")
    (folder / "x.vds").write_bytes(codec.to_message(codec.encode(x)))
    return folder


@pytest.mark.slow
@pytest.mark.usefixtures("audited")
@pytest.mark.parametrize("name", COMMANDS)
def test_every_call_of_a_command_fails_once(run, inputs, monkeypatch, name):
    # Oracle, as SQLite's tests: with the k-th call failing, for every k, the output is the old one, that of a
    # run without a fault, or not there where none was; nothing temporary is left; the error is a line without
    # a defect in it; and the next run succeeds.
    words, output = COMMANDS[name]
    real = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda handle: (PLAN["root"] and strike("fsync"), real(handle))
    )

    def attempt(k):
        PLAN.update(left=k, fault=FAULTS[k % 3], hit=False, root=str(inputs) if k else None)
        try:
            return run(*words)
        finally:
            PLAN["root"] = None

    assert attempt(0)[0] == 0
    whole = (inputs / output).read_bytes() if output else None
    for k in range(1, MOST):
        if output:
            (inputs / output).write_bytes(b"old")
        code, _, err = attempt(k)
        if not PLAN["hit"]:
            break
        assert code in (0, 2, 3), err
        assert "defect" not in err
        assert "Traceback" not in err
        assert code == 0 or err.startswith("veridical: "), err
        if output:
            assert (inputs / output).read_bytes() in (b"old", whole)
        assert not [p for p in inputs.rglob("*.tmp*") if p.is_file()]
    else:
        raise AssertionError("more calls than a command makes")
    assert k > 1
    again = run(*words)
    assert again[0] == 0, again
    if output:
        assert (inputs / output).read_bytes() == whole


@pytest.mark.slow
@pytest.mark.usefixtures("audited")
def test_every_call_of_a_training_fails_once(run, inputs, monkeypatch):
    # Oracle: weights of a training without a fault. Each run fails at the first call below its folder that no
    # earlier run failed at, and the next goes on from there, with a line on what was refused.
    pytest.importorskip("accelerate")
    from veridical.training import photo_run
    from veridical.training.pieces import fit_scale

    monkeypatch.setattr(photo_run, "fit_scale", lambda *given: fit_scale(*given, n=8))
    for name in ("originals", "decoded"):
        (inputs / name).mkdir()
    rng = np.random.default_rng(0)
    for k in range(2):
        x = Image.fromarray(rng.integers(0, 256, (20, 30, 3), np.uint8)).resize((530, 301))
        x.save(inputs / "originals" / f"{k}.png")
        x.reduce(2).resize(x.size).save(inputs / "decoded" / f"{k}.png")
    words = [
        "train",
        "restorer",
        "--original",
        "originals",
        "--decoded",
        "decoded",
        "--name",
        "mine",
    ]
    words += ["--preset", "tiny", "--run"]
    code, _, err = run(*words, "clean")
    assert code == 0, err
    seen: dict[tuple[str, str], int] = {}
    root, failed = str(inputs / "run") + os.sep, 0

    def once(event, args):
        place = os.path.abspath(os.fsdecode(args[0]))  # noqa: PTH100 (calls nothing that is audited)
        key = event, TEMPORARY.sub("", place)
        if place.startswith(root) and key not in seen:
            seen[key] = len(seen)
            PLAN.update(left=1, fault=FAULTS[len(seen) % 3])
            strike(event)

    for _ in range(MOST_RUNS):
        PLAN.update(root=root, once=once, hit=False)
        try:
            code, _, err = run(*words, "run")
        finally:
            PLAN.update(root=None, once=None)
        assert code in (0, 2), err
        assert "defect" not in err
        assert code == 0 or err.splitlines()[-1].startswith("veridical: "), err
        failed += PLAN["hit"]
        if not PLAN["hit"]:
            break
    assert code == 0
    assert failed > 10
    for name in ("mine.onnx", "mine-generator.onnx", "mine-price.onnx"):
        assert (inputs / "run" / name).read_bytes() == (inputs / "clean" / name).read_bytes()
