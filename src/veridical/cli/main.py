"""Entry point of the command line: every error becomes one line and an exit code."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import warnings
from importlib import import_module
from typing import Annotated, Any, TextIO

import typer

from veridical import __version__
from veridical.cli import terminal
from veridical.cli.pipes import Quiet, Verbose, talkative
from veridical.errors import InvalidSetting, OutOfMemory, SomeFailed, SystemFault, VeridicalError
from veridical.extras import missing

UsageError: Any = typer.BadParameter.__base__
"""Of Typer's own copy of click, or of click where Typer is older."""

COMMANDS = {
    "encode": "photo", "decode": "photo", "info": "inspect", "compare": "inspect", "view": "view", "serve": "serve",
    "demo": "demo", "models": "models", "design": "design", "study": "study",
}  # fmt: skip
"""Module of each command."""

GROUPS = ("limits", "samples", "train")
"""Of commands, a module each."""


def application(only: str | None = None) -> typer.Typer:
    """All commands, or the one or the group that is named: importing the others would take a tenth of a second."""
    app = typer.Typer(
        name="veridical",
        help="Lossy compression with a realism knob at decode time.",
        epilog="Exit codes: 0 done, 1 a defect of veridical, 2 bad input or usage, 3 some of many files failed, "
        "130 interrupted, 143 terminated. A file named - is standard input or output.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for name in [*COMMANDS, *GROUPS] if only is None else [only]:
        module = import_module(f"veridical.cli.{COMMANDS.get(name, name)}")
        if name in GROUPS:
            app.add_typer(getattr(module, f"{name}_app"), name=name)
        else:
            app.command()(talkative(getattr(module, name)))
    return app


def _version(value: bool) -> None:
    if value:
        typer.echo(f"veridical {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", callback=_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    del version
    terminal.talk(quiet=quiet, verbose=verbose)


_SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")
_OPTIONS = ("--show-completion", "--install-completion")


def asks_for_completion(words: list[str]) -> bool:
    """Whether it is one of the two options with the name of a shell; without one Typer asks which shell called it."""
    return len(words) == 2 and words[0] in _OPTIONS and not words[1].startswith("-")


def completion(option: str, shell: str) -> None:
    """Print the completion script of a shell, or install it.

    Args:
        option: ``--show-completion`` or ``--install-completion``.
        shell: bash, zsh, fish, powershell or pwsh.

    Raises:
        InvalidSetting: Another shell.
    """
    from typer.completion import get_completion_script, install

    if shell not in _SHELLS:
        raise InvalidSetting(f"no completion for {shell!r}; choose one of {', '.join(_SHELLS)}")
    names = {"prog_name": "veridical", "complete_var": "_VERIDICAL_COMPLETE"}
    if option == "--show-completion":
        typer.echo(get_completion_script(shell=shell, **names))
        return
    _, path = install(shell=shell, **names)
    typer.echo(f"completion for {shell} is in {path}; it works in the next shell that you open")


def main() -> None:
    """Run the command line and exit with its code.

    0 done, 1 a defect of this package, 2 bad input or usage, 3 some of many files failed, 130 interrupted,
    143 terminated. Nothing leaves as a traceback.
    """
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that the terminal's encoding lacks is no reason to stop.
            stream.reconfigure(errors="backslashreplace")
    terminal.talk()
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("default", category=UserWarning)
            warnings.showwarning = _warned
            code = _run(sys.argv[1:])
    except BrokenPipeError:  # the reader of a pipe went away
        code = _silenced(0)
    except VeridicalError as error:
        code = _failed(error, 3 if isinstance(error, SomeFailed) else 2)
    except ModuleNotFoundError as cause:
        code = _failed(missing(cause), 2)
    except OSError as cause:
        code = _failed(SystemFault.of(cause), 2)
    except MemoryError:
        code = _failed(OutOfMemory.of(), 2)
    except KeyboardInterrupt:
        code = _failed("interrupted", 130)
    except Exception as cause:  # noqa: BLE001 (the last boundary)
        code = _failed(
            f"unexpected {type(cause).__name__}: {cause}; this is a defect of veridical, please report it",
            1,
        )
    finally:
        signal.signal(signal.SIGTERM, before)
    sys.exit(code)


def _open_streams() -> None:
    """Stand in for streams that are closed, so that no file gets their numbers and what is said goes nowhere."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            handle = os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            setattr(sys, name, os.fdopen(handle, "w" if number else "r", encoding="utf-8"))


def _warned(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """What the library warns of (data that do not fit a codec) is for people, without a place in the code."""
    del file, line
    if category is UserWarning:
        terminal.notice(str(message))
    else:
        terminal.err.print(warnings.formatwarning(message, category, filename, lineno), end="")


def _run(words: list[str]) -> int:
    if any(not word or (word.startswith("--") and word.endswith("=")) for word in words):
        raise InvalidSetting(
            "an argument is empty; is a variable unset? Name a file, a folder or a value"
        )
    code = 0
    try:
        if asks_for_completion(words):
            completion(*words)
        else:
            named = next((word for word in words if not word.startswith("-")), None)
            app = application(named if named in (*COMMANDS, *GROUPS) else None)
            # Under any other name, as that of ``python -m veridical``, completion would not know it.
            code = app(prog_name="veridical", standalone_mode=False) or 0
    except UsageError as cause:
        context = cause.ctx
        if message := cause.format_message().strip():  # none where the help was printed instead
            where = "veridical" if context is None else context.command_path
            terminal.fail(f"{message.rstrip('.')}; see '{where} --help'")
        code = 2
    except SystemExit as stop:
        if stop.code == 1:  # Typer's answer to a closed pipe; nothing here exits with it
            raise BrokenPipeError from stop
        raise
    if code == 130:  # Typer has caught it
        raise KeyboardInterrupt
    # What waits to be written is written here, where a full disk can still be told.
    sys.stdout.flush()
    return code


def _failed(message: object, code: int) -> int:
    """Say on one line what went wrong; a list of files is a line each."""
    lines = str(message).split("\n") if isinstance(message, SomeFailed) else [str(message)]
    with contextlib.suppress(OSError):
        terminal.fail(lines[0])
        for line in lines[1:]:
            terminal.err.print(terminal.shown(line), soft_wrap=True)
    return _silenced(code)


def _silenced(code: int) -> int:
    """Let the interpreter end without writing to a stream that takes nothing more."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _terminated(number: int, frame: object) -> None:
    """Leave as an error would, so that what was begun is cleaned up and workers are ended."""
    del frame
    sys.exit(128 + number)
