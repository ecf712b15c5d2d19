"""Frequency tables of lattice coordinates, and which table a coordinate is coded with.

With an upper triangular basis, coordinate ``i`` of an index is known modulo ``h_i`` (the diagonal) once those
before it are known. In all lattices here but ``Z^n`` one parity check remains at the end: from some
coordinate on (the *tail*) all are known modulo ``c = period/2``, and the sum of what is left is even or odd.

* Before the tail the symbol is ``s = (u - r)/h``, coded by ``(h, residue, offset)``.
* In the tail ``s = (u - r)/c``. With ``delta_j = P(s_j even) - P(s_j odd)`` and ``D_i = prod over j > i of delta_j``

      P(s_i | past) ~ g(s_i) (1 + (-1)^(s_i + a_i) D_i),

  ``a_i`` the parity still needed: exact for independent coordinates. ``D`` is computed in integers and
  rounded to a thirty-second, so that both sides choose the same table; for the last one ``D = 1``.

Offsets are rounded to ``1/F``. ``g`` is the density of one coordinate of ``p = X + N``, ``N`` uniform in the cell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from veridical.arrays import Array, Whole
from veridical.bitstream.entropy import FrequencyTables
from veridical.errors import InvalidSetting
from veridical.quantize.lattice.families import Family
from veridical.quantize.lattice.lattice import Lattice

LEVELS = 16
"""Steps of ``D`` from 0 to 1."""
ONE = 1 << 15
"""``D = 1`` in the integers that hold it."""

_FINEST = 32
_MOST_ENTRIES = 1 << 22
_SPREAD = 6.5  # standard deviations that the tables cover; beyond it symbols escape


@dataclass(frozen=True)
class CoordinateTables:
    """Tables of a lattice code.

    Attributes:
        tables: a row for each context.
        fineness: ``F``.
        reach: symbols run over ``-reach .. reach``, then the escape.
        axes: number of the group of tables of each coordinate (one for each distinct axis).
        modulus: ``c``; 0 where there is no parity check.
        tail: first coordinate of the tail.
        bias: ``delta`` times ``ONE``, by group, residue and offset.
    """

    tables: FrequencyTables = field(repr=False)
    fineness: int
    reach: int
    axes: tuple[int, ...] = field(repr=False)
    modulus: int
    tail: int
    bias: Whole = field(repr=False)

    @classmethod
    def from_law(cls, lattice: Lattice, deviation: float, cell: Array) -> CoordinateTables:
        """Tables for a normal source.

        Args:
            lattice: ``L2``.
            deviation: of the source.
            cell: points of the cell of ``L2`` in whole coordinates, shape ``(m, d)``.

        Raises:
            InvalidSetting: cells so small that the tables would have millions of entries.
        """
        lengths, axes = np.unique(lattice.axis, return_inverse=True)
        reach = math.ceil(_SPREAD * deviation / float(lengths[0]) + float(np.max(np.abs(cell)))) + 1
        if 2 * reach + 2 > 1 << 16:
            raise InvalidSetting(
                "the cells are too small for the entropy coder, which takes up to 10 bits a dimension; "
                "lower the rate"
            )
        c, tail = _tail(lattice.family)
        kinds = len(lengths) * (2 * max(c, 1) - 1 + c * (2 * LEVELS + 1))
        fine = _FINEST
        while fine > 1 and kinds * fine * (2 * reach + 2) > _MOST_ENTRIES:
            fine //= 2
        laws, biases = [], []
        for group, length in enumerate(lengths):
            size = np.abs(cell[:, int(np.flatnonzero(axes == group)[0])])
            noise = np.quantile(size, (np.arange(128) + 0.5) / 128)
            plain, tails, bias = _group(deviation / float(length), noise, c, fine, reach)
            laws.append(np.concatenate([plain, tails]))
            biases.append(bias)
        law = np.concatenate(laws)
        law = np.concatenate([law, 1e-9 * law.sum(axis=1, keepdims=True)], axis=1)
        return cls(FrequencyTables.from_law(law), fine, reach, tuple(int(a) for a in axes), c, tail,
                   np.stack(biases))  # fmt: skip

    def plain_row(self, i: int, h: int, residue: Whole, part: Whole) -> Whole:
        """Contexts of coordinate ``i`` before the tail."""
        return self._first(i) + (h - 1 + residue) * self.fineness + part

    def tail_row(self, i: int, residue: Whole, part: Whole, signed: Whole) -> Whole:
        """Contexts in the tail; ``signed`` is ``(-1)^a D`` in integers."""
        last = i == len(self.axes) - 1
        level = (np.abs(signed) * LEVELS + ONE // 2) // ONE
        # Only the last coordinate is certain; rounding must not make another one so.
        level = np.minimum(level, LEVELS if last else LEVELS - 1) * np.sign(signed)
        plain = (2 * self.modulus - 1) * self.fineness
        place = (residue * self.fineness + part) * (2 * LEVELS + 1) + level + LEVELS
        return self._first(i) + plain + place

    def _first(self, i: int) -> int:
        return self.axes[i] * (self.tables.frequencies.shape[0] // (max(self.axes) + 1))


def _tail(family: Family) -> tuple[int, int]:
    """``c`` and the first coordinate of the tail."""
    c = family.period // 2
    diagonal = [row[i] for i, row in enumerate(family.basis)]
    if c == 0:
        return 0, family.dimension
    return c, max((i + 1 for i, h in enumerate(diagonal) if h < c), default=0)


def _group(s: float, noise: Array, c: int, fine: int, reach: int) -> tuple[Array, Array, Whole]:
    """Laws before the tail, laws in the tail, and biases, for coordinates of one axis."""
    places = np.arange(-reach, reach + 1)
    parts = np.arange(fine)[:, None] / fine
    plain = []
    h = 1
    while h <= max(c, 1):
        plain += [_density(h * places + r + parts, s, noise) for r in range(h)]
        h *= 2
    if c == 0:
        return (
            np.concatenate(plain),
            np.zeros((0, places.size)),
            np.zeros((1, fine), dtype=np.int64),
        )
    signs = np.where(places % 2 == 0, 1.0, -1.0)
    level = np.arange(-LEVELS, LEVELS + 1)[:, None] / LEVELS
    tails, bias = [], []
    for law in plain[-c:]:
        bias.append(np.rint((law @ signs) / law.sum(axis=1) * ONE).astype(np.int64))
        tails.append((law[:, None, :] * (1 + level * signs)).reshape(-1, places.size))
    return np.concatenate(plain), np.concatenate(tails), np.stack(bias)


def _density(at: Array, s: float, noise: Array) -> Array:
    """Density of a normal variable plus noise that is symmetric, given by quantiles of its size."""
    out = np.full_like(at, 1e-300)
    for shift in noise:
        for sign in (-1.0, 1.0):
            out += np.exp(-0.5 * np.square((at + sign * shift) / s))
    return out
