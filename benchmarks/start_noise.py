"""Size of the noise that the flow of conventional formats starts with: which one leaves the least distance?

    python benchmarks/start_noise.py ../shared/data/photos/val --every 2 --out runs/start-noise

A flow trained to the end would want the noise it was trained with (1). A small one cannot give all of
that noise the shape of detail, and what it cannot is grain; less of it at the start leaves less at the
end. For each format and rate: the Frechet distance on EfficientNet-Lite0 features of 64-pixel patches
at realism 0, and for each size of the noise at realism 0.5 and 1: it should fall from one to the next.
Every third picture is augmented (downscaled, film grain), as in training. Records are kept, so a killed
run goes on. Choose on pictures of which no figure is reported.
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
from veridical.photo.decode import decode_at
from veridical.photo.formats import open_image
from veridical.photo.options import DecodeOptions
from veridical.photo.restoration import RestorationDecoder
from veridical.training.augment import augment


def measure(
    *, picture: str, format: str, target_bits_per_pixel: float, again: int | None,  # noqa: A002
    folder: Path, out: Path, sizes: list[float], weights: Path | None,
) -> Row:  # fmt: skip
    """One picture in one format at one rate."""
    truth = pixels_of(folder / picture)
    if again is not None:
        rng = np.random.default_rng(again)
        truth = np.asarray(augment(Image.fromarray(truth), rng, smallest_side=160))
    data = coded(Image.fromarray(truth), format, target_bits_per_pixel)
    options = DecodeOptions(weights=weights)

    def decoded(size: float, realism: float) -> np.ndarray:
        file = open_image(data, options)
        model = replace(file.decoder.model, start_noise=size)
        # A cached property: what stands in its place is what is used.
        vars(file)["decoder"] = RestorationDecoder(model, file.condition)
        return np.asarray(decode_at(file, [realism])[0].convert("RGB"))

    versions = {"0": decoded(1.0, 0.0)}
    for s in sizes:
        real = decoded(s, 1.0)
        half = (versions["0"].astype(np.float32) + real) / 2
        versions |= {f"0.5 from {s:g}": np.rint(half).astype(np.uint8), f"1 from {s:g}": real}
    row: Row = {
        "picture": picture,
        "format": format,
        "target_bits_per_pixel": target_bits_per_pixel,
        "again": again,
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
    parser.add_argument("--sizes", type=float, nargs="+", default=[0.9, 0.8, 0.7])
    parser.add_argument("--weights", type=Path, help="other than the shipped ones")
    parser.add_argument("--every", type=int, default=1, help="take each n-th picture")
    parser.add_argument("--jobs", type=int, default=1, help="processes, of one thread each")
    arguments = parser.parse_args()
    records = Records(arguments.out / "records.jsonl")
    tasks = [
        {
            "picture": path.name,
            "format": name,
            "target_bits_per_pixel": bpp,
            "again": k if k % 3 == 2 else None,
        }
        for k, path in enumerate(picture_paths(arguments.originals)[:: arguments.every])
        for name in FORMATS
        for bpp in arguments.bpp
    ]
    records.measure(
        measure, tasks, arguments.jobs,
        folder=arguments.originals, out=arguments.out, sizes=arguments.sizes,
        weights=arguments.weights,
    )  # fmt: skip
    keys = ["0", *(f"{a} from {s:g}" for s in arguments.sizes for a in ("0.5", "1"))]
    print("| format | bits/pixel |", " | ".join(f"realism {key}" for key in keys), "|")
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
    n_rates = len(arguments.bpp)
    for k, name in enumerate((*FORMATS, "all")):
        mine = np.mean(logs[k * n_rates :][:n_rates] if name in FORMATS else logs, axis=0)
        print(f"| {name} | against realism 0 |", end=" ")
        print(" | ".join(f"{m:.2f}" for m in np.exp(mine - mine[0])), "|")


if __name__ == "__main__":
    main()
