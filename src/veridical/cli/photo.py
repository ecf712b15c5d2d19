"""The commands that code and decode photographs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from veridical.batch import Engine, Journal
from veridical.cli import terminal
from veridical.cli.comparison import PICTURES, coded
from veridical.cli.files import is_single, jobs, read_list
from veridical.cli.many import JOURNAL, EngineName, Jobs, Many, check_all_done
from veridical.cli.photo_jobs import PhotoJob, decode_job, encode_job, output_format
from veridical.cli.pipes import (
    STANDARD,
    AsJson,
    check_json,
    check_standard_output,
    say_json,
)
from veridical.errors import InvalidSetting, UnsupportedFormat, UnwritableOutput
from veridical.photo.options import DEFAULT_MAX_PIXELS, DEFAULT_TILE, DecodeOptions

Paths = Annotated[
    list[Path] | None,
    typer.Argument(
        help="IN, IN OUT, or any files, folders or patterns with --out-dir. - is standard input or output."
    ),
]
FromList = Annotated[
    Path | None,
    typer.Option("--from-list", help="Text file with one input a line; - is standard input."),
]
OutDir = Annotated[
    Path | None,
    typer.Option(
        "--out-dir",
        "-o",
        help="The file for one input (beside it, if left out), or the folder for many.",
    ),
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace existing outputs.")]
MaxPixels = Annotated[int, typer.Option(help="Largest picture accepted, in pixels.")]
Seed = Annotated[int, typer.Option(help="Same seed, same picture.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Threads = Annotated[
    int | None,
    typer.Option(help="Threads of the networks (default: the cores; one with --out-dir)."),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        help="Weights of your own: a file, or a folder of several, instead of the shipped ones or those that "
        "VERIDICAL_WEIGHTS names."
    ),
]


@dataclass(frozen=True)
class _Command:
    """What is done to each file.

    Attributes:
        work: One of the functions of ``photo_jobs``.
        title: Of the progress bar.
        suffix: Of an output that is not named.
        named: Suffixes of the inputs in a folder.
        settings: Of each job.
        check: Refuses the suffix of an output.
        force: Whether outputs that exist are replaced.
        as_json: Whether results are said as JSON.
    """

    work: Any
    title: str
    suffix: str
    named: tuple[str, ...]
    settings: dict[str, Any]
    check: Callable[[str], object]
    force: bool
    as_json: bool


def _all(
    c: _Command,
    paths: list[Path] | None,
    from_list: Path | None,
    out_dir: Path | None,
    engine: Engine,
) -> None:
    """Do all jobs of a command: one file in this process, many by workers with a journal.

    One input without an output gets one beside it, named by the format; standard input goes to standard output.
    """
    paths = paths or []
    listed = [] if from_list is None else read_list(from_list)
    if out_dir is not None and not listed and _names_a_file(paths, out_dir, c.check):
        paths, out_dir = [*paths, out_dir], None
    if out_dir is None:
        paths = [*paths, *listed]
        if len(paths) == 1 and is_single(paths[0]):
            paths.append(STANDARD if paths[0] == STANDARD else paths[0].with_suffix(c.suffix))
        _one(c, paths)
        return
    if STANDARD in (*paths, *listed):
        raise InvalidSetting(
            "standard input is one file and goes to one output; name files beside --out-dir, or give - alone"
        )
    many = Many(c.work, c.title, engine, out_dir, Journal(out_dir / JOURNAL), as_json=c.as_json)
    settings = c.settings
    if "options" in settings:
        settings = {"options": replace(settings["options"], threads=engine.threads)}

    def replaces(source: Path, target: Path) -> bool:
        return c.force or many.own_leftover(PhotoJob(source, target, **settings))

    pairs = jobs(paths, out_dir, c.suffix, c.named, replaces, listed)
    for _, target in pairs:
        c.check(target.suffix)
    check_all_done(many.run([PhotoJob(s, t, **settings) for s, t in pairs], again=c.force))


def _one(c: _Command, paths: list[Path]) -> None:
    """Do one job in this process."""
    if len(paths) == 2 and paths[1] == STANDARD:
        source, target = paths[0], STANDARD
        check_json(c.as_json, STANDARD)
        c.check(c.suffix)
        check_standard_output()
    else:
        ((source, target),) = jobs(paths, None, c.suffix, c.named, lambda s, t: c.force)
        c.check(target.suffix)
    job = PhotoJob(source, target, **c.settings, format=c.suffix[1:])
    with terminal.progress(f"{c.title} {source.name}") as update:
        result = c.work(job, terminal.notice, update)
    if c.as_json:
        say_json(
            {"input": source, "output": target} | result["facts"] | {"notices": result["notices"]}
        )
    elif target != STANDARD:
        terminal.say(result["said"])


def _names_a_file(paths: list[Path], out: Path, check: Callable[[str], object]) -> bool:
    """Whether ``-o`` names a file, as in other programs: one input, and a suffix that can be written."""
    if len(paths) != 1 or not is_single(paths[0]):
        return False
    if out == STANDARD or not out.suffix or out.is_dir():
        return out == STANDARD
    try:
        check(out.suffix)
    except (UnsupportedFormat, UnwritableOutput):
        return False
    return True


def encode(
    paths: Paths = None,
    quality: Annotated[
        float | None,
        typer.Option(help="0 to 100 in the format's own sense (default: the format's, 30 to 35)."),
    ] = None,
    bpp: Annotated[
        float | None, typer.Option(help="At most this many bits per pixel, by search.")
    ] = None,
    max_bytes: Annotated[
        int | None, typer.Option(help="At most this many bytes, by search.")
    ] = None,
    format: Annotated[  # noqa: A002 (the option's name)
        str, typer.Option(help="Format where no output is named: avif, webp, jpg, jxl or vdc.")
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
        float, typer.Option(help=".vdc only: realism that a decoder uses if it is not told.")
    ] = 0.0,
    weights: Weights = None,
    as_json: AsJson = False,
) -> None:
    """Code photographs as small AVIF, WebP or JPEG files that open everywhere, or as JPEG XL or .vdc files.

    JPEG XL needs the extra jxl.
    """
    from veridical.photo.formats import format_of_suffix
    from veridical.photo.options import EncodeOptions, Target

    wanted = Target(quality=quality, bpp=bpp, max_bytes=max_bytes)
    own = EncodeOptions(quantizer=quantizer, seed=seed, realism=realism, weights=weights)
    suffix = "." + format.lower().lstrip(".")
    format_of_suffix(suffix)
    encoding = asdict(wanted) | asdict(own) | {"max_pixels": max_pixels}
    command = _Command(
        encode_job, "coding", suffix, PICTURES, {"encoding": encoding},
        lambda suffix: format_of_suffix(suffix).check(wanted, own), force, as_json,
    )  # fmt: skip
    _all(command, paths, from_list, out_dir, Engine(engine, workers))


def decode(
    paths: Paths = None,
    realism: Annotated[
        float | None,
        typer.Option(
            help="0 least error (default, unless a .vdc file says otherwise) ... "
            "1 is nearest to the statistics of photographs."
        ),
    ] = None,
    perception: Annotated[
        float | None,
        typer.Option(help="Instead: squared W2 distance to the generator's law to be met."),
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    threads: Threads = None,
    tile: Annotated[
        int, typer.Option(help="Side of the tiles in pixels, a multiple of 16; bounds memory.")
    ] = DEFAULT_TILE,
    weights: Weights = None,
    format: Annotated[  # noqa: A002 (the option's name)
        str, typer.Option(help="Format where no output is named: png or any other.")
    ] = "png",
    out_dir: OutDir = None,
    from_list: FromList = None,
    workers: Jobs = None,
    engine: EngineName = "loky",
    force: Force = False,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    allow_partial: Annotated[
        bool,
        typer.Option(
            "--allow-partial",
            help="Decode what is there of a damaged .vdc file, or of a JPEG or WebP file that ends early.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Decode AVIF, WebP, JPEG, JPEG XL or .vdc files at any realism, into any picture format.

    JPEG XL needs the extra jxl.
    """
    suffix = "." + format.lower().lstrip(".")
    output_format(suffix)
    options = DecodeOptions(
        realism=realism, perception=perception, seed=seed, device=device, threads=threads,
        tile=tile, weights=weights, max_pixels=max_pixels, allow_partial=allow_partial,
    )  # fmt: skip
    command = _Command(
        decode_job, "decoding", suffix, coded(), {"options": options}, output_format, force, as_json
    )
    _all(command, paths, from_list, out_dir, Engine(engine, workers))
