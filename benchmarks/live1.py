"""JPEG restoration on the table of the field: LIVE1, PSNR at quality 10, 20, 30 and 40, beside published figures.

    python benchmarks/live1.py ../shared/data/live1-grey ../shared/data/live1

Files are written by Pillow (libjpeg's tables; colour 4:2:0) and decoded at realism 0. Means over the
pictures of each one's PSNR; the grey set is the published one, made by MATLAB's luma.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image

import veridical

QUALITIES = (10, 20, 30, 40)
PUBLISHED = {
    "grey": {
        "ARCNN (2015, 106 kMAC a pixel)": (28.96, 31.29, 32.67, 33.61),
        "DnCNN-3 (2017, 670)": (29.19, 31.59, 32.98, 33.96),
        "FBCNN (2021, 2,700)": (29.75, 32.13, 33.54, 34.53),
    },
    "colour": {"jpegqs -q 6 (measured)": (25.91, 28.35, 29.66, 30.54)},
}


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """In decibels."""
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def measure(folder: Path, mode: str) -> dict[str, tuple[float, ...]]:
    """Mean PSNR of the ordinary decoder and of realism 0 at each quality."""
    table: dict[str, list[list[float]]] = {"ordinary decoder": [], "veridical, realism 0": []}
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as im:
            picture = im.convert(mode)
        x = np.asarray(picture)
        rows: tuple[list[float], list[float]] = ([], [])
        for quality in QUALITIES:
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", quality=quality)
            with Image.open(buffer) as im:
                rows[0].append(psnr(x, np.asarray(im)))
            rows[1].append(psnr(x, np.asarray(veridical.decode(buffer.getvalue()).convert(mode))))
        for row, kept in zip(rows, table.values(), strict=True):
            kept.append(row)
    return {name: tuple(np.mean(rows, axis=0)) for name, rows in table.items()}


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n", maxsplit=1)[0] if __doc__ else ""
    )
    parser.add_argument("grey", type=Path)
    parser.add_argument("colour", type=Path)
    args = parser.parse_args()
    for name, folder, mode in (("grey", args.grey, "L"), ("colour", args.colour, "RGB")):
        print(f"\n| LIVE1 {name} | " + " | ".join(f"quality {q}" for q in QUALITIES) + " |")
        print("|---" * (len(QUALITIES) + 1) + "|")
        for label, values in (measure(folder, mode) | PUBLISHED[name]).items():
            print(f"| {label} | " + " | ".join(f"{v:.2f}" for v in values) + " |")


if __name__ == "__main__":
    main()
