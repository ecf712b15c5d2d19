"""The table of golden vectors that Python and JavaScript must both give: small files and what they tell.

``python tests/web/golden.py`` writes ``golden.json`` anew; review the change before it is committed.
"""

import base64
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from veridical.photo.condition import BASIC_FEATURES, Condition, ResidualScale
from veridical.photo.formats import FORMATS
from veridical.photo.jpeg_header import CONDITIONS, parse_jpeg_header
from veridical.photo.options import GRID
from veridical.photo.price import calibration_of
from veridical.photo.restoration import price_windows
from veridical.photo.tiles import tiles

TABLE = Path(__file__).with_name("golden.json")


def picture(width=24, height=20):
    rows, columns = np.mgrid[:height, :width]
    waves = [128 + 90 * np.sin(columns / (2 + c) + rows / 5) for c in range(3)]
    return Image.fromarray(np.stack(waves, axis=-1).astype(np.uint8))


def files():
    """Name of the format and bytes of each file."""

    def save(name, im=None, **options):
        buffer = io.BytesIO()
        (im or picture()).save(buffer, name, **options)
        return buffer.getvalue()

    grey, alpha = picture().convert("L"), picture()
    alpha.putalpha(grey)
    rising = {0: list(range(1, 65)), 1: [64] * 64}
    jpeg = save("JPEG", quality=30)
    rgb = save("JPEG", quality=30, keep_rgb=True)
    avif = save("AVIF", quality=30)
    return {
        "jpeg": jpeg,
        "jpeg grey": save("JPEG", grey, quality=60),
        "jpeg 4:4:4 progressive": save("JPEG", quality=80, subsampling=0, progressive=True),
        "jpeg 4:2:2 restarts": save("JPEG", quality=10, subsampling=1, restart_marker_blocks=1),
        "jpeg own tables": save("JPEG", qtables=rising),
        "jpeg with bytes behind": jpeg + b"\xff\xd8\xff\xdatrailing",
        "jpeg cut": jpeg[:-40],
        "jpeg without tables": jpeg.replace(b"\xff\xdb", b"\xff\xfe"),
        "jpeg profile and exif": save("JPEG", icc_profile=bytes(range(200)), exif=b"Exif\0\0MM\0*" + bytes(60)),
        "jpeg rgb": rgb,
        "jpeg rgb promised to be luma and chroma": rgb[:2] + jpeg[2:20] + rgb[2:],
        "jpeg cmyk": save("JPEG", picture().convert("CMYK"), quality=60),
        "webp": save("WEBP", quality=30),
        "webp coarse": save("WEBP", quality=1, method=6),
        "webp segments": save("WEBP", picture(96, 80), quality=70, method=6),
        "webp alpha": save("WEBP", alpha, quality=50),
        "webp lossless": save("WEBP", lossless=True),
        "webp profile": save("WEBP", quality=50, icc_profile=bytes(range(128))),
        "webp cut": save("WEBP", quality=30)[:34],
        "webp animation": save("WEBP", save_all=True, append_images=[picture().rotate(90)], quality=40),
        "avif": avif,
        "avif 4:4:4": save("AVIF", quality=60, subsampling="4:4:4"),
        "avif grey": save("AVIF", grey, quality=50),
        "avif alpha": save("AVIF", alpha, quality=50),
        "avif coarse": save("AVIF", quality=1),
        "avif wide": save("AVIF", Image.new("RGB", (4200, 8), "grey"), quality=50),
        "avif grain": save("AVIF", quality=40, codec="aom", advanced={"film-grain-test": "1"}),
        "avif without meta": avif.replace(b"meta", b"metb"),
        "avif cut": avif[: avif.index(b"mdat") + 12],
    }  # fmt: skip


def told(data, width, height):
    """What Python reads: the payload, every feature by name and the residual scale."""
    form = next(f for f in FORMATS.values() if f.sniff(data[:64]))
    p = form.read_payload(data)
    out = {"format": form.name, "bytes": p.n_bytes, "quantizer": p.quantizer, "chromaFull": p.chroma_full,
           "lossless": p.lossless, "grey": p.grey}  # fmt: skip
    if form.name == "AVIF":
        out["grain"] = bool(p.remarks)
    if form.name == "JPEG":
        out["lumaChroma"] = parse_jpeg_header(data).luma_chroma
    if not p.lossless:
        condition = Condition(8 * p.n_bytes / (width * height), p.quantizer, p.chroma_full, p.more)
        names = CONDITIONS if form.name == "JPEG" else BASIC_FEATURES
        out |= {
            "features": dict(zip(names, condition.features(names).tolist(), strict=True)),
            "scale": ResidualScale(*np.array(SCALE))(condition),
        }
    return out


SCALE = [[-14.3, 0.8, 0.1, 3.4, -1.6, 1.4, -0.2], [-10.9, -0.2, -0.1, 0, 0, 0, -0.1]]
PREDICTED = (
    [[-6.5, -7.1, -1.9]],
    [[-9.0, -8.0, 0.3], [-7.0, -8.5, -2.5], [-13.9, -13.8, 3.0]],
    [[0.5, -20.0, 9.0]],
)
"""Of windows of one size, by no network: usual ones, of several windows, beyond the bounds."""
CERTAIN = ([0.0], [0.25, 0.0, 1.0], [1.0])
"""Parts of them that are taken for exact."""


def price(predicted, certain):
    """Error, transport cost and uncertainty."""
    found = calibration_of(np.array(predicted), np.array(certain))
    return [found.mmse, found.transport_cost, found.uncertainty_db]


def windows(height, width):
    """Boxes that a price is read from, their sides as the networks take them."""
    return [
        [*(-(-v // GRID) * GRID for v in vars(b).values())] for b in price_windows(height, width)
    ]


def table():
    """Everything that is compared."""
    return {
        "files": [
            {"name": name, "data": base64.b64encode(data).decode(), **told(data, 24, 20)}
            for name, data in files().items()
        ],
        "scale": SCALE,
        "prices": [[p, c, price(p, c)] for p, c in zip(PREDICTED, CERTAIN, strict=True)],
        "tiles": [
            [h, w, side, [[*vars(t.window).values(), *vars(t.core).values()] for t in tiles(h, w, side)]]
            for h, w, side in ((20, 24, 640), (1000, 700, 640), (705, 1217, 192))
        ],
        "windows": [[h, w, windows(h, w)] for h, w in ((193, 257), (1200, 1600), (4000, 140), (700, 6000))],
    }  # fmt: skip


if __name__ == "__main__":
    TABLE.write_text(
        json.dumps(table(), indent=None, separators=(",", ":")).replace('{"name"', '\n{"name"')
        + "\n"
    )
