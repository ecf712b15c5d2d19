"""Gains of a JPEG estimator on pictures that it was not trained on: photographs, drawings, files coded before."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from veridical.photo.condition import ResidualScale
from veridical.photo.formats.jpeg_cells import JpegCells
from veridical.photo.jpeg_header import CONDITIONS, conditioning, parse_jpeg_header
from veridical.training.drawings import HELD_OUT, KINDS, draw
from veridical.training.jpeg_data import scale_condition
from veridical.training.jpeg_network import JpegEstimator
from veridical.training.networks import GRID
from veridical.training.photo_data import pictures


@torch.inference_mode()
def restore(
    network: JpegEstimator, scale: ResidualScale, data: bytes
) -> tuple[np.ndarray, np.ndarray]:
    """The ordinary decoder's picture and the estimate of a JPEG file, float32 (3, height, width) in [0, 1]."""
    header = parse_jpeg_header(data)
    with Image.open(io.BytesIO(data)) as im:
        decoded = np.asarray(im.convert("RGB")).transpose(2, 0, 1).astype(np.float32) / 255
    height, width = decoded.shape[1:]
    c = conditioning(header, width, height)
    features = torch.tensor([[c[name] for name in CONDITIONS]])
    y = torch.nn.functional.pad(
        torch.from_numpy(decoded)[None], (0, -width % GRID, 0, -height % GRID), mode="replicate"
    )
    s = torch.full((1, 1, 1, 1), scale(scale_condition(header, width, height)))
    x_mmse, _ = network(y.contiguous(memory_format=torch.channels_last), features, s)
    estimate = np.ascontiguousarray(x_mmse[0, :, :height, :width].clamp(0, 1).numpy())
    cells = JpegCells.read(data, header)
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
    validation: Sequence[Path], every: int
) -> Iterator[tuple[str, Image.Image, bytes]]:
    """(group, source, file) of photographs, drawings and photographs that were coded before."""
    for _, data in list(pictures(validation))[::every]:
        picture = opened(data).crop((128, 128, 384, 384))
        for q in (5, 10, 20, 40, 60, 80, 92, 98):
            yield f"quality {q}", picture, saved(picture, "JPEG", quality=q)
        grey = picture.convert("L")
        for q in (10, 40):
            yield f"grey {q}", grey, saved(grey, "JPEG", quality=q)
        yield "4:4:4 95", picture, saved(picture, "JPEG", quality=95, subsampling="4:4:4")
        for name, before, q, shift in (
            ("JPEG 30 in 90", saved(picture, "JPEG", quality=30), 90, 4),
            ("AVIF 30 in 90", saved(picture, "AVIF", quality=30, speed=9), 90, 0),
            ("JPEG 10 in 75", saved(picture, "JPEG", quality=10), 75, 4),
        ):
            box = (shift, shift, 256, 256)
            yield name, picture.crop(box), saved(opened(before).crop(box), "JPEG", quality=q)
    for kind in (*KINDS, *HELD_OUT):
        for k in range(2):
            picture = draw(kind, 10_000 + k).crop((100, 100, 324, 260))
            group = "kept out" if kind in HELD_OUT else "drawn"
            for q, mode in ((20, 2), (50, 2), (75, 0), (90, 2), (95, 0), (98, 2)):
                yield (
                    f"{group}: {kind}",
                    picture,
                    saved(picture, "JPEG", quality=q, subsampling=mode),
                )


def validate(
    network: JpegEstimator, scale: ResidualScale, validation: Sequence[Path], every: int = 3
) -> dict[str, list[float]]:
    """Gains in decibels over the ordinary decoder, after rounding to 8 bits, by group."""
    gains: dict[str, list[float]] = {}
    for group, source, data in validation_files(validation, every):
        x = np.asarray(source.convert("RGB")).transpose(2, 0, 1) / 255
        y, estimate = restore(network, scale, data)
        out = np.rint(estimate * 255) / 255
        gains.setdefault(group, []).append(_psnr(x, out) - _psnr(x, y))
    return gains
