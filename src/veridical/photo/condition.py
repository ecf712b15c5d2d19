"""What the networks are told about a decoded picture, and the size of its error to expect.

A :class:`Condition` holds only what the file itself tells. :class:`ResidualScale` turns it into
the root-mean-square error that an ordinary decoder of that format makes at that setting; both
networks work in units of it, so that one network serves a file of 0.05 and one of 2 bits a pixel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from veridical.errors import BadWeights, InvalidSetting

BASIC_FEATURES = ("half_log2_bpp", "quantizer", "quantizer_known", "chroma_full")
"""Names of the features that every format tells."""

_LOG2_BPP_RANGE = (-5.0, 3.0)


@dataclass(frozen=True)
class Condition:
    """What a coded file tells about its picture.

    Attributes:
        bits_per_pixel: Bits of the coded colour payload per pixel, positive.
        quantizer: From 0 (finest) to 1 (coarsest) within the format; None if unknown.
        chroma_full: Whether colour is coded at full resolution.
        more: Further features by name, for networks of this format.
    """

    bits_per_pixel: float
    quantizer: float | None = None
    chroma_full: bool = False
    more: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.bits_per_pixel > 0:
            raise InvalidSetting(f"bits per pixel must be positive, got {self.bits_per_pixel}")

    @property
    def log2_bpp(self) -> float:
        """log2 of the bits per pixel, clipped to the range that the networks were trained on."""
        lo, hi = _LOG2_BPP_RANGE
        return min(hi, max(lo, math.log2(self.bits_per_pixel)))

    def named(self) -> dict[str, float]:
        """Every feature by name."""
        q = self.quantizer
        basic = (
            self.log2_bpp / 2,
            0.0 if q is None else 2 * q - 1,
            float(q is not None),
            float(self.chroma_full),
        )
        return dict(zip(BASIC_FEATURES, basic, strict=True)) | dict(self.more)

    def features(self, names: Sequence[str] = BASIC_FEATURES) -> np.ndarray:
        """Features in the order of their names, float32 of shape (len(names),).

        Raises:
            BadWeights: A name that this file's format does not tell.
        """
        known = self.named()
        missing = [name for name in names if name not in known]
        if missing:
            raise BadWeights(
                f"these weights want to know {', '.join(missing)}, which this version does not read; "
                "use the version that trained them"
            )
        return np.array([known[name] for name in names], dtype=np.float32)


@dataclass(frozen=True)
class ResidualScale:
    """Expected root-mean-square error of the ordinary decoder of one format, on the [0, 1] scale.

    ``log2(mse) = w . (1, b, b^2, q, q^2, bq, chroma)`` with ``b = log2(bits per pixel)`` and the
    quantizer ``q``; without a quantizer, the same without the terms in ``q``. Fitted by least squares
    on the training files; only a unit of length, never a prediction that is shown to anybody.

    Attributes:
        with_quantizer: Coefficients, shape (7,).
        without_quantizer: Coefficients, shape (7,); places 3 to 5 are zero.

    Raises:
        BadWeights: Other shapes, or numbers that are not finite.
    """

    with_quantizer: np.ndarray
    without_quantizer: np.ndarray

    def __post_init__(self) -> None:
        for table in (self.with_quantizer, self.without_quantizer):
            if table.shape != (7,) or not np.all(np.isfinite(table)):
                raise BadWeights("the residual scale is not two lists of seven finite numbers")

    @staticmethod
    def terms(b: np.ndarray, q: np.ndarray, chroma: np.ndarray) -> np.ndarray:
        """Regressors, shape (n, 7)."""
        return np.stack([np.ones_like(b), b, b * b, q, q * q, b * q, chroma], axis=-1)

    def __call__(self, c: Condition) -> float:
        """Root-mean-square error of the decoded picture, between 0.001 and 0.3."""
        table = self.without_quantizer if c.quantizer is None else self.with_quantizer
        q = 0.0 if c.quantizer is None else c.quantizer
        x = self.terms(np.array(c.log2_bpp), np.array(q), np.array(float(c.chroma_full)))
        return min(0.3, max(0.001, 2.0 ** (float(x @ table) / 2)))

    @classmethod
    def fit(cls, conditions: Sequence[Condition], mse_unit: np.ndarray) -> ResidualScale:
        """Fit to measured errors.

        Args:
            conditions: One for each file.
            mse_unit: Mean squared error of the ordinary decoder on the [0, 1] scale, shape (n,).
        """
        y = np.log2(np.maximum(mse_unit, 1e-7))
        b = np.array([c.log2_bpp for c in conditions])
        chroma = np.array([float(c.chroma_full) for c in conditions])
        known = np.array([c.quantizer is not None for c in conditions])
        q = np.array([c.quantizer or 0.0 for c in conditions])

        def solved(rows: np.ndarray, q: np.ndarray) -> np.ndarray:
            if not np.any(rows):
                return np.array([-9.0, 0, 0, 0, 0, 0, 0])
            x = cls.terms(b, q, chroma)[rows]
            return np.linalg.solve(x.T @ x + 1e-3 * np.eye(7), x.T @ y[rows])

        return cls(solved(known, q), solved(np.ones_like(known), np.zeros_like(q)))
