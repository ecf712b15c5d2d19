"""Limited common randomness: ``D(R, Rc, P)`` of a finite set of points, bracketed ([T] eqs 50-53).

    D(R, Rc, P) = min E|X - X~|^2 + ((sqrt(E|X~ - X-|^2) - sqrt P)+)^2
    over p(x~|x), p(x-|x~) with I(X; X~) <= R, I(X-; X~) <= R + Rc, p(X-) = p(X), X~ = E[X | X~].

The problem is not convex. What is proven here and what is searched for:

* **upper** is proven: it is the value of explicit channels that meet every constraint. They are found
  by an alternating search from several starts, a heuristic, on at most ``n`` values of ``X~``.
* **lower** is proven: with ``Ds(R)`` Shannon's distortion-rate function (any reproduction) and ``D0(R)``
  the least ``E|X - X-|^2`` at equal laws, every scheme has ``d >= Ds(R)``, ``C >= Ds(R + Rc)`` and, by
  orthogonality, ``d + C >= D0(R)``; hence

      D >= Ds(R) + ((sqrt(max(Ds(R + Rc), D0(R) - Ds(R))) - sqrt P)+)^2.

  It meets the upper bound at ``Rc = 0`` and, for sources like the Gaussian, at ``Rc = inf``; in
  between it leaves a gap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from veridical.errors import InvalidSetting, NotConverged
from veridical.limits.alternate import Scheme, search_scheme
from veridical.limits.checks import constraint, law
from veridical.limits.divergence import TotalVariation
from veridical.limits.finite import FiniteSource
from veridical.limits.rate import least_rate

__all__ = ["CommonRandomnessBound", "least_distortion", "shannon_distortion_lower"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class CommonRandomnessBound:
    """A bracket of ``D(R, Rc, P)`` and the scheme that attains its upper end.

    Attributes:
        lower_distortion, upper_distortion: proven bounds, squared units.
        mmse: ``d`` of the scheme; ``transport_cost``: its ``C``.
        rate_bits, total_bits: ``I(X; X~)`` and ``I(X-; X~)`` of the scheme.
        encoder: ``p(k|x)``, shape ``(n, k)``; ``decoder``: ``p(x-|k)``, shape ``(k, n)``.
    """

    lower_distortion: float
    upper_distortion: float
    mmse: float
    transport_cost: float
    rate_bits: float
    total_bits: float
    encoder: Array = field(repr=False, compare=False)
    decoder: Array = field(repr=False, compare=False)


def _points(values: ArrayLike, n: int) -> Array:
    array = np.array(values, dtype=np.float64)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or array.shape[0] != n or not np.all(np.isfinite(array)):
        raise InvalidSetting(
            f"points must be {n} finite numbers or rows, one per probability, got shape {array.shape}"
        )
    return array


def _squared(x: Array, y: Array) -> Array:
    return np.sum(np.square(x[:, None, :] - y[None, :, :]), axis=2)


def _laws_at(
    source: FiniteSource, rate_bits: float, perception: float, precision: float
) -> tuple[float, Array | None]:
    """A lower bound on the least ``E|X - X^|^2`` at a rate and a total variation, and a joint law that nearly has it.

    By cuts: ``R(D') >= lower - lambda (D' - D)`` and ``R(D') <= R`` give ``D' >= D + (lower - R) / lambda``.
    """
    top = float(source.p @ source.d @ source.p)
    if rate_bits <= 0:
        return max(0.0, top * (1 - 1e-12)) if perception == 0 else 0.0, None
    if rate_bits >= -float(np.sum(xlogy(source.p, source.p))) / math.log(2):
        return 0.0, np.diag(source.p)
    low, high, best, joint = 0.0, top, 0.0, None
    for _ in range(40):
        middle = 0.5 * (low + high)
        b = least_rate(source, middle, perception, divergence=TotalVariation(), tolerance_bits=1e-6)
        if 0 < b.slope_distortion < math.inf:
            best = max(best, middle + (b.lower_bits - rate_bits) / b.slope_distortion)
        if b.upper_bits <= rate_bits:
            high, joint = middle, source.p[:, None] * b.channel
        else:
            low = middle
        if high - low < precision * top:
            break
    return best, joint


def _starts(source: FiniteSource, rate_bits: float, equal: Array | None) -> list[Array]:
    """Encoders between the one that ignores perception and the one of equal laws: each is best at its own distance."""
    found = [] if equal is None else [equal]
    _, free = _laws_at(source, rate_bits, math.inf, 1e-3)
    if free is not None:
        apart = 0.5 * float(np.sum(np.abs(np.sum(free, axis=0) - source.p)))
        for share in (0.2, 0.4, 0.6, 0.8):
            joint = _laws_at(source, rate_bits, share * apart, 1e-6)[1] if apart > 1e-9 else None
            found += [] if joint is None else [joint]
    return found


def shannon_distortion_lower(
    points: ArrayLike, source: ArrayLike, rate_bits: float, cells: int = 200
) -> float:
    """A proven lower bound on Shannon's ``D(R)`` with any reproduction in Euclidean space.

    On a grid of reproductions with covering radius ``r`` over the box of the points, the dual potential
    ``L(y) = log sum_i p_i exp(a_i - lambda |x_i - y|^2)`` has ``L(y) >= max L - lambda |y - y*|^2`` (its
    Hessian is at least ``-2 lambda``), so that the grid understates its maximum by ``lambda r^2`` nats at
    most; the cut of ``R(D)`` is lowered by that.

    Args:
        points: shape ``(n,)`` or ``(n, k)`` with ``k <= 2``.
        source: law, shape ``(n,)``.
        rate_bits: ``R``.
        cells: grid points along the longest side.

    Raises:
        InvalidSetting: bad input, or more than two dimensions.
    """
    p = law(source)
    x = _points(points, p.size)
    R = constraint(rate_bits, "rate_bits")
    if x.shape[1] > 2:
        raise InvalidSetting(
            "the grid of reproductions covers one or two dimensions; project the points"
        )
    low, high = np.min(x, axis=0), np.max(x, axis=0)
    count = cells if x.shape[1] == 1 else max(8, math.isqrt(4 * cells))
    axes = [np.linspace(a, b, count) for a, b in zip(low, high, strict=True)]
    grid = np.stack([g.ravel() for g in np.meshgrid(*axes, indexing="ij")], axis=1)
    radius_squared = float(np.sum(np.square(0.5 * (high - low) / (count - 1))))
    if R == 0:
        centre = p @ x
        return float(p @ np.sum(np.square(x - centre), axis=1)) * (1 - 1e-12)
    shannon = FiniteSource(p, _squared(x, grid))
    # lambda of the cut is not known before the solve: iterate once on its own estimate.
    best = 0.0
    top = float(np.min(p @ _squared(x, (p @ x)[None, :])))
    lo, hi = 0.0, top
    for _ in range(14):
        middle = 0.5 * (lo + hi)
        b = least_rate(shannon, middle, tolerance_bits=1e-5)
        if b.slope_distortion > 0:
            slack = b.slope_distortion * radius_squared
            best = max(best, middle + (b.lower_bits - slack - R) / b.slope_distortion)
        lo, hi = (middle, hi) if b.rate_bits > R else (lo, middle)
        if hi - lo < 1e-4 * top:
            break
    return best


def least_distortion(
    points: ArrayLike,
    source: ArrayLike,
    rate_bits: float,
    perception: float,
    common_bits: float = 0.0,
    *,
    rounds: int = 30,
) -> CommonRandomnessBound:
    """Bracket ``D(R, Rc, P)`` of a finite set of points, squared error, squared Wasserstein-2.

    Args:
        points: shape ``(n,)`` or ``(n, k)``, ``k <= 2``.
        source: law, shape ``(n,)``.
        rate_bits: ``R``, bits per symbol.
        perception: ``P``.
        common_bits: ``Rc``, bits per symbol, or ``inf``.
        rounds: alternations of the search from each start.

    Raises:
        InvalidSetting: bad input.
        NotConverged: a convex subproblem of the lower bound failed.
    """
    p = law(source)
    x = _points(points, p.size)
    keep = p > 0
    p, x = p[keep], x[keep]
    R, P = constraint(rate_bits, "rate_bits"), constraint(perception, "perception")
    Rc = constraint(common_bits, "common_bits")
    if math.isinf(R):
        raise InvalidSetting("an infinite rate conveys the source itself; ask for a finite one")
    total = min(R + Rc, 2.0 * math.log2(p.size) + 1.0)
    finite = FiniteSource(p, _squared(x, x))
    same, equal = _laws_at(finite, R, 0.0, 1e-7)
    scheme: Scheme = search_scheme(
        x,
        p,
        nats=R * math.log(2),
        total=total * math.log(2),
        P=P,
        rounds=rounds,
        starts=_starts(finite, R, equal),
    )
    shannon = shannon_distortion_lower(x, p, R)
    fine = (
        0.0 if math.isinf(Rc) else (shannon if Rc == 0 else shannon_distortion_lower(x, p, R + Rc))
    )
    fine = min(fine, shannon)
    variance = float(p @ np.sum(np.square(x - p @ x), axis=1))
    kept, held = max(variance - shannon, 0.0), max(variance - fine, 0.0)
    cost = max(kept + variance - 2.0 * math.sqrt(kept * held), same - shannon, 0.0) * (1.0 - 1e-12)
    lower = shannon + max(math.sqrt(cost) - math.sqrt(P), 0.0) ** 2
    if scheme.value < lower * (1.0 - 1e-9):
        raise NotConverged(
            f"the bounds contradict each other (lower {lower!r}, upper {scheme.value!r}); "
            "please report the source and the settings"
        )
    return CommonRandomnessBound(
        max(lower, 0.0), max(scheme.value, lower), scheme.mmse, scheme.cost,
        scheme.rate / math.log(2), scheme.total / math.log(2), scheme.encoder, scheme.decoder,
    )  # fmt: skip
