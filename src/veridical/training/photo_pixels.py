"""Pictures as one flat file of pixels, and random crops of them.

For networks that code pictures themselves: nothing is coded beforehand. The file is mapped into
memory, so that sets larger than the memory can be used.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from veridical.errors import TrainingData
from veridical.training.pictures import dihedral, pictures
from veridical.writing import write_text


@dataclass(frozen=True)
class Pixels:
    """A prepared set.

    Attributes:
        folder: Where ``pixels.u8`` and ``pixels.json`` stand.
        digest: SHA-256 over names and bytes of the pictures and the smallest side.
        records: Place and size of each picture.
    """

    folder: Path
    digest: str
    records: list[dict[str, Any]] = field(repr=False)

    @classmethod
    def load(cls, folder: Path) -> Pixels:
        """Open a prepared set.

        Raises:
            TrainingData: The folder holds no complete one.
        """
        try:
            index = json.loads((folder / "pixels.json").read_text(encoding="utf-8"))
            return cls(folder, index["digest"], index["records"])
        except (OSError, ValueError, KeyError) as cause:
            raise TrainingData(
                f"{folder} holds no prepared set; run the preparation again"
            ) from cause


def prepare_pixels(
    sources: Sequence[Path],
    folder: Path,
    *,
    smallest_side: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Pixels:
    """Decode all pictures; an existing complete set of the same input is reused.

    Args:
        sources: Folders or tar files of pictures; smaller and unreadable ones are skipped.
        folder: Output folder; needs three bytes a pixel.
        smallest_side: In pixels.
        progress: Called with (pictures done, pictures in all).

    Raises:
        TrainingData: No usable picture.
    """
    found = list(pictures(sources))
    sha = hashlib.sha256(f"{smallest_side}".encode())
    for name, data in found:
        sha.update(name.encode() + hashlib.sha256(data).digest())
    if (folder / "pixels.json").exists():
        ready = Pixels.load(folder)
        if ready.digest == sha.hexdigest():
            return ready
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pixels.json").unlink(missing_ok=True)  # first what vouches for the pixels
    (folder / "pixels.u8").unlink(missing_ok=True)
    records, at = [], 0
    temporary = folder / "pixels.u8.tmp"
    with temporary.open("wb") as out:
        for done, (name, data) in enumerate(found, 1):
            progress(done, len(found))
            x = _opened(data)
            if x is None or min(x.shape[:2]) < smallest_side:
                continue
            out.write(x.tobytes())
            records.append({"name": name, "at": at, "size": list(x.shape[:2])})
            at += x.size
    if not records:
        raise TrainingData(
            f"no picture of at least {smallest_side} pixels a side in {list(map(str, sources))}"
        )
    temporary.replace(folder / "pixels.u8")
    write_text(folder / "pixels.json", json.dumps({"digest": sha.hexdigest(), "records": records}))
    return Pixels.load(folder)


def _opened(data: bytes) -> np.ndarray | None:
    try:
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    except Exception:  # noqa: BLE001 (Pillow's readers raise almost anything; the picture is skipped)
        return None


class CropSampler:
    """Random crops, turned and mirrored; ``batch(step)`` depends only on the seed and the step.

    One crop in 25 is grey, so that grey pictures are known to the networks.
    """

    def __init__(self, pixels: Pixels, *, patch: int, batch_size: int, seed: int) -> None:
        self.records, self.patch, self.batch_size, self.seed = (
            pixels.records, patch, batch_size, seed,
        )  # fmt: skip
        self._pixels = np.memmap(pixels.folder / "pixels.u8", dtype=np.uint8, mode="r")
        area = np.array([h * w for h, w in (r["size"] for r in self.records)], dtype=np.float64)
        self._share = area / area.sum()

    def batch(self, step: int) -> np.ndarray:
        """Crops, uint8 of shape (batch_size, patch, patch, 3)."""
        rng = np.random.default_rng([self.seed, step])
        out = np.empty((self.batch_size, self.patch, self.patch, 3), dtype=np.uint8)
        for row in out:
            record = self.records[int(rng.choice(len(self.records), p=self._share))]
            h, w = record["size"]
            x = self._pixels[record["at"] : record["at"] + h * w * 3].reshape(h, w, 3)
            top = int(rng.integers(h - self.patch + 1))
            left = int(rng.integers(w - self.patch + 1))
            crop = x[top : top + self.patch, left : left + self.patch]
            row[:] = dihedral(crop, int(rng.integers(8)))
            if rng.random() < 0.04:
                row[:] = np.asarray(Image.fromarray(row).convert("L"))[:, :, None]
        return out


def centre_crops(source: Path, side: int) -> list[np.ndarray]:
    """The middle of every picture of a folder or tar file, uint8 of at most ``side`` pixels a side.

    Raises:
        TrainingData: No usable picture.
    """
    out = []
    for _, data in pictures([source]):
        x = _opened(data)
        if x is not None and min(x.shape[:2]) >= min(side, 64):
            top, left = (max(0, (n - side) // 2) for n in x.shape[:2])
            out.append(x[top : top + side, left : left + side])
    if not out:
        raise TrainingData(f"no usable picture in {source}")
    return out
