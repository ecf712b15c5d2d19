"""The commands ``veridical samples``: samples in a file through a codec that was kept."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from veridical.arrays import check_file, read_npy, read_whole, whole_number
from veridical.cli.files import check_output
from veridical.cli.photo import Force
from veridical.cli.pipes import STANDARD
from veridical.errors import InvalidSetting
from veridical.writing import write_whole

MOST_NUMBERS = 1 << 25
"""Of a file of samples, unless an option says otherwise."""

_LONGEST_LINE = 1 << 24

samples_app = typer.Typer(
    help="Code samples (.npy or CSV) with a codec that veridical design saved.",
    no_args_is_help=True,
)
CodecFile = Annotated[Path, typer.Option("--codec", "-c", help="Codec saved by design --out.")]
MaxNumbers = Annotated[
    int | None,
    typer.Option(help="Most numbers that a file may hold (default: 2^25; fewer for few bytes)."),
]


@samples_app.command("encode")
def encode_samples(
    file: Annotated[Path, typer.Argument(help="Samples: .npy or CSV with one sample a line.")],
    output: Annotated[Path, typer.Argument(help="Message, .vds.")],
    *,
    codec: CodecFile,
    seed: Annotated[int, typer.Option(help="Common randomness; the message carries it.")] = 0,
    max_numbers: MaxNumbers = None,
    force: Force = False,
) -> None:
    """Code samples to a message that names its codec, seed and number of samples."""
    _check_names(file, output, codec, force)
    kept = _codec(codec)
    x = read_samples(file, max_numbers or MOST_NUMBERS)
    data = kept.to_message(kept.encode(x, seed=seed), seed=seed)
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
    max_numbers: MaxNumbers = None,
    force: Force = False,
) -> None:
    """Decode a message; another codec than it was made with is refused."""
    import numpy as np

    from veridical.kept import open_message

    _check_names(file, output, codec, force)
    seed = whole_number(rng_seed, "--rng-seed", 0)
    kept = _codec(codec)
    check_file(file)
    with file.open("rb") as content:
        data = read_whole(content, str(file))
    message = open_message(kept, data, max_numbers=max_numbers)
    out = kept.decode(
        message.index, np.random.default_rng(seed), realism=realism, perception=perception,
        seed=message.seed,
    )  # fmt: skip
    write_whole(output, lambda target: np.save(target, out, allow_pickle=False))


def _check_names(file: Path, output: Path, codec: Path, force: bool) -> None:
    """Refuse an output that cannot be written or is read, and pipes, which these commands do not have."""
    if STANDARD in (file, output, codec):
        raise InvalidSetting("samples and messages are no pipes; name a file in place of -")
    check_output(output, (file, codec), force)


def _codec(file: Path) -> Any:
    from veridical.kept import Kept, load_codec

    made = load_codec(file)
    if not isinstance(made, Kept):
        raise InvalidSetting(f"{file} holds a {type(made).__name__}, which codes no samples")
    return made


def read_samples(file: Path, max_numbers: int = MOST_NUMBERS) -> Any:
    """Samples of a file as a table ``(n, d)`` or as numbers ``(n,)``; pictures ``(n, h, w)`` become rows.

    Raises:
        MissingFile: no such file.
        DamagedFile: an NPY that is none.
        InvalidSetting: no CSV of numbers with or without a header, or more numbers than the limit.
    """
    import numpy as np

    check_file(file)
    if file.suffix.lower() == ".npy":
        x = read_npy(file, 8 * max_numbers)
    else:
        x = read_csv(file, max_numbers)
    if x.dtype.kind not in "biuf":
        raise InvalidSetting(f"{file} holds {x.dtype}, not real numbers")
    return (x.reshape(len(x), -1) if x.ndim > 2 else x).astype(np.float64)


def read_csv(file: Path, max_numbers: int) -> Any:
    """A table of numbers, with or without a header; compressed files are not unpacked.

    Raises:
        MissingFile: No such file.
        InvalidSetting: No table of numbers, or more of them than the limit.
    """
    import numpy as np

    check_file(file)
    try:
        with file.open(encoding="utf-8-sig", errors="replace") as content:
            cells = content.readline(_LONGEST_LINE).lstrip("# ").split(",")
        with (
            file.open(encoding="utf-8-sig", errors="replace") as content,
            warnings.catch_warnings(
                action="ignore"
            ),  # of empty lines, and of a table without numbers
        ):
            x = np.loadtxt(
                content, delimiter=",", dtype=np.float64, skiprows=int(not all(map(_is_number, cells))),
                max_rows=max_numbers // len(cells) + 1,
            )  # fmt: skip
    # numpy reads foreign bytes with Python's own parser, and anything may come out.
    except Exception as cause:
        raise InvalidSetting(f"{file} is neither NPY nor a CSV of numbers: {cause}") from cause
    if not x.size:
        raise InvalidSetting(f"{file} holds no numbers; write a sample a line, numbers with commas")
    if x.size > max_numbers:
        raise InvalidSetting(f"{file} holds more than {max_numbers:,} numbers, the limit")
    return x


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
