"""The unit circle's channel of uniform noise: ``X^`` is uniform on the arc of width ``2 pi / M`` around X.

The proposals are uniform on the circle; the ratio is ``M`` on the arc and 0 elsewhere, ``I = log2 M``.
Angular dither simulates this channel with exactly ``I`` bits (:class:`~.dither.ArcDither`); the other
methods do it as well, for comparison.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.arrays import Array, whole_number
from veridical.errors import InvalidSetting
from veridical.quantize.simulation.channel import open_uniforms, rows_of_numbers

_UNIT_TOLERANCE = 1e-6


@dataclass(frozen=True)
class ArcChannel:
    """Uniform noise on the angle; samples are unit vectors, shape ``(n, 2)``.

    Attributes:
        outputs: ``M``, 1 to 2^20; the arc is one ``M``-th of the circle.
    """

    outputs: int

    def __post_init__(self) -> None:
        whole_number(self.outputs, "outputs", 1, 1 << 20)

    @property
    def words(self) -> int:
        """One word an angle."""
        return 1

    @property
    def information_bits(self) -> float:
        """``log2 M``."""
        return math.log2(self.outputs)

    @property
    def divergence_bits(self) -> float:
        """The same, since the output is uniform on the circle."""
        return self.information_bits

    def check(self, x: ArrayLike) -> Array:
        """Unit vectors, shape ``(n, 2)``; lengths within 1e-6 of 1 are made 1."""
        points = rows_of_numbers(x, 2)
        lengths = np.hypot(points[:, 0], points[:, 1])
        if np.any(np.abs(lengths - 1.0) > _UNIT_TOLERANCE):
            raise InvalidSetting("a point is not on the unit circle; divide each row by its length")
        return points / lengths[:, None]

    def propose(self, words: NDArray[np.uint64]) -> Array:
        """Points uniform on the circle, shape ``(n, b, 2)``."""
        angle = open_uniforms(words[..., 0]) * (2.0 * math.pi)
        return np.stack([np.cos(angle), np.sin(angle)], axis=-1)

    def log_ratio(self, x: Array, y: Array) -> Array:
        """``log M`` on the arc, minus infinity elsewhere."""
        inside = np.einsum("nbd,nd->nb", y, x) >= math.cos(math.pi / self.outputs)
        return np.where(inside | (self.outputs == 1), math.log(self.outputs), -np.inf)

    def log_bound(self, x: Array) -> Array:
        """``log M``."""
        return np.full(len(x), math.log(self.outputs))

    def excess(self, x: Array, level: Array) -> Array:
        """``(1 - level / M)+``."""
        del x
        return np.maximum(1.0 - level / self.outputs, 0.0)
