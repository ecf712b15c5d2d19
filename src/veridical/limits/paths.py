"""Interior Newton paths towards ``R(D, P)``, in turn from several starts."""

from __future__ import annotations

import math
from dataclasses import replace

from scipy.linalg import LinAlgError

from veridical.limits.bracket import Bracket
from veridical.limits.certificate import iterate_channel
from veridical.limits.interior import Block, Point, follow_path, merit
from veridical.limits.start import TRANSPORT_STARTS, first_iterate, priced_iterate
from veridical.limits.transport_block import TransportBlock

# Steps after which the conditions should be met three times as well as before.
_PATIENCE = 4
# A path may end on this many small steps in a row; one alone is often followed by long ones.
_SMALL = 6
# The path aims this much (relative) inside the constraints, so that its end is feasible; where
# rounding is in the way it is walked again a little further inside.
_INSIDE = (1e-10, 1e-8, 1e-7)
LARGE = 40_000
"""A transport cost of more pairs is climbed from the dual first: its steps cost an eighth of the path's."""


def follow_paths(bracket: Bracket) -> None:
    """From each start in turn until the bracket is closed: further inside the constraints, or from another plan."""
    form = bracket.form
    starts = [(inside, TRANSPORT_STARTS[0]) for inside in _INSIDE]
    if form.cost is not None:
        near = [(_INSIDE[k % 2], start) for k, start in enumerate(TRANSPORT_STARTS)]
        # A large alphabet has climbed the dual already, which is the shorter way; its paths take minutes each.
        starts = [*near, *starts[1:]] if form.d.size <= LARGE else starts[:1]
    elif form.family is not None:
        starts = starts[:1]
    # A smooth measure has a second way to its end; it need not wait for the first to give up.
    most = bracket.max_iterations if form.family is None else min(60, bracket.max_iterations)
    for inside, start in starts:
        _walk(bracket, *first_iterate(form, inside, start), most)
        if bracket.done:
            return
    if form.family is not None and not form.same:
        _prices(bracket)
    if form.target is not None and not form.same and not bracket.done:
        _unbound(bracket)


def _prices(bracket: Bracket) -> None:
    """Smooth measures with little room: a path for each price, and a search for the price.

    The measure falls like the inverse square of a high price, so that a secant in logarithms
    finds the price at which it meets the constraint.
    """
    form = bracket.form
    assert form.family is not None
    assert form.target is not None
    log_mu, aim = -0.5 * math.log(form.perception), math.log(form.perception)
    low, high = -math.inf, math.inf
    last: tuple[float, float] | None = None
    for _ in range(20):
        point, block = priced_iterate(form, _INSIDE[0], math.exp(log_mu))
        _walk(bracket, point, block, 60, until=1e-10)
        if bracket.done:
            return
        found = math.log(max(form.family.value(form.target, point.q), 1e-300))
        low, high = (log_mu, high) if found > aim else (low, log_mu)
        slope = -2.0
        if last is not None and abs(log_mu - last[0]) > 1e-13:
            slope = min(-0.2, (found - last[1]) / (log_mu - last[0]))
        last = (log_mu, found)
        log_mu += max(-7.0, min(7.0, (aim - found) / slope))
        if not low < log_mu < high:
            log_mu = 0.5 * (low + high)


def _unbound(bracket: Bracket) -> None:
    """A perception that does not bind: Shannon's problem, its channel measured all the same."""
    loose = replace(bracket.form, target=None, family=None, perception=math.inf)
    point, block = first_iterate(loose, _INSIDE[0])
    _walk(bracket, point, block, bracket.max_iterations)


def _walk(bracket: Bracket, point: Point, block: Block, most: int, until: float = 0.0) -> None:
    """Follow the path until the bracket is closed, a step fails, or the pairs are below ``until``."""
    history: list[float] = []
    small = 0
    for _ in range(most):
        _certify_block(bracket, point, block)
        if bracket.done or float(point.s @ point.q) < until:
            return
        history.append(merit(point, block))
        stuck = len(history) > _PATIENCE and history[-1] > 0.3 * history[-1 - _PATIENCE]
        try:
            step = follow_path(point, block, careful=stuck)
        except (LinAlgError, ValueError, FloatingPointError):
            return
        bracket.iterations += 1
        small = small + 1 if step < 1e-7 else 0
        if small >= _SMALL:
            break
    _certify_block(bracket, point, block)


def _certify_block(bracket: Bracket, point: Point, block: Block) -> None:
    plan = block.full(block.plan) if isinstance(block, TransportBlock) else None
    bracket.certify(point, max(block.mu, 0.0), plan, iterate_channel(bracket.form, point))
