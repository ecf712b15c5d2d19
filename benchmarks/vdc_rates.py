"""Rate and distortion of ``.vdc`` files at realism 0 beside JPEG, WebP and AVIF, real bytes.

    python benchmarks/vdc_rates.py ../shared/data/kodak --out runs/bench-vdc --figure docs/vdc.png

JPEG (optimized; baseline and progressive), WebP (method 6) and AVIF as Pillow writes and reads
them; with ``--restored`` also what ``veridical`` decodes from their files at realism 0. Prints
mean bits per pixel and PSNR (RGB) by quality, and BD-rates (``veridical.measure``) of ``.vdc``
against each: of the mean curve, and the mean of those of the pictures. Last comes the length of
messages beside their entropy under the model's tables. Records are kept, so a killed run goes on;
those of other weights stay in the file and are not used.
"""

from __future__ import annotations

import argparse
import hashlib
import io
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import numpy as np
from numpy.typing import ArrayLike
from photo_rows import Records, Row, picture_paths, pixels_of
from PIL import Image

from veridical import decode
from veridical.bitstream.container import read
from veridical.bitstream.tables import SymbolEncoder, TableSet
from veridical.errors import InvalidSetting
from veridical.measure import bd_rate_percent, psnr_db
from veridical.photo.vdc import coding
from veridical.photo.vdc.encode import VdcEncoder
from veridical.photo.vdc.model import load_model
from veridical.photo.weights import SHIPPED

_JPEG = (5, 10, 15, 25, 40, 55, 70, 82, 90, 95)
RIVALS: dict[str, tuple[str, dict[str, Any], tuple[int, ...]]] = {
    "JPEG": ("JPEG", {"optimize": True}, _JPEG),
    "progressive JPEG": ("JPEG", {"optimize": True, "progressive": True}, _JPEG),
    "WebP": ("WEBP", {"method": 6}, (1, 8, 18, 30, 45, 60, 75, 85, 92, 97)),
    "AVIF": ("AVIF", {}, (5, 12, 20, 30, 40, 50, 60, 70, 80, 90)),
}
"""Name in Pillow, its settings, and qualities."""

VDC = ".vdc"
RESTORED = " by veridical"
QUALITIES = tuple(12.5 * k for k in range(9))
MESSAGE_SLACK = 64


class Counted(SymbolEncoder):
    """Adds up what the symbols of each message would cost an ideal coder."""

    ideal_bytes: ClassVar[list[float]] = []

    def __init__(self) -> None:
        super().__init__()
        Counted.ideal_bytes.append(0.0)

    def put(self, values: ArrayLike, tables: ArrayLike, table_set: TableSet) -> None:
        """As the coder, counted."""
        whole = (np.asarray(a, dtype=np.int64) for a in (values, tables))
        Counted.ideal_bytes[-1] += table_set.bits(*whole) / 8
        super().put(values, tables, table_set)


def measure(*, picture: str, codec: str, weights: str, folder: Path, path: Path | None) -> Row:
    """All qualities of one picture in one codec."""
    truth = pixels_of(folder / picture)
    if codec == VDC:
        points = vdc_points(truth, path)
    else:
        points = conventional_points(truth, codec.removesuffix(RESTORED), codec.endswith(RESTORED))
    return {"picture": picture, "codec": codec, "weights": weights, "points": points}


def conventional_points(truth: np.ndarray, codec: str, restored: bool) -> list[Row]:  # noqa: FBT001
    """Points of a conventional format, in its ordinary decoder or in ours."""
    name, settings, qualities = RIVALS[codec]
    points = []
    for quality in qualities:
        file = io.BytesIO()
        Image.fromarray(truth).save(file, name, quality=quality, **settings)
        data = file.getvalue()
        opened = decode(data, realism=0) if restored else Image.open(io.BytesIO(data))
        points.append(point(truth, np.asarray(opened.convert("RGB")), quality, len(data)))
    return points


