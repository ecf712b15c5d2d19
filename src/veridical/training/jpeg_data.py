"""Training pairs for JPEG files: coded anew for every batch, at every setting that files are found at.

A piece of a picture is cut, perhaps scaled, grained or darkened, perhaps coded once before, coded as
a JPEG and decoded; patches are cut from it on the 16x16 grid. The source is always the piece before
*any* compression. Qualities over :data:`FINE` never take a training photograph at its own size: those
have been JPEG files of quality 93, whose traces would be learned.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, JpegPresets

from veridical.photo.condition import Condition, ResidualScale
from veridical.photo.jpeg_header import (
    CONDITIONS,
    JpegHeader,
    conditioning,
    parse_jpeg_header,
)
from veridical.training.augment import augment
from veridical.training.drawings import KINDS, draw
from veridical.training.photo_data import dihedral, pictures
from veridical.writing import write_text

FINE = 80
_SIDE = 512
_DRAWINGS = 60  # of each kind
SHARES = {"photograph": 0.42, "drawing": 0.43, "recompressed": 0.15}
_SETTINGS = ("jpeg-1", FINE, _SIDE, _DRAWINGS, sorted(SHARES.items()))
_QUICK = (
    "pattern",
    "pattern",
    "pattern",
    "pixels",
    "pixels",
    "flat",
    "lines",
    "cartoon",
    "interface",
)
_MODES: tuple[tuple[str, float], ...] = (
    ("4:2:0", 0.48),
    ("4:4:4", 0.22),
    ("4:2:2", 0.12),
    ("grey", 0.18),
)


@dataclass(frozen=True)
class Sources:
    """Pictures before any coding, (512, 512, 3) each, mapped into memory.

    Attributes:
        photographs: Training photographs, which were JPEG files of high quality.
        camera: Pieces of camera pictures at half their size.
        drawings: Pictures of ``training.drawings.KINDS``.
        digest: SHA-256 over the sources and settings.
    """

    photographs: np.ndarray
    camera: np.ndarray
    drawings: np.ndarray
    digest: str


def prepare_sources(
    photographs: Sequence[Path],
    camera: Sequence[Path],
    folder: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Sources:
    """Decode photographs, cut camera pictures and render drawings; reused if they are there."""
    sha = hashlib.sha256(str(_SETTINGS).encode())
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
            ("photographs", (_tile(_open(d)) for _, d in found[0])),
            ("camera", (t for _, d in found[1] for t in _cut(_open(d)))),
            ("drawings", (np.asarray(draw(k, s, _SIDE)) for s in range(_DRAWINGS) for k in KINDS)),
        ):
            counts[name] = 0
            with (folder / f"{name}.u8").open("wb") as out:
                for tile in made:
                    if tile is not None:
                        out.write(tile.tobytes())
                        counts[name] += 1
                        progress(counts[name], 0)
        write_text(index, json.dumps({"digest": digest, "counts": counts}))
    counts = json.loads(index.read_text(encoding="utf-8"))["counts"]
    photo, camera_pieces, drawings = (
        np.memmap(folder / f"{name}.u8", np.uint8, "r", shape=(n, _SIDE, _SIDE, 3))
        for name, n in counts.items()
    )
    return Sources(photo, camera_pieces, drawings, digest)


def _open(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def _tile(picture: Image.Image) -> np.ndarray | None:
    if min(picture.size) < _SIDE:
        return None
    return np.asarray(picture)[:_SIDE, :_SIDE]


def _cut(picture: Image.Image) -> list[np.ndarray]:
    half = np.asarray(picture.reduce(2))
    tops, lefts = (range(0, n - _SIDE + 1, _SIDE) for n in half.shape[:2])
    tiles = [half[t : t + _SIDE, x : x + _SIDE] for t in tops for x in lefts]
    return [t for t in tiles if t.std() > 4][:12]


def _tables(rng: np.random.Generator, quality: int) -> dict[str, object]:
    """Pillow's options for the quantization tables: the standard ones, or others that encoders use."""
    kind = rng.random()
    if kind < 0.75:
        return {"quality": quality}
    if kind < 0.81:
        names = sorted(JpegPresets.presets)
        return {
            "qtables": JpegPresets.presets[names[int(rng.integers(len(names)))]]["quantization"]
        }
    factor = 50 / quality if quality < 50 else 2 - quality / 50
    if kind < 0.86:
        steps = [np.full(64, 1 + 20 * factor * f) for f in (1, rng.uniform(0.7, 2))]
    else:
        frequency = np.add.outer(np.arange(8), np.arange(8)).ravel() / 14
        base = [np.array(_STANDARD[k], float) * factor for k in (0, 1)]
        tilt = np.exp(rng.normal(0, 0.4) * (frequency - 0.5) + rng.normal(0, 0.08, 64))
        steps = [b * tilt * np.exp(rng.normal(0, 0.2)) for b in base]
    return {"qtables": [s.round().clip(1, 255).astype(int).tolist() for s in steps]}


