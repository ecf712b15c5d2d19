"""The command ``veridical demo``: the main job on one real photograph."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from veridical.cli import terminal
from veridical.errors import MissingDependency, TargetUnreachable, UnwritableOutput
from veridical.writing import write_whole

if TYPE_CHECKING:
    from PIL import Image

    from veridical.photo.opened import Settings
    from veridical.photo.page import PageFile

__all__ = ["demo"]


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the files, pictures and demo.html.")] = Path(
        "demo"
    ),
    bpp: Annotated[float, typer.Option(help="Bits per pixel to aim for.")] = 0.2,
    steps: Annotated[int, typer.Option(help="Steps of the generator.")] = 4,
    seed: Annotated[int, typer.Option(help="Same seed, same picture.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Code a photograph in each format, decode it at realism 0, 0.5 and 1, and show it on a page.

    The photograph comes with scikit-image. Files in the folder are replaced. The .vdc format takes
    part if its weights are installed.
    """
    from PIL import Image

    from veridical.photo.learned import model as learned
    from veridical.photo.opened import Settings
    from veridical.photo.page import page

    try:
        from skimage import data as photographs
    except ImportError as cause:
        raise MissingDependency(
            'the demo photograph comes with scikit-image: pip install "veridical[demo]"'
        ) from cause
    original = Image.fromarray(photographs.coffee())
    settings = Settings(seed, steps, device)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise UnwritableOutput(
            f"cannot make the folder {out}: {cause.strerror or cause}"
        ) from cause
    formats = [("AVIF", "avif"), ("WEBP", "webp"), ("JPEG", "jpg")]
    if learned.DEFAULT_CODEC.exists():
        formats.append(("VDC", "vdc"))
    coded = [_shown(original, name, out / f"coffee.{end}", bpp, settings) for name, end in formats]
    html = page(original, [file for file in coded if file is not None])
    write_whole(out / "demo.html", lambda f: f.write(html.encode("utf-8")))
    terminal.out.print(
        f"open {out / 'demo.html'} in a browser: its slider is the realism", markup=False
    )


def _shown(
    original: Image.Image, format_name: str, target: Path, bpp: float, settings: Settings
) -> PageFile | None:
    """Code in one format, print the table, write file and pictures.

    Returns:
        What the page shows; None if there is no realism to choose.
    """
    import numpy as np

    from veridical.cli.comparison import comparison_table
    from veridical.measure.photo import compare_opened
    from veridical.photo.opened import open_file
    from veridical.photo.page import PageFile

    with terminal.progress(format_name) as update:
        data = _coded(original, format_name, bpp)
        file = open_file(data, settings)
        rows, pictures = compare_opened(
            np.asarray(original), file, notice=terminal.notice, progress=update
        )
    facts = file.facts
    title = f"{format_name}, {facts.bits_per_pixel:.3f} bits per pixel, {facts.n_bytes:,} bytes"
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
        title, pictures[0.0], pictures[1.0], file.ordinary, facts.price if facts.priced else None,
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
