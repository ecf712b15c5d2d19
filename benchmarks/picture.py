"""The picture in the README: original, ordinary decoder, realism 0, 0.5 and 1, side by side.

python benchmarks/picture.py docs/realism.png
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from skimage import data

import veridical

CROP = (250, 130, 450, 300)
SCALE = 2
BAND = 26


def main() -> None:
    """Write the picture."""
    original = Image.fromarray(data.coffee())
    rows = []
    for name, bpp in (("AVIF", 0.2), ("JPEG", 0.35)):
        file = veridical.encode(original, format=name, bpp=bpp)
        rate = veridical.info(file).bits_per_pixel
        rows.append(
            [
                ("original", original),
                (f"{name}, {rate:.2f} bits/pixel", veridical.open(file).ordinary),
                ("realism 0", veridical.decode(file, realism=0)),
                ("realism 0.5", veridical.decode(file, realism=0.5)),
                ("realism 1", veridical.decode(file, realism=1)),
            ]
        )
    width, height = ((b - a) * SCALE for a, b in ((CROP[0], CROP[2]), (CROP[1], CROP[3])))
    sheet = Image.new("RGB", (width * 5, (height + BAND) * len(rows)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(16)
    for r, row in enumerate(rows):
        for k, (title, picture) in enumerate(row):
            at = (k * width, r * (height + BAND))
            pen.text((at[0] + 4, at[1] + 3), title, fill="black", font=font)
            crop = (
                picture.convert("RGB").crop(CROP).resize((width, height), Image.Resampling.NEAREST)
            )
            sheet.paste(crop, (at[0], at[1] + BAND))
    sheet.quantize(256, dither=Image.Dither.NONE).save(Path(sys.argv[1]), optimize=True)


if __name__ == "__main__":
    main()
