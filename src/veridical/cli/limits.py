"""The commands ``veridical limits ...``: what no code can beat, as a table, JSON or CSV."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from veridical.cli import terminal
from veridical.errors import InvalidSetting, MissingFile, NotConverged

__all__ = ["limits_app"]

limits_app = typer.Typer(
    help="What no code can beat: rate, distortion, perception.", no_args_is_help=True
)

Row = dict[str, Any]
_POINTS = "A number, START:STOP:COUNT, or several options; inf for no constraint."
Distortions = Annotated[list[str] | None, typer.Option("--distortion", "-d", help=_POINTS)]
Perceptions = Annotated[list[str] | None, typer.Option("--perception", "-p", help=_POINTS)]
Rates = Annotated[list[str] | None, typer.Option("--rate", "-r", help="Bits. " + _POINTS)]
Common = Annotated[
    list[str] | None, typer.Option("--common", help="Bits of common randomness. " + _POINTS)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON list.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")]


@limits_app.callback()
def _group() -> None:
    """What no code can beat: rate, distortion, perception."""


@limits_app.command()
def bernoulli(
    *,
    p: Annotated[float, typer.Option("--p", help="Probability of a one.")],
    distortion: Distortions = None,
    perception: Perceptions = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """R(D, P) of a Bernoulli source: Hamming distortion, total variation."""
    from veridical.limits import bernoulli_rate_bits, bernoulli_thresholds

    rows = []
    for D, P in product(
        _numbers(distortion, "distortion"), _numbers(perception, "perception", "0")
    ):
        rate = float(bernoulli_rate_bits(p, D, P))
        first, second = (float(x) for x in bernoulli_thresholds(p, P))
        rows.append({
            "p": p, "distortion": D, "perception": P, "rate_bits": rate,
            "lower_bits": rate, "upper_bits": rate, "free_until": first, "zero_from": second,
        })  # fmt: skip
    _show(rows, as_json, as_csv)


@limits_app.command()
def circle(
    *,
    outputs: Annotated[
        list[str] | None, typer.Option("--outputs", "-m", help="M. " + _POINTS)
    ] = None,
    seeds: Annotated[
        list[str] | None, typer.Option("--seeds", "-k", help="K, or inf. " + _POINTS)
    ] = None,
    perception: Perceptions = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """One-shot D(P) of the unit circle with M outputs and K seeds."""
    from veridical.limits import circle_distortion, circle_mmse, circle_w2_squared

    rows = []
    for M, K, P in product(
        _numbers(outputs, "outputs"),
        _numbers(seeds, "seeds", "1"),
        _numbers(perception, "perception", "0"),
    ):
        D = float(circle_distortion(M, P, K))
        rows.append({
            "outputs": M, "seeds": K, "perception": P, "distortion": D,
            "mmse": float(circle_mmse(M)), "w2_squared": float(circle_w2_squared(M, K)),
        })  # fmt: skip
    _show(rows, as_json, as_csv)


@limits_app.command()
def gaussian(
    *,
    rate: Rates = None,
    perception: Perceptions = None,
    common: Common = None,
    variance: Annotated[float, typer.Option(help="Variance of the source.")] = 1.0,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """D(R, Rc, P) of a scalar Gaussian: squared error, squared Wasserstein-2."""
    from veridical.limits import gaussian_distortion, gaussian_transport_cost

    rows = []
    for R, Rc, P in product(
        _numbers(rate, "rate"),
        _numbers(common, "common", "0"),
        _numbers(perception, "perception", "0"),
    ):
        rows.append({
            "rate_bits": R, "common_bits": Rc, "perception": P,
            "distortion": float(gaussian_distortion(R, P, Rc, variance)),
            "transport_cost": float(gaussian_transport_cost(R, Rc, variance)),
        })  # fmt: skip
    _show(rows, as_json, as_csv)


@limits_app.command(name="vector-gaussian")
def vector_gaussian(
    *,
    eigenvalues: Annotated[str, typer.Option(help="Comma-separated variances.")],
    rate: Rates = None,
    perception: Perceptions = None,
    common: Common = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """D(R, Rc, P) of a vector Gaussian, and the penalty of an encoder that ignores perception."""
    from veridical.limits import oblivious_distortion, vector_gaussian_distortion

    spectrum = [_number(x) for x in eigenvalues.split(",")]
    rows = []
    for R, Rc, P in product(
        _numbers(rate, "rate"),
        _numbers(common, "common", "0"),
        _numbers(perception, "perception", "0"),
    ):
        found = vector_gaussian_distortion(spectrum, R, P, Rc)
        plain = oblivious_distortion(spectrum, R, P, Rc)
        rows.append({
            "rate_bits": R, "common_bits": Rc, "perception": P, "distortion": found.distortion,
            "lower_distortion": found.lower_distortion, "upper_distortion": found.upper_distortion,
            "oblivious_distortion": plain,
            "penalty": max(plain / found.distortion - 1.0, 0.0) if found.distortion else 0.0,
        })  # fmt: skip
    _show(rows, as_json, as_csv)


@limits_app.command()
def discrete(
    *,
    file: Annotated[
        Path, typer.Argument(help="NPZ with source, distortion and, for w2, cost; or CSV.")
    ],
    distortion: Distortions = None,
    perception: Perceptions = None,
    divergence: Annotated[
        str, typer.Option(help="tv, w2, kl, kl-reverse, chi2, hellinger, renyi.")
    ] = "tv",
    order: Annotated[float, typer.Option(help="Order of renyi.")] = 0.5,
    tolerance: Annotated[float, typer.Option(help="Largest gap in bits.")] = 1e-6,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Certified R(D, P) of any finite source.

    A CSV has one line per source symbol: its probability, then its row of the distortion.
    """
    from veridical.limits import Bound, FiniteSource, least_rate
    from veridical.limits.divergence import by_name

    arrays = _read(file)
    source = FiniteSource(arrays["source"], arrays["distortion"])
    measure = by_name(divergence, cost=arrays.get("cost"), order=order)
    rows = []
    failed = 0
    for D, P in product(
        _numbers(distortion, "distortion"), _numbers(perception, "perception", "inf")
    ):
        try:
            b, certified = (
                least_rate(source, D, P, divergence=measure, tolerance_bits=tolerance),
                True,
            )
        except NotConverged as failure:
            if not isinstance(failure.best, Bound):
                raise
            b, certified = failure.best, False
            failed += 1
            terminal.notice(str(failure))
        rows.append({
            "distortion": D, "perception": P, "rate_bits": b.rate_bits, "lower_bits": b.lower_bits,
            "upper_bits": b.upper_bits, "slope_distortion": b.slope_distortion,
            "slope_perception": b.slope_perception, "iterations": b.iterations, "certified": certified,
        })  # fmt: skip
    _show(rows, as_json, as_csv)
    if failed:
        raise NotConverged(
            f"{failed} of {len(rows)} points did not reach the tolerance; their brackets are printed"
        )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as cause:
        raise InvalidSetting(f"{text!r} is not a number; write 0.05, inf or 0:0.5:11") from cause


