"""Greedy rejection sampling: exact, one proposal after the other, each accepted as soon as it may be.

With ``L_1 = 0`` and ``S_1 = 1``, proposal ``k`` is accepted with probability

    min(1, (r(Y_k) - L_k)+ / S_k),    L_{k+1} = L_k + S_k,    S_{k+1} = E_Q (r(Y) - L_{k+1})+

(Harsha, Jain, McAllester and Radhakrishnan, *The communication complexity of correlation*, IEEE Trans.
Inf. Theory 2010, for finite alphabets; Flamich and Theis, *Adaptive greedy rejection sampling*, ISIT
2023, for any). ``S_k`` is the probability that proposal ``k`` is reached, and ``L_k dQ`` is what a
density can have been given by then: each step fills as much of ``P`` as ``S_k Q`` can. ``K`` is the
number of proposals looked at, and its mean is exactly ``sup r``; indices here count from 0.

Since ``k - 1 <= L_k / S_k`` and an accepted ``y`` has ``r(y) > L_k``, the index has
``E log2 K <= D + 1 + (1 + 1/e) log2 e``, and a Zipf code takes at most ``D + log2(D + 1) + 6`` bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.arrays import Array, Whole, whole_number
from veridical.errors import NotConverged
from veridical.quantize.simulation.channel import Channel, certified_bounds
from veridical.quantize.simulation.poisson import checked_ratio
from veridical.quantize.simulation.proposals import (
    MOST_INDEX,
    SelectingCoder,
    Selection,
    coins,
    numbered,
    pieces,
    proposals,
)

_LARGEST_BLOCK = 64
# Proposal k is reached with probability at most (sup r) / k; near a smooth peak of r in d dimensions
# it falls as k^-(1 + 2/d), which is not exponential, so that this limit can be met by misfortune.
_BEYOND_DOUBT = 64


@dataclass(frozen=True)
class GreedyRejection(SelectingCoder):
    """Exact channel simulation by greedy rejection sampling.

    Attributes:
        channel: with a bound on its density ratio, and with ``excess``.
        most_proposals: samples whose ratio may exceed this are refused.
    """

    most_proposals: int = 1 << 20

    def __post_init__(self) -> None:
        whole_number(self.most_proposals, "most_proposals", 1, MOST_INDEX // _BEYOND_DOUBT)

    def select(self, x: ArrayLike, seed: int, *, first: int = 0) -> Selection:
        """As :meth:`encode`, with the number of proposals drawn, blocks counted whole.

        Raises:
            InvalidSetting: bad samples, a ratio without bound or beyond ``most_proposals``, a channel
                without ``excess``, or a ratio above the bound that the channel claims.
            NotConverged: nothing accepted after 64 times ``most_proposals``.
        """
        rows = self.channel.check(x)
        samples = numbered(len(rows), first)
        bounds = certified_bounds(self.channel, rows, self.most_proposals)
        ladder = _Ladder(self.channel, rows, samples, seed, bounds)
        drawn, size = 0, 1
        running = np.arange(len(rows))
        while running.size:
            if drawn > _BEYOND_DOUBT * self.most_proposals:
                raise NotConverged(
                    f"{running.size} samples accepted none of {drawn} proposals; is the density "
                    "ratio that of the proposal law?",
                    Selection(ladder.index, ladder.drawn),
                )
            for part in pieces(running, size * self.channel.words):
                ladder.run(part, drawn, size)
            drawn += size
            ladder.drawn[running] = drawn
            running = running[ladder.index[running] < 0]
            size = min(2 * size, _LARGEST_BLOCK)
        return Selection(ladder.index, ladder.drawn)


class _Ladder:
    """The state of all samples: level, probability of getting there, and what was accepted."""

    def __init__(
        self, channel: Channel, rows: NDArray[Any], samples: Whole, seed: int, bounds: Array
    ) -> None:
        n = len(rows)
        self.channel, self.rows, self.samples, self.seed = channel, rows, samples, seed
        self.bounds, self.level, self.reach = bounds, np.zeros(n), np.ones(n)
        self.index, self.drawn = np.full(n, -1, dtype=np.int64), np.zeros(n, dtype=np.int64)

    def run(self, part: Whole, drawn: int, size: int) -> None:
        """Proposals ``drawn .. drawn + size - 1`` of some samples."""
        y = proposals(self.channel, self.seed, self.samples[part], drawn, size)
        ratio = np.exp(checked_ratio(self.channel, self.rows[part], y, self.bounds[part]))
        coin = coins(self.seed, self.samples[part], drawn, size)
        live = np.arange(part.size)
        for step in range(size):
            at = part[live]
            level, reach = self.level[at], self.reach[at]
            accepted = coin[live, step] * reach < ratio[live, step] - level
            self.index[at[accepted]] = drawn + step
            live, at = live[~accepted], at[~accepted]
            if not live.size:
                return
            self.level[at] += self.reach[at]
            self.reach[at] = self.channel.excess(self.rows[at], self.level[at])
