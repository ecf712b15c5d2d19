"""Files that are whole or not there, whatever fails, and only where a regular file may stand."""

import errno
import os
import stat
import threading

import pytest

from veridical.errors import UnwritableOutput, VeridicalError
from veridical.writing import replacing, write_text, write_whole

POSIX = pytest.mark.skipif(os.name != "posix", reason="permissions and pipes of POSIX")


def text_of(folder):
    return {p.name: p.read_text() for p in folder.iterdir()}


@POSIX
def test_permissions(tmp_path):
    # Oracle: a new file has those of any other file here; one that replaces another has that one's.
    target, other = tmp_path / "a", tmp_path / "other"
    other.touch()
    write_text(target, "1")
    assert target.stat().st_mode == other.stat().st_mode
    for mode in (0o600, 0o640, 0o604):
        target.chmod(mode)
        with replacing(target) as temporary:
            assert stat.S_IMODE(temporary.stat().st_mode) == 0o600
        assert stat.S_IMODE(target.stat().st_mode) == mode


@POSIX
def test_only_regular_files_are_replaced(tmp_path):
    # Oracle: a pipe with nobody behind it would stop a writer for ever; it stands as it did.
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    (tmp_path / "link").symlink_to(pipe)
    for place in (pipe, folder, tmp_path / "link", tmp_path / "link" / "x"):
        with pytest.raises(UnwritableOutput):
            write_text(place, "x")
    with pytest.raises(UnwritableOutput, match="no regular file"):
        write_text(type(tmp_path)(os.devnull), "x")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "link", "pipe"]


@POSIX
def test_a_link_is_replaced_and_not_followed(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "precious").write_text("precious")
    (inner / "link").symlink_to(tmp_path / "precious")
    write_text(inner / "link", "new")
    assert (tmp_path / "precious").read_text() == "precious"
    assert text_of(inner) == {"link": "new"}


@pytest.mark.parametrize("name", ["x" * 255, "ü" * 127, "x" * 200, "a"])
def test_names_up_to_the_limit_of_the_system(tmp_path, name):
    write_text(tmp_path / name, "1")
    assert text_of(tmp_path) == {name: "1"}


@pytest.mark.parametrize("name", ["x" * 256, "a\0b"])
def test_names_that_cannot_be(tmp_path, name):
    with pytest.raises(UnwritableOutput, match="cannot write"):
        write_text(tmp_path / name, "1")
    assert not list(tmp_path.iterdir())


CALLS = (
    "os.open",
    "os.close",
    "os.fsync",
    "pathlib.Path.replace",
    "pathlib.Path.chmod",
    "pathlib.Path.open",
)


@POSIX
@pytest.mark.parametrize(
    "fault", [OSError(errno.ENOSPC, "No space"), OSError(errno.EIO, "I/O"), MemoryError()]
)
@pytest.mark.parametrize("name", CALLS)
def test_every_call_fails_once(tmp_path, monkeypatch, name, fault):
    # Oracle, as SQLite's tests: with the k-th call failing, for every k, the old file or the new one is
    # there and no third; the error is typed; and the next run succeeds.
    import importlib

    module, _, last = name.rpartition(".")
    holder = importlib.import_module("pathlib").Path if "Path" in module else os
    real = getattr(holder, last)
    target = tmp_path / "a"
    for k in range(20):
        target.write_text("old")
        count = [0]

        def once(*args, k=k, count=count, **kwargs):
            count[0] += 1
            if count[0] == k + 1:
                raise fault
            return real(*args, **kwargs)

        monkeypatch.setattr(holder, last, once)
        try:
            write_text(target, "new")
        except (VeridicalError, MemoryError):
            failed = True
        else:
            failed = False
        monkeypatch.setattr(holder, last, real)
        assert text_of(tmp_path) == {"a": "old"} or text_of(tmp_path) == {"a": "new"}
        assert failed or text_of(tmp_path) == {"a": "new"}
        write_text(target, "again")
        assert text_of(tmp_path) == {"a": "again"}
        if count[0] <= k:
            assert k > 0  # it was called at all
            return
    pytest.fail("more calls than a writer makes")


def test_a_writer_that_fails_half_way(tmp_path):
    target = tmp_path / "a"
    target.write_text("old")

    def half(file):
        file.write(b"ne")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UnwritableOutput, match="No space left"):
        write_whole(target, half)
    assert text_of(tmp_path) == {"a": "old"}


def test_writers_at_the_same_time(tmp_path):
    # Oracle: the last one's file, whole; each writes 64 kB of its own letter.
    target = tmp_path / "a"
    writers = [threading.Thread(target=write_text, args=(target, c * 65_536)) for c in "abcdefgh"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    text = target.read_text()
    assert len(text) == 65_536
    assert len(set(text)) == 1
    assert len(list(tmp_path.iterdir())) == 1
