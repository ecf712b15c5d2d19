"""Gains of a format's weights on pictures that they were not trained on: photographs, drawings, files coded before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from veridical.photo.decode import decode
from veridical.photo.formats.conventional import ConventionalFormat
from veridical.training.drawings import HELD_OUT, KINDS, draw
from veridical.training.pictures import opened, pictures, saved

_QUALITIES = (5, 10, 20, 40, 60, 80, 92, 98)


def _psnr(a: np.ndarray, b: np.ndarray) -> float:
    """In decibels, not above 60: rounding to 8 bits alone leaves 58.9."""
    return float(-10 * np.log10(np.mean(np.square(a - b)) + 1e-6))


def validation_files(
    validation: Sequence[Path], name: str, every: int = 3
) -> Iterator[tuple[str, Image.Image, bytes]]:
    """(group, source, file) of one photograph of so many, of drawings and of photographs that were coded before."""
    for _, data in list(pictures(validation))[::every]:
        picture = opened(data).crop((128, 128, 384, 384))
        for q in _QUALITIES:
            yield f"quality {q}", picture, saved(picture, name, quality=q)
        if name != "WEBP":
            grey = picture.convert("L")
            for q in (10, 40):
                yield f"grey {q}", grey, saved(grey, name, quality=q)
            full = saved(picture, name, quality=95, subsampling="4:4:4")
            yield "4:4:4 95", picture, full
        for title, before, q, shift in (
            ("JPEG 30 before 90", saved(picture, "JPEG", quality=30), 90, 4),
            ("AVIF 30 before 90", saved(picture, "AVIF", quality=30, speed=9), 90, 0),
            ("JPEG 10 before 75", saved(picture, "JPEG", quality=10), 75, 4),
        ):
            box = (shift, shift, 256, 256)
            yield title, picture.crop(box), saved(opened(before).crop(box), name, quality=q)
    for kind in (*KINDS, *HELD_OUT):
        for k in range(2):
            picture = draw(kind, 10_000 + k).crop((100, 100, 324, 260))
            group = "kept out" if kind in HELD_OUT else "drawn"
            for q, mode in ((20, 2), (50, 2), (75, 0), (90, 2), (95, 0), (98, 2)):
                chroma = {"subsampling": ("4:4:4", "", "4:2:0")[mode]} if name != "WEBP" else {}
                yield f"{group}: {kind}", picture, saved(picture, name, quality=q, **chroma)


def validate(path: Path, form: ConventionalFormat, validation: Sequence[Path]) -> dict[str, float]:
    """Mean gains in decibels of realism 0 over the ordinary decoder, in 8 bits, by group.

    Args:
        path: ``FORMAT.onnx`` with what belongs to it.
        form: The format.
        validation: Folders or tar files of photographs that nothing was trained on.
    """
    gains: dict[str, list[float]] = {}
    for group, source, data in validation_files(validation, form.pillow_names[0]):
        out = decode(data, weights=path, realism=0.0).convert("RGB")
        x, y, estimate = (np.asarray(p) / 255 for p in (source.convert("RGB"), opened(data), out))
        gains.setdefault(group, []).append(_psnr(x, estimate) - _psnr(x, y))
    return {group: round(float(np.mean(found)), 3) for group, found in gains.items()}
