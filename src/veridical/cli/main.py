"""Entry point of the command line: every error of the package becomes one line and exit code 2."""

from __future__ import annotations

import io
import os
import sys

import typer

from veridical import __version__
from veridical.cli.completion import asks_for_completion, completion
from veridical.cli.demo import demo
from veridical.cli.design import design
from veridical.cli.limits import limits_app
from veridical.cli.models import models
from veridical.cli.photo import compare, decode, encode, info
from veridical.cli.samples import samples_app
from veridical.cli.study import study
from veridical.cli.train import train_app
from veridical.cli.view import view
from veridical.errors import SomeFailed, VeridicalError
from veridical.extras import missing

__all__ = ["app", "main"]

app = typer.Typer(
    name="veridical",
    help="Lossy compression with a realism knob at decode time.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(encode)
app.command()(decode)
app.command()(info)
app.command()(compare)
app.command()(view)
app.command()(demo)
app.command()(models)
app.command()(design)
app.command()(study)
app.add_typer(limits_app, name="limits")
app.add_typer(samples_app, name="samples")
app.add_typer(train_app, name="train")


def _version(value: bool) -> None:
    if value:
        typer.echo(f"veridical {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and stop."
    ),
) -> None:
    del version


def main() -> None:
    """Run the command line and exit with its code.

    0 done, 2 bad input or usage, 3 some of many files failed, 130 interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that the terminal's encoding lacks is no reason to stop.
            stream.reconfigure(errors="backslashreplace")
    try:
        words = sys.argv[1:]
        if asks_for_completion(words):
            completion(*words)
            return
        # Under any other name, such as that of ``python -m veridical``, completion would not know it.
        app(prog_name="veridical")
    except VeridicalError as error:
        typer.echo(f"veridical: {error}", err=True)
        sys.exit(3 if isinstance(error, SomeFailed) else 2)
    except ModuleNotFoundError as cause:
        typer.echo(f"veridical: {missing(cause)}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("veridical: interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:  # the reader of a pipe went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
