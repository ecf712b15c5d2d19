"""Joint design of ``K`` codebooks: descent on ``J`` over power diagrams, annealed, from several starts.

By the envelope theorem the plan may be held fixed when ``J`` is differentiated. Let ``c_sz`` and
``p_sz`` be the mean and the probability of a cell, ``m_sz = E[X- | s, z]`` under the optimal plan,
``v_sz`` the plan's potential of that atom, and ``a = dJ/dW2^2``. Giving the mass at ``x`` to cell
``z`` of seed ``s`` then costs, up to what does not depend on ``z``,

    -2 <x, e_sz> + b_sz,   e = (1 - a) c + a m,
    b = (1 - 2a)|c|^2 + 2a <m, c> + a v - lambda log2 p(z|s).

The best cells of this linear model are those of a power diagram with the sites ``e``, which are the
conditional means of the reconstruction ``X^``. With ``a = 0`` the step is Lloyd's (with
``lambda > 0``: the entropy-constrained one) and never raises ``J``. With ``a > 0`` it may overshoot,
so that the diagram moves only part of the way, by halves, until ``J`` falls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from veridical.arrays import Array
from veridical.errors import InvalidSetting
from veridical.oneshot.objective import Candidate, Objective, Problem, judge
from veridical.quantize import CodebookEncoder, lloyd

__all__ = ["Search", "descend", "search", "start_encoders"]


_ROTATED_UP_TO = 64


@dataclass(frozen=True)
class Search:
    """How much to spend on a joint design.

    Attributes:
        starts: starting points, 1 or more; they take turns between perturbed copies, rotated
            copies and independent runs of the MMSE codebook.
        temperatures: size of the random moves of the sites before each descent of a start, in
            units of the root mean squared error.
        steps: most steps of a descent.
        tolerance: a descent ends when a step gains less, relative to ``J``.
    """

    starts: int = 6
    temperatures: tuple[float, ...] = (0.5, 0.2, 0.0)
    steps: int = 30
    tolerance: float = 1e-4

    def __post_init__(self) -> None:
        if self.starts < 1 or self.steps < 1 or not self.temperatures:
            raise InvalidSetting("a search needs a start, a temperature and a step or more of each")
        if min(self.temperatures) < 0 or not self.tolerance >= 0:
            raise InvalidSetting("temperatures and tolerance of a search cannot be negative")


def _step(now: Candidate, problem: Problem, objective: Objective) -> tuple[Array, Array]:
    """Sites ``e`` and constants ``b`` of the linear model; a cell without mass is given up."""
    used = now.masses > 0
    a = objective.realism(now.w2_squared)
    c, m, v = now.means, np.array(now.means), np.zeros(now.masses.shape)
    m[used] = now.plan.row_means(problem.plan_x)
    v[used] = now.plan.column_potential
    sites = (1 - a) * c + a * m
    constants = (1 - 2 * a) * np.sum(c * c, axis=2) + 2 * a * np.sum(m * c, axis=2) + a * v
    constants -= objective.lagrangian * np.log2(np.where(used, now.masses, 1.0))
    return sites, np.where(used, constants, np.inf)


def descend(
    start: CodebookEncoder,
    problem: Problem,
    objective: Objective,
    *,
    steps: int = 30,
    tolerance: float = 1e-4,
) -> Candidate:
    """Lower ``J`` from an encoder until a step gains less than ``tolerance`` of it.

    Raises:
        NotConverged: a plan was not found.
    """
    now = judge(start, problem, objective)
    for _ in range(steps):
        sites, constants = _step(now, problem, objective)
        before = now.value
        for part in (1.0, 0.5, 0.25, 0.0625, 0.015625):
            trial = judge(_blend(now.encoder, sites, constants, part), problem, objective)
            if trial.value < now.value:
                now = trial
                break
        if before - now.value <= tolerance * before:
            break
    return now


def _blend(
    encoder: CodebookEncoder, sites: Array, constants: Array, part: float
) -> CodebookEncoder:
    """Part of the way from one power diagram to another, linear in ``e`` and ``b = |e|^2 + o``."""
    old = np.sum(np.square(encoder.sites), axis=2) + encoder.offsets
    e = encoder.sites + part * (sites - encoder.sites)
    finite = np.isfinite(constants) & np.isfinite(old)
    b = np.where(finite, np.where(finite, old, 0) * (1 - part), np.inf)
    b = b + part * np.where(finite, constants, 0.0)
    return CodebookEncoder(e, b - np.sum(e * e, axis=2))


def start_encoders(
    problem: Problem, base: Array, seeds: int, count: int, rng: np.random.Generator
) -> Iterator[CodebookEncoder]:
    """``K`` copies of the MMSE codebook, then ``count`` variations: perturbed, rotated, independent.

    Args:
        problem: its plan samples make the independent codebooks.
        base: MMSE codebook, shape ``(M, d)``.
        seeds: ``K``.
        count: how many variations.
        rng: for all of them.
    """
    M, d = base.shape
    flat = np.zeros((seeds, M))
    copies = np.repeat(base[None], seeds, axis=0)
    centre = problem.weights @ problem.x
    size = float(np.sqrt(np.mean(np.square(base - centre))))
    yield CodebookEncoder(copies, flat)
    for k in range(count):
        if k % 3 == 1 and 2 <= d <= _ROTATED_UP_TO:
            turns = [np.linalg.qr(rng.standard_normal((d, d)))[0] for _ in range(seeds)]
            yield CodebookEncoder(np.stack([centre + (base - centre) @ q for q in turns]), flat)
        elif k % 3 == 2:
            books = [
                lloyd(problem.plan_x, M, rng=rng, weights=problem.plan_weights, starts=1).points
                for _ in range(seeds)
            ]
            whole = all(book.shape == base.shape for book in books)
            yield CodebookEncoder(np.stack(books) if whole else copies, flat)
        else:
            yield CodebookEncoder(copies + 0.3 * size * rng.standard_normal(copies.shape), flat)


def search(
    problem: Problem,
    base: Array,
    seeds: int,
    objective: Objective,
    *,
    rng: np.random.Generator,
    settings: Search,
    progress: Callable[[int, int], None],
) -> tuple[Candidate, Candidate]:
    """The best design found, and the best start: variations of the MMSE codebook as they are.

    Args:
        problem: samples.
        base: MMSE codebook, shape ``(M, d)``.
        seeds: ``K``.
        objective: ``J``.
        rng: for the starts and the annealing.
        settings: how much to spend.
        progress: called with descents done and to do.

    Raises:
        NotConverged: a plan was not found.
    """
    total = settings.starts * len(settings.temperatures)
    done = 0
    encoders = start_encoders(problem, base, seeds, settings.starts, rng)
    # Equal copies are a saddle point; only the variations leave it.
    best = raw = judge(next(encoders), problem, objective)
    for encoder in encoders:
        now = judge(encoder, problem, objective)
        raw = now if now.value < raw.value else raw
        for temperature in settings.temperatures:
            size = temperature * float(np.sqrt(now.mmse / now.means.shape[2]))
            sites = now.encoder.sites + size * rng.standard_normal(now.means.shape)
            moved = CodebookEncoder(sites, now.encoder.offsets)
            found = descend(
                moved, problem, objective, steps=settings.steps, tolerance=settings.tolerance
            )
            now = found if found.value < now.value else now
            done += 1
            progress(done, total)
        best = now if now.value < best.value else best
    return best, raw
