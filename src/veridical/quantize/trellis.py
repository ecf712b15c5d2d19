"""Entropy-coded trellis codes: whole numbers whose residues modulo 4 follow a convolutional code.

The union codebook is ``Z``, cut into the subsets ``D_q = {L : L mod 4 = q}``. A trellis of ``2^nu`` states
(Ungerboeck, *Channel coding with multilevel/phase signals*, 1982, table I for amplitude modulation) says at
each place whether ``L`` is even or odd, and the half of ``L`` modulo 2 moves the state (Marcellin and
Fischer 1990; Fischer and Wang 1992 with entropy coding). So the code takes half of all whole numbers at
each place, and which half depends on the past.

The seed shifts the code place by place (:class:`Shifts`), which cuts space into cosets: shifted by 0 or 1 at
every place the codes tile ``Z^n`` once, one bit of common randomness; multiples of ``1/q`` on top give
``log2 q`` more, and for ``q = 2^15`` the shift counts as dither.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from veridical.arrays import Whole, is_number
from veridical.errors import InvalidSetting
from veridical.random import random_symbols

Array = NDArray[np.float32]

DITHER = 1 << 15
"""Fractions of a step that count as continuous."""

# Parity checks (h0, h1): Ungerboeck's for amplitude modulation up to 512 states; beyond, the best of 40 and 24
# random ones by their second moment on a uniform source.
_CHECKS = {
    4: (0o5, 0o2), 8: (0o13, 0o4), 16: (0o23, 0o4), 32: (0o45, 0o10), 64: (0o103, 0o24),
    128: (0o235, 0o126), 256: (0o515, 0o362), 512: (0o1017, 0o342),
    1024: (0o2733, 0o1612), 2048: (0o7371, 0o3246),
}  # fmt: skip
STATES = tuple(_CHECKS)


@dataclass(frozen=True)
class Trellis:
    """A trellis by its number of states, a power of 2 from 4 to 2048."""

    states: int

    def __post_init__(self) -> None:
        if self.states not in _CHECKS:
            raise InvalidSetting(f"a trellis has one of {STATES} states, not {self.states!r}")

    @cached_property
    def moves(self) -> Whole:
        """Next state for the half ``u = (L >> 1) & 1``, shape ``(states, 2)``."""
        h0, h1 = _CHECKS[self.states]
        nu = self.states.bit_length() - 1
        s = np.arange(self.states)[:, None]
        u = np.arange(2)[None, :]
        z = self.odd[:, None]
        out = z + 0 * u
        for i in range(1, nu):
            bit = (s >> (i - 1) & 1) ^ ((h0 >> i & 1) & z) ^ ((h1 >> i & 1) & u)
            out = out | bit << i
        return out.astype(np.int64)

    @cached_property
    def odd(self) -> Whole:
        """Whether the numbers of a state are odd, shape ``(states,)``."""
        return np.arange(self.states, dtype=np.int64) >> (self.states.bit_length() - 2)

    @cached_property
    def _entries(self) -> tuple[Whole, Whole]:
        """The two states before each state, and the subset on the way; shapes ``(states, 2)``."""
        s, u = np.nonzero(np.ones_like(self.moves))
        order = np.argsort(self.moves[s, u], kind="stable")
        before = s[order].reshape(self.states, 2)
        return before, 2 * u[order].reshape(self.states, 2) + self.odd[before]

    def cheapest(self, costs: Array) -> Whole:
        """Subsets of the cheapest path from state 0, by Viterbi's algorithm.

        Args:
            costs: of the subsets at each place, shape ``(n, 4, rows)``.

        Returns:
            Shape ``(n, rows)``, 0 to 3.
        """
        n, _, rows = costs.shape
        states, (before, subset) = self.states, self._entries
        # Both ways into every state behind one another, in buffers of their own: the arrays of a place are small,
        # and the calls for it cost more than its sums.
        ways, branches = before.T.ravel(), subset.T.ravel()
        total = np.full((states, rows), np.inf, dtype=np.float32)
        total[0] = 0.0
        both, cost = np.empty((2, 2 * states, rows), dtype=np.float32)
        one, two = both[:states], both[states:]
        second = np.empty((n, states, rows), dtype=bool)
        for t in range(n):
            np.take(total, ways, axis=0, out=both, mode="clip")
            np.take(costs[t], branches, axis=0, out=cost, mode="clip")
            both += cost
            np.less(two, one, out=second[t])
            np.minimum(one, two, out=total)
            if t % 64 == 63:
                total -= total.min(axis=0)
        # Back along the best: states and ways as places of flat arrays, subsets at the end all at once.
        flat = second.reshape(n, -1)
        back = (before.T[:, :, None] * rows + np.arange(rows)).ravel()
        state = np.argmin(total, axis=0) * rows + np.arange(rows)
        entries = np.empty((n, rows), dtype=np.int64)
        for t in range(n - 1, -1, -1):
            entries[t] = flat[t].take(state)
            entries[t] *= states * rows
            entries[t] += state
            state = back.take(entries[t])
        return branches.take(entries // rows)


@dataclass(frozen=True)
class Shifts:
    """What the seed adds to the code at each place: a multiple of ``1/fractions`` below 2, or nothing.

    Attributes:
        period: places ``t`` with ``t mod period < shifted`` are shifted.
        shifted: 0 to ``period``.
        fractions: ``q``; more than 1 only where every place is shifted.
    """

    period: int = 1
    shifted: int = 0
    fractions: int = 1

    @classmethod
    def of_bits(cls, common_bits: float) -> Shifts:
        """Shifts that take so many bits a place: ``k/m`` with ``m <= 16``, ``1 + log2 q``, or infinity.

        Raises:
            InvalidSetting: another amount.
        """
        if is_number(common_bits) and common_bits == math.inf:
            return cls(1, 1, DITHER)
        if is_number(common_bits) and 0 <= common_bits <= 1:
            for m in range(1, 17):
                if abs(common_bits * m - round(common_bits * m)) < 1e-6:
                    return cls(m, round(common_bits * m))
        elif is_number(common_bits) and 1 < common_bits <= 7:
            q = 2.0 ** (common_bits - 1)
            if round(q) >= 2 and abs(q - round(q)) < 1e-6:
                return cls(1, 1, round(q))
        raise InvalidSetting(
            f"common_bits of a trellis code is k/m with m <= 16 up to 1, 1 + log2 q for q to 64, or inf; "
            f"got {common_bits!r}"
        )

    @property
    def common_bits(self) -> float:
        """``Rc``, bits a place."""
        if self.fractions == DITHER:
            return math.inf
        return self.shifted / self.period * (1 + math.log2(self.fractions))

    def steps(self, seed: int, n: int) -> Whole:
        """Shifts of places ``0 .. n - 1`` in units of ``1/fractions``, shape ``(n,)``."""
        if not self.shifted:
            return np.zeros(n, dtype=np.int64)
        drawn = random_symbols(seed, n, 2 * self.fractions)
        return np.where(np.arange(n) % self.period < self.shifted, drawn, 0)
