"""The theory figures of the source papers: [BM] 3, 4a-c, 5 and [T] 6, 8, as records.

[T] 6 and 8 also hold measurements of the real circle codec, to be set beside the formula.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from veridical.limits import (
    bernoulli_distortion,
    bernoulli_rate_bits,
    bernoulli_thresholds,
    circle_distortion,
    circle_mmse,
    circle_w2_squared,
    gaussian_rate_bits,
)
from veridical.measure import mean_with_error
from veridical.oneshot.circle import circle_codec
from veridical.sources.circle import circle_samples
from veridical.studies.records import Record

_P_ONE = 0.1
_POINTS = np.array([0.0, 0.02, 0.08, 0.16, 0.28, 0.42, 0.56])
_SAMPLES = 50_000


def _simulate(codes: NDArray[np.float64]) -> tuple[dict[str, NDArray[np.float64]], float]:
    """Distortion of the real codec at every ``_POINTS`` for each row ``(M, K)``.

    Returns:
        ``points`` (perception asked for), ``measured`` and ``standard_error``, shape
        ``(codes, points)``; and the largest deviation from [T] eq. 26 in standard errors.
    """
    value, error = np.empty((len(codes), len(_POINTS))), np.empty((len(codes), len(_POINTS)))
    for i, (outputs, seeds) in enumerate(codes):
        codec = circle_codec(int(outputs), float(seeds) if np.isinf(seeds) else int(seeds))
        for j, P in enumerate(_POINTS):
            rng = np.random.default_rng([int(outputs), i, j])
            x = circle_samples(_SAMPLES, rng)
            seed = int(rng.integers(1 << 62))
            index = codec.encode(x, seed=seed)
            x_hat = codec.decode(index, rng, perception=float(P), seed=seed)
            D = mean_with_error(np.sum(np.square(x - x_hat), axis=1))
            value[i, j], error[i, j] = D.value, D.standard_error
    formula = circle_distortion(codes[:, :1], _POINTS[None, :], codes[:, 1:])
    deviation = float(np.max(np.abs(value - formula) / error))
    return {"points": _POINTS, "measured": value, "standard_error": error}, deviation


def bm3() -> Record:
    """[BM] Fig. 3: ``R`` over ``D`` of Bernoulli(0.1) at several ``P``, and Shannon's curve."""
    D = np.linspace(0.0, 0.2, 401)
    fixed_p = np.array([0.0, 0.01, 0.02, 0.04, 0.06])
    curves = bernoulli_rate_bits(_P_ONE, D[None, :], fixed_p[:, None])
    shannon = bernoulli_rate_bits(_P_ONE, D, np.inf)
    first, second = bernoulli_thresholds(_P_ONE, fixed_p)
    # Where the perception is free, up to D1, the curve is Shannon's own.
    apart = float(np.max(np.abs(np.where(first[:, None] >= D, curves - shannon, 0.0))))
    facts = {"p": _P_ONE, "distance_from_shannon_before_d1": apart}
    return Record(
        "bm3",
        facts,
        {
            "D": D,
            "fixed_p": fixed_p,
            "rate_over_d": curves,
            "shannon_bits": shannon,
            "D1": first,
            "D2": second,
        },
    )


def bm4() -> Record:
    """[BM] Fig. 4: (a) the surface with lines of equal rate, (b) ``P`` over ``D``, (c) ``R`` over ``P``."""
    D, P = np.linspace(0.0, 0.2, 201), np.linspace(0.0, 0.1, 101)
    fixed_d = np.array([0.02, 0.05, 0.08, 0.1, 0.15])
    fixed_r = np.array([0.05, 0.1, 0.15, 0.2, 0.3])
    rate = bernoulli_rate_bits(_P_ONE, D[None, :], P[:, None])
    arrays = {
        "D": D, "P": P, "fixed_d": fixed_d, "fixed_r": fixed_r, "rate_bits": rate,
        "d_over_p": bernoulli_distortion(_P_ONE, fixed_r[:, None], P[None, :]),
        "rate_over_p": bernoulli_rate_bits(_P_ONE, fixed_d[:, None], P[None, :]),
    }  # fmt: skip
    # Convex along both axes ([BM] Theorem 1): the least second difference is no less than rounding.
    bend = min(float(np.min(np.diff(rate, 2, axis=k))) for k in (0, 1))
    price = arrays["d_over_p"][:, 0] / arrays["d_over_p"][:, -1]
    facts = {"p": _P_ONE, "price_of_equal_laws": price.tolist(), "least_second_difference": bend}
    return Record("bm4", facts, arrays)


def bm5() -> Record:
    """[BM] Fig. 5: squared error, ``R(D, 0) <= R(D/2, inf)`` (Theorem 2), for the Gaussian.

    With ``P`` from nothing to equality of laws the curve moves up, never above the curve of half the
    distortion: twice the distortion always buys perfect perception at the same rate.
    """
    D = np.linspace(0.02, 2.0, 397)
    fixed_p = np.array([0.0, 0.01, 0.04, 0.16])
    arrays = {
        "D": D, "fixed_p": fixed_p,
        "rate_bits": gaussian_rate_bits(D[None, :], fixed_p[:, None]),
        "shannon_bits": gaussian_rate_bits(D, np.inf),
        "bound_bits": gaussian_rate_bits(D / 2, np.inf),
    }  # fmt: skip
    slack = float(np.min(arrays["bound_bits"] - arrays["rate_bits"][0]))
    return Record("bm5", {"source": "N(0,1)", "least_slack_bits": slack}, arrays)


def t6() -> Record:
    """[T] Fig. 6: ``D(P)`` on the circle at one bit, with 1, 2 and unlimited seeds: formula and simulation."""
    P = np.linspace(0.0, 0.7, 351)
    seeds = np.array([1.0, 2.0, np.inf])
    D = circle_distortion(2, P[None, :], seeds[:, None])
    points, deviation = _simulate(np.column_stack([np.full(3, 2.0), seeds]))
    facts = {
        "outputs": 2,
        "at_zero": D[:, 0].tolist(),
        "samples": _SAMPLES,
        "largest_deviation_in_standard_errors": deviation,
    }
    return Record("t6", facts, {"P": P, "seeds": seeds, "D": D, **points})


def t8() -> Record:
    """[T] Figs 7, 8: a bit of seed against a bit of information, and dithering, on the circle."""
    P = np.linspace(0.0, 0.7, 351)
    codes = np.array([[2.0, 1.0], [2.0, 2.0], [2.0, np.inf], [4.0, 1.0]])
    D = circle_distortion(codes[:, :1], P[None, :], codes[:, 1:])
    points, deviation = _simulate(codes)
    facts = {
        "samples": _SAMPLES,
        "largest_deviation_in_standard_errors": deviation,
        "mmse": circle_mmse(codes[:, 0]).tolist(),
        "w2_squared": circle_w2_squared(codes[:, 0], codes[:, 1]).tolist(),
        "information_always_better": bool(np.all(D[3] <= D[:3])),
    }
    return Record("t8", facts, {"P": P, "codes": codes, "D": D, **points})
