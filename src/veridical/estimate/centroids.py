"""Conditional means: the least-error reconstruction of each cell, ``X~ = E[X | Z, S]``."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from veridical.errors import InvalidSetting
from veridical.quantize import CodebookEncoder, conditional_means
from veridical.random import random_symbols
from veridical.transport import power_assign

__all__ = ["CentroidEstimator", "seeded_means"]

Array = NDArray[np.float64]
Whole = NDArray[np.int64]


def seeded_means(x: Array, weights: Array, encoder: CodebookEncoder) -> tuple[Array, Array]:
    """``E[X | Z=z, S=s]`` and ``P(Z=z | S=s)`` of weighted samples for every seed symbol.

    Args:
        x: shape ``(n, d)``.
        weights: shape ``(n,)``, sums to 1.
        encoder: ``K`` sets of ``M`` sites; a cell without samples keeps its site as its mean.

    Returns:
        Means, shape ``(K, M, d)``, and probabilities, shape ``(K, M)``.
    """
    means, masses = np.empty_like(encoder.sites), np.empty_like(encoder.offsets)
    for s, (sites, offsets) in enumerate(zip(encoder.sites, encoder.offsets, strict=True)):
        cells = power_assign(x, sites, offsets)
        means[s], masses[s] = conditional_means(x, weights, cells, sites)
    return means, masses


@dataclass(frozen=True)
class CentroidEstimator:
    """Looks the mean of a cell up by its index and seed symbol.

    Attributes:
        points: ``E[X | Z=z, S=s]``, shape ``(K, M, d)``.
    """

    points: Array = field(repr=False)

    def estimate(self, index: Whole, seed: int) -> Array:
        """Reconstructions ``(n, d)`` of indices ``(n,)``.

        Raises:
            InvalidSetting: an index outside the codebook.
        """
        K, M, _ = self.points.shape
        z = np.asarray(index)
        if z.ndim != 1 or not np.issubdtype(z.dtype, np.integer):
            raise InvalidSetting(f"indices are a list of whole numbers, not {z.dtype} {z.shape}")
        if z.size and (np.min(z) < 0 or np.max(z) >= M):
            raise InvalidSetting(f"indices run from 0 to {M - 1}; one is outside")
        return self.points[random_symbols(seed, z.size, K), z]
