"""Arrays: torch tensors in and out without importing torch, and NPY and NPZ files read within a limit.

The headers of files say how much there is before anything is allocated.
"""

from __future__ import annotations

import io
import math
import os
import sys
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from veridical.errors import DamagedFile, InvalidSetting, MissingFile

Array = NDArray[np.float64]
Whole = NDArray[np.int64]

MOST_BYTES = 1 << 30
"""Of the arrays of one file, unless the caller says otherwise."""

MOST_FILE_BYTES = 2 << 30
"""Of a file that is read as a whole: more than pictures of the most pixels take without compression."""

_MOST_ENTRIES = 10_000

_LARGEST = 1e145
"""Of a coordinate, so that sums of squares of many are finite; its inverse is the least spread whose square is no zero."""


def is_tensor(x: object) -> bool:
    """Whether it is a torch tensor."""
    return type(x).__module__.partition(".")[0] == "torch"


def to_numpy(x: Any) -> Any:
    """A tensor as an array; anything else as it is.

    Raises:
        InvalidSetting: A tensor that numpy has no form for (sparse, quantized, of bfloat16, or without numbers).
    """
    if not is_tensor(x):
        return x
    try:
        return x.detach().cpu().numpy()
    except (TypeError, ValueError, RuntimeError) as cause:
        raise InvalidSetting(
            f"a tensor of {x.dtype} ({x.layout}, on {x.device}) cannot be made an array ({cause!s:.200}); convert "
            "it, for example with .float() or .to_dense()"
        ) from cause


def like(x: Any, out: Any) -> Any:
    """What was computed of ``to_numpy(x)`` as what ``x`` is, on its device."""
    # Whoever has a tensor has imported torch; this package does not.
    return sys.modules["torch"].as_tensor(out, device=x.device) if is_tensor(x) else out


def real_numbers(values: Any, name: str) -> Array:
    """An array of real numbers.

    Raises:
        InvalidSetting: They are complex, or no numbers.
    """
    try:
        if np.iscomplexobj(values):
            raise TypeError("they are complex; give each as two real ones")
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as cause:
        raise InvalidSetting(f"{name} must be numbers: {cause}") from cause


def check_spread(points: Array, name: str) -> None:
    """Refuse points, shape ``(n,)`` or ``(n, d)``, whose squared distances leave double precision.

    Raises:
        InvalidSetting: a coordinate beyond 1e145, or all differences below 1e-145 and one not 0.
    """
    largest, spread = np.max(np.abs(points)), np.max(np.abs(points - points[0]))
    if largest > _LARGEST or 0 < spread < 1 / _LARGEST:
        raise InvalidSetting(
            f"the {name} reach {largest:.3g} and differ by {spread:.3g}: their squares leave double precision; "
            "give them in another unit"
        )


def check_flag(**flags: object) -> None:
    """Refuse what is neither true nor false.

    Raises:
        InvalidSetting: One of the named arguments is no bool.
    """
    for name, flag in flags.items():
        if not isinstance(flag, bool | np.bool_):
            raise InvalidSetting(f"{name} must be true or false, got {flag!r:.100}")


def as_path(name: str, value: Any) -> Path:
    """A path that was given as a text or a path.

    Raises:
        InvalidSetting: Anything else, such as a number, bytes or an open file.
    """
    try:
        text = os.fspath(value)
    except TypeError:
        text = None
    if not isinstance(text, str):
        raise InvalidSetting(f"{name} must be a path, got {value!r:.100}")
    return Path(text)


def check_file(path: Path) -> None:
    """Refuse what is no regular file: a pipe or a device may never end.

    Raises:
        MissingFile: There is no such file.
    """
    try:
        there = path.is_file()
    except (OSError, ValueError):
        there = False
    if not there:
        raise MissingFile(f"{path} does not exist or is no file")


def read_whole(file: IO[bytes], name: str, most_bytes: int | None = None) -> bytes:
    """What is left of a stream that may never end.

    Args:
        file: Open for bytes.
        name: For errors.
        most_bytes: :data:`MOST_FILE_BYTES` if left out.

    Raises:
        InvalidSetting: There is more than that, or the stream is of text or closed.
    """
    most = MOST_FILE_BYTES if most_bytes is None else most_bytes
    if getattr(file, "closed", False):
        raise InvalidSetting(f"{name} is closed already; read it before, or open it again")
    out = bytearray()
    while part := file.read(1 << 20):
        if not isinstance(part, bytes):
            raise InvalidSetting(f"{name} is open for text; open it for bytes (mode 'rb')")
        out += part
        if len(out) > most:
            raise InvalidSetting(f"{name} holds more than {most:,} bytes, the limit of a file")
    return bytes(out)


