"""MNIST and the 8x8 digits of scikit-learn as flat pictures on [0, 1].

MNIST is 60,000 training and 10,000 test digits of 28x28 pixels in four idx files. An idx file (LeCun)
is big-endian: two zero bytes, a type byte (8: unsigned byte), the number of axes, the length of each
axis in 4 bytes, then the values. The files are usually gzipped.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veridical.errors import DamagedFile, InvalidSetting, MissingFile
from veridical.writing import write_whole

MNIST_ADDRESS = "https://ossci-datasets.s3.amazonaws.com/mnist/"
"""A public mirror; :func:`download_mnist` takes any other."""

# SHA-256 of the content, not of the gzip around it: mirrors compress differently.
MNIST_FILES = {
    "train-images-idx3-ubyte": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "train-labels-idx1-ubyte": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "t10k-images-idx3-ubyte": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "t10k-labels-idx1-ubyte": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}
_MAX_BYTES = 64 << 20
_HELD_OUT = 500


@dataclass(frozen=True)
class Digits:
    """Training and test digits; nothing is ever fitted to, or chosen by, the test digits.

    Attributes:
        name: where they come from.
        side: pixels of an edge.
        train: shape ``(n, side^2)``, float32 on [0, 1].
        train_labels: shape ``(n,)``, 0 to 9.
        test: shape ``(m, side^2)``.
        test_labels: shape ``(m,)``.
    """

    name: str
    side: int
    train: NDArray[np.float32] = field(repr=False)
    train_labels: NDArray[np.int64] = field(repr=False)
    test: NDArray[np.float32] = field(repr=False)
    test_labels: NDArray[np.int64] = field(repr=False)

    def __post_init__(self) -> None:
        for x, y in ((self.train, self.train_labels), (self.test, self.test_labels)):
            if x.shape != (len(y), self.side**2):
                raise InvalidSetting(
                    f"{self.name}: {x.shape} pictures with {y.shape} labels are no table of "
                    f"{self.side}x{self.side} digits"
                )

    def limited(self, train: int | None, test: int | None = None) -> Digits:
        """The first ``train`` and ``test`` digits; ``None`` keeps all.

        Raises:
            InvalidSetting: fewer than 10 are asked for, or more than there are.
        """
        for asked, there in ((train, len(self.train)), (test, len(self.test))):
            if asked is not None and not 10 <= asked <= there:
                raise InvalidSetting(
                    f"{asked} digits of {there} were asked for; take 10 to {there}"
                )
        return Digits(
            self.name, self.side, self.train[:train], self.train_labels[:train],
            self.test[:test], self.test_labels[:test],
        )  # fmt: skip

    def shuffled_test(self) -> Digits:
        """The same digits with those to test in a fixed random order.

        MNIST's second 5,000 test digits were written by other people than the first, so that its two
        halves as they come follow different laws.
        """
        order = np.random.default_rng(10_000).permutation(len(self.test))
        return replace(self, test=self.test[order], test_labels=self.test_labels[order])


def small_digits() -> Digits:
    """The 1,797 digits of scikit-learn, 8x8, in a fixed random order: 1,297 to train, 500 to test.

    They are the test part of the UCI optical digits and need no download.
    """
    from sklearn.datasets import load_digits

    loaded: Any = load_digits()
    order = np.random.default_rng(1797).permutation(len(loaded.data))
    x = (loaded.data[order] / 16.0).astype(np.float32)
    y = loaded.target[order].astype(np.int64)
    return Digits("digits 8x8", 8, x[:-_HELD_OUT], y[:-_HELD_OUT], x[-_HELD_OUT:], y[-_HELD_OUT:])


def read_idx(data: bytes, name: str) -> NDArray[np.uint8]:
    """The array of an idx file of unsigned bytes, gzipped or not.

    Raises:
        DamagedFile: not an idx file of unsigned bytes, truncated, or with bytes left over.
    """
    if data[:2] == b"\x1f\x8b":
        data = _decompress(data, name)
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


def _decompress(data: bytes, name: str) -> bytes:
    """Content of a gzip file, bounded, so that a damaged one cannot fill the memory."""
    try:
        decompressor = zlib.decompressobj(31)
        content = decompressor.decompress(data, _MAX_BYTES)
    except zlib.error as cause:
        raise DamagedFile(f"{name} is not a whole gzip file ({cause}); fetch it again") from cause
    if not decompressor.eof:
        raise DamagedFile(f"{name} is cut off or larger than any MNIST file; fetch it again")
    return content


def find_mnist(data: Path | None = None) -> Path:
    """The folder with the idx files: ``data``, else ``VERIDICAL_DATA``, else ``../shared/data``.

    It may be that folder itself or hold it under the name ``mnist``.

    Raises:
        MissingFile: it does not hold the files.
    """
    place = data or Path(os.environ.get("VERIDICAL_DATA", "../shared/data"))
    for folder in (place, place / "mnist"):
        if all(_existing(folder, name) is not None for name in MNIST_FILES):
            return folder
    raise MissingFile(
        f"no MNIST in {place}: it needs {', '.join(MNIST_FILES)} (with or without .gz). Name the "
        "folder with --data or VERIDICAL_DATA, or fetch the files with "
        "veridical.studies.mnist.data.download_mnist; --preset quick needs no files"
    )


def load_mnist(folder: Path) -> Digits:
    """The digits of a folder, after checking the content of every file by its digest.

    Raises:
        MissingFile: a file is not there.
        DamagedFile: a file is truncated, or is not MNIST's.
    """
    arrays = []
    for name in MNIST_FILES:
        path = _existing(folder, name)
        if path is None:
            raise MissingFile(f"{folder / name}.gz does not exist; MNIST needs all four idx files")
        arrays.append(_checked(path.read_bytes(), str(path), name))
    pictures = [x.reshape(len(x), -1).astype(np.float32) / np.float32(255) for x in arrays[::2]]
    labels = [y.astype(np.int64) for y in arrays[1::2]]
    return Digits("MNIST", 28, pictures[0], labels[0], pictures[1], labels[1])


def _existing(folder: Path, name: str) -> Path | None:
    return next((p for p in (folder / f"{name}.gz", folder / name) if p.is_file()), None)


def _checked(data: bytes, source: str, name: str) -> NDArray[np.uint8]:
    array = read_idx(data, source)
    if hashlib.sha256(array.tobytes()).hexdigest() != MNIST_FILES[name]:
        raise DamagedFile(
            f"{source} is an idx file, but not MNIST's {name}: its digest differs; fetch it again"
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
    for name in MNIST_FILES:
        if _existing(folder, name) is not None:
            continue
        source = f"{address.rstrip('/')}/{name}.gz"
        try:
            with urllib.request.urlopen(source, timeout=timeout) as answer:  # noqa: S310 - checked above
                content: bytes = answer.read(_MAX_BYTES)
        except OSError as cause:
            raise MissingFile(
                f"{source} cannot be fetched ({cause}); try another address"
            ) from cause
        _checked(content, source, name)
        write_whole(folder / f"{name}.gz", lambda file, content=content: file.write(content))
    return folder
