"""From ``X~`` of a trellis code to a sample of the Gaussian source, sample by sample.

The point ``p`` is read off ``X~``; then ``X-`` is drawn from the backward channel of the *virtual* encoding by
all cosets together ([T] IV-D), a table of quantiles for each point: without common randomness the law of the
source in the decision regions of the code itself, so that ``C = d``. With dither ``X-`` is a function of ``p``.
A monotone map makes what is left of a single sample's law right.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from veridical.arrays import Array
from veridical.estimate.lattice import OddMap


@dataclass(frozen=True)
class TrellisGenerator:
    """From ``X~`` to ``X-``.

    Attributes:
        means: of the estimator, whose inverse gives ``p``.
        unit: distance of the points that have a table, units of the source.
        quantiles: of the virtual cell of ``k unit``, levels evenly from 0 to 1, shape
            ``(classes, points, levels)``; ``None`` with dither.
        period, shifted: class 0 are the places ``t`` with ``t mod period < shifted``, if there are two.
        to_source: monotone map to the law of the source.
    """

    means: OddMap
    unit: float
    quantiles: Array | None = field(repr=False)
    period: int
    shifted: int
    to_source: OddMap

    def generate(self, x_mmse: Array, rng: np.random.Generator, context: object = None) -> Array:
        """A sample of the source for each estimate, of any shape; places count in their order."""
        del context
        estimate = np.asarray(x_mmse, dtype=np.float64)
        p = self.means.inverse(estimate.reshape(-1, 1))[:, 0]
        return self.to_source(self.drawn(p, rng)[:, None])[:, 0].reshape(estimate.shape)

    def drawn(self, p: Array, rng: np.random.Generator) -> Array:
        """Virtual cell of each point, before the law is mended, shape ``(n,)``."""
        if self.quantiles is None:
            return p
        classes, points, levels = self.quantiles.shape
        group = np.zeros(p.size, dtype=np.int64)
        if classes == 2:
            group += np.arange(p.size) % self.period >= self.shifted
        k = np.minimum(np.rint(np.abs(p) / self.unit).astype(np.int64), points - 1)
        at = rng.random(p.size) * (levels - 1)
        low = np.minimum(at.astype(np.int64), levels - 2)
        left, right = self.quantiles[group, k, low], self.quantiles[group, k, low + 1]
        # At 0 the table is even itself; elsewhere it is that of the positive point.
        return np.copysign(1.0, p) * (left + (at - low) * (right - left))
