"""Centroids of the arcs of the circle quantizer ([T] eqs 23, 34, 35)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veridical.estimate.indices import checked_indices
from veridical.quantize.circle import CHUNK, CircleQuantizer
from veridical.sources.circle import half_turns

# Up to this many centroids they are looked up; beyond it, computed one by one.
_TABLE = 1 << 14


@dataclass(frozen=True)
class ArcCentroids:
    """``X~ = r_M (cos t, sin t)``, ``t = (2 pi / M)(Z + S/K)``, ``r_M = (M/pi) sin(pi/M)``.

    Attributes:
        quantizer: The quantizer whose cells are meant.
    """

    quantizer: CircleQuantizer

    def estimate(self, index: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
        """Centroid of the cell of each index.

        Args:
            index: shape ``(n,)``, integers ``0 .. M-1``.
            seed: common randomness, the same as at the encoder.

        Returns:
            Shape ``(n, 2)``; with one output (rate zero) the centre of the circle.

        Raises:
            InvalidSetting: not a list of integers in range.
        """
        z = checked_indices(index, self.quantizer.outputs)
        out = np.zeros((len(z), 2))
        if self.quantizer.outputs == 1:
            return out
        points = out.view(np.complex128)[:, 0]
        table = self._table()
        for first in range(0, len(z), CHUNK):
            part = z[first : first + CHUNK]
            points[first : first + CHUNK] = self._centroids(part, seed, first, table)
        return out

    def _table(self) -> NDArray[np.complex128] | None:
        """Centroids of finite seeds in the order ``K Z + S``; of dither, of offset 1/2."""
        M, K = self.quantizer.outputs, self.quantizer.seeds
        r = float(np.sinc(1.0 / M))
        if math.isinf(K):
            return _at(2.0 * math.pi / M * (np.arange(M) + 0.5), r) if M <= _TABLE else None
        n = M * int(K)
        return _at(2.0 * math.pi / n * np.arange(n), r) if n <= _TABLE else None

    def _centroids(
        self, z: NDArray[np.int64], seed: int, first: int, table: NDArray[np.complex128] | None
    ) -> NDArray[np.complex128]:
        M, K = self.quantizer.outputs, self.quantizer.seeds
        if table is None:
            t = (z + self.quantizer.offsets(seed, len(z), first=first)) * (2.0 * math.pi / M)
            return _at(t, float(np.sinc(1.0 / M)))
        if math.isinf(K):
            halves = self.quantizer.offsets(seed, len(z), first=first)
            halves -= 0.5
            halves *= math.pi / M
            turned = half_turns(halves)
            turned *= table[z]
            return turned
        if K == 1:
            return table[z]
        fine = self.quantizer.symbols(seed, len(z), first=first)
        fine += z * int(K)
        return table[fine]


def _at(angle: NDArray[np.floating], radius: float) -> NDArray[np.complex128]:
    points = np.empty(angle.shape, dtype=np.complex128)
    points.real, points.imag = radius * np.cos(angle), radius * np.sin(angle)
    return points
