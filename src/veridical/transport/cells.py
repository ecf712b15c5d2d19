"""Semi-discrete transport: a law or many samples on one side, few weighted sites on the other.

The dual of ``min E|X - Y|^2`` with ``Y`` on sites ``y_j`` of masses ``b_j`` is

    max over g of E[min_j |X - y_j|^2 - g_j] + sum_j b_j g_j,

concave, with the gradient ``b_j - P(X in cell j)``; the cells ``{x: j = argmin |x - y_j|^2 - g_j}``
are the Laguerre cells (power diagram) of the sites, and the map of a cell to its site is the
optimal one. Averaged stochastic gradient: Genevay, Cuturi, Peyre and Bach (2016).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array, Whole
from veridical.errors import InvalidSetting
from veridical.transport.plan import check_dimensions, weighted_points

Sampler = Callable[[int, np.random.Generator], Array]
"""Draws ``(n, d)`` samples of a law."""

_CHUNK = 4_000_000


def power_assign(x: Array, sites: Array, offsets: Array) -> Whole:
    """``argmin_j |x - y_j|^2 + o_j`` for each row of ``x``; the lowest ``j`` of equal ones.

    Args:
        x: shape ``(n, d)``.
        sites: shape ``(m, d)``.
        offsets: shape ``(m,)``; infinite for a site that is never chosen.
    """
    nearest = np.empty(x.shape[0], dtype=np.int64)
    step = max(1, _CHUNK // max(sites.shape[0], 1))
    for first in range(0, x.shape[0], step):
        part = slice(first, first + step)
        nearest[part] = np.argmin(_scores(x[part], sites, offsets), axis=1)
    return nearest


def _scores(x: Array, sites: Array, offsets: Array) -> Array:
    """``|x - y_j|^2 + o_j - |x - c|^2``, ``c`` the middle of the sites (against cancellation)."""
    centre = np.mean(sites, axis=0)
    moved = sites - centre
    return (x - centre) @ (-2.0 * moved.T) + (np.sum(np.square(moved), axis=1) + offsets)


@dataclass(frozen=True)
class LaguerreCells:
    """Cells of the optimal map to weighted sites.

    Attributes:
        sites: shape ``(m, d)``.
        potential: ``g``, shape ``(m,)``.
    """

    sites: Array = field(repr=False)
    potential: Array = field(repr=False)

    def assign(self, x: ArrayLike) -> Whole:
        """The site to which each (new) sample goes, shape ``(n,)``.

        Raises:
            InvalidSetting: bad points, or of another dimension than the sites.
        """
        points, _ = weighted_points(x, name="samples")
        check_dimensions(points, self.sites)
        return power_assign(points, self.sites, -self.potential)


def learn_cells(
    source: ArrayLike | Sampler,
    sites: ArrayLike,
    *,
    rng: np.random.Generator,
    masses: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    start: ArrayLike | None = None,
    steps: int = 2000,
    batch: int = 256,
) -> LaguerreCells:
    """Learn the potential by averaged stochastic gradient ascent on the dual.

    Step ``k`` moves ``g`` by ``gamma / sqrt k`` times the gradient of a batch; the result is the
    mean over the second half of the path. ``gamma`` is ``m`` times the mean squared distance to
    the nearest site, the size of a Newton step for cells of equal mass. How good the cells are
    is told by :func:`~veridical.transport.refine.refined_plan`.

    Args:
        source: samples ``(n, d)``, or a function that draws them.
        sites: shape ``(m, d)``.
        rng: source of the batches.
        masses: of the sites, shape ``(m,)``, equal if left out.
        weights: of the samples, shape ``(n,)``; not with a function.
        start: first potential, shape ``(m,)``; zero if left out.
        steps: how many, 2 or more.
        batch: samples in each, 1 or more.

    Raises:
        InvalidSetting: bad points, weights or numbers.
    """
    y, b = weighted_points(sites, masses, name="sites")
    if steps < 2 or batch < 1:
        raise InvalidSetting(f"{steps} steps of {batch} samples teach nothing; use 2 and 1 or more")
    draw = _sampler(source, weights)
    first = draw(max(batch, 1000), rng)
    check_dimensions(first, y)
    g = np.zeros(b.size) if start is None else np.array(start, dtype=np.float64)
    if g.shape != b.shape or not np.all(np.isfinite(g)):
        raise InvalidSetting(f"the first potential must be {b.size} finite numbers, one per site")
    gap = _scores(first, y, np.zeros(b.size))
    spread = np.mean(np.min(gap, axis=1) + np.sum(np.square(first - np.mean(y, axis=0)), axis=1))
    gamma = b.size * max(float(spread), 0.0)
    mean, half = np.zeros(b.size), steps // 2
    for k in range(steps):
        hit = power_assign(draw(batch, rng), y, -g)
        g = g + gamma / np.sqrt(k + 1.0) * (b - np.bincount(hit, minlength=b.size) / batch)
        if k >= half:
            mean += (g - mean) / (k - half + 1)
    return LaguerreCells(y, mean - float(b @ mean))


def _sampler(source: ArrayLike | Sampler, weights: ArrayLike | None) -> Sampler:
    if callable(source):
        if weights is not None:
            raise InvalidSetting("weights belong to samples; a function draws its own law")
        return source
    x, a = weighted_points(source, weights, name="samples")
    levels = np.cumsum(a)
    levels[-1] = 1.0

    def draw(count: int, rng: np.random.Generator) -> Array:
        return x[np.searchsorted(levels, rng.random(count), side="right")]

    return draw
