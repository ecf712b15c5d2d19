"""The whole plane ``R(D, P)`` of a finite source between two surfaces.

``R`` is jointly convex and decreasing ([BM] Theorem 1). Below it lies every cut

    R(D', P') >= lower_k - lambda_k (D' - D_k) - mu_k (P' - P_k)

of a solved point; above it lie the mixtures of solved points. The rectangle is cut into triangles
with solved corners; on each, mixture less cuts is a maximum of minima of linear functions, whose value
is that of a small matrix game. The triangle with the largest value is split until all are below the
tolerance, so that the tolerance holds everywhere and not at grid points only.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.arrays import Array
from veridical.errors import InvalidSetting, NotConverged
from veridical.limits.bound import Bound
from veridical.limits.checks import non_negative, positive_float
from veridical.limits.divergence import Divergence
from veridical.limits.finite import FiniteSource
from veridical.limits.rate import least_rate

Corner = tuple[float, float]
Triangle = tuple[Corner, Corner, Corner]


@dataclass(frozen=True)
class Surface:
    """Bounds on ``R(D, P)`` over a rectangle.

    Attributes:
        points: every solved point.
        triangles: corners as indices into ``points``, shape ``(t, 3)``; they cover the rectangle.
        gap_bits: largest distance between the two surfaces, proven.
        divergence: how perception is measured.
    """

    points: tuple[Bound, ...] = field(repr=False)
    triangles: NDArray[np.intp] = field(repr=False, compare=False)
    gap_bits: float
    divergence: Divergence

    def lower_bits(self, distortion: ArrayLike, perception: ArrayLike) -> Array:
        """The best cut at each (D, P), arrays broadcast; valid in the whole plane."""
        D, P = self._arguments(distortion, perception)
        cuts = [_cut(b, self.divergence, D, P) for b in self.points]
        return np.maximum(np.max(cuts, axis=0), 0.0)

    def upper_bits(self, distortion: ArrayLike, perception: ArrayLike) -> Array:
        """The mixture at each (D, P), arrays broadcast; ``inf`` below the rectangle.

        Beyond its upper ends the nearest point of the rectangle serves, since ``R`` is decreasing.
        """
        D, P = self._arguments(distortion, perception)
        corners = np.array(
            [[b.distortion, _inner(self.divergence, b.perception)] for b in self.points]
        )
        # In a unit that costs no digit: products of two differences are a unit to the fourth.
        unit = 2.0 ** np.frexp(np.max(corners, axis=0))[1].astype(np.float64)
        corners /= unit
        x, y = D / unit[0], _inner(self.divergence, P) / unit[1]
        x, y = (
            np.minimum(v, most) for v, most in zip((x, y), np.max(corners, axis=0), strict=True)
        )
        values = np.array([b.upper_bits for b in self.points])
        out = np.full(x.shape, np.inf)
        for triangle in self.triangles:
            (x0, y0), (x1, y1), (x2, y2) = corners[triangle]
            area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
            w1 = ((x - x0) * (y2 - y0) - (x2 - x0) * (y - y0)) / area
            w2 = ((x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)) / area
            w0 = 1.0 - w1 - w2
            inside = np.minimum(np.minimum(w0, w1), w2) >= -1e-12
            mixed = w0 * values[triangle[0]] + w1 * values[triangle[1]] + w2 * values[triangle[2]]
            out = np.where(inside, np.minimum(out, mixed + 1e-11), out)
        return out

    def level(self, rate_bits: float, perception: ArrayLike) -> tuple[Array, Array]:
        """For each ``P``: distortions between which the level set ``R(D, P) = rate`` must lie.

        The first is not reachable at that rate, the second is; ``inf`` where the rectangle ends
        before it is.
        """
        P = non_negative(perception, "perception")
        ends = [b.distortion for b in self.points]
        return self._cross(self.lower_bits, rate_bits, P, ends=ends, upper=False), self._cross(
            self.upper_bits, rate_bits, P, ends=ends, upper=True
        )

    def _cross(
        self,
        bound: Callable[[ArrayLike, ArrayLike], Array],
        rate: float,
        P: Array,
        *,
        ends: list[float],
        upper: bool,
    ) -> Array:
        low, high = np.full(P.shape, min(ends)), np.full(P.shape, max(ends))
        reached = bound(high, P) <= rate
        never = bound(low, P) <= rate
        for _ in range(50):
            middle = 0.5 * (low + high)
            below = bound(middle, P) <= rate
            low, high = np.where(below, low, middle), np.where(below, middle, high)
        crossing = np.where(never, min(ends) if upper else 0.0, high if upper else low)
        return np.where(reached, crossing, np.inf if upper else max(ends))

    def _arguments(self, distortion: ArrayLike, perception: ArrayLike) -> tuple[Array, Array]:
        D, P = np.broadcast_arrays(
            non_negative(distortion, "distortion"), non_negative(perception, "perception")
        )
        return D, P


def _inner(divergence: Divergence, perception: ArrayLike) -> Array:
    """The coordinate in which the constraint is convex: the measure itself but for Renyi's."""
    return np.vectorize(divergence.inner, otypes=[float])(perception)


def _cut(b: Bound, divergence: Divergence, D: Array, P: Array) -> Array:
    slope_d, slope_p = b.slope_distortion, b.slope_perception
    if not (math.isfinite(slope_d) and math.isfinite(slope_p)):
        # A point where only one channel is left has a vertical cut: it says nothing elsewhere.
        return np.zeros(np.broadcast(D, P).shape)
    drop_d = slope_d * (D - b.distortion)
    drop_p = slope_p * (_inner(divergence, P) - _inner(divergence, b.perception))
    rounding = 1e-14 * (slope_d * (D + b.distortion) + np.abs(drop_p) + b.lower_bits)
    return b.lower_bits - drop_d - drop_p - rounding


