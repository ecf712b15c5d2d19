"""Water-filling: the linear and square-root programmes over a Gaussian rate budget, and the objective.

Rates in nats; arrays of shape ``(k,)`` hold one number per component.
"""

from __future__ import annotations

import math

import numpy as np

from veridical.arrays import Array


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
    with np.errstate(divide="ignore", over="ignore"):
        return np.minimum(1.0, np.exp(level - np.log(gains)))


def common_step(gains: Array, nats: float) -> Array:
    """``1 - v`` for the ``v`` that maximises ``sum c_i sqrt(v_i)`` under its budget: the block step for a fixed ``u``.

    Stationarity ``c = nu rho / (1 - rho^2)`` gives ``rho = (-nu + sqrt(nu^2 + 4 c^2)) / (2 c)``.
    """
    on = gains > 0
    if not np.any(on) or math.isinf(nats):
        return np.where(on, 0.0, 1.0)
    c = gains[on]
    low, high = -745.0, 745.0
    missed = np.ones_like(c)
    for _ in range(100):
        nu = math.exp(0.5 * (low + high)) * float(np.max(c))
        # 1 - rho^2 = nu rho / c keeps its digits near rho = 1.
        missed = np.minimum(2.0 * nu / (nu + np.hypot(nu, 2.0 * c)), 1.0)
        with np.errstate(divide="ignore"):
            spent = float(np.sum(-0.5 * np.log(missed)))
        low, high = (0.5 * (low + high), high) if spent > nats else (low, 0.5 * (low + high))
    left = np.ones_like(gains)
    left[on] = missed
    return left


def objective(
    spectrum: Array, e: Array, g: Array, P: float, u: Array | None = None
) -> tuple[float, float]:
    """The distortion ``sum l (1 - u) + ((sqrt W - sqrt P)+)^2`` and ``W``, from ``e = 1 - u`` and ``g = 1 - v``.

    ``u`` itself where it is so small that ``e`` has lost it.
    """
    # l (1 + u - 2 sqrt(u v)) = l ((1 - sqrt(u v))^2 + u (1 - v)) has no cancellation, nor has 1 - u v = e + g - e g.
    u = 1.0 - e if u is None else u
    root = np.sqrt(u * (1.0 - g))
    W = float(spectrum @ (((e + g - e * g) / (1.0 + root)) ** 2 + u * g))
    return float(spectrum @ e) + max(math.sqrt(W) - math.sqrt(P), 0.0) ** 2, W
