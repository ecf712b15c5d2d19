"""The commands ``veridical samples``: samples in a file through a codec that was kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from veridical.errors import InvalidSetting, MissingFile
from veridical.writing import write_whole

__all__ = ["read_samples", "samples_app"]

samples_app = typer.Typer(
    help="Samples (.npy or CSV) through a codec of veridical design.", no_args_is_help=True
)
CodecFile = Annotated[Path, typer.Option("--codec", "-c", help="Codec saved by design --out.")]


@samples_app.command("encode")
def encode_samples(
    file: Annotated[Path, typer.Argument(help="Samples: .npy or CSV with one sample a line.")],
    output: Annotated[Path, typer.Argument(help="Message, .vds.")],
    *,
    codec: CodecFile,
    seed: Annotated[int, typer.Option(help="Common randomness; the message carries it.")] = 0,
) -> None:
    """Code samples to a message that names its codec, seed and number of samples."""
    from veridical.kept import load_codec

    kept = load_codec(codec)
    data = kept.to_message(kept.encode(read_samples(file), seed=seed), seed=seed)
    write_whole(output, lambda out: out.write(data))


@samples_app.command("decode")
def decode_samples(
    file: Annotated[Path, typer.Argument(help="Message, .vds.")],
    output: Annotated[Path, typer.Argument(help="Samples, .npy.")],
    *,
    codec: CodecFile,
    realism: Annotated[float | None, typer.Option(help="0 (least error) to 1; default 1.")] = None,
    perception: Annotated[float | None, typer.Option(help="Squared W2 to be met instead.")] = None,
    rng_seed: Annotated[int, typer.Option(help="Private randomness of the decoder.")] = 0,
) -> None:
    """Decode a message; another codec than it was made with is refused."""
    import numpy as np

    from veridical.kept import load_codec, open_message

    kept = load_codec(codec)
    if not file.is_file():
        raise MissingFile(f"{file} does not exist or is no file")
    message = open_message(kept, file.read_bytes())
    out = kept.decode(
        message.index, np.random.default_rng(rng_seed), realism=realism, perception=perception,
        seed=message.seed,
    )  # fmt: skip
    write_whole(output, lambda target: np.save(target, out, allow_pickle=False))


def read_samples(file: Path) -> Any:
    """Samples of a file as a table ``(n, d)`` or as numbers ``(n,)``; pictures ``(n, h, w)`` become rows.

    Raises:
        MissingFile: no such file.
        InvalidSetting: not NPY, and no CSV of numbers with or without a header.
    """
    import numpy as np

    if not file.is_file():
        raise MissingFile(f"{file} does not exist or is no file")
    try:
        if file.suffix.lower() == ".npy":
            with file.open("rb") as content:
                x = np.lib.format.read_array(content, allow_pickle=False)
        else:
            x = np.loadtxt(file, delimiter=",", dtype=np.float64, skiprows=_header_lines(file))
    # numpy reads foreign bytes with Python's own parser, and anything may come out.
    except Exception as cause:
        raise InvalidSetting(f"{file} is neither NPY nor a CSV of numbers: {cause}") from cause
    if x.dtype.kind not in "biuf":
        raise InvalidSetting(f"{file} holds {x.dtype}, not real numbers")
    return (x.reshape(len(x), -1) if x.ndim > 2 else x).astype(np.float64)


def _header_lines(file: Path) -> int:
    """1 if the first line of a CSV holds a word that is no number."""
    with file.open(encoding="utf-8-sig", errors="replace") as content:
        cells = content.readline().lstrip("# ").split(",")
    try:
        [float(cell) for cell in cells]
    except ValueError:
        return 1
    return 0
