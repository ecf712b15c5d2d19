"""The price of a file: from a network's predictions for windows of its picture (``training.price_network``)."""

from __future__ import annotations

import math

import numpy as np

from veridical.errors import BadWeights
from veridical.interpolate import Calibration

LEAST = 1e-6
"""Added to squared errors on the [0, 1] scale, (0.26 of 255 levels)^2: less hides below the rounding to 8 bits."""

_MOST_DB = 12.0


def calibration_of(predicted: np.ndarray, certain: np.ndarray | float = 0.0) -> Calibration:
    """Price of a picture.

    Args:
        predicted: Of windows: ``log(d + LEAST)``, ``log(C + LEAST)``, and the logarithm of the variance of the first; shape (n, 3).
        certain: Their parts that are taken for exact, where nothing is restored: 0 to 1, shape (n,).

    Returns:
        Means of errors and costs of the windows, per channel sample on the [0, 1] scale, and the standard deviation
        of ``10 log10 d``: that of a window, because windows of one picture err together.

    Raises:
        BadWeights: Another shape, or numbers that are not finite.
    """
    if predicted.ndim != 2 or predicted.shape[1] != 3 or not np.all(np.isfinite(predicted)):
        raise BadWeights(
            "the price network gives another shape, or what are no numbers; train it again"
        )
    numbers = predicted.astype(np.float64)
    left = np.broadcast_to(1.0 - np.asarray(certain), len(numbers))
    means = np.mean(left[:, None] * np.exp(np.minimum(numbers[:, :2], 0.0)), axis=0)
    mmse, cost = (float(np.clip(v - LEAST, LEAST / 10, 0.25)) for v in means)
    variance = float(np.mean(np.exp(np.clip(numbers[:, 2], -20, 5))))
    return Calibration(mmse, cost, min(_MOST_DB, 10 / math.log(10) * math.sqrt(variance)))