class _Refinement:
    def __init__(
        self,
        source: FiniteSource,
        divergence: Divergence,
        tolerance: float,
        progress: Callable[[int], None],
    ) -> None:
        self.progress = progress
        self.source, self.divergence, self.tolerance = source, divergence, tolerance
        self.solved: dict[Corner, int] = {}
        self.points: list[Bound] = []

    def solve(self, corner: Corner) -> int:
        if corner not in self.solved:
            try:
                found = least_rate(
                    self.source, *corner, divergence=self.divergence,
                    tolerance_bits=min(1e-6, 0.01 * self.tolerance),
                )  # fmt: skip
            except NotConverged as failure:
                # A wider bracket is still one; the refinement works with what it has.
                if not isinstance(failure.best, Bound) or math.isinf(failure.best.upper_bits):
                    raise
                found = failure.best
            self.solved[corner] = len(self.points)
            self.points.append(found)
            self.progress(len(self.points))
        return self.solved[corner]

    def gap(self, triangle: Triangle) -> float:
        """Largest distance from the mixture of the corners down to their own cuts."""
        own = [self.points[self.solve(corner)] for corner in triangle]
        D, P = np.array([[c[0] for c in triangle], [c[1] for c in triangle]])
        upper = np.array([b.upper_bits for b in own])
        cuts = np.array([_cut(b, self.divergence, D, P) for b in own] + [np.zeros(3)])
        return _game_value(upper[None, :] - cuts)

    def split(self, triangle: Triangle) -> tuple[Triangle, Triangle]:
        """Halve the edge above whose middle the two surfaces are farthest apart."""
        a, b, c = max(
            ((triangle[k], triangle[(k + 1) % 3], triangle[(k + 2) % 3]) for k in range(3)),
            key=lambda edge: self._middle_gap(edge[0], edge[1]),
        )
        middle = self._middle(a, b)
        return (a, middle, c), (middle, b, c)

    def _middle(self, a: Corner, b: Corner) -> Corner:
        D = 0.5 * (a[0] + b[0])
        y = 0.5 * (self.divergence.inner(a[1]) + self.divergence.inner(b[1]))
        return D, a[1] if a[1] == b[1] else float(self.divergence.outer(y))

    def _middle_gap(self, a: Corner, b: Corner) -> float:
        ends = [self.points[self.solve(a)], self.points[self.solve(b)]]
        D, P = (np.array([x]) for x in self._middle(a, b))
        cut = max(float(_cut(end, self.divergence, D, P)[0]) for end in ends)
        return 0.5 * (ends[0].upper_bits + ends[1].upper_bits) - max(cut, 0.0)


def _game_value(G: Array) -> float:
    """``max over mixtures w of min_k sum_v w_v G_kv``, bounded from above by its dual."""
    from scipy.optimize import linprog

    k, v = G.shape
    found = linprog(
        np.append(np.zeros(k), 1.0),
        A_ub=np.column_stack([G.T, -np.ones(v)]),
        b_ub=np.zeros(v),
        A_eq=np.append(np.ones(k), 0.0)[None, :],
        b_eq=[1.0],
        bounds=[(0, None)] * k + [(None, None)],
    )
    mixture = np.maximum(found.x[:k], 0.0) if found.success else np.full(k, 1.0 / k)
    # Whatever mixture of the cuts: its largest value over the corners is an upper bound.
    return float(np.max(mixture @ G / np.sum(mixture)))


def surface(
    source: FiniteSource,
    distortion: tuple[float, float],
    perception: tuple[float, float],
    *,
    divergence: Divergence,
    tolerance_bits: float = 1e-3,
    max_points: int = 5000,
    progress: Callable[[int, int], None] = lambda solved, most: None,
) -> Surface:
    """Bracket ``R(D, P)`` over a rectangle to a tolerance that holds everywhere in it.

    Args:
        source: law and distortion.
        distortion: least and largest ``D``.
        perception: least and largest ``P``, finite.
        divergence: how perception is measured.
        tolerance_bits: largest distance between the two surfaces.
        max_points: largest number of solved points.
        progress: called with the number of solved points and the largest number.

    Raises:
        InvalidSetting: bad input, or the corner (least D, least P) is infeasible.
        NotConverged: too many points; ``best`` is the surface so far.
    """
    tolerance = positive_float(tolerance_bits, "tolerance_bits")
    (d0, d1), (p0, p1) = (
        non_negative(distortion, "distortion"),
        non_negative(perception, "perception"),
    )
    if not (d0 < d1 < math.inf and p0 < p1 < math.inf):
        raise InvalidSetting("give a rectangle: two increasing finite ends of each range")
    work = _Refinement(source, divergence, tolerance, lambda k: progress(k, max_points))
    a, b, c, d = (
        (float(d0), float(p0)),
        (float(d1), float(p0)),
        (float(d1), float(p1)),
        (float(d0), float(p1)),
    )
    heap = [(-work.gap(t), t) for t in ((a, b, c), (a, c, d))]
    heapq.heapify(heap)
    while -heap[0][0] > tolerance and len(work.points) < max_points:
        _, triangle = heapq.heappop(heap)
        for part in work.split(triangle):
            heapq.heappush(heap, (-work.gap(part), part))
    indices = np.array([[work.solved[corner] for corner in t] for _, t in heap])
    found = Surface(tuple(work.points), indices, -heap[0][0], divergence)
    if found.gap_bits > tolerance:
        raise NotConverged(
            f"the surfaces are still {found.gap_bits:.2g} bits apart after {len(work.points)} points; "
            "ask for a larger tolerance or a smaller rectangle",
            best=found,
        )
    return found
