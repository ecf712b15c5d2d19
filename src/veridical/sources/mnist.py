"""MNIST: 60,000 training and 10,000 test digits of 28x28 pixels, from the four idx files.

An idx file (LeCun) is big-endian: two zero bytes, a type byte (8: unsigned byte), the number of
axes, the length of each axis in 4 bytes, then the values. The files are usually gzipped.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veridical.errors import DamagedFile, InvalidSetting, MissingFile
from veridical.sources.digits import Digits

__all__ = ["MNIST_FILES", "download_mnist", "find_mnist", "load_mnist", "read_idx"]

Bytes = NDArray[np.uint8]

MNIST_ADDRESS = "https://ossci-datasets.s3.amazonaws.com/mnist/"
"""A public mirror; :func:`download_mnist` takes any other."""

# SHA-256 of the content, not of the gzip around it: mirrors compress differently.
MNIST_FILES = {
    "train-images-idx3-ubyte": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "train-labels-idx1-ubyte": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "t10k-images-idx3-ubyte": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "t10k-labels-idx1-ubyte": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}
_MOST_BYTES = 64 << 20


def read_idx(data: bytes, name: str) -> Bytes:
    """The array of an idx file of unsigned bytes, gzipped or not.

    Raises:
        DamagedFile: not an idx file of unsigned bytes, truncated, or with bytes left over.
    """
    if data[:2] == b"\x1f\x8b":
        data = _unpacked(data, name)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != 8 or not 1 <= data[3] <= 4:
        raise DamagedFile(f"{name} is no idx file of unsigned bytes; fetch it again")
    axes = data[3]
    head = 4 + 4 * axes
    if len(data) < head:
        raise DamagedFile(f"{name} ends inside its header; fetch it again")
    shape = struct.unpack(f">{axes}I", data[4:head])
    expected = int(np.prod(shape, dtype=object))
    if len(data) - head != expected:
        raise DamagedFile(
            f"{name} says {expected} values and holds {len(data) - head}; is the download complete?"
        )
    return np.frombuffer(data, dtype=np.uint8, offset=head).reshape(shape)


def _unpacked(data: bytes, name: str) -> bytes:
    """Content of a gzip file, bounded, so that a damaged one cannot fill the memory."""
    try:
        unpacker = zlib.decompressobj(31)
        content = unpacker.decompress(data, _MOST_BYTES)
    except zlib.error as cause:
        raise DamagedFile(f"{name} is not a whole gzip file ({cause}); fetch it again") from cause
    if not unpacker.eof:
        raise DamagedFile(f"{name} is cut off or larger than any MNIST file; fetch it again")
    return content


def find_mnist(data: Path | None = None) -> Path:
    """The folder with the idx files: of ``data``, ``VERIDICAL_DATA`` or ``../shared/data``.

    Each may be that folder itself or hold it under the name ``mnist``.

    Raises:
        MissingFile: none of them holds the files.
    """
    named = os.environ.get("VERIDICAL_DATA")
    if data is not None:
        places = [data]
    elif named is not None:
        places = [Path(named)]
    else:
        places = [Path("../shared/data")]
    for place in places:
        for folder in (place, place / "mnist"):
            if all(_existing(folder, name) is not None for name in MNIST_FILES):
                return folder
    raise MissingFile(
        f"no MNIST in {places[0]}: it needs {', '.join(MNIST_FILES)} (with or without .gz). Name the "
        "folder with --data or VERIDICAL_DATA, or fetch the files with "
        "veridical.sources.mnist.download_mnist; --preset quick needs no files"
    )


def load_mnist(folder: Path) -> Digits:
    """The digits of a folder, after checking the content of every file by its digest.

    Raises:
        MissingFile: a file is not there.
        DamagedFile: a file is truncated, or is not MNIST's.
    """
    arrays = {name: _checked(folder, name, digest) for name, digest in MNIST_FILES.items()}
    parts: list[NDArray[np.float32] | NDArray[np.int64]] = []
    for part in ("train", "t10k"):
        pictures = arrays[f"{part}-images-idx3-ubyte"]
        parts.append(pictures.reshape(len(pictures), -1).astype(np.float32) / np.float32(255))
        parts.append(arrays[f"{part}-labels-idx1-ubyte"].astype(np.int64))
    train, train_labels, test, test_labels = parts
    return Digits(
        "MNIST", 28, train.astype(np.float32), train_labels.astype(np.int64),
        test.astype(np.float32), test_labels.astype(np.int64),
    )  # fmt: skip


def _existing(folder: Path, name: str) -> Path | None:
    return next((p for p in (folder / f"{name}.gz", folder / name) if p.is_file()), None)


def _checked(folder: Path, name: str, digest: str) -> Bytes:
    path = _existing(folder, name)
    if path is None:
        raise MissingFile(f"{folder / name}.gz does not exist; MNIST needs all four idx files")
    array = read_idx(path.read_bytes(), str(path))
    if hashlib.sha256(array.tobytes()).hexdigest() != digest:
        raise DamagedFile(
            f"{path} is an idx file, but not MNIST's {name}: its digest differs; fetch it again"
        )
    return array


def download_mnist(folder: Path, address: str = MNIST_ADDRESS, *, timeout: float = 60.0) -> Path:
    """Fetch the files that are missing; each is checked before it is kept.

    Args:
        folder: where to keep them; made if missing.
        address: of a folder with the four gzipped files (http, https or file).
        timeout: seconds without an answer.

    Raises:
        InvalidSetting: the address is of another kind.
        MissingFile: a file cannot be fetched.
        DamagedFile: what came is not MNIST's file.
    """
    import urllib.request

    if not address.startswith(("https://", "http://", "file://")):
        raise InvalidSetting(f"{address!r} is no http, https or file address")
    folder.mkdir(parents=True, exist_ok=True)
    for name, digest in MNIST_FILES.items():
        if _existing(folder, name) is not None:
            continue
        source = f"{address.rstrip('/')}/{name}.gz"
        try:
            with urllib.request.urlopen(source, timeout=timeout) as answer:  # noqa: S310 - checked above
                content = answer.read(_MOST_BYTES)
        except OSError as cause:
            raise MissingFile(
                f"{source} cannot be fetched ({cause}); try another address"
            ) from cause
        array = read_idx(content, source)
        if hashlib.sha256(array.tobytes()).hexdigest() != digest:
            raise DamagedFile(f"{source} is not MNIST's {name}: its digest differs")
        temporary = folder / f".{name}.gz.tmp"
        temporary.write_bytes(content)
        temporary.replace(folder / f"{name}.gz")
    return folder
