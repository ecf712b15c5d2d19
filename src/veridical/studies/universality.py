"""Is one encoder enough for every perception? Without a seed yes; with a seed, not always.

An encoder ``f`` has ``D_f(P) = d + ((W2 - sqrt P)+)^2``; ``D*(P)`` is the least over all encoders
and the loss of ``f`` is ``max over P of D_f(P) / D*(P) - 1``. With ``K = 1`` the MMSE encoder
loses nothing ([T] Props 1, 2). With ``K = 2`` this holds on the circle, and fails for six even
points on a line: every encoder of one bit is enumerated there.

**Stochastic encoders** ``q_s(x) = P(Z = 1 | x, s)`` could do better than what is enumerated. That
they cannot do away with the loss is certified as follows. With the masses of the cells held fixed,
``d = E|X|^2 - E|X~|^2`` and ``D(0) = 2 E|X|^2 - 2 max E<X, X~>`` are concave in ``q`` (the first
because ``E|X~|^2`` is convex; the second because ``E<X, X~>`` is linear in ``q`` for a given plan).
So ``G = lambda d + (1 - lambda) D(0)`` is least at a vertex of ``{0 <= q <= 1, masses fixed}``,
where each seed splits at most one point. Over these, two numbers run from 0 to 1 for each choice of
the other points, and ``G`` is bounded below by branch and bound. An encoder of loss ``e`` has
``G <= (1 + e) (lambda min d + (1 - lambda) min D(0))``, which bounds ``e`` from below.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np

from veridical.arrays import Array
from veridical.errors import NotConverged
from veridical.interpolate import Calibration
from veridical.sources.planar import GaussianMixture, Spiral, TwoMoons
from veridical.studies.records import Record

LINE = np.array([-5.0, -2.0, -1.0, 1.0, 2.0, 5.0])
"""Equally likely points where no encoder of one bit and one seed bit serves every perception."""


@dataclass(frozen=True)
class Prices:
    """``d`` and ``W2^2(p_X, p_X~)`` of a list of encoders, squared units.

    Attributes:
        mmse: shape ``(N,)``.
        w2_squared: shape ``(N,)``.
    """

    mmse: Array = field(repr=False)
    w2_squared: Array = field(repr=False)

    def distortion(self, P: Array) -> Array:
        """``D_f(P)``, shape ``(N, len(P))`` ([T] eq. 40)."""
        gap = np.sqrt(self.w2_squared)[:, None] - np.sqrt(P)
        return self.mmse[:, None] + np.square(np.maximum(gap, 0.0))

    def losses(self, P: Array) -> Array:
        """The loss of each encoder over the perceptions of a list, shape ``(N,)``."""
        D = self.distortion(P)
        return np.max(D / np.min(D, axis=0), axis=1) - 1.0

    def mmse_first(self) -> int:
        """The encoder of least ``d`` and, of these, least ``W2``."""
        return int(np.lexsort((self.w2_squared, self.mmse.round(9)))[0])


def partitions(n: int) -> Array:
    """The ``2^(n-1)`` ways to put points into two cells, as zeros and ones, shape ``(., n)``."""
    rest = np.array(list(itertools.product((0.0, 1.0), repeat=n - 1)))
    return np.column_stack([np.zeros(len(rest)), rest])


def seeded_partitions(n: int) -> Array:
    """All unordered pairs of them: the deterministic encoders of ``M = K = 2``, ``(N, 2, n)``."""
    cells = partitions(n)
    first, second = np.triu_indices(len(cells))
    return np.stack([cells[first], cells[second]], axis=1)


def _cells(x: Array, q: Array) -> tuple[Array, Array]:
    """``P(z, s)``, shape ``(N, 2K)``, and ``E[X|z, s]``, shape ``(N, 2K, d)``, of even points."""
    n, K = x.shape[0], q.shape[1]
    both = np.concatenate([q, 1.0 - q], axis=1) / n
    masses = np.sum(both, axis=2)
    means = (both @ x) / np.where(masses > 0, masses, 1.0)[:, :, None]
    return masses / K, means


def line_prices(x: Array, q: Array) -> Prices:
    """Prices of encoders of even points on a line, deterministic or not.

    ``W2^2 = E X^2 + E X~^2 - 2 integral of F_X^-1 F_X~^-1``: the monotone plan is optimal.

    Args:
        x: ascending, shape ``(n,)``.
        q: ``P(Z = 1 | x, s)``, shape ``(N, K, n)``.
    """
    n = x.size
    masses, means = _cells(x[:, None], q)
    c = means[:, :, 0]
    order = np.argsort(c, axis=1)
    c, m = np.take_along_axis(c, order, 1), np.take_along_axis(masses, order, 1)
    levels = np.minimum(np.cumsum(m, axis=1), 1.0)
    integral = np.concatenate([[0.0], np.cumsum(x) / n])
    share = np.interp(levels, np.arange(n + 1) / n, integral)
    share = np.diff(share, axis=1, prepend=0.0)
    power, estimate = float(np.mean(x * x)), np.sum(m * c * c, axis=1)
    w2 = power + estimate - 2.0 * np.sum(c * share, axis=1)
    return Prices(power - estimate, np.maximum(w2, 0.0))


def plane_prices(x: Array, q: Array) -> Prices:
    """Prices of deterministic encoders of even points in space, by exact plans.

    Args:
        x: shape ``(n, d)``.
        q: shape ``(N, K, n)``.

    Raises:
        NotConverged: a plan was not found.
    """
    from veridical.transport import exact_plan

    masses, means = _cells(x, q)
    estimate = np.sum(masses * np.sum(np.square(means), axis=2), axis=1)
    w2 = [
        exact_plan(x, c[m > 0], y_weights=m[m > 0]).cost for c, m in zip(means, masses, strict=True)
    ]
    return Prices(float(np.mean(np.sum(x * x, axis=1))) - estimate, np.array(w2))


def loss_bound(x: Array, best: Prices, weight: float, floor: float) -> float:
    """A lower bound on the loss of *any* encoder of ``M = K = 2``, stochastic ones included.

    Branch and bound proves ``G >= floor`` (see the module).

    Args:
        x: even points on a line, ascending, shape ``(n,)``.
        best: prices of all deterministic encoders, for ``min d`` and ``min D(0)``.
        weight: ``lambda``, 0 to 1; any one gives a valid bound.
        floor: the value of ``G`` to prove.

    Returns:
        ``floor / (lambda min d + (1 - lambda) min D(0)) - 1``.

    Raises:
        NotConverged: an encoder with ``G < floor`` exists, or the proof takes too long.
    """
    patterns = _split_patterns(x.size)
    first, second = np.triu_indices(len(patterns))
    boxes = np.column_stack([first, second]).astype(np.int64)
    middle, half = np.full((len(boxes), 2), 0.5), 0.5
    # E|X~ - X~'| is at most (3/2) R |t - t'| / n when one seed's split moves from t to t', with R
    # the range; max E X X~ then moves by max|x| times that, and d by (1/2) R^2 |t - t'| / n.
    R, n = float(np.ptp(x)), x.size
    slope = weight * 0.5 * R**2 / n + (1 - weight) * 3.0 * R * float(np.max(np.abs(x))) / n
    for _ in range(14):
        low = np.empty(len(boxes))
        for k in range(0, len(boxes), 100_000):
            part = slice(k, k + 100_000)
            q = np.stack([_filled(patterns[boxes[part, s]], middle[part, s]) for s in (0, 1)], 1)
            found = line_prices(x, q)
            low[part] = weight * found.mmse + (1 - weight) * (found.mmse + found.w2_squared)
        if np.any(low < floor):
            raise NotConverged(f"an encoder with {np.min(low):.6g} is below the floor {floor:.6g}")
        open_ = low - 2.0 * slope * half < floor
        boxes, middle, half = boxes[open_], middle[open_], half / 2
        if not boxes.size:
            normal = weight * np.min(best.mmse)
            normal += (1 - weight) * np.min(best.mmse + best.w2_squared)
            return floor / float(normal) - 1.0
        corners = np.array(list(itertools.product((-half, half), repeat=2)))
        middle = (middle[:, None, :] + corners).reshape(-1, 2)
        boxes = np.repeat(boxes, 4, axis=0)
    raise NotConverged("branch and bound did not end; lower the floor")


def _split_patterns(n: int) -> Array:
    """Each choice of one split point (-1) and cells of the others, up to the names of the cells."""
    out = []
    for k in range(n):
        others = partitions(n - 1)
        out.append(np.insert(others, k, -1.0, axis=1))
    return np.concatenate(out)


def _filled(pattern: Array, t: Array) -> Array:
    return np.where(pattern < 0, t[:, None], pattern)


def circle_prices(n: int) -> tuple[Prices, Prices]:
    """``n`` even points of the unit circle, ``M = K = 2``: all encoders, and the rotated half circles.

    Up to rotation: the first partition is the least, as a binary number, of its rotated copies.

    Args:
        n: a multiple of 4, so that a quarter turn is one of the rotations.
    """
    angle = 2.0 * np.pi * np.arange(n) / n
    x = np.column_stack([np.cos(angle), np.sin(angle)])
    cells = partitions(n)
    first = _one_of_each_orbit(cells)
    q = np.stack([np.repeat(first, len(cells), axis=0), np.tile(cells, (len(first), 1))], axis=1)
    half = (np.arange(n) >= n // 2).astype(float)
    turned = np.stack([half, np.roll(half, n // 4)])[None]
    return plane_prices(x, q), plane_prices(x, turned)


def _one_of_each_orbit(cells: Array) -> Array:
    """Partitions that no rotation (and no exchange of the names) turns into a smaller one."""
    n = cells.shape[1]
    kept = []
    for row in cells:
        turns = [np.roll(row, k) for k in range(n)]
        turns = [np.abs(turn - turn[0]) for turn in turns]
        if tuple(row) == min(tuple(turn) for turn in turns):
            kept.append(row)
    return np.array(kept)


def one_seed_designs(shares: Array, *, samples: int = 240, outputs: int = 3) -> Array:
    """Without a seed: designs made for one perception each against the MMSE design.

    On samples of three sources the joint search, with one codebook and three starts, minimises
    ``d + ((W2 - sqrt P)+)^2`` for each ``P`` anew.

    Args:
        shares: ``P`` in units of the ``d`` of the MMSE design, shape ``(p,)``.
        samples: of each source.
        outputs: ``M``. The MMSE design is the best of 40 runs of Lloyd's algorithm.

    Returns:
        ``D(P) / d`` of the MMSE design and of the design per ``P``, shape ``(3, 2, p)``.
    """
    from veridical.oneshot.joint import Search, search
    from veridical.oneshot.objective import Objective, Problem
    from veridical.quantize import lloyd

    table = np.empty((3, 2, len(shares)))
    for k, source in enumerate((GaussianMixture(), TwoMoons(), Spiral())):
        rng = np.random.default_rng([7, k])
        x = source.sample(samples, rng)
        book = lloyd(x, outputs, rng=rng, starts=40)
        law = np.full(samples, 1.0 / samples)
        problem, price = Problem(x, law, x, law), Calibration(book.mmse, book.mmse)
        for j, share in enumerate(shares):
            P = float(share) * price.mmse
            found, _ = search(
                problem, book.points, 1, Objective(P), rng=rng,
                settings=Search(starts=3, temperatures=(0.3, 0.0), steps=10),
                progress=lambda done, total: None,
            )  # fmt: skip
            table[k, :, j] = price.distortion_for(P) / price.mmse, found.value / price.mmse
    return table


def compute() -> Record:
    """The study: designs per perception at ``K = 1``; the octagon; the line; and its certificate."""
    shares = np.array([0.0, 0.1, 0.4, 0.8])
    designs = one_seed_designs(shares)
    everything, turned = circle_prices(8)
    circle_P = np.linspace(0.0, 0.8, 201) ** 2
    line, q = line_prices(LINE, seeded_partitions(LINE.size)), seeded_partitions(LINE.size)
    P = np.concatenate([np.linspace(0.0, 1.8, 361) ** 2, [np.inf]])
    losses = line.losses(P)
    zero = line.mmse + line.w2_squared
    shown = np.array([line.mmse_first(), int(np.argmin(losses)), int(np.argmin(zero))])
    normal = 0.5 * float(np.min(line.mmse) + np.min(zero))
    bound = loss_bound(LINE, line, 0.5, 1.12 * normal)
    circle_D = everything.distortion(circle_P)
    facts = {
        "one_seed_worst_loss": float(np.max(designs[:, 0] / designs[:, 1])) - 1.0,
        "circle_encoders": int(everything.mmse.size),
        "circle_loss": float(np.max(turned.distortion(circle_P)[0] / np.min(circle_D, axis=0)))
        - 1.0,
        "line_points": LINE.tolist(),
        "line_encoders": int(line.mmse.size),
        "line_loss_of_the_best_encoder": float(losses[shown[1]]),
        "line_loss_of_the_mmse_first_encoder": float(losses[shown[0]]),
        "line_loss_of_the_realism_first_encoder": float(losses[shown[2]]),
        "line_certified_loss_of_any_encoder": bound,
        "line_mmse": line.mmse[shown].tolist(),
        "line_w2_squared": line.w2_squared[shown].tolist(),
    }
    arrays = {
        "shares": shares, "one_seed": designs, "circle_P": circle_P,
        "circle_best": np.min(circle_D, axis=0), "circle_turned": turned.distortion(circle_P)[0],
        "P": P, "line_best": np.min(line.distortion(P), axis=0),
        "line_shown": line.distortion(P)[shown], "line_encoders": q[shown],
    }  # fmt: skip
    return Record("universality", facts, arrays)
