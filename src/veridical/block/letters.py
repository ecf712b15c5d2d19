"""Letters of a block code: what each symbol of ``Z_p`` stands for, and how often it should occur.

For a rate ``R`` the alternating minimisation of Blahut and Arimoto, with free reproductions:

    q(u|x) ~ pi_u exp(-beta d(x, u)),   pi_u = sum_x p_x q(u|x),   y_u = E[X|u],

``beta`` such that ``I(X;U) = R``. The law ``pi`` is bent towards the uniform one, ``pi ~ pi^tau``, as
far as the shaping code needs it: a chain whose ``G1`` has ``s`` bits per symbol can hold words of
entropy ``H(U) = log2 p - s`` at most, if the cheapest word of a coset is to be the one that was meant.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from veridical.arrays import Array
from veridical.errors import InvalidSetting
from veridical.sources.alphabet import Alphabet


@dataclass(frozen=True)
class Letters:
    """Letters and the channel that a perfect code would make of them.

    Attributes:
        values: ``y``, shape ``(p,)``.
        law: ``pi``, shape ``(p,)``.
        slope: ``beta``, nats per squared unit; ``1/beta`` weighs the cost ``-ln pi`` of a letter.
        distortion: ``d(x, u)``, shape ``(m, p)``.
        channel: ``q(u|x)``, shape ``(m, p)``.
    """

    values: Array
    law: Array
    slope: float
    distortion: Array = field(repr=False)
    channel: Array = field(repr=False)

    @property
    def entropy_bits(self) -> float:
        """``H(U)``."""
        return float(-self.law @ np.log2(self.law))


def information_bits(joint: Array) -> float:
    """``I`` of a joint law, any table that sums to 1."""
    rows, columns = joint.sum(1, keepdims=True), joint.sum(0, keepdims=True)
    inside = joint > 0
    return float(np.sum(joint[inside] * np.log2((joint / (rows * columns + 1e-300))[inside])))


def design_letters(
    source: Alphabet,
    p: int,
    rate_bits: float,
    *,
    shaping_bits: float = 0.0,
    fixed: Array | None = None,
) -> Letters:
    """The letters of least distortion at a rate, with ``log2 p - H(U)`` of about ``shaping_bits``.

    Args:
        source: its points and law.
        p: number of letters.
        rate_bits: ``I(X;U)``, bits per symbol, below the entropy of the source and ``log2 p``.
        shaping_bits: what the letter law may lack to ``log2 p``; 0 makes it uniform.
        fixed: letter values that are not to move, shape ``(p,)``.

    Raises:
        InvalidSetting: letters of another number, not finite, or a rate out of range.
    """
    if fixed is not None and (np.shape(fixed) != (p,) or not np.all(np.isfinite(fixed))):
        raise InvalidSetting(f"fixed letters are {p} finite numbers, got {fixed!r}")
    most = min(math.log2(p), float(-source.law @ np.log2(source.law)))
    if not 0 < rate_bits < most:
        raise InvalidSetting(
            f"{rate_bits:g} bits per symbol lie outside 0 to {most:.6g}, the entropy that this source "
            f"and {p} letters have; lower the rate or take more letters"
        )
    best = _at_rate(source, p, rate_bits, 1.0, fixed)
    if math.log2(p) - best.entropy_bits <= shaping_bits:
        return best
    low, high = 0.0, 1.0
    best = _at_rate(source, p, rate_bits, 0.0, fixed)
    for _ in range(7 if shaping_bits > 0 else 0):
        middle = 0.5 * (low + high)
        trial = _at_rate(source, p, rate_bits, middle, fixed)
        if math.log2(p) - trial.entropy_bits <= shaping_bits:
            best, low = trial, middle
        else:
            high = middle
    return best


def _at_rate(
    source: Alphabet, p: int, rate_bits: float, tau: float, fixed: Array | None
) -> Letters:
    """Bisection of ``beta`` on a logarithmic scale; each step starts from the letters before it."""
    spread = math.sqrt(source.variance)
    # Even steps over the quantiles of the source.
    places = np.minimum(np.searchsorted(np.cumsum(source.law), (np.arange(p) + 0.5) / p),
                        source.points.size - 1)  # fmt: skip
    start = source.points[places] + 1e-3 * spread * (np.arange(p) - 0.5 * (p - 1))
    values = start if fixed is None else np.array(fixed, dtype=np.float64)
    low, high = 1e-3 / source.variance, 1e5 / source.variance
    found = _alternate(source, values, math.sqrt(low) * math.sqrt(high), tau, fixed)
    for _ in range(26):
        beta = math.sqrt(low) * math.sqrt(high)
        # At a small slope all letters fall together, and would never part again.
        found = _alternate(source, values, beta, tau, fixed)
        joint = source.law[:, None] * found.channel
        low, high = (low, beta) if information_bits(joint) > rate_bits else (beta, high)
    return found


def _alternate(
    source: Alphabet, values: Array, beta: float, tau: float, fixed: Array | None
) -> Letters:
    y, law = values.copy(), np.full(values.size, 1.0 / values.size)
    distortion = np.square(source.points[:, None] - y)
    channel = np.zeros_like(distortion)
    centre, spread = source.law @ source.points, math.sqrt(source.variance)
    for _ in range(200):
        exponent = np.log(law) - beta * distortion
        channel = np.exp(exponent - exponent.max(axis=1, keepdims=True))
        channel /= channel.sum(axis=1, keepdims=True)
        joint = source.law[:, None] * channel
        mass = np.maximum(joint.sum(axis=0), 1e-12)
        before, law = (y, law), np.power(mass, tau)
        law /= law.sum()
        if fixed is None:
            y = source.points @ joint / mass
            distortion = np.square(source.points[:, None] - y)
        still = np.abs(y - before[0]) <= 1e-8 * spread + 1e-9 * np.abs(y - centre)
        if np.all(still) and np.allclose(before[1], law, rtol=1e-9):
            break
    return Letters(y, law, beta, distortion, channel)
