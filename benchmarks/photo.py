"""Photographs: error, perception and prediction for each format and rate, on a folder of originals.

    python benchmarks/photo.py ../shared/data/kodak --out runs/bench-kodak

Every picture is coded in each format at (at most) each rate; where a format cannot go that low,
its lowest quality is used and the true rate reported. Records are kept, so a killed run goes on.
Measured for the ordinary decoder and for realism 0, 0.5 and 1: PSNR, mean squared error beside its
prediction before decoding, ST-LPIPS on the central 256 x 256 pixels, and the Frechet distance on
EfficientNet-Lite0 features of 64-pixel patches over all pictures, with its jackknife error.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track

from veridical import encode, info
from veridical.errors import TargetUnreachable
from veridical.measure import (
    FeatureStatistics,
    PatchFeatures,
    frechet_with_error,
    mse_unit,
    psnr_db,
    st_lpips,
)
from veridical.photo.decode import decode_picture
from veridical.photo.reader import open_coded

FORMATS = ("AVIF", "WEBP", "JPEG")
VERSIONS = ("ordinary", "0", "0.5", "1")
CROP = 256


def coded(picture: Image.Image, name: str, bpp: float) -> bytes:
    """The file of at most a rate, or the smallest there is."""
    try:
        return encode(picture, format=name, bpp=bpp)
    except TargetUnreachable:
        return encode(picture, format=name, quality=0)


def central(x: np.ndarray) -> np.ndarray:
    """The middle of a picture."""
    top, left = ((n - CROP) // 2 if n > CROP else 0 for n in x.shape[:2])
    return np.ascontiguousarray(x[top : top + CROP, left : left + CROP])


def measure(path: Path, name: str, bpp: float, steps: int, folder: Path, *, stlpips: bool) -> dict:
    """One picture in one format at one rate."""
    with Image.open(path) as opened:
        original = opened.convert("RGB")
    truth = np.asarray(original)
    data = coded(original, name, bpp)
    facts = info(data, steps=steps)
    picture = open_coded(data)
    versions = {"ordinary": picture.pixels}
    for a in (0.0, 0.5, 1.0):
        versions[f"{a:g}"] = np.asarray(
            decode_picture(picture, realism=a, steps=steps).convert("RGB")
        )
    features = PatchFeatures()
    row: dict = {
        "picture": path.name,
        "format": name,
        "target_bits_per_pixel": bpp,
        "bits_per_pixel": facts.bits_per_pixel,
        "transport_cost": mse_unit(versions["0"], versions["1"]),
        "predicted_mse": {f"{a:g}": facts.price.distortion_at(a) for a in (0.0, 0.5, 1.0)},
    }
    for key, x in versions.items():
        row[f"psnr_db {key}"] = psnr_db(truth, x)
        row[f"mse {key}"] = mse_unit(truth, x)
        row[f"stlpips {key}"] = st_lpips(central(truth), central(x)) if stlpips else float("nan")
    store = {"original": features.statistics(truth)} | {
        key: features.statistics(x) for key, x in versions.items()
    }
    arrays = {}
    for key, s in store.items():
        arrays |= {
            f"{key} count": np.array(s.count),
            f"{key} mean": s.mean,
            f"{key} scatter": s.scatter,
        }
    np.savez(folder / f"{path.stem}-{name}-{bpp}.npz", **arrays)
    return row


def statistics(folder: Path, rows: list[dict], key: str) -> list[FeatureStatistics]:
    """Stored feature statistics of one version of all pictures."""
    out = []
    for r in rows:
        stem = Path(r["picture"]).stem
        with np.load(folder / f"{stem}-{r['format']}-{r['target_bits_per_pixel']}.npz") as z:
            out.append(
                FeatureStatistics(int(z[f"{key} count"]), z[f"{key} mean"], z[f"{key} scatter"])
            )
    return out


def report(rows: list[dict], folder: Path) -> str:
    """Markdown tables."""
    head = "format | bits/pixel | {}: decoder | realism 0 | 0.5 | 1"
    checks = "gain at 0 | error 1 / error 0 | formula / measured at 1"
    prediction = "price list / measured at 0, 0.5, 1"
    lines = [f"| {head.format('PSNR dB')} | {checks} | {prediction} |", "|---" * 10 + "|"]
    stlpips = "ST-LPIPS: decoder | realism 0 | 0.5 | 1"
    second = [f"| {head.format('Frechet')} | {stlpips} |", "|---" * 10 + "|"]
    keys = sorted({(FORMATS.index(r["format"]), r["target_bits_per_pixel"]) for r in rows})
    for f, bpp in keys:
        mine = [r for r in rows if r["format"] == FORMATS[f] and r["target_bits_per_pixel"] == bpp]

        def mean(key: str, mine: list[dict] = mine) -> float:
            return float(np.mean([r[key] for r in mine]))

        rate = f"{FORMATS[f]} | {mean('bits_per_pixel'):.3f}"
        p = [mean(f"psnr_db {v}") for v in VERSIONS]
        d = {v: mean(f"mse {v}") for v in VERSIONS}
        predicted = [np.mean([r["predicted_mse"][v] for r in mine]) / d[v] for v in VERSIONS[1:]]
        formula = (d["0"] + mean("transport_cost")) / d["1"]
        lines.append(
            f"| {rate} | {p[0]:.2f} | {p[1]:.2f} | {p[2]:.2f} | {p[3]:.2f} | {p[1] - p[0]:+.2f} "
            f"| {d['1'] / d['0']:.2f} | {formula:.3f} | {', '.join(f'{x:.2f}' for x in predicted)} |"
        )
        original = statistics(folder, mine, "original")
        distances = [frechet_with_error(original, statistics(folder, mine, v)) for v in VERSIONS]
        cells = " | ".join(f"{m.value:.1f} ± {m.standard_error:.1f}" for m in distances)
        lpips = " | ".join(f"{mean(f'stlpips {v}'):.4f}" for v in VERSIONS)
        second.append(f"| {rate} | {cells} | {lpips} |")
    return "\n".join([*lines, "", *second])


def main() -> None:
    """Measure what is missing and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("originals", type=Path, help="folder of pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder of the records")
    parser.add_argument("--bpp", type=float, nargs="+", default=[0.1, 0.2, 0.4, 0.8])
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument(
        "--no-stlpips", dest="stlpips", action="store_false", help="leave out the slowest measure"
    )
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    log = arguments.out / f"records-{arguments.steps}.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    seen = {(r["picture"], r["format"], r["target_bits_per_pixel"]) for r in rows}
    paths = sorted(p for p in arguments.originals.iterdir() if p.suffix in (".png", ".webp"))
    todo = [
        (path, name, bpp)
        for path in paths
        for name in FORMATS
        for bpp in arguments.bpp
        if (path.name, name, bpp) not in seen
    ]
    with log.open("a") as out:
        for path, name, bpp in track(todo, description="measuring", disable=None):
            row = measure(
                path, name, bpp, arguments.steps, arguments.out, stlpips=arguments.stlpips
            )
            rows.append(row)
            out.write(json.dumps(row) + "\n")
            out.flush()
    text = report(rows, arguments.out)
    (arguments.out / f"table-{arguments.steps}.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
