"""Photographs: error, perception and prediction for each format and rate, on a folder of originals.

    python benchmarks/photo.py ../shared/data/kodak --out runs/bench-kodak

Every picture is coded in each format at (at most) each rate; where a format cannot go that low,
its lowest quality is used and the true rate reported. Records are kept, so a killed run goes on.
Measured for the ordinary decoder and for realism 0 to 1: PSNR, mean squared error beside its prediction
before decoding, Frechet distance (with its jackknife error) and KID on EfficientNet-Lite0 features of 64-pixel
patches over all pictures, ST-LPIPS and Wasserstein distortion (see ``photo_rows.add_measures``). No trunk of
these was used in training.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from photo_rows import REALISMS, Records, Row, add_measures, picture_paths, pixels_of, tables
from PIL import Image

from veridical import encode
from veridical.errors import TargetUnreachable
from veridical.measure import mse_unit
from veridical.photo.formats import open_image
from veridical.photo.options import DecodeOptions
from veridical.photo.windows import decode_at

FORMATS = ("AVIF", "WEBP", "JPEG", "JXL")


def coded(picture: Image.Image, name: str, bpp: float) -> bytes:
    """The file of at most a rate, or the smallest there is."""
    try:
        return encode(picture, format=name, bpp=bpp)
    except TargetUnreachable:
        return encode(picture, format=name, quality=0)


def measure(
    *, picture: str, format: str, target_bits_per_pixel: float,  # noqa: A002
    folder: Path, out: Path, slow: bool,
) -> Row:  # fmt: skip
    """One picture in one format at one rate."""
    truth = pixels_of(folder / picture)
    data = coded(Image.fromarray(truth), format, target_bits_per_pixel)
    file = open_image(data, DecodeOptions())
    info = file.info
    versions = {"ordinary": np.asarray(file.ordinary)}
    for a, x in zip(REALISMS, decode_at(file, REALISMS), strict=True):
        versions[f"{a:g}"] = np.asarray(x.convert("RGB"))
    row: Row = {
        "picture": picture,
        "format": format,
        "target_bits_per_pixel": target_bits_per_pixel,
        "bits_per_pixel": info.bits_per_pixel,
        "transport_cost": mse_unit(versions["0"], versions["1"]),
        "predicted_mse": {f"{a:g}": info.price.distortion_at(a) for a in REALISMS},
    }
    return add_measures(row, truth, versions, out, slow=slow)


def main() -> None:
    """Measure what is missing and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("originals", type=Path, help="folder of pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder of the records")
    parser.add_argument("--bpp", type=float, nargs="+", default=[0.1, 0.2, 0.4, 0.8])
    parser.add_argument("--formats", nargs="+", default=FORMATS, help="some of these alone")
    parser.add_argument("--pictures", default="::1", help="slice of the sorted names, as in Python")
    parser.add_argument("--jobs", type=int, default=1, help="processes, of one thread each")
    parser.add_argument(
        "--quick",
        dest="slow",
        action="store_false",
        help="leave out ST-LPIPS and Wasserstein distortion",
    )
    arguments = parser.parse_args()
    records = Records(arguments.out / "records.jsonl")
    chosen = slice(*(int(n) if n else None for n in arguments.pictures.split(":")))
    tasks = [
        {"picture": path.name, "format": name, "target_bits_per_pixel": bpp}
        for path in picture_paths(arguments.originals)[chosen]
        for name in map(str.upper, arguments.formats)
        for bpp in arguments.bpp
    ]
    records.measure(
        measure, tasks, arguments.jobs,
        folder=arguments.originals, out=arguments.out, slow=arguments.slow,
    )  # fmt: skip
    text = tables([(arguments.out, records.rows)])
    (arguments.out / "table.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