def _numbers(texts: list[str] | None, name: str, default: str | None = None) -> list[float]:
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
            out.append(_number(text))
            continue
        if len(parts) != 3 or not parts[2].isdecimal() or int(parts[2]) < 2:
            raise InvalidSetting(
                f"{text!r} is no range; write START:STOP:COUNT with a COUNT of 2 or more"
            )
        low, high, count = _number(parts[0]), _number(parts[1]), int(parts[2])
        out += [low + (high - low) * k / (count - 1) for k in range(count)]
    return out


def _read(file: Path) -> dict[str, Any]:
    import numpy as np

    if not file.is_file():
        raise MissingFile(f"{file} does not exist or is no file")
    try:
        if file.suffix.lower() == ".csv":
            table = np.atleast_2d(np.loadtxt(file, delimiter=",", dtype=np.float64))
            return {"source": table[:, 0], "distortion": table[:, 1:]}
        with np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, AttributeError, TypeError) as cause:
        raise InvalidSetting(f"{file} is neither an NPZ nor a CSV of numbers: {cause}") from cause
    for name in ("source", "distortion"):
        if name not in arrays:
            raise InvalidSetting(
                f"{file} holds {', '.join(arrays) or 'nothing'}; it needs {name!r}"
            )
    return arrays


def _plain(value: Any) -> Any:
    """JSON has no infinity; a missing constraint is written as null."""
    return None if isinstance(value, float) and value in (float("inf"), float("-inf")) else value


def _show(rows: list[Row], as_json: bool, as_csv: bool) -> None:
    if as_json and as_csv:
        raise InvalidSetting("choose one of --json and --csv")
    writer: Callable[[list[Row]], None] = _table
    if as_json:
        writer = _json
    elif as_csv:
        writer = _csv
    writer(rows)


def _json(rows: list[Row]) -> None:
    plain = [{key: _plain(value) for key, value in row.items()} for row in rows]
    sys.stdout.write(json.dumps(plain, indent=1) + "\n")


def _csv(rows: list[Row]) -> None:
    writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _table(rows: list[Row]) -> None:
    table = Table()
    for name in rows[0]:
        table.add_column(name.replace("_", " "), justify="right")
    for row in rows:
        table.add_row(
            *(f"{value:.7g}" if isinstance(value, float) else str(value) for value in row.values())
        )
    terminal.out.print(table)
