"""The commands for finite sources: one point of R(D, P), a whole surface, limited common randomness."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from veridical.arrays import read_npz
from veridical.cli import terminal
from veridical.cli.samples import read_csv
from veridical.cli.tables import (
    AsCsv,
    AsJson,
    Common,
    Distortions,
    Perceptions,
    Rates,
    Row,
    numbers,
    show,
    tabular,
)
from veridical.errors import InvalidSetting, NotConverged

if TYPE_CHECKING:
    from veridical.limits import Divergence, FiniteSource

MaxSymbols = Annotated[int, typer.Option(help="Largest alphabet that is read.")]
SourceFile = Annotated[
    Path, typer.Argument(help="NPZ with source, distortion and, for w2, cost; or CSV.")
]
Measure = Annotated[
    str,
    typer.Option(
        help="tv, w2, kl (reconstruction from source, nats), kl-reverse, chi2, hellinger, js (nats), renyi (nats)."
    ),
]
Order = Annotated[float, typer.Option(help="Order of renyi.")]


def rate_grid(
    rate: list[str] | None, common: list[str] | None, perception: list[str] | None
) -> product[tuple[float, ...]]:
    """All combinations of ``R``, ``Rc`` and ``P``."""
    return product(
        numbers(rate, "rate"),
        numbers(common, "common", "0"),
        numbers(perception, "perception", "0"),
    )


def distortions(found: Any) -> dict[str, float]:
    """Middle and ends of a bound."""
    names = ("distortion", "lower_distortion", "upper_distortion")
    return {name: getattr(found, name) for name in names}


def add_commands(app: typer.Typer) -> None:
    """Add the commands of this module to an application."""
    for command in (discrete, distortion_at_rate, tabular(surface), common):
        app.command()(command)


def discrete(
    *,
    file: SourceFile,
    distortion: Distortions = None,
    perception: Perceptions = None,
    divergence: Measure = "tv",
    order: Order = 0.5,
    tolerance: Annotated[float, typer.Option(help="Largest gap in bits.")] = 1e-6,
    max_symbols: MaxSymbols = 2048,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Certified R(D, P) of any finite source.

    A CSV has one line per source symbol: its probability, then its row of the distortion.
    """
    from veridical.limits import Bound, least_rate

    source, measure = _problem(file, divergence, order, max_symbols)
    points = product(numbers(distortion, "distortion"), numbers(perception, "perception", "inf"))
    _solve(
        list(points), Bound,
        lambda D, P: least_rate(source, D, P, divergence=measure, tolerance_bits=tolerance),
        lambda D, P, b: {
            "distortion": D, "perception": P, "rate_bits": b.rate_bits, "lower_bits": b.lower_bits,
            "upper_bits": b.upper_bits, "slope_distortion": b.slope_distortion,
            "slope_perception": b.slope_perception, "iterations": b.iterations,
        },
        as_json, as_csv,
    )  # fmt: skip


