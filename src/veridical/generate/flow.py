"""Integration of a rectified flow from its start to its end.

A flow carries ``u_0`` (start) to ``u_1`` (end) by ``du/dt = v(u, t)``; along straight lines
``u_t = (1 - t) u_0 + t u_1`` the velocity is ``u_1 - u_0`` (Liu, Gong, Liu 2023, eq. 1). Euler
steps are exact once the lines are straight, which is what reflow is for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

from veridical.errors import InvalidSetting

State = TypeVar("State", bound="Any")
"""An array of any library, or a number: whatever can be added, and multiplied by a number."""


def integrate(velocity: Callable[[State, float], State], start: State, steps: int) -> State:
    """Euler steps of equal length.

    Args:
        velocity: ``v(u, t)`` for a state (any array type) and a time in [0, 1).
        start: State at time 0.
        steps: Number of steps, at least 1.

    Raises:
        InvalidSetting: Fewer than one step.
    """
    _check(steps)
    u: Any = start
    for k in range(steps):
        u = u + velocity(u, k / steps) * (1 / steps)
    return u


def integrate_on_arcs(predict: Callable[[State, float], State], start: State, steps: int) -> State:
    """Steps of equal angle along arcs, for a flow between two laws of about equal variance.

    With ``theta = atan(t / (1-t))`` and ``w = u_t / sqrt(t^2 + (1-t)^2)`` the line from ``u_0`` to
    ``u_1`` becomes the arc ``w = cos(theta) u_0 + sin(theta) u_1``, along which the variance does
    not dip halfway: between Gaussian laws of equal variance, steps in ``theta`` are exact, where
    four equal steps in ``t`` lose a quarter of the standard deviation. It is the same flow,
    integrated in other coordinates, at the middle of each step; the last one lands on the end
    that it predicts.

    Args:
        predict: Predicted end ``E[u_1 | u_t = u]`` for a state and a time in (0, 1); the velocity
            of the flow is ``(predict(u, t) - u) / (1 - t)``.
        start: State at time 0.
        steps: Number of steps, at least 1.

    Raises:
        InvalidSetting: Fewer than one step.
    """
    _check(steps)
    w: Any = start
    delta = math.pi / 2 / steps
    for k in range(steps):
        cos, sin = math.cos((k + 0.5) * delta), math.sin((k + 0.5) * delta)
        t = sin / (sin + cos)
        u = w * (1 / (sin + cos))  # sqrt(t^2 + (1-t)^2) = 1 / (sin + cos)
        end: Any = predict(u, t)
        if k == steps - 1:
            return end
        begin = (u - end * t) * (1 / (1 - t))
        w = w + (end * cos - begin * sin) * delta
    return w


def _check(steps: int) -> None:
    if steps < 1:
        raise InvalidSetting(f"a flow needs at least one step, got {steps}")
