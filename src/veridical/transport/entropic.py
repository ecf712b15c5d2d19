"""Entropic transport in the log domain, with a bracket of the distance that it approximates.

    OT_e(a, b) = min over couplings of E|X - Y|^2 + e KL(plan | a x b)
               = max over f, g of a.f + b.g,   f_i = -e log sum_j b_j exp((g_j - c_ij) / e)  and so on.

``OT_e`` of a law with itself is not 0; the Sinkhorn divergence
``OT_e(a, b) - (OT_e(a, a) + OT_e(b, b)) / 2`` removes that bias (Feydy et al. 2019), so that it is
not negative, and 0 for equal laws only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array
from veridical.errors import InvalidSetting, NotConverged
from veridical.transport.plan import check_dimensions, squared_distances, weighted_points


@dataclass(frozen=True)
class Sinkhorn:
    """Entropic transport between two weighted point sets.

    Attributes:
        divergence: the debiased value, squared units; 0 for equal sets.
        cost: mean squared distance under a true coupling, rounded from the entropic plan
            (Altschuler, Weed and Rigollet 2017): an upper bound on ``W2^2``.
        lower: a proven lower bound on ``W2^2``, from the potentials.
        iterations: of the problem between the two sets.
    """

    divergence: float
    cost: float
    lower: float
    iterations: int

    @property
    def gap(self) -> float:
        """``cost - lower``, not below 0."""
        return max(0.0, self.cost - self.lower)


def sinkhorn(
    x: ArrayLike,
    y: ArrayLike,
    *,
    blur_squared: float,
    x_weights: ArrayLike | None = None,
    y_weights: ArrayLike | None = None,
    tolerance: float = 1e-6,
    iterations: int = 10_000,
) -> Sinkhorn:
    """Sinkhorn divergence, and the bracket of ``W2^2`` that its plan and potentials prove.

    Args:
        x: shape ``(n, d)``.
        y: shape ``(m, d)``.
        blur_squared: ``e``, in squared units of the points, positive.
        x_weights: law of ``x``, equal if left out.
        y_weights: law of ``y``, likewise.
        tolerance: largest total variation between the plan's and the wanted marginal.
        iterations: the most to spend on each problem.

    Raises:
        InvalidSetting: bad points, weights or numbers.
        NotConverged: the tolerance was not reached.
    """
    left, a = weighted_points(x, x_weights, name="first points")
    right, b = weighted_points(y, y_weights, name="second points")
    check_dimensions(left, right)
    left, a, right, b = left[a > 0], a[a > 0], right[b > 0], b[b > 0]
    e = float(blur_squared)
    if not (np.isfinite(e) and e > 0):
        raise InvalidSetting(f"blur_squared must be a positive number, got {blur_squared!r}")
    cost = squared_distances(left, right)
    f, g, spent = _potentials(cost, a, b, e, tolerance, iterations)
    own = []
    for points, law in ((left, a), (right, b)):
        u = _own_potential(squared_distances(points, points), law, e, tolerance, iterations)
        own.append(2.0 * float(law @ u))
    dual = float(a @ f + b @ g)
    tight = np.min(cost - g, axis=1)
    return Sinkhorn(
        dual - 0.5 * sum(own), _rounded_cost(cost, a, b, f, g, e), float(a @ tight + b @ g), spent
    )


def _softmin(cost: Array, potential: Array, law: Array, e: float) -> Array:
    """``-e log sum_j law_j exp((potential_j - cost_ij) / e)`` for every row."""
    z = (potential - cost) / e
    top = np.max(z, axis=1)
    return -e * (top + np.log(np.exp(z - top[:, None]) @ law))


def _potentials(
    cost: Array, a: Array, b: Array, e: float, tolerance: float, iterations: int
) -> tuple[Array, Array, int]:
    """Alternating updates, from a large blur down to ``e`` by halves."""
    g = np.zeros(b.size)
    blur = max(e, float(np.max(cost)))
    for k in range(1, iterations + 1):
        f = _softmin(cost, g, b, blur)
        new = _softmin(cost.T, f, a, blur)
        if blur == e:
            # After the update of f the rows are right, and the columns are off by exp of the step.
            off = 0.5 * float(b @ np.abs(np.expm1(np.minimum((g - new) / e, 50.0))))
            if off <= tolerance:
                return f, g, k
        g, blur = new, max(e, 0.5 * blur)
    raise _slow(tolerance, iterations)


def _own_potential(cost: Array, law: Array, e: float, tolerance: float, iterations: int) -> Array:
    """The potential of a law with itself: by symmetry one is enough, and averaging makes it fast."""
    f = np.zeros(law.size)
    for _ in range(iterations):
        new = _softmin(cost, f, law, e)
        if 0.5 * float(law @ np.abs(np.expm1(np.minimum((f - new) / e, 50.0)))) <= tolerance:
            return new
        f = 0.5 * (f + new)
    raise _slow(tolerance, iterations)


def _slow(tolerance: float, iterations: int) -> NotConverged:
    return NotConverged(
        f"entropic transport did not reach {tolerance:g} in {iterations} iterations; "
        "raise blur_squared or iterations"
    )


def _rounded_cost(cost: Array, a: Array, b: Array, f: Array, g: Array, e: float) -> float:
    plan = np.exp((f[:, None] + g - cost) / e) * (a[:, None] * b)
    plan *= np.minimum(1.0, a / np.sum(plan, axis=1))[:, None]
    plan *= np.minimum(1.0, b / np.sum(plan, axis=0))
    rest_a, rest_b = a - np.sum(plan, axis=1), b - np.sum(plan, axis=0)
    rest = float(np.sum(rest_a))
    rounded = float(np.sum(plan * cost))
    return rounded + (float(rest_a @ cost @ rest_b) / rest if rest > 0 else 0.0)
