"""Pictures before any coding that networks are trained on: photographs, camera pictures, drawings.

Training photographs have been JPEG files of quality 93, whose traces would be learned from them at their own
size where files are fine; there they are scaled down.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from veridical.errors import TrainingData
from veridical.training.drawings import KINDS, draw
from veridical.training.pictures import augment, dihedral, opened, pictures, squares
from veridical.writing import write_text

_SIDE = 512
_SMALLEST, _MOST = 160, 12
_QUICK = (*("pattern",) * 3, *("pixels",) * 2, "flat", "lines", "cartoon", "interface")
"""Kinds that are drawn anew for a piece."""


@dataclass(frozen=True)
class Sources:
    """Pictures before any coding, (512, 512, 3) each, mapped into memory.

    Attributes:
        photographs: Training photographs, which were JPEG files of high quality.
        camera: Pieces of camera pictures at half their size.
        drawings: Pictures of ``training.drawings.KINDS``.
        digest: SHA-256 over the pictures and settings.
    """

    photographs: np.ndarray
    camera: np.ndarray
    drawings: np.ndarray
    digest: str

    def picture(
        self,
        rng: np.random.Generator,
        kind: str = "photograph",
        *,
        least: int,
        largest: int,
        fine: bool = False,
    ) -> Image.Image:
        """A piece of a source, perhaps scaled, grained or darkened, of mode RGB.

        Args:
            rng: Decides everything.
            kind: "photograph", "drawing", or "recompressed": a tenth drawings.
            least: No side is shorter, in pixels.
            largest: About the longest side.
            fine: Whether traces of JPEG at the photographs' own size would matter.
        """
        height, width = (int(v) for v in rng.integers(least, max(least + 1, largest), 2))
        which = rng.random()
        if kind == "drawing" or (kind == "recompressed" and which < 0.1):
            return self._drawing(rng, height, width)
        camera = which > 0.85 and len(self.camera) > 0
        small = rng.random() < (0.15 if camera else 0.35) or (fine and not camera)
        factor = rng.uniform(0.5, 0.75) if small else 1.0
        factor = max(factor, (least + 1) / _SIDE)
        cut = [min(_SIDE, int(v / factor)) for v in (height, width)]
        x = _crop(rng, self.camera if camera else self.photographs, *cut)
        picture = Image.fromarray(np.ascontiguousarray(x))
        if small:
            wide, high = (max(least, int(v * factor)) for v in picture.size)
            picture = picture.resize((wide, high), Image.Resampling.LANCZOS)
        if rng.random() < 0.15:
            picture = augment(picture, rng, min(picture.size))
        if rng.random() < 0.05:
            factor = float(rng.uniform(0.04, 0.5))
            picture = picture.point(lambda v: int(v * factor))
        if rng.random() < 0.04:  # words or drawings over a photograph
            over = Image.fromarray(_crop(rng, self.drawings, *(v // 2 for v in picture.size)))
            picture.paste(over, (int(rng.integers(-30, 60)), int(rng.integers(-30, 60))))
        return picture

    def _drawing(self, rng: np.random.Generator, height: int, width: int) -> Image.Image:
        if rng.random() < 0.5:  # drawn anew where that is quick
            fresh = draw(str(rng.choice(_QUICK)), int(rng.integers(10_000)), max(height, width))
            x = dihedral(np.asarray(fresh)[:height, :width], 4 * int(rng.integers(2)))
        else:
            x = _crop(rng, self.drawings, height, width)
        if rng.random() < 0.3:
            x = x[..., rng.permutation(3)]
        return Image.fromarray(np.ascontiguousarray(255 - x if rng.random() < 0.2 else x))


def _crop(rng: np.random.Generator, stack: np.ndarray, height: int, width: int) -> np.ndarray:
    x = dihedral(stack[int(rng.integers(len(stack)))], int(rng.integers(8)))
    top, left = (int(rng.integers(_SIDE - n + 1)) for n in (height, width))
    return x[top : top + height, left : left + width]


def prepare_sources(
    photographs: Sequence[Path],
    camera: Sequence[Path],
    folder: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    n_drawings: int = 60,
) -> Sources:
    """Decode photographs, cut camera pictures and render drawings; reused if they are there.

    Args:
        photographs: Folders or tar files; pictures of less than 160 pixels a side are left out.
        camera: The same of camera pictures, taken at half their size.
        folder: For what is made; needs 768 KiB for each piece of 512 x 512 pixels.
        progress: Called with (pieces made, 0).
        n_drawings: Of each kind.

    Raises:
        TrainingData: No usable photograph, or a path is neither a folder nor a tar file.
    """
    sha = hashlib.sha256(f"sources-1 {_SIDE} {n_drawings}".encode())
    found = [list(pictures(p)) for p in (photographs, camera)]
    for name, data in (*found[0], *found[1]):
        sha.update(name.encode() + hashlib.sha256(data).digest())
    digest = sha.hexdigest()
    index = folder / "sources.json"
    folder.mkdir(parents=True, exist_ok=True)
    if not index.exists() or json.loads(index.read_text(encoding="utf-8"))["digest"] != digest:
        index.unlink(missing_ok=True)
        counts = {}
        for name, made in (
            ("photographs", (t for _, d in found[0] for t in _tiles(d))),
            ("camera", (t for _, d in found[1] for t in _tiles(d, 2) if t.std() > 4)),
            ("drawings", (np.asarray(draw(k, s, _SIDE)) for s in range(n_drawings) for k in KINDS)),
        ):
            counts[name] = 0
            with (folder / f"{name}.u8").open("wb") as out:
                for tile in made:
                    out.write(tile.tobytes())
                    counts[name] += 1
                    progress(counts[name], 0)
        if not counts["photographs"]:
            raise TrainingData(
                f"no picture of at least {_SMALLEST} pixels a side in {', '.join(map(str, photographs))}"
            )
        write_text(index, json.dumps({"digest": digest, "counts": counts}))
    counts = json.loads(index.read_text(encoding="utf-8"))["counts"]
    made = [
        np.memmap(folder / f"{name}.u8", np.uint8, "r", shape=(n, _SIDE, _SIDE, 3))
        if n
        else np.empty((0, _SIDE, _SIDE, 3), np.uint8)
        for name, n in counts.items()
    ]
    return Sources(made[0], made[1], made[2], digest)


def _tiles(data: bytes, factor: int = 1) -> list[np.ndarray]:
    """Pieces of a picture at a fraction of its size; none if it is too small or cannot be read."""
    try:
        picture = opened(data)
    except Exception:  # noqa: BLE001 (Pillow's readers raise almost anything; the picture is skipped)
        return []
    x = np.asarray(picture.reduce(factor) if factor > 1 else picture)
    return squares(x, _SIDE, "reflect")[:_MOST] if min(x.shape[:2]) >= _SMALLEST else []


class SourceSampler:
    """Random patches of sources, mostly photographs; ``batch(step)`` depends only on the seed and the step.

    Args:
        sources: Pictures.
        patch: Side in pixels.
        batch_size: Patches of a batch.
        seed: Of everything random.
    """

    DRAWINGS, GREY = 0.1, 0.04
    """Shares."""

    def __init__(self, sources: Sources, *, patch: int, batch_size: int, seed: int) -> None:
        self.sources, self.patch, self.batch_size, self.seed = sources, patch, batch_size, seed

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """``source``, uint8 of shape (batch_size, patch, patch, 3)."""
        rng, out = np.random.default_rng([self.seed, step]), []
        for _ in range(self.batch_size):
            kind = "drawing" if rng.random() < self.DRAWINGS else "photograph"
            x = self.sources.picture(rng, kind, least=self.patch, largest=self.patch + 1)
            x = x.convert("L").convert("RGB") if rng.random() < self.GREY else x
            out.append(np.asarray(x)[: self.patch, : self.patch])
        return {"source": np.stack(out)}
