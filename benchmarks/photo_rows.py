"""What the measurements on folders of photographs share: records, measures and tables.

A row is one coded picture; it is a line of JSON, and beside it an ``.npz`` file holds the feature
statistics of each version, from which distances of any set of pictures follow. So a killed run
goes on, and tables of several runs can be joined without measuring anything again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.progress import track

from veridical.measure import (
    FeatureStatistics,
    PatchFeatures,
    frechet_with_error,
    mse_unit,
    psnr_db,
    st_lpips,
)

VERSIONS = ("ordinary", "0", "0.5", "1")
"""The ordinary decoder, and veridical at these realisms; a learned file has no ordinary decoder."""

CROP = 256
_ORDER = ("VDC", "VDC-AVIF", "VDC-WEBP", "VDC-JPEG", "AVIF", "WEBP", "JPEG")
_NAMES = {f"VDC-{name}": f"VDC in {name}'s bytes" for name in ("AVIF", "WEBP", "JPEG")}

Row = dict[str, Any]


def picture_paths(folder: Path) -> list[Path]:
    """The pictures of a folder, in order."""
    return sorted(p for p in folder.iterdir() if p.suffix in (".png", ".webp"))


def pixels_of(path: Path) -> np.ndarray:
    """Colours, uint8 of shape (height, width, 3)."""
    with Image.open(path) as opened:
        return np.array(opened.convert("RGB"))


@dataclass
class Records:
    """Rows of a file, which grows by one line at a time.

    Attributes:
        path: Of the lines.
        rows: All so far.
    """

    path: Path
    rows: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            self.rows = [json.loads(line) for line in self.path.read_text().splitlines()]

    def missing(self, tasks: Iterable[Row]) -> list[Row]:
        """The tasks none of whose rows is there; a row has all that its task has."""
        return [t for t in tasks if not any(_agree(t, row) for row in self.rows)]

    def measure(
        self, work: Callable[..., Row], tasks: Iterable[Row], jobs: int, **same: Any
    ) -> None:
        """Do what is missing by ``work(**task, **same)`` in several processes, and keep the rows."""
        todo = self.missing(tasks)
        with self.path.open("a") as out:
            done = _in_parallel(work, [t | same for t in todo], jobs)
            for row in track(done, description="measuring", total=len(todo), disable=None):
                self.rows.append(row)
                out.write(json.dumps(row) + "\n")
                out.flush()


def _agree(task: Row, row: Row) -> bool:
    return all(row.get(key) == value for key, value in task.items())


def _in_parallel(work: Callable[..., Row], tasks: list[Row], jobs: int) -> Iterator[Row]:
    """One process computes with all its threads; several with one thread each."""
    if jobs == 1:
        yield from (work(**t) for t in tasks)
        return
    from joblib import Parallel, delayed, parallel_config

    with parallel_config(backend="loky", inner_max_num_threads=1):
        yield from Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)(
            delayed(work)(**t) for t in tasks
        )


def central(x: np.ndarray) -> np.ndarray:
    """The middle of a picture."""
    top, left = ((n - CROP) // 2 if n > CROP else 0 for n in x.shape[:2])
    return np.ascontiguousarray(x[top : top + CROP, left : left + CROP])


def _statistics_file(folder: Path, row: Row) -> Path:
    stem = Path(row["picture"]).stem
    return folder / f"{stem}-{row['format']}-{row['target_bits_per_pixel']}.npz"


def add_measures(
    row: Row, truth: np.ndarray, versions: dict[str, np.ndarray], folder: Path, *, stlpips: bool
) -> Row:
    """A row with the measures of each version, whose feature statistics are stored.

    PSNR and squared error on all of the picture, ST-LPIPS on its central 256 x 256 pixels.
    """
    row = dict(row)
    for key, x in versions.items():
        row[f"psnr_db {key}"] = psnr_db(truth, x)
        row[f"mse {key}"] = mse_unit(truth, x)
        row[f"stlpips {key}"] = st_lpips(central(truth), central(x)) if stlpips else float("nan")
    features = PatchFeatures()
    arrays = {}
    for key, x in {"original": truth, **versions}.items():
        s = features.statistics(x)
        arrays |= {
            f"{key} count": np.array(s.count),
            f"{key} mean": s.mean,
            f"{key} scatter": s.scatter,
        }
    np.savez(_statistics_file(folder, row), **arrays)
    return row


def statistics(folder: Path, rows: list[Row], key: str) -> list[FeatureStatistics]:
    """Stored feature statistics of one version of all pictures."""
    out = []
    for row in rows:
        with np.load(_statistics_file(folder, row)) as z:
            out.append(
                FeatureStatistics(int(z[f"{key} count"]), z[f"{key} mean"], z[f"{key} scatter"])
            )
    return out


def tables(sources: list[tuple[Path, list[Row]]], *, by_rate: bool = False) -> str:
    """Markdown tables of rows and the folders where their statistics lie."""
    head = "format | bits/pixel | {}: decoder | realism 0 | 0.5 | 1"
    checks = "gain at 0 | error 1 / error 0 | formula / measured at 1"
    prediction = "predicted less measured PSNR at 0, 1"
    lines = [f"| {head.format('PSNR dB')} | {checks} | {prediction} |", "|---" * 10 + "|"]
    stlpips = "ST-LPIPS: decoder | realism 0 | 0.5 | 1"
    second = [f"| {head.format('Frechet')} | {stlpips} |", "|---" * 10 + "|"]
    groups: dict[tuple[float, ...], tuple[Path, list[Row]]] = {}
    for folder, rows in sources:
        for r in rows:
            key = (_ORDER.index(r["format"]), r["target_bits_per_pixel"])
            groups.setdefault(key[::-1] if by_rate else key, (folder, []))[1].append(r)
    for key in sorted(groups):
        first, other = _lines(*groups[key])
        lines.append(first)
        second.append(other)
    return "\n".join([*lines, "", *second])


def _mean(rows: list[Row], key: str) -> float:
    """Mean over the pictures; NaN if one does not have it."""
    return float(np.mean([r.get(key, np.nan) for r in rows]))


def _cell(x: float, form: str) -> str:
    return "–" if np.isnan(x) else format(x, form)


def _off(rows: list[Row], version: str) -> str:
    """Predicted less measured PSNR in dB: mean and standard deviation over the pictures."""
    pairs = [
        (r["predicted_mse"].get(version, np.nan), r.get(f"mse {version}", np.nan)) for r in rows
    ]
    off = [10 * np.log10(measured / predicted) for predicted, measured in pairs]
    return f"{_cell(float(np.mean(off)), '+.2f')} ± {_cell(float(np.std(off)), '.2f')}"


def _lines(folder: Path, rows: list[Row]) -> tuple[str, str]:
    """One format at one rate in both tables."""
    name = rows[0]["format"]
    rate = f"{_NAMES.get(name, name)} | {_mean(rows, 'bits_per_pixel'):.3f}"
    p = [_mean(rows, f"psnr_db {v}") for v in VERSIONS]
    d = {v: _mean(rows, f"mse {v}") for v in VERSIONS}
    cost = _mean(rows, "transport_cost")
    first = [
        *(_cell(x, ".2f") for x in p),
        _cell(p[1] - p[0], "+.2f"),
        _cell(d["1"] / d["0"], ".2f"),
        _cell((d["0"] + cost) / d["1"], ".3f"),
        ", ".join(_off(rows, v) for v in ("0", "1")),
    ]
    original = statistics(folder, rows, "original")
    distances = []
    for v in VERSIONS:
        if np.isnan(d[v]):
            distances.append("–")
            continue
        m = frechet_with_error(original, statistics(folder, rows, v))
        distances.append(f"{m.value:.1f} ± {m.standard_error:.1f}")
    lpips = [_cell(_mean(rows, f"stlpips {v}"), ".4f") for v in VERSIONS]
    return f"| {rate} | {' | '.join(first)} |", f"| {rate} | {' | '.join(distances + lpips)} |"
