"""The command ``veridical demo``: the main job on one real photograph."""

from __future__ import annotations

import io
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from veridical.cli import terminal
from veridical.errors import MissingDependency, TargetUnreachable, UnwritableOutput
from veridical.writing import write_whole

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

    The photograph comes with scikit-image. Files in the folder are replaced.
    """
    from veridical.cli.comparison import comparison_table
    from veridical.measure.photo import compare_pictures, has_metrics
    from veridical.photo.decode import decode, info
    from veridical.photo.encode import encode
    from veridical.photo.page import PageFile, page
    from veridical.photo.reader import open_coded

    try:
        from skimage import data as photographs
    except ImportError as cause:
        raise MissingDependency(
            'the demo photograph comes with scikit-image: pip install "veridical[demo]"'
        ) from cause
    import numpy as np
    from PIL import Image

    truth = photographs.coffee()
    original = Image.fromarray(truth)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise UnwritableOutput(
            f"cannot make the folder {out}: {cause.strerror or cause}"
        ) from cause
    coded = []
    for format_name, suffix in (("AVIF", "avif"), ("WEBP", "webp"), ("JPEG", "jpg")):
        with terminal.progress(format_name) as update:
            try:
                file = encode(original, format=format_name, bpp=bpp)
            except TargetUnreachable:
                file = encode(original, format=format_name, quality=3)
                terminal.notice(
                    f"{format_name} cannot go down to {bpp} bits per pixel here; using its quality 3"
                )
            facts = info(file, steps=steps)
            versions = {}
            for k, a in enumerate((0.0, 0.5, 1.0)):
                update(k, 4)
                versions[a] = decode(file, realism=a, seed=seed, steps=steps, device=device)
            update(3, 4)
            ordinary = open_coded(file).pixels
            rows = compare_pictures(
                truth,
                [("ordinary decoder", ordinary, float("nan"))]
                + [
                    (f"realism {a:g}", np.asarray(x), facts.predicted_psnr_db(a))
                    for a, x in versions.items()
                ],
                perceptual=has_metrics(),
            )
        title = f"{format_name}, {facts.bits_per_pixel:.3f} bits per pixel, {facts.n_bytes:,} bytes"
        table = comparison_table([asdict(row) for row in rows], title)
        terminal.out.print(table)
        write_whole(out / f"coffee.{suffix}", lambda f, b=file: f.write(b))
        for a, x in versions.items():
            buffer = io.BytesIO()
            x.save(buffer, "PNG")
            write_whole(
                out / f"coffee.{suffix}.realism-{a:g}.png",
                lambda f, b=buffer: f.write(b.getvalue()),
            )
        cells = [list(column.cells) for column in table.columns]
        coded.append(
            PageFile(
                title, versions[0.0], versions[1.0], Image.fromarray(ordinary), facts.price,
                [str(c.header) for c in table.columns], [[str(x) for x in r] for r in zip(*cells, strict=True)],
            )
        )  # fmt: skip
    html = page(original, coded)
    write_whole(out / "demo.html", lambda f: f.write(html.encode("utf-8")))
    terminal.out.print(
        f"open {out / 'demo.html'} in a browser: its slider is the realism", markup=False
    )
