"""Newton's method on the dual of semi-discrete transport between many samples and few sites.

    q(g) = sum_i a_i min_j (|x_i - y_j|^2 - g_j) + sum_j b_j g_j

is concave with the gradient ``b_j - a(cell j)``. For a law with a density, the second derivative
with respect to ``g_j`` and ``g_k`` is the density of ``|X - y_j|^2 - g_j - |X - y_k|^2 + g_k`` at 0
between neighbours (Kitagawa, Merigot and Thibert 2019); here it is counted in a narrow band on both
sides of the border. Steps are damped until ``q`` rises (Levenberg and Marquardt), so that a bad count costs time only.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from veridical.arrays import Array, Whole
from veridical.transport.cells import _CHUNK, _scores

_STEPS = 60
_MOST_DAMPING = 1e3
_BAND = 0.01
_MOST_SITES = 1_000


@dataclass(frozen=True)
class Borders:
    """Where samples lie in the cells of a potential.

    Attributes:
        cell: the site of each sample, shape ``(n,)``.
        second: the next best site; the same one where there is no other.
        margin: by how much the second is dearer; infinite where there is no other.
        value: ``q(g)``, a lower bound on the transport cost, squared units.
    """

    cell: Whole = field(repr=False)
    second: Whole = field(repr=False)
    margin: Array = field(repr=False)
    value: float


def borders(x: Array, a: Array, y: Array, b: Array, g: Array) -> Borders:
    """Cells, second choices and the dual value of a potential.

    Args:
        x: samples, shape ``(n, d)``.
        a: their law, shape ``(n,)``.
        y: sites, shape ``(m, d)``.
        b: their law, shape ``(m,)``.
        g: potential, shape ``(m,)``.
    """
    n, m = a.size, b.size
    cell, margin = np.empty(n, dtype=np.int64), np.full(n, np.inf)
    second = cell if m == 1 else np.empty(n, dtype=np.int64)
    step = max(1, _CHUNK // m)
    for first in range(0, n, step):
        part = slice(first, first + step)
        scores = _scores(x[part], y, -g)
        if m == 1:
            cell[part] = 0
            continue
        best = np.argmin(scores, axis=1)
        row = np.arange(best.size)
        least = scores[row, best]
        scores[row, best] = np.inf
        other = np.argmin(scores, axis=1)
        cell[part], second[part] = best, other
        margin[part] = scores[row, other] - least
    f = np.sum(np.square(x - y[cell]), axis=1) - g[cell]
    return Borders(cell, second, margin, float(a @ f + b @ g))


def newton_potential(
    x: Array, a: Array, y: Array, b: Array, g: Array, *, share: float = 1e-6
) -> tuple[Array, Borders]:
    """Raise ``q`` from ``g`` until the cells miss their masses by no more than a sample or so each.

    Args:
        x: samples, shape ``(n, d)``.
        a: their law, shape ``(n,)``.
        y: sites, shape ``(m, d)``.
        b: their law, shape ``(m,)``; sites without mass are left alone.
        g: first potential, shape ``(m,)``.
        share: stops as well when a step raises ``q`` by less than this share of it.

    Returns:
        The potential, no worse than ``g``, and its borders. With more than 1,000 sites it is ``g``
        itself: the linear system would cost more than it saves.
    """
    now = borders(x, a, y, b, g)
    if not 1 < b.size <= _MOST_SITES:
        return g, now
    damping = 1e-3
    for _ in range(_STEPS):
        lack = b - np.bincount(now.cell, a, b.size)
        if np.max(np.abs(lack)) <= np.max(a):
            break
        trial = g + np.where(b > 0, np.linalg.solve(_damped(now, a, b, damping), lack), 0.0)
        found = borders(x, a, y, b, trial)
        if found.value > now.value:
            small = found.value - now.value <= share * abs(now.value)
            g, now, damping = trial, found, max(damping / 8, 1e-4)
            if small:
                break
        elif damping > _MOST_DAMPING:
            break
        else:
            damping *= 4
    return g, now


def _damped(now: Borders, a: Array, b: Array, damping: float) -> Array:
    """The weighted graph Laplacian of the borders, with a share of its diagonal added."""
    m = b.size
    wide = int(min(a.size, max(_BAND * a.size, 5 * m)))
    width = float(np.partition(now.margin, wide - 1)[wide - 1])
    near = now.margin <= width
    pair = now.cell[near] * m + now.second[near]
    mass = np.bincount(pair, a[near], m * m).reshape(m, m) / (2.0 * max(width, 1e-300))
    H = -(mass + mass.T)
    np.fill_diagonal(H, 0.0)
    density = -np.sum(H, axis=1)
    # Cells without neighbours in reach move as if they had a small share of the borders.
    H[np.diag_indices(m)] = density + damping * (density + float(np.mean(density)) + 1e-300)
    return H
