"""Training pairs for photographs: pictures as a conventional codec leaves them, beside their source.

``prepare`` codes every picture of a folder (or tar) a few times at random settings, decodes it
again and lays the pixels in one flat file that is mapped into memory; ``PairSampler`` cuts random
patches from it. Turning and mirroring happen *before* coding, because block grids and chroma
siting are not symmetric; patches start at multiples of 16 for the same reason.

Pictures from the web are scaled down and clean, those out of a camera are not. So each picture is
also taken a second time (``training.augment``): at another resolution, and mostly with grain.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from veridical.errors import InvalidSetting, TrainingData
from veridical.photo.condition import BASIC_FEATURES, Condition, ResidualScale
from veridical.photo.formats import format_named
from veridical.photo.formats.conventional import ConventionalFormat
from veridical.training.augment import SETTINGS, augment
from veridical.writing import write_text

__all__ = ["PairSampler", "Pairs", "conventional", "dihedral", "pictures", "prepare"]

_QUALITY = {"AVIF": (1, 90), "WEBP": (0, 95), "JPEG": (1, 93)}
_QUALITY_OF_OTHERS = (1, 93)
_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".avif"}
_MIN_SIDE = 160
_MOST_WORKERS = 61  # Windows waits for no more


def dihedral(x: np.ndarray, k: int) -> np.ndarray:
    """One of the eight symmetries of the square as a view; ``k`` in 0..7."""
    x = np.rot90(x, k & 3)
    return x[:, ::-1] if k & 4 else x


def pictures(sources: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the pictures in folders and tar files, in a fixed order."""
    for source in sources:
        if source.is_dir():
            found = [p for p in source.rglob("*") if p.suffix.lower() in _SUFFIXES]
            # By the names' letters: paths themselves compare without case on Windows.
            for path in sorted(found, key=lambda p: p.parts):
                yield path.name, path.read_bytes()
        elif tarfile.is_tarfile(source):
            with tarfile.open(source) as tar:
                for member in tar:
                    handle = tar.extractfile(member)
                    if handle is not None and Path(member.name).suffix.lower() in _SUFFIXES:
                        yield member.name, handle.read()
        else:
            raise TrainingData(f"{source} is neither a folder nor a tar file of pictures")


def conventional(name: str) -> ConventionalFormat:
    """A conventional format by its name.

    Raises:
        InvalidSetting: Unknown, or a format with a training of its own.
    """
    found = format_named(name)
    if not isinstance(found, ConventionalFormat):
        raise InvalidSetting(f"{name} has a training of its own: veridical train photo-codec")
    return found


def encode_at_random(picture: Image.Image, name: str, rng: np.random.Generator) -> bytes:
    """Code a picture with random settings of the format; more often coarse than fine."""
    lo, hi = _QUALITY.get(name, _QUALITY_OF_OTHERS)
    quality = int(lo + (hi - lo + 1) * rng.random() ** 1.5)
    options: dict[str, object] = {"quality": min(quality, hi)}
    if name != "WEBP" and rng.random() < 0.2:
        options["subsampling"] = "4:4:4"
    if name == "JPEG":
        smaller = {"optimize": True, "progressive": bool(rng.random() < 0.5)}
        try:
            return _saved(picture, name, options | smaller)
        except OSError:  # for these Pillow reserves one byte a pixel, and noise needs more
            return _saved(picture, name, options)  # the same pixels in a longer file
    return _saved(picture, name, options)


def _saved(picture: Image.Image, name: str, options: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, name, **options)
    return buffer.getvalue()


@dataclass(frozen=True)
class _Taken:
    """A source picture and its coded versions: their records and decoded pixels."""

    size: tuple[int, int]
    pixels: bytes
    versions: list[tuple[dict, bytes]]


