"""Every open, rename, removal, new folder and fsync of the writing commands fails once."""

import errno
import os
import sys

import numpy as np
import pytest

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
    "design": (["design", "x.npy", "--rate", "1", "--out", "new.npz", "--jobs", "1"], "new.npz"),
    "samples encode": (["samples", "encode", "x.npy", "out.vds", "--codec", "c.npz"], "out.vds"),
    "samples decode": (["samples", "decode", "x.vds", "out.npy", "--codec", "c.npz"], "out.npy"),
    "study": (["study", "bm5", "--out-dir", "st"], "st/bm5.npz"),
}
PLAN = {"root": None, "left": 0, "fault": None, "hit": False}
MOST = 40


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
    if isinstance(args[0], str | bytes | os.PathLike):
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
    for name, file in (("in", "photo.png"), ("coded", "photo.jpg")):
        (folder / name).mkdir()
        (folder / name / file).write_bytes((folder / file).read_bytes())
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
        assert name == "serve", (
            "more calls than a command makes"
        )  # a site has some dozens of files alike
    assert k > 1
    again = run(*words)
    assert again[0] == 0, again
    if output:
        assert (inputs / output).read_bytes() == whole
