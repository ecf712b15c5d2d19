"""Comparing two rate-distortion curves by one number: BD-rate and BD-PSNR.

Source: G. Bjontegaard, "Calculation of average PSNR differences between RD-curves", ITU-T SG16
VCEG-M33 (2001). The curve between the measured points is here the monotone piecewise cubic of
Fritsch and Carlson (PCHIP) instead of the single cubic of that note: it passes through every
point, takes any number of points from two on, and does not overshoot between unevenly spaced
ones. Both measures average over the range that the two curves share, with rate on a logarithmic
scale.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from veridical.errors import InvalidSetting


def bd_rate_percent(
    rate_a: Sequence[float],
    psnr_a: Sequence[float],
    rate_b: Sequence[float],
    psnr_b: Sequence[float],
) -> float:
    """Mean extra rate of curve ``b`` over the anchor ``a`` at equal PSNR, in percent.

    ``100 (exp(mean over q of ln R_b(q) - ln R_a(q)) - 1)``, ``q`` uniform over the PSNR range
    that both curves cover. Negative: ``b`` needs fewer bits.

    Args:
        rate_a: rates of the anchor's points, shape ``(n,)``, n >= 2, positive, in any one unit
            (bits per pixel, bytes); in any order.
        psnr_a: PSNR of the same points in dB (or another quality that grows with rate).
        rate_b: rates of the curve under test, shape ``(m,)``, in the unit of ``rate_a``.
        psnr_b: PSNR of those points.

    Returns:
        Percent; -10 means a tenth fewer bits for the same PSNR.

    Raises:
        InvalidSetting: lengths differ, fewer than two points, a rate that is not positive, a
            value that is not finite, a curve along which rate and PSNR do not both increase, or
            PSNR ranges that do not overlap.
    """
    log_rate_a, quality_a = _curve(rate_a, psnr_a, "a")
    log_rate_b, quality_b = _curve(rate_b, psnr_b, "b")
    gap = _mean_gap(quality_a, log_rate_a, quality_b, log_rate_b, "PSNR")
    return 100.0 * math.expm1(gap)


def bd_psnr_db(
    rate_a: Sequence[float],
    psnr_a: Sequence[float],
    rate_b: Sequence[float],
    psnr_b: Sequence[float],
) -> float:
    """Mean PSNR gain of curve ``b`` over the anchor ``a`` at equal rate, in dB.

    ``mean over ln R of q_b(ln R) - q_a(ln R)``, over the range of rates that both curves cover.
    Positive: ``b`` is closer to the original. Arguments and errors are those of
    :func:`bd_rate_percent`, with the ranges of rate in place of the ranges of PSNR.
    """
    log_rate_a, quality_a = _curve(rate_a, psnr_a, "a")
    log_rate_b, quality_b = _curve(rate_b, psnr_b, "b")
    return _mean_gap(log_rate_a, quality_a, log_rate_b, quality_b, "rate")


def _curve(
    rate: Sequence[float], psnr: Sequence[float], name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sorted ``(ln rate, psnr)``, both strictly increasing."""
    rates, quality = np.asarray(rate, dtype=np.float64), np.asarray(psnr, dtype=np.float64)
    if rates.ndim != 1 or rates.shape != quality.shape or rates.size < 2:
        raise InvalidSetting(
            f"curve {name}: rates of shape {rates.shape} and PSNR of shape {quality.shape}; "
            "give two equally long lists of at least two points"
        )
    if not (np.all(np.isfinite(rates)) and np.all(rates > 0) and np.all(np.isfinite(quality))):
        raise InvalidSetting(
            f"curve {name}: rates must be positive and finite, and PSNR finite; "
            "leave out lossless points"
        )
    order = np.argsort(rates, kind="stable")
    log_rates, quality = np.log(rates[order]), quality[order]
    if np.any(np.diff(log_rates) <= 0) or np.any(np.diff(quality) <= 0):
        raise InvalidSetting(
            f"curve {name}: PSNR must increase strictly with rate; "
            "remove repeated points and points that another one dominates"
        )
    return log_rates, quality


def _mean_gap(
    x_a: NDArray[np.float64],
    y_a: NDArray[np.float64],
    x_b: NDArray[np.float64],
    y_b: NDArray[np.float64],
    axis: str,
) -> float:
    """Mean of ``y_b(x) - y_a(x)`` over the shared range of ``x``; the integrals are exact."""
    from scipy.interpolate import PchipInterpolator

    low, high = max(x_a[0], x_b[0]), min(x_a[-1], x_b[-1])
    if not low < high:
        raise InvalidSetting(
            f"the two curves share no range of {axis}; measure points whose {axis} overlaps"
        )
    area_a = float(PchipInterpolator(x_a, y_a).integrate(low, high))
    area_b = float(PchipInterpolator(x_b, y_b).integrate(low, high))
    return (area_b - area_a) / float(high - low)
