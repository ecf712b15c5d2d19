"""What the networks are told about a decoded picture, and the size of its error to expect.

A :class:`Condition` holds only what the file itself tells. :class:`ResidualScale` turns it into
the root-mean-square error that an ordinary decoder of that format makes at that setting; both
networks work in units of it, so that one network serves a file of 0.05 and one of 2 bits a pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from veridical.errors import InvalidSetting
from veridical.photo.avif_headers import read_avif
from veridical.photo.headers import CodedPayload, read_jpeg, read_webp

__all__ = ["FORMATS", "N_FEATURES", "Condition", "ResidualScale", "condition_of"]

FORMATS = ("AVIF", "WEBP", "JPEG")
"""Formats with trained networks, in the order of the one-hot features."""

N_FEATURES = len(FORMATS) + 4

_LOG2_BPP_RANGE = (-5.0, 3.0)
_READERS = {"AVIF": read_avif, "WEBP": read_webp, "JPEG": read_jpeg}


@dataclass(frozen=True)
class Condition:
    """What a coded file tells about its picture.

    Attributes:
        format: "AVIF", "WEBP" or "JPEG".
        bits_per_pixel: Bits of the coded colour payload per pixel, positive.
        quantizer: From 0 (finest) to 1 (coarsest) within the format; None if unknown.
        chroma_full: Whether colour is coded at full resolution.
    """

    format: str
    bits_per_pixel: float
    quantizer: float | None = None
    chroma_full: bool = False

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise InvalidSetting(f"format {self.format!r} is not one of {', '.join(FORMATS)}")
        if not self.bits_per_pixel > 0:
            raise InvalidSetting(f"bits per pixel must be positive, got {self.bits_per_pixel}")

    @property
    def log2_bpp(self) -> float:
        """log2 of the bits per pixel, clipped to the range that the networks were trained on."""
        lo, hi = _LOG2_BPP_RANGE
        return min(hi, max(lo, math.log2(self.bits_per_pixel)))

    def features(self) -> np.ndarray:
        """Features for the networks, float32 of shape (N_FEATURES,)."""
        known = self.quantizer is not None
        return np.array(
            [float(self.format == f) for f in FORMATS]
            + [
                self.log2_bpp / 2,
                2 * (self.quantizer or 0.0) - 1 if known else 0.0,
                float(known),
                float(self.chroma_full),
            ],
            dtype=np.float32,
        )


def condition_of(
    format_name: str, data: bytes, width: int, height: int
) -> tuple[Condition, CodedPayload]:
    """Condition of a file from its bytes.

    Args:
        format_name: Pillow's name of the format, one of :data:`FORMATS`.
        data: The whole file.
        width: Of the picture, in pixels.
        height: Of the picture, in pixels.

    Raises:
        InvalidSetting: The format has no trained network.
    """
    if format_name not in _READERS:
        raise InvalidSetting(f"format {format_name!r} is not one of {', '.join(FORMATS)}")
    payload = _READERS[format_name](data)
    bpp = 8 * payload.n_bytes / (width * height)
    return Condition(format_name, bpp, payload.quantizer, payload.chroma_full), payload


@dataclass(frozen=True)
class ResidualScale:
    """Expected root-mean-square error of the ordinary decoder, on the [0, 1] scale.

    ``log2(mse) = w . (1, b, b^2, q, q^2, bq, chroma)`` for each format with ``b = log2(bits per
    pixel)`` and the quantizer ``q``; without a quantizer, the same without the terms in ``q``.
    Fitted by least squares on the training files; only a unit of length, never a prediction that
    is shown to anybody.

    Attributes:
        with_quantizer: Coefficients, shape (formats, 7).
        without_quantizer: Coefficients, shape (formats, 7); columns 3 to 5 are zero.
    """

    with_quantizer: np.ndarray
    without_quantizer: np.ndarray

    @staticmethod
    def terms(b: np.ndarray, q: np.ndarray, chroma: np.ndarray) -> np.ndarray:
        """Regressors, shape (n, 7)."""
        return np.stack([np.ones_like(b), b, b * b, q, q * q, b * q, chroma], axis=-1)

    def __call__(self, c: Condition) -> float:
        """Root-mean-square error of the decoded picture, between 0.001 and 0.3."""
        table = self.without_quantizer if c.quantizer is None else self.with_quantizer
        q = 0.0 if c.quantizer is None else c.quantizer
        x = self.terms(np.array(c.log2_bpp), np.array(q), np.array(float(c.chroma_full)))
        log2_mse = float(x @ table[FORMATS.index(c.format)])
        return min(0.3, max(0.001, 2.0 ** (log2_mse / 2)))

    @classmethod
    def fit(cls, conditions: list[Condition], mse_unit: np.ndarray) -> ResidualScale:
        """Fit to measured errors.

        Args:
            conditions: One for each file.
            mse_unit: Mean squared error of the ordinary decoder on the [0, 1] scale, shape (n,).
        """
        tables = np.zeros((2, len(FORMATS), 7))
        y = np.log2(np.maximum(mse_unit, 1e-7))
        for k, name in enumerate(FORMATS):
            mine = [i for i, c in enumerate(conditions) if c.format == name]
            for use_q in (True, False):
                rows = [i for i in mine if conditions[i].quantizer is not None or not use_q]
                if not rows:
                    tables[int(not use_q), k, 0] = -9.0
                    continue
                b = np.array([conditions[i].log2_bpp for i in rows])
                q = np.array([(conditions[i].quantizer or 0.0) * use_q for i in rows])
                ch = np.array([float(conditions[i].chroma_full) for i in rows])
                x = cls.terms(b, q, ch)
                ridge = 1e-3 * np.eye(7)
                w = np.linalg.solve(x.T @ x + ridge, x.T @ y[rows])
                tables[int(not use_q), k] = w
        return cls(tables[0], tables[1])
