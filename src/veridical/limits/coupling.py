"""The coupling of two laws with the largest mean gain at a limited information.

    maximise  E g(U, V)  subject to  U ~ rows, V ~ columns, I(U; V) <= R

The optimum is ``columns_j exp(s g_ij + left_i + right_j)``. For a given ``s`` the potentials minimise a smooth convex
function (Newton's method); the information rises with ``s``, which is then found by false position.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.linalg import LinAlgError
from scipy.special import rel_entr, xlogy

from veridical.arrays import Array
from veridical.limits.certificate import round_plan
from veridical.limits.interior import positive_solver
from veridical.limits.plans import cheapest_plan

_TRIALS = 40
# Beyond this many nats of spread the coupling is the exact transport but for ties.
_STEEPEST = 1e7


def information(joint: Array) -> float:
    """``I(U; V)`` of a joint law, in nats."""
    product = np.sum(joint, axis=1)[:, None] * np.sum(joint, axis=0)
    return float(np.sum(rel_entr(joint, product)))


def _plan(gain: Array, rows: Array, columns: Array, right: Array) -> tuple[Array, float]:
    """The coupling whose rows are exact, and the dual value that ``right`` shall minimise."""
    exponent = gain + right
    top = np.max(exponent, axis=1, keepdims=True)
    weight = np.exp(exponent - top) * columns
    total = np.sum(weight, axis=1, keepdims=True)
    value = float(rows @ (top + np.log(total))[:, 0]) - float(columns @ right)
    return rows[:, None] * weight / total, value


def _entropic(gain: Array, rows: Array, columns: Array, right: Array) -> tuple[Array, Array]:
    """The coupling proportional to ``exp(gain)``, and its potentials; starts from ``right``.

    Damped Newton, with a step of Sinkhorn's iteration where it does not lower the dual value.
    """
    plan, value = _plan(gain, rows, columns, right)
    for _ in range(60):
        reached = np.sum(plan, axis=0)
        missing = columns - reached
        if float(np.sum(np.abs(missing))) < 1e-13:
            break
        hessian = np.diag(reached) - plan.T @ (plan / rows[:, None])
        try:
            change = positive_solver(hessian + columns[:, None] * columns)(missing)
        except (LinAlgError, ValueError):
            change = np.zeros_like(missing)
        change *= min(1.0, 8.0 / max(float(np.ptp(change)), 1e-300))
        size, slope = 1.0, float(missing @ change)
        for _ in range(12):
            trial, ahead = _plan(gain, rows, columns, right + size * change)
            if slope > 0 and ahead <= value - 1e-4 * size * slope + 1e-15 * abs(value):
                break
            size *= 0.3
        else:
            change, size = np.log(columns / np.maximum(reached, 1e-300)), 1.0
            trial, ahead = _plan(gain, rows, columns, right + change)
            if not ahead < value:
                break
        right, plan, value = right + size * change, trial, ahead
    return round_plan(plan, rows, columns), right


def best_coupling(gain: Array, rows: Array, columns: Array, nats: float) -> Array:
    """The coupling with the largest mean ``gain`` at an information of ``nats`` at most.

    Args:
        gain: shape ``(n, m)``.
        rows: a positive law, shape ``(n,)``.
        columns: a positive law, shape ``(m,)``.
        nats: the information allowed.

    Returns:
        A joint law with exactly these marginals; within the budget to rounding.
    """
    product = rows[:, None] * columns
    spread = float(np.ptp(gain))
    if nats <= 0.0 or spread <= 0.0:
        return product
    exact = None
    if nats >= -max(float(np.sum(xlogy(law, law))) for law in (rows, columns)):
        exact = cheapest_plan(float(np.max(gain)) - gain, rows, columns)
        if exact is not None:
            return exact[0]
    best, right, last, scale = product, np.zeros_like(columns), 1.0, 1.0 / spread
    below, above = (-math.inf, -nats), (math.inf, math.inf)
    sides: list[bool] = []
    for _ in range(_TRIALS):
        trial, moved = _entropic(scale * gain, rows, columns, right * (scale / last))
        over = information(trial) - nats
        sides.append(over > 0)
        if over <= 0:
            best, right, last, below = trial, moved, scale, (math.log(scale), over)
        else:
            above = (math.log(scale), over)
        if -1e-9 * nats <= over <= 0 or above[0] - below[0] < 1e-13:
            break
        if math.isinf(above[0]):
            if scale * spread > _STEEPEST:
                break
            scale *= 4.0
        elif math.isinf(below[0]):
            scale *= 0.25
        else:
            # Aim a little inside; the middle, if the same end has moved three times.
            stuck = len(sides) > 4 and len(set(sides[-3:])) == 1
            share = below[1] / (below[1] - above[1])
            share = 0.5 if stuck else min(0.999, max(0.001, share * (1 - 1e-4)))
            scale = math.exp(below[0] + share * (above[0] - below[0]))
    if math.isfinite(above[0]):
        return best
    exact = cheapest_plan(float(np.max(gain)) - gain, rows, columns)
    return best if exact is None else _mixture(best, exact[0], nats)


def _mixture(inside: Array, beyond: Array, nats: float) -> Array:
    """The farthest mixture towards ``beyond`` within the budget: the information is convex on the way."""
    if information(beyond) <= nats:
        return beyond
    low, high = 0.0, 1.0
    for _ in range(40):
        share = 0.5 * (low + high)
        fits = information(inside + share * (beyond - inside)) <= nats
        low, high = (share, high) if fits else (low, share)
    return inside + low * (beyond - inside)