def _standard_tables() -> list[list[int]]:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG", quality=50)
    tables = parse_jpeg_header(buffer.getvalue()).tables[:2]
    return [[] if t is None else t.ravel().tolist() for t in tables]


_STANDARD = _standard_tables()


def code(picture: Image.Image, **options: object) -> tuple[np.ndarray, JpegHeader]:
    """A picture coded as JPEG: decoded pixels, (height, width, 3), and the header."""
    buffer = io.BytesIO()
    try:
        picture.save(buffer, "JPEG", **options)
    except OSError:  # for progressive files Pillow reserves one byte a pixel, and noise needs more
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", **options | {"progressive": False})
    with Image.open(buffer) as im:
        return np.asarray(im.convert("RGB")), parse_jpeg_header(buffer.getvalue())


@dataclass(frozen=True)
class Piece:
    """Source and decoded, uint8 (height, width, 3), and what the file told."""

    source: np.ndarray
    decoded: np.ndarray
    header: JpegHeader


def scale_condition(header: JpegHeader, width: int, height: int) -> Condition:
    """The condition from which the residual scale is computed."""
    c = conditioning(header, width, height)
    return Condition(
        2 ** (2 * c["half_log2_bpp"]), (c["quantizer"] + 1) / 2, chroma_full=bool(c["chroma_full"])
    )


def fit_scale(sources: Sources, known: ResidualScale, n: int = 700, seed: int = 9) -> ResidualScale:
    """A residual scale fitted to photographs at all settings, but for coarse ones to what a network knows.

    Args:
        sources: Pictures.
        known: The scale that the U-Net was trained with: the target from a quantizer of 0.9, half of it
            (of the logarithm) at 0.8 and without a quantizer, nothing of it under 0.7.
        n: Number of coded pieces.
        seed: Of the pieces.
    """
    sampler = JpegSampler(sources, None, patch=128, batch_size=1, seed=seed)
    conditions, errors = [], []
    for k in range(n):
        p = sampler.piece(np.random.default_rng([seed, k]), "photograph")
        conditions.append(scale_condition(p.header, *p.source.shape[1::-1]))
        errors.append(np.mean((p.source / 255.0 - p.decoded / 255.0) ** 2))
    fitted = ResidualScale.fit(conditions, np.array(errors))
    hidden = [replace(c, quantizer=None) for c in conditions]

    def target(c: Condition, share: float) -> float:
        return fitted(c) ** (2 - 2 * share) * known(c) ** (2 * share)

    shares = np.clip([((c.quantizer or 0) - 0.7) / 0.2 for c in conditions], 0, 1)
    mixed = [target(c, float(a)) for c, a in zip(conditions, shares, strict=True)]
    return ResidualScale(
        ResidualScale.fit(conditions, np.array(mixed)).with_quantizer,
        ResidualScale.fit(hidden, np.array([target(c, 0.5) for c in hidden])).without_quantizer,
    )


