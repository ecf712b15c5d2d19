"""Generator from a transport plan: given the codeword, a source sample from the plan's conditional law.

With an optimal plan between the source and the law of ``X~``, the generated ``X-`` follows the
source and ``E|X~ - X-|^2 = W2^2(p_X, p_X~)``, the least there is. Without common randomness that
plan joins a codeword with the samples of its own cell: posterior sampling ([T] Prop. 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from veridical.arrays import Array, Whole
from veridical.errors import InvalidSetting
from veridical.transport import Plan, power_assign


@dataclass(frozen=True)
class PlanGenerator:
    """Draws source samples by the conditional law of a plan.

    Attributes:
        samples: the source, shape ``(n, d)``.
        atoms: distinct values of ``X~`` with positive probability, shape ``(A, d)``.
        rows: samples joined with atom 0, then with atom 1, ..., shape ``(e,)``.
        levels: running sum of the plan's mass over these entries, shape ``(e,)``.
        starts: first entry of each atom, then ``e``; shape ``(A + 1,)``.
    """

    samples: Array = field(repr=False)
    atoms: Array = field(repr=False)
    rows: Whole = field(repr=False)
    levels: Array = field(repr=False)
    starts: Whole = field(repr=False)

    @classmethod
    def from_plan(cls, plan: Plan, samples: Array, atoms: Array) -> PlanGenerator:
        """Generator of a plan between ``samples`` (rows) and ``atoms`` (columns).

        Raises:
            InvalidSetting: the plan is of another size, or an atom has no mass.
        """
        if plan.shape != (samples.shape[0], atoms.shape[0]):
            raise InvalidSetting(
                f"a plan of {plan.shape} does not join {samples.shape[0]} samples "
                f"and {atoms.shape[0]} atoms"
            )
        order = np.argsort(plan.columns, kind="stable")
        counts = np.bincount(plan.columns, minlength=atoms.shape[0])
        if np.any(counts == 0):
            raise InvalidSetting("an atom without mass has no conditional law; leave it out")
        starts = np.concatenate([[0], np.cumsum(counts)])
        return cls(samples, atoms, plan.rows[order], np.cumsum(plan.mass[order]), starts)

    @classmethod
    def mixed(cls, parts: Sequence[PlanGenerator], shares: Sequence[float]) -> PlanGenerator:
        """The mixture of plans from one set of samples: each part is used for its share of the time.

        Estimates of part ``k`` then have the law of that part with probability ``shares[k]``, ``X-``
        follows the source, and the transport cost is the mean of the parts' costs.

        Args:
            parts: generators of the same samples.
            shares: their probabilities, positive, of sum 1.
        """
        atoms, which = np.unique(
            np.concatenate([p.atoms for p in parts]), axis=0, return_inverse=True
        )
        column = np.concatenate(
            [np.repeat(np.arange(len(p.atoms)), np.diff(p.starts)) for p in parts]
        )
        offset = np.cumsum([0, *(len(p.atoms) for p in parts[:-1])])
        column = which.ravel()[column + np.repeat(offset, [p.rows.size for p in parts])]
        mass = np.concatenate(
            [w * np.diff(p.levels, prepend=0.0) for p, w in zip(parts, shares, strict=True)]
        )
        order = np.argsort(column, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(column, minlength=len(atoms)))])
        rows = np.concatenate([p.rows for p in parts])[order]
        return cls(parts[0].samples, atoms, rows, np.cumsum(mass[order]), starts)

    def generate(self, x_mmse: Array, rng: np.random.Generator, context: object = None) -> Array:
        """One source sample for each estimate, shape ``(n, d)``.

        Args:
            x_mmse: estimates, shape ``(n, d)``; each is taken for the nearest atom.
            rng: private randomness, one number per sample.
            context: not used; the estimate says everything that the plan depends on.
        """
        del context  # the plan belongs to the estimate, which tells all that the index does
        atom = power_assign(x_mmse, self.atoms, np.zeros(self.atoms.shape[0]))
        return self.samples[self.rows[drawn_entries(self.levels, self.starts, atom, rng)]]


def drawn_entries(levels: Array, starts: Whole, group: Whole, rng: np.random.Generator) -> Whole:
    """One entry of each given group, by the entries' weights.

    Args:
        levels: running sum of the weights over all entries, shape ``(e,)``.
        starts: first entry of each group, then ``e``; shape ``(G + 1,)``.
        group: from which to draw, shape ``(n,)``; each has an entry.
        rng: one number per draw.
    """
    first, last = starts[group], starts[group + 1] - 1
    low = np.where(first > 0, levels[first - 1], 0.0)
    level = low + rng.random(group.size) * (levels[last] - low)
    return np.clip(np.searchsorted(levels, level, side="right"), first, last)
