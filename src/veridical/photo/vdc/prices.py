"""What decoding a ``.vdc`` file costs, by quality and bits per pixel: measured on validation photographs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from veridical.errors import InvalidSetting
from veridical.interpolate import Calibration

_LEAST = 1e-4
_FARTHEST = 2 * math.log(2)
"""Bits per pixel beyond two octaves from the mean are taken for those."""


class ByRate(NamedTuple):
    """How prices depend on the bits per pixel that a picture takes, of shape (n,) each.

    Attributes:
        usual: Logarithm of the bits per pixel at which they hold.
        mmse_slope, cost_slope: Of ``log(mmse)`` and ``log(cost)`` over that logarithm.
        deviation_db: Of ``10 log10(mmse)`` about the line.
    """

    usual: np.ndarray
    mmse_slope: np.ndarray
    cost_slope: np.ndarray
    deviation_db: np.ndarray


@dataclass(frozen=True, eq=False)
class QualityPrices:
    """Error and transport cost by quality and bits per pixel, for one quantizer.

    Attributes:
        qualities: Rising, 0 to 10,000, shape (n,).
        mmse: Mean squared error of the estimate on the [0, 1] scale, shape (n,).
        cost: Transport cost of the generator, shape (n,); None if there is no generator.
        by_rate: How they depend on the bits per pixel; None if they hold at any.
    """

    qualities: np.ndarray
    mmse: np.ndarray
    cost: np.ndarray | None = None
    by_rate: ByRate | None = None

    def __post_init__(self) -> None:
        q, d, c = self.qualities, self.mmse, self.mmse if self.cost is None else self.cost
        lists = [q, d, c, *(self.by_rate or ())]
        if q.ndim != 1 or not len(q) or any(v.shape != q.shape for v in lists):
            raise InvalidSetting("prices are lists of one length")
        positive = np.all(np.diff(q) > 0) and np.all(d > 0) and np.all(c > 0)
        if not (positive and np.all(np.isfinite(lists))):
            raise InvalidSetting("qualities rise, errors and costs are positive numbers")

    @classmethod
    def fitted(
        cls, qualities: np.ndarray, bits_per_pixel: np.ndarray, mmse: np.ndarray, cost: np.ndarray
    ) -> QualityPrices:
        """Least squares in logarithms, a line for each quality, moved so that means are those of the pictures.

        The mean of what lies about a line in logarithms is above it (Duan, Smearing estimate, 1983).

        Args:
            qualities: Shape (n,).
            bits_per_pixel: Of files of pictures, shape (pictures, n).
            mmse: Of their estimates, of the same shape.
            cost: Of their transport, of the same shape.
        """
        x = np.log(np.maximum(bits_per_pixel, _LEAST))
        away = x - x.mean(0)
        ys = [np.log(np.maximum(v, 1e-9)) for v in (mmse, cost)]
        # Of pictures that take equal bits there is no line.
        energy = np.sum(away**2, 0)
        slopes = [
            np.where(energy > 1e-3, np.sum(away * y, 0) / np.maximum(energy, 1e-3), 0.0) for y in ys
        ]
        rests = [y - y.mean(0) - slope * away for y, slope in zip(ys, slopes, strict=True)]
        deviation = np.sqrt(np.sum(rests[0] ** 2, 0) / max(1, len(x) - 2))
        means = [
            np.exp(y.mean(0)) * np.exp(rest).mean(0) for y, rest in zip(ys, rests, strict=True)
        ]
        by_rate = ByRate(x.mean(0), slopes[0], slopes[1], 10 / math.log(10) * deviation)
        return cls(qualities, means[0], means[1], by_rate)

    @classmethod
    def of(cls, values: dict[str, Any]) -> QualityPrices:
        """From what :meth:`as_json` gave, or earlier versions without bits per pixel.

        Raises:
            KeyError: One is missing.
        """
        q, d, c = (values[k] for k in ("qualities", "mmse", "cost"))
        lines = values.get("by_rate")
        return cls(
            np.array(q), np.array(d), None if c is None else np.array(c),
            None if lines is None else ByRate(*map(np.array, lines)),
        )  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        """Lists and numbers only."""
        return {
            name: None if value is None else np.asarray(value).tolist()
            for name, value in vars(self).items()
        }

    def error(self, quality: int, bits_per_pixel: float | None = None) -> float:
        """Squared error of the estimate, interpolated in logarithms; without bits per pixel for a usual picture."""
        return self._between(quality, "mmse", bits_per_pixel)

    def calibration(self, quality: int, bits_per_pixel: float | None = None) -> Calibration | None:
        """Price, likewise; None if the transport cost is not known."""
        if self.cost is None:
            return None
        mmse, cost = (self._between(quality, name, bits_per_pixel) for name in ("mmse", "cost"))
        if self.by_rate is None or bits_per_pixel is None:
            return Calibration(mmse, cost)
        deviation = np.interp(quality, self.qualities, self.by_rate.deviation_db)
        return Calibration(mmse, cost, float(deviation))

    def _between(self, quality: int, name: str, bits_per_pixel: float | None) -> float:
        value = np.interp(quality, self.qualities, np.log(getattr(self, name)))
        if bits_per_pixel is not None and self.by_rate is not None:
            lines = (self.by_rate.usual, getattr(self.by_rate, f"{name}_slope"))
            usual, slope = (np.interp(quality, self.qualities, v) for v in lines)
            away = math.log(max(bits_per_pixel, _LEAST)) - usual
            value += slope * np.clip(away, -_FARTHEST, _FARTHEST)
        return min(0.25, float(np.exp(value)))
