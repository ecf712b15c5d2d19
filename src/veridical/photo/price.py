"""The price list of a format: error and transport cost by rate and picture.

Both are measured on validation photographs of one format and described by ``exp(w . x)`` with
regressors ``x``: ``log2(bits per pixel)``, the logarithm of the error that the estimator expects of
the picture (``photo.expected``), and of the file's quantizer ``q`` a line with bends, because
quantization tables saturate. Without a quantizer the other terms alone remain. Fitted to one set of
photographs and tried on another, curved terms in the rate did harm. The fit is a gamma regression with log link: small errors at high
rates count as much as large ones at low rates, and ratios of measurement to prediction average 1.

How far a prediction can be trusted is read from how unevenly the estimator expects its error to lie in the picture:
the logarithm of the arithmetic over the geometric mean of the local variances. Photographs have it in common; of
drawings some are far more uneven (an edge here, nothing there) and others, of noise, not at all. The variance of
``10 log10(d / predicted)`` is ``exp`` of a parabola in it, fitted to photographs and drawings, where
photographs have nine tenths of the weight. Files coded before look like finer ones to the estimator: theirs is not told.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from veridical.errors import BadWeights, InvalidSetting
from veridical.interpolate import Calibration
from veridical.photo.condition import Condition


def fit_log_linear(
    x: np.ndarray, y: np.ndarray, ridge: float = 1e-6, share: np.ndarray | None = None
) -> np.ndarray:
    """Coefficients ``w`` of ``E y = exp(x w)`` by gamma likelihood.

    Args:
        x: Regressors, shape (n, k), the first column constant.
        y: Positive measurements, shape (n,).
        ridge: Weight of the squared coefficients, the constant excepted.
        share: Of each row in the whole, sum 1, shape (n,); all the same if None.

    Raises:
        InvalidSetting: No measurements, or one that is not positive.
    """
    if len(y) == 0 or not np.all(y > 0):
        raise InvalidSetting("a price list needs positive measurements for every format")
    unit = float(np.mean(y))
    t = y / unit
    part = np.full(len(y), 1 / len(y)) if share is None else share
    weight = np.full(x.shape[1], ridge)
    weight[0] = 0.0

    def value(w: np.ndarray) -> tuple[float, np.ndarray]:
        eta = np.clip(x @ w, -30, 30)
        ratio = t * np.exp(-eta)
        penalty = weight * w
        slope = x.T @ (part * (1 - ratio))
        return float(part @ (eta + ratio) + 0.5 * w @ penalty), slope + penalty

    def curvature(w: np.ndarray) -> np.ndarray:
        ratio = t * np.exp(-np.clip(x @ w, -30, 30))
        return x.T @ ((part * ratio)[:, None] * x) + np.diag(weight)

    from scipy.optimize import minimize

    # Convex, but its regressors are nearly dependent: first-order methods stop far too early.
    found = minimize(
        value,
        np.zeros(x.shape[1]),
        jac=True,
        hess=curvature,
        method="trust-exact",
        options={"gtol": 1e-10, "maxiter": 1000},
    )
    w = found.x.copy()
    w[0] += math.log(unit)
    return w


@dataclass(frozen=True)
class PriceList:
    """Measured error and transport cost of one format by rate and picture.

    Attributes:
        mmse: Coefficients, shape (2, terms); row 0 with quantizer, row 1 without.
        cost: Likewise.
        spread: Coefficients of the logarithm of the variance of predictions, in dB^2, over the powers of the
            unevenness of a picture, shape (2, 3).

    Raises:
        BadWeights: Other shapes, or numbers that are not finite.
    """

    mmse: np.ndarray
    cost: np.ndarray
    spread: np.ndarray

    def __post_init__(self) -> None:
        shapes = {"mmse": (2, _N_TERMS), "cost": (2, _N_TERMS), "spread": (2, 3)}
        tables = [(getattr(self, name), shape) for name, shape in shapes.items()]
        if not all(t.shape == shape and np.all(np.isfinite(t)) for t, shape in tables):
            raise BadWeights("the price list has another shape, or numbers that are not finite")

    @classmethod
    def of(cls, values: dict[str, Any]) -> PriceList:
        """From what :meth:`as_json` gave."""
        return cls(*(np.array(values[k], dtype=float) for k in _TABLES))

    def as_json(self) -> dict[str, Any]:
        """Lists and numbers only."""
        return {k: getattr(self, k).tolist() for k in _TABLES}

    def calibration(self, condition: Condition, expected: float, unevenness: float) -> Calibration:
        """Price of one file.

        Args:
            condition: What the file tells.
            expected: Error that the estimator expects of the picture, positive.
            unevenness: Of that error, not negative.
        """
        row = int(condition.quantizer is None)
        x = _terms([condition], np.array([expected]))[0]
        if condition.quantizer is None:
            x[_PLAIN:] = 0.0
        log_variance = _powers(np.array([unevenness]))[0] @ self.spread[row]
        uncertainty = math.exp(np.clip(log_variance, *_LOG_VARIANCES) / 2)
        return Calibration(_bounded(x @ self.mmse[row]), _bounded(x @ self.cost[row]), uncertainty)

    @classmethod
    def fit(
        cls,
        conditions: Sequence[Condition],
        expected: np.ndarray,
        unevenness: np.ndarray,
        mmse: np.ndarray,
        cost: np.ndarray,
        photographs: np.ndarray,
    ) -> PriceList:
        """Fit to measurements.

        Args:
            conditions: One for each measured file.
            expected: Error that the estimator expects of each, shape (n,).
            unevenness: Of that error, shape (n,).
            mmse: Measured error of the estimate, shape (n,).
            cost: Measured transport cost, shape (n,).
            photographs: Which rows are photographs, bool of shape (n,); the others tell the uncertainty alone.
        """
        x = _terms(conditions, expected)
        plain = x.copy()
        plain[:, _PLAIN:] = 0.0
        share = np.where(
            photographs,
            _USUAL / max(1, photographs.sum()),
            (1 - _USUAL) / max(1, (~photographs).sum()),
        )
        tables: list[list[np.ndarray]] = []
        for m in (x, plain):
            w, c = (fit_log_linear(m[photographs], y[photographs]) for y in (mmse, cost))
            off = 10 * np.log10(np.maximum(mmse, _LEAST)) - 10 / math.log(10) * (m @ w)
            square = np.clip(off, -_FAR_DB, _FAR_DB) ** 2 + 0.05
            s = fit_log_linear(_powers(unevenness), square, 1e-3, share / share.sum())
            tables.append([w, c, s])
        return cls(*(np.stack(t) for t in zip(*tables, strict=True)))


_TABLES = ("mmse", "cost", "spread")
_USUAL = 0.9
"""Share of photographs among the pictures whose uncertainty is told."""

_LOG_VARIANCES = (math.log(0.2**2), math.log(12.0**2))
_MOST_UNEVEN = 4.0
_FAR_DB = 6.0
"""Predictions farther off than this are all alike to the uncertainty: some drawings are off by 20 dB."""

_LEAST = 1e-7
_BENDS = (0.4, 0.6, 0.75, 0.88, 0.96)
_PLAIN = 4
_N_TERMS = _PLAIN + 1 + len(_BENDS)


def _terms(conditions: Sequence[Condition], expected: np.ndarray) -> np.ndarray:
    """Regressors, shape (n, _N_TERMS); all but the first _PLAIN need the quantizer."""
    e = np.log(expected)
    b = np.array([c.log2_bpp for c in conditions])
    q = np.array([c.quantizer or 0.0 for c in conditions])
    chroma = np.array([float(c.chroma_full) for c in conditions])
    bends = [np.maximum(q - k, 0.0) for k in _BENDS]
    return np.stack([np.ones_like(b), b, chroma, e, q, *bends], axis=-1)


def _powers(unevenness: np.ndarray) -> np.ndarray:
    return np.clip(unevenness, 0, _MOST_UNEVEN)[:, None] ** np.arange(3)


def _bounded(log_value: float) -> float:
    return float(np.exp(np.clip(log_value, math.log(_LEAST), math.log(0.25))))
