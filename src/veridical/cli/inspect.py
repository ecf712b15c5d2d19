"""The commands that say what a coded file is and measure it: info and compare."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from veridical.batch import Engine
from veridical.cli import terminal
from veridical.cli.comparison import coded, compare_folders, comparison_table
from veridical.cli.many import EngineName, Jobs
from veridical.cli.photo import Device, Force, MaxPixels, Seed, Weights
from veridical.cli.photo_jobs import PhotoJob, compare_job
from veridical.cli.pipes import STANDARD, AsJson, as_source, say_json
from veridical.errors import InvalidSetting, SomeFailed, VeridicalError
from veridical.notices import silent
from veridical.photo.options import DEFAULT_MAX_PIXELS, DecodeOptions

if TYPE_CHECKING:
    from veridical.photo.image import FileInfo

REALISMS = (0.0, 0.5, 1.0)
UNSURE_DB = 3.0
"""Uncertainties above are those of pictures unlike photographs."""

Plot = Annotated[
    Path | None,
    typer.Option("--plot", help="Draw the price curve (PNG, PDF or SVG; extra research)."),
]


def info(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="AVIF, WebP, JPEG, JPEG XL or .vdc files, folders or patterns; - is standard input."
        ),
    ],
    weights: Weights = None,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    plot: Plot = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Say what a file is and predict the error of every setting before decoding."""
    from veridical.cli.files import expand
    from veridical.cli.plot import Drawn, check_plot, draw_prices
    from veridical.photo.decode import info as photo_info

    found = expand(files, coded())
    check_plot(plot, found, force)
    options = DecodeOptions(weights=weights, max_pixels=max_pixels)
    drawn, failed = [], []
    for path in found:
        try:
            i = photo_info(as_source(path), options, notice=partial(_tell, path))
        except VeridicalError as cause:
            if len(found) == 1:
                raise
            terminal.fail(terminal.about(str(path), str(cause)))
            failed.append(path)
            continue
        if as_json:
            say_json({"file": path} | _facts(i))
        else:
            terminal.out.print(_table(str(path), i))
        if i.price is not None:
            drawn.append(Drawn(path.name, i.price))
    draw_prices(drawn, plot, as_json=as_json)
    if failed:
        names = "\n  ".join(map(str, failed))
        raise SomeFailed(f"{len(failed)} of {len(found)} cannot be read:\n  {names}")


def _tell(path: Path, message: str) -> None:
    terminal.notice(terminal.about(str(path), message))


def _facts(i: FileInfo) -> dict[str, Any]:
    predictions = None
    if i.price is not None:
        predictions = [
            {
                "realism": a,
                "psnr_db": i.predicted_psnr_db(a),
                "perception": i.price.perception_at(a),
            }
            for a in _decodable(i)
        ]
    return asdict(i) | {"predictions": predictions}


def _decodable(i: FileInfo) -> tuple[float, ...]:
    return REALISMS if i.has_generator else REALISMS[:1]


def _table(title: str, i: FileInfo) -> Table:
    table = Table(title=terminal.shown(title), title_justify="left", show_header=False)
    kind = i.format + (", greyscale" if i.grey else "") + (", alpha" if i.alpha else "")
    table.add_row("format", kind + (", lossless" if i.lossless else ""))
    table.add_row("size", f"{i.width} x {i.height} pixels, {i.n_bytes:,} bytes")
    table.add_row("rate", f"{i.bits_per_pixel:.3f} bits per pixel")
    if i.quantizer is not None:
        table.add_row("quantizer", f"{i.quantizer:.3f} (0 finest, 1 coarsest)")
    for name, value in i.details.items():
        table.add_row(name, terminal.shown(value))
    if i.price is not None:
        for a in _decodable(i):
            table.add_row(
                f"realism {a:g}",
                f"predicted PSNR {i.predicted_psnr_db(a):.2f} dB, distance at most "
                f"{i.price.perception_at(a):.3g}",
            )
        sigma, best = i.price.uncertainty_db, i.predicted_psnr_db(0.0)
        if sigma is not None:
            table.add_row(
                "uncertainty",
                f"{sigma:.1f} dB (standard deviation): {best - 2 * sigma:.1f} to {best + 2 * sigma:.1f} dB at realism 0"
                + ("; unlike a photograph that was coded once" if sigma > UNSURE_DB else ""),
            )
        table.add_row("distance", "squared W2 to this generator's own law, not to photographs")
    return table


def compare(
    original: Annotated[
        Path, typer.Argument(help="The picture before coding, or a folder of them.")
    ],
    file: Annotated[
        Path,
        typer.Argument(
            help="The coded file, or a folder of them with the originals' names; - is standard input."
        ),
    ],
    seed: Seed = 0,
    device: Device = "auto",
    weights: Weights = None,
    out_dir: Annotated[
        Path | None,
        typer.Option("--out-dir", "-o", help="With folders: where comparison.csv goes."),
    ] = None,
    workers: Jobs = None,
    engine: EngineName = "loky",
    force: Force = False,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Measure the ordinary decoder and realism 0, 0.5 and 1 against the original.

    PSNR, and where the extra metrics is installed ST-LPIPS and Frechet distance. A .vdc file has no ordinary
    decoder, and realism 0 alone if its weights have no generator.
    """
    from veridical.cli.plot import Drawn, check_plot, draw_prices
    from veridical.measure.photo import has_metrics
    from veridical.photo.decode import info as photo_info

    options = DecodeOptions(seed=seed, device=device, weights=weights, max_pixels=max_pixels)
    if original.is_dir() or file.is_dir():
        if plot is not None:
            raise InvalidSetting("--plot draws one file, not folders; compare two files")
        team = Engine(engine, workers, torch=has_metrics())
        options = replace(options, threads=team.threads)
        compare_folders(original, file, out_dir, options, engine=team, force=force, as_json=as_json)
        return
    if original == file == STANDARD:
        raise InvalidSetting("only one of the two can be standard input")
    if plot is not None and file == STANDARD:
        raise InvalidSetting("--plot reads the file twice; name it instead of sending it")
    check_plot(plot, (original, file), force)
    job = PhotoJob(original, file, options)
    with terminal.progress("comparing") as update:
        result = compare_job(job, terminal.notice, update)
    rows = result["rows"]
    if as_json:
        say_json({"original": original, "file": file, "rows": rows, "notices": result["notices"]})
    else:
        terminal.out.print(comparison_table(rows, f"{file} against {original}"))
    if plot is not None:
        price = photo_info(file, options, notice=silent).price
        measured = [(row["name"], row["psnr_db"]) for row in rows]
        draw_prices(
            [] if price is None else [Drawn(file.name, price, measured)], plot, as_json=as_json
        )
