"""Conditional means: the least-error reconstruction of each cell, ``X~ = E[X | Z, S]``."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from veridical.arrays import Array, Whole
from veridical.estimate.indices import checked_indices
from veridical.quantize import CodebookEncoder, conditional_means
from veridical.random import random_choices
from veridical.transport import power_assign


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


def cell_error(x: Array, weights: Array, means: Array, masses: Array) -> float:
    """``d = E|X - X~|^2 = E|X|^2 - E|X~|^2`` about the mean of the source, by orthogonality.

    Args:
        x: shape ``(n, d)``.
        weights: shape ``(n,)``, sums to 1.
        means: of the cells, shape ``(K, M, d)``.
        masses: ``P(Z=z | S=s)``, shape ``(K, M)``.

    Returns:
        Squared units, summed over coordinates.
    """
    centre = weights @ x
    spread = float(weights @ np.sum(np.square(x - centre), axis=1))
    between = float(np.sum(masses * np.sum(np.square(means - centre), axis=2))) / masses.shape[0]
    return max(0.0, spread - between)


@dataclass(frozen=True)
class CentroidEstimator:
    """Looks the mean of a cell up by its index and seed symbol.

    Attributes:
        points: ``E[X | Z=z, S=s]``, shape ``(K, M, d)``.
        shares: how often each seed symbol occurs, in whole proportions; equally if left out.
    """

    points: Array = field(repr=False)
    shares: tuple[int, ...] = ()

    def estimate(self, index: Whole, seed: int) -> Array:
        """Reconstructions ``(n, d)`` of indices ``(n,)``.

        Raises:
            InvalidSetting: an index outside the codebook.
        """
        K, M, _ = self.points.shape
        z = checked_indices(index, M)
        return self.points[random_choices(seed, z.size, self.shares or (1,) * K), z]
