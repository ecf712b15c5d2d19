"""The command ``veridical demo``: the main job on one real photograph."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from veridical.cli import terminal
from veridical.errors import TargetUnreachable
from veridical.photo.options import DecodeOptions
from veridical.studies.records import make_folder
from veridical.writing import write_text, write_whole

if TYPE_CHECKING:
    from PIL import Image

    from veridical.photo.view import PageFile


def demo(
    out_dir: Annotated[
        Path, typer.Option("--out-dir", "-o", help="Folder for files, pictures and demo.html.")
    ] = Path("demo"),
    bpp: Annotated[float, typer.Option(help="Bits per pixel to aim for.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Same seed, same picture.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Code a photograph in each format, decode it at realism 0, 0.5 and 1, and show it on a page.

    Files in the folder are replaced. Perceptual distances are measured where the extra metrics is
    installed, and JPEG XL is coded where jxl is.
    """
    from importlib.resources import files
    from importlib.util import find_spec

    from veridical.photo.formats import FORMATS
    from veridical.photo.reader import open_source
    from veridical.photo.view import page

    original = open_source(files("veridical.photo").joinpath("demo.webp").read_bytes())
    options = DecodeOptions(seed=seed, device=device)
    make_folder(out_dir)
    coded = [
        _shown(original, name, out_dir / f"coffee{one.suffixes[0]}", bpp, options)
        for name, one in FORMATS.items()
        if not (plugin := getattr(one, "plugin", None)) or find_spec(plugin)
    ]
    write_text(out_dir / "demo.html", page(original, [file for file in coded if file is not None]))
    terminal.say(f"open {out_dir / 'demo.html'} in a browser: its slider is the realism")


def _shown(
    original: Image.Image, format_name: str, target: Path, bpp: float, options: DecodeOptions
) -> PageFile | None:
    """Code in one format, print the table, write file and pictures.

    Returns:
        What the page shows; None if there is no realism to choose.
    """
    import numpy as np

    from veridical.cli.comparison import comparison_table
    from veridical.measure.photo import compare_image
    from veridical.photo.formats import open_image
    from veridical.photo.view import PageFile

    with terminal.progress(format_name) as update:
        data = _coded(original, format_name, bpp)
        file = open_image(data, options)
        rows, pictures = compare_image(
            np.asarray(original), file, options, notice=terminal.notice, progress=update
        )
    i = file.info
    title = f"{format_name}, {i.bits_per_pixel:.3f} bits per pixel, {i.n_bytes:,} bytes"
    table = comparison_table([asdict(row) for row in rows], title)
    terminal.out.print(table)
    write_whole(target, lambda f: f.write(data))
    for a, x in pictures.items():
        name = target.with_name(f"{target.name}.realism-{a:g}.png")
        write_whole(name, lambda f, x=x: x.save(f, "PNG"))
    if not file.has_generator:
        return None
    cells = zip(*(column.cells for column in table.columns), strict=True)
    return PageFile(
        title, pictures[0.0], pictures[1.0], file.ordinary, i.price,
        [str(c.header) for c in table.columns], [[str(x) for x in row] for row in cells],
    )  # fmt: skip


def _coded(original: Image.Image, format_name: str, bpp: float) -> bytes:
    from veridical.photo.encode import encode

    try:
        return encode(original, format=format_name, bpp=bpp)
    except TargetUnreachable:
        terminal.notice(
            f"{format_name} cannot go down to {bpp} bits per pixel here; using its quality 3"
        )
        return encode(original, format=format_name, quality=3)
