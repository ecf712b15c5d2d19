"""Perception of one picture at a time: Wasserstein distortion along the knob, beside squared error and Frechet distance.

[T] V asks for a measure that needs no law over pictures ([46]). Each photograph is coded once and decoded at every
realism. The Wasserstein distortion is measured on the middle of the picture, on its pixels and on features of
a network, at windows from a point (squared error) to the whole; the Frechet distance on patches of all pictures.
"""

from __future__ import annotations

import math
import os
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from veridical.errors import MissingFile
from veridical.measure import (
    FeatureStatistics,
    PatchFeatures,
    TrunkFeatures,
    frechet_with_error,
    mse_unit,
    wasserstein_distortion,
)
from veridical.photo.encode import encode
from veridical.photo.formats import open_image
from veridical.photo.options import DecodeOptions
from veridical.photo.windows import decode_at
from veridical.studies.records import Record, Run, load_record, save_record
from veridical.studies.style import grid, save_figure, shades

REALISMS = (0.0, 0.25, 0.5, 0.75, 1.0)
SIGMAS = (0.0, 2.0, 8.0, 32.0, math.inf)
RATE_BITS_PER_PIXEL = 0.2
MIDDLE = 256
"""Pixels a side of what the Wasserstein distortion is measured on."""


def compute(run: Run) -> Record:
    """``quick``: AVIF and two parts of the picture that ships. ``full``: AVIF and JPEG on Kodak, by picture in ``run.work``.

    Raises:
        MissingFile: there are no photographs.
        MissingDependency: the extra ``metrics`` is not installed.
    """
    formats = ("AVIF",) if run.preset == "quick" else ("AVIF", "JPEG")
    pictures = _parts() if run.preset == "quick" else _kodak(run.data)
    run.work.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, NDArray[np.float64]] = {}
    for k, name in enumerate(formats):
        rows = []
        for n, (stem, picture) in enumerate(pictures.items()):
            path = run.work / f"{stem}-{name}.npz"
            if not path.is_file():
                save_record(Record(path.stem, {}, _measured(picture, name)), run.work)
            rows.append(load_record(path).arrays)
            run.progress(k * len(pictures) + n + 1, len(formats) * len(pictures))
        for key in ("mse", "pixels", "features"):
            arrays[f"{name} {key}"] = np.array([row[key] for row in rows])
        truth, *sets = zip(
            *([FeatureStatistics.of(p) for p in row["patches"]] for row in rows), strict=True
        )
        far = [frechet_with_error(truth, one) for one in sets]
        arrays[f"{name} frechet"] = np.array([[f.value, f.standard_error] for f in far])
    return Record("per-sample", {"formats": list(formats), "pictures": len(pictures)}, arrays)


def _parts() -> dict[str, Image.Image | Path]:
    with Image.open(str(files("veridical.photo") / "demo.webp")) as opened:
        picture = opened.convert("RGB")
    return {f"part-{k}": picture.crop((160 * k, 80, 160 * k + 160, 240)) for k in range(2)}


def _kodak(data: Path | None) -> dict[str, Image.Image | Path]:
    folder = (data or Path(os.environ.get("VERIDICAL_DATA", "../shared/data"))) / "kodak"
    found: dict[str, Image.Image | Path] = {p.stem: p for p in sorted(folder.glob("*.png"))}
    if len(found) < 2:
        raise MissingFile(
            f"no photographs in {folder}; name with --data the folder that holds kodak/*.png, or take --preset quick"
        )
    return found


def _measured(picture: Image.Image | Path, name: str) -> dict[str, NDArray]:
    """``mse`` by realism, ``pixels`` and ``features`` by window and realism, ``patches`` of original and versions."""
    if isinstance(picture, Path):
        with Image.open(picture) as opened:
            picture = opened.convert("RGB")
    file = open_image(encode(picture, format=name, bpp=RATE_BITS_PER_PIXEL), DecodeOptions())
    versions = [np.asarray(p.convert("RGB")) for p in (picture, *decode_at(file, REALISMS))]
    top, left = (max(0, (n - MIDDLE) // 2) for n in versions[0].shape[:2])
    trunk, patches = TrunkFeatures(), PatchFeatures()
    middles = [np.ascontiguousarray(x[top : top + MIDDLE, left : left + MIDDLE]) for x in versions]
    out = {
        "mse": np.array([mse_unit(versions[0], x) for x in versions[1:]]),
        "patches": np.array([patches(x) for x in versions], dtype=np.float16),
    }
    for key, f in (
        ("pixels", [x / 255 for x in middles]),
        ("features", [trunk(x) for x in middles]),
    ):
        width = len(f[0]) / len(middles[0])  # positions a pixel
        out[key] = np.array(
            [[wasserstein_distortion(f[0], g, s * width) for g in f[1:]] for s in SIGMAS]
        )
    return out


def draw(record: Record, folder: Path) -> list[Path]:
    """Each measure along the knob, means over pictures, as a share of its value at realism 0."""
    formats, colours = record.facts["formats"], shades(len(SIGMAS))
    with grid(len(formats), 3, width=3.4, height=2.7) as (drawn, panels):
        for row, name in zip(panels, formats, strict=True):
            for axes, key in zip(row, ("pixels", "features"), strict=False):
                values = record.arrays[f"{name} {key}"].mean(axis=0)
                for sigma, colour, line in zip(SIGMAS, colours, values, strict=True):
                    axes.plot(REALISMS, line / line[0], "o-", ms=3, color=colour,
                              label=f"$\\sigma$ = {sigma:g}" if np.isfinite(sigma) else "whole")  # fmt: skip
                axes.set(title=f"{name}: Wasserstein distortion, {key}", ylim=(0, None))
            mse, (far, error) = (
                record.arrays[f"{name} mse"].mean(axis=0),
                record.arrays[f"{name} frechet"].T,
            )
            row[2].plot(REALISMS, mse / mse[0], "o-", ms=3, color=colours[0], label="squared error")
            row[2].errorbar(REALISMS, far / far[0], error / far[0], fmt="o-", ms=3, capsize=2,
                            color=colours[-1], label="Frechet, all pictures")  # fmt: skip
            row[2].set(title=f"{name}: whole pictures", ylim=(0, None))
            row[0].set_ylabel("share of realism 0")
        for axes in panels[-1]:
            axes.set_xlabel("realism")
        panels[0][0].legend(fontsize=7)
        panels[0][2].legend(fontsize=7)
        return save_figure(drawn, folder, "per-sample")
