"""A map that nearly reaches ``W2^2`` for laws that are not normal: projection pursuit after the affine map.

The optimal map between normal laws of the same moments comes first (:mod:`~veridical.generate.gaussian_map`).
What is left are differences in shape. Every step takes the direction ``f`` in which output and source
still differ most and moves the output along ``g`` by the monotone map ``t`` of the line, which is optimal there,

    y <- y + g (t(f y) - f y),   g = A f / (f A f),

the method of Meng et al. 2019 (*Large-scale optimal transport map estimation using projection pursuit*) with
another start and another metric: with ``A`` the matrix of the affine map, a step after it is again the gradient
of a convex function of ``X~``, so that one step, or several along directions that do not see each other, is the
optimal map. Steps that see each other cost more than ``W2^2`` by the second order of what they move.

Directions are those of non-normal projections of source and output (kurtosis, the fixed point of FastICA,
Hyvarinen and Oja 1997), made better by ascent of the gap itself. A step stays if it closes the gap on samples
held out as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array
from veridical.errors import InvalidSetting
from veridical.generate.gaussian_map import GaussianMap
from veridical.transport import weighted_points

__all__ = ["PursuitMap"]


_HELD_OUT = 0.2
_FEWEST = 200
_SEARCHED = 8_000
"""Samples in the search of directions."""
_CANDIDATES = 16
_REFUSED = 6
_KNOTS_PER_ROOT = 2.0
_TAIL = 5.0
"""Samples beyond the outer knots; the map goes on there with slope 1."""


@dataclass(frozen=True)
class PursuitMap:
    """From ``X~`` to ``X-``: the affine map, steps along directions, and moments once more.

    Attributes:
        first: the affine map, with noise where the estimate has fewer dimensions than the source.
        seen: ``f`` of every step, shape ``(steps, d)``.
        moved: ``g`` of every step, shape ``(steps, d)``.
        before: knots of ``t`` on the line, shape ``(steps, knots)``, rising.
        after: where they go, likewise.
        last: to the mean and the covariance of the source.
    """

    first: GaussianMap
    seen: Array = field(repr=False)
    moved: Array = field(repr=False)
    before: Array = field(repr=False)
    after: Array = field(repr=False)
    last: GaussianMap = field(repr=False)

    @classmethod
    def fitted(
        cls, x_mmse: ArrayLike, x: ArrayLike, *, rng: np.random.Generator, steps: int = 100
    ) -> PursuitMap:
        """The map between two sets of samples, shapes ``(n, d)`` and ``(m, d)``.

        Give the very samples that the estimates belong to, row by row: what the two sets have by chance is then
        the same in both.

        Args:
            x_mmse: estimates, 200 or more, of a law without atoms (``design`` has plans for codebooks).
            x: samples of the source, 200 or more.
            rng: of the search and of the noise.
            steps: the most to take.

        Raises:
            InvalidSetting: bad samples, too few, or of different dimensions.
        """
        first = GaussianMap.fitted(x_mmse, x)
        y, target = first.generate(weighted_points(x_mmse)[0], rng), weighted_points(x)[0]
        if min(len(y), len(target)) < _FEWEST or steps < 0:
            raise InvalidSetting(
                f"{len(y)} estimates, {len(target)} samples and {steps} steps; give {_FEWEST} of each and "
                "0 steps or more"
            )
        search = _Search(y, target, rng)
        A = np.eye(y.shape[1]) if np.any(first.noise) else first.matrix
        taken: list[tuple[Array, Array, Array, Array]] = []
        refused = 0
        while len(taken) < steps and refused < _REFUSED:
            f = search.direction(y)
            g = A @ f / (f @ A @ f)
            part, rest = search.split(y)
            want, want_rest = search.split(target)
            knots = _monotone(part @ f, want @ f)
            held = rest @ f
            if _gap(held + _shift(held, *knots), want_rest @ f) < _gap(held, want_rest @ f):
                y = y + np.outer(_shift(y @ f, *knots), g)
                taken.append((f, g, *knots))
                refused = 0
            else:
                search.refuse(f)
                refused += 1
        d, knots_each = y.shape[1], _knots(len(search.split(y)[0]))
        f, g, before, after = (
            np.array([step[k] for step in taken]).reshape(len(taken), width)
            for k, width in enumerate((d, d, knots_each, knots_each))
        )
        return cls(first, f, g, before, after, GaussianMap.fitted(y, target))

    def generate(self, x_mmse: Array, rng: np.random.Generator, context: Any = None) -> Array:
        """One sample for each estimate, shape ``(n, d)``."""
        del context
        y = self.first.generate(x_mmse, rng)
        for f, g, before, after in zip(self.seen, self.moved, self.before, self.after, strict=True):
            y = y + np.outer(_shift(y @ f, before, after), g)
        return self.last.generate(y, rng)


class _Search:
    """Directions in which output and source differ, where the source is white."""

    def __init__(self, y: Array, target: Array, rng: np.random.Generator) -> None:
        values, vectors = np.linalg.eigh(np.cov(target.T).reshape(y.shape[1], -1))
        used = values > 1e-9 * max(float(values[-1]), np.finfo(float).tiny)
        self.white = vectors[:, used] / np.sqrt(values[used])
        self.centre = target.mean(axis=0)
        self.target = (target[:_SEARCHED] - self.centre) @ self.white
        self.rng = rng
        self.refused: list[Array] = []
        self.candidates = _shapely(self.target, rng)

    @staticmethod
    def split(z: Array) -> tuple[Array, Array]:
        """Rows for fitting and rows held out."""
        cut = len(z) - int(_HELD_OUT * len(z))
        return z[:cut], z[cut:]

    def direction(self, y: Array) -> Array:
        """``f`` of the greatest gap found, shape ``(d,)``, of variance 1 under the source."""
        u = (y[:_SEARCHED] - self.centre) @ self.white
        starts = [*self.candidates, *_shapely(u, self.rng, 2), self.rng.standard_normal(u.shape[1])]
        starts = [w / np.linalg.norm(w) for w in map(self._new, starts) if np.linalg.norm(w) > 0.3]
        starts = starts or [_unit(self.rng.standard_normal(u.shape[1]))]
        starts.sort(key=lambda w: -_gap(u @ w, self.target @ w))
        found = [_ascended(u, self.target, w) for w in starts[:3]]
        return self.white @ max(found, key=lambda w: _gap(u @ w, self.target @ w))

    def refuse(self, f: Array) -> None:
        """Seek elsewhere from now on: where noise won, it would win again."""
        w = self._new(np.asarray(np.linalg.lstsq(self.white, f, rcond=None)[0], np.float64))
        if np.linalg.norm(w) > 1e-6:
            self.refused.append(_unit(w))

    def _new(self, w: Array) -> Array:
        for old in self.refused:
            w = w - old * (old @ w)
        return w


def _unit(w: Array) -> Array:
    return w / max(float(np.linalg.norm(w)), 1e-300)


def _shapely(v: Array, rng: np.random.Generator, most: int = _CANDIDATES) -> list[Array]:
    """Orthogonal directions of extreme kurtosis of white samples of mean 0."""
    found = np.zeros((0, v.shape[1]))
    for _ in range(min(most, v.shape[1])):
        w = rng.standard_normal(v.shape[1])
        for _ in range(40):
            w = _unit(w - found.T @ (found @ w))
            new = v.T @ (v @ w) ** 3 / len(v) - 3 * w
            new = _unit(new - found.T @ (found @ new))
            done = abs(float(new @ w)) > 1 - 1e-6
            w = new
            if done:
                break
        found = np.vstack([found, w])
    return list(found)


def _ascended(u: Array, v: Array, w: Array) -> Array:
    """A direction of greater gap: each step goes to the best one for the pairs of the step before."""
    n = min(len(u), len(v))
    u, v = u[:n], v[:n]
    best, last = w, 0.0
    for _ in range(20):
        a, b = u @ w, v @ w
        i, j = np.argsort(a), np.argsort(b)
        apart = a[i] - b[j]
        now = float(np.mean(np.square(apart)))
        if now < last * 1.002:
            break
        best, last = w, now
        w = _unit(apart @ (u[i] - v[j]))
    return best


def _gap(a: Array, b: Array) -> float:
    """Squared W2 of two sets of numbers."""
    if a.size != b.size:
        level = (np.arange(min(a.size, b.size)) + 0.5) / min(a.size, b.size)
        a, b = np.quantile(a, level), np.quantile(b, level)
    return float(np.mean(np.square(np.sort(a) - np.sort(b))))


def _knots(n: int) -> int:
    return int(max(8, _KNOTS_PER_ROOT * n**0.5))


def _monotone(a: Array, b: Array) -> tuple[Array, Array]:
    """Knots of the map from one set of numbers to another, evenly along its graph: steep parts have as many."""
    edge = _TAIL / min(a.size, b.size)
    level = np.linspace(edge, 1 - edge, min(a.size, b.size))
    x, y = np.quantile(a, level), np.quantile(b, level)
    along = x + y
    at = np.interp(np.linspace(along[0], along[-1], _knots(a.size)), along, level)
    return np.interp(at, level, x), np.interp(at, level, y)


def _shift(a: Array, before: Array, after: Array) -> Array:
    """``t(a) - a``, beyond the knots that of the last one."""
    return np.interp(a, before, after - before)
