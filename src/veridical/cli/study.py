"""The command ``veridical study``: figures of the source papers from saved records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from veridical.cli import terminal
from veridical.errors import InvalidSetting

__all__ = ["study"]


def study(
    names: Annotated[
        list[str] | None, typer.Argument(help="Which ones; --list names them.")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for record and pictures.")
    ] = Path("studies"),
    preset: Annotated[
        str | None, typer.Option("--preset", help="How much to spend; --list names them.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", envvar="VERIDICAL_DATA", help="Folder with data sets."),
    ] = None,
    redraw: Annotated[
        bool,
        typer.Option("--redraw", help="Draw the saved or the shipped record; compute nothing."),
    ] = False,
    list_all: Annotated[bool, typer.Option("--list", help="Name every study and stop.")] = False,
) -> None:
    """Compute studies, save their records and draw them as PNG and PDF.

    A long study keeps finished parts in the folder's work/ and goes on there after being killed.
    """
    from veridical.studies.catalogue import STUDIES, redraw_study, run_study

    if list_all:
        width = max(len(key) for key in STUDIES)
        for key, entry in STUDIES.items():
            sizes = f" [{' | '.join(entry.presets)}]" if len(entry.presets) > 1 else ""
            terminal.out.print(f"{key:{width}} {entry.title}{sizes}", markup=False)
        return
    if not names:
        raise InvalidSetting("name a study, or use --list to see them all")
    for name in names:
        with terminal.progress(name) as update:
            paths = (
                redraw_study(name, out)
                if redraw
                else run_study(name, out, preset=preset, data=data, progress=update)
            )
        for path in paths:
            terminal.out.print(str(path), markup=False)