def _variants(job: tuple[int, str, bytes, int, int, str]) -> tuple[str, list[_Taken]] | None:
    index, name, data, n_variants, seed, format_name = job
    try:
        picture = Image.open(io.BytesIO(data)).convert("RGB")
    except Exception:  # noqa: BLE001 (Pillow's readers raise almost anything; the picture is skipped)
        return None
    if min(picture.size) < _MIN_SIDE:
        return None
    again = augment(picture, np.random.default_rng([seed, index]), _MIN_SIDE)
    return name, [
        _coded(source, [seed, index, k], n, format_name)
        for k, (source, n) in enumerate([(picture, n_variants), (again, -(-n_variants // 2))])
    ]


def _coded(picture: Image.Image, seed: list[int], n_variants: int, fmt: str) -> _Taken:
    source = np.asarray(picture)
    out = []
    for v in range(n_variants):
        rng = np.random.default_rng([*seed, zlib.crc32(fmt.encode()), v])
        k = int(rng.integers(8))
        turned = Image.fromarray(np.ascontiguousarray(dihedral(source, k)))
        grey = rng.random() < 0.04
        coded = encode_at_random(turned.convert("L") if grey else turned, fmt, rng)
        with Image.open(io.BytesIO(coded)) as im:
            decoded = np.asarray(im.convert("RGB"))
        condition = conventional(fmt).condition(coded, *turned.size)
        if condition is None:
            raise TrainingData(f"{fmt} was written without loss; there is nothing to learn from it")
        truth = np.asarray(turned.convert("L").convert("RGB") if grey else turned)
        mse = float(np.mean((decoded.astype(np.float32) - truth) ** 2) / 255**2)
        record = {"k": k, "grey": grey, "mse": mse, "condition": asdict(condition)}
        out.append((record, decoded.tobytes()))
    return _Taken((source.shape[0], source.shape[1]), source.tobytes(), out)


@dataclass(frozen=True)
class Pairs:
    """A prepared set.

    Attributes:
        folder: Where ``pixels.u8`` and ``pairs.json`` stand.
        digest: SHA-256 over names and bytes of the source pictures and the settings.
        n_pictures: Number of source pictures.
        records: One dictionary for each coded version.
        scale: Fitted residual scale.
        format: Name of the format.
    """

    folder: Path
    digest: str
    n_pictures: int
    records: list[dict]
    scale: ResidualScale
    format: str

    @classmethod
    def load(cls, folder: Path) -> Pairs:
        """Open a prepared set.

        Raises:
            TrainingData: The folder holds no complete prepared set.
        """
        try:
            index = json.loads((folder / "pairs.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as cause:
            raise TrainingData(
                f"{folder} holds no prepared set; run the preparation again"
            ) from cause
        scale = ResidualScale(*(np.array(t) for t in index["scale"]))
        return cls(
            folder, index["digest"], index["n_pictures"], index["records"], scale, index["format"]
        )


def prepare(
    sources: Sequence[Path],
    folder: Path,
    *,
    format: str,  # noqa: A002 (the word for it)
    n_variants: int = 2,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Pairs:
    """Code and decode all pictures; an existing complete set for the same input is reused.

    Args:
        sources: Folders or tar files of pictures; pictures under 160 pixels a side are skipped.
        folder: Output folder; needs about ``5 * (1 + n_variants)`` bytes a pixel.
        format: Name of a conventional format.
        n_variants: Coded versions of each picture; of the picture taken a second
            time half as many.
        seed: Seed of the random settings.
        progress: Called with (pictures done, pictures in all).

    Raises:
        TrainingData: No usable picture.
    """
    found = list(pictures(sources))
    settings = (format, n_variants, seed, _QUALITY.get(format), *SETTINGS)
    sha = hashlib.sha256(str(settings).encode())
    for name, data in found:
        sha.update(name.encode() + hashlib.sha256(data).digest())
    digest = sha.hexdigest()
    if (folder / "pairs.json").exists():
        ready = Pairs.load(folder)
        if ready.digest == digest:
            return ready
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(i, name, data, n_variants, seed, format) for i, (name, data) in enumerate(found)]
    records: list[dict] = []
    offset = n_used = 0
    (folder / "pairs.json").unlink(missing_ok=True)  # first what vouches for the pixels
    (folder / "pixels.u8").unlink(missing_ok=True)
    temporary = folder / "pixels.u8.tmp"
    workers = min(_MOST_WORKERS, os.cpu_count() or 1)
    with temporary.open("wb") as pixels, ProcessPoolExecutor(workers) as pool:
        for done, result in enumerate(pool.map(_variants, jobs, chunksize=2), 1):
            progress(done, len(jobs))
            if result is None:
                continue
            n_used += 1
            name, taken = result
            for one in taken:
                at = offset
                offset += pixels.write(one.pixels)
                for record, decoded in one.versions:
                    place = {
                        "name": name,
                        "source": at,
                        "size": list(one.size),
                        "decoded": offset,
                        "decoded_size": list(one.size[::-1] if record["k"] & 1 else one.size),
                    }
                    records.append(record | place)
                    offset += pixels.write(decoded)
    if not n_used:
        raise TrainingData(
            f"no picture of at least {_MIN_SIDE} pixels a side in {list(map(str, sources))}"
        )
    conditions = [Condition(**r["condition"]) for r in records]
    scale = ResidualScale.fit(conditions, np.array([r["mse"] for r in records]))
    index = {
        "digest": digest,
        "n_pictures": n_used,
        "format": format,
        "records": records,
        "scale": [scale.with_quantizer.tolist(), scale.without_quantizer.tolist()],
    }
    temporary.replace(folder / "pixels.u8")
    write_text(folder / "pairs.json", json.dumps(index))
    return Pairs.load(folder)


class PairSampler:
    """Random patches from a prepared set; ``batch(step)`` depends only on the seed and the step.

    With ``part = (p, n)`` only rows ``p, p + n, ...`` of that batch are cut, for process p of n.
    """

    def __init__(
        self,
        pairs: Pairs,
        *,
        patch: int,
        batch_size: int,
        seed: int,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        self.pairs, self.patch, self.batch_size, self.seed = pairs, patch, batch_size, seed
        self.part = part
        self._pixels = np.memmap(pairs.folder / "pixels.u8", dtype=np.uint8, mode="r")
        self._conditions = [Condition(**r["condition"]) for r in pairs.records]
        unknown = [replace(c, quantizer=None) for c in self._conditions]
        names = BASIC_FEATURES
        self._features = [
            (c.features(names), u.features(names))
            for c, u in zip(self._conditions, unknown, strict=True)
        ]
        self._scales = [
            (pairs.scale(c), pairs.scale(u)) for c, u in zip(self._conditions, unknown, strict=True)
        ]

    def _array(self, at: int, size: list[int]) -> np.ndarray:
        h, w = size
        return self._pixels[at : at + h * w * 3].reshape(h, w, 3)

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """A batch: ``source`` and ``decoded`` uint8 (n, patch, patch, 3), ``features``, ``scale``."""
        rng = np.random.default_rng([self.seed, step])
        source, decoded, features, scales = [], [], [], []
        for row in range(self.batch_size):
            i = int(rng.integers(len(self.pairs.records)))
            r = self.pairs.records[i]
            y = self._array(r["decoded"], r["decoded_size"])
            x = dihedral(self._array(r["source"], r["size"]), r["k"])
            top = 16 * int(rng.integers((y.shape[0] - self.patch) // 16 + 1))
            left = 16 * int(rng.integers((y.shape[1] - self.patch) // 16 + 1))
            hide = int(rng.random() < 0.1)  # one in ten learns to do without the quantizer
            if row % self.part[1] != self.part[0]:
                continue
            cut = np.s_[top : top + self.patch, left : left + self.patch]
            truth = x[cut]
            if r["grey"]:
                truth = np.asarray(
                    Image.fromarray(np.ascontiguousarray(truth)).convert("L").convert("RGB")
                )
            source.append(truth)
            decoded.append(y[cut])
            features.append(self._features[i][hide])
            scales.append(self._scales[i][hide])
        return {
            "source": np.stack(source),
            "decoded": np.stack(decoded),
            "features": np.stack(features),
            "scale": np.array(scales, dtype=np.float32),
        }
