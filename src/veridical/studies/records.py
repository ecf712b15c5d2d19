"""What a study is given when it runs, and what it saves: named arrays and the facts about them, in one NPZ; pictures come from it alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veridical.arrays import read_npz
from veridical.errors import DamagedFile, MissingFile, UnwritableOutput
from veridical.writing import write_whole


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a study.

    Attributes:
        work: Folder for finished parts and checkpoints, so that a killed run goes on. It belongs to
            this study and preset alone; a study that needs it makes it.
        preset: How much to spend; one of the study's own names.
        data: Folder with data sets that the user names, for studies of real data.
        progress: Called with (done, total) now and then.
    """

    work: Path
    preset: str
    data: Path | None = None
    progress: Callable[[int, int], None] = lambda done, total: None


@dataclass(frozen=True)
class Record:
    """The result of a study.

    Attributes:
        study: its name, such as ``bm4``.
        facts: settings and findings that fit into JSON.
        arrays: everything that is drawn.
    """

    study: str
    facts: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]] = field(repr=False)


def make_folder(folder: Path) -> None:
    """Make the folder and its parents.

    Raises:
        UnwritableOutput: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise UnwritableOutput(
            f"cannot make the folder {folder}: {cause.strerror or cause}"
        ) from cause


def save_record(record: Record, folder: Path) -> Path:
    """Write ``<study>.npz`` into the folder; returns its path.

    Raises:
        UnwritableOutput: the file cannot be written.
    """
    target = folder / f"{record.study}.npz"
    head = np.array(
        json.dumps({"study": record.study, "facts": dict(record.facts)}, sort_keys=True)
    )
    payload: dict[str, Any] = {name: np.asarray(value) for name, value in record.arrays.items()}
    payload["__record__"] = head
    write_whole(target, lambda file: np.savez_compressed(file, **payload))
    return target


def load_record(path: Path) -> Record:
    """Read what :func:`save_record` wrote.

    Raises:
        MissingFile: there is no such file.
        DamagedFile: the file is no record.
    """
    if not path.is_file():
        raise MissingFile(f"{path} does not exist; run the study first")
    arrays = read_npz(path)
    try:
        head = json.loads(str(arrays.pop("__record__")))
        return Record(head["study"], head["facts"], arrays)
    except (ValueError, KeyError, TypeError) as cause:
        raise DamagedFile(f"{path} is no record of a study: {cause}") from cause
