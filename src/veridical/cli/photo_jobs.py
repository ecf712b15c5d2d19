"""What a worker does with one photograph: encode it, decode it, or measure it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from veridical.cli.pipes import STANDARD, as_source, write_standard
from veridical.cli.terminal import Update
from veridical.errors import UnwritableOutput
from veridical.notices import Notice, silent, told_to
from veridical.photo.options import DEFAULT_MAX_PIXELS, DecodeOptions
from veridical.writing import write_whole

_WORKER_BYTES = 400 << 20


@dataclass(frozen=True)
class PhotoJob:
    """Input, output (for a comparison: the coded file) and how.

    Attributes:
        source, target: Paths; ``-`` is standard input or output.
        options: Of the decoder.
        encoding: Arguments of ``veridical.encode``.
        format: Of standard output, as a suffix without its point.
    """

    source: Path
    target: Path
    options: DecodeOptions = field(default_factory=DecodeOptions)
    encoding: dict[str, Any] = field(default_factory=dict)
    format: str = ""

    @property
    def suffix(self) -> str:
        """Of the output, with its point."""
        return f".{self.format}" if self.target == STANDARD else self.target.suffix


def needed_bytes(job: PhotoJob, bytes_per_pixel: int) -> int:
    """The most memory that a worker takes for a photograph: itself with its weights, and its pictures."""
    from veridical.photo.loading import claimed_pixels

    most = job.encoding.get("max_pixels", job.options.max_pixels)
    return _WORKER_BYTES + bytes_per_pixel * claimed_pixels(job.source, most)


def _unseen(done: int, total: int) -> None:
    """Workers show no progress."""


def encode_job(
    job: PhotoJob, notice: Notice = silent, progress: Update = _unseen
) -> dict[str, Any]:
    """Code one photograph; returns its size, digest and what a person should know."""
    from veridical.photo.encode import encode
    from veridical.photo.formats import format_named
    from veridical.photo.reader import open_source

    del progress
    notices, tell = told_to(notice)
    settings = dict(job.encoding)
    limit = settings.pop("max_pixels", DEFAULT_MAX_PIXELS)
    picture = open_source(as_source(job.source), max_pixels=limit, notice=tell)
    name = format_named(job.suffix[1:]).name
    data = encode(picture, format=name, notice=tell, **settings)
    output = _write(job.target, lambda file: file.write(data))
    width, height = picture.size
    facts = {
        "format": name, "width": width, "height": height, "n_bytes": len(data),
        "bits_per_pixel": 8 * len(data) / (width * height),
    }  # fmt: skip
    said = f"{job.target}: {len(data):,} bytes, {facts['bits_per_pixel']:.3f} bits per pixel"
    return {"said": said, "notices": notices, "output": output, "facts": facts}


def decode_job(
    job: PhotoJob, notice: Notice = silent, progress: Update = _unseen
) -> dict[str, Any]:
    """Decode one file; returns the size of the picture and what a person should know."""
    from veridical.photo.decode import decode

    notices, tell = told_to(notice)
    picture = decode(as_source(job.source), job.options, notice=tell, progress=progress)
    output = _save_picture(picture, job.target, output_format(job.suffix), tell)
    return {
        "output": output,
        "said": f"{job.target}: {picture.width} x {picture.height} {picture.mode}",
        "notices": notices,
        "facts": {"width": picture.width, "height": picture.height, "mode": picture.mode},
    }


def compare_job(
    job: PhotoJob, notice: Notice = silent, progress: Update = _unseen
) -> dict[str, Any]:
    """Measure one coded file (``target``) against its original (``source``)."""
    from veridical.measure.photo import compare

    notices, tell = told_to(notice)
    original, file = as_source(job.source), as_source(job.target)
    found = compare(original, file, job.options, notice=tell, progress=progress)
    rows = [asdict(row) for row in found]
    return {"rows": rows, "notices": notices, "said": f"{job.target}", "facts": {"rows": rows}}


def output_format(suffix: str) -> str:
    """Pillow's name of the format that a suffix stands for.

    Raises:
        UnwritableOutput: Pillow does not write it.
    """
    from PIL import Image

    Image.init()
    name = Image.registered_extensions().get(suffix.lower())
    if name is None or name not in Image.SAVE:
        written = (
            f"no picture format is written as {suffix!r}" if suffix else "the output has no suffix"
        )
        raise UnwritableOutput(f"{written}; try .png")
    return name


def _save_picture(picture: Any, target: Path, format_name: str, notice: Notice) -> list[int | str]:
    from veridical.photo.formats.conventional import on_white
    from veridical.photo.loading import size_of
    from veridical.photo.metadata import prepared_for

    if format_name in ("JPEG", "BMP", "PPM"):
        picture = on_white(picture, format_name, notice)
    picture, options = prepared_for(picture, format_name, notice)
    if format_name in ("JPEG", "WEBP", "AVIF"):
        options["quality"] = 95
    if format_name == "ICO":
        options["sizes"] = [picture.size]
    if format_name == "GIF" and picture.mode not in ("L", "P"):
        notice("GIF holds 256 colours at a time; the picture is reduced to these")
    if format_name == "PNG":
        options["compress_level"] = 4  # half the seconds of the usual 6, and 3 % more bytes

    def write(file: Any) -> None:
        try:
            picture.save(file, format_name, **options)
        except MemoryError:
            raise
        except Exception as cause:  # each of Pillow's writers has errors of its own
            if isinstance(cause, OSError) and cause.errno is not None:  # the system's, not Pillow's
                raise
            raise UnwritableOutput(
                f"{format_name} cannot hold this picture ({cause}); try .png"
            ) from cause
        file.seek(0)
        found = size_of(file, format_name)
        # TIFF counts the orientation into its size.
        if found is not None and sorted(found) != sorted(picture.size):
            raise UnwritableOutput(
                f"{format_name} would hold this picture of {picture.width} x {picture.height} pixels with "
                f"{found[0]} x {found[1]}; try .png"
            )

    return _write(target, write)


def _write(target: Path, write: Callable[[IO[bytes]], object]) -> list[int | str]:
    """Write a file, or to standard output; its size and SHA-256, by which the journal knows it again."""
    found: list[int | str] = []

    def write_and_read(file: IO[bytes]) -> None:
        write(file)
        size = file.seek(0, 2)
        file.seek(0)
        found[:] = [size, hashlib.file_digest(cast("Any", file), "sha256").hexdigest()]

    if target != STANDARD:
        write_whole(target, write_and_read)
    else:
        whole = io.BytesIO()
        write_and_read(whole)
        write_standard(whole.getvalue())
    return found
