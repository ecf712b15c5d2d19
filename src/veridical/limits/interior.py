"""Newton's method on the optimality conditions of ``R(D, P)``, with a predictor and a corrector.

Everything is in nats, on a source law without zeros. The dual programme is

    maximise  sum_i p_i a_i + T(g, mu) - lambda D - mu P
    subject to  L_j = log sum_i p_i exp(a_i - lambda d_ij) <= g_j,

where ``T`` belongs to the divergence. The multiplier of the constraint on ``L_j`` is the output law
``q_j``, and ``w_ij = p_i exp(a_i - lambda d_ij - L_j)`` is the law of the source symbol given output
``j``. Each step solves the linearised conditions

    sum_j q_j w_ij = p_i,    D - sum_ij q_j w_ij d_ij = y,    y lambda = tau,
    L_j + s_j = g_j,         s_j q_j = tau

together with those of the perception block, and ``tau`` goes to zero. Every pair of a slack and its
multiplier (``(s, q)``, ``(lambda, y)`` and the block's own) stays positive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from veridical.arrays import Array

Pairs = list[tuple[Array, Array]]

# Fraction of the way to the boundary that a step may go: Newton's steps must stay inside.
_TO_BOUNDARY = 0.995
# A step that changes the logarithm of a posterior by more than this has left the range of the linear
# model; a small posterior may move further before it matters.
_TRUST_NATS = 3.0


@dataclass
class Point:
    """The variables that all divergences share, and what follows from them.

    Attributes:
        p: source law, shape ``(n,)``, positive.
        d: distortion, shape ``(n, m)``; forbidden pairs hold ``inf``.
        distortion: the constraint ``D``.
        a: multipliers of the rows, shape ``(n,)``.
        lam: multiplier of the distortion; ``y_lam`` is its slack.
        q: output law, shape ``(m,)``, positive; ``s`` is its slack.
    """

    p: Array
    d: Array
    distortion: float
    a: Array
    lam: float
    y_lam: float
    q: Array
    s: Array

    def __post_init__(self) -> None:
        self.log_p = np.log(self.p)[:, None]
        self.finite_d = np.where(np.isfinite(self.d), self.d, 0.0)
        self.forbidden = np.where(np.isfinite(self.d), 0.0, -np.inf)
        self.evaluate()

    def evaluate(self) -> None:
        """Bring ``L``, ``w``, the mean distortion per column and the residuals up to date."""
        exponent = self.log_p + self.a[:, None] - self.lam * self.finite_d + self.forbidden
        top = np.max(exponent, axis=0)
        weight = np.exp(exponent - top)
        total = np.sum(weight, axis=0)
        self.L = top + np.log(total)
        self.w = weight / total
        self.log_w = exponent - self.L
        self.wd = self.w * self.finite_d
        self.d_mean = np.sum(self.wd, axis=0)
        self.wq = self.w @ self.q
        # Newton on log(sum_j q_j w_ij) = log p_i: the same matrix, and no overshoot in a rare row.
        self.row_residual = self.wq * (np.log(self.wq) - self.log_p[:, 0])
        self.d_residual = self.distortion - float(self.q @ self.d_mean) - self.y_lam

    def curvature(self, omega: Array) -> Array:
        """Hessian of ``sum_j q_j L_j`` plus ``sum_j omega_j grad L_j grad L_j^T``, in (a, lambda)."""
        n = self.p.size
        out = np.empty((n + 1, n + 1))
        out[:n, :n] = (self.w * (omega - self.q)) @ self.w.T
        out.flat[: n * (n + 2) : n + 2] += self.wq
        out[n, :n] = self.w @ ((self.q - omega) * self.d_mean) - self.wd @ self.q
        out[:n, n] = out[n, :n]
        spread = np.sum(self.wd * self.finite_d, axis=0) - self.d_mean**2
        out[n, n] = self.q @ spread + omega @ self.d_mean**2 + self.y_lam / self.lam
        return out

    def gradient_sum(self, weights: Array) -> Array:
        """``sum_j weights_j grad L_j``: shape ``(n + 1,)``."""
        return np.append(self.w @ weights, -(weights @ self.d_mean))

    def gradient_apply(self, change: Array) -> Array:
        """``grad L_j . change`` for every ``j``: shape ``(m,)``."""
        return change[:-1] @ self.w - self.d_mean * change[-1]


@dataclass(frozen=True)
class Direction:
    """A step: ``x = (a, lambda)``, the output law, and the block's own variables.

    ``pairs`` holds the changes of each (slack, multiplier) in the order of :meth:`Block.pairs`.
    """

    x: Array
    q: Array
    s: Array
    y_lam: float
    pairs: Pairs


class Factored(Protocol):
    """The linearised conditions at one point, ready for several right-hand sides."""

    def direction(self, tau: float, corrections: list[Array]) -> Direction:
        """Solve; ``corrections`` are second-order terms, first (s, q), (lambda, y), then the block's."""


