"""What the package may not take for granted: a POSIX system, UTF-8, names that differ in case alone."""

import ast
import ctypes
import io
import re
import subprocess
import sys
from pathlib import Path, PureWindowsPath

import numpy as np
import pytest
from PIL import Image

import veridical
from veridical.cli import files
from veridical.cli.main import main
from veridical.errors import InvalidSetting

PACKAGE = Path(veridical.__file__).parent
POSIX_MODULES = {
    "crypt", "fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "spwd", "syslog", "termios",
    "tty",
}  # fmt: skip
POSIX_NAMES = {
    "os": {
        "fork", "forkpty", "getuid", "geteuid", "getgid", "getpgid", "killpg", "setsid", "chown", "mkfifo",
        "sched_getaffinity", "sched_setaffinity", "getloadavg", "uname", "sysconf", "nice", "O_NOFOLLOW",
    },
    "signal": {"SIGKILL", "SIGALRM", "SIGHUP", "SIGUSR1", "SIGUSR2", "alarm", "setitimer", "pause"},
}  # fmt: skip
# Names that Windows has no file of, whatever follows the first point.
RESERVED = {"CON", "PRN", "AUX", "NUL"} | {f"{x}{k}" for x in ("COM", "LPT") for k in range(1, 10)}
BLOCKED_IMPORTS = """
import builtins, importlib, pkgutil
real = builtins.__import__

def guarded(name, globals=None, *more, **named):
    if name.partition(".")[0] in {blocked} and (globals or {{}}).get("__name__", "").startswith("veridical"):
        raise ImportError(f"no module named {{name}} here")
    return real(name, globals, *more, **named)

builtins.__import__ = guarded
import veridical
count = 0
for module in pkgutil.walk_packages(veridical.__path__, "veridical."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
        count += 1
print(count)
"""


def trees():
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def test_every_module_is_imported_without_posix_modules():
    # Oracle: contract. Only the package's own imports are refused: other packages have their own
    # ways on other systems. Misses what a function imports; the next test sees that.
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED_IMPORTS.format(blocked=POSIX_MODULES)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 150


def test_nothing_of_posix_alone_is_named():
    # Oracle: the lists above, against every import and every attribute in the package.
    found = []
    for path, tree in trees():
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                known = POSIX_NAMES.get(node.value.id, set())
                found += [f"{path}: {node.value.id}.{node.attr}"] * (node.attr in known)
            found += [f"{path}: {n}" for n in names if n.partition(".")[0] in POSIX_MODULES]
    assert not found


def test_text_files_name_their_encoding():
    # Oracle: Windows reads and writes text in a code page unless it is told otherwise, so that
    # every read_text, write_text and open for text says encoding.
    found = []
    for path, tree in trees():
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name)):
                continue
            method = isinstance(node.func, ast.Attribute)
            name = node.func.attr if method else node.func.id
            given = [a.value for a in node.args if isinstance(a, ast.Constant)]
            mode = next(
                (x for x in given if isinstance(x, str) and re.fullmatch("[rwax+bt]+", x)), ""
            )
            text = name in {"read_text", "write_text"} and method
            text |= name == "open" and mode != "" and "b" not in mode
            if text and not any(k.arg == "encoding" for k in node.keywords):
                found.append(f"{path}:{node.lineno}")
    assert not found


def test_names_of_files_suit_every_system():
    # Oracle: what Windows forbids in names; and no two names of a folder may differ in case alone.
    from veridical.studies.catalogue import STUDIES
    from veridical.studies.mnist.table import TABLE, rows_of

    checkout = PACKAGE.parents[1]
    places = [
        p for top in ("src", "tests", "benchmarks", "docs") for p in (checkout / top).rglob("*")
    ]
    places = [p.relative_to(checkout).as_posix() for p in places if "__pycache__" not in p.parts]
    made = [f"work/{name}-{size}" for name, study in STUDIES.items() for size in study.presets]
    made += [f"out/{row.name}.npz" for kind in ("squared", "deep") for row in rows_of(TABLE, kind)]
    assert len(made) > 150
    for place in places + made:
        path = PureWindowsPath(place)
        assert len(place) < 150, place
        for part in path.parts:
            assert not re.search(r'[<>:"|?*\\\x00-\x1f]', part), place
            assert part.rstrip(". ") == part, place
            assert part.split(".")[0].upper() not in RESERVED, place
    for names in (places, made):
        assert len({name.casefold() for name in names}) == len(names)


def test_training_memory_is_left_alone_where_there_is_no_glibc(monkeypatch):
    # Oracle: what ctypes raises for a library without a name on Windows, and for a missing function
    # on macOS.
    from veridical.training.loop import keep_memory

    def refuse(name):
        raise TypeError("argument of type 'NoneType' is not iterable")

    for library in (refuse, lambda name: object()):
        monkeypatch.setattr(ctypes, "CDLL", library)
        assert keep_memory() is None


def test_pictures_come_in_one_order_everywhere(monkeypatch, tmp_path):
    # Oracle: the order of POSIX; Windows compares paths without case, as the patch does.
    from veridical.training.pictures import pictures

    for name in ("a.png", "B.png", "b.png"):
        (tmp_path / name).write_bytes(name.encode())
    less = lambda self, other: str(self).casefold() < str(other).casefold()  # noqa: E731
    monkeypatch.setattr(type(tmp_path), "__lt__", less)
    assert [name for name, _ in pictures([tmp_path])] == ["B.png", "a.png", "b.png"]
    found = files.expand([tmp_path], (".png",))
    assert [p.name for p in found] == ["B.png", "a.png", "b.png"]
    found = files.expand([tmp_path / "*.png"], (".png",))
    assert [p.name for p in found] == ["B.png", "a.png", "b.png"]


def test_outputs_that_differ_in_case_alone(monkeypatch, tmp_path):
    # Oracle: two files here; one file where case does not count, so that one would be lost.
    paths = [tmp_path / "Photo.png", tmp_path / "photo.jpg"]
    arguments = (paths, tmp_path / "out", ".avif", (".png",), lambda source, target: True)
    assert len(files.jobs(*arguments)) == 2
    monkeypatch.setattr(files, "_folds_case", lambda folder: True)
    with pytest.raises(InvalidSetting, match="would both become"):
        files.jobs(*arguments)


def test_whether_case_counts_is_asked_of_the_folder(tmp_path):
    # Oracle: a link by the other name is what a system without case shows.
    (tmp_path / "Folder").mkdir()
    assert not files._folds_case(tmp_path / "Folder" / "new")
    (tmp_path / "fOLDER").symlink_to(tmp_path / "Folder")
    assert files._folds_case(tmp_path / "Folder")
    assert files._folds_case(tmp_path / "Folder" / "12" / "34")  # asked of the parent that is there


def test_lists_with_the_mark_that_windows_puts_before_utf_8(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbfone.png\r\ntwo.png\r\n")
    assert files.read_list(tmp_path / "list.txt") == [Path("one.png"), Path("two.png")]


def test_a_poor_code_page_stops_no_output(monkeypatch, tmp_path):
    # Oracle: a name that cp1252 lacks is shown by its numbers, and the command does its work.
    name = "\u96ea.jpg"
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    for encoding in ("cp1252", "ascii"):
        out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, "stdout", out)
        words = ["veridical", "encode", tmp_path / "a.png", tmp_path / name, "--quality", 30, "-f"]
        monkeypatch.setattr(sys, "argv", list(map(str, words)))
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 0
        out.flush()
        assert b"\\u96ea.jpg" in out.buffer.getvalue().replace(b"\n", b"")
    assert (tmp_path / name).exists()
