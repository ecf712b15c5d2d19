"""The price list of everyday photographs: error and transport cost by format and rate.

Both are measured on the validation photographs and described, for each format, by
``exp(w . (1, b, b^2, q, q^2, bq, chroma))`` with ``b = log2(bits per pixel)`` and the file's
quantizer ``q``; without a quantizer, by the terms in ``b`` alone. The fit is a Poisson regression
with log link, whose normal equations make the sums of prediction and measurement agree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from veridical.errors import InvalidSetting
from veridical.interpolate import Calibration
from veridical.photo.condition import FORMATS, Condition, ResidualScale

__all__ = ["PriceList", "fit_log_linear"]


def fit_log_linear(x: np.ndarray, y: np.ndarray, ridge: float = 1e-6) -> np.ndarray:
    """Coefficients ``w`` of ``E y = exp(x w)`` by Poisson quasi-likelihood.

    Args:
        x: Regressors, shape (n, k), the first column constant.
        y: Positive measurements, shape (n,).
        ridge: Weight of the squared coefficients, the constant excepted.

    Raises:
        InvalidSetting: No measurements, or one that is not positive.
    """
    if len(y) == 0 or not np.all(y > 0):
        raise InvalidSetting("a price list needs positive measurements for every format")
    unit = float(np.mean(y))
    t = y / unit

    def value(w: np.ndarray) -> tuple[float, np.ndarray]:
        eta = np.clip(x @ w, -30, 30)
        mu = np.exp(eta)
        penalty = ridge * np.r_[0.0, w[1:]]
        return float(np.mean(mu - t * eta) + 0.5 * w @ penalty), x.T @ (mu - t) / len(t) + penalty

    found = minimize(value, np.zeros(x.shape[1]), jac=True, method="BFGS", options={"gtol": 1e-9})
    w = found.x.copy()
    w[0] += math.log(unit)
    return w


@dataclass(frozen=True)
class PriceList:
    """Measured error and transport cost by format, rate and number of steps.

    Attributes:
        steps: Numbers of steps that were measured, ascending.
        mmse: Coefficients, shape (2, formats, 7); row 0 with quantizer, row 1 without.
        cost: Coefficients, shape (len(steps), 2, formats, 7).
    """

    steps: tuple[int, ...]
    mmse: np.ndarray
    cost: np.ndarray

    def calibration(self, condition: Condition, steps: int) -> Calibration:
        """Price of one file; numbers of steps between measured ones take the nearest below."""
        k = max([i for i, s in enumerate(self.steps) if s <= steps], default=0)
        row = int(condition.quantizer is None)
        f = FORMATS.index(condition.format)
        x = _terms([condition])[0]
        return Calibration(
            mmse=_bounded(x @ self.mmse[row, f]), transport_cost=_bounded(x @ self.cost[k, row, f])
        )

    @classmethod
    def fit(
        cls,
        conditions: Sequence[Condition],
        mmse: np.ndarray,
        cost: np.ndarray,
        steps: Sequence[int],
    ) -> PriceList:
        """Fit to measurements.

        Args:
            conditions: One for each measured file.
            mmse: Measured error of the estimate, shape (n,).
            cost: Measured transport cost, shape (n, len(steps)).
            steps: The numbers of steps.
        """
        x = _terms(conditions)
        plain = x.copy()
        plain[:, 3:6] = 0.0
        formats = np.array([FORMATS.index(c.format) for c in conditions])

        def both(y: np.ndarray) -> np.ndarray:
            return np.stack(
                [
                    np.stack(
                        [
                            fit_log_linear(m[formats == f], y[formats == f])
                            for f in range(len(FORMATS))
                        ]
                    )
                    for m in (x, plain)
                ]
            )

        return cls(tuple(steps), both(mmse), np.stack([both(c) for c in cost.T]))


def _terms(conditions: Sequence[Condition]) -> np.ndarray:
    b = np.array([c.log2_bpp for c in conditions])
    q = np.array([c.quantizer or 0.0 for c in conditions])
    return ResidualScale.terms(b, q, np.array([float(c.chroma_full) for c in conditions]))


def _bounded(log_value: float) -> float:
    return float(np.exp(np.clip(log_value, math.log(1e-7), math.log(0.25))))
