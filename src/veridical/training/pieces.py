"""Training pairs for conventional formats: coded anew for every batch, at every setting that files are found at.

A piece of a picture is cut, perhaps scaled, grained or darkened, perhaps coded once before, coded and
decoded; patches are cut from it on the 16x16 grid. The source is always the piece before *any*
compression. Qualities over :data:`FINE` never take a training photograph at its own size: those have been
JPEG files of quality 93, whose traces would be learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image, JpegPresets

from veridical.photo.condition import ResidualScale
from veridical.photo.formats.conventional import ConventionalFormat
from veridical.photo.jpeg_header import parse_jpeg_header
from veridical.training.pairs import Pairs, Piece
from veridical.training.pictures import opened, saved
from veridical.training.sources import Sources

FINE = 80
_FROM_EACH = 2
"""Patches that are cut from each piece at most."""

SHARES = {"photograph": 0.55, "drawing": 0.32, "recompressed": 0.13}
_MODES: tuple[tuple[str, float], ...] = (
    ("4:2:0", 0.48),
    ("4:4:4", 0.22),
    ("4:2:2", 0.12),
    ("grey", 0.18),
)


def _tables(rng: np.random.Generator, quality: int) -> dict[str, Any]:
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
    tables = parse_jpeg_header(saved(Image.new("RGB", (8, 8)), "JPEG", quality=50)).tables[:2]
    return [[] if t is None else t.ravel().tolist() for t in tables]


_STANDARD = _standard_tables()


def _settings(rng: np.random.Generator, name: str, quality: int, mode: str) -> dict[str, Any]:
    """Pillow's options for a file, as encoders in the field would choose them."""
    if name == "WEBP":
        return {
            "quality": quality,
            "method": int(rng.integers(2, 5)),
            "use_sharp_yuv": bool(rng.random() < 0.1),
        }
    if name == "AVIF":
        tune = {"advanced": {"tune": "ssim"}} if rng.random() < 0.2 else {}
        chroma = {} if mode == "grey" else {"subsampling": mode}
        return {"quality": quality, "speed": int(rng.integers(7, 11))} | tune | chroma
    if name == "JXL":
        effort = int(rng.choice((4, 5, 6, 7, 7, 7)))
        return {"quality": min(quality, 99), "effort": effort, "num_threads": 0}  # 100 is lossless
    if name != "JPEG":
        return {"quality": quality}
    options = _tables(rng, quality)
    if mode != "grey":
        options["subsampling"] = mode
    elif "qtables" in options:
        options["qtables"] = [list(options["qtables"][0])]
    return options | ({"progressive": True} if rng.random() < 0.4 else {})


def code(picture: Image.Image, name: str, **options: Any) -> tuple[np.ndarray, bytes]:
    """A picture coded in a format: decoded pixels, (height, width, 3), and the file."""
    try:
        data = saved(picture, name, **options)
    except OSError:  # for progressive files Pillow reserves one byte a pixel, and noise needs more
        data = saved(picture, name, **options | {"progressive": False})
    return np.asarray(opened(data)), data


def fit_scale(
    sources: Sources | Pairs, form: ConventionalFormat | Pairs, n: int = 700, seed: int = 9
) -> ResidualScale:
    """A residual scale fitted to photographs at all settings.

    Args:
        sources: Pictures.
        form: The format.
        n: Number of coded pieces.
        seed: Of the pieces.
    """
    sampler = PieceSampler(sources, form, None, patch=128, batch_size=1, seed=seed)
    pieces = [sampler.piece(np.random.default_rng([seed, k]), "photograph") for k in range(n)]
    errors = [np.mean((p.source / 255.0 - p.decoded / 255.0) ** 2) for p in pieces]
    both = [p.condition for p in pieces], [replace(p.condition, quantizer=None) for p in pieces]
    told, hidden = (ResidualScale.fit(c, np.array(errors)) for c in both)
    return ResidualScale(told.with_quantizer, hidden.without_quantizer)


