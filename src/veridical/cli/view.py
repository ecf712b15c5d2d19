"""The command ``veridical view``: one page on which files are seen at every realism."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from veridical.cli import terminal
from veridical.cli.comparison import CODED
from veridical.cli.files import check_output, expand
from veridical.errors import InvalidSetting
from veridical.writing import write_whole

if TYPE_CHECKING:
    from veridical.photo.facts import FileInfo

__all__ = ["view"]


def view(
    files: Annotated[
        list[Path], typer.Argument(help="AVIF, WebP, JPEG or .vdc files, folders or patterns.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The page.")] = Path("view.html"),
    original: Annotated[
        Path | None, typer.Option(help="The picture before coding, to hold beside.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Steps of the generator.")] = 4,
    seed: Annotated[int, typer.Option(help="Same seed, same picture.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    weights: Annotated[Path | None, typer.Option(help="Own weights file.")] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace an existing page.")] = False,
) -> None:
    """Write one self-contained page with a slider for realism; it needs nothing but a browser."""
    from veridical.photo.opened import Settings, open_file
    from veridical.photo.page import PageFile, page
    from veridical.photo.reader import open_source

    check_output(out, None, force)
    settings = Settings(seed, steps, device, weights, notice=terminal.notice)
    paths = expand(files, CODED)
    before = None if original is None else open_source(original).convert("RGB")
    coded = []
    for path in paths:
        file = open_file(path, settings)
        if not file.has_generator:
            raise InvalidSetting(
                f"the weights of {path} have no generator, so that there is no realism to choose; name "
                "weights that have one (--weights FILE), or use: veridical decode --realism 0"
            )
        with terminal.progress(path.name) as update:
            ends = []
            for k, a in enumerate((0.0, 1.0)):
                update(k, 2)
                ends.append(file.decode(a).convert("RGB"))
        facts = file.facts
        title = f"{path.name}, {facts.bits_per_pixel:.3f} bits per pixel, {facts.n_bytes:,} bytes"
        header, rows = _predictions(facts)
        price = facts.price if facts.priced else None
        coded.append(PageFile(title, ends[0], ends[1], file.ordinary, price, header, rows))
    html = page(before, coded)
    write_whole(out, lambda file: file.write(html.encode("utf-8")))
    terminal.out.print(f"{out}: open it in a browser", markup=False, soft_wrap=True)
    if show:
        webbrowser.open(out.resolve().as_uri())


def _predictions(facts: FileInfo) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table below the picture; empty where nothing was measured."""
    if not facts.priced:
        return [], []
    rows = [
        [f"realism {a:g}", f"{facts.predicted_psnr_db(a):.2f}", f"{facts.price.perception_at(a):.3g}"]
        for a in (0.0, 0.5, 1.0)
    ]  # fmt: skip
    return ["", "predicted PSNR dB", "perception at most"], rows
