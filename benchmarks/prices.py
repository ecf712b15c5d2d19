"""Prices before decoding against measurements: bias, spread, and whether the stated uncertainty holds.

    python benchmarks/prices.py ../shared/data/kodak --out runs/prices-kodak --every 3

Photographs of a folder (their middles, 256 pixels a side) at every quality, grey and 4:4:4, those coded before by
JPEG, AVIF or WebP, and drawings of known and kept-out kinds, in each format; as ``.vdc`` files whole photographs alone. Errors below one millionth of the range
(0.26 of 255 levels) are not told apart. Records are kept, so a killed run goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from photo_rows import Records, Row, picture_paths, pixels_of
from PIL import Image
from rich.progress import track

from veridical.photo.encode import encode
from veridical.photo.formats import open_image
from veridical.photo.options import DecodeOptions
from veridical.photo.windows import decode_at
from veridical.training.estimator_validation import saved, validation_files
from veridical.training.price_files import coded_before

FORMATS = ("AVIF", "WEBP", "JPEG", "JXL", "VDC")


def files(name: str, folder: Path, every: int) -> Iterator[tuple[str, Image.Image, bytes]]:
    """(group, source, file) of a format."""
    if name != "VDC":
        yield from validation_files([folder], name, every)
        for k, path in enumerate(picture_paths(folder)[::every]):
            picture = Image.fromarray(pixels_of(path)).crop((128, 128, 384, 384))
            for n in range(10_000 + 4 * k, 10_004 + 4 * k):
                _, source, before, q = coded_before(picture, n)
                yield "before, any two qualities", source, saved(before, name, quality=q)
        return
    for path in picture_paths(folder)[::every]:
        picture = Image.fromarray(pixels_of(path))
        for q in (15, 40, 70):
            yield f"quality {q}", picture, encode(picture, format=name, quality=q)


def measure(source: Image.Image, data: bytes) -> Row:
    """One file: predicted less measured PSNR in dB at realism 0 and 1, and the stated uncertainty."""
    file = open_image(data, DecodeOptions())
    truth = np.asarray(source.convert("RGB"), float) / 255
    price = file.price()
    row: Row = {"sigma": price.uncertainty_db}
    for a, x in zip((0.0, 1.0), decode_at(file, (0.0, 1.0)), strict=True):
        error = np.mean((np.asarray(x.convert("RGB"), float) / 255 - truth) ** 2)
        row[f"off {a:g}"] = float(10 * np.log10((error + 1e-6) / (price.distortion_at(a) + 1e-6)))
    return row


def kind(group: str) -> str:
    """A line of the table for a group."""
    if group.startswith("4:4:4"):
        return "4:4:4, quality 95"
    return (
        "photographs"
        if group.startswith("quality")
        else group.partition(":")[0].rstrip(" 0123456789")
    )


def table(rows: list[Row]) -> str:
    """Markdown: a line for each format and kind of file."""
    lines = [
        "| format | kind | files | bias at 0, 1 | spread at 0, 1 | stated uncertainty | within 1, 2 of it |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, group in sorted({(r["format"], kind(r["group"])) for r in rows}):
        mine = [r for r in rows if (r["format"], kind(r["group"])) == (name, group)]
        off = np.array([[r["off 0"], r["off 1"]] for r in mine])
        sigma = np.array([r["sigma"] for r in mine])
        inside = [f"{np.mean(np.abs(off[:, 0]) <= k * sigma):.0%}" for k in (1, 2)]
        bias, spread = (", ".join(f"{v:+.2f}" for v in x) for x in (off.mean(0), off.std(0)))
        lines.append(
            f"| {name} | {group} | {len(mine)} | {bias} | {spread} | {np.median(sigma):.1f} | {', '.join(inside)} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure what is missing and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("originals", type=Path, help="folder of photographs")
    parser.add_argument("--out", type=Path, required=True, help="folder of the records")
    parser.add_argument("--every", type=int, default=3, help="one photograph of so many")
    parser.add_argument("--formats", nargs="+", default=FORMATS, choices=FORMATS)
    chosen = parser.parse_args()
    if "JXL" in chosen.formats:
        import pillow_jxl  # noqa: F401 (teaches Pillow the format)

    records = Records(chosen.out / "records.jsonl")
    known = {(r["format"], r["number"]) for r in records.rows}
    tasks = (
        (name, number, *file)
        for name in chosen.formats
        for number, file in enumerate(files(name, chosen.originals, chosen.every))
    )
    with records.path.open("a") as out:
        for name, number, group, source, data in track(
            tasks, description="measuring", disable=None
        ):
            if (name, number) not in known:
                row = {"format": name, "number": number, "group": group} | measure(source, data)
                records.rows.append(row)
                out.write(json.dumps(row) + "\n")
                out.flush()
    text = table(records.rows)
    (chosen.out / "table.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
