"""Measured comparisons as tables: of one file, and of two folders with their means."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

from rich.table import Table

from veridical.batch import Engine, Journal
from veridical.cli import terminal
from veridical.cli.files import expand
from veridical.cli.many import JOURNAL, Many, check_all_done
from veridical.cli.photo_jobs import PhotoJob, compare_job
from veridical.errors import InvalidSetting, MissingFile
from veridical.photo.options import DecodeOptions
from veridical.studies.records import make_folder
from veridical.writing import write_text

PICTURES = (
    ".png", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".tiff", ".bmp", ".heic", ".heif", ".jxl",
)  # fmt: skip
"""Suffixes of pictures in folders that are to be coded or compared."""

_COLUMNS = {
    "psnr_db": ("PSNR dB", ".2f"),
    "predicted_psnr_db": ("predicted dB", ".2f"),
    "stlpips": ("ST-LPIPS", ".4f"),
    "frechet": ("patch Frechet", ".3f"),
}


def coded() -> tuple[str, ...]:
    """Suffixes of coded files."""
    from veridical.photo.formats import suffixes

    return suffixes()


def comparison_table(rows: list[dict[str, Any]], title: str) -> Table:
    """A table of ``measure.photo.ComparisonRow``; columns that were not measured are left out."""
    table = Table(title=terminal.shown(title), title_justify="left")
    table.add_column("")
    shown = {k: v for k, v in _COLUMNS.items() if any(_measured(row[k]) for row in rows)}
    for name, _ in shown.values():
        table.add_column(name, justify="right", overflow="fold")
    for row in rows:
        cells = [
            format(row[k], form) if _measured(row[k]) else "" for k, (_, form) in shown.items()
        ]
        table.add_row(terminal.shown(row["name"]), *cells)
    return table


def _measured(value: float | None) -> bool:
    return value is not None and not math.isnan(value)


def compare_folders(
    originals: Path,
    files: Path,
    out_dir: Path | None,
    options: DecodeOptions,
    *,
    engine: Engine,
    force: bool,
    as_json: bool = False,
) -> None:
    """Compare every coded file of a folder with the original of the same name.

    Prints the means and writes every row to ``comparison.csv``.

    Raises:
        InvalidSetting: One of the two is not a folder, or there is no folder for the table.
        MissingFile: A coded file has no original, or more than one.
        SomeFailed: Some could not be compared; the table holds the others.
    """
    if not (originals.is_dir() and files.is_dir()):
        raise InvalidSetting("compare either two files or two folders")
    if out_dir is None:
        raise InvalidSetting("name a folder for the table of a comparison of folders: --out-dir D")
    pairs = _pairs(originals, files)
    make_folder(out_dir)
    many = Many(
        compare_job,
        "comparing",
        engine,
        out_dir,
        Journal(out_dir / JOURNAL),
        writes=False,
        as_json=as_json,
    )
    summary = many.run([PhotoJob(o, f, options) for o, f in pairs], again=force)
    results = {o.key: o.result["rows"] for o in summary.outcomes if o.error is None}
    if results:
        _write_csv(results, out_dir / "comparison.csv")
        if not as_json:
            terminal.out.print(comparison_table(_means(results), f"means of {len(results)} files"))
            terminal.say(out_dir / "comparison.csv")
    check_all_done(summary)


def _pairs(originals: Path, files: Path) -> list[tuple[Path, Path]]:
    """Each coded file with the original whose path in its folder is the same but for the suffix."""
    known: dict[Path, list[Path]] = {}
    for path in expand([originals], PICTURES):
        known.setdefault(path.relative_to(originals).with_suffix(""), []).append(path)
    pairs = []
    for path in expand([files], coded()):
        found = known.get(path.relative_to(files).with_suffix(""), [])
        if len(found) != 1:
            raise MissingFile(
                f"{path} has {len(found)} originals in {originals}; it needs one of the same name"
            )
        pairs.append((found[0], path))
    return pairs


def _means(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Means over the files by row; a column that some file lacks is left out.

    A row that some file lacks, as ``.vdc`` files lack an ordinary decoder, says of how many files it is.
    """
    by_name: dict[str, list[dict[str, Any]]] = {}
    for rows in results.values():
        for row in rows:
            by_name.setdefault(row["name"], []).append(row)
    out = []
    for name, rows in by_name.items():
        few = "" if len(rows) == len(results) else f" ({len(rows)} of {len(results)})"
        mean: dict[str, Any] = {"name": name + few}
        for key in _COLUMNS:
            values = [row[key] for row in rows]
            mean[key] = None if None in values else sum(values) / len(values)
        out.append(mean)
    return out


def _write_csv(results: dict[str, Any], target: Path) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["file", "reconstruction", *_COLUMNS])
    for key, rows in results.items():
        table.writerows(
            [terminal.shown(key), row["name"], *(row[k] for k in _COLUMNS)] for row in rows
        )
    write_text(target, text.getvalue())
