"""Pictures to train on: from folders and tar files, turned, and the format that they are coded in."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from veridical.errors import InvalidSetting, TrainingData
from veridical.extras import require
from veridical.photo.formats import format_named
from veridical.photo.formats.conventional import ConventionalFormat

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".avif"}
"""Of pictures to train on."""


def dihedral(x: np.ndarray, k: int) -> np.ndarray:
    """One of the eight symmetries of the square as a view; ``k`` in 0..7."""
    x = np.rot90(x, k & 3)
    return x[:, ::-1] if k & 4 else x


def pictures(sources: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the pictures in folders and tar files, in a fixed order."""
    for source in sources:
        if source.is_dir():
            found = [p for p in source.rglob("*") if p.suffix.lower() in SUFFIXES]
            # By the names' letters: paths themselves compare without case on Windows.
            for path in sorted(found, key=lambda p: p.parts):
                yield path.name, path.read_bytes()
        elif tarfile.is_tarfile(source):
            with tarfile.open(source) as tar:
                for member in tar:
                    handle = tar.extractfile(member)
                    if handle is not None and Path(member.name).suffix.lower() in SUFFIXES:
                        yield member.name, handle.read()
        else:
            raise TrainingData(f"{source} is neither a folder nor a tar file of pictures")


def conventional(name: str) -> ConventionalFormat:
    """A conventional format by its name.

    Raises:
        InvalidSetting: Unknown, or a format with a training of its own.
        MissingDependency: Its plugin is not installed.
    """
    found = format_named(name)
    if not isinstance(found, ConventionalFormat):
        raise InvalidSetting(f"{name} has a training of its own: veridical train photo-codec")
    if found.plugin:
        require(found.plugin)
    return found
