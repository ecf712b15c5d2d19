"""Which files a command reads and writes."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from veridical.arrays import read_whole
from veridical.errors import (
    InvalidSetting,
    MissingFile,
    OutputExists,
    UnwritableOutput,
    VeridicalError,
)
from veridical.studies.records import make_folder
from veridical.writing import check_regular

_LONGEST_LIST = 1 << 28


def expand(paths: Iterable[Path], suffixes: Iterable[str]) -> list[Path]:
    """Files that were named, with folders and patterns replaced by what they hold.

    A folder gives its files with one of the suffixes, sorted, subfolders included.

    Raises:
        MissingFile: A pattern or folder that holds nothing usable.
    """
    wanted = {s.lower() for s in suffixes}
    return [found for path in paths for found, _ in _found(path, wanted)]


def is_single(path: Path) -> bool:
    """Whether a name stands for one file: no folder, and no pattern."""
    name = str(path)
    return not os.path.isdir(name) and (os.path.lexists(name) or not glob.has_magic(name))  # noqa: PTH112


def _found(path: Path, wanted: set[str]) -> Iterator[tuple[Path, Path]]:
    """Each file with its place: the path inside the folder that was named, or its name alone."""
    if is_single(path):
        yield path, Path(path.name)
    elif path.is_dir():
        found = _in_order(p for p in path.rglob("*") if p.suffix.lower() in wanted and p.is_file())
        if not found:
            raise MissingFile(
                f"the folder {path} holds no file ending in {', '.join(sorted(wanted))}"
            )
        yield from ((p, p.relative_to(path)) for p in found)
    else:
        found = _in_order(Path(p) for p in glob.glob(str(path), recursive=True))  # noqa: PTH207 (absolute patterns too)
        if not found:
            raise MissingFile(f"nothing matches {path}")
        yield from ((p, Path(p.name)) for p in found)


def _found_in_list(path: Path, wanted: set[str]) -> Iterator[tuple[Path, Path]]:
    """As a line of a list: one that holds nothing is a file that is missing, and fails alone."""
    try:
        yield from list(_found(path, wanted))
    except (VeridicalError, OSError, ValueError):
        yield path, Path(path.name)


def _in_order(paths: Iterable[Path]) -> list[Path]:
    """By the letters of their names; paths themselves compare without case on Windows."""
    return sorted(paths, key=lambda path: path.parts)


def read_list(source: Path) -> list[Path]:
    """Paths from a text file, one a line; ``-`` reads them from standard input.

    Raises:
        MissingFile: The list cannot be read or names nothing.
    """
    try:
        with (
            contextlib.nullcontext(sys.stdin.buffer) if str(source) == "-" else source.open("rb")
        ) as file:
            data = read_whole(file, f"the list {source}", _LONGEST_LIST)
    except VeridicalError:
        raise
    except (OSError, ValueError) as cause:
        why = getattr(cause, "strerror", None) or cause
        raise MissingFile(f"cannot read the list {source}: {why}") from cause
    # Names are bytes on some systems; what is not UTF-8 in them is kept as it is.
    text = data.decode("utf-8-sig", "surrogateescape")
    paths = [Path(line) for line in re.split(r"\r?\n", text) if line.strip()]
    if not paths:
        raise MissingFile(f"the list {source} names no file; write one path a line")
    return paths


def jobs(
    paths: Sequence[Path],
    out_dir: Path | None,
    new_suffix: str,
    suffixes: Iterable[str],
    replaces: Callable[[Path, Path], bool],
    listed: Sequence[Path] = (),
) -> list[tuple[Path, Path]]:
    """Pairs (input, output) of a command called as ``IN OUT`` or ``IN... --out-dir D``.

    Subfolders of a folder that was named stand below ``D`` again.

    Args:
        paths: What was named.
        out_dir: Folder for the results; it is made.
        new_suffix: Of the results in it.
        suffixes: Which files of a folder count.
        replaces: Whether an output that exists may be replaced, given input and output.
        listed: Further inputs, each of which may be wrong alone.

    Raises:
        InvalidSetting: Neither form, or two inputs with the same output.
        MissingFile, OutputExists, UnwritableOutput: See ``errors``.
    """
    if out_dir is None:
        if len(paths) != 2 or listed or not is_single(paths[0]):
            several = next(
                (f"{p} stands for several files; " for p in paths if not is_single(p)), ""
            )
            raise InvalidSetting(
                f"{several}give one input, one input and one output, or any number of inputs with --out-dir D"
            )
        pairs = [(paths[0], paths[1])]
    else:
        if not paths and not listed:
            raise InvalidSetting("name at least one input")
        wanted = {s.lower() for s in suffixes}
        found = [pair for path in paths for pair in _found(path, wanted)]
        found += [pair for path in listed for pair in _found_in_list(path, wanted)]
        pairs = [
            (p, out_dir / _with_suffix(place, new_suffix)) for p, place in dict.fromkeys(found)
        ]
        _check_places(pairs, without_case=_folds_case(out_dir))
        _check_inside(pairs, out_dir)
        for folder in {out_dir, *(target.parent for _, target in pairs)}:
            make_folder(folder)
    inputs: dict[Any, Path] = {}
    if len(pairs) > 1:
        inputs = {found: source for source, _ in pairs if (found := _identity(source))}
    for source, target in pairs:
        check_output(target, source, replaces(source, target))
        if inputs and (other := inputs.get(_identity(target))):
            raise UnwritableOutput(
                f"{source} would become {target}, which is the input {other}; name another folder"
            )
    return pairs


def _check_inside(pairs: Iterable[tuple[Path, Path]], out_dir: Path) -> None:
    """No output leaves its folder through a symbolic link in it."""
    whole = os.path.realpath(out_dir)
    for folder in {target.parent for _, target in pairs}:
        if os.path.commonpath([whole, os.path.realpath(folder)]) != whole:
            raise UnwritableOutput(
                f"{folder} is a link that leads out of {out_dir}; remove the link, or name another folder"
            )


def _with_suffix(place: Path, suffix: str) -> Path:
    return place.with_suffix(suffix) if place.name else Path(f"unnamed{suffix}")


def _folds_case(folder: Path) -> bool:
    """Whether names that differ in case alone are one name there, as usual on Windows and macOS."""
    whole = folder.resolve()
    there = next(p for p in (whole, *whole.parents) if p.exists())
    other = there.with_name(there.name.swapcase()) if there.name else there
    return other.name != there.name and other.exists() and other.samefile(there)


def _check_places(pairs: Sequence[tuple[Path, Path]], *, without_case: bool) -> None:
    """No two inputs with the same output."""
    seen: dict[str, Path] = {}
    for source, target in pairs:
        place = target.as_posix().casefold() if without_case else target.as_posix()
        if place in seen:
            raise InvalidSetting(
                f"{seen[place]} and {source} would both become {target}; give them different folders"
            )
        seen[place] = source


def check_output(target: Path, sources: Path | Iterable[Path] | None, force: bool) -> None:
    """Refuse an output that exists (unless forced), is an input, or cannot be written.

    Args:
        target: The output.
        sources: The input or inputs, if there are any.
        force: Whether an output that exists is replaced.

    Raises:
        OutputExists, UnwritableOutput: See ``errors``.
    """
    if os.path.isdir(target):  # noqa: PTH112 (these ask; a name that cannot be is no error yet)
        raise UnwritableOutput(f"{target} is a folder; name a file, or use --out-dir {target}")
    check_regular(target)
    if not os.path.isdir(target.parent):  # noqa: PTH112
        raise UnwritableOutput(f"the folder {target.parent} does not exist; make it first")
    if os.path.lexists(target):
        inputs = [sources] if isinstance(sources, Path) else sources or ()
        if (there := _identity(target)) and there in map(_identity, inputs):
            raise UnwritableOutput(f"{target} is the input itself; choose another output")
        if not force:
            raise OutputExists(
                f"{target} exists; use --force to replace it, or choose another name"
            )
    if not os.access(target.parent, os.W_OK):
        raise UnwritableOutput(f"no permission to write in {target.parent}")


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from every other, whatever names it; None if there is none."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
