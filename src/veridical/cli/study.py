"""The command ``veridical study``: figures of the source papers from saved records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from veridical.batch import Engine, Outcome, Task, run_batch
from veridical.cli import terminal
from veridical.cli.many import EngineName, check_all_done
from veridical.errors import InvalidSetting


def study(
    names: Annotated[
        list[str] | None, typer.Argument(help="Which ones; --list names them.")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out-dir", "-o", help="Folder for record and pictures.")
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
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Studies at a time.")] = 1,
    engine: EngineName = "loky",
    list_all: Annotated[bool, typer.Option("--list", help="Name every study and stop.")] = False,
) -> None:
    """Compute studies, save their records and draw them as PNG and PDF.

    A long study keeps finished parts in the folder's work/ and goes on there after being killed.
    """
    from veridical.studies.catalogue import STUDIES, check_names, redraw_study, run_study

    if list_all:
        width = max(len(key) for key in STUDIES)
        for key, entry in STUDIES.items():
            sizes = f" [{' | '.join(entry.presets)}]" if len(entry.presets) > 1 else ""
            terminal.out.print(
                terminal.shown(f"{key:{width}} {entry.title}{sizes}"), soft_wrap=True
            )
        return
    if not names:
        raise InvalidSetting("name a study, or use --list to see them all")
    check_names(names, preset)
    if len(names) > 1 and not redraw:
        tasks = [Task(name, (name, out, preset, data)) for name in dict.fromkeys(names)]
        with terminal.progress("studies") as update:
            check_all_done(
                run_batch(
                    _work,
                    tasks,
                    engine=Engine(engine, jobs, torch=True),
                    progress=update,
                    report=_say,
                )
            )
        return
    for name in names:
        with terminal.progress(name) as update:
            paths = (
                redraw_study(name, out)
                if redraw
                else run_study(name, out, preset=preset, data=data, progress=update)
            )
        for path in paths:
            terminal.say(str(path))


def _work(payload: tuple[str, Path, str | None, Path | None]) -> list[str]:
    """One study in a worker; the paths of what it wrote."""
    from veridical.studies.catalogue import run_study

    name, out, preset, data = payload
    return [str(path) for path in run_study(name, out, preset=preset, data=data)]


def _say(outcome: Outcome) -> None:
    if outcome.error is not None:
        terminal.fail(f"{outcome.key}: {outcome.error}")
        return
    for path in outcome.result:
        terminal.say(path)
