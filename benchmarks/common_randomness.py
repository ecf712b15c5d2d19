"""What common randomness costs and gains in `.vdc` files: no seed, scalar dither, E8 with dither.

    python benchmarks/common_randomness.py ../shared/data/kodak --out runs/bench-seed --bpp 0.1 0.2 0.4 0.8

Every picture is coded by each quantizer to the same bytes, within 1 %, and decoded at realism 0 and
1. On the [0, 1] scale, mean over pictures (and seeds): `d` the error at realism 0, `C` the mean
squared change from realism 0 to 1, and `D(P=0)` the error at realism 1; of 8-bit pictures. The last
columns are the rate that a dither takes above rounding at equal `d` and at equal `D(P=0)`, in
percent (plus: it costs more than it gains), by interpolating rounding's log rate over the log error
in each picture, with the standard error of the mean; rounding is also coded at 0.6 times the lowest
and 1.6 times the highest rate for that. Pictures in which an error lies outside are left out, and
the number of those that remain is shown. Weights without a generator give `d` alone.

Finished pictures are kept in records.json under --out, so that a killed run goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import Progress

import veridical
from veridical.measure import mse_unit
from veridical.photo.options import EncodeOptions
from veridical.photo.vdc.encode import LatentPicture, VdcEncoder
from veridical.photo.vdc.model import VdcModel, load_model, vdc_path
from veridical.photo.vdc.prior import QUALITY_STEPS
from veridical.photo.vdc.quantizers import QUANTIZERS
from veridical.photo.weights import network_path

WITHIN = 0.01
BESIDE = (0.6, 1.6)
COLUMNS = ("bits/pixel", "quantizer", "pictures", "bytes", "quality", "d, 1e-4", "PSNR dB", "C, 1e-4",
           "C/d", "D(P=0), 1e-4", "PSNR dB", "rate at equal d, %", "rate at equal D(P=0), %")  # fmt: skip
Row = dict[str, float]
Rows = dict[str, list[Row]]


def quality_for(encoder: VdcEncoder, picture: LatentPicture, target: float) -> int | None:
    """A quality whose file has the bytes, within 1 %, or as near as there is; None if far off."""
    low, high, best = 0, QUALITY_STEPS, (float("inf"), 0)
    while low <= high:
        middle = (low + high) // 2
        size = len(encoder.at_quality(picture, middle))
        best = min(best, (abs(size / target - 1), middle))
        if best[0] <= WITHIN / 4:
            break
        low, high = (middle + 1, high) if size < target else (low, middle - 1)
    return best[1] if best[0] <= WITHIN else None


def measured(
    model: VdcModel, original: Image.Image, name: str, bpp: float, seeds: int
) -> Row | None:
    """One picture, one quantizer, one rate: means over seeds; None where no quality has the rate."""
    pixels = original.width * original.height
    truth = np.asarray(original)
    sums: list[Row] = []
    quality = None
    for seed in range(1, seeds + 1):
        encoder = VdcEncoder(model, EncodeOptions(quantizer=name, seed=seed))
        analysed = encoder.analyse(original)
        if quality is None:
            quality = quality_for(encoder, analysed, bpp * pixels / 8)
        if quality is None:
            return None
        data = encoder.at_quality(analysed, quality)
        mmse = np.asarray(veridical.decode(data, realism=0.0, weights=model.path))
        row = {"quality": quality / 100, "bytes": len(data), "bpp": 8 * len(data) / pixels}
        row["d"] = mse_unit(truth, mmse)
        if model.has_generator:
            real = veridical.decode(data, realism=1.0, seed=seed, weights=model.path)
            row["C"] = mse_unit(np.asarray(real), mmse)
            row["D1"] = mse_unit(truth, np.asarray(real))
        sums.append(row)
    return {key: float(np.mean([r[key] for r in sums])) for key in sums[0]}


def jobs(rates: list[float]) -> Iterator[tuple[str, float]]:
    """Quantizer and rate of every measurement of a picture."""
    for name in QUANTIZERS:
        yield from ((name, bpp) for bpp in rates)
    yield "scalar", BESIDE[0] * rates[0]
    yield "scalar", BESIDE[1] * rates[-1]


def extra_rate(rows: Rows, row: Row, key: str) -> float:
    """Percent of rate above rounding at an equal error; NaN outside what was measured."""
    known = sorted((r[key], r["bpp"]) for r in rows["scalar"] if r and key in r)
    errors, rates = np.log(np.array(known)).T if known else (np.zeros(0), np.zeros(0))
    at = np.log(row[key])
    if errors.size < 2 or not errors[0] <= at <= errors[-1]:
        return float("nan")
    return 100 * (row["bpp"] / float(np.exp(np.interp(at, errors, rates))) - 1)


def with_error(values: list[float]) -> str:
    """Mean, standard error and number of the finite values."""
    x = np.array([v for v in values if np.isfinite(v)])
    if not x.size:
        return "-"
    error = f" ± {x.std(ddof=1) / np.sqrt(x.size):.1f}" if x.size > 1 else ""
    return f"{x.mean():+.1f}{error} ({x.size})"


def report(records: dict[str, Rows], rates: list[float]) -> str:
    """Markdown table over the pictures that every quantizer could code at the rate."""
    lines = [
        f"| {' | '.join(COLUMNS)} |",
        "|---" * len(COLUMNS) + "|",
    ]
    for k, bpp in enumerate(rates):
        both = [rows for rows in records.values() if all(rows[name][k] for name in QUANTIZERS)]
        for name in QUANTIZERS if both else ():
            mine = [rows[name][k] for rows in both]
            mean = {key: float(np.mean([r[key] for r in mine])) for key in mine[0]}
            cells = [f"{mean['bpp']:.3f}", name, str(len(mine)), f"{mean['bytes']:.0f}",
                     f"{mean['quality']:.1f}", *error_cells(mean, "d")]  # fmt: skip
            if "C" in mean:
                cells += [f"{1e4 * mean['C']:.3f}", f"{mean['C'] / mean['d']:.3f}"]
                cells += error_cells(mean, "D1")
            else:
                cells += ["-"] * 4
            for key in ("d", "D1"):
                found = [
                    extra_rate(rows, row, key)
                    for rows, row in zip(both, mine, strict=True)
                    if key in row
                ]
                cells.append("-" if name == "scalar" else with_error(found))
            lines.append(f"| {' | '.join(cells)} |")
        if not both:
            lines.append(f"| {bpp:.3f} | no picture has this rate in every quantizer |")
    return "\n".join(lines)


def error_cells(mean: Row, key: str) -> list[str]:
    """A mean squared error, and the same as PSNR."""
    return [f"{1e4 * mean[key]:.3f}", f"{-10 * np.log10(mean[key]):.2f}"]


def generator_digest(weights: Path | None) -> str:
    """Of the generator's file beside the weights; empty if there is none."""
    path = network_path(vdc_path(weights), "generator")
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def stored(path: Path, settings: dict) -> dict[str, Rows]:
    """The finished pictures of a run with the same settings."""
    if not path.exists():
        return {}
    kept = json.loads(path.read_text())
    if kept["settings"] != settings:
        sys.exit(
            f"{path} was measured with other settings ({kept['settings']}); give another --out"
        )
    return kept["pictures"]


