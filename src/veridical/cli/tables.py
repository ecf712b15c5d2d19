"""Numbers and ranges from the command line, and tables, JSON or CSV back to it."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Annotated, Any

import typer

from veridical.cli.pipes import plain, with_flags
from veridical.errors import InvalidSetting

Row = dict[str, Any]
_MOST_POINTS = 100_000
POINTS = "A number, START:STOP:COUNT, or several options; inf for no constraint."
Distortions = Annotated[list[str] | None, typer.Option("--distortion", "-d", help=POINTS)]
Perceptions = Annotated[list[str] | None, typer.Option("--perception", "-p", help=POINTS)]
Rates = Annotated[list[str] | None, typer.Option("--rate", "-r", help="Bits. " + POINTS)]
Common = Annotated[
    list[str] | None, typer.Option("--common", help="Bits of common randomness. " + POINTS)
]
Tolerance = Annotated[float, typer.Option("--tolerance", help="Largest gap between the bounds.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON list.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")]


def number(text: str) -> float:
    """A number.

    Raises:
        InvalidSetting: it is none.
    """
    try:
        return float(text)
    except ValueError as cause:
        raise InvalidSetting(f"{text!r} is not a number; write 0.05, inf or 0:0.5:11") from cause


def numbers(texts: list[str] | None, name: str, default: str | None = None) -> list[float]:
    """Numbers and ranges ``START:STOP:COUNT``, both ends included."""
    out: list[float] = []
    if not texts:
        if default is None:
            raise InvalidSetting(
                f"give at least one --{name}, for example --{name} 0.05 or a range"
            )
        texts = [default]
    for text in texts:
        parts = text.split(":")
        if len(parts) == 1:
            out.append(number(text))
            continue
        whole = len(parts) == 3 and parts[2].isdecimal() and len(parts[2]) <= 6
        if not whole or not 2 <= int(parts[2]) <= _MOST_POINTS:
            raise InvalidSetting(
                f"{text!r:.80} is no range; write START:STOP:COUNT with a COUNT from 2 to {_MOST_POINTS:,}"
            )
        if len(out) + int(parts[2]) > _MOST_POINTS:
            raise InvalidSetting(
                f"{text!r} asks for more than {_MOST_POINTS} points; lower the COUNT"
            )
        low, high, count = number(parts[0]), number(parts[1]), int(parts[2])
        out += [low + (high - low) * k / (count - 1) for k in range(count)]
    return out


def tabular(command: Callable[..., Iterable[Row]]) -> Callable[..., None]:
    """A command that prints the rows which it gives, with the options ``--json`` and ``--csv``."""

    def run(*words: Any, as_json: bool = False, as_csv: bool = False, **options: Any) -> None:
        show([*command(*words, **options)], as_json, as_csv)

    return with_flags(run, command, as_json=AsJson, as_csv=AsCsv)


def show(rows: list[Row], as_json: bool, as_csv: bool) -> None:
    """Print rows.

    Raises:
        InvalidSetting: both formats at once.
    """
    if as_json and as_csv:
        raise InvalidSetting("choose one of --json and --csv")
    if as_json:
        sys.stdout.write(json.dumps(plain(rows), indent=1) + "\n")
    elif as_csv:
        _csv(rows)
    else:
        _table(rows)


def _csv(rows: list[Row]) -> None:
    writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _table(rows: list[Row]) -> None:
    """Aligned columns, never cut: what a terminal is too narrow for follows below; in a pipe lines are as long as they are."""
    cells = [[name.replace("_", " ") for name in rows[0]]]
    cells += [
        [f"{x:.7g}" if isinstance(x, float) else str(x) for x in row.values()] for row in rows
    ]
    columns = [
        [x.rjust(max(map(len, column))) for x in column] for column in zip(*cells, strict=True)
    ]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    while columns:
        ends = list(accumulate(len(column[0]) + 2 for column in columns))
        count = max(1, sum(end - 2 <= room for end in ends))
        for line in zip(*columns[:count], strict=True):
            sys.stdout.write("  ".join(line) + "\n")
        columns = columns[count:]
        sys.stdout.write("\n" if columns else "")
