"""The commands ``veridical train photo``, ``train photo-codec`` and ``train restorer``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from veridical.cli import terminal
from veridical.errors import InvalidSetting
from veridical.extras import require

Data = Annotated[list[Path], typer.Argument(help="Folders or tar files of training pictures.")]
Run = Annotated[Path, typer.Option(help="Folder of the run: prepared data, checkpoints, result.")]
Validation = Annotated[Path, typer.Option(help="Folder of other pictures, for the prices.")]
Camera = Annotated[
    list[Path] | None,
    typer.Option(help="Folder or tar file of camera pictures, taken at half their size."),
]
PresetName = Annotated[
    str,
    typer.Option(help="cpu (hours), short (minutes, with --start), gpu, or tiny (to try it)."),
]
CodecPresetName = Annotated[str, typer.Option(help="cpu (hours), gpu, or tiny (to try it).")]
Minutes = Annotated[
    float | None, typer.Option(help="Save a checkpoint and stop after so many minutes.")
]


def _shipped(start: Path | None) -> Path | None:
    """A shipped file by its name alone."""
    from veridical.photo.weights import SHIPPED

    known = start is not None and not start.exists() and (SHIPPED / start.name).is_file()
    return SHIPPED / start.name if known and start.parent == Path() else start


Start = Annotated[
    Path | None,
    typer.Option(
        help="Weights file, such as avif.onnx, whose estimator is trained further (default: a new one).",
        callback=_shipped,
    ),
]


train_app = typer.Typer(help="Train weights of your own.", no_args_is_help=True)


@train_app.command()
def photo(
    data: Data,
    validation: Validation,
    camera: Camera = None,
    run: Run = Path("runs/photo"),
    format: Annotated[  # noqa: A002 (the option's name)
        str, typer.Option(help="Whose files: avif, webp, jpeg, jxl or a registered format.")
    ] = "jpeg",
    preset: PresetName = "cpu",
    minutes: Minutes = None,
    start: Start = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Stage to train alone: whole, shrinkage or generator; once for each."),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Seed of the settings of the coded files and of every batch.")
    ] = 0,
) -> None:
    """Train estimator and generator on pictures of your own; a killed run goes on where it was.

    The result is RUN/FORMAT.onnx and RUN/FORMAT-generator.onnx with their cards, for ``veridical decode
    --weights RUN``.
    """
    require("accelerate")
    from veridical.photo.formats import format_named
    from veridical.training.photo_run import run_all

    with terminal.progress("preparing") as update:
        path = run_all(
            data, validation, run, format=format_named(format).name, camera=camera or [],
            preset=preset, minutes=minutes, start=start, only=only or [], seed=seed,
            progress=lambda stage, done, total: update(done, total), say=terminal.notice,
        )  # fmt: skip
    _say(path)


@train_app.command("photo-codec")
def photo_codec(
    data: Data,
    validation: Validation,
    run: Run = Path("runs/photo-codec"),
    camera: Camera = None,
    preset: CodecPresetName = "cpu",
    minutes: Minutes = None,
    start: Annotated[
        Path | None,
        typer.Option(
            help="vdc.npz of a codec that stays as it is; only what follows is trained.",
            callback=_shipped,
        ),
    ] = None,
) -> None:
    """Train the learned codec on pictures of your own; a killed run goes on where it was.

    The result is RUN/vdc.npz with its generator and their cards, for ``--weights``.
    """
    require("accelerate")
    from veridical.training.photo_codec_run import run_codec

    with terminal.progress("preparing") as update:
        path = run_codec(
            data, validation, run, camera=camera or [], preset=preset, minutes=minutes, start=start,
            progress=lambda stage, done, total: update(done, total), say=terminal.notice,
        )  # fmt: skip
    _say(path)


@train_app.command()
def restorer(
    original: Annotated[Path, typer.Option(help="Folder of originals.")],
    name: Annotated[str, typer.Option(help="Name of the codec: small letters, digits and _.")],
    decoded: Annotated[
        Path | None,
        typer.Option(
            help="Folder of what the codec made of them, under the same names; folders inside for several settings."
        ),
    ] = None,
    coded: Annotated[
        Path | None,
        typer.Option(help="Folder of the coded files, laid out alike, for their rates."),
    ] = None,
    codec: Annotated[
        str | None,
        typer.Option(
            help="Instead of --decoded: MODULE:FUNCTION from a Pillow picture to its decoded one."
        ),
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Folder of the run; runs/NAME if left out.")
    ] = None,
    preset: PresetName = "cpu",
    minutes: Minutes = None,
    start: Start = None,
    seed: Annotated[int, typer.Option(help="Seed of every batch.")] = 0,
) -> None:
    """Train estimator and generator for any codec, from originals and decoded pictures; resumable.

    The result is RUN/NAME.onnx with its companions, for ``veridical.Restorer.load``. Every eighth
    original is held out for the prices.
    """
    require("accelerate")
    from veridical.training.pairs import decode_all, prepare_pairs
    from veridical.training.photo_run import run_all

    run = run or Path("runs") / name
    if (decoded is None) == (codec is None):
        raise InvalidSetting("give either --decoded or --codec")
    with terminal.progress("preparing") as update:
        if codec is not None:
            decoded = run / "decoded"
            decode_all(_function(codec), original, decoded, update)
        assert decoded is not None
        pairs = prepare_pairs(name, original, decoded, run / "pairs", coded=coded, progress=update)
        path = run_all(
            [], original, run, format=pairs, preset=preset, minutes=minutes, start=start, seed=seed,
            progress=lambda stage, done, total: update(done, total), say=terminal.notice,
        )  # fmt: skip
    _say(path)


def _say(path: Path | None) -> None:
    terminal.say("stopped; the same command goes on" if path is None else path)


def _function(named: str) -> Callable[..., Any]:
    """A function by its module, which may lie in this folder, and its name."""
    module, _, function = named.partition(":")
    sys.path.insert(0, "")
    try:
        return getattr(import_module(module), function)
    except Exception as cause:
        raise InvalidSetting(
            f"cannot import {named!r} as MODULE:FUNCTION: {cause!r:.200}"
        ) from cause
