"""From ``X~`` of a lattice code to a sample of the Gaussian source, ``p(X-) = N(0, s2 I)``.

The point ``p`` is read off ``X~``. What is drawn is the backward channel of the *virtual* encoding by the whole
of ``L3`` ([T] IV-D), whose points have the law of ``p`` when the source is first divided by ``beta``:

    X- = beta (p + e),   e in the cell V3 of L3,   density ~ exp(-beta^2 |p + e|^2 / (2 s2)),

``beta^2 E|p + e|^2 = n s2``. Without common randomness ``L3 = L2`` and ``beta = 1``: posterior sampling. With
dither ``V3`` is a point. Where ``p`` is a function of single coordinates (cubic lattices) the monotone plan between
its law and the normal law is used instead; it is exact and, coordinate by coordinate, the best ([T] eq. 9).
For the other lattices a monotone map of the radius makes the norms those of the source; the law of the
direction is then right up to the harmonics that the cell lacks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from veridical.arrays import Array
from veridical.estimate.lattice import OddMap
from veridical.quantize.lattice.cosets import Cosets
from veridical.quantize.lattice.lattice import Lattice

CHUNK = 4096
_PATIENCE = 12


@dataclass(frozen=True)
class IntervalPlan:
    """The monotone plan from points on a grid to the normal law, coordinate by coordinate.

    Attributes:
        step: of the grid.
        below: probability of all points up to and including ``(k - middle) step``, at place ``k``.
        deviation: ``s``.
    """

    step: float
    below: Array = field(repr=False)
    deviation: float

    def __call__(self, p: Array, rng: np.random.Generator) -> Array:
        """A sample of the law of the source for each coordinate."""
        from scipy.special import ndtri

        k = np.clip(
            np.rint(p / self.step).astype(np.int64) + self.below.size // 2, 0, self.below.size - 1
        )
        upper = self.below[k]
        lower = np.where(k > 0, self.below[k - 1], 0.0)
        share = lower + (upper - lower) * rng.random(p.shape)
        return self.deviation * ndtri(np.clip(share, 1e-300, 1 - 1e-16))


@dataclass(frozen=True)
class CellSampler:
    """Draws ``beta (p + e)``, ``e`` of the Gaussian law cut to the cell of ``L3``.

    Independence Metropolis steps: proposals ``N(e0, tau^2)``, ``1/tau^2 = a + kappa``, ``e0 = -a tau^2 p``
    with ``a = beta^2/s2``; those inside the cell have weight ``exp(kappa |e|^2 / 2)``, which varies little.
    Blocks whose cell no proposal has hit yet go on for 12 times as many; then the middle is taken.

    Attributes:
        lattice: ``L2``.
        cosets: of ``L2`` in ``L3``.
        beta: see the module.
        deviation: ``s``.
        moment: of the cell of ``L3``, squared units per dimension.
        steps: proposals a block.
    """

    lattice: Lattice
    cosets: Cosets
    beta: float
    deviation: float
    moment: float
    steps: int = 40

    def __call__(self, p: Array, rng: np.random.Generator) -> Array:
        """A sample for each block."""
        out = np.empty_like(p)
        for first in range(0, len(p), CHUNK):
            part = p[first : first + CHUNK]
            out[first : first + CHUNK] = self.beta * (part + self._drawn(part, rng))
        return out

    def _drawn(self, p: Array, rng: np.random.Generator) -> Array:
        a = (self.beta / self.deviation) ** 2
        tau2 = min(0.7 * self.moment, 1.0 / a)
        kappa = 1.0 / tau2 - a
        center = -a * tau2 * p
        now, weight = np.zeros_like(p), np.full(len(p), -np.inf)
        some = np.arange(len(p))
        for step in range(_PATIENCE * self.steps):
            if step >= self.steps:
                # Points far out, whose cells few proposals hit.
                some = np.flatnonzero(np.isinf(weight))
            if some.size == 0:
                break
            e = center[some] + np.sqrt(tau2) * rng.standard_normal((some.size, p.shape[1]))
            gain = kappa / 2 * np.einsum("ij,ij->i", e, e)
            # The chance of acceptance first: what would be turned down need not be decoded.
            trial = np.flatnonzero(gain > weight[some] + np.log(1.0 - rng.random(some.size)))
            trial = trial[self._inside(e[trial])]
            now[some[trial]], weight[some[trial]] = e[trial], gain[trial]
        return now

    def _inside(self, e: Array) -> NDArray[np.bool_]:
        """Whether 0 is the nearest point of ``L3``."""
        norm = np.einsum("ij,ij->i", e, e)
        whole = self.cosets.k in (0, self.lattice.dimension)
        factor = 1.0 / self.cosets.modulus if whole else 1.0
        inside = norm <= (self.lattice.covering_radius * factor) ** 2
        surely = norm < (self.lattice.packing_radius * factor) ** 2 if whole else norm < 0
        ask = np.flatnonzero(inside & ~surely)
        if ask.size:
            near = self.cosets.nearest_fine(e[ask] / self.lattice.axis)
            inside[ask] = ~np.any(near, axis=1)
        return inside


@dataclass(frozen=True)
class LatticeGenerator:
    """From ``X~`` to ``X-``.

    Attributes:
        means: of the estimator, whose inverse gives ``p``.
        draw: from ``p`` to the virtual cell or the plan's interval; ``None`` with dither.
        to_source: monotone map to the law of the source; ``None`` where ``draw`` has it already.
        even: symmetric matrix ``(d, d)`` that makes the covariance of what was drawn round, for fine lattices
            whose cell is longer one way than another; ``None`` for none.
    """

    means: OddMap
    draw: IntervalPlan | CellSampler | None
    to_source: OddMap | None
    even: Array | None = field(default=None, repr=False)

    def generate(self, x_mmse: Array, rng: np.random.Generator, context: object = None) -> Array:
        """A sample of the source for each block, shape ``(n, d)``."""
        del context
        p = self.means.inverse(np.asarray(x_mmse, dtype=np.float64))
        drawn = p if self.draw is None else self.draw(p, rng)
        if self.even is not None:
            drawn = drawn @ self.even
        return drawn if self.to_source is None else self.to_source(drawn)
