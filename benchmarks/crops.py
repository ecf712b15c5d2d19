"""Twelve crops at true pixels: original, ordinary decoder, realism 0, 0.5 and 1, a row each.

    python benchmarks/crops.py ../shared/data/photos/val ../shared/data/live1 --bpp 0.2 --out runs/crops.png

Pictures, places and formats are drawn by a seed before anything is decoded. Save the sheet where it is looked at
only: not every set may be published.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from photo_rows import picture_paths, pixels_of
from PIL import Image, ImageDraw

from photo import FORMATS, coded
from veridical.photo.formats import open_image
from veridical.photo.options import DecodeOptions
from veridical.photo.windows import decode_at

SIDE, GAP = 192, 4
TITLES = ("original", "decoder", "realism 0", "0.5", "1")


def row(path: Path, name: str, bpp: float, rng: np.random.Generator) -> Image.Image:
    """One crop in its five versions."""
    truth = pixels_of(path)
    top, left = (int(rng.integers(n - SIDE + 1)) for n in truth.shape[:2])
    file = open_image(coded(Image.fromarray(truth), name, bpp), DecodeOptions())
    versions = [truth, np.asarray(file.ordinary)]
    versions += [np.asarray(x.convert("RGB")) for x in decode_at(file, (0.0, 0.5, 1.0))]
    out = Image.new("RGB", (5 * (SIDE + GAP) - GAP, SIDE + GAP), "white")
    for k, x in enumerate(versions):
        out.paste(Image.fromarray(x[top : top + SIDE, left : left + SIDE]), (k * (SIDE + GAP), 0))
    ImageDraw.Draw(out).text(
        (4, 4), f"{path.stem} {name}", fill="white", stroke_fill="black", stroke_width=2
    )
    return out


def main() -> None:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folders", type=Path, nargs="+", help="folders of originals")
    parser.add_argument("--out", type=Path, required=True, help="PNG file")
    parser.add_argument("--bpp", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    rng = np.random.default_rng(chosen.seed)
    each = 12 // len(chosen.folders)
    paths = [p for f in chosen.folders for p in rng.choice(picture_paths(f), each, replace=False)]
    rows = [row(p, FORMATS[k % 3], chosen.bpp, rng) for k, p in enumerate(paths)]
    sheet = Image.new("RGB", (rows[0].width, 20 + sum(r.height for r in rows)), "white")
    draw = ImageDraw.Draw(sheet)
    for k, title in enumerate(TITLES):
        draw.text((k * (SIDE + GAP) + 4, 4), title, fill="black")
    for k, r in enumerate(rows):
        sheet.paste(r, (0, 20 + k * r.height))
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(chosen.out)


if __name__ == "__main__":
    main()
