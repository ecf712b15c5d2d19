"""Pairs of an original and what any codec made of it: training for a codec that is known by its results alone.

The theory holds for every encoder that ignores perception, so the decoded picture is all that is needed, and the rate where
it is known. Nothing is coded anew here: pieces of 512 x 512 pixels are cut from the pairs as they are, in place, since a
codec's blocks have a grid.
"""

from __future__ import annotations

import glob
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from veridical.errors import InvalidSetting, TrainingData
from veridical.photo.condition import BASIC_FEATURES, Condition
from veridical.photo.formats import FORMATS
from veridical.photo.reader import open_source
from veridical.training.pictures import in_folder, squares
from veridical.writing import replacing

_SIDE = 512
_SMALLEST, _MOST = 200, 24
_EVERY = 8


@dataclass(frozen=True)
class Piece:
    """Source and decoded, uint8 (height, width, 3), what the file told, and the file if there is one."""

    source: np.ndarray
    decoded: np.ndarray
    condition: Condition
    file: bytes = b""


@dataclass(frozen=True)
class Pairs:
    """Pieces of pairs, uint8 of shape (n, 512, 512, 3); small pictures are filled up by reflection.

    Attributes:
        name: Of the codec, in capitals.
        originals: Before coding.
        decoded: The same places of what the codec made of them.
        bits_per_pixel: Of the coded file, shape (n,); ones where it is not known.
        held_out: Whether a piece is of a picture that nothing is trained on, shape (n,).
        rate_known: Whether the networks are told the rate.
        digest: SHA-256 over names and files.
    """

    name: str
    originals: np.ndarray = field(repr=False)
    decoded: np.ndarray = field(repr=False)
    bits_per_pixel: np.ndarray = field(repr=False)
    held_out: np.ndarray = field(repr=False)
    rate_known: bool
    digest: str

    features = BASIC_FEATURES
    camera = drawings = ()

    @property
    def photographs(self) -> np.ndarray:
        """Numbers of the pieces that are trained on."""
        return np.flatnonzero(~self.held_out)

    def piece(self, rng: np.random.Generator) -> Piece:
        """One to train on."""
        return self[int(rng.choice(self.photographs))]

    def __getitem__(self, k: int) -> Piece:
        return Piece(self.originals[k], self.decoded[k], Condition(float(self.bits_per_pixel[k])))

    def validation(self) -> Iterator[tuple[str, Piece, bytes]]:
        """(group, piece, no file) of the pictures that are held out."""
        for k in np.flatnonzero(self.held_out):
            yield "photographs held out", self[int(k)], b""


def prepare_pairs(
    name: str,
    original: Path,
    decoded: Path,
    folder: Path,
    *,
    coded: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Pairs:
    """Cut pairs into pieces. A pair has one file name but for the suffix; every eighth original is held out.

    Args:
        name: Of the codec, for its weights: small letters, digits and ``_``.
        original: Folder of originals.
        decoded: Folder of decoded pictures of their sizes; several of one original lie in folders of their own inside, such as one for
            each quality.
        folder: For the pieces, 1.5 MiB each.
        coded: Folder of the coded files, laid out as ``decoded``, whose sizes give the rate.
        progress: Called with (pairs done, pairs in all).

    Raises:
        InvalidSetting: The name is of a format or has other letters.
        TrainingData: Fewer than two originals have a pair, sizes differ, or a coded file is missing.
    """
    if not re.fullmatch("[a-z0-9_]+", name) or name.upper() in FORMATS:
        raise InvalidSetting(
            f"a codec's name has small letters, digits and _ and is no format's, got {name!r}"
        )
    originals = {p.stem: p for p in _pictures(original)}
    pairs = [(originals[p.stem], p) for p in _pictures(decoded) if p.stem in originals]
    stems = sorted({p.stem for p, _ in pairs})
    if len(stems) < 2:
        raise TrainingData(
            f"{len(stems)} pictures of {original} have a decoded one of the same name in {decoded}; at least 2 are needed"
        )
    held = set(stems[:: min(_EVERY, len(stems))])
    folder.mkdir(parents=True, exist_ok=True)
    sha, rates, held_out = hashlib.sha256(), [], []
    with (folder / "originals.u8").open("wb") as a, (folder / "decoded.u8").open("wb") as b:
        for done, (x_path, y_path) in enumerate(pairs, 1):
            x, y = (np.asarray(open_source(p).convert("RGB")) for p in (x_path, y_path))
            if x.shape != y.shape:
                raise TrainingData(f"{y_path} has another size than {x_path}; decode it again")
            place, rate = y_path.relative_to(decoded), 1.0
            if coded is not None:
                rate = 8 * _coded(coded, place).stat().st_size
                rate /= x.shape[0] * x.shape[1]
            sha.update(f"{place.as_posix()} {rate}".encode() + x.tobytes() + y.tobytes())
            most = _MOST if min(x.shape[:2]) >= _SMALLEST else 0
            pieces = (squares(v, _SIDE, "symmetric")[:most] for v in (x, y))
            for x_tile, y_tile in zip(*pieces, strict=True):
                a.write(x_tile.tobytes())
                b.write(y_tile.tobytes())
                rates.append(rate)
                held_out.append(x_path.stem in held)
            progress(done, len(pairs))
    if len(set(held_out)) < 2:
        raise TrainingData(
            f"the pictures of {original} are too small: {_SMALLEST} pixels a side at least"
        )
    shape = (len(rates), _SIDE, _SIDE, 3)
    x, y = (
        np.memmap(folder / f"{n}.u8", np.uint8, "r", shape=shape) for n in ("originals", "decoded")
    )
    return Pairs(
        name.upper(), x, y, np.array(rates), np.array(held_out), coded is not None, sha.hexdigest()
    )  # fmt: skip


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise TrainingData(f"{folder} is no folder of pictures")
    return in_folder(folder)


def _coded(folder: Path, decoded: Path) -> Path:
    """The coded file of a decoded one."""
    found = sorted((folder / decoded).parent.glob(f"{glob.escape(decoded.stem)}.*"))
    if not found:
        raise TrainingData(f"{folder / decoded.parent} has no coded file of {decoded.stem}")
    return found[0]


def decode_all(
    codec: Callable[[Image.Image], Any],
    original: Path,
    folder: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Run a codec of one's own over a folder of originals; what is there already is kept.

    Args:
        codec: Gives the decoded picture of a Pillow picture of mode RGB, of its size, as Pillow, numpy or torch.
        original: Folder of originals.
        folder: For the decoded pictures, as PNG.
        progress: Called with (pictures done, pictures in all).

    Raises:
        TrainingData: The codec gave what is no picture.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = _pictures(original)
    for done, path in enumerate(paths, 1):
        out = folder / f"{path.stem}.png"
        if not out.exists():
            x = open_source(path).convert("RGB")
            try:
                picture = open_source(codec(x))
            except Exception as cause:
                raise TrainingData(f"the codec failed on {path}: {cause!r:.200}") from cause
            with replacing(out) as temporary:
                picture.save(temporary, "PNG")
        progress(done, len(paths))
