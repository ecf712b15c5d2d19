"""Gains of an estimator on pictures that it was not trained on: photographs, drawings, files coded before."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from veridical.errors import TrainingData
from veridical.photo.condition import ResidualScale
from veridical.photo.formats.conventional import ConventionalFormat
from veridical.photo.options import GRID
from veridical.training.drawings import HELD_OUT, KINDS, draw
from veridical.training.estimator import BlockEstimator
from veridical.training.pictures import pictures

_QUALITIES = (5, 10, 20, 40, 60, 80, 92, 98)


@torch.inference_mode()
def restore(
    network: BlockEstimator, form: ConventionalFormat, scale: ResidualScale, data: bytes
) -> tuple[np.ndarray, np.ndarray]:
    """The ordinary decoder's picture and the estimate of a file, float32 (3, height, width) in [0, 1].

    Raises:
        TrainingData: The file is lossless.
    """
    with Image.open(io.BytesIO(data)) as im:
        pixels = np.asarray(im.convert("RGB"))
    decoded = pixels.transpose(2, 0, 1).astype(np.float32) / 255
    height, width = decoded.shape[1:]
    condition = form.condition(data, width, height)
    if condition is None:
        raise TrainingData(f"a lossless {form.name} file has nothing to restore")
    y = torch.nn.functional.pad(
        torch.from_numpy(decoded)[None], (0, -width % GRID, 0, -height % GRID), mode="replicate"
    )
    x_mmse, _ = network(
        y.contiguous(memory_format=torch.channels_last),
        torch.from_numpy(condition.features(form.features))[None],
        torch.full((1, 1, 1, 1), scale(condition)),
    )
    estimate = np.ascontiguousarray(x_mmse[0, :, :height, :width].clamp(0, 1).numpy())
    cells = form.read_cells(data, pixels)
    return decoded, estimate if cells is None else cells.project(estimate)


def _psnr(a: np.ndarray, b: np.ndarray) -> float:
    """In decibels, not above 60: rounding to 8 bits alone leaves 58.9."""
    return float(-10 * np.log10(np.mean(np.square(a - b)) + 1e-6))


def saved(picture: Image.Image, name: str, **options: object) -> bytes:
    """A file of a picture."""
    buffer = io.BytesIO()
    picture.save(buffer, name, **options)
    return buffer.getvalue()


def opened(data: bytes) -> Image.Image:
    """The picture of a file, of mode RGB."""
    with Image.open(io.BytesIO(data)) as im:
        return im.convert("RGB")


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


def validate(
    network: BlockEstimator,
    form: ConventionalFormat,
    scale: ResidualScale,
    validation: Sequence[Path],
) -> dict[str, list[float]]:
    """Gains in decibels over the ordinary decoder, after rounding to 8 bits, by group."""
    gains: dict[str, list[float]] = {}
    for group, source, data in validation_files(validation, form.pillow_names[0]):
        x = np.asarray(source.convert("RGB")).transpose(2, 0, 1) / 255
        y, estimate = restore(network, form, scale, data)
        out = np.rint(estimate * 255) / 255
        gains.setdefault(group, []).append(_psnr(x, out) - _psnr(x, y))
    return gains
