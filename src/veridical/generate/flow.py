"""Integration of a rectified flow from its start to its end.

A flow carries ``u_0`` (start) to ``u_1`` (end) by ``du/dt = v(u, t)``; along straight lines
``u_t = (1 - t) u_0 + t u_1`` the velocity is ``u_1 - u_0`` (Liu, Gong, Liu 2023, eq. 1). Euler
steps are exact once the lines are straight, which is what reflow is for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

from veridical.errors import InvalidSetting

__all__ = ["integrate", "integrate_on_arcs"]

State = TypeVar("State")


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
    u = start
    for k in range(steps):
        u = u + velocity(u, k / steps) * (1 / steps)  # type: ignore[operator]
    return u  # pyrefly: ignore[bad-return]


def integrate_on_arcs(velocity: Callable[[State, float], State], start: State, steps: int) -> State:
    """Steps of equal angle along arcs, for a flow between two laws of about equal variance.

    With ``theta = atan(t / (1-t))`` and ``w = u_t / sqrt(t^2 + (1-t)^2)`` the line from ``u_0`` to
    ``u_1`` becomes the arc ``w = cos(theta) u_0 + sin(theta) u_1``, along which the variance does
    not dip halfway; Euler steps in ``theta`` are then exact for Gaussian laws of equal variance,
    where equal steps in ``t`` lose a quarter of the standard deviation in four steps. It is the
    same flow, integrated in other coordinates.

    Args:
        velocity: ``v(u, t)`` in the original coordinates.
        start: State at time 0.
        steps: Number of steps, at least 1.

    Raises:
        InvalidSetting: Fewer than one step.
    """
    _check(steps)
    w = start
    delta = math.pi / 2 / steps
    for k in range(steps):
        cos, sin = math.cos(k * delta), math.sin(k * delta)
        t = sin / (sin + cos)
        u = w * (1 / (sin + cos))  # sqrt(t^2 + (1-t)^2) = 1 / (sin + cos)
        v = velocity(u, t)
        end, begin = u + v * (1 - t), u - v * t  # type: ignore[operator]
        w = w + (end * cos - begin * sin) * delta
    return w


def _check(steps: int) -> None:
    if steps < 1:
        raise InvalidSetting(f"a flow needs at least one step, got {steps}")
