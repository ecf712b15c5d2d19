"""The commands for photographs: encode, decode, info, compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from veridical.batch import Engine, Journal
from veridical.cli import terminal
from veridical.cli.comparison import PICTURES, coded, compare_folders, comparison_table
from veridical.cli.files import is_single, jobs, read_list
from veridical.cli.many import JOURNAL, EngineName, Jobs, Many, check_all_done
from veridical.cli.photo_jobs import PhotoJob, compare_job, decode_job, encode_job, output_format
from veridical.errors import UnsupportedFormat, UnwritableOutput
from veridical.photo.options import DEFAULT_MAX_PIXELS, DEFAULT_STEPS, DEFAULT_TILE, DecodeOptions

__all__ = ["compare", "decode", "encode", "info"]

Paths = Annotated[
    list[Path] | None,
    typer.Argument(help="IN OUT, or any files, folders or patterns with --out-dir."),
]
FromList = Annotated[
    Path | None,
    typer.Option("--from-list", help="Text file with one input a line; - is standard input."),
]
OutDir = Annotated[
    Path | None,
    typer.Option(
        "--out-dir", "-o", help="Folder for the results of many inputs, or the file for one input."
    ),
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace existing outputs.")]
MaxPixels = Annotated[int, typer.Option(help="Largest picture accepted, in pixels.")]
Seed = Annotated[int, typer.Option(help="Same seed, same picture.")]
Steps = Annotated[int, typer.Option(help="Steps of the generator: more is slower and finer.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Threads = Annotated[
    int | None,
    typer.Option(help="Threads of the networks (default: the cores; one with --out-dir)."),
]
Weights = Annotated[
    Path | None,
    typer.Option(help="Own weights: a file, or a folder of several, instead of the shipped ones."),
]


def _all(
    work: Any,
    paths: list[Path] | None,
    from_list: Path | None,
    out_dir: Path | None,
    suffix: str,
    *,
    named: tuple[str, ...],
    settings: dict[str, Any],
    force: bool,
    check: Callable[[Path], object],
    title: str,
    engine: Engine,
) -> None:
    """Do all jobs of a command: one file in this process, many by workers with a journal."""
    paths = paths or []
    listed = [] if from_list is None else read_list(from_list)
    if out_dir is not None and not listed and _names_a_file(paths, out_dir, check):
        paths, out_dir = [*paths, out_dir], None
    if out_dir is None:
        paths = [*paths, *listed]
        ((source, target),) = jobs(paths, None, suffix, named, lambda s, t: force)
        check(target)
        with terminal.progress(f"{title} {source.name}") as update:
            said = work(PhotoJob(source, target, **settings), terminal.notice, update)["said"]
        terminal.say(said)
        return
    many = Many(work, title, engine, out_dir, Journal(out_dir / JOURNAL))
    if "options" in settings:
        settings = {"options": replace(settings["options"], threads=engine.threads)}

    def replaces(source: Path, target: Path) -> bool:
        return force or many.own_leftover(PhotoJob(source, target, **settings))

    pairs = jobs(paths, out_dir, suffix, named, replaces, listed)
    for _, target in pairs:
        check(target)
    check_all_done(many.run([PhotoJob(s, t, **settings) for s, t in pairs], again=force))


def _names_a_file(paths: list[Path], out: Path, check: Callable[[Path], object]) -> bool:
    """Whether ``-o`` names a file, as in other programs: one input, and a suffix that can be written."""
    if len(paths) != 1 or not is_single(paths[0]) or not out.suffix or out.is_dir():
        return False
    try:
        check(out)
    except (UnsupportedFormat, UnwritableOutput):
        return False
    return True


def encode(
    paths: Paths = None,
    quality: Annotated[
        float | None, typer.Option(help="0 to 100 in the format's own sense.")
    ] = None,
    bpp: Annotated[
        float | None, typer.Option(help="At most this many bits per pixel, by search.")
    ] = None,
    max_bytes: Annotated[
        int | None, typer.Option(help="At most this many bytes, by search.")
    ] = None,
    format: Annotated[  # noqa: A002 (the option's name)
        str, typer.Option(help="Format with --out-dir: avif, webp, jpg or vdc.")
    ] = "avif",
    out_dir: OutDir = None,
    from_list: FromList = None,
    workers: Jobs = None,
    engine: EngineName = "loky",
    force: Force = False,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    quantizer: Annotated[
        str, typer.Option(help=".vdc only: scalar; dither or e8 for common randomness.")
    ] = "scalar",
    seed: Annotated[int, typer.Option(help=".vdc only: seed of the common randomness.")] = 0,
    realism: Annotated[
        float, typer.Option(help=".vdc only: realism of decoders that are not told one.")
    ] = 0.0,
    weights: Weights = None,
) -> None:
    """Code photographs as small AVIF, WebP or JPEG files that open everywhere, or as .vdc files."""
    from veridical.photo.formats import format_of_suffix
    from veridical.photo.options import EncodeOptions, Target

    options = {"quantizer": quantizer, "seed": seed, "realism": realism, "weights": weights}
    wanted, own = Target(quality=quality, bpp=bpp, max_bytes=max_bytes), EncodeOptions(**options)
    suffix = "." + format.lower().lstrip(".")
    format_of_suffix(suffix)
    _all(
        encode_job, paths, from_list, out_dir, suffix, named=PICTURES, force=force, title="coding",
        settings={
            "encoding": {
                "quality": quality, "bpp": bpp, "max_bytes": max_bytes, "max_pixels": max_pixels, **options,
            }
        },
        check=lambda target: format_of_suffix(target.suffix).check(wanted, own),
        engine=Engine(engine, workers),
    )  # fmt: skip


def decode(
    paths: Paths = None,
    realism: Annotated[
        float | None,
        typer.Option(
            help="0 least error (default, unless a .vdc file says otherwise) ... "
            "1 follows the statistics of photographs."
        ),
    ] = None,
    perception: Annotated[
        float | None, typer.Option(help="Instead: squared W2 distance to photographs to be met.")
    ] = None,
    seed: Seed = 0,
    steps: Steps = DEFAULT_STEPS,
    device: Device = "auto",
    threads: Threads = None,
    tile: Annotated[
        int, typer.Option(help="Side of the tiles in pixels, a multiple of 16; bounds memory.")
    ] = DEFAULT_TILE,
    weights: Weights = None,
    format: Annotated[  # noqa: A002 (the option's name)
        str, typer.Option(help="Format with --out-dir: png or any other.")
    ] = "png",
    out_dir: OutDir = None,
    from_list: FromList = None,
    workers: Jobs = None,
    engine: EngineName = "loky",
    force: Force = False,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    allow_partial: Annotated[
        bool,
        typer.Option("--allow-partial", help="Decode what is whole of a damaged .vdc file."),
    ] = False,
) -> None:
    """Decode AVIF, WebP, JPEG or .vdc files at any realism, into any picture format."""
    suffix = "." + format.lower().lstrip(".")
    options = DecodeOptions(
        realism=realism, perception=perception, seed=seed, steps=steps, device=device, threads=threads,
        tile=tile, weights=weights, max_pixels=max_pixels, allow_partial=allow_partial,
    )  # fmt: skip
    _all(
        decode_job, paths, from_list, out_dir, suffix, named=coded(), force=force, title="decoding",
        settings={"options": options},
        check=lambda target: output_format(target.suffix),
        engine=Engine(engine, workers),
    )  # fmt: skip


def info(
    files: Annotated[
        list[Path], typer.Argument(help="AVIF, WebP, JPEG or .vdc files, folders or patterns.")
    ],
    steps: Steps = DEFAULT_STEPS,
    weights: Weights = None,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
) -> None:
    """Say what a file is and predict the error of every setting before decoding."""
    from veridical.cli.files import expand
    from veridical.photo.decode import info as photo_info

    options = DecodeOptions(steps=steps, weights=weights, max_pixels=max_pixels)
    for path in expand(files, coded()):
        i = photo_info(path, options)
        table = Table(title=terminal.shown(path), title_justify="left", show_header=False)
        kind = i.format + (", greyscale" if i.grey else "") + (", alpha" if i.alpha else "")
        table.add_row("format", kind + (", lossless" if i.lossless else ""))
        table.add_row("size", f"{i.width} x {i.height} pixels, {i.n_bytes:,} bytes")
        table.add_row("rate", f"{i.bits_per_pixel:.3f} bits per pixel")
        if i.quantizer is not None:
            table.add_row("quantizer", f"{i.quantizer:.3f} (0 finest, 1 coarsest)")
        for name, value in i.details.items():
            table.add_row(name, terminal.shown(value))
        if i.price is not None:
            for a in (0.0, 0.5, 1.0):
                table.add_row(
                    f"realism {a:g}",
                    f"predicted PSNR {i.predicted_psnr_db(a):.2f} dB, perception at most "
                    f"{i.price.perception_at(a):.3g}",
                )
        terminal.out.print(table)


def compare(
    original: Annotated[
        Path, typer.Argument(help="The picture before coding, or a folder of them.")
    ],
    file: Annotated[
        Path, typer.Argument(help="The coded file, or a folder of them with the originals' names.")
    ],
    seed: Seed = 0,
    steps: Steps = DEFAULT_STEPS,
    device: Device = "auto",
    weights: Weights = None,
    out_dir: Annotated[
        Path | None,
        typer.Option("--out-dir", "-o", help="With folders: where comparison.csv goes."),
    ] = None,
    workers: Jobs = None,
    engine: EngineName = "loky",
    force: Force = False,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
) -> None:
    """Measure the ordinary decoder and realism 0, 0.5 and 1 against the original.

    A .vdc file has no ordinary decoder, and realism 0 alone if its weights have no generator.
    """
    from veridical.measure.photo import has_metrics

    options = DecodeOptions(
        seed=seed, steps=steps, device=device, weights=weights, max_pixels=max_pixels
    )
    if original.is_dir() or file.is_dir():
        team = Engine(engine, workers, torch=has_metrics())
        options = replace(options, threads=team.threads)
        compare_folders(original, file, out_dir, options, engine=team, force=force)
        return
    with terminal.progress("comparing") as update:
        rows = compare_job(PhotoJob(original, file, options), terminal.notice, update)["rows"]
    terminal.out.print(comparison_table(rows, f"{file} against {original}"))
