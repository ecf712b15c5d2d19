"""Error and perception of ``.vdc`` files at realism 0, 0.5 and 1, beside AVIF, WebP and JPEG files.

    python benchmarks/vdc_realism.py ../shared/data/kodak --out runs/bench-vdc --with runs/bench-kodak

The measures are those of ``photo.py``, and ``--with`` names a folder of its records, whose rows
(ordinary decoder, and those files decoded by veridical) enter the same tables without being
measured again. Each file is the largest under its target by its own format's search; formats with
coarse qualities stay further below. ``--bytes-of AVIF`` makes the target of each picture the size
of its AVIF file in those records instead, so that ``.vdc`` never has more bytes than its rival.

Weights without a generator are measured at realism 0 alone. Records of other weights stay in the
file and are not used.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
from photo_rows import REALISMS, Records, Row, add_measures, picture_paths, pixels_of, tables
from PIL import Image

from veridical import decode, info
from veridical.errors import TargetUnreachable
from veridical.measure import mse_unit
from veridical.photo.options import Target
from veridical.photo.vdc.encode import VdcEncoder
from veridical.photo.vdc.model import load_model, vdc_path
from veridical.photo.weights import network_path


def weights_key(path: Path | None, digest: str) -> str:
    """Both files of the weights, codec and generator."""
    generator = network_path(vdc_path(path), "generator")
    if not generator.exists():
        return digest
    return f"{digest} {hashlib.sha256(generator.read_bytes()).hexdigest()}"


def coded(picture: Image.Image, most: int, weights: Path | None) -> bytes:
    """The largest file within a target, or the smallest there is."""
    encoder = VdcEncoder(load_model(weights))
    try:
        return encoder.encode(picture, Target(max_bytes=most))
    except TargetUnreachable:
        return encoder.encode(picture, Target(quality=0.0))


def measure(
    *, picture: str, format: str, target_bits_per_pixel: float, weights: str,  # noqa: A002
    folder: Path, out: Path, path: Path | None, sizes: dict[tuple[str, float], int],
    realisms: tuple[float, ...], slow: bool,
) -> Row:  # fmt: skip
    """One picture at one rate."""
    truth = pixels_of(folder / picture)
    most = sizes.get(
        (picture, target_bits_per_pixel), int(target_bits_per_pixel * truth[:, :, 0].size / 8)
    )
    data = coded(Image.fromarray(truth), most, path)
    facts = info(data, weights=path)
    versions = {
        f"{a:g}": np.asarray(decode(data, realism=a, weights=path).convert("RGB")) for a in realisms
    }
    row: Row = {
        "picture": picture,
        "format": format,
        "target_bits_per_pixel": target_bits_per_pixel,
        "weights": weights,
        "bits_per_pixel": facts.bits_per_pixel,
        "most_bits_per_pixel": 8 * most / truth[:, :, 0].size,
        "predicted_mse": {
            f"{a:g}": facts.price.distortion_at(a) for a in realisms if facts.price is not None
        },
    }
    if "1" in versions:
        row["transport_cost"] = mse_unit(versions["0"], versions["1"])
    return add_measures(row, truth, versions, out, slow=slow)


def sizes_of(rows: list[Row], name: str, folder: Path) -> dict[tuple[str, float], int]:
    """Bytes of a format's files by picture and target."""
    out = {}
    for r in rows:
        if r["format"] == name and (folder / r["picture"]).exists():
            with Image.open(folder / r["picture"]) as opened:
                pixels = opened.width * opened.height
            size = round(r["bits_per_pixel"] * pixels / 8)
            out[r["picture"], r["target_bits_per_pixel"]] = size
    return out


def main() -> None:
    """Measure what is missing and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("originals", type=Path, help="folder of pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder of the records")
    parser.add_argument("--bpp", type=float, nargs="+", default=[0.1, 0.2, 0.4, 0.8])
    parser.add_argument("--weights", type=Path, help="instead of the shipped ones")
    parser.add_argument("--with", dest="other", type=Path, help="records of photo.py to set beside")
    parser.add_argument("--bytes-of", choices=["AVIF", "WEBP", "JPEG"], help="see above")
    parser.add_argument("--jobs", type=int, default=1, help="processes, of one thread each")
    parser.add_argument(
        "--quick",
        dest="slow",
        action="store_false",
        help="leave out ST-LPIPS and Wasserstein distortion",
    )
    chosen = parser.parse_args()
    model = load_model(chosen.weights)
    weights = weights_key(chosen.weights, model.digest)
    realisms = REALISMS if model.has_generator else REALISMS[:1]
    others: list[Row] = []
    if chosen.other is not None:
        file = chosen.other / "records.jsonl"
        if not file.exists():
            parser.error(f"{file} is missing; benchmarks/photo.py writes it")
        others = Records(file).rows
    sizes: dict[tuple[str, float], int] = {}
    if chosen.bytes_of is not None:
        sizes = sizes_of(others, chosen.bytes_of, chosen.originals)
    name = "VDC" if chosen.bytes_of is None else f"VDC-{chosen.bytes_of}"
    paths = picture_paths(chosen.originals)
    tasks = [
        {"picture": p.name, "format": name, "target_bits_per_pixel": bpp, "weights": weights}
        for p in paths
        for bpp in chosen.bpp
    ]
    if chosen.bytes_of is not None and not all(
        (p.name, b) in sizes for p in paths for b in chosen.bpp
    ):
        parser.error(
            f"--bytes-of {chosen.bytes_of} needs --with records of these pictures and rates"
        )
    records = Records(chosen.out / "records.jsonl")
    records.measure(
        measure, tasks, chosen.jobs, folder=chosen.originals.resolve(), out=chosen.out.resolve(),
        path=chosen.weights, sizes=sizes, realisms=realisms, slow=chosen.slow,
    )  # fmt: skip
    names = {p.name for p in paths}

    def shown(row: Row) -> bool:
        return row["picture"] in names and row["target_bits_per_pixel"] in chosen.bpp

    mine = [r for r in records.rows if shown(r) and r["weights"] == weights]
    sources: list[tuple[Path, list[Row]]] = [(chosen.out, mine)]
    sources.append((chosen.other, [r for r in others if shown(r)]))
    text = tables(sources, by_rate=True)
    (chosen.out / "table.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
