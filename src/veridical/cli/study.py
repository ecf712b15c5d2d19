"""The command ``veridical study``: figures of the source papers from saved records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from veridical.cli import terminal
from veridical.errors import InvalidSetting

__all__ = ["study"]


def study(
    name: Annotated[str | None, typer.Argument(help="Which one; --list names them.")] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for record and pictures.")
    ] = Path("studies"),
    list_all: Annotated[bool, typer.Option("--list", help="Name every study and stop.")] = False,
) -> None:
    """Compute a study, save its record and draw it as PNG and PDF."""
    from veridical.studies.catalogue import STUDIES, run_study

    if list_all:
        for key, entry in STUDIES.items():
            terminal.out.print(f"{key:8} {entry.title}", markup=False)
        return
    if name is None:
        raise InvalidSetting("name a study, or use --list to see them all")
    for path in run_study(name, out):
        terminal.out.print(str(path), markup=False)
