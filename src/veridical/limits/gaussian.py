"""The scalar Gaussian, squared error, squared Wasserstein-2 perception ([T] eq. 65).

    D(R, Rc, P) = s2 (1 - u) + ((sqrt W - sqrt P)+)^2,    W = s2 (1 + u - 2 sqrt(u v)),
    u = 1 - 2^(-2R),    v = 1 - 2^(-2(R + Rc)).

Arguments broadcast; rates in bits per sample, distortion and perception in squared units of the
source. Perception is that of the law of the whole block ([T] eq. 49).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr, lambertw, ndtr

from veridical.arrays import Array
from veridical.limits.checks import finite_non_negative, non_negative, positive_float

_LN4 = 2.0 * math.log(2.0)


def _explained(rate_bits: Array) -> Array:
    """``1 - 2^(-2R)``, the share of the variance that a rate conveys."""
    return -np.expm1(-_LN4 * rate_bits)


def gaussian_transport_cost(
    rate_bits: ArrayLike, common_bits: ArrayLike = 0.0, variance: ArrayLike = 1.0
) -> Array:
    """``W = s2 (1 + u - 2 sqrt(u v))``: from the estimate to a sample of the source ([T] eq. 65)."""
    R, Rc = non_negative(rate_bits, "rate_bits"), non_negative(common_bits, "common_bits")
    s2 = finite_non_negative(variance, "variance")
    root_u, root_v = np.sqrt(_explained(R)), np.sqrt(_explained(R + Rc))
    # (1 - sqrt u)^2 + 2 sqrt u (1 - sqrt v) keeps its digits at high rate; 1 - sqrt v likewise.
    miss_u = np.exp2(-2.0 * R) / (1.0 + root_u)
    miss_v = np.exp2(-2.0 * (R + Rc)) / (1.0 + root_v)
    return s2 * (miss_u**2 + 2.0 * root_u * miss_v)


def gaussian_distortion(
    rate_bits: ArrayLike,
    perception: ArrayLike,
    common_bits: ArrayLike = 0.0,
    variance: ArrayLike = 1.0,
) -> Array:
    """``D(R, Rc, P)`` ([T] eq. 65).

    Args:
        rate_bits: ``R``, 0 or more.
        perception: ``P``, squared Wasserstein-2; 0 for the law of the source itself.
        common_bits: ``Rc``, bits of common randomness per sample, ``inf`` for unlimited.
        variance: ``s2``.

    Raises:
        InvalidSetting: a negative argument or NaN.
    """
    R, s2 = non_negative(rate_bits, "rate_bits"), finite_non_negative(variance, "variance")
    P = non_negative(perception, "perception")
    cost = gaussian_transport_cost(R, common_bits, s2)
    return s2 * np.exp2(-2.0 * R) + np.maximum(np.sqrt(cost) - np.sqrt(P), 0.0) ** 2


def gaussian_rate_bits(
    distortion: ArrayLike, perception: ArrayLike, variance: ArrayLike = 1.0
) -> Array:
    """``R(D, P)`` at unlimited common randomness: [T] eq. 65 with ``Rc = inf`` solved for ``R``.

    With ``b = sqrt(s2) - sqrt P``: where the constraint binds, ``D = s2 + b^2 - 2 b r`` and
    ``R = -1/2 log2(1 - r^2/s2)``; elsewhere it is Shannon's ``1/2 log2(s2/D)``.

    Raises:
        InvalidSetting: a negative argument or NaN.
    """
    D, P = non_negative(distortion, "distortion"), non_negative(perception, "perception")
    s2 = finite_non_negative(variance, "variance")
    b = np.sqrt(s2) - np.sqrt(P)
    with np.errstate(divide="ignore", invalid="ignore"):
        radius = np.maximum((s2 + b**2 - D) / (2.0 * b), 0.0)
        binding = (b > 0) & (radius < b)
        # 1 - r^2/s2 = (s - r)(s + r)/s2 with s - r = (D - P)/(2 b): no digit is lost at small D.
        s = np.sqrt(s2)
        left = np.where(binding, (D - P) / (2.0 * b) * (s + radius) / s2, D / s2)
        rate = -0.5 * np.log2(left)
    return np.where(s2 == 0, 0.0, np.maximum(rate, 0.0))


def _share_of_variance(P: Array) -> Array:
    """``v <= 1`` with ``(v - 1 - log v)/2 = P``, by Lambert's function or, near ``v = 1``, its series.

    With ``v = exp(-y)`` and ``t = 2 sqrt P``: ``y = t + t^2/6 + t^3/36 + O(t^4)``.
    """
    t = 2.0 * np.sqrt(np.minimum(P, 1e-9))
    near = np.exp(-(t + t**2 / 6.0 + t**3 / 36.0))
    far = -np.real(lambertw(-np.exp(-1.0 - 2.0 * np.maximum(P, 1e-9))))
    return np.where(P <= 1e-9, near, far)


def gaussian_distortion_kl(
    rate_bits: ArrayLike, perception_nats: ArrayLike, variance: ArrayLike = 1.0
) -> Array:
    """Least squared error with ``KL(p_X^ || p_X) <= P`` nats, unlimited common randomness.

    Jointly Gaussian pairs are best ([T] Fig. 11, :mod:`veridical.limits.vector_gaussian_kl`): the reconstruction has variance
    ``v s2`` with ``(v - 1 - log v)/2 = P``, ``v <= 1``, and ``D = s2 (1 - u + ((sqrt v - sqrt u)+)^2)``.

    Raises:
        InvalidSetting: a negative argument or NaN.
    """
    R, s2 = non_negative(rate_bits, "rate_bits"), finite_non_negative(variance, "variance")
    P = non_negative(perception_nats, "perception_nats")
    v = _share_of_variance(P)
    gap = np.maximum(np.sqrt(v) - np.sqrt(_explained(R)), 0.0)
    return s2 * (np.exp2(-2.0 * R) + gap**2)


def gaussian_ecsq(step: float, variance: float = 1.0) -> tuple[float, float]:
    """Entropy in bits and MMSE of uniform scalar quantization with an entropy code, midtread, centroids.

    With cells ``((k - 1/2) step, (k + 1/2) step)`` of probability ``p_k`` and centroid ``y_k``, ``d = s2 - sum p_k y_k^2``. The
    estimate is a monotone function of the source, so that ``W2^2 = d`` and ``d + ((sqrt d - sqrt P)+)^2`` is attained at ``P``
    without common randomness. An upper bound on what scalar quantization reaches: other thresholds may do better.

    Raises:
        InvalidSetting: a step or variance that is not positive and finite.
    """
    width = positive_float(step, "step") / math.sqrt(positive_float(variance, "variance"))
    # Beyond 40 deviations there is no probability in double precision; by symmetry the cells from zero on suffice.
    edges = (np.arange(math.ceil(40.0 / width) + 2) - 0.5) * width
    p = ndtr(-edges[:-1]) - ndtr(-edges[1:])
    density = np.exp(-0.5 * edges**2) / math.sqrt(2.0 * math.pi)
    moment = np.divide((density[:-1] - density[1:]) ** 2, p, out=np.zeros_like(p), where=p > 0)
    both = np.where(np.arange(p.size) > 0, 2.0, 1.0)
    return float(both @ entr(p)) / math.log(2.0), variance * max(1.0 - float(both @ moment), 0.0)
