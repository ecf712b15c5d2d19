"""Ways to measure perception: how far the law of the reconstruction is from the law of the source.

Each is a frozen object that validates its own parameters. ``p`` is the law of the source and ``q`` the
law of the reconstruction; every measure here is convex in ``q``, as [BM] Theorem 1 asks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array
from veridical.errors import InvalidSetting, NotConverged
from veridical.limits.checks import cost_matrix
from veridical.limits.family import JensenShannonFamily, PowerFamily, SmoothFamily


class _Plain:
    """A measure in which the constraint is convex as it stands."""

    def inner(self, perception: float) -> float:
        """The coordinate in which the constraint is convex: the measure itself."""
        return perception

    def outer(self, inner: float) -> float:
        """The measure itself."""
        return inner


@dataclass(frozen=True)
class TotalVariation(_Plain):
    """``1/2 sum_j |p_j - q_j|``, from 0 to 1."""

    def value(self, p: Array, q: Array) -> float:
        """The distance between two laws of shape ``(m,)``."""
        return 0.5 * float(np.sum(np.abs(p - q)))


@dataclass(frozen=True)
class SquaredWasserstein(_Plain):
    """``min over couplings of E c(X, X^)``, in the unit of the cost.

    With ``c_ij = |x_i - y_j|^2`` it is the squared Wasserstein-2 distance; any other cost serves.

    Attributes:
        cost: shape ``(n, m)``, rows index the source; not negative, ``inf`` forbids a pair.
    """

    cost: ArrayLike = field(compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cost", cost_matrix(self.cost, "cost"))

    @property
    def matrix(self) -> Array:
        """The cost as an array."""
        return np.asarray(self.cost, dtype=np.float64)

    def value(self, p: Array, q: Array) -> float:
        """The exact optimum, by the linear programme of scipy (HiGHS).

        Raises:
            NotConverged: HiGHS failed.
        """
        from scipy.optimize import linprog
        from scipy.sparse import eye_array, kron, vstack

        rows, columns = np.flatnonzero(p > 0), np.flatnonzero(q > 0)
        cost = self.matrix[np.ix_(rows, columns)]
        n, m = cost.shape
        marginals = [kron(eye_array(n), np.ones((1, m))), kron(np.ones((1, n)), eye_array(m))]
        allowed = np.isfinite(cost).ravel()
        found = linprog(
            cost.ravel()[allowed],
            # The last marginal follows from the others; rounding must not contradict it.
            A_eq=vstack(marginals).tocsc()[:-1, np.flatnonzero(allowed)],
            b_eq=np.concatenate([p[rows], q[columns] * (np.sum(p) / np.sum(q))])[:-1],
            method="highs",
        )
        if found.status == 2:
            return math.inf
        if not found.success:
            raise NotConverged(
                f"the transport programme failed ({found.message}); rescale the cost"
            )
        return float(found.fun)


@dataclass(frozen=True)
class _Smooth(_Plain):
    """Measures that are a monotone function of a smooth ``F``: the measure itself, unless they say otherwise."""

    def family(self) -> SmoothFamily:
        """The member."""
        raise NotImplementedError

    def value(self, p: Array, q: Array) -> float:
        """The measure between two laws of shape ``(m,)``; infinite where it is."""
        return self.outer(self.family().value(p, q))


@dataclass(frozen=True)
class KullbackLeibler(_Smooth):
    """``KL(p_X^ || p_X) = sum q log(q/p)`` in nats, the direction of the whole library.

    Infinite where the reconstruction uses a symbol that the source never has. With ``reverse=True`` it is
    ``KL(p_X || p_X^) = sum p log(p/q)``, infinite where the reconstruction leaves a symbol out.
    """

    reverse: bool = False

    def family(self) -> PowerFamily:
        """``F_0``, or its mirror image ``F_1``."""
        return PowerFamily(1.0 if self.reverse else 0.0)


@dataclass(frozen=True)
class ChiSquared(_Smooth):
    """``sum (p - q)^2 / q``."""

    def family(self) -> PowerFamily:
        """``F_2``."""
        return PowerFamily(2.0)


@dataclass(frozen=True)
class Hellinger(_Smooth):
    """Squared Hellinger distance ``1 - sum sqrt(p q)``, from 0 to 1."""

    def family(self) -> PowerFamily:
        """``F_(1/2)``, which is twice the squared distance."""
        return PowerFamily(0.5)

    def inner(self, perception: float) -> float:
        """``F = 2 H^2``."""
        return 2.0 * perception

    def outer(self, inner: float) -> float:
        """``H^2 = F / 2``."""
        return 0.5 * inner


@dataclass(frozen=True)
class JensenShannon(_Smooth):
    """``KL(p || m)/2 + KL(q || m)/2`` in nats with ``m = (p + q)/2``, from 0 to log 2; its root is a metric."""

    def family(self) -> SmoothFamily:
        """The divergence itself."""
        return JensenShannonFamily()


@dataclass(frozen=True)
class Renyi(_Smooth):
    """``log(sum p^c q^(1-c)) / (c - 1)`` in nats, of order ``c > 0``.

    It is convex in ``q`` for every order (van Erven and Harremoes 2014, Theorem 12). Order 1 is
    ``KullbackLeibler(reverse=True)``.
    """

    order: float = 0.5

    def __post_init__(self) -> None:
        if not (math.isfinite(self.order) and self.order > 0):
            raise InvalidSetting(f"the Renyi order must be positive and finite, got {self.order!r}")

    def family(self) -> PowerFamily:
        """``F_c``."""
        return PowerFamily(float(self.order))

    def inner(self, perception: float) -> float:
        """``F_c = (exp((c - 1) R) - 1) / (c - 1)``."""
        if self.order == 1.0:
            return perception
        with np.errstate(over="ignore"):
            return float(np.expm1((self.order - 1.0) * perception)) / (self.order - 1.0)

    def outer(self, inner: float) -> float:
        """``R = log(1 + (c - 1) F_c) / (c - 1)``."""
        if self.order == 1.0:
            return inner
        with np.errstate(divide="ignore"):
            return float(np.log1p((self.order - 1.0) * inner)) / (self.order - 1.0)


Divergence: TypeAlias = (
    TotalVariation
    | SquaredWasserstein
    | KullbackLeibler
    | ChiSquared
    | Hellinger
    | JensenShannon
    | Renyi
)

_NAMED = {
    "tv": TotalVariation,
    "kl": KullbackLeibler,
    "chi2": ChiSquared,
    "hellinger": Hellinger,
    "js": JensenShannon,
}


def by_name(name: str, *, cost: ArrayLike | None = None, order: float = 0.5) -> Divergence:
    """A measure by its short name: tv, w2 (needs ``cost``), kl, kl-reverse, chi2, hellinger, js, renyi.

    Raises:
        InvalidSetting: unknown name, or w2 without a cost.
    """
    if name == "w2":
        if cost is None:
            raise InvalidSetting(
                "the divergence w2 needs a cost matrix beside source and distortion"
            )
        return SquaredWasserstein(cost)
    if name == "renyi":
        return Renyi(order)
    if name == "kl-reverse":
        return KullbackLeibler(reverse=True)
    if name not in _NAMED:
        known = ", ".join([*_NAMED, "kl-reverse", "renyi", "w2"])
        raise InvalidSetting(f"unknown divergence {name!r}; choose one of {known}")
    return _NAMED[name]()
