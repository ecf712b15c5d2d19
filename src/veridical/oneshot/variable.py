"""Codes of variable length: the lower hull of ``(H(Z|S), J)`` about a rate, and time sharing on it.

    min  d + ((W2 - sqrt P)+)^2   subject to   H(Z|S) <= R                      ([T] eq. 45)

A point of the lower convex hull minimises ``J + lambda H`` for some ``lambda``. The two neighbours of
the rate are found by the chord rule: minimise with the slope of the chord through the present
neighbours; what lies below the chord replaces one of them; the search ends when nothing does. What is
left between two neighbours is met by *time sharing*: a known share of the samples is coded by one,
the others by the other, so that the rate is spent whole. ``d``, the transport cost ``C`` and the rate
are then means, and ``d + ((sqrt C - sqrt P)+)^2``, convex in ``(d, C)``, is at most the chord.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from veridical.oneshot.joint import Search, descend, search
from veridical.oneshot.objective import Candidate, Objective, Problem
from veridical.quantize import Codebook, CodebookEncoder, entropy_constrained, lloyd

_ROUNDS = 10
_GAIN = 1e-3


@dataclass(frozen=True)
class Point:
    """An encoder on the plane of entropy and price.

    Attributes:
        entropy_bits: ``H(Z|S)``.
        value: ``d + ((W2 - sqrt P)+)^2`` or what the objective asks for, without the rate.
        encoder: cells.
    """

    entropy_bits: float
    value: float
    encoder: CodebookEncoder = field(repr=False)


def hull(entropies: Sequence[float], values: Sequence[float]) -> list[int]:
    """Indices of the decreasing part of the lower convex hull, by rising entropy."""
    kept: list[int] = []
    for i in sorted(range(len(values)), key=lambda k: (entropies[k], values[k])):
        if kept and values[i] >= values[kept[-1]]:
            continue
        while len(kept) >= 2:
            a, b = kept[-2:]
            over = (values[b] - values[a]) * (entropies[i] - entropies[a])
            if over < (values[i] - values[a]) * (entropies[b] - entropies[a]):
                break
            kept.pop()
        kept.append(i)
    return kept


def neighbours(
    entropies: Sequence[float], values: Sequence[float], rate_bits: float
) -> tuple[int, int]:
    """The last point of the hull with at most the rate, and the next (the same at the end)."""
    kept = hull(entropies, values)
    below = sum(entropies[i] <= rate_bits for i in kept)
    return kept[max(below - 1, 0)], kept[min(below, len(kept) - 1)]


def candidates_at_rate(
    problem: Problem,
    rate_bits: float,
    outputs: int,
    seeds: int,
    perception: float | None,
    *,
    rng: np.random.Generator,
    settings: Search,
    progress: Callable[[int, int], None],
) -> list[CodebookEncoder]:
    """Encoders about the rate for prices on all samples to choose from; one has entropy 0.

    Args:
        problem: all samples, and the subset for plans, on which the search works.
        rate_bits: ``R``.
        outputs: codewords to begin with, more than the rate will leave.
        seeds: ``K``. With one, entropy-constrained codebooks are best at every perception.
        perception: ``P``; ``None`` for least error first.
        rng: for starts and annealing.
        settings: how much to spend on each multiplier.
        progress: called with descents done and to do.

    Raises:
        NotConverged: a plan was not found.
    """
    x, a = problem.x, problem.weights
    fixed = sorted(
        {min(M, outputs) for M in (1, math.floor(2**rate_bits), math.ceil(2**rate_bits))}
    )
    if seeds == 1:
        start = lloyd(x, outputs, rng=rng, weights=a)
        books = [_point(lloyd(x, M, rng=rng, weights=a)) for M in fixed] + [_point(start)]

        def constrained(slope: float, _: Point, __: Point) -> list[Point]:
            return [_point(entropy_constrained(x, start, slope, weights=a))]

        return [p.encoder for p in _about(rate_bits, books, constrained)]

    small = Problem(problem.plan_x, problem.plan_weights, problem.plan_x, problem.plan_weights)
    free, rounds = Objective(perception), 0
    total = (_ROUNDS + len(fixed)) * settings.starts * len(settings.temperatures)

    def judged(found: Candidate) -> Point:
        price = free.value(found.mmse, found.w2_squared, 0.0)
        return Point(found.entropy_bits, price, found.encoder)

    def joint(slope: float, M: int, *starts: CodebookEncoder) -> list[Point]:
        nonlocal rounds
        before = rounds * settings.starts * len(settings.temperatures)
        rounds += 1
        book = lloyd(small.x, M, rng=rng, weights=small.weights)
        if slope > 0:
            book = entropy_constrained(small.x, book, slope, weights=small.weights)
        goal = Objective(perception, slope)
        found = list(
            search(
                small, book.points, seeds, goal, rng=rng, settings=settings,
                progress=lambda done, _: progress(before + done, total),
            )
        )  # fmt: skip
        found += [descend(e, small, goal, steps=settings.steps) for e in starts]
        return [judged(f) for f in found]

    def between(slope: float, left: Point, right: Point) -> list[Point]:
        return joint(slope, outputs, left.encoder, right.encoder)

    first = [p for M in fixed for p in joint(0.0, M)] + joint(0.0, outputs)
    near = _about(rate_bits, first, between)
    slope = max((near[0].value - near[-1].value) / max(near[-1].entropy_bits, 1e-9), 0.0)
    goal = Objective(perception, slope)
    polished = [descend(p.encoder, problem, goal, steps=settings.steps).encoder for p in near]
    progress(total, total)
    return [p.encoder for p in near] + polished


def _point(book: Codebook) -> Point:
    return Point(
        book.entropy_bits, book.mmse, CodebookEncoder(book.points[None], book.offsets[None])
    )


def _about(
    rate_bits: float,
    points: list[Point],
    minimise: Callable[[float, Point, Point], list[Point]],
) -> list[Point]:
    """The chord rule from first points; what lies on the hull about the rate, and entropy 0."""
    for _ in range(_ROUNDS):
        H, J = [p.entropy_bits for p in points], [p.value for p in points]
        left, right = (points[i] for i in neighbours(H, J, rate_bits))
        if right.entropy_bits <= rate_bits or left.entropy_bits >= right.entropy_bits:
            break
        slope = (left.value - right.value) / (right.entropy_bits - left.entropy_bits)
        chord = left.value + slope * left.entropy_bits
        found = minimise(slope, left, right)
        points = points + found
        if min(p.value + slope * p.entropy_bits for p in found) >= chord * (1 - _GAIN):
            break
    H, J = [p.entropy_bits for p in points], [p.value for p in points]
    kept = hull(H, J)
    at = kept.index(neighbours(H, J, rate_bits)[0])
    return [points[i] for i in sorted({kept[0], *kept[max(at - 1, 0) : at + 3]}, key=H.__getitem__)]
