"""``veridical.view``: one page on which coded files are seen at every realism.

A browser that lays one picture over another with opacity ``a`` computes ``(1 - a) x_mmse + a
x_real``: the cross-fade *is* the interpolation ([T] Prop. 3), up to rounding to eight bits.
"""

from __future__ import annotations

import base64
import html
import io
import json
import webbrowser
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any, cast

from PIL import Image

from veridical.arrays import as_path
from veridical.errors import InvalidSetting, typed_errors
from veridical.interpolate import Calibration
from veridical.notices import Notice, log_notice
from veridical.photo.formats import open_image
from veridical.photo.image import CodedImage, FileInfo, check_original
from veridical.photo.options import DecodeOptions
from veridical.photo.reader import Picture, Source, name_of, open_source
from veridical.photo.windows import Progress, decode_at
from veridical.writing import write_text


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
            vars(f)
            | {
                "width": f.x_mmse.width,
                "height": f.x_mmse.height,
                "x_mmse": _url(f.x_mmse),
                "x_real": _url(f.x_real),
                "ordinary": None if f.ordinary is None else _url(f.ordinary),
                "price": None if f.price is None else asdict(f.price),
            }
            for f in coded
        ],
    }
    template, viewer = (
        files("veridical.photo").joinpath(name).read_text(encoding="utf-8")
        for name in ("page.html", "view.js")
    )
    template = template.replace("/*VIEW*/", viewer.replace("export class", "class"))
    return template.replace("/*DATA*/null", json.dumps(data).replace("<", "\\u003c"))


@dataclass(frozen=True)
class Page:
    """A page that needs nothing but a browser; notebooks show it.

    Attributes:
        html: The whole page.
    """

    html: str = field(repr=False)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the page.

        Raises:
            UnwritableOutput: The file cannot be written.
        """
        target = as_path("path", path)
        write_text(target, self.html)
        return target

    def open(self, path: str | PathLike[str]) -> None:
        """Write the page and show it in a browser."""
        webbrowser.open(self.save(path).resolve().as_uri())

    def _repr_html_(self) -> str:
        style = "width:100%;height:48rem;border:0"
        return (
            f'<iframe srcdoc="{html.escape(self.html)}" title="veridical" style="{style}"></iframe>'
        )


@typed_errors()
def view(
    files: Source | CodedImage | Sequence[Source | CodedImage],
    original: Picture | None = None,
    options: DecodeOptions | None = None,
    *,
    notice: Notice = log_notice,
    progress: Progress = lambda done, total: None,
    **settings: Any,
) -> Page:
    """A page with a slider for realism, for one coded file or several.

    Args:
        files: As for :func:`veridical.decode`, or a list of such.
        original: The picture before coding, to compare with, as for :func:`veridical.encode`.
        options: Of the decoder; realism and perception are not read.
        notice: Called with a sentence when something was converted; a warning of ``logging`` if left out.
        progress: Called with (windows done, all), file after file.
        **settings: Instead of options, single ones by name.

    Raises:
        InvalidSetting: No file, one whose weights have no generator, or an original of another size.
        VeridicalError: As :func:`veridical.decode`.
    """
    o = DecodeOptions.of(options, settings)
    sources = cast(
        "Sequence[Source | CodedImage]", files if isinstance(files, list | tuple) else [files]
    )
    if not sources:
        raise InvalidSetting("name at least one coded file to view")
    before = None
    if original is not None:
        before = open_source(original, max_pixels=o.max_pixels, notice=notice).convert("RGB")
    return Page(page(before, [_shown(source, before, o, notice, progress) for source in sources]))


def _shown(
    source: Source | CodedImage,
    original: Image.Image | None,
    options: DecodeOptions,
    notice: Notice,
    progress: Progress,
) -> PageFile:
    file = open_image(source, options, notice)
    if original is not None:
        check_original(original, file)
    name = Path(name_of(source)).name if not hasattr(source, "window") else "the file"
    if not file.has_generator:
        raise InvalidSetting(
            f"the weights of {name} have no generator, so that there is no realism to choose; name weights that "
            "have one (--weights FILE), or decode it at realism 0"
        )
    ends = decode_at(file, (0.0, 1.0), options, notice=notice, progress=progress)
    i = file.info
    title = f"{name}, {i.bits_per_pixel:.3f} bits per pixel, {i.n_bytes:,} bytes"
    mmse, real = (x.convert("RGB") for x in ends)
    return PageFile(title, mmse, real, file.ordinary, i.price, *_predictions(i))


def _predictions(i: FileInfo) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table below the picture; empty where nothing was measured."""
    if i.price is None:
        return [], []
    rows = [
        [f"realism {a:g}", f"{i.predicted_psnr_db(a):.2f}", f"{i.price.perception_at(a):.3g}"]
        for a in (0.0, 0.5, 1.0)
    ]
    return ["setting", "predicted PSNR dB", "squared W2 to the generator's law at most"], rows
