"""The vector Gaussian under the Kullback-Leibler divergence, unlimited common randomness.

With shares ``u_i = rho_i^2`` of squared correlation and ``v_i = Var(X^_i) / l_i`` the least distortion of any channel is

    minimise   sum l_i (1 + v_i - 2 sqrt(u_i v_i))
    subject to sum -1/2 log(1 - u_i) <= R,   sum 1/2 (v_i - 1 - log v_i) <= P    (nats),

jointly convex in ``(u, v)``. Among pairs with the same second moments the Gaussian one has the least ``I(X; X^)`` and the
least ``KL(p_X^ || p_X)``, and both are at least the sums of what single components have (``docs/limits.md``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import expit

from veridical.arrays import Array
from veridical.limits.bound import DistortionInterval
from veridical.limits.checks import constraint, positive_float
from veridical.limits.vector_gaussian import (
    eigenvalues_of,
    reverse_water_filling,
    vector_gaussian_distortion,
)

# Logarithms of multipliers, and of r/(1 - r), beyond which double precision tells nothing apart.
_FAR, _WIDE = 330.0, 90.0
# A divergence below this changes the distortion by its root, relatively: not in double precision.
_NOTHING = 1e-40


@dataclass(frozen=True)
class VectorGaussianKLBound(DistortionInterval):
    """A bracket of the least distortion (sum over components), and what attains it.

    Attributes:
        conveyed: ``u``, shape ``(k,)``.
        variances: ``v``, of the reconstruction over that of the source, shape ``(k,)``.
    """

    conveyed: Array = field(repr=False, compare=False)
    variances: Array = field(repr=False, compare=False)


@dataclass(frozen=True)
class _Shares:
    """``r = sqrt u``, ``e = 1 - u``, ``s = sqrt v`` and ``w = 1 - v``, each with its own digits."""

    r: Array
    e: Array
    s: Array
    w: Array

    @property
    def logs(self) -> Array:
        """``log(1 - u)``, minus twice what each component spends."""
        with np.errstate(divide="ignore"):
            return np.where(
                self.r < 0.5, np.log1p(-np.square(np.minimum(self.r, 0.5))), np.log(self.e)
            )

    @property
    def nats(self) -> float:
        """What ``u`` spends."""
        return -0.5 * float(np.sum(self.logs))

    @property
    def divergence(self) -> float:
        """``sum 1/2 (v - 1 - log v)``."""
        w = self.w
        near = w**2 * (0.5 + w * (1.0 / 3.0 + w * (0.25 + 0.2 * w)))
        with np.errstate(divide="ignore"):
            far = -w - np.where(w < 0.5, np.log1p(-np.minimum(w, 0.5)), 2.0 * np.log(self.s))
        return 0.5 * float(np.sum(np.where(w < 1e-3, near, far)))

    def distortion(self, spectrum: Array) -> float:
        """``1 + v - 2 sqrt(u v) = 1 - u + (sqrt v - sqrt u)^2``."""
        gap = np.where(self.w > 0.5, self.s - self.r, (self.e - self.w) / (self.s + self.r))
        return float(spectrum @ (self.e + gap**2))


def _priced(spectrum: Array, r: Array, e: Array, beta: float) -> _Shares:
    """The best ``v`` at a price of the divergence: ``(l + b) s^2 - l r s - b = 0`` with ``b = beta/2``."""
    b, lr = 0.5 * beta, spectrum * r
    root = np.sqrt(lr**2 + 4.0 * (spectrum + b) * b)
    y = 2.0 * spectrum * e / (1.0 + r) / (2.0 * (spectrum + b) - lr + root)
    return _Shares(r, e, 0.5 * (lr + root) / (spectrum + b), y * (2.0 - y))


def _allocate(spectrum: Array, alpha: float, beta: float) -> _Shares:
    """The shares at given prices: ``alpha r = 2 l s (1 - r^2)``, by bisection of ``log(r / (1 - r))``."""
    low, high = np.full_like(spectrum, -_WIDE), np.full_like(spectrum, _WIDE)
    for _ in range(62):
        z = 0.5 * (low + high)
        r = expit(z)
        x = _priced(spectrum, r, expit(-z) * (1.0 + r), beta)
        more = alpha * r < 2.0 * spectrum * x.s * x.e
        low, high = np.where(more, z, low), np.where(more, high, z)
    return x


def _root(miss: Callable[[float], float], wanted: float) -> float:
    """The logarithm of the price at which ``miss``, which falls, is what is wanted."""

    def logs(log_price: float) -> float:
        return math.log(min(max(miss(math.exp(log_price)), 1e-300), 1e300) / wanted)

    if logs(-_FAR) * logs(_FAR) >= 0:
        return math.exp(math.copysign(_FAR, logs(_FAR)))
    return math.exp(float(np.asarray(brentq(logs, -_FAR, _FAR, xtol=1e-13))))


def _search(spectrum: Array, R: float, P: float) -> tuple[_Shares, float, float]:
    """The shares that spend both budgets, and their prices: the dual is concave in the prices."""

    def at(beta: float) -> tuple[_Shares, float]:
        if R == 0:
            zero = np.zeros_like(spectrum)
            return _priced(spectrum, zero, zero + 1.0, beta), 0.0
        alpha = _root(lambda price: _allocate(spectrum, price, beta).nats, R)
        return _allocate(spectrum, alpha, beta), alpha

    beta = _root(lambda price: at(price)[0].divergence, P)
    return *at(beta), beta


def _within(x: _Shares, R: float, P: float) -> _Shares:
    """Shares that keep both budgets: less rate for all, variances nearer to one (the divergence is convex)."""
    spent, apart = x.nats, x.divergence
    logs = x.logs * min(1.0, R / spent * (1.0 - 1e-13)) if spent > 0 else x.logs
    share = min(1.0, P / apart * (1.0 - 1e-13)) if apart > 0 else 1.0
    return _Shares(
        np.sqrt(-np.expm1(logs)), np.exp(logs), np.sqrt(x.s**2 + (1.0 - share) * x.w), share * x.w
    )


def vector_gaussian_distortion_kl(
    eigenvalues: ArrayLike, rate_bits: float, perception_nats: float, *, tolerance: float = 1e-7
) -> VectorGaussianKLBound:
    """Bracket the least ``E|X - X^|^2`` of ``N(0, diag(l))`` with ``KL(p_X^ || p_X) <= P``, unlimited common randomness.

    Args:
        eigenvalues: ``l``, shape ``(k,)``.
        rate_bits: ``R`` per vector.
        perception_nats: ``P`` in nats per vector.
        tolerance: width of the bracket relative to the distortion.

    Raises:
        InvalidSetting: an argument outside its range.
        NotConverged: the bracket stayed wider; ``best`` carries it.
    """
    every = eigenvalues_of(eigenvalues)
    R, P = constraint(rate_bits, "rate_bits"), constraint(perception_nats, "perception_nats")
    tolerance = positive_float(tolerance, "tolerance")
    left = reverse_water_filling(every, R)
    # Smaller ones underflow; they cost at most twice their variance.
    on = every > 1e-200 * float(np.sum(every))
    spectrum, e = every[on], left[on] / every[on]
    u, v = np.ones_like(every), np.ones_like(every)
    root = np.sqrt(1.0 - e)
    if _Shares(root, e, root, e).divergence <= P:
        # Shannon's own reconstruction is near enough.
        u[on] = v[on] = 1.0 - e
        D = float(np.sum(left))
        return VectorGaussianKLBound(D * (1.0 - 1e-14), D * (1.0 + 1e-14), u, v)
    if P < _NOTHING:
        same = vector_gaussian_distortion(every, R, 0.0, math.inf, tolerance=tolerance)
        lower = same.lower_distortion * (1.0 - 1e-15)
        return VectorGaussianKLBound(lower, same.upper_distortion, same.conveyed, v)
    unit = float(np.sum(spectrum))
    nats = R * math.log(2.0)
    x, alpha, beta = _search(spectrum / unit, nats, P)
    # The Lagrangian at its minimiser, where it is flat: rounding of the shares is of second order.
    dual = x.distortion(spectrum / unit) + alpha * (x.nats - nats) + beta * (x.divergence - P)
    lower = unit * dual * (1.0 - 1e-12)
    x = _within(x, nats, P)
    u[on], v[on] = 1.0 - x.e, 1.0 - x.w
    upper = unit * x.distortion(spectrum / unit) * (1.0 + 1e-12) + 2.0 * float(np.sum(every[~on]))
    return VectorGaussianKLBound(min(lower, upper), upper, u, v).within(tolerance)
