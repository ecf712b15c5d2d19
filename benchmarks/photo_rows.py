"""What the measurements on folders of photographs share: records, measures and tables.

A row is one coded picture; it is a line of JSON, and beside it an ``.npz`` file holds the features of
the patches of each version, from which distances of any set of pictures follow. So a killed run
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
    TrunkFeatures,
    frechet_difference,
    frechet_with_error,
    kernel_distance,
    mse_unit,
    psnr_db,
    st_lpips,
    wasserstein_distortion,
)
from veridical.measure.stlpips import Trunk

REALISMS = (0.0, 0.25, 0.5, 0.75, 1.0)
VERSIONS = ("ordinary", *(f"{a:g}" for a in REALISMS))
"""The ordinary decoder, and veridical at these realisms; a learned file has no ordinary decoder."""

STAGES = (3, 5)
"""Of EfficientNet-Lite0: fine detail, and larger shapes."""

SIGMAS = (4.0, 16.0)
"""Windows of the Wasserstein distortion, in pixels."""

CROP = 256
_ORDER = ("VDC", "VDC-AVIF", "VDC-WEBP", "VDC-JPEG", "AVIF", "WEBP", "JPEG", "JXL")
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


def _features_file(folder: Path, row: Row) -> Path:
    stem = Path(row["picture"]).stem
    return folder / f"{stem}-{row['format']}-{row['target_bits_per_pixel']}.npz"


def add_measures(
    row: Row, truth: np.ndarray, versions: dict[str, np.ndarray], folder: Path, *, slow: bool
) -> Row:
    """A row with the measures of each version, the features of whose patches are stored.

    PSNR and squared error on all of the picture; on its central 256 x 256 pixels ST-LPIPS by AlexNet and, of
    the decoder and the ends of the knob, by VGG, and the Wasserstein distortion on VGG's second stage.
    """
    row, trunk = dict(row), TrunkFeatures()
    for key, x in versions.items():
        row[f"psnr_db {key}"] = psnr_db(truth, x)
        row[f"mse {key}"] = mse_unit(truth, x)
        if not slow:
            continue
        one, two = central(truth), central(x)
        row[f"alex {key}"] = st_lpips(one, two)
        if key in ("ordinary", "0", "1"):
            row[f"vgg {key}"] = st_lpips(one, two, trunk=Trunk.VGG)
            for sigma in SIGMAS:
                row[f"wd{sigma:g} {key}"] = wasserstein_distortion(one, two, sigma, features=trunk)
    arrays = {
        f"{key} {stage}": PatchFeatures(stage=stage)(x).astype(np.float16)
        for stage in STAGES
        for key, x in {"original": truth, **versions}.items()
    }
    np.savez(_features_file(folder, row), **arrays)
    return row


def features(folder: Path, rows: list[Row], key: str, stage: int) -> list[np.ndarray]:
    """Stored features of one version of all pictures, a table each."""
    out = []
    for row in rows:
        with np.load(_features_file(folder, row)) as z:
            out.append(z[f"{key} {stage}"].astype(np.float64))
    return out


def tables(sources: list[tuple[Path, list[Row]]], *, by_rate: bool = False) -> str:
    """Markdown tables of rows and the folders where their features lie."""
    start = "| format | bits/pixel "
    realisms = " | ".join(f"{a:g}" for a in REALISMS)
    off = "predicted less measured PSNR at 0, 1"
    heads = [
        f"{start}| PSNR dB: decoder | {realisms} | gain at 0 | error 1 / error 0 | formula / measured at 1 | {off} |",
        f"{start}| Frechet: decoder | {realisms} | 1 / lower of decoder and 0 | their difference |",
        f"{start}| KID: decoder | {realisms} | ST-LPIPS: decoder | {realisms} |",
        f"{start}| Frechet, stage 5: decoder | 0 | 1 | ST-LPIPS by VGG: decoder | 0 | 1 | "
        + " | ".join(f"WD, {s:g} pixels: decoder | 0 | 1" for s in SIGMAS)
        + " |",
    ]
    groups: dict[tuple[float, ...], tuple[Path, list[Row]]] = {}
    for folder, rows in sources:
        for r in rows:
            key = (_ORDER.index(r["format"]), r["target_bits_per_pixel"])
            groups.setdefault(key[::-1] if by_rate else key, (folder, []))[1].append(r)
    found = [_lines(*groups[key]) for key in sorted(groups)]
    parts = [
        "\n".join([head, "|---" * (head.count("|") - 1) + "|", *(f[k] for f in found)])
        for k, head in enumerate(heads)
    ]
    return "\n\n".join(parts)


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


def _lines(folder: Path, rows: list[Row]) -> list[str]:
    """One format at one rate in every table."""
    name = rows[0]["format"]
    rate = f"{_NAMES.get(name, name)} | {_mean(rows, 'bits_per_pixel'):.3f}"
    d = {v: _mean(rows, f"mse {v}") for v in VERSIONS}
    there = [v for v in VERSIONS if not np.isnan(d[v])]
    cost = _mean(rows, "transport_cost")
    p = [_mean(rows, f"psnr_db {v}") for v in VERSIONS]
    first = [
        *(_cell(x, ".2f") for x in p),
        _cell(p[1] - p[0], "+.2f"),
        _cell(d["1"] / d["0"], ".2f"),
        _cell((d["0"] + cost) / d["1"], ".3f"),
        ", ".join(_off(rows, v) for v in ("0", "1")),
    ]
    original = features(folder, rows, "original", 3)
    mine = {v: features(folder, rows, v, 3) for v in there}
    truth, sets = _statistics(original), {v: _statistics(f) for v, f in mine.items()}
    frechet = {v: frechet_with_error(truth, sets[v]) for v in there}
    second = [
        f"{frechet[v].value:.1f} ± {frechet[v].standard_error:.1f}" if v in there else "–"
        for v in VERSIONS
    ]
    if "1" in there:
        lower = min((v for v in ("ordinary", "0") if v in there), key=lambda v: frechet[v].value)
        gap = frechet_difference(truth, sets[lower], sets["1"])
        second.append(f"{frechet['1'].value / frechet[lower].value:.2f}")
        second.append(f"{gap.value:+.1f} ± {gap.standard_error:.1f}")
    whole = np.concatenate(original)
    kid = {v: kernel_distance(whole, np.concatenate(mine[v])).value for v in there}
    third = [_cell(kid.get(v, np.nan), ".3g") for v in VERSIONS]
    third += [_cell(_mean(rows, f"alex {v}"), ".3f") for v in VERSIONS]
    ends, fourth = ("ordinary", "0", "1"), []
    truth = _statistics(features(folder, rows, "original", 5))
    for v in ends:
        shown = v in there
        value = (
            frechet_with_error(truth, _statistics(features(folder, rows, v, 5))) if shown else None
        )
        fourth.append("–" if value is None else f"{value.value:.0f}")
    fourth += [_cell(_mean(rows, f"vgg {v}"), ".3f") for v in ends]
    for sigma in SIGMAS:
        fourth += [_cell(_mean(rows, f"wd{sigma:g} {v}"), ".3g") for v in ends]
    return [f"| {rate} | {' | '.join(cells)} |" for cells in (first, second, third, fourth)]


def _statistics(parts: list[np.ndarray]) -> list[FeatureStatistics]:
    return [FeatureStatistics.of(f) for f in parts]
