"""Perception of the law given the message, rather than of the law alone.

Let ``E W2^2(p(X | M), p(X^ | M)) <= P`` with ``M = (Z, S)`` what the decoder holds, and ``d = E|X - E[X | M]|^2``. Then

    D = d + ((sqrt d - sqrt P)+)^2      at any common randomness, so that P = 0 costs exactly 2 d.

Given ``M`` the source and the reconstruction are independent, hence ``E|X - X^|^2 = d + E|E[X | M] - X^|^2``, and the square
root of the second term is at least ``sqrt d - sqrt P`` by the triangle inequality in the metric ``sqrt(E W2^2(. | M))``,
where the constant ``E[X | M]`` is ``sqrt d`` away from ``p(X | M)``. ``X^ = (1 - a) E[X | M] + a X-`` with ``X-`` a posterior
sample and ``a = (1 - sqrt(P/d))+`` attains it. ``D`` rises with ``d``, so that the encoder of Shannon's ``d = Ds(R)`` is best.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array
from veridical.limits.checks import non_negative


def conditional_distortion(mmse: ArrayLike, perception: ArrayLike = 0.0) -> Array:
    """``D = d + ((sqrt d - sqrt P)+)^2``, squared error.

    Args:
        mmse: ``d``, for example Shannon's distortion at the rate; a lower end of it gives a lower end of ``D``.
        perception: ``P``, mean squared Wasserstein-2 distance between the two laws given the message.

    Raises:
        InvalidSetting: a negative argument or NaN.
    """
    d, P = non_negative(mmse, "mmse"), non_negative(perception, "perception")
    return d + np.maximum(np.sqrt(d) - np.sqrt(P), 0.0) ** 2
