"""What a study is given when it runs: how much to spend, where to keep parts, whom to tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


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
