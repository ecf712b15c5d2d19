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
        cost: Transport cost of the generator by its number of steps, shape (len(steps), n); of
            length 0 if there is no generator.
        steps: Numbers of steps that were measured, rising.
    """

    qualities: np.ndarray
    mmse: np.ndarray
    cost: np.ndarray
    steps: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        q, d, c = self.qualities, self.mmse, self.cost
        if q.ndim != 1 or not len(q) or q.shape != d.shape or c.shape != (len(self.steps), len(q)):
            raise InvalidSetting("prices are lists of one length, costs one list for each of steps")
        if np.any(np.diff(q) <= 0) or np.any(d <= 0) or np.any(c <= 0):
            raise InvalidSetting("qualities rise, errors and costs are positive")
        if np.any(np.diff(self.steps) <= 0):
            raise InvalidSetting(f"numbers of steps rise, got {self.steps}")

    @classmethod
    def without_cost(cls, qualities: np.ndarray, mmse: np.ndarray) -> QualityPrices:
        """Of weights that have no generator."""
        return cls(qualities, mmse, np.zeros((0, len(qualities))))

    @classmethod
    def of(cls, values: dict[str, Any]) -> QualityPrices:
        """From what :meth:`as_json` gave.

        Raises:
            KeyError: One is missing.
        """
        steps = tuple(values["steps"])
        q, d = np.array(values["qualities"]), np.array(values["mmse"])
        return cls(q, d, np.array(values["cost"]).reshape(len(steps), len(q)), steps)

    def as_json(self) -> dict[str, Any]:
        """Lists and numbers only."""
        return {
            "qualities": self.qualities.tolist(), "mmse": self.mmse.tolist(),
            "cost": self.cost.tolist(), "steps": list(self.steps),
        }  # fmt: skip

    @property
    def complete(self) -> bool:
        """Whether the transport cost has been measured too."""
        return bool(self.steps)

    def error(self, quality: int) -> float:
        """Mean squared error of the estimate at a quality, by interpolation of logarithms."""
        return float(np.exp(np.interp(quality, self.qualities, np.log(self.mmse))))

    def calibration(self, quality: int, steps: int) -> Calibration:
        """Price of a quality, by interpolation of logarithms.

        Numbers of steps between measured ones take the nearest below.

        Raises:
            InvalidSetting: The transport cost has not been measured.
        """
        if not self.complete:
            raise InvalidSetting("these weights have no measured transport cost; give a realism")
        k = max([i for i, s in enumerate(self.steps) if s <= steps], default=0)
        cost = float(np.exp(np.interp(quality, self.qualities, np.log(self.cost[k]))))
        return Calibration(self.error(quality), cost)
