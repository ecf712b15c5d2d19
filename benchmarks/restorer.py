"""Weights for a codec that this package does not know, from pairs of pictures to decibels: JPEG 2000 of Pillow.

    OMP_NUM_THREADS=1 python benchmarks/restorer.py train-a.tar --held-out val --run runs/jp2

Writes originals, decoded pictures and files of three rates, runs ``veridical train restorer`` on them, and measures on the
held-out folder, of which nothing was trained on. A killed run goes on.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

import veridical
from veridical.measure import psnr_db

RATES = (0.2, 0.4, 0.8)
"""Bits a pixel; JPEG 2000 meets them."""


def jpeg_2000(picture: Image.Image, rate: float) -> tuple[Image.Image, bytes]:
    """What the codec makes of a picture, and its file."""
    buffer = io.BytesIO()
    picture.save(
        buffer, "JPEG2000", quality_mode="rates", quality_layers=[24 / rate], irreversible=True
    )
    return Image.open(buffer).convert("RGB"), buffer.getvalue()


def write_pairs(data: Path, run: Path) -> None:
    """Folders ``original``, ``decoded/RATE`` and ``coded/RATE`` of a tar file's pictures."""
    with tarfile.open(data) as tar:
        for member in tar:
            out = run / "original" / f"{Path(member.name).stem}.png"
            if not member.isfile() or out.exists():
                continue
            out.parent.mkdir(parents=True, exist_ok=True)
            picture = Image.open(tar.extractfile(member)).convert("RGB")
            for rate in RATES:
                decoded, file = jpeg_2000(picture, rate)
                for kind in ("decoded", "coded"):
                    (run / kind / str(rate)).mkdir(parents=True, exist_ok=True)
                decoded.save(run / "decoded" / str(rate) / out.name, compress_level=1)
                (run / "coded" / str(rate) / f"{out.stem}.jp2").write_bytes(file)
            picture.save(out, compress_level=1)


def main() -> None:
    """Make the pairs, train, measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("data", type=Path, help="tar file of training pictures")
    parser.add_argument("--held-out", type=Path, required=True, help="folder of other pictures")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--preset", default="short")
    parser.add_argument("--start", default="avif.onnx")
    chosen = parser.parse_args()
    run = chosen.run
    write_pairs(chosen.data, run)
    words = ["--original", run / "original", "--decoded", run / "decoded", "--coded", run / "coded", "--name", "jp2",
             "--run", run, "--preset", chosen.preset, "--start", chosen.start]  # fmt: skip
    subprocess.run(
        [sys.executable, "-m", "veridical", "train", "restorer", *map(str, words)], check=True
    )
    restorer = veridical.Restorer.load(run / "jp2.onnx")
    print("bits/pixel  decoder  realism 0  gain  worst  realism 1  predicted 0 (rms off)")
    for rate in RATES:
        rows = []
        for path in sorted(chosen.held_out.iterdir()):
            picture = Image.open(path).convert("RGB")
            decoded, file = jpeg_2000(picture, rate)
            bpp = 8 * len(file) / picture.width / picture.height
            opened = restorer.open(decoded, bpp)
            x = np.asarray(picture)
            versions = decoded, opened.decode(0), opened.decode(1)
            psnr = [psnr_db(x, np.asarray(v)) for v in versions]
            rows.append(
                [*psnr, psnr[1] - psnr[0], -10 * np.log10(opened.price().mmse) - psnr[1], bpp]
            )
        before, after, real, gain, off, bpp = np.array(rows).T
        print(
            f"{bpp.mean():.2f} {before.mean():.2f} {after.mean():.2f} {gain.mean():+.2f} {gain.min():+.2f} "
            f"{real.mean():.2f} {np.sqrt((off**2).mean()):.2f}"
        )


if __name__ == "__main__":
    main()
