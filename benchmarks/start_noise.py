"""Size of the noise that the flow of everyday files starts with: which one leaves the least distance?

    python benchmarks/start_noise.py ../shared/data/photos/val --every 2 --out runs/start-noise

A flow trained to the end would want the noise it was trained with (1). A small one cannot give all of
that noise the shape of detail, and what it cannot is grain; less of it at the start leaves less at the
end. For each format and rate: the Frechet distance on EfficientNet-Lite0 features of 64-pixel patches
at realism 0, and at realism 1 for each size of the noise. Records are kept, so a killed run goes on.
Choose on pictures of which no figure is reported.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from photo_rows import Records, Row, add_measures, picture_paths, pixels_of, statistics
from PIL import Image

from photo import FORMATS, coded
from veridical.measure import frechet_with_error
from veridical.photo.model import load_model
from veridical.photo.noise import NoiseField
from veridical.photo.reader import open_coded
from veridical.photo.restore import photo_codec, restore


def measure(
    *, picture: str, format: str, target_bits_per_pixel: float,  # noqa: A002
    folder: Path, out: Path, sizes: list[float],
) -> Row:  # fmt: skip
    """One picture in one format at one rate."""
    truth = pixels_of(folder / picture)
    file = open_coded(coded(Image.fromarray(truth), format, target_bits_per_pixel))
    model = load_model()

    def decoded(size: float, realism: float) -> np.ndarray:
        codec = photo_codec(replace(model, start_noise=size))
        return restore(file.pixels, file.condition, codec, realism=realism, noise=NoiseField(0))

    versions = {"0": decoded(1.0, 0.0)} | {f"1 from {s:g}": decoded(s, 1.0) for s in sizes}
    row: Row = {
        "picture": picture,
        "format": format,
        "target_bits_per_pixel": target_bits_per_pixel,
    }
    return add_measures(row, truth, versions, out, stlpips=False)


def main() -> None:
    """Measure what is missing and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("originals", type=Path, help="folder of pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder of the records")
    parser.add_argument("--bpp", type=float, nargs="+", default=[0.2, 0.4])
    parser.add_argument("--sizes", type=float, nargs="+", default=[1.0, 0.85, 0.7])
    parser.add_argument("--every", type=int, default=1, help="take each n-th picture")
    parser.add_argument("--jobs", type=int, default=1, help="processes, of one thread each")
    arguments = parser.parse_args()
    records = Records(arguments.out / "records.jsonl")
    tasks = [
        {"picture": path.name, "format": name, "target_bits_per_pixel": bpp}
        for path in picture_paths(arguments.originals)[:: arguments.every]
        for name in FORMATS
        for bpp in arguments.bpp
    ]
    records.measure(
        measure, tasks, arguments.jobs,
        folder=arguments.originals, out=arguments.out, sizes=arguments.sizes,
    )  # fmt: skip
    keys = ["0", *(f"1 from {s:g}" for s in arguments.sizes)]
    print("| format | bits/pixel | realism", " | ".join(keys), "|", sep=" | ")
    print("|---" * (2 + len(keys)) + "|")
    logs = []
    for name in FORMATS:
        for bpp in arguments.bpp:
            rows = [
                r for r in records.rows
                if (r["format"], r["target_bits_per_pixel"]) == (name, bpp)
            ]  # fmt: skip
            original = statistics(arguments.out, rows, "original")
            found = [
                frechet_with_error(original, statistics(arguments.out, rows, key)) for key in keys
            ]
            logs.append([np.log(d.value) for d in found])
            print(f"| {name} | {bpp:g} |", " | ".join(f"{d.value:.0f}" for d in found), "|")
    means = np.exp(np.mean(logs, axis=0) - np.mean(logs, axis=0)[0])
    print("| all | against realism 0 |", " | ".join(f"{m:.2f}" for m in means), "|")


if __name__ == "__main__":
    main()
