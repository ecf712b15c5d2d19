"""The least distortion ``D(R, P)`` of a finite source, the inverse of :func:`~veridical.limits.rate.least_rate`.

``R(D, P)`` is convex and does not rise in ``D``. A dual point of slope ``lambda`` at any ``D0`` gives the cut

    R(D, P) >= lower - lambda (D - D0),   hence   D(R, P) >= D0 + (lower - R) / lambda,

and two channels on either side of the rate are mixed (time sharing) to one whose rate, convex in the mixture, is at
most ``R``. The next problem is solved where the best cut meets the rate: Newton's method on a convex function.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from veridical.arrays import Array
from veridical.errors import InvalidSetting, NotConverged
from veridical.limits.bound import Bound, DistortionInterval
from veridical.limits.certificate import rate_nats
from veridical.limits.checks import constraint, positive_float
from veridical.limits.divergence import Divergence
from veridical.limits.feasible import MOST_PAIRS, least_distortion_channel
from veridical.limits.finite import FiniteSource, normal_form
from veridical.limits.plans import cheapest_plan, transport_bound
from veridical.limits.rate import least_rate

_SOLVES = 60


@dataclass(frozen=True)
class DistortionBound(DistortionInterval):
    """A proven bracket of the least distortion at one point (R, P), with what proves it.

    Attributes:
        rate_bits: the constraint ``R``; perception: the constraint ``P``.
        channel: shape ``(n, m)``, ``p(x^ | x)``; meets both constraints up to relative rounding of 1e-12.
        solves: problems ``R(D, P)`` that were solved.
    """

    rate_bits: float
    perception: float
    channel: Array = field(repr=False, compare=False)
    solves: int


@dataclass(frozen=True)
class _End:
    """A channel and what it costs; ``rate`` in bits, rounding included."""

    distortion: float
    rate: float
    channel: Array


def _end(source: FiniteSource, channel: Array) -> _End:
    joint = source.p[:, None] * channel
    spent = float(np.sum(joint * np.where(joint > 0, source.d, 0.0)))
    return _End(spent, max(rate_nats(source.p, channel), 0.0) / math.log(2), channel)


def _cheapest(source: FiniteSource, P: float, measure: Divergence | None) -> tuple[float, _End]:
    """The least distortion at any rate: a proven lower end, and a channel of about that distortion."""
    form = normal_form(source, math.inf, P, measure)
    if form.target is None and form.cost is None:
        channel = np.eye(form.d.shape[1])[np.argmin(form.d, axis=1)]
        lower = 0.0
    elif form.same:
        assert form.target is not None
        found = cheapest_plan(form.d, form.p, form.target)
        if found is None:
            raise InvalidSetting("equality of laws asks for pairs of infinite distortion; relax P")
        channel = found[0] / np.sum(found[0], axis=1, keepdims=True)
        lower = transport_bound(form.d, form.p, found[1])[1] + float(form.target @ found[1])
    else:
        reach = least_distortion_channel(form, advise=True)
        if reach is None or reach.anchor is None:
            raise InvalidSetting("no channel of finite distortion has this perception; relax P")
        channel, lower = reach.anchor.channel, reach.lower
    lower = (form.d_floor + max(lower, 0.0) * form.d_unit) * (1 - 1e-13) - 1e-13 * form.d_unit
    return max(lower, 0.0), _end(source, form.on_alphabets(source, channel))


def _without_rate(
    source: FiniteSource, P: float, measure: Divergence | None
) -> tuple[float, _End | None]:
    """The least distortion of an output that ignores the source, likewise; no channel if all are infinite."""
    usable = np.all(np.isfinite(source.d) | (source.p == 0)[:, None], axis=0)
    mean = np.where(usable, source.p @ np.where(np.isfinite(source.d), source.d, 0.0), np.inf)
    try:
        flat = FiniteSource(source.p, np.tile(mean, (source.p.size, 1)))
        lower, cheapest = _cheapest(flat, P, measure)
    except InvalidSetting:
        return math.inf, None
    # Independent of the source, whatever rounding says.
    return lower, _End(
        cheapest.distortion, 0.0, np.tile(source.p @ cheapest.channel, (source.p.size, 1))
    )


def distortion_at_rate(
    source: FiniteSource,
    rate_bits: float,
    perception: float = math.inf,
    *,
    divergence: Divergence | None = None,
    tolerance: float = 1e-6,
) -> DistortionBound:
    """Bracket ``D(R, P) = min E d(X, X^)`` over channels with ``I(X; X^) <= R`` and ``div(p_X, p_X^) <= P``.

    Unlimited common randomness; the inverse of [BM] eq. 4.

    Args:
        source: law and distortion, ``n`` by ``m``.
        rate_bits: ``R``.
        perception: ``P``, as in :func:`least_rate`.
        divergence: how perception is measured; needed unless ``perception`` is infinite.
        tolerance: largest width of the bracket, relative to the distortion without rate.

    Raises:
        InvalidSetting: bad input, or no channel meets the constraints.
        NotConverged: the bracket stayed wider; ``best`` carries it.
    """
    R, P = constraint(rate_bits, "rate_bits"), constraint(perception, "perception")
    tolerance = positive_float(tolerance, "tolerance")
    if divergence is None and not math.isinf(P):
        raise InvalidSetting("a perception constraint needs a divergence; give one")
    if source.d.size > MOST_PAIRS and not math.isinf(P) and P > 0:
        raise InvalidSetting(
            f"the inverse takes up to {MOST_PAIRS:,} pairs of symbols, got {source.d.size:,}; "
            "solve least_rate at several distortions instead"
        )
    low, left = _cheapest(source, P, divergence)
    floor, right = _without_rate(source, P, divergence)
    if R == 0 and right is not None:
        low, left = floor, right
    finite = np.isfinite(source.d) & (source.p > 0)[:, None]
    unit = right.distortion if right else float(np.max(source.d, where=finite, initial=0.0))
    width = tolerance * unit

    def solve(D: float, bits: float) -> Bound | None:
        try:
            return least_rate(source, D, P, divergence=divergence, tolerance_bits=bits)
        except NotConverged as failure:
            found = failure.best
            return found if isinstance(found, Bound) and math.isfinite(found.upper_bits) else None

    solves = 0
    if left.rate <= R:
        best = left
    else:
        if right is None:
            loosest = solve(unit, 1e-6)
            right = None if loosest is None else _end(source, loosest.channel)
        if right is None or right.rate > R:
            raise InvalidSetting(
                f"no channel of finite distortion was found at {R!r} bits; ask for a larger rate"
            )
        low, best, solves = _close(source, solve, R, low, left, right, width)
    low = min(low, best.distortion)
    bound = DistortionBound(low, best.distortion, R, P, best.channel, solves)
    if bound.gap > width:
        raise NotConverged(
            f"the bracket of the distortion stayed {bound.gap:.3g} wide after {solves} solves; "
            "accept it with a larger tolerance",
            best=bound,
        )
    return bound


def _close(
    source: FiniteSource,
    solve: Callable[[float, float], Bound | None],
    R: float,
    low: float,
    left: _End,
    right: _End,
    width: float,
) -> tuple[float, _End, int]:
    """Newton's method from the left, time sharing above: the lower end, the best channel, the solves.

    ``left`` needs more than the rate, ``right`` does not.
    """
    best = right
    at = left.distortion + (1.0 - R / left.rate) ** 2 * (right.distortion - left.distortion)
    bits, count = 1e-7, 0
    while count < _SOLVES:
        count += 1
        b = solve(at, bits)
        cut = -math.inf
        if b is not None:
            slope = b.slope_distortion
            if 0 < slope < math.inf:
                cut = at + (b.lower_bits - R) / slope
                low = max(low, cut)
                bits = min(1e-6, max(1e-9, 0.1 * width * slope))
            end = _end(source, b.channel)
            if end.rate > R:
                left = end
            elif end.distortion < right.distortion:
                right = end
            best = min(best, right, _shared(source, left, right, R), key=lambda one: one.distortion)
        if best.distortion - low <= width:
            break
        # The cut meets the rate; where it does not lead on, the middle.
        ahead = max(low, cut)
        far = abs(ahead - at) > 0.1 * width and left.distortion < ahead < best.distortion
        at = ahead if far else 0.5 * (max(low, left.distortion) + best.distortion)
    return low, best, count


def _shared(source: FiniteSource, left: _End, right: _End, R: float) -> _End:
    """Time sharing of two channels at a rate of at most ``R``."""
    share = (R - right.rate) / (left.rate - right.rate) * (1.0 - 1e-14)
    return _end(source, share * left.channel + (1.0 - share) * right.channel)