class PieceSampler:
    """Random patches of coded pieces; ``batch(step)`` depends only on the seed and the step.

    Args:
        sources: Pictures, or pieces that are coded already.
        form: The format that the pieces are coded in.
        scale: Residual scale; None for ones.
        patch: Side of the patches in pixels.
        batch_size: Patches of a batch.
        seed: Of everything random.
        shares: Of the kinds of pieces.
        finest: No piece has a higher quality.
        largest: Side in pixels of the largest pieces.
    """

    def __init__(
        self,
        sources: Sources | Pairs,
        form: ConventionalFormat | Pairs,
        scale: ResidualScale | None,
        *,
        patch: int,
        batch_size: int,
        seed: int,
        shares: Mapping[str, float] = SHARES,
        finest: int = 100,
        largest: int = 400,
    ) -> None:
        self.sources: Any = sources
        self.format, self.scale = form, scale
        self.patch, self.batch_size, self.seed = patch, batch_size, seed
        self.shares, self.finest, self.largest = shares, finest, largest

    def piece(self, rng: np.random.Generator, kind: str | None = None) -> Piece:
        """A coded piece of a picture of one of :data:`SHARES`, or of pairs any one."""
        if not isinstance(self.sources, Sources):
            return self.sources.piece(rng)
        while True:
            p = self._piece(rng, kind)
            if p is not None:
                return p

    def _piece(self, rng: np.random.Generator, kind: str | None) -> Piece | None:
        """The same, or None if the file was lossless or is too small for a patch."""
        assert isinstance(self.format, ConventionalFormat)
        if kind is None:
            kind = str(rng.choice(list(self.shares), p=list(self.shares.values())))
        low = kind == "photograph" and rng.random() < 0.45
        quality = int(rng.integers(4, 51)) if low else int(rng.integers(1, self.finest + 1))
        if kind == "recompressed":
            quality = int(rng.integers(min(40, self.finest), self.finest + 1))
        mode = str(rng.choice([m for m, _ in _MODES], p=[p for _, p in _MODES]))
        fine = kind == "recompressed" or quality > FINE
        least = self.patch + 16
        picture = self.sources.picture(rng, kind, least=least, largest=self.largest, fine=fine)
        picture = picture.convert("L") if mode == "grey" else picture
        coded = picture
        if kind == "recompressed":
            coded, picture = self._coded_before(rng, picture)
        if min(picture.size) < self.patch:
            return None
        settings = _settings(rng, self.format.name, quality, mode)
        decoded, data = code(coded, self.format.pillow_names[0], **settings)
        condition = self.format.condition(data, *picture.size)
        if condition is None:
            return None
        return Piece(np.asarray(picture.convert("RGB")), decoded, condition, data)

    @staticmethod
    def _coded_before(
        rng: np.random.Generator, picture: Image.Image
    ) -> tuple[Image.Image, Image.Image]:
        """The picture as an earlier file leaves it, and the source, both cut to a shifted grid."""
        kind, quality = rng.random(), int(rng.integers(5, 96))
        if kind < 0.4:
            data = saved(picture, "JPEG", quality=quality)
        elif kind < 0.65:
            data = saved(picture, "WEBP", quality=quality, method=2)
        else:
            data = saved(picture, "AVIF", quality=quality, speed=int(rng.integers(8, 11)))
        before = opened(data, picture.mode)
        x, y = (int(v) for v in rng.integers(0, 8, 2)) if rng.random() < 0.6 else (0, 0)
        box = (x, y, picture.width, picture.height)
        return before.crop(box), picture.crop(box)

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """``source`` and ``decoded`` uint8 (n, patch, patch, 3), ``features``, ``scale`` (n, 1, 1, 1)."""
        rng = np.random.default_rng([self.seed, step])
        source, decoded, features, scales = [], [], [], []
        while len(source) < self.batch_size:
            p = self.piece(rng)
            for _ in range(min(_FROM_EACH, self.batch_size - len(source))):
                top, left = (
                    16 * int(rng.integers((n - self.patch) // 16 + 1)) for n in p.source.shape[:2]
                )
                cut = np.s_[top : top + self.patch, left : left + self.patch]
                source.append(p.source[cut])
                decoded.append(p.decoded[cut])
                features.append(p.condition.features(self.format.features))
                scales.append(1.0 if self.scale is None else self.scale(p.condition))
        return {
            "source": np.stack(source),
            "decoded": np.stack(decoded),
            "features": np.stack(features),
            "scale": np.array(scales, dtype=np.float32)[:, None, None, None],
        }
