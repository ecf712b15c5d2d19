"""Never worse: realism 0 (and 1) against the ordinary decoder, on pictures of kinds that no network has seen.

    python benchmarks/harm.py --out runs/harm.jsonl
    python benchmarks/harm.py --formats jpeg --photographs ../shared/data/kodak

Rendered pictures of ``training.drawings.HELD_OUT`` (kinds kept out of training), others of known kinds
from other seeds, the pictures of scikit-image, and photographs if a folder is named; each at fine and
coarse settings of every format. A picture counts as worse from 0.05 dB. Mean squared errors below one
millionth of the range (0.26 of 255 levels) are not told apart: rounding to 8 bits alone leaves 1.3.
"""

from __future__ import annotations

import argparse
import io
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from veridical.photo.formats import open_image
from veridical.photo.options import DecodeOptions
from veridical.photo.windows import decode_at
from veridical.training.drawings import HELD_OUT, KINDS, draw

SIZE = (224, 160)
SAMPLES = {
    "astronaut": (150, 0), "coffee": (150, 100), "page": (50, 20), "text": (60, 10), "coins": (60, 60),
    "camera": (180, 60), "moon": (120, 120), "horse": (60, 60), "checkerboard": (0, 0),
    "hubble_deep_field": (300, 300), "retina": (600, 600), "immunohistochemistry": (100, 100),
    "microaneurysms": (0, 0), "colorwheel": (60, 60), "logo": (100, 100), "rocket": (260, 100),
    "chelsea": (120, 60), "brick": (100, 100), "grass": (100, 100), "gravel": (100, 100), "cell": (200, 200),
    "human_mitosis": (100, 100),
}  # fmt: skip
SETTINGS: list[tuple[str, dict[str, Any]]] = [
    *[("JPEG", {"quality": q}) for q in (20, 50, 75, 90, 95, 98)],
    *[("JPEG", {"quality": q, "subsampling": "4:4:4"}) for q in (75, 95, 100)],
    *[("WEBP", {"quality": q}) for q in (20, 50, 80, 95)],
    *[("AVIF", {"quality": q, "speed": 8}) for q in (20, 50, 80, 95)],
    ("AVIF", {"quality": 80, "speed": 8, "subsampling": "4:4:4"}),
    *[("JXL", {"quality": q}) for q in (20, 50, 80, 95)],
]


def samples() -> Iterator[tuple[str, str, Image.Image]]:
    """Pictures that scikit-image brings along."""
    from skimage import data

    for name, (x, y) in SAMPLES.items():
        try:
            array = getattr(data, name)()
        except Exception as fault:  # noqa: BLE001 (some are fetched from the net; the others count)
            warnings.warn(f"scikit-image has no {name}: {fault}", stacklevel=2)
            continue
        array = array.astype(np.uint8) * 255 if array.dtype == bool else array
        array = array[..., :3] if array.ndim == 3 else array
        im = Image.fromarray(array).convert("RGB")
        yield "scikit-image", name, im.crop((x, y, x + SIZE[0], y + SIZE[1]))


def pictures(photographs: Path | None) -> Iterator[tuple[str, str, Image.Image]]:
    """(group, name, picture)."""
    for group, kinds in (("kept out", HELD_OUT), ("known kinds", KINDS)):
        for kind in kinds:
            for seed in (20_000, 20_001):
                im = draw(kind, seed).crop((144, 176, 144 + SIZE[0], 176 + SIZE[1]))
                yield group, f"{kind}-{seed - 20_000}", im
    yield from samples()
    if photographs is not None:
        for path in sorted(photographs.iterdir())[::3]:
            with Image.open(path) as im:
                yield "photographs", path.stem, im.convert("RGB").crop((200, 150, 424, 310))


def psnr(a: Image.Image, b: Image.Image) -> float:
    """In decibels, up to 60."""
    x, y = (np.asarray(i.convert("RGB"), dtype=float) / 255 for i in (a, b))
    return float(-10 * np.log10(np.mean((x - y) ** 2) + 1e-6))


def measure(formats: list[str], photographs: Path | None) -> Iterator[dict[str, Any]]:
    """One row for each picture and setting."""
    for group, name, im in pictures(photographs):
        for form, options in SETTINGS:
            if form.lower() not in formats:
                continue
            buffer = io.BytesIO()
            im.save(buffer, form, **options)
            data = buffer.getvalue()
            file = open_image(data, DecodeOptions())
            ordinary = psnr(im, Image.open(buffer))
            ours, real = (psnr(im, x) for x in decode_at(file, (0.0, 1.0)))
            predicted = min(60.0, file.info.predicted_psnr_db(0.0))
            setting = " ".join(str(v) for k, v in options.items() if k != "speed")
            yield {
                "group": group, "name": name, "format": form, "setting": setting, "ordinary": ordinary,
                "gain": ours - ordinary, "gain_at_1": real - ordinary, "price_error": predicted - ours,
            }  # fmt: skip


def tables(rows: list[dict[str, Any]]) -> None:
    """Counts by group and format, and the worst."""
    print(
        "| format | pictures | files | worse by 0.05 dB | by 1 dB | worst | mean gain | price bias | spread | "
        "realism 1: worse by 1 dB | mean |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    keys = sorted({(r["format"], r["group"]) for r in rows})
    for form, group in [*keys, *[(f, None) for f in sorted({k[0] for k in keys})]]:
        mine = [r for r in rows if r["format"] == form and group in (None, r["group"])]
        g, p, h = (np.array([r[k] for r in mine]) for k in ("gain", "price_error", "gain_at_1"))
        print(
            f"| {form} | {group or 'all'} | {len(g)} | {(g < -0.05).sum()} | {(g < -1).sum()} | "
            f"{g.min():+.2f} | {g.mean():+.2f} | {p.mean():+.2f} | {p.std():.2f} | {(h < -1).sum()} | {h.mean():+.2f} |"
        )
    print("\nworst:")
    for r in sorted(rows, key=lambda r: r["gain"])[:12]:
        print(
            f"  {r['gain']:+.2f} dB  {r['name']}, {r['format']} {r['setting']}, ordinary {r['ordinary']:.1f} dB"
        )


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n", maxsplit=1)[0] if __doc__ else ""
    )
    parser.add_argument("--formats", nargs="+", default=["jpeg", "webp", "avif"])
    parser.add_argument("--photographs", type=Path, help="folder of lossless photographs")
    parser.add_argument("--out", type=Path, help="file for the rows, one JSON object a line")
    args = parser.parse_args()
    if "jxl" in args.formats:
        import pillow_jxl  # noqa: F401 (teaches Pillow the format)
    rows = list(measure([f.lower() for f in args.formats], args.photographs))
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    tables(rows)


if __name__ == "__main__":
    main()
