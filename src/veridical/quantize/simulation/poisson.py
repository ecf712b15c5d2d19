"""The Poisson functional representation: exact simulation with a certificate of termination.

    K = argmin_k  T_k / r(Y_k),    T_1 < T_2 < ... a Poisson process of rate 1,  Y_k from Q

(Li and El Gamal, *Strong functional representation lemma and applications to coding theorems*, IEEE
Trans. Inf. Theory 2018.) The points ``(Y_k, T_k / r(Y_k))`` are a Poisson process of intensity
``P(dy) dt``, so that the earliest has the law ``P`` exactly. Since ``r <= B``, no later point beats
the best so far once ``T_k >= B min``: the search ends with a proof. It takes about ``B`` proposals.

Given ``Y_K = y``, the number of earlier points is geometric with mean ``a(y) = E_Q (r(y) - r(Y))+``,
and ``E log2 K <= D + log2(e)/e + 1``, where ``D = E D(P(.|X) || Q)``; a Zipf code of the index takes at
most ``D + log2(D + 1) + 4`` bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.arrays import Array, Whole, whole_number
from veridical.errors import InvalidSetting, NotConverged
from veridical.quantize.simulation.channel import Channel, certified_bounds
from veridical.quantize.simulation.proposals import (
    MOST_INDEX,
    SelectingCoder,
    Selection,
    coins,
    numbered,
    pieces,
    proposals,
)

_FIRST_BLOCK = 8
_LARGEST_BLOCK = 1 << 12
# The number of proposals exceeds this multiple of the bound with probability below e^-60.
_BEYOND_DOUBT = 64
_ROUNDING = 1e-9


@dataclass(frozen=True)
class PoissonRepresentation(SelectingCoder):
    """Exact channel simulation by the Poisson functional representation.

    Attributes:
        channel: with a bound on its density ratio.
        most_proposals: samples whose ratio may exceed this are refused.
    """

    most_proposals: int = 1 << 24

    def __post_init__(self) -> None:
        whole_number(self.most_proposals, "most_proposals", 1, MOST_INDEX // _BEYOND_DOUBT)

    def select(self, x: ArrayLike, seed: int, *, first: int = 0) -> Selection:
        """As :meth:`encode`, with the number of proposals drawn.

        Raises:
            InvalidSetting: bad samples, a ratio without bound or beyond ``most_proposals``, or a
                ratio above the bound that the channel claims.
            NotConverged: no certificate after 64 times ``most_proposals``.
        """
        rows = self.channel.check(x)
        samples = numbered(len(rows), first)
        race = Race(len(rows))
        bounds = certified_bounds(self.channel, rows, self.most_proposals)
        drawn, size = 0, _FIRST_BLOCK
        running = np.arange(len(rows))
        while running.size:
            if drawn > _BEYOND_DOUBT * self.most_proposals:
                raise NotConverged(
                    f"{running.size} samples have no certificate after {drawn} proposals; is the "
                    "density ratio that of the proposal law?",
                    Selection(race.index, race.drawn),
                )
            for part in pieces(running, size * self.channel.words):
                y = proposals(self.channel, seed, samples[part], drawn, size)
                ratio = checked_ratio(self.channel, rows[part], y, bounds[part])
                race.run(part, -np.log(coins(seed, samples[part], drawn, size)), ratio, drawn)
            drawn += size
            race.drawn[running] = drawn
            with np.errstate(divide="ignore"):
                safe = race.best[running] <= np.log(race.time[running]) - bounds[running]
            running = running[~safe]
            size = min(2 * size, _LARGEST_BLOCK)
        return Selection(race.index, race.drawn)


class Race:
    """The state of ``n`` samples: the time so far, the best score, and where it was."""

    def __init__(self, n: int) -> None:
        self.time, self.best = np.zeros(n), np.full(n, np.inf)
        self.index, self.drawn = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)

    def run(self, part: Whole, steps: Array, log_ratio: Array, drawn: int) -> None:
        """Proposals from number ``drawn`` on of some samples: steps of time and ``log r``, one column each."""
        time = np.cumsum(steps, axis=1) + self.time[part, None]
        score = np.log(time) - log_ratio
        at = np.argmin(score, axis=1)
        now = np.take_along_axis(score, at[:, None], axis=1)[:, 0]
        better = now < self.best[part]
        self.best[part] = np.where(better, now, self.best[part])
        self.index[part] = np.where(better, drawn + at, self.index[part])
        self.time[part] = time[:, -1]


def checked_ratio(channel: Channel, x: NDArray[Any], y: NDArray[Any], bounds: Array) -> Array:
    """``log r``, held against the bound that the certificate rests on.

    Raises:
        InvalidSetting: NaN, or a ratio above its bound.
    """
    ratio = channel.log_ratio(x, y)
    # NaN fails every comparison, hence the negation of what must hold.
    if not np.all(ratio <= bounds[:, None] + _ROUNDING * (1 + np.abs(bounds[:, None]))):
        raise InvalidSetting(
            "the density ratio is NaN or exceeds the bound that the channel gives; correct log_bound"
        )
    return ratio
