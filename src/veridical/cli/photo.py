"""The commands for photographs: encode, decode, info, compare."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from veridical.cli import terminal
from veridical.cli.files import jobs, write_whole
from veridical.errors import InvalidSetting, UnwritableOutput, VeridicalError

__all__ = ["compare", "decode", "encode", "info"]

Paths = Annotated[
    list[Path], typer.Argument(help="IN OUT, or any files, folders or patterns with --out-dir.")
]
OutDir = Annotated[
    Path | None, typer.Option("--out-dir", "-o", help="Folder for the results of many inputs.")
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace existing outputs.")]
MaxPixels = Annotated[
    int | None, typer.Option(help="Largest picture accepted, in pixels (default 178,956,970).")
]
Seed = Annotated[int, typer.Option(help="Same seed, same picture.")]
Steps = Annotated[int, typer.Option(help="Steps of the generator: more is slower and finer.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Weights = Annotated[Path | None, typer.Option(help="Own weights file instead of the shipped one.")]

_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".tiff", ".bmp")
_CODED = (".avif", ".webp", ".jpg", ".jpeg", ".vdc")


def _limit(max_pixels: int | None) -> int:
    from veridical.photo.reader import DEFAULT_MAX_PIXELS

    return DEFAULT_MAX_PIXELS if max_pixels is None else max_pixels


def _each(pairs: list[tuple[Path, Path]], work: Callable[[Path, Path], None]) -> None:
    """Do all jobs; with several, one that fails is reported and does not stop the others."""
    if len(pairs) == 1:
        work(*pairs[0])
        return
    failed = 0
    for source, target in pairs:
        try:
            work(source, target)
        except VeridicalError as error:
            failed += 1
            terminal.err.print(f"veridical: {source}: {error}", markup=False)
    if failed:
        raise InvalidSetting(f"{failed} of {len(pairs)} files failed; the others are done")


def encode(
    paths: Paths,
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
    force: Force = False,
    max_pixels: MaxPixels = None,
    quantizer: Annotated[
        str, typer.Option(help=".vdc only: scalar, or dither for common randomness.")
    ] = "scalar",
    seed: Annotated[int, typer.Option(help=".vdc only: seed of the common randomness.")] = 0,
    realism: Annotated[
        float, typer.Option(help=".vdc only: realism of decoders that are not told one.")
    ] = 0.0,
    weights: Weights = None,
) -> None:
    """Code photographs as small AVIF, WebP or JPEG files that open everywhere, or as .vdc files."""
    from veridical.photo.encode import (
        LearnedSettings,
        everyday_encoder,
        format_of_suffix,
        learned_encoder,
    )
    from veridical.photo.encode import encode as encode_photo

    learned = LearnedSettings(quantizer, seed, realism, weights)

    suffix = "." + format.lower().lstrip(".")
    format_of_suffix(suffix)
    for source, target in jobs(paths, out_dir, suffix, _PICTURES, True):
        name = format_of_suffix(target.suffix)
        if name == "VDC":
            learned_encoder(learned, quality, bpp, max_bytes)
        else:
            everyday_encoder(name, quality, bpp, max_bytes, learned)
        del source

    def work(source: Path, target: Path) -> None:
        with terminal.progress(f"coding {source.name}"):
            data = encode_photo(
                source, format=format_of_suffix(target.suffix), quality=quality, bpp=bpp,
                max_bytes=max_bytes, learned=learned, max_pixels=_limit(max_pixels),
                notice=terminal.notice,
            )  # fmt: skip
        write_whole(target, lambda file: file.write(data))
        terminal.out.print(f"{target}: {len(data):,} bytes", markup=False)

    _each(jobs(paths, out_dir, suffix, _PICTURES, force), work)


def _save_picture(picture: Any, target: Path, format_name: str) -> None:
    from PIL import Image

    options: dict[str, Any] = dict(picture.info)
    if format_name in ("JPEG", "WEBP", "AVIF"):
        options["quality"] = 95
    if format_name in ("JPEG", "BMP", "PPM") and picture.mode in ("RGBA", "LA"):
        terminal.notice(f"{format_name} has no alpha; transparent parts are laid on white")
        white = Image.new("RGBA", picture.size, "white")
        white.alpha_composite(picture.convert("RGBA"))
        picture = white.convert("L" if picture.mode == "LA" else "RGB")

    def write(file: Any) -> None:
        try:
            picture.save(file, format_name, **options)
        except (ValueError, TypeError, KeyError) as cause:
            raise UnwritableOutput(
                f"{format_name} cannot hold this picture ({cause}); try .png"
            ) from cause

    write_whole(target, write)


def _output_format(suffix: str) -> str:
    from PIL import Image

    Image.init()
    name = Image.registered_extensions().get(suffix.lower())
    if name is None or name not in Image.SAVE:
        raise UnwritableOutput(f"no picture format is written as {suffix!r}; try .png")
    return name


def decode(
    paths: Paths,
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
    steps: Steps = 4,
    device: Device = "auto",
    tile: Annotated[
        int, typer.Option(help="Side of the tiles in pixels, a multiple of 16; bounds memory.")
    ] = 768,
    weights: Weights = None,
    format: Annotated[  # noqa: A002 (the option's name)
        str, typer.Option(help="Format with --out-dir: png or any other.")
    ] = "png",
    out_dir: OutDir = None,
    force: Force = False,
    max_pixels: MaxPixels = None,
    allow_partial: Annotated[
        bool,
        typer.Option("--allow-partial", help="Decode what is whole of a damaged .vdc file."),
    ] = False,
) -> None:
    """Decode AVIF, WebP, JPEG or .vdc files at any realism, into any picture format."""
    from veridical.photo.decode import decode as decode_photo

    suffix = "." + format.lower().lstrip(".")
    pairs = jobs(paths, out_dir, suffix, _CODED, force)
    for _, target in pairs:
        _output_format(target.suffix)

    def work(source: Path, target: Path) -> None:
        with terminal.progress(f"decoding {source.name}") as update:
            picture = decode_photo(
                source, realism=realism, perception=perception, seed=seed, steps=steps, device=device,
                tile=tile, weights=weights, max_pixels=_limit(max_pixels),
                allow_partial=allow_partial, notice=terminal.notice, progress=update,
            )  # fmt: skip
        _save_picture(picture, target, _output_format(target.suffix))
        terminal.out.print(
            f"{target}: {picture.width} x {picture.height} {picture.mode}", markup=False
        )

    _each(pairs, work)


def info(
    files: Annotated[
        list[Path], typer.Argument(help="AVIF, WebP, JPEG or .vdc files, folders or patterns.")
    ],
    steps: Steps = 4,
    weights: Weights = None,
    max_pixels: MaxPixels = None,
) -> None:
    """Say what a file is and predict the error of every setting before decoding."""
    from veridical.cli.files import expand
    from veridical.photo.decode import info as photo_info

    for path in expand(files, _CODED):
        i = photo_info(path, steps=steps, weights=weights, max_pixels=_limit(max_pixels))
        table = Table(title=str(path), title_justify="left", show_header=False)
        kind = i.format + (", greyscale" if i.grey else "") + (", alpha" if i.alpha else "")
        table.add_row("format", kind + (", lossless" if i.lossless else ""))
        table.add_row("size", f"{i.width} x {i.height} pixels, {i.n_bytes:,} bytes")
        table.add_row("rate", f"{i.bits_per_pixel:.3f} bits per pixel")
        if i.quantizer is not None:
            table.add_row("quantizer", f"{i.quantizer:.3f} (0 finest, 1 coarsest)")
        for name, value in i.details.items():
            table.add_row(name, value)
        for a in (0.0, 0.5, 1.0) if i.priced else ():
            p = i.price.perception_at(a)
            table.add_row(
                f"realism {a:g}",
                f"predicted PSNR {i.predicted_psnr_db(a):.2f} dB, perception at most {p:.3g}",
            )
        terminal.out.print(table)


def compare(
    original: Annotated[Path, typer.Argument(help="The picture before coding.")],
    file: Annotated[Path, typer.Argument(help="The coded AVIF, WebP or JPEG file.")],
    seed: Seed = 0,
    steps: Steps = 4,
    device: Device = "auto",
    weights: Weights = None,
    max_pixels: MaxPixels = None,
) -> None:
    """Measure the ordinary decoder and realism 0, 0.5 and 1 against the original."""
    from veridical.measure.photo import compare_file

    with terminal.progress("comparing") as update:
        rows = compare_file(
            original, file, seed=seed, steps=steps, device=device, weights=weights,
            max_pixels=_limit(max_pixels), notice=terminal.notice, progress=update,
        )  # fmt: skip
    terminal.out.print(comparison_table(rows, f"{file} against {original}"))


def comparison_table(rows: list[Any], title: str) -> Table:
    """A table of ``measure.photo.ComparisonRow``; columns that were not measured are left out."""
    table = Table(title=title, title_justify="left")
    has_stlpips = any(r.stlpips is not None for r in rows)
    has_frechet = any(r.frechet is not None for r in rows)
    for name in ("", "PSNR dB", "predicted dB"):
        table.add_column(name, justify="left" if not name else "right")
    if has_stlpips:
        table.add_column("ST-LPIPS", justify="right")
    if has_frechet:
        table.add_column("patch Frechet", justify="right")
    for r in rows:
        cells = [
            r.name,
            f"{r.psnr_db:.2f}",
            "" if math.isnan(r.predicted_psnr_db) else f"{r.predicted_psnr_db:.2f}",
        ]
        if has_stlpips:
            cells.append(f"{r.stlpips:.4f}")
        if has_frechet:
            cells.append(f"{r.frechet:.3f}")
        table.add_row(*cells)
    return table
