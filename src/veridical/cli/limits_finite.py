"""The commands for finite sources: one point of R(D, P), a whole surface, limited common randomness."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Annotated, Any

import typer

from veridical.cli import terminal
from veridical.cli.tables import (
    AsCsv,
    AsJson,
    Common,
    Distortions,
    Perceptions,
    Rates,
    numbers,
    show,
)
from veridical.errors import InvalidSetting, MissingFile, NotConverged

__all__ = ["add_commands"]

_MOST_BYTES = 64 << 20
# A table of this side takes 32 MiB, and the solver some dozens of them.
_MOST_SYMBOLS = 2048
_MEASURES = "tv, w2, kl, kl-reverse, chi2, hellinger, renyi."


def add_commands(app: typer.Typer) -> None:
    """Add the commands of this module to an application."""
    for command in (discrete, surface, common):
        app.command()(command)


def discrete(
    *,
    file: Annotated[
        Path, typer.Argument(help="NPZ with source, distortion and, for w2, cost; or CSV.")
    ],
    distortion: Distortions = None,
    perception: Perceptions = None,
    divergence: Annotated[str, typer.Option(help=_MEASURES)] = "tv",
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

    arrays = _read(file, ("source", "distortion"))
    source = FiniteSource(arrays["source"], arrays["distortion"])
    measure = by_name(divergence, cost=arrays.get("cost"), order=order)
    rows = []
    failed = 0
    for D, P in product(
        numbers(distortion, "distortion"), numbers(perception, "perception", "inf")
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
    show(rows, as_json, as_csv)
    if failed:
        raise NotConverged(
            f"{failed} of {len(rows)} points did not reach the tolerance; their brackets are printed"
        )


def surface(
    *,
    file: Annotated[
        Path, typer.Argument(help="NPZ with source, distortion and, for w2, cost; or CSV.")
    ],
    distortion: Annotated[str, typer.Option("--distortion", "-d", help="START:STOP:COUNT.")],
    perception: Annotated[str, typer.Option("--perception", "-p", help="START:STOP:COUNT.")],
    divergence: Annotated[str, typer.Option(help=_MEASURES)] = "tv",
    order: Annotated[float, typer.Option(help="Order of renyi.")] = 0.5,
    tolerance: Annotated[float, typer.Option(help="Largest gap in bits, everywhere.")] = 1e-3,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """R(D, P) of a finite source over a whole rectangle, printed on a grid of it.

    The bracket holds between the points of the grid as well.
    """
    from veridical.limits import FiniteSource
    from veridical.limits import surface as bracket
    from veridical.limits.divergence import by_name

    arrays = _read(file, ("source", "distortion"))
    measure = by_name(divergence, cost=arrays.get("cost"), order=order)
    D, P = numbers([distortion], "distortion"), numbers([perception], "perception")
    if len(D) < 2 or len(P) < 2:
        raise InvalidSetting("a surface needs two ranges, such as --distortion 0.05:0.3:11")
    with terminal.progress("solving") as update:
        found = bracket(
            FiniteSource(arrays["source"], arrays["distortion"]), (min(D), max(D)), (min(P), max(P)),
            divergence=measure, tolerance_bits=tolerance, progress=update,
        )  # fmt: skip
    rows = []
    for d, p in product(D, P):
        lower, upper = float(found.lower_bits(d, p)), float(found.upper_bits(d, p))
        rows.append({
            "distortion": d, "perception": p, "rate_bits": 0.5 * (lower + upper),
            "lower_bits": lower, "upper_bits": upper, "gap_bits": found.gap_bits,
        })  # fmt: skip
    show(rows, as_json, as_csv)


def common(
    *,
    file: Annotated[
        Path, typer.Argument(help="NPZ with points, (n,) or (n, 2), and source; or CSV.")
    ],
    rate: Rates = None,
    perception: Perceptions = None,
    common: Common = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """D(R, Rc, P) of weighted points with limited common randomness: a proven bracket.

    Squared error and squared Wasserstein-2 distance. A CSV has one line per point: its probability, then
    its one or two coordinates.
    """
    from veridical.limits import least_distortion

    arrays = _read(file, ("points", "source"))
    rows = []
    for R, Rc, P in product(
        numbers(rate, "rate"),
        numbers(common, "common", "0"),
        numbers(perception, "perception", "0"),
    ):
        b = least_distortion(arrays["points"], arrays["source"], R, P, Rc)
        rows.append({
            "rate_bits": R, "common_bits": Rc, "perception": P,
            "lower_distortion": b.lower_distortion, "upper_distortion": b.upper_distortion,
            "mmse": b.mmse, "transport_cost": b.transport_cost,
        })  # fmt: skip
    show(rows, as_json, as_csv)


def _read(file: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """The arrays of a command from NPZ, or from CSV: the source, then the second name.

    Raises:
        MissingFile, InvalidSetting, DamagedFile: no such file, or not what is asked for, or too large.
    """
    if not file.is_file():
        raise MissingFile(f"{file} does not exist or is no file")
    return (
        _read_csv(file, names[1] if names[0] == "source" else names[0])
        if (file.suffix.lower() == ".csv")
        else _read_npz(file, names)
    )


def _read_csv(file: Path, second: str) -> dict[str, Any]:
    import numpy as np

    if file.stat().st_size > _MOST_BYTES:
        raise InvalidSetting(
            f"{file} is larger than {_MOST_BYTES >> 20} MiB; is it the right file?"
        )
    try:
        table = np.loadtxt(file, delimiter=",", dtype=np.float64, ndmin=2)
    except (OSError, ValueError) as cause:
        raise InvalidSetting(f"{file} is no CSV of numbers: {cause}") from cause
    return {"source": table[:, 0], second: table[:, 1:]}


def _read_npz(file: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """Only what is asked for, and only after its header says how large it is."""
    import zipfile

    import numpy as np

    from veridical.errors import DamagedFile

    wanted = (*names, "cost")
    try:
        with zipfile.ZipFile(file) as archive:
            members = {name.removesuffix(".npy"): name for name in archive.namelist()}
            arrays = {}
            for name in wanted:
                if name not in members:
                    continue
                with archive.open(members[name]) as stream:
                    version = np.lib.format.read_magic(stream)
                    header = {
                        (1, 0): np.lib.format.read_array_header_1_0,
                        (2, 0): np.lib.format.read_array_header_2_0,
                    }[version]
                    shape, _, dtype = header(stream)
                _within(file, name, shape, dtype.itemsize)
                with archive.open(members[name]) as stream:
                    arrays[name] = np.lib.format.read_array(stream, allow_pickle=False)
    except InvalidSetting:
        raise
    # Foreign bytes: anything may come out of the parsers.
    except Exception as cause:
        raise DamagedFile(
            f"{file} cannot be read as NPZ: {cause or 'it ends too early'}"
        ) from cause
    for name in names:
        if name not in arrays:
            raise InvalidSetting(
                f"{file} holds {', '.join(members) or 'nothing'}; it needs {name!r}"
            )
    return arrays


def _within(file: Path, name: str, shape: tuple[int, ...], itemsize: int) -> None:
    if max(shape, default=1) > _MOST_SYMBOLS or itemsize > 16:
        raise InvalidSetting(
            f"{name!r} of {file} has the shape {shape}; an alphabet has at most {_MOST_SYMBOLS} symbols"
        )
