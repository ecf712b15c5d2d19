"""Limited common randomness: ``D(R, Rc, P)`` of a finite set of points, bracketed ([T] eqs 50-53).

    D(R, Rc, P) = min E|X - X~|^2 + ((sqrt(E|X~ - X-|^2) - sqrt P)+)^2
    over p(x~|x), p(x-|x~) with I(X; X~) <= R, I(X-; X~) <= R + Rc, p(X-) = p(X), X~ = E[X | X~].

The problem is not convex. What is proven here and what is searched for:

* **upper** is proven: it is the value of explicit channels that meet every constraint. They are found
  by an alternating search from several starts, a heuristic, on at most ``n`` values of ``X~``.
* **lower** is proven: with ``Ds(R)`` Shannon's distortion-rate function (any reproduction), ``D0(R)`` the least
  ``E|X - X-|^2`` at equal laws and ``s2`` the variance, every scheme has ``d >= Ds(R)`` and

      C >= max((sqrt(s2 - d) - sqrt(s2 - Ds(R + Rc)))^2 + Ds(R + Rc), D0(R) - d),

  the first by Cauchy and Schwarz, the second by orthogonality; what follows rises with ``d`` (``docs/limits.md``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array
from veridical.errors import InvalidSetting, NotConverged
from veridical.limits.alternate import search_scheme
from veridical.limits.bound import DistortionInterval
from veridical.limits.checks import constraint, law
from veridical.limits.divergence import TotalVariation
from veridical.limits.finite import FiniteSource
from veridical.limits.inverse import distortion_at_rate
from veridical.limits.shannon import points_of, shannon_scheme, squared_distances


@dataclass(frozen=True)
class CommonRandomnessBound(DistortionInterval):
    """A bracket of ``D(R, Rc, P)`` and the scheme that attains its upper end.

    Attributes:
        mmse: ``d`` of the scheme; ``transport_cost``: its ``C``.
        rate_bits, total_bits: ``I(X; X~)`` and ``I(X-; X~)`` of the scheme.
        encoder: ``p(k|x)``, shape ``(n, k)``; ``decoder``: ``p(x-|k)``, shape ``(k, n)``.
    """

    mmse: float
    transport_cost: float
    rate_bits: float
    total_bits: float
    encoder: Array = field(repr=False, compare=False)
    decoder: Array = field(repr=False, compare=False)


def _starts(source: FiniteSource, rate_bits: float, equal: Array) -> list[Array]:
    """Encoders between the one that ignores perception and the one of equal laws: each is best at its own distance."""
    found = [equal]
    try:
        free = distortion_at_rate(source, rate_bits, tolerance=1e-3).channel
        apart = 0.5 * float(np.sum(np.abs(source.p @ free - source.p)))
        for share in (0.2, 0.4, 0.6, 0.8) if apart > 1e-9 else ():
            between = distortion_at_rate(
                source, rate_bits, share * apart, divergence=TotalVariation(), tolerance=1e-4
            )
            found.append(source.p[:, None] * between.channel)
    except NotConverged:  # One start fewer: the bracket stays proven.
        pass
    return found


def least_distortion(
    points: ArrayLike,
    source: ArrayLike,
    rate_bits: float,
    perception: float,
    common_bits: float = 0.0,
    *,
    rounds: int = 30,
    tolerance: float = math.inf,
) -> CommonRandomnessBound:
    """Bracket ``D(R, Rc, P)`` of a finite set of points, squared error, squared Wasserstein-2.

    Args:
        points: shape ``(n,)`` or ``(n, k)``, ``k <= 2``.
        source: law, shape ``(n,)``.
        rate_bits: ``R``, bits per symbol.
        perception: ``P``.
        common_bits: ``Rc``, bits per symbol, or ``inf``.
        rounds: alternations of the search from each start.
        tolerance: largest width of the bracket that is accepted, relative to the variance.

    Raises:
        InvalidSetting: bad input.
        NotConverged: the bracket is wider (``best`` carries it), or a convex subproblem of the lower bound failed.
    """
    p = law(source)
    x = points_of(points, p.size)
    p, x = p[p > 0], x[p > 0]
    x = x - p @ x  # Squared means of points far from the origin would hide the variances.
    R, P = constraint(rate_bits, "rate_bits"), constraint(perception, "perception")
    Rc = constraint(common_bits, "common_bits")
    if math.isinf(R):
        raise InvalidSetting("an infinite rate conveys the source itself; ask for a finite one")
    variance = float(p @ np.sum(np.square(x - p @ x), axis=1))
    nats, total = R * math.log(2), min(R + Rc, 2.0 * math.log2(p.size) + 1.0) * math.log(2)
    shannon, blind = shannon_scheme(x, p, nats)
    fine = 0.0 if math.isinf(Rc) else shannon_scheme(x, p, (R + Rc) * math.log(2))[0] if Rc else shannon  # fmt: skip
    finite = FiniteSource(p, squared_distances(x, x))
    same = distortion_at_rate(finite, R, 0.0, divergence=TotalVariation(), tolerance=1e-7)
    scheme = search_scheme(
        x, p, nats=nats, total=total, P=P, rounds=rounds,
        starts=[blind, *_starts(finite, R, p[:, None] * same.channel)],
    )  # fmt: skip
    lower = _lower(variance, shannon, min(fine, shannon), same.lower_distortion, P)
    if scheme.value < lower - 1e-9 * variance:
        raise NotConverged(
            f"the bounds contradict each other (lower {lower!r}, upper {scheme.value!r}); "
            "please report the source and the settings"
        )
    bound = CommonRandomnessBound(
        lower, max(scheme.value, lower), scheme.mmse, scheme.cost,
        scheme.rate / math.log(2), scheme.total / math.log(2), scheme.encoder, scheme.decoder,
    )  # fmt: skip
    if bound.gap > tolerance * variance:
        raise NotConverged(
            f"the bracket is {bound.gap / variance:.3g} of the variance wide; the search for its upper end is a "
            "heuristic: allow more rounds or accept it with a larger tolerance",
            best=bound,
        )
    return bound


def _lower(variance: float, shannon: float, fine: float, same: float, P: float) -> float:
    """The proven lower end from ``Ds(R)``, ``Ds(R + Rc)`` and ``D0(R)``."""
    kept, held = max(variance - shannon, 0.0), max(variance - fine, 0.0)
    # (sqrt kept - sqrt held)^2 + fine, without cancellation.
    roots = (shannon - fine) / (math.sqrt(kept) + math.sqrt(held)) if held > 0 else 0.0
    cost = max(roots**2 + fine, same - shannon, 0.0) * (1.0 - 1e-12)
    return max(shannon + max(math.sqrt(cost) - math.sqrt(P), 0.0) ** 2, 0.0)
