"""What a person sees: progress and tables on a terminal, quiet in a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

__all__ = ["Update", "err", "notice", "out", "progress"]

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


class Update(Protocol):
    """Report of (done, total) units."""

    def __call__(self, done: int, total: int) -> None:
        """Show it."""
        ...


def notice(message: str) -> None:
    """A sentence that a person should know; goes to standard error."""
    err.print(f"note: {message}", style="yellow", markup=False)


@contextmanager
def progress(title: str) -> Iterator[Update]:
    """A progress bar on standard error, only if that is a terminal."""
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TimeElapsedColumn(), TimeRemainingColumn(), console=err, transient=True, disable=not err.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task(title, total=1)

        def update(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield update
