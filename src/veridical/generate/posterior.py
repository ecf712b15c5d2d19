"""Posterior sampling from stored samples: ``X-`` is drawn from ``p(x | z, s)``, the samples of the cell.

The generated ``X-`` follows the source whatever the code is, and is as far from ``X~`` as ``X`` is:
``C = E|X~ - X-|^2 = E|X~ - X|^2 = d``, so that perfect realism costs ``D = 2 d`` ([T] Prop. 1). Without
common randomness no plan is better ([T] Prop. 2); with it, ``W2^2 <= d``, and mostly less.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.arrays import Array, Whole
from veridical.errors import InvalidSetting
from veridical.estimate import CentroidEstimator
from veridical.estimate.indices import checked_indices
from veridical.generate.plan import drawn_entries
from veridical.quantize import CodebookEncoder
from veridical.transport import power_assign, weighted_points

_MOST_ENTRIES = 50_000_000


@dataclass(frozen=True)
class PosteriorGenerator:
    """Draws a stored sample of the cell that the estimate stands for.

    Attributes:
        samples: the source, shape ``(n, d)``.
        points: estimates ``E[X | Z=z, S=s]``, shape ``(K, M, d)``.
        rows: samples of cell ``(0, 0)``, then of ``(0, 1)``, ..., shape ``(K n,)``.
        levels: running sum of their weights over these entries, shape ``(K n,)``.
        starts: first entry of each cell, then ``K n``; shape ``(K M + 1,)``.
    """

    samples: Array = field(repr=False)
    points: Array = field(repr=False)
    rows: Whole = field(repr=False)
    levels: Array = field(repr=False)
    starts: Whole = field(repr=False)

    @classmethod
    def from_code(
        cls,
        encoder: CodebookEncoder,
        estimator: CentroidEstimator,
        samples: ArrayLike,
        weights: ArrayLike | None = None,
    ) -> PosteriorGenerator:
        """Posterior sampling for a code, from samples sorted into its cells.

        Args:
            encoder: cells, ``K`` sets of ``M``.
            estimator: the estimate of each.
            samples: shape ``(n, d)``; those that made the estimates, for ``C = d`` to be exact.
            weights: shape ``(n,)``, equal if left out.

        Raises:
            InvalidSetting: bad samples or weights, or ``K n`` above 50 million.
        """
        x, a = weighted_points(samples, weights, name="samples")
        x, a = x[a > 0], a[a > 0]
        K = encoder.sites.shape[0]
        if x.shape[1] != encoder.sites.shape[2]:
            raise InvalidSetting(
                f"samples have {x.shape[1]} coordinates, the codebook has {encoder.sites.shape[2]}"
            )
        if K * a.size > _MOST_ENTRIES:
            raise InvalidSetting(
                f"{a.size} samples in the cells of {K} seeds are more than {_MOST_ENTRIES} entries; "
                "give fewer samples"
            )
        sets = zip(encoder.sites, encoder.offsets, strict=True)
        cells = np.stack([power_assign(x, sites, offsets) for sites, offsets in sets])
        return cls.from_cells(x, a, cells, estimator.points)

    @classmethod
    def from_cells(
        cls, x: Array, weights: Array, cells: Whole, points: Array
    ) -> PosteriorGenerator:
        """Posterior sampling for cells of any shape.

        Args:
            x: samples, shape ``(n, d)``.
            weights: shape ``(n,)``, sums to 1.
            cells: the index of each sample under each seed symbol, shape ``(K, n)``.
            points: estimates, shape ``(K, M, d)``.

        Raises:
            InvalidSetting: the shapes do not fit, or an index is outside ``0 .. M - 1``.
        """
        K, M, d = points.shape
        if cells.shape != (K, x.shape[0]) or x.shape[1] != d or weights.shape != x.shape[:1]:
            raise InvalidSetting(
                f"samples {x.shape}, weights {weights.shape}, cells {cells.shape} and estimates "
                f"{points.shape} do not fit: (n, d), (n,), (K, n) and (K, M, d) do"
            )
        flat = (
            checked_indices(cells.ravel(), M).reshape(cells.shape) + M * np.arange(K)[:, None]
        ).ravel()
        order = np.argsort(flat, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(flat, minlength=K * M))])
        rows = order % x.shape[0]
        return cls(x, points, rows, np.cumsum(weights[rows]), starts)

    def generate(self, x_mmse: Array, rng: np.random.Generator, context: Any = None) -> Array:
        """One stored sample for each estimate, shape ``(n, d)``.

        Args:
            x_mmse: estimates, shape ``(n, d)``.
            rng: private randomness, one number per sample.
            context: the indices ``Z``, shape ``(n,)``: the seed symbol is then the one whose estimate
                for that index is nearest, so that ``X-`` is drawn given index and seed. Without them
                the cell is the one with the nearest estimate of all, which is the same unless two
                cells have equal means. Cells without samples stand back for the nearest with some.

        Raises:
            InvalidSetting: estimates of another shape, or indices that are not of this code.
        """
        K, M, d = self.points.shape
        if x_mmse.ndim != 2 or x_mmse.shape[1] != d:
            raise InvalidSetting(f"estimates have shape (n, {d}), not {x_mmse.shape}")
        held = np.diff(self.starts) > 0
        if context is None:
            cell = self._nearest(x_mmse, held)
        else:
            z = checked_indices(context, M)
            if z.shape != x_mmse.shape[:1]:
                raise InvalidSetting(f"{len(z)} indices for {len(x_mmse)} estimates")
            symbol, lost = _nearest_symbol(x_mmse, self.points, held.reshape(K, M), z)
            cell = M * symbol + z
            if np.any(lost):
                cell[lost] = self._nearest(x_mmse[lost], held)
        return self.samples[self.rows[drawn_entries(self.levels, self.starts, cell, rng)]]

    def _nearest(self, x_mmse: Array, held: NDArray[np.bool_]) -> Whole:
        """The cell with samples whose estimate is nearest; the first of equal ones."""
        flat = self.points.reshape(len(held), -1)
        return power_assign(x_mmse, flat, np.where(held, 0.0, np.inf))


def _nearest_symbol(
    x_mmse: Array, points: Array, held: NDArray[np.bool_], z: Whole
) -> tuple[Whole, NDArray[np.bool_]]:
    """The seed symbol whose estimate for ``z`` is nearest, and where no cell of ``z`` has samples."""
    best = np.full(len(z), np.inf)
    symbol = np.zeros(len(z), dtype=np.int64)
    for s, own in enumerate(points):
        gap = np.where(held[s, z], np.sum(np.square(x_mmse - own[z]), axis=1), np.inf)
        nearer = gap < best
        symbol[nearer], best[nearer] = s, gap[nearer]
    return symbol, np.isinf(best)
