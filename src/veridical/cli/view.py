"""The command ``veridical view``: one page on which files are seen at every realism."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from veridical.cli import terminal
from veridical.cli.comparison import coded as coded_suffixes
from veridical.cli.files import check_output, expand, is_single
from veridical.cli.photo import Device, Force, MaxPixels, Seed, Weights
from veridical.cli.pipes import STANDARD, as_source, check_standard_output, write_standard
from veridical.errors import InvalidSetting, UnwritableOutput
from veridical.photo.options import DEFAULT_MAX_PIXELS, DecodeOptions


def view(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="AVIF, WebP, JPEG, JPEG XL or .vdc files, folders or patterns; - is standard input."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="The page (beside one file, if left out; view.html of several); - is standard output.",
        ),
    ] = None,
    original: Annotated[
        Path | None, typer.Option(help="The picture before coding, to compare with.")
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    weights: Weights = None,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    force: Force = False,
) -> None:
    """Write one self-contained page with a slider for realism; it needs nothing but a browser."""
    from veridical.photo.view import view as make_page

    if out is None:
        one = files[0] if len(files) == 1 and is_single(files[0]) else None
        out = one and (STANDARD if one == STANDARD else one.with_suffix(".html"))
        out = out or Path("view.html")
    if out == STANDARD:
        check_standard_output()
        if show:
            raise InvalidSetting("a page on standard output cannot be opened; name a file")
    elif out.suffix.lower() not in (".html", ".htm"):
        raise UnwritableOutput(f"a page ends in .html, not {out.name}")
    found = expand(files, coded_suffixes())
    if out != STANDARD:
        check_output(out, found if original is None else [*found, original], force)
    options = DecodeOptions(seed=seed, device=device, weights=weights, max_pixels=max_pixels)
    sources = [as_source(path) for path in found]
    with terminal.progress("decoding") as update:
        page = make_page(sources, original, options, notice=terminal.notice, progress=update)
    if out == STANDARD:
        write_standard(page.html.encode("utf-8"))
        return
    page.save(out)
    terminal.say(f"{out}: open it in a browser")
    if show:
        webbrowser.open(out.resolve().as_uri())
