"""The least rate ``R(D, P)`` of a finite source, with a certificate.

    R(D, P) = min I(X; X^)  subject to  E d(X, X^) <= D,  divergence(p_X, p_X^) <= P      ([BM] eq. 4)

The perception is that of the channel's own output law; putting it on a law that the output merely
codes for is a strict relaxation and gives a number that no code reaches.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import xlogy

from veridical.errors import InvalidSetting, NotConverged
from veridical.limits.bound import Bound
from veridical.limits.bracket import NATS
from veridical.limits.checks import positive_float
from veridical.limits.divergence import Divergence, SquaredWasserstein
from veridical.limits.feasible import MOST_PAIRS, least_distortion_channel, least_perception
from veridical.limits.finite import FiniteSource, normal_form
from veridical.limits.search import search


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
    outcome = search(form, divergence, tolerance, max_iterations)
    if outcome.infeasible:
        raise InvalidSetting(
            f"no channel has distortion at most {distortion!r} and perception at most {perception!r}; "
            + _nearest(source, float(distortion), float(perception), divergence)
        )
    bound = outcome.bound(source, float(distortion), float(perception))
    _check(source, bound, divergence)
    if not outcome.gap <= tolerance:
        remedy = f"accept it with tolerance_bits={1.01 * bound.gap_bits:.3g} or move D and P off the boundary"
        if math.isinf(bound.gap_bits):
            remedy = "no channel was found either; move D and P off the boundary"
        raise NotConverged(
            f"the gap stayed at {bound.gap_bits:.3g} bits after {outcome.iterations} steps; {remedy}",
            best=bound,
        )
    return bound


def _check(source: FiniteSource, bound: Bound, divergence: Divergence | None) -> None:
    """Measure the channel again, in the units of the source and by other formulas than the solver's.

    Raises:
        NotConverged: it is not what the bracket says; ``best`` is left out.
    """
    if math.isinf(bound.upper_bits):
        return
    joint = source.p[:, None] * bound.channel
    q = source.p @ bound.channel
    rate = float(np.sum(xlogy(joint, bound.channel))) - float(np.sum(xlogy(q, q)))
    used = joint > 0
    spent = float(np.sum(joint[used] * source.d[used]))
    faults = [
        abs(rate / NATS - bound.upper_bits) > 1e-9 * (1.0 + bound.upper_bits),
        not spent <= bound.distortion * (1.0 + 1e-11),
        not np.allclose(np.sum(bound.channel, axis=1), 1.0, rtol=0, atol=1e-12),
    ]
    if (
        divergence is not None
        and not isinstance(divergence, SquaredWasserstein)
        and math.isfinite(bound.perception)
    ):
        faults.append(not divergence.value(source.p, q) <= bound.perception * (1.0 + 1e-6) + 1e-13)
    if any(faults):
        raise NotConverged(
            "the channel found does not bear out its certificate when it is measured again; "
            "rescale the distortion and the constraints"
        )


def _nearest(source: FiniteSource, D: float, P: float, divergence: Divergence | None) -> str:
    """The least feasible distortion at this perception, and the other way round, by linear programmes."""
    form = normal_form(source, D, P, divergence)
    if form.d.size > MOST_PAIRS:
        return "relax one of them"
    if form.same:
        # Equality of laws is the end of a range in which the programmes have room.
        P = 1e-12 if form.p_unit == 1.0 else P + 1e-12 * form.p_unit
        form = normal_form(source, D, P, divergence)
    out = []
    reach = least_distortion_channel(form, advise=True)
    if reach is not None and math.isfinite(reach.least):
        least = form.d_floor + reach.least * form.d_unit
        out.append(f"distortion {least:.7g} at this perception")
    other = least_perception(form)
    if other is not None:
        value = P + (other - form.perception) * form.p_unit
        if form.family is not None and divergence is not None:
            value = divergence.outer(other)
        out.append(f"perception {value:.7g} at this distortion")
    return f"the nearest feasible is {' or '.join(out) or 'found neither way; relax both'}"
