"""The lines of [T] Fig. 11: what each way to a perception costs, from formulas and quadrature.

Gaussian, one bit, ``Rc = inf``: ``X^`` by interpolation is N(0, s^2), ``s = (1-a) sqrt u + a``, and
``D = 1 - u + (s - sqrt u)^2``. Time sharing is a mixture with ``D = 1 - u + a (1 - sqrt u)^2``. For any source,

    W1 and total variation of a mixture:  (1 - a) times that of X~;     energy distance:  (1 - a)^2 times;
    W1 after a share a of every step:     (1 - a) E|X- - X~|            (with a plan optimal for W1 too).

The best for W1 with a plan that is optimal for every increasing convex cost are steps of at most ``l``,
``P = E(|X- - X~| - l)+``, ``D = d + E min(|X- - X~|, l)^2``: the pointwise minimum of the Lagrangian is
Huber's function of the distance. The best for total variation on the circle keeps the nearest share
``1 - P`` of every arc.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import norm

from veridical.arrays import Array
from veridical.limits import circle_mmse, circle_radius, circle_w2_squared, gaussian_distortion_kl

_A = np.linspace(0.0, 1.0, 201)
_U = 0.75


def gaussian_kl(s: Array) -> Array:
    """``KL(N(0, s^2) || N(0, 1))`` in nats."""
    return 0.5 * (s**2 - 1.0 - 2.0 * np.log(s))


def gaussian_energy(s: Array) -> Array:
    """Energy distance of N(0, s^2) and N(0, 1), from ``E|N(0, v)| = sqrt(2 v / pi)``."""
    return (2.0 * np.sqrt(2.0 * (1.0 + s**2)) - 2.0 * s - 2.0) / np.sqrt(np.pi)


def gaussian_tv(s: Array) -> Array:
    """Total variation of N(0, s^2), ``s <= 1``, and N(0, 1): their densities cross at ``+-x``."""
    with np.errstate(divide="ignore", invalid="ignore"):
        x = np.sqrt(2.0 * np.log(1.0 / s) / (1.0 / s**2 - 1.0))
    return np.where(s < 1.0, 2.0 * (norm.cdf(x / s) - norm.cdf(x)), 0.0)


def mixture_kl(a: float, u: float = _U) -> float:
    """``KL(a N(0, 1) + (1 - a) N(0, u) || N(0, 1))`` in nats, by quadrature."""
    z = np.linspace(-10.0, 10.0, 4001)
    q = norm.pdf(z)
    p = a * q + (1.0 - a) * norm.pdf(z, scale=np.sqrt(u))
    return float(np.sum(p * np.log(p / q)) * (z[1] - z[0]))


def lines(panel: str) -> dict[str, Array]:
    """``P`` (rising) and ``D`` of each way and, as ``optimum``, of the best that is known; shape (2, k)."""
    curves = _circle_lines(panel) if panel.startswith("circle") else _gaussian_lines(panel)
    return {name: np.stack(curve)[:, np.argsort(curve[0])] for name, curve in curves.items()}


def _gaussian_lines(panel: str) -> dict[str, tuple[Array, Array]]:
    root = np.sqrt(_U)
    s, cost = (1.0 - _A) * root + _A, (1.0 - root) ** 2
    straight, shared = 1.0 - _U + _A**2 * cost, 1.0 - _U + _A * cost
    if panel == "kl":
        kl = gaussian_kl(s)
        mixed = np.array([mixture_kl(a) for a in _A])
        return {
            "interpolation": (kl, straight),
            "time sharing": (mixed, shared),
            "optimum": (kl, gaussian_distortion_kl(1.0, np.maximum(kl, 0.0))),
        }
    if panel == "w1":
        mean = (1.0 - root) * np.sqrt(2.0 / np.pi)
        far = (1.0 - root) * norm.ppf(0.5 + 0.5 * (np.arange(20_000) + 0.5) / 20_000)
        return {
            "interpolation": ((1.0 - _A) * mean, straight),
            "time sharing": ((1.0 - _A) * mean, shared),
            "optimum": _limited(far, 1.0 - _U),
        }
    measure: Callable[[Array], Array] = gaussian_energy if panel == "energy" else gaussian_tv
    whole = float(measure(np.array(root)))
    power = 2 if panel == "energy" else 1
    return {
        "interpolation": (measure(s), straight),
        "time sharing": ((1.0 - _A) ** power * whole, shared),
    }


def _circle_lines(panel: str) -> dict[str, tuple[Array, Array]]:
    d, cost, r = (float(v) for v in (circle_mmse(2), circle_w2_squared(2, 1), circle_radius(2)))
    shared = d + _A * cost
    if panel == "circle-tv":
        # The nearest share a of a half circle: angles up to a pi/2 from its middle.
        near = _A * (1.0 + r**2) - 2.0 * r * (2.0 / np.pi) * np.sin(_A * np.pi / 2.0)
        return {"time sharing": (1.0 - _A, shared), "optimum": (1.0 - _A, d + near)}
    angle = np.pi / 2.0 * (np.arange(20_000) + 0.5) / 20_000
    far = np.sqrt(1.0 + r**2 - 2.0 * r * np.cos(angle))
    mean = float(np.mean(far))
    return {
        "interpolation": ((1.0 - _A) * mean, d + _A**2 * cost),
        "time sharing": ((1.0 - _A) * mean, shared),
        "optimum": _limited(far, d),
    }


def _limited(far: Array, d: float) -> tuple[Array, Array]:
    """Steps of at most ``l``, from evenly weighted distances."""
    length = np.quantile(far, 1.0) * _A
    P = np.array([np.mean(np.maximum(far - one, 0.0)) for one in length])
    return P, np.array([d + np.mean(np.square(np.minimum(far, one))) for one in length])
