"""Which files a command reads and writes."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from veridical.errors import InvalidSetting, MissingFile, OutputExists, UnwritableOutput
from veridical.studies.records import make_folder

__all__ = ["check_output", "expand", "jobs", "read_list"]


def expand(paths: Iterable[Path], suffixes: Iterable[str]) -> list[Path]:
    """Files that were named, with folders and patterns replaced by what they hold.

    A folder gives its files with one of the suffixes, sorted, subfolders included.

    Raises:
        MissingFile: A pattern or folder that holds nothing usable.
    """
    return [path for path, _ in _found(paths, suffixes)]


def _found(paths: Iterable[Path], suffixes: Iterable[str]) -> Iterator[tuple[Path, Path]]:
    """Each file with its place: the path inside the folder that was named, or its name alone."""
    wanted = {s.lower() for s in suffixes}
    for path in paths:
        if path.is_dir():
            found = _in_order(
                p for p in path.rglob("*") if p.suffix.lower() in wanted and p.is_file()
            )
            if not found:
                raise MissingFile(
                    f"the folder {path} holds no file ending in {', '.join(sorted(wanted))}"
                )
            yield from ((p, p.relative_to(path)) for p in found)
        elif not path.exists() and glob.has_magic(str(path)):
            found = _in_order(Path(p) for p in glob.glob(str(path), recursive=True))  # noqa: PTH207 (absolute patterns too)
            if not found:
                raise MissingFile(f"nothing matches {path}")
            yield from ((p, Path(p.name)) for p in found)
        else:
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
        text = sys.stdin.read() if str(source) == "-" else source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as cause:
        raise MissingFile(f"cannot read the list {source}: {cause}") from cause
    paths = [Path(line) for line in text.splitlines() if line.strip()]
    if not paths:
        raise MissingFile(f"the list {source} names no file; write one path a line")
    return paths


def jobs(
    paths: Sequence[Path],
    out_dir: Path | None,
    new_suffix: str,
    suffixes: Iterable[str],
    replaces: Callable[[Path, Path], bool],
) -> list[tuple[Path, Path]]:
    """Pairs (input, output) of a command called as ``IN OUT`` or ``IN... --out-dir D``.

    Subfolders of a folder that was named stand below ``D`` again.

    Args:
        paths: What was named.
        out_dir: Folder for the results; it is made.
        new_suffix: Of the results in it.
        suffixes: Which files of a folder count.
        replaces: Whether an output that exists may be replaced, given input and output.

    Raises:
        InvalidSetting: Neither form, or two inputs with the same output.
        MissingFile, OutputExists, UnwritableOutput: See ``errors``.
    """
    if out_dir is None:
        if (
            len(paths) != 2
            or paths[0].is_dir()
            or (glob.has_magic(str(paths[0])) and not paths[0].exists())
        ):
            raise InvalidSetting(
                "give one input and one output, or any number of inputs with --out-dir D"
            )
        pairs = [(paths[0], paths[1])]
    else:
        if not paths:
            raise InvalidSetting("name at least one input")
        pairs = [
            (p, out_dir / place.with_suffix(new_suffix)) for p, place in _found(paths, suffixes)
        ]
        _check_places(pairs, without_case=_folds_case(out_dir))
        for folder in {out_dir, *(target.parent for _, target in pairs)}:
            make_folder(folder)
    for source, target in pairs:
        check_output(target, source, replaces(source, target))
    return pairs


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


def check_output(target: Path, source: Path | None, force: bool) -> None:
    """Refuse an output that exists (unless forced), is the input, or cannot be written.

    Raises:
        OutputExists, UnwritableOutput: See ``errors``.
    """
    if target.is_dir():
        raise UnwritableOutput(f"{target} is a folder; name a file, or use --out-dir {target}")
    if not target.parent.is_dir():
        raise UnwritableOutput(f"the folder {target.parent} does not exist; make it first")
    if target.exists():
        if source is not None and source.exists() and source.samefile(target):
            raise UnwritableOutput(f"{target} is the input itself; choose another output")
        if not force:
            raise OutputExists(
                f"{target} exists; use --force to replace it, or choose another name"
            )
    if not os.access(target.parent, os.W_OK):
        raise UnwritableOutput(f"no permission to write in {target.parent}")
