"""A self-contained page whose slider is the realism knob.

A browser that lays one picture over another with opacity ``a`` computes ``(1 - a) x_mmse + a
x_real``: the cross-fade *is* the interpolation ([T] Prop. 3), up to rounding to eight bits.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files

from PIL import Image

from veridical.interpolate import Calibration


@dataclass(frozen=True)
class PageFile:
    """One coded file on the page.

    Attributes:
        title: What the chooser shows.
        x_mmse, x_real: Pictures at realism 0 and 1.
        ordinary: Picture of the ordinary decoder; None for a ``.vdc`` file, which has none. Side
            by side stands then the original, or without one the picture at realism 0.
        price: Predicted price; None if it was not measured.
        header, rows: A table of text below the picture.
    """

    title: str
    x_mmse: Image.Image
    x_real: Image.Image
    ordinary: Image.Image | None
    price: Calibration | None
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


_LARGEST_WEBP = 16_383
"""Largest side in pixels (WebP container specification)."""


def _url(picture: Image.Image) -> str:
    """A picture without loss: WebP is a third smaller than PNG, but has a largest side."""
    buffer = io.BytesIO()
    form = "WEBP" if max(picture.size) <= _LARGEST_WEBP else "PNG"
    picture.save(buffer, form, lossless=True, quality=75, method=4)
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"data:image/{form.lower()};base64,{text}"


def page(original: Image.Image | None, coded: Sequence[PageFile]) -> str:
    """The page as one string of HTML, with no reference to anything outside it.

    Args:
        original: The picture before coding, if there is one to show.
        coded: At least one coded file.
    """
    data = {
        "original": None if original is None else _url(original),
        "files": [
            {
                "title": f.title,
                "width": f.x_mmse.width,
                "height": f.x_mmse.height,
                "x_mmse": _url(f.x_mmse),
                "x_real": _url(f.x_real),
                "ordinary": None if f.ordinary is None else _url(f.ordinary),
                "price": None if f.price is None else asdict(f.price),
                "header": list(f.header),
                "rows": [list(r) for r in f.rows],
            }
            for f in coded
        ],
    }
    template = files("veridical.photo").joinpath("page.html").read_text(encoding="utf-8")
    return template.replace("/*DATA*/null", json.dumps(data).replace("<", "\\u003c"))
