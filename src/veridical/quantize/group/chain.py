"""Chains of three nested group codes ``G1 < G2 < G3 <= Z_p^n`` ([T] IV-D).

``G1`` is the level of shaping, ``G2`` adds the level of the message, ``G3`` the level of the seed:

    log2|G1| / n = k1 log2(p) / N,   R = k_m log2(p) / N,   Rc = k_s log2(p) / N

with ``k`` free symbols in a period of ``N`` places. The seed picks one of the ``p^(n k_s / N)`` cosets
of ``G2`` in ``G3``; a message, one of the ``p^(n k_m / N)`` cosets of ``G1`` in that; and shaping, the
cheapest word in it. Places and taps repeat with the period: good taps of a short period are found by
trying, and beat taps drawn anew for every place (``N = n``), which are average ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Whole, whole_number
from veridical.errors import InvalidSetting, TargetUnreachable
from veridical.quantize.group.code import Level, TrellisCode, checked_prime, checked_symbols
from veridical.random import random_symbols


@dataclass(frozen=True, kw_only=True)
class NestedChain:
    """Three nested codes; every place takes a free symbol of one level at most.

    Attributes:
        p: prime, 2 to 251.
        n: symbols of a block, a multiple of the period.
        period: ``N``.
        shaping, message, seed: ``k1``, ``k_m`` and ``k_s``, free symbols of a period; their sum is at
            most ``N``.
        memory: symbols that the three registers remember.
        taps: one number for each register; its taps are random words of this number.
    """

    p: int
    n: int
    period: int
    shaping: int
    message: int
    seed: int
    memory: tuple[int, int, int]
    taps: tuple[int, int, int] = (0, 0, 0)

    def __post_init__(self) -> None:
        checked_prime(self.p)
        for name in ("n", "period", "shaping", "message", "seed"):
            whole_number(getattr(self, name), name, 0 if name in ("shaping", "seed") else 1)
        if self.n % self.period:
            near = max(self.n // self.period, 1) * self.period
            raise InvalidSetting(
                f"a block of {self.n} symbols is not a whole number of periods of {self.period}; "
                f"take {near} or {near + self.period}"
            )
        if len(self.memory) != 3 or len(self.taps) != 3:
            raise InvalidSetting("memory and taps name three registers each")
        for m in self.memory:
            whole_number(m, "memory", 0)
        total = self.shaping + self.message + self.seed
        if total > self.period:
            raise InvalidSetting(
                f"an inconsistent chain: {self.shaping} + {self.message} + {self.seed} free symbols "
                f"are more than a period of {self.period}, so that G3 would not fit into Z_{self.p}^n"
            )
        if self.p ** min(sum(self.memory), 17) > 1 << 16:
            raise InvalidSetting(
                f"memories {self.memory} make {self.p}^{sum(self.memory)} states, more than 65536; "
                "lower one of them"
            )

    @classmethod
    def from_rates(
        cls,
        p: int,
        n: int,
        *,
        period: int,
        rate_bits: float,
        common_bits: float = 0.0,
        shaping_bits: float = 0.0,
        tolerance_bits: float = 0.01,
        memory: tuple[int, int, int],
        taps: tuple[int, int, int] = (0, 0, 0),
    ) -> NestedChain:
        """The chain whose rates are nearest to the wanted ones, in bits per symbol.

        Raises:
            TargetUnreachable: no chain of this ``p`` and period comes within ``tolerance_bits`` of a
                rate; the message names the nearest.
            InvalidSetting: a rate that is negative or not a number.
        """
        step = math.log2(checked_prime(p)) / whole_number(period, "period", 1)
        wanted = {"shaping_bits": shaping_bits, "rate_bits": rate_bits, "common_bits": common_bits}
        counts = [
            _nearestwhole_number(bits, name, step, tolerance_bits) for name, bits in wanted.items()
        ]
        k1, km, ks = counts
        if sum(counts) > period:
            room = max(period - k1 - km, 0) * step
            raise TargetUnreachable(
                f"the three rates sum to {sum(counts) * step:.6g} bits, more than log2 {p} = "
                f"{period * step:.6g}; with this rate and shaping at most {room:.6g} bits of common "
                "randomness are reachable"
            )
        return cls(
            p=p, n=n, period=period, shaping=k1, message=km, seed=ks, memory=memory, taps=taps
        )

    @property
    def rate_bits(self) -> float:
        """``R``, bits per symbol."""
        return self.message / self.period * math.log2(self.p)

    @property
    def common_bits(self) -> float:
        """``Rc``, bits per symbol."""
        return self.seed / self.period * math.log2(self.p)

    @property
    def shaping_bits(self) -> float:
        """``log2|G1| / n``, bits per symbol."""
        return self.shaping / self.period * math.log2(self.p)

    @cached_property
    def codes(self) -> tuple[TrellisCode, TrellisCode, TrellisCode]:
        """``G1, G2, G3``."""
        levels = self._levels
        one, two, three = (TrellisCode(self.p, self.n, levels[: k + 1]) for k in range(3))
        return one, two, three

    @property
    def index_symbols(self) -> int:
        """Symbols of an index: ``n k_m / N``."""
        return self.message * (self.n // self.period)

    @cached_property
    def _levels(self) -> tuple[Level, ...]:
        counts = (self.shaping, self.message, self.seed)
        turns = self.n // self.period
        levels = []
        for k, at in enumerate(_spread(counts, self.period)):
            # A level without free symbols needs no register.
            m = self.memory[k] if counts[k] else 0
            taps = random_symbols(self.taps[k], self.period * m, self.p, stream=k + 1)
            places = (at + self.period * np.arange(turns)[:, None]).ravel()
            levels.append(Level(places, np.tile(taps.reshape(self.period, m), (turns, 1))))
        return tuple(levels)

    @cached_property
    def _message_code(self) -> TrellisCode:
        return TrellisCode(self.p, self.n, self._levels[1:2])

    @cached_property
    def _seed_code(self) -> TrellisCode:
        return TrellisCode(self.p, self.n, self._levels[2:])

    def seed_words(self, seed: int, blocks: int, *, first: int = 0) -> Whole:
        """Words that name the coset of ``G2`` in ``G3`` for blocks ``first ..``, shape ``(blocks, n)``.

        Block ``i`` reads symbols ``i k .. (i+1) k - 1`` of the seed, ``k = n k_s / N``, whatever the batch.
        """
        k = self.seed * (self.n // self.period)
        s = random_symbols(seed, blocks * k, self.p, first=first * k)
        return self._seed_code.words(s.reshape(blocks, k))

    def message_words(self, index: ArrayLike) -> Whole:
        """Words that name the coset of ``G1`` in ``G2``, shape ``(blocks, n)``.

        Args:
            index: shape ``(blocks, index_symbols)``, symbols ``0 .. p-1``.

        Raises:
            InvalidSetting: another shape, or a symbol outside the alphabet.
        """
        z = checked_symbols(index, self.p, self.index_symbols, "the symbols of an index")
        return self._message_code.words(z)


def _spread(counts: tuple[int, ...], n: int) -> list[Whole]:
    """Places of each level, as even as they go: every symbol wants the middle of its share."""
    wish = np.concatenate([(np.arange(k) + 0.5) / k for k in counts] + [np.zeros(0)])
    none = n - sum(counts)
    wish = np.concatenate([wish, (np.arange(none) + 0.5) / max(none, 1)])
    owner = np.repeat(np.arange(len(counts) + 1), [*counts, none])
    order = np.lexsort((owner, wish))
    return [np.flatnonzero(owner[order] == k) for k in range(len(counts))]


def _nearestwhole_number(bits: Any, name: str, step: float, tolerance: float) -> int:
    """Free symbols of a period whose rate is nearest to ``bits``."""
    if isinstance(bits, bool) or not isinstance(bits, int | float) or not bits >= 0:
        raise InvalidSetting(f"{name} must be 0 or more, got {bits!r}")
    low = max(math.floor(min(bits, 64.0) / step), 1 if name == "rate_bits" else 0)
    nearest = low if abs(low * step - bits) <= abs((low + 1) * step - bits) else low + 1
    if abs(nearest * step - bits) > tolerance:
        raise TargetUnreachable(
            f"{name} = {bits:g} is out of reach: the nearest reachable with this p and period are "
            f"{low * step:.6g} and {(low + 1) * step:.6g}; take one, or a longer period"
        )
    return nearest
