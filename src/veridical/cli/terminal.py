"""What a person sees: progress and tables on a terminal, quiet in a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

__all__ = ["Update", "err", "fail", "notice", "out", "progress", "say", "shown"]

# Names and metadata are data: nothing in them is markup, an emoji's name, or a control sequence.
out = Console(highlight=False, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, markup=False, emoji=False)


class Update(Protocol):
    """Report of (done, total) units."""

    def __call__(self, done: int, total: int) -> None:
        """Show it."""
        ...


def shown(text: object) -> str:
    """Text on one line that controls no terminal: what is not printable is written as its escape."""
    return "".join(c if c.isprintable() else _escape(c) for c in str(text))


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def say(text: object) -> None:
    """A result, on a line of standard output."""
    out.print(shown(text), soft_wrap=True)


def notice(message: str) -> None:
    """A sentence that a person should know; goes to standard error."""
    err.print(f"note: {shown(message)}", style="yellow", soft_wrap=True)


def fail(message: object) -> None:
    """What went wrong, on a line of standard error."""
    err.print(f"veridical: {shown(message)}", soft_wrap=True)


@contextmanager
def progress(title: str) -> Iterator[Update]:
    """A progress bar on standard error, only if that is a terminal."""
    bar = Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TimeElapsedColumn(), TimeRemainingColumn(), console=err, transient=True, disable=not err.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task(shown(title), total=1)

        def update(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield update