def main() -> None:
    """Measure what is missing and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("originals", type=Path, help="folder of pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder of the record")
    parser.add_argument("--bpp", type=float, nargs="+", default=[0.1, 0.2, 0.4, 0.8])
    parser.add_argument("--weights", type=Path, help="own weights instead of the shipped ones")
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--seeds", type=int, default=1, help="seeds to average over")
    parser.add_argument("--limit", type=int, help="pictures at most")
    arguments = parser.parse_args()
    model = load_model(arguments.weights, device=arguments.device)
    rates = sorted(arguments.bpp)
    settings = {
        "model": model.digest, "generator": generator_digest(arguments.weights), "bpp": rates,
        "seeds": arguments.seeds,
    }  # fmt: skip
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "records.json"
    records = stored(path, settings)
    pictures = sorted(
        p for p in arguments.originals.iterdir() if p.suffix.lower() in (".png", ".webp", ".jpg")
    )[: arguments.limit]
    console = Console(stderr=True)
    todo = [p for p in pictures if p.name not in records]
    each = list(jobs(rates))
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("measuring", total=len(todo) * len(each))
        for picture in todo:
            with Image.open(picture) as opened:
                original = opened.convert("RGB")
            rows: Rows = {name: [] for name in QUANTIZERS}
            for name, bpp in each:
                rows[name].append(measured(model, original, name, bpp, arguments.seeds) or {})
                progress.advance(task)
            records[picture.name] = rows
            temporary = path.with_suffix(".tmp")
            temporary.write_text(json.dumps({"settings": settings, "pictures": records}))
            temporary.replace(path)
    text = report({p.name: records[p.name] for p in pictures}, rates)
    (arguments.out / "table.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
