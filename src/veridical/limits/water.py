"""Water-filling: the linear and square-root programmes over a Gaussian rate budget, and the objective.

Rates in nats; arrays of shape ``(k,)`` hold one number per component.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["common_step", "objective", "water_fill"]

Array = NDArray[np.float64]


def water_fill(gains: Array, nats: float) -> Array:
    """``1 - x_i`` that maximises ``sum c_i x_i`` with ``sum -1/2 log(1 - x_i) <= nats``.

    It is ``min(1, t / c_i)``; with the k largest gains active, ``log t = mean log c - 2 nats / k``.
    """
    logs = np.sort(np.log(gains[gains > 0]))[::-1]
    if logs.size == 0 or nats <= 0:
        return np.ones_like(gains)
    levels = (np.cumsum(logs) - 2.0 * nats) / np.arange(1, logs.size + 1)
    # The right number of active components is the last whose own gain is above its level.
    level = levels[np.flatnonzero(logs >= levels)[-1]]
    with np.errstate(divide="ignore"):
        return np.minimum(1.0, np.exp(level - np.log(gains)))


def common_step(gains: Array, nats: float) -> Array:
    """``v`` that maximises ``sum c_i sqrt(v_i)`` under its budget: the block step for a fixed ``u``.

    Stationarity ``c = nu rho / (1 - rho^2)`` gives ``rho = (-nu + sqrt(nu^2 + 4 c^2)) / (2 c)``.
    """
    on = gains > 0
    if not np.any(on) or math.isinf(nats):
        return np.where(on, 1.0, 0.0)
    c = gains[on]
    low, high = -745.0, 745.0
    rho = np.zeros_like(c)
    for _ in range(100):
        nu = math.exp(0.5 * (low + high)) * float(np.max(c))
        rho = 2.0 * c / (nu + np.hypot(nu, 2.0 * c))
        with np.errstate(divide="ignore"):
            spent = float(np.sum(-0.5 * np.log1p(-(rho**2))))
        low, high = (0.5 * (low + high), high) if spent > nats else (low, 0.5 * (low + high))
    v = np.zeros_like(gains)
    v[on] = rho**2
    return v


def objective(spectrum: Array, u: Array, v: Array, P: float) -> tuple[float, float]:
    """The distortion ``sum l (1 - u) + ((sqrt W - sqrt P)+)^2`` and the transport cost ``W``."""
    # l (1 + u - 2 sqrt(u v)) = l ((1 - sqrt(u v))^2 + u (1 - v)) has no cancellation.
    W = float(spectrum @ ((1.0 - np.sqrt(u * v)) ** 2 + u * (1.0 - v)))
    return float(spectrum @ (1.0 - u)) + max(math.sqrt(W) - math.sqrt(P), 0.0) ** 2, W