class Block(Protocol):
    """What a divergence contributes to the conditions."""

    mu: float
    fixes_law: bool

    def pairs(self) -> Pairs:
        """Slacks and multipliers of the block."""

    def factor(self, point: Point) -> Factored:
        """Linearise at a point."""

    def move(self, step: float, direction: Direction) -> None:
        """Take a step."""

    def trust(self, point: Point, direction: Direction, step: float) -> float:
        """Shorten a step that leaves the range of the block's linear model."""


def positive_solver(matrix: Array) -> Callable[[Array], Array]:
    """Solve with a symmetric matrix that is positive but for rounding, by a scaled Cholesky factor.

    The least diagonal shift that lets the factorisation through is added; one round of refinement
    removes most of its effect.
    """
    scale = np.sqrt(np.maximum(np.diag(matrix), 1e-300))
    scaled = matrix / scale[:, None] / scale[None, :]
    shifted = scaled.copy()
    shift = 1e-15
    while True:
        shifted.flat[:: matrix.shape[0] + 1] += shift
        try:
            factor = cho_factor(shifted, lower=True, check_finite=False)
            break
        except LinAlgError:
            shift *= 30.0
            if not shift < 1.0:
                raise

    def solve(right: Array) -> Array:
        wanted = right / scale
        found = np.asarray(cho_solve(factor, wanted, check_finite=False))
        rest = wanted - scaled @ found
        return (found + np.asarray(cho_solve(factor, rest, check_finite=False))) / scale

    return solve


def _all_pairs(point: Point, block: Block) -> Pairs:
    shared = [(np.atleast_1d(point.lam), np.atleast_1d(point.y_lam)), *block.pairs()]
    return shared if block.fixes_law else [(point.s, point.q), *shared]


def _all_changes(direction: Direction, block: Block) -> Pairs:
    shared = [(direction.x[-1:], np.atleast_1d(direction.y_lam)), *direction.pairs]
    return shared if block.fixes_law else [(direction.s, direction.q), *shared]


def _step(pairs: Pairs, changes: Pairs) -> float:
    worst = max(
        float(np.max(-change / value))
        for both, both_change in zip(pairs, changes, strict=True)
        for value, change in zip(both, both_change, strict=True)
    )
    return 1.0 if worst <= _TO_BOUNDARY else _TO_BOUNDARY / worst


def _mean_product(pairs: Pairs, changes: Pairs | None = None, step: float = 0.0) -> float:
    total, count = 0.0, 0
    for k, (slack, multiplier) in enumerate(pairs):
        if changes is not None:
            ahead = (slack + step * changes[k][0]) * (multiplier + step * changes[k][1])
        else:
            ahead = slack * multiplier
        total += float(np.sum(ahead))
        count += slack.size
    return total / count


def merit(point: Point, block: Block) -> float:
    """How far the optimality conditions are from being met: residuals and mean product."""
    rows = float(np.sum(np.abs(point.row_residual)))
    return rows + abs(point.d_residual) + _mean_product(_all_pairs(point, block))


def trust(point: Point, change: Array, step: float) -> float:
    """The step, shortened so that no posterior leaves the range of the linear model."""
    moved = change[:-1, None] - change[-1] * point.finite_d
    # What is the same for a whole column moves its L and nothing else.
    moved = moved - np.sum(moved * point.w, axis=0)
    reach = float(np.max(np.abs(moved) / (_TRUST_NATS - 0.5 * point.log_w)))
    return step / max(step * reach, 1.0)


def follow_path(point: Point, block: Block, *, careful: bool = False) -> float:
    """One predictor-corrector step; returns the fraction of the Newton step that was taken.

    A careful step has no corrector and centres more: where the corrector overshoots, it makes the
    iterates turn in a circle.

    Raises:
        LinAlgError: the linear system is not positive even with a shift, or not finite.
    """
    pairs = _all_pairs(point, block)
    system = block.factor(point)
    zero = [np.zeros(1)] * (len(pairs) + block.fixes_law)
    changes = _all_changes(system.direction(0.0, zero), block)
    mean = _mean_product(pairs)
    ahead = _mean_product(pairs, changes, _step(pairs, changes))
    # Mehrotra's rule: the better the predictor does, the less centring the corrector asks for.
    share = min(1.0, max((ahead / mean) ** 3, 1e-7))
    tau = mean * (max(share, 0.3) if careful else share)
    corrections = [slack * multiplier for slack, multiplier in changes]
    if block.fixes_law:
        corrections.insert(0, np.zeros(1))
    if careful:
        corrections = zero
    direction = system.direction(tau, corrections)
    step = _step(pairs, _all_changes(direction, block))
    if not np.all(np.isfinite(direction.x)):
        raise LinAlgError("the Newton step is not finite")
    step = block.trust(point, direction, trust(point, direction.x, step))
    point.a = point.a + step * direction.x[:-1]
    point.lam += step * float(direction.x[-1])
    point.y_lam += step * direction.y_lam
    if not block.fixes_law:
        point.q = point.q + step * direction.q
        point.s = point.s + step * direction.s
    block.move(step, direction)
    point.evaluate()
    return step
