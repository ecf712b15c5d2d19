"""What decoding a ``.vdc`` file costs, by quality: measured on validation photographs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from veridical.errors import InvalidSetting
from veridical.interpolate import Calibration


@dataclass(frozen=True, eq=False)
class QualityPrices:
    """Error and transport cost by quality, for one quantizer.

    Attributes:
        qualities: Rising, 0 to 10,000, shape (n,).
        mmse: Mean squared error of the estimate on the [0, 1] scale, shape (n,).
        cost: Transport cost of the generator, shape (n,); None if there is no generator.
    """

    qualities: np.ndarray
    mmse: np.ndarray
    cost: np.ndarray | None = None

    def __post_init__(self) -> None:
        q, d, c = self.qualities, self.mmse, self.mmse if self.cost is None else self.cost
        if q.ndim != 1 or not len(q) or not q.shape == d.shape == c.shape:
            raise InvalidSetting("prices are lists of one length")
        positive = np.all(np.diff(q) > 0) and np.all(d > 0) and np.all(c > 0)
        if not (positive and np.all(np.isfinite([q, d, c]))):
            raise InvalidSetting("qualities rise, errors and costs are positive numbers")

    @classmethod
    def of(cls, values: dict[str, Any]) -> QualityPrices:
        """From what :meth:`as_json` gave.

        Raises:
            KeyError: One is missing.
        """
        q, d, c = (values[k] for k in ("qualities", "mmse", "cost"))
        return cls(np.array(q), np.array(d), None if c is None else np.array(c))

    def as_json(self) -> dict[str, Any]:
        """Lists and numbers only."""
        return {
            "qualities": self.qualities.tolist(), "mmse": self.mmse.tolist(),
            "cost": None if self.cost is None else self.cost.tolist(),
        }  # fmt: skip

    def error(self, quality: int) -> float:
        """Mean squared error of the estimate at a quality, by interpolation of logarithms."""
        return self._between(quality, self.mmse)

    def calibration(self, quality: int) -> Calibration | None:
        """Price of a quality, by interpolation of logarithms; None if the transport cost is not known."""
        if self.cost is None:
            return None
        return Calibration(self.error(quality), self._between(quality, self.cost))

    def _between(self, quality: int, values: np.ndarray) -> float:
        return float(np.exp(np.interp(quality, self.qualities, np.log(values))))
