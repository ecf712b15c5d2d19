"""The least rate ``R(D, P)`` of a finite source, with a certificate.

    R(D, P) = min I(X; X^)  subject to  E d(X, X^) <= D,  divergence(p_X, p_X^) <= P      ([BM] eq. 4)

The perception is that of the channel's own output law; putting it on a law that the output merely
codes for is a strict relaxation and gives a number that no code reaches.
"""

from __future__ import annotations

import math

import numpy as np

from veridical.errors import InvalidSetting, NotConverged
from veridical.limits.bound import Bound
from veridical.limits.checks import positive_float
from veridical.limits.divergence import Divergence
from veridical.limits.finite import FiniteSource, normal_form
from veridical.limits.search import NATS, Search

__all__ = ["least_rate"]


def least_rate(
    source: FiniteSource,
    distortion: float,
    perception: float = math.inf,
    *,
    divergence: Divergence | None = None,
    tolerance_bits: float = 1e-6,
    max_iterations: int = 200,
) -> Bound:
    """Bracket ``R(D, P)`` ([BM] eq. 4) by a dual point and a channel.

    Args:
        source: law and distortion, ``n`` by ``m``.
        distortion: ``D``, in the unit of the distortion.
        perception: ``P``, in the unit of the divergence; ``inf`` for no constraint (Shannon's rate),
            0 for equality of laws.
        divergence: how perception is measured; needed unless ``perception`` is infinite.
        tolerance_bits: largest gap between the bounds.
        max_iterations: Newton steps of one path; a hard problem is given several.

    Raises:
        InvalidSetting: bad input, or no channel meets both constraints (the nearest pairs are named).
        NotConverged: the gap stayed larger; ``best`` is the best bracket found.
    """
    tolerance = positive_float(tolerance_bits, "tolerance_bits") * NATS
    if divergence is None and not math.isinf(perception):
        raise InvalidSetting(
            "a perception constraint needs a divergence; give one, for example TotalVariation()"
        )
    form = normal_form(source, distortion, perception, divergence)
    outcome = Search(form, divergence, tolerance, max_iterations)
    outcome.run()
    if outcome.infeasible:
        raise InvalidSetting(
            f"no channel has distortion at most {distortion!r} and perception at most {perception!r}; "
            + _nearest(source, distortion, perception, divergence)
        )
    bound = outcome.bound(source, float(distortion), float(perception))
    if not outcome.gap <= tolerance:
        raise NotConverged(
            f"the gap stayed at {bound.gap_bits:.3g} bits after {outcome.iterations} steps; "
            f"accept it with tolerance_bits={bound.gap_bits:.3g} or move D and P off the boundary",
            best=bound,
        )
    return bound


def _feasible(
    source: FiniteSource, distortion: float, perception: float, divergence: Divergence | None
) -> bool:
    try:
        search = Search(
            normal_form(source, distortion, perception, divergence), divergence, 1e-3, 100
        )
        search.run()
    except InvalidSetting:
        return False
    return search.best is not None


def _nearest(
    source: FiniteSource, distortion: float, perception: float, divergence: Divergence | None
) -> str:
    """Bisect for the least feasible distortion at this perception, and the other way round."""
    out = []
    finite = source.d[np.isfinite(source.d)]
    high = float(np.max(finite))
    if _feasible(source, high, perception, divergence):
        low = distortion
        for _ in range(24):
            middle = 0.5 * (low + high)
            low, high = (
                (low, middle)
                if _feasible(source, middle, perception, divergence)
                else (middle, high)
            )
        out.append(f"distortion {high:.7g} at this perception")
    if _feasible(source, distortion, math.inf, None):
        low, high = perception, max(2.0 * perception, 1e-6)
        while high < 1e12 and not _feasible(source, distortion, high, divergence):
            low, high = high, 4.0 * high
        for _ in range(24):
            middle = 0.5 * (low + high)
            low, high = (
                (low, middle)
                if _feasible(source, distortion, middle, divergence)
                else (middle, high)
            )
        out.append(f"perception {high:.7g} at this distortion")
    nearest = " or ".join(out) or "found neither way; relax both"
    return f"the nearest feasible is {nearest}"
