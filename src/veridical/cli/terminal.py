"""What a person sees: progress and tables on a terminal, quiet in a pipe."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from veridical.errors import InvalidSetting

# Names and metadata are data: nothing in them is markup, an emoji's name, or a control sequence.
out = Console(highlight=False, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, markup=False, emoji=False)


Update = Callable[[int, int], None]
"""Told (done, total) units."""

_quiet = False


class _Log(logging.Handler):
    """Records of the library's loggers as lines of standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        err.print(shown(f"{record.name}: {record.getMessage()}"), soft_wrap=True)


_log = _Log()


def talk(*, quiet: bool | None = None, verbose: bool | None = None) -> None:
    """How much is said: nothing but errors and what was asked for, or also what the library logs.

    Args:
        quiet: Only errors and what was asked for. False leaves what was said before, None for both takes it back.
        verbose: Also what the library logs.

    Raises:
        InvalidSetting: Both.
    """
    global _quiet  # noqa: PLW0603 (a process has one terminal)
    logger = logging.getLogger("veridical")
    if quiet is None and verbose is None:
        _quiet = False
        logger.removeHandler(_log)
        logger.setLevel(logging.NOTSET)
    _quiet = _quiet or bool(quiet)
    if verbose:
        logger.setLevel(logging.INFO)
        logger.addHandler(_log)
    if _quiet and _log in logger.handlers:
        raise InvalidSetting("give either --quiet or --verbose, not both")


def shown(text: object) -> str:
    """Text on one line that controls no terminal: what is not printable is written as its escape."""
    return "".join(c if c.isprintable() else _escape(c) for c in str(text))


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def about(name: str, message: str) -> str:
    """A message with the name of its file, unless it has it."""
    return message if name in message else f"{name}: {message}"


def say(text: object) -> None:
    """What was done, on a line of standard output."""
    if not _quiet:
        out.print(shown(text), soft_wrap=True)


def notice(message: str) -> None:
    """A sentence that a person should know; goes to standard error."""
    if not _quiet:
        err.print(f"note: {shown(message)}", style="yellow", soft_wrap=True)


def fail(message: object) -> None:
    """What went wrong, on a line of standard error."""
    err.print(f"veridical: {shown(message)}", soft_wrap=True)


@contextmanager
def progress(title: str) -> Iterator[Update]:
    """A progress bar on standard error, only if that is a terminal."""
    bar = Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TimeElapsedColumn(), TimeRemainingColumn(), console=err, transient=True, disable=_quiet or not err.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task(shown(title), total=1)

        def update(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield update
