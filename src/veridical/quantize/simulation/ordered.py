"""Ordered random coding: a fixed number of proposals, approximate, whatever the ratio.

    K = argmin_{k <= N}  T_k / r(Y_k),    T_k = sum_{j <= k} N E_j / (N - j + 1),  E_j exponential

(Theis and Yosri, *Algorithms for the communication of samples*, ICML 2022). The ``T_k`` are ``N``
exponential numbers in rising order, so that the law of ``Y_K`` is that of importance resampling:
given the proposals, ``P(K = k)`` is proportional to ``r(Y_k)``. That law tends to ``P(. | x)`` as ``N``
grows and equals it only in the limit (or where ``r`` is constant); about ``2^D`` times a safety factor
is needed. The order makes low indices likely, so that they cost no more than those of the Poisson
functional representation, into which the method turns as ``N`` grows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.arrays import whole_number
from veridical.errors import InvalidSetting
from veridical.quantize.simulation.poisson import Race
from veridical.quantize.simulation.proposals import (
    SelectingCoder,
    Selection,
    coins,
    numbered,
    pieces,
    proposals,
)

_BLOCK = 1 << 10


@dataclass(frozen=True)
class OrderedRandomCoding(SelectingCoder):
    """Approximate channel simulation with ``N`` proposals a sample.

    Attributes:
        channel: needs no bound on its density ratio.
        candidates: ``N``, 1 to 2^24.
    """

    candidates: int

    def __post_init__(self) -> None:
        whole_number(self.candidates, "candidates", 1, 1 << 24)

    def reproduce(self, index: ArrayLike, seed: int, *, first: int = 0) -> NDArray[Any]:
        """The simulated samples ``X^``, from indices and seed alone.

        Raises:
            InvalidSetting: an index or setting outside its range.
        """
        if np.size(index) and np.issubdtype(np.asarray(index).dtype, np.integer):
            largest = int(np.max(np.asarray(index)))
            if largest >= self.candidates:
                raise InvalidSetting(
                    f"index {largest} with {self.candidates} candidates; they run from 0"
                )
        return super().reproduce(index, seed, first=first)

    def select(self, x: ArrayLike, seed: int, *, first: int = 0) -> Selection:
        """As :meth:`encode`, with the number of proposals drawn, which is ``N`` for each."""
        rows = self.channel.check(x)
        n, N = len(rows), self.candidates
        samples, race = numbered(n, first), Race(n)
        for part in pieces(np.arange(n), min(N, _BLOCK) * self.channel.words):
            for start in range(0, N, _BLOCK):
                count = min(_BLOCK, N - start)
                y = proposals(self.channel, seed, samples[part], start, count)
                ratio = self.channel.log_ratio(rows[part], y)
                if np.any(np.isnan(ratio)):
                    raise InvalidSetting("the density ratio is NaN; correct the channel")
                steps = -np.log(coins(seed, samples[part], start, count))
                race.run(part, steps * (N / (N - np.arange(start, start + count))), ratio, start)
        return Selection(race.index, np.full(n, N, dtype=np.int64))
