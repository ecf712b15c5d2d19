"""Shannon's distortion-rate function of finitely many points with any reproduction in the line or the plane.

    Ds(R) = max over a, lambda of (sum_i p_i a_i - max_y L(y) - R) / lambda,   L(y) = log sum_i p_i exp(a_i - lambda |x_i - y|^2)

Solved on finitely many reproductions, which are moved to the maxima of ``L`` and joined by new ones until ``L`` is nowhere
larger (an exchange method). What proves the lower end: ``L(y) + lambda |y|^2`` is convex, so that on a box ``L`` exceeds its
largest corner by at most ``lambda`` times the sum of the squared half sides; boxes are split until that is little.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from veridical.arrays import Array, check_spread
from veridical.errors import InvalidSetting
from veridical.limits.checks import constraint, law
from veridical.limits.coupling import information
from veridical.limits.finite import FiniteSource, normal_form
from veridical.limits.search import search

_ROUNDS = 25
_QUIET = 3
_MOST_BOXES = 100_000


def points_of(values: ArrayLike, n: int) -> Array:
    """``n`` points as rows.

    Raises:
        InvalidSetting: something else.
    """
    array = np.array(values, dtype=np.float64)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or array.shape[0] != n or not np.all(np.isfinite(array)):
        raise InvalidSetting(
            f"points must be {n} finite numbers or rows, one per probability, got shape {array.shape}"
        )
    if not 1 <= array.shape[1] <= 2:
        raise InvalidSetting(
            f"reproductions are searched in one or two dimensions, got {array.shape[1]}; project the points"
        )
    check_spread(array, "points")
    return array


def squared_distances(x: Array, y: Array) -> Array:
    """``|x_i - y_j|^2``."""
    return np.sum(np.square(x[:, None, :] - y[None, :, :]), axis=2)


class _Potential:
    """``L`` and its posteriors."""

    def __init__(self, x: Array, p: Array, a: Array, lam: float) -> None:
        self.x, self.weight, self.lam = x, np.log(p) + a, lam

    def value(self, y: Array) -> Array:
        """``L`` at rows of ``y``."""
        return logsumexp(self.weight[:, None] - self.lam * squared_distances(self.x, y), axis=0)

    def means(self, y: Array) -> Array:
        """The mean of the posterior at each row of ``y``."""
        exponent = self.weight[:, None] - self.lam * squared_distances(self.x, y)
        return np.exp(exponent - logsumexp(exponent, axis=0)).T @ self.x

    def climb(self, y: Array, steps: int = 12) -> Array:
        """Rows of ``y`` moved uphill: Newton's step where ``L`` is concave and it rises, else the posterior's mean."""
        eye = np.eye(y.shape[1])
        for _ in range(steps):
            exponent = self.weight[:, None] - self.lam * squared_distances(self.x, y)
            share = np.exp(exponent - logsumexp(exponent, axis=0))
            mean = share.T @ self.x
            off = self.x[:, None, :] - mean
            spread = np.einsum("ik,ikd,ike->kde", share, off, off)
            hessian = eye - 2.0 * self.lam * spread
            concave = np.linalg.eigvalsh(hessian)[:, 0] > 1e-3
            newton = mean.copy()
            step = np.linalg.solve(hessian[concave], (mean - y)[concave][:, :, None])[:, :, 0]
            newton[concave] = y[concave] + step
            better = self.value(newton) >= self.value(mean)
            y = np.where(better[:, None], newton, mean)
        return y

    def top(self, precision: float) -> tuple[float, Array]:
        """An upper bound on ``L``, within ``precision`` unless there are too many boxes, and the best point seen."""
        low, high = np.min(self.x, axis=0), np.max(self.x, axis=0)
        k = low.size
        count = 64 if k == 1 else 16
        half = 0.5 * (high - low) / count
        axes = [a + h * (2 * np.arange(count) + 1) for a, h in zip(low, half, strict=True)]
        centres = np.stack([g.ravel() for g in np.meshgrid(*axes, indexing="ij")], axis=1)
        signs = np.stack(np.meshgrid(*[[-1.0, 1.0]] * k, indexing="ij"), axis=-1).reshape(-1, k)
        best, at, seen = -math.inf, centres[0], 0
        while True:
            corners = centres[:, None, :] + signs * half
            values = self.value(corners.reshape(-1, k))
            if np.max(values) > best:
                best, at = float(np.max(values)), corners.reshape(-1, k)[int(np.argmax(values))]
            bounds = np.max(values.reshape(-1, signs.shape[0]), axis=1) + self.lam * float(
                half @ half
            )
            open_ = bounds > best + precision
            seen += centres.shape[0]
            if not np.any(open_):
                return best + precision, at
            if seen > _MOST_BOXES:
                return float(np.max(bounds)), at
            half = 0.5 * half
            centres = (centres[open_][:, None, :] + signs * half).reshape(-1, k)


def _distinct(y: Array, near: float) -> Array:
    """Rows that are farther than ``near`` from all earlier ones."""
    distance = squared_distances(y, y)
    first = np.array([not np.any(distance[i, :i] < near**2) for i in range(y.shape[0])])
    return y[first]


def _merged(x: Array, joint: Array, loss: float) -> Array:
    """The joint law with indices of nearby estimates made one (which costs no rate), at little loss of distortion."""
    q = np.sum(joint, axis=0)
    y = (joint.T @ x) / q[:, None]
    order = np.argsort(-q)
    for near in (0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4):
        group = np.full(q.size, -1)
        for k in order:
            if group[k] < 0:
                close = (group < 0) & (np.sum(np.square(y - y[k]), axis=1) < near**2)
                group[close] = k
        heads = np.unique(group)
        merged = np.stack([np.sum(joint[:, group == k], axis=1) for k in heads], axis=1)
        r = np.sum(merged, axis=0)
        kept = float(np.sum(np.square(merged.T @ x) / r[:, None]))
        if float(q @ np.sum(np.square(y), axis=1)) - kept < loss:
            return merged
    return joint


def shannon_scheme(x: Array, p: Array, nats: float, precision: float = 1e-7) -> tuple[float, Array]:
    """A proven lower end of ``Ds(R)`` and a joint law of source and index within the rate that is about as good.

    Args:
        x: points, shape ``(n, k)`` with ``k`` 1 or 2.
        p: a positive law, shape ``(n,)``.
        nats: the rate.
        precision: at which the exchange stops, relative to the variance.
    """
    centred = x - p @ x
    unit = float(p @ np.sum(np.square(centred), axis=1))
    if nats <= 0 or unit == 0:
        return unit * (1 - 1e-12), p[:, None].copy()
    if nats >= -float(p @ np.log(p)):
        return 0.0, np.diag(p)
    z = centred / math.sqrt(unit)
    y = _distinct(np.vstack([z, np.zeros((1, z.shape[1]))]), 1e-9)
    D = math.exp(-2.0 * nats / z.shape[1])
    low, high, joint = 0.0, 1.0, p[:, None].copy()
    width, quiet = 1.0, 0
    for _ in range(_ROUNDS):
        d = squared_distances(z, y)
        bracket = search(normal_form(FiniteSource(p, d), D, math.inf, None), None, 1e-9, 200)
        if bracket.best is None or bracket.lam <= 0:
            break
        form = bracket.form
        lam = bracket.lam / form.d_unit
        potential = _Potential(z, p, bracket.a + lam * np.min(d, axis=1), lam)
        top, at = potential.top(0.1 * precision * lam)
        gain = float(p @ (bracket.a + lam * np.min(d, axis=1)))
        noise = 1e-14 * (z.shape[0] + float(np.max(np.abs(potential.weight))) + abs(gain))
        low = max(low, (gain - top - nats - noise) / lam)
        found = p[:, None] * bracket.best.channel
        rate = information(found)
        # Time sharing with the mean alone, which costs no rate.
        share = min(1.0, nats / rate * (1 - 1e-13)) if rate > 0 else 1.0
        kept = np.column_stack([share * found, (1.0 - share) * p]) if share < 1.0 else found
        kept = kept[:, np.sum(kept, axis=0) > 1e-15]
        kept *= (p / np.sum(kept, axis=1))[:, None]
        spent = 1.0 - float(np.sum(np.square(kept.T @ z) / np.sum(kept, axis=0)[:, None]))
        if spent < high:
            high, joint = spent, kept
        # Where L is flat, as around a circle, boxes run out: rounds that gain nothing any more are the last.
        quiet = quiet + 1 if high - low > 0.9 * width else 0
        width = high - low
        if width < precision or quiet == _QUIET:
            break
        D = min(max(D + (rate - nats) / lam, 0.3 * D), 0.5 * (1.0 + D))
        # Where an atom was, its posterior's mean (never worse), and the maxima of L nearby, which attract it at the end.
        used = y[np.sum(found, axis=0) > 1e-9]
        y = _distinct(
            np.vstack(
                [potential.climb(np.vstack([used, at[None, :]])), potential.means(used), used, z]
            ),
            1e-5,
        )
    return max(low * unit, 0.0), _merged(z, joint, 2.0 * precision)


def shannon_distortion_lower(points: ArrayLike, source: ArrayLike, rate_bits: float) -> float:
    """A proven lower bound on Shannon's ``D(R)`` with any reproduction in Euclidean space.

    Args:
        points: shape ``(n,)`` or ``(n, k)`` with ``k <= 2``.
        source: law, shape ``(n,)``.
        rate_bits: ``R``.

    Raises:
        InvalidSetting: bad input, or more than two dimensions.
    """
    p = law(source)
    x = points_of(points, p.size)
    R = constraint(rate_bits, "rate_bits")
    return shannon_scheme(x[p > 0], p[p > 0], R * math.log(2))[0]
