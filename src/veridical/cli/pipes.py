"""Standard input and output as files, results as JSON, and the options that every command has."""

from __future__ import annotations

import functools
import inspect
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from veridical.arrays import read_whole
from veridical.cli import terminal
from veridical.errors import InvalidSetting, MissingFile, UnwritableOutput

STANDARD = Path("-")
"""Stands for standard input or output."""

AsJson = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON, one object a line.")
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print only errors and what was asked for.")
]
Verbose = Annotated[bool, typer.Option("--verbose", help="Say what is done, on standard error.")]


def talkative(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with the options ``--quiet`` and ``--verbose``, which it need not know of."""

    def run(*words: Any, quiet: bool = False, verbose: bool = False, **options: Any) -> Any:
        terminal.talk(quiet=quiet, verbose=verbose)
        return command(*words, **options)

    return with_flags(run, command, quiet=Quiet, verbose=Verbose)


def with_flags(run: Any, command: Callable[..., Any], **flags: Any) -> Callable[..., Any]:
    """``run`` under the name of a command, with its options and these flags."""
    signature = inspect.signature(command, eval_str=True)
    parameters = [
        *signature.parameters.values(),
        *(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
            for name, kind in flags.items()
        ),
    ]
    functools.update_wrapper(run, command)
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    run.__signature__ = signature.replace(parameters=parameters)
    return run


def as_source(path: Path) -> Path | bytes:
    """A file that was named, or for ``-`` the bytes of standard input.

    Raises:
        MissingFile: Standard input is a terminal, or cannot be read.
    """
    if path != STANDARD:
        return path
    if sys.stdin is None or sys.stdin.isatty():
        raise MissingFile("standard input is a terminal; send a file to it: veridical ... - < FILE")
    try:
        return read_whole(sys.stdin.buffer, "standard input")
    except OSError as cause:
        raise MissingFile(f"cannot read standard input: {cause.strerror or cause}") from cause


def check_standard_output() -> None:
    """Refuse to write a file to a terminal.

    Raises:
        UnwritableOutput: Standard output is one.
    """
    if sys.stdout.isatty():
        raise UnwritableOutput(
            "standard output is a terminal; send it to a file or a program (> FILE), or name an output"
        )


def write_standard(data: bytes) -> None:
    """Bytes to standard output."""
    check_standard_output()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def check_json(as_json: bool, target: Path | None) -> None:
    """Refuse a file and its description in one stream.

    Raises:
        InvalidSetting: Both would go to standard output.
    """
    if as_json and target == STANDARD:
        raise InvalidSetting("the output and --json both go to standard output; name an output")


def say_json(value: Any) -> None:
    """A result as one line of JSON."""
    sys.stdout.write(json.dumps(plain(value)) + "\n")


def plain(value: Any) -> Any:
    """A value as JSON has it: no tuples and paths, and ``null`` for infinity and NaN."""
    if isinstance(value, dict):
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