def vdc_points(truth: np.ndarray, path: Path | None) -> list[Row]:
    """Points of ``.vdc`` files, with the length of each message beside its entropy."""
    encoder = VdcEncoder(load_model(path))
    analysed = encoder.analyse(Image.fromarray(truth))
    points = []
    for quality in QUALITIES:
        Counted.ideal_bytes.clear()
        with mock.patch.object(coding, "SymbolEncoder", Counted):
            data = encoder.at_quality(analysed, round(100 * quality))
        ideal = list(Counted.ideal_bytes)
        out = np.asarray(decode(data, realism=0, weights=path).convert("RGB"))
        lengths = [len(tile or b"") for tile in read(data, max_pixels=1 << 40).tiles]
        points.append(
            point(truth, out, quality, len(data)) | {"messages": lengths, "entropies": ideal}
        )
    return points


def point(truth: np.ndarray, out: np.ndarray, quality: float, size: int) -> Row:
    """One point of a curve."""
    rate = 8 * size / (truth.shape[0] * truth.shape[1])
    return {"quality": quality, "bytes": size, "bpp": rate, "psnr_db": psnr_db(truth, out)}


def rising(points: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Rates and PSNR without the points that a smaller file equals or beats."""
    kept: list[tuple[float, float]] = []
    for rate, quality in sorted(points):
        if not kept or (rate > kept[-1][0] and quality > kept[-1][1]):
            kept.append((rate, quality))
    return [r for r, _ in kept], [q for _, q in kept]


def mean_points(rows: list[Row]) -> list[tuple[float, float]]:
    """Mean rate and mean PSNR over the pictures by quality."""
    rate, quality = (
        np.mean([[p[key] for p in r["points"]] for r in rows], axis=0) for key in ("bpp", "psnr_db")
    )
    return list(zip(rate.tolist(), quality.tolist(), strict=True))


def bd_rate(anchor: list[tuple[float, float]], test: list[tuple[float, float]]) -> float:
    """BD-rate of ``test`` in percent; NaN where the curves share no PSNR."""
    try:
        return bd_rate_percent(*rising(anchor), *rising(test))
    except InvalidSetting:
        return float("nan")


def report(by_codec: dict[str, list[Row]]) -> str:
    """Curves, BD-rates and lengths beside entropies."""
    lines = ["| codec | bits/pixel, PSNR dB of the mean curve |", "|---|---|"]
    for codec, rows in by_codec.items():
        cells = "; ".join(f"{r:.3f}, {q:.2f}" for r, q in mean_points(rows))
        lines.append(f"| {codec} ({len(rows)} pictures) | {cells} |")
    lines += [
        "",
        "| BD-rate of .vdc against | mean curve % | mean of pictures % | least | most | dB shared |",
        "|---" * 6 + "|",
    ]
    mine = {r["picture"]: r for r in by_codec[VDC]}
    for codec, rows in by_codec.items():
        both = [r for r in rows if r["picture"] in mine]
        if codec == VDC or not both:
            continue
        tests = [mine[r["picture"]] for r in both]
        whole = bd_rate(mean_points(both), mean_points(tests))
        each = [
            bd_rate(mean_points([a]), mean_points([b])) for a, b in zip(both, tests, strict=True)
        ]
        a, b = (rising(mean_points(rows_))[1] for rows_ in (both, tests))
        lines.append(
            f"| {codec} | {whole:+.1f} | {np.mean(each):+.1f} | {min(each):+.1f} | {max(each):+.1f} "
            f"| {max(a[0], b[0]):.1f} to {min(a[-1], b[-1]):.1f} |"
        )
    return "\n".join([*lines, "", lengths(by_codec[VDC])])


def lengths(rows: list[Row]) -> str:
    """The worst message and the worst file beside their entropies."""
    points = [p for r in rows for p in r["points"]]
    pairs = [(n, e) for p in points for n, e in zip(p["messages"], p["entropies"], strict=True)]
    slack = max(n - 1.005 * e for n, e in pairs)
    verdict = "holds" if slack <= MESSAGE_SLACK else "DOES NOT HOLD"
    files = max(p["bytes"] - 1.005 * sum(p["entropies"]) for p in points)
    total = sum(n for n, _ in pairs) / sum(e for _, e in pairs)
    large = [n / e for n, e in pairs if e >= 1000]
    worst = f"at worst {max(large):.5f} (of those over 1,000 bytes), " if large else ""
    return (
        f"{len(pairs)} messages: bytes / entropy {worst}all together {total:.5f}; "
        f"at most 1.005 times the entropy and {slack:.1f} bytes (0.5 % + {MESSAGE_SLACK}: {verdict}). "
        f"Whole files, with headers: 1.005 times the entropy and {files:.1f} bytes."
    )


def draw(by_codec: dict[str, list[Row]], path: Path) -> None:
    """Mean curves."""
    from veridical.studies.style import PALETTE, figure

    colours = dict(zip((VDC, "AVIF", "WebP", "JPEG", "progressive JPEG"), PALETTE, strict=False))
    with figure(width=4.6, height=3.2) as (drawn, (axes,)):
        limits = np.array(mean_points(by_codec[VDC]))
        for codec, rows in by_codec.items():
            if codec.startswith("progressive"):
                continue
            restored = codec.endswith(RESTORED)
            curve = mean_points(rows)
            axes.plot(
                *zip(*curve, strict=True), label=codec, color=colours[codec.removesuffix(RESTORED)],
                ls="--" if restored else "-", lw=1.0 if restored else 1.6, marker="" if restored else ".",
            )  # fmt: skip
        axes.set_xscale("log")
        axes.set_xticks(ticks := [0.05, 0.1, 0.2, 0.5, 1, 2], [f"{t:g}" for t in ticks])
        axes.minorticks_off()
        axes.set_xlim(0.9 * limits[0, 0], 1.15 * limits[-1, 0])
        axes.set_ylim(limits[0, 1] - 2.5, limits[-1, 1] + 2.5)
        axes.set(xlabel="bits per pixel", ylabel="PSNR (dB)")
        axes.legend(loc="lower right")
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn.savefig(path, dpi=120, metadata={"Software": None})


def main() -> None:
    """Measure what is missing, print the tables and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("originals", type=Path, help="folder of pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder of the records")
    parser.add_argument("--weights", type=Path, help="instead of the shipped ones")
    parser.add_argument("--restored", action="store_true", help="see above; slow")
    parser.add_argument("--figure", type=Path, help="PNG to draw")
    parser.add_argument("--jobs", type=int, default=1, help="processes, of one thread each")
    chosen = parser.parse_args()
    # What a row depends on beside its picture and codec.
    weights = {VDC: load_model(chosen.weights).digest} | dict.fromkeys(RIVALS, "")
    if chosen.restored:
        for name in ("JPEG", "WebP", "AVIF"):
            data = (SHIPPED / f"{name.lower()}.onnx").read_bytes()
            weights[f"{name}{RESTORED}"] = hashlib.sha256(data).hexdigest()
    records = Records(chosen.out / "rates.jsonl")
    tasks = [
        {"picture": path.name, "codec": codec, "weights": digest}
        for codec, digest in weights.items()
        for path in picture_paths(chosen.originals)
    ]
    records.measure(
        measure, tasks, chosen.jobs, folder=chosen.originals.resolve(), path=chosen.weights
    )
    by_codec: dict[str, list[Row]] = {codec: [] for codec in weights}
    for row in records.rows:
        if weights.get(row["codec"]) == row["weights"]:
            by_codec[row["codec"]].append(row)
    text = report(by_codec)
    (chosen.out / "rates.md").write_text(text + "\n")
    print(text)
    if chosen.figure is not None:
        draw(by_codec, chosen.figure)


if __name__ == "__main__":
    main()