def distortion_at_rate(
    *,
    file: SourceFile,
    rate: Rates = None,
    perception: Perceptions = None,
    divergence: Measure = "tv",
    order: Order = 0.5,
    tolerance: Annotated[
        float, typer.Option(help="Largest gap, relative to the distortion without rate.")
    ] = 1e-6,
    max_symbols: MaxSymbols = 2048,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Certified D(R, P) of any finite source, unlimited common randomness: the inverse of `discrete`."""
    from veridical.limits import DistortionBound
    from veridical.limits import distortion_at_rate as bracket

    source, measure = _problem(file, divergence, order, max_symbols)
    points = product(numbers(rate, "rate"), numbers(perception, "perception", "inf"))
    _solve(
        list(points), DistortionBound,
        lambda R, P: bracket(source, R, P, divergence=measure, tolerance=tolerance),
        lambda R, P, b: {"rate_bits": R, "perception": P} | distortions(b),
        as_json, as_csv,
    )  # fmt: skip


def surface(
    *,
    file: SourceFile,
    distortion: Annotated[str, typer.Option("--distortion", "-d", help="START:STOP:COUNT.")],
    perception: Annotated[str, typer.Option("--perception", "-p", help="START:STOP:COUNT.")],
    divergence: Measure = "tv",
    order: Order = 0.5,
    tolerance: Annotated[float, typer.Option(help="Largest gap in bits, everywhere.")] = 1e-3,
    max_symbols: MaxSymbols = 2048,
) -> Iterator[Row]:
    """R(D, P) of a finite source over a whole rectangle, printed on a grid of it.

    The bracket holds between the points of the grid as well.
    """
    from veridical.limits import surface as bracket

    source, measure = _problem(file, divergence, order, max_symbols)
    D, P = numbers([distortion], "distortion"), numbers([perception], "perception")
    if len(D) < 2 or len(P) < 2:
        raise InvalidSetting("a surface needs two ranges, such as --distortion 0.05:0.3:11")
    with terminal.progress("solving") as update:
        found = bracket(
            source, (min(D), max(D)), (min(P), max(P)),
            divergence=measure, tolerance_bits=tolerance, progress=update,
        )  # fmt: skip
    for d, p in product(D, P):
        lower, upper = float(found.lower_bits(d, p)), float(found.upper_bits(d, p))
        yield {
            "distortion": d, "perception": p, "rate_bits": 0.5 * (lower + upper),
            "lower_bits": lower, "upper_bits": upper, "gap_bits": found.gap_bits,
        }  # fmt: skip


def common(
    *,
    file: Annotated[
        Path, typer.Argument(help="NPZ with points, (n,) or (n, 2), and source; or CSV.")
    ],
    rate: Rates = None,
    perception: Perceptions = None,
    common: Common = None,
    tolerance: Annotated[
        float, typer.Option(help="Widest bracket that is accepted, relative to the variance.")
    ] = math.inf,
    max_symbols: MaxSymbols = 2048,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """D(R, Rc, P) of weighted points with limited common randomness: a proven bracket.

    Squared error and squared Wasserstein-2 distance. A CSV has one line per point: its probability, then
    its one or two coordinates.
    """
    from veridical.limits import CommonRandomnessBound, least_distortion

    arrays = _read(file, ("points", "source"), max_symbols)
    points = rate_grid(rate, common, perception)
    x, p = arrays["points"], arrays["source"]
    _solve(
        list(points), CommonRandomnessBound,
        lambda R, Rc, P: least_distortion(x, p, R, P, Rc, tolerance=tolerance),
        lambda R, Rc, P, b: {
            "rate_bits": R, "common_bits": Rc, "perception": P,
            "lower_distortion": b.lower_distortion, "upper_distortion": b.upper_distortion,
            "mmse": b.mmse, "transport_cost": b.transport_cost,
        },
        as_json, as_csv,
    )  # fmt: skip


def _solve(
    points: list[tuple[float, ...]],
    kind: type,
    solve: Callable[..., Any],
    row: Callable[..., dict[str, Any]],
    as_json: bool,
    as_csv: bool,
) -> None:
    """Solve each point and print a row; what stayed wider than asked for is printed and then fails."""
    rows = []
    with terminal.progress("solving") as update:
        for k, point in enumerate(points):
            update(k, len(points))
            certified = True
            try:
                bound = solve(*point)
            except NotConverged as failure:
                if not isinstance(failure.best, kind):
                    raise
                bound, certified = failure.best, False
                terminal.notice(str(failure))
            rows.append({**row(*point, bound), "certified": certified})
    show(rows, as_json, as_csv)
    failed = sum(not one["certified"] for one in rows)
    if failed:
        raise NotConverged(
            f"{failed} of {len(rows)} points did not reach the tolerance; their brackets are printed"
        )


def _problem(
    file: Path, divergence: str, order: float, max_symbols: int
) -> tuple[FiniteSource, Divergence]:
    """The source and the measure."""
    from veridical.limits import FiniteSource
    from veridical.limits.divergence import by_name

    arrays = _read(file, ("source", "distortion"), max_symbols)
    measure = by_name(divergence, cost=arrays.get("cost"), order=order)
    return FiniteSource(arrays["source"], arrays["distortion"]), measure


def _read(file: Path, names: tuple[str, ...], max_symbols: int = 2048) -> dict[str, Any]:
    """The arrays that are needed, and the cost where there is one, of at most ``max_symbols`` symbols."""
    import numpy as np

    most = max_symbols * (max_symbols + 1)
    if file.suffix.lower() == ".csv":
        table = np.atleast_2d(read_csv(file, most))
        second = names[1] if names[0] == "source" else names[0]
        arrays = {"source": table[:, 0], second: table[:, 1:]}
    else:
        arrays = read_npz(file, {*names, "cost"}, 8 * 3 * most)
        for name in names:
            if name not in arrays:
                raise InvalidSetting(
                    f"{file} holds {', '.join(arrays) or 'none of what is needed'}; it needs {name!r}"
                )
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise InvalidSetting(f"{name!r} of {file} holds {array.dtype}, not real numbers")
        if max(array.shape, default=0) > max_symbols:
            raise InvalidSetting(
                f"{name!r} of {file} has the shape {array.shape}, more than {max_symbols:,} symbols; if there is "
                "memory and time for it, raise the limit (--max-symbols N)"
            )
    return arrays