def read_npy(path: Path, most_bytes: int = MOST_BYTES) -> NDArray[Any]:
    """The array of an NPY file; nothing in it is executed.

    Raises:
        MissingFile: There is no such file.
        InvalidSetting: The array is larger than the limit.
        DamagedFile: The file is no NPY, is damaged, or claims more than it has.
    """
    check_file(path)
    try:
        with path.open("rb") as file:
            return _read(file, path.stat().st_size, most_bytes, str(path))
    except (DamagedFile, InvalidSetting):
        raise
    # numpy reads foreign bytes with Python's own parser, and anything may come out.
    except Exception as cause:
        raise DamagedFile(
            f"{path} cannot be read as NPY: {cause or 'it ends too early'}"
        ) from cause


def read_npz(
    path: Path | bytes, names: Collection[str] | None = None, most_bytes: int = MOST_BYTES
) -> dict[str, NDArray[Any]]:
    """Arrays of an NPZ file; nothing in it is executed.

    Args:
        path: Of the file, or its bytes.
        names: Which ones, of those that there are; None for all.
        most_bytes: Of all that are read.

    Raises:
        MissingFile: There is no such file.
        InvalidSetting: The arrays are larger than the limit.
        DamagedFile: The file is no NPZ, is damaged, or claims more than it has.
    """
    if isinstance(path, Path):
        check_file(path)
    content, file_name = (path, path) if isinstance(path, Path) else (io.BytesIO(path), "the file")
    out: dict[str, NDArray[Any]] = {}
    left = most_bytes
    try:
        with zipfile.ZipFile(content) as archive:
            entries = archive.infolist()
            if len(entries) > _MOST_ENTRIES:
                raise DamagedFile(
                    f"{file_name} holds {len(entries):,} arrays; is it the right file?"
                )
            for entry in entries:
                name = entry.filename.removesuffix(".npy")
                if names is not None and name not in names:
                    continue
                with archive.open(entry) as file:
                    out[name] = _read(file, entry.file_size, left, f"{name!r} of {file_name}")
                left -= out[name].nbytes
    except (DamagedFile, InvalidSetting):
        raise
    except Exception as cause:  # as above, and zipfile's own
        raise DamagedFile(
            f"{file_name} cannot be read as NPZ: {cause or 'it ends too early'}"
        ) from cause
    return out


def _read(file: IO[bytes], size: int, most_bytes: int, name: str) -> NDArray[Any]:
    """One array of a stream of ``size`` bytes."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise DamagedFile(f"{name} is NPY of version {version}, which holds no plain numbers")
    header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, fortran, dtype = header(file)
    if dtype.hasobject or dtype.names is not None:
        raise DamagedFile(f"{name} holds objects, not numbers")
    if any(n < 0 for n in shape):
        raise DamagedFile(f"{name} has the shape {shape}")
    n_bytes = math.prod(shape) * dtype.itemsize
    if n_bytes > most_bytes:
        raise InvalidSetting(
            f"{name} has the shape {shape}: {n_bytes:,} bytes, more than the limit of {most_bytes:,}"
        )
    if n_bytes > size:
        raise DamagedFile(f"{name} claims {n_bytes:,} bytes and has at most {size:,}")
    data = bytearray(file.read(n_bytes))
    if len(data) < n_bytes:
        raise DamagedFile(f"{name} ends after {len(data):,} of {n_bytes:,} bytes")
    if file.read(1):
        raise DamagedFile(f"{name} goes on behind its end")
    if dtype.kind == "U" and np.any(np.frombuffer(data, dtype.byteorder + "u4") > sys.maxunicode):
        raise DamagedFile(f"{name} holds a text with characters that there are not")
    array = np.frombuffer(data, dtype) if n_bytes else np.empty(math.prod(shape), dtype)
    return array.reshape(shape, order="F" if fortran else "C")


def is_number(value: Any) -> bool:
    """A real number (not a truth value), of Python or numpy."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def whole_number(value: Any, name: str, least: int, most: int | None = None) -> int:
    """A whole number (not a truth value), of Python or numpy.

    Raises:
        InvalidSetting: Anything else, or outside ``least`` to ``most``.
    """
    number = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not number or int(value) < least or (most is not None and int(value) > most):
        ends = f"of {least} or more" if most is None else f"from {least} to {_shown(most)}"
        raise InvalidSetting(f"{name} must be a whole number {ends}, got {value!r}")
    return int(value)


def _shown(limit: int) -> str:
    """A large number by its power of two."""
    for rest, sign in ((0, ""), (1, " - 1")):
        if limit > 1 << 14 and (limit + rest).bit_count() == 1:
            return f"2^{(limit + rest).bit_length() - 1}{sign}"
    return str(limit)


def check_rng(rng: Any) -> None:
    """Private randomness is a generator of numpy.

    Raises:
        InvalidSetting: a seed, or something else.
    """
    if not isinstance(rng, np.random.Generator):
        raise InvalidSetting(f"rng is numpy's Generator, for example default_rng(7), not {rng!r}")
