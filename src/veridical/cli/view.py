"""The command ``veridical view``: one page on which files are seen at every realism."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from veridical.cli import terminal
from veridical.cli.comparison import coded as coded_suffixes
from veridical.cli.files import check_output, expand
from veridical.errors import InvalidSetting
from veridical.photo.options import DEFAULT_STEPS
from veridical.writing import write_whole

if TYPE_CHECKING:
    from veridical.photo.image import FileInfo

__all__ = ["view"]


def view(
    files: Annotated[
        list[Path], typer.Argument(help="AVIF, WebP, JPEG or .vdc files, folders or patterns.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The page.")] = Path("view.html"),
    original: Annotated[
        Path | None, typer.Option(help="The picture before coding, to hold beside.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Steps of the generator.")] = DEFAULT_STEPS,
    seed: Annotated[int, typer.Option(help="Same seed, same picture.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    weights: Annotated[Path | None, typer.Option(help="Own weights file.")] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace an existing page.")] = False,
) -> None:
    """Write one self-contained page with a slider for realism; it needs nothing but a browser."""
    from veridical.photo.decode import decode_at
    from veridical.photo.formats import open_image
    from veridical.photo.options import DecodeOptions
    from veridical.photo.page import PageFile, page
    from veridical.photo.reader import open_source

    check_output(out, None, force)
    options = DecodeOptions(seed=seed, steps=steps, device=device, weights=weights)
    paths = expand(files, coded_suffixes())
    before = None if original is None else open_source(original).convert("RGB")
    coded = []
    for path in paths:
        file = open_image(path, options, terminal.notice)
        if not file.has_generator:
            raise InvalidSetting(
                f"the weights of {path} have no generator, so that there is no realism to choose; name "
                "weights that have one (--weights FILE), or use: veridical decode --realism 0"
            )
        with terminal.progress(path.name) as update:
            ends = [
                x.convert("RGB")
                for x in decode_at(
                    file, (0.0, 1.0), options, notice=terminal.notice, progress=update
                )
            ]
        i = file.info
        title = f"{path.name}, {i.bits_per_pixel:.3f} bits per pixel, {i.n_bytes:,} bytes"
        header, rows = _predictions(i)
        coded.append(PageFile(title, ends[0], ends[1], file.ordinary, i.price, header, rows))
    html = page(before, coded)
    write_whole(out, lambda file: file.write(html.encode("utf-8")))
    terminal.say(f"{out}: open it in a browser")
    if show:
        webbrowser.open(out.resolve().as_uri())


def _predictions(i: FileInfo) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table below the picture; empty where nothing was measured."""
    if i.price is None:
        return [], []
    rows = [
        [f"realism {a:g}", f"{i.predicted_psnr_db(a):.2f}", f"{i.price.perception_at(a):.3g}"]
        for a in (0.0, 0.5, 1.0)
    ]
    return ["", "predicted PSNR dB", "perception at most"], rows
