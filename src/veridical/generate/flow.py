"""Integration of a rectified flow from its start to its end.

A flow carries ``u_0`` (start) to ``u_1`` (end) by ``du/dt = v(u, t)``; along straight lines
``u_t = (1 - t) u_0 + t u_1`` the velocity is ``u_1 - u_0`` (Liu, Gong, Liu 2023, eq. 1). Euler
steps are exact once the lines are straight, which is what reflow is for.
"""

from __future__ import annotations

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
    if steps < 1:
        raise InvalidSetting(f"a flow needs at least one step, got {steps}")
    u: Any = start
    for k in range(steps):
        u = u + velocity(u, k / steps) * (1 / steps)
    return u
