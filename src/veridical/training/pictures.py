"""Pictures to train on: from folders and tar files, turned, grained, cut, and the format that they are coded in."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from veridical.errors import InvalidSetting, TrainingData
from veridical.extras import require
from veridical.photo.formats import format_named
from veridical.photo.formats.conventional import ConventionalFormat

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".avif"}
"""Of pictures to train on."""

_SMALLEST = 0.55
_GRAIN = (1.0, 7.0)
_GRAINY = 2 / 3


def augment(picture: Image.Image, rng: np.random.Generator, smallest_side: int) -> Image.Image:
    """The picture at 0.55 to 1 of its size, two times of three with grain.

    Grain is Gaussian, of 1 to 7 levels (evenly in the logarithm), partly common to the colours and
    partly blurred, weaker at black and white, as film and sensors leave it.

    Args:
        picture: Of mode RGB.
        rng: Decides size and grain.
        smallest_side: In pixels; pictures are not made smaller than that.
    """
    factor = max(_SMALLEST + (1 - _SMALLEST) * rng.random(), smallest_side / min(picture.size))
    if factor < 1:
        width, height = (round(n * factor) for n in picture.size)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    if rng.random() >= _GRAINY:
        return picture
    x = np.asarray(picture, dtype=np.float32)
    level = _GRAIN[0] * (_GRAIN[1] / _GRAIN[0]) ** rng.random()
    common, blur = rng.random(), 0.9 * rng.random()
    own, shared = (
        rng.standard_normal((*x.shape[:2], n), dtype=np.float32) for n in (x.shape[2], 1)
    )
    grain = gaussian_filter(
        np.sqrt(1 - common) * own + np.sqrt(common) * shared, (blur, blur, 0), mode="nearest"
    )
    grain *= level / grain.std() * (0.4 + 2.4 * (x / 255) * (1 - x / 255))
    return Image.fromarray((x + grain).round().clip(0, 255).astype(np.uint8))


def saved(picture: Image.Image, name: str, **options: object) -> bytes:
    """A file of a picture."""
    buffer = io.BytesIO()
    picture.save(buffer, name, **options)
    return buffer.getvalue()


def opened(data: bytes, mode: str = "RGB") -> Image.Image:
    """The picture of a file."""
    with Image.open(io.BytesIO(data)) as im:
        return im.convert(mode)


def dihedral(x: np.ndarray, k: int) -> np.ndarray:
    """One of the eight symmetries of the square as a view; ``k`` in 0..7."""
    x = np.rot90(x, k & 3)
    return x[:, ::-1] if k & 4 else x


def in_folder(folder: Path) -> list[Path]:
    """Pictures in a folder, in a fixed order."""
    found = [p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES]
    # By the names' letters: paths themselves compare without case on Windows.
    return sorted(found, key=lambda p: p.parts)


def squares(x: np.ndarray, side: int, filled: Literal["reflect", "symmetric"]) -> list[np.ndarray]:
    """Pieces of (side, side, 3) of a picture that is filled up to one at least, from its upper left on."""
    x = np.pad(x, [*((0, max(0, side - n)) for n in x.shape[:2]), (0, 0)], mode=filled)
    tops, lefts = (range(0, n - side + 1, side) for n in x.shape[:2])
    return [x[t : t + side, le : le + side] for t in tops for le in lefts]


def pictures(sources: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the pictures in folders and tar files, in a fixed order."""
    for source in sources:
        if source.is_dir():
            for path in in_folder(source):
                yield path.name, path.read_bytes()
        elif tarfile.is_tarfile(source):
            with tarfile.open(source) as tar:
                for member in tar:
                    handle = tar.extractfile(member)
                    if handle is not None and Path(member.name).suffix.lower() in SUFFIXES:
                        yield member.name, handle.read()
        else:
            raise TrainingData(f"{source} is neither a folder nor a tar file of pictures")


def conventional(name: str) -> ConventionalFormat:
    """A conventional format by its name.

    Raises:
        InvalidSetting: Unknown, or a format with a training of its own.
        MissingDependency: Its plugin is not installed.
    """
    found = format_named(name)
    if not isinstance(found, ConventionalFormat):
        raise InvalidSetting(f"{name} has a training of its own: veridical train photo-codec")
    if found.plugin:
        require(found.plugin)
    return found


def centre_crops(source: Path, side: int) -> list[np.ndarray]:
    """The middle of every picture of a folder or tar file, uint8 of at most ``side`` pixels a side.

    Raises:
        TrainingData: No usable picture.
    """
    out = []
    for _, data in pictures([source]):
        try:
            x = np.asarray(opened(data))
        except Exception:  # noqa: BLE001, S112 (Pillow's readers raise almost anything; the picture is skipped)
            continue
        if min(x.shape[:2]) >= min(side, 64):
            top, left = (max(0, (n - side) // 2) for n in x.shape[:2])
            out.append(x[top : top + side, left : left + side])
    if not out:
        raise TrainingData(f"no usable picture in {source}")
    return out