class JpegSampler:
    """Random patches; ``batch(step)`` depends only on the seed and the step."""

    def __init__(
        self,
        sources: Sources,
        scale: ResidualScale | None,
        *,
        patch: int,
        batch_size: int,
        seed: int,
        patches_per_piece: int = 2,
    ) -> None:
        self.sources, self.scale, self.patch = sources, scale, patch
        self.batch_size, self.seed, self.per_piece = batch_size, seed, patches_per_piece

    def _picture(self, rng: np.random.Generator, kind: str, quality: int) -> Image.Image:
        """A piece of a source before any coding, at least a patch and 16 pixels high and wide."""
        least = self.patch + 16
        height, width = (int(v) for v in rng.integers(least, max(least + 1, 400), 2))
        s = self.sources
        which = rng.random()
        if kind == "drawing" or (kind == "recompressed" and which < 0.1):
            if rng.random() < 0.5:  # drawn anew where that is quick
                fresh = draw(str(rng.choice(_QUICK)), int(rng.integers(10_000)), max(height, width))
                x = dihedral(np.asarray(fresh)[:height, :width], 4 * int(rng.integers(2)))
            else:
                x = self._crop(rng, s.drawings, height, width)
            if rng.random() < 0.3:
                x = x[..., rng.permutation(3)]
            return Image.fromarray(np.ascontiguousarray(255 - x if rng.random() < 0.2 else x))
        camera = which > 0.85
        small = rng.random() < (0.15 if camera else 0.35) or (quality > FINE and not camera)
        factor = rng.uniform(0.5, 0.75) if small else 1.0
        factor = max(factor, (least + 1) / _SIDE)
        cut = [min(_SIDE, int(v / factor)) for v in (height, width)]
        x = self._crop(rng, s.camera if camera else s.photographs, *cut)
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
            over = Image.fromarray(self._crop(rng, s.drawings, *(v // 2 for v in picture.size)))
            picture.paste(over, (int(rng.integers(-30, 60)), int(rng.integers(-30, 60))))
        return picture

    @staticmethod
    def _crop(rng: np.random.Generator, stack: np.ndarray, height: int, width: int) -> np.ndarray:
        x = dihedral(stack[int(rng.integers(len(stack)))], int(rng.integers(8)))
        top, left = (int(rng.integers(_SIDE - n + 1)) for n in (height, width))
        return x[top : top + height, left : left + width]

    def piece(self, rng: np.random.Generator, kind: str | None = None) -> Piece:
        """A coded piece of a picture of one of :data:`SHARES`."""
        if kind is None:
            kind = str(rng.choice(list(SHARES), p=list(SHARES.values())))
        low = kind == "photograph" and rng.random() < 0.55
        quality = int(rng.integers(4, 51)) if low else int(rng.integers(1, 101))
        if kind == "recompressed":
            quality = int(rng.integers(40, 101))
        mode = str(rng.choice([m for m, _ in _MODES], p=[p for _, p in _MODES]))
        picture = self._picture(rng, kind, 100 if kind == "recompressed" else quality)
        picture = picture.convert("L") if mode == "grey" else picture
        coded = picture
        if kind == "recompressed":
            coded, picture = self._coded_before(rng, picture)
        options = _tables(rng, quality)
        if mode != "grey":
            options["subsampling"] = mode
        elif "qtables" in options:
            options["qtables"] = [list(options["qtables"][0])]  # type: ignore[index]
        if rng.random() < 0.4:
            options["progressive"] = True
        decoded, header = code(coded, **options)
        return Piece(np.asarray(picture.convert("RGB")), decoded, header)

    @staticmethod
    def _coded_before(
        rng: np.random.Generator, picture: Image.Image
    ) -> tuple[Image.Image, Image.Image]:
        """The picture as an earlier file leaves it, and the source, both cut to a shifted grid."""
        kind = rng.random()
        buffer = io.BytesIO()
        quality = int(rng.integers(5, 96))
        if kind < 0.65:
            picture.save(buffer, "JPEG", quality=quality)
        elif kind < 0.85:
            picture.save(buffer, "WEBP", quality=quality, method=2)
        else:
            picture.save(buffer, "AVIF", quality=min(quality, 80), speed=10)
        with Image.open(buffer) as im:
            before = im.convert(picture.mode)
        x, y = (int(v) for v in rng.integers(0, 8, 2)) if rng.random() < 0.6 else (0, 0)
        box = (x, y, picture.width, picture.height)
        return before.crop(box), picture.crop(box)

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """``source`` and ``decoded`` uint8 (n, patch, patch, 3), ``features``, ``scale``."""
        rng = np.random.default_rng([self.seed, step])
        source, decoded, features, scales = [], [], [], []
        while len(source) < self.batch_size:
            p = self.piece(rng)
            height, width = p.source.shape[:2]
            if min(height, width) < self.patch:
                continue
            c = conditioning(p.header, width, height)
            s = 1.0 if self.scale is None else self.scale(scale_condition(p.header, width, height))
            for _ in range(min(self.per_piece, self.batch_size - len(source))):
                top, left = (
                    16 * int(rng.integers((n - self.patch) // 16 + 1)) for n in (height, width)
                )
                cut = np.s_[top : top + self.patch, left : left + self.patch]
                source.append(p.source[cut])
                decoded.append(p.decoded[cut])
                features.append([c[name] for name in CONDITIONS])
                scales.append(s)
        return {
            "source": np.stack(source),
            "decoded": np.stack(decoded),
            "features": np.array(features, dtype=np.float32),
            "scale": np.array(scales, dtype=np.float32),
        }
