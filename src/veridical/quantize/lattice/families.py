"""The lattices by name: coordinates, basis, decoder, and the published figures.

Every point is a whole vector ``u`` times ``axis``, coordinate by coordinate; all arithmetic on points is
done on ``u``, in integers. ``period`` is the least ``m`` with ``m Z^d`` inside the lattice of ``u``. Figures
are those of Conway and Sloane, *Sphere Packings, Lattices and Groups*, tables 1.2, 2.3 and 21.1; the second
moments of BW16 and of the Leech lattice are known to the digits given.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from veridical.arrays import Array, Whole, whole_number
from veridical.quantize.lattice.barnes_wall import REED_MULLER, nearest_barnes_wall
from veridical.quantize.lattice.golay import HEXACODE, golay_words
from veridical.quantize.lattice.leech import nearest_leech
from veridical.quantize.lattice.parity import (
    nearest_checkerboard,
    nearest_e8,
    nearest_whole,
)

_MOST_DIMENSIONS = 1 << 10
_SQRT3 = math.sqrt(3.0)


@dataclass(frozen=True)
class Family:
    """A lattice at its standard size; ``u`` are whole coordinates, points are ``u * axis``.

    Attributes:
        name: Such as ``E8``.
        dimension: ``d``.
        axis: length of one unit of each whole coordinate, ``d`` numbers.
        period: ``m``.
        basis: rows span the lattice of ``u``; upper triangular, positive diagonal.
        decode: nearest ``u`` to ``y``, shape ``(n, d)``, for ``|y|`` up to about the period.
        kissing_number: how many points are nearest to 0.
        packing_radius: half their distance.
        covering_radius: of the farthest point of space from the lattice.
        normalised_second_moment: ``G = E|e|^2 / (d volume^(2/d))`` of ``e`` uniform in the Voronoi cell.
        pairs: for similarities that double norms: pairs of coordinates ``(i, j)`` such that
            ``(u_i, u_j) -> (u_i - u_j, u_i + u_j)`` maps the lattice into itself; empty if none is known.
    """

    name: str
    dimension: int
    axis: tuple[float, ...] = field(repr=False)
    period: int
    basis: tuple[tuple[int, ...], ...] = field(repr=False)
    decode: Callable[[Array], Whole] = field(repr=False)
    kissing_number: int
    packing_radius: float
    covering_radius: float
    normalised_second_moment: float
    pairs: tuple[tuple[int, int], ...] = field(repr=False, default=())

    @property
    def index(self) -> int:
        """``|Z^d / lattice of u|``, the product of the basis' diagonal."""
        return math.prod(row[i] for i, row in enumerate(self.basis))

    @property
    def volume(self) -> float:
        """Volume of the Voronoi cell; the square root of the determinant."""
        return self.index * math.prod(self.axis)


def cubic(dimension: int = 1) -> Family:
    """``Z^n``: whole vectors."""
    n = whole_number(dimension, "the dimension of Z_n", 1, _MOST_DIMENSIONS)
    identity = tuple(tuple(int(i == j) for j in range(n)) for i in range(n))
    name = "Z" if n == 1 else f"Z{n}"
    return Family(name, n, (1.0,) * n, 1, identity, nearest_whole, 2 * n, 0.5, math.sqrt(n) / 2,
                  1 / 12, _neighbours(n))  # fmt: skip


def checkerboard(dimension: int = 4) -> Family:
    """``D_n``: whole vectors of even sum, ``n >= 2``."""
    n = whole_number(dimension, "the dimension of D_n", 2, _MOST_DIMENSIONS)
    basis = _triangular([_unit(n, i, i + 1) for i in range(n - 1)], 2, n)
    moment = (1 / 12 + 1 / (2 * n * (n + 1))) * 4.0 ** (-1 / n)
    return Family(f"D{n}", n, (1.0,) * n, 2, basis, nearest_checkerboard, 2 * n * (n - 1),
                  math.sqrt(0.5), max(1.0, math.sqrt(n) / 2), moment, _neighbours(n))  # fmt: skip


def hexagonal() -> Family:
    """``A2``: ``(a sqrt(3)/2, b/2)`` with ``a = b mod 2``; nearest neighbours at distance 1."""
    return Family("A2", 2, (_SQRT3 / 2, 0.5), 2, ((1, 1), (0, 2)), _nearest_hexagonal, 6, 0.5,
                  1 / _SQRT3, 5 / (36 * _SQRT3))  # fmt: skip


@cache
def gosset() -> Family:
    """``E8``, the root lattice of norm 2, in doubled coordinates."""
    basis = _triangular([_unit(8, i, i + 1) * 2 for i in range(7)] + [np.ones(8, dtype=int)], 4, 8)
    return Family("E8", 8, (0.5,) * 8, 4, basis, nearest_e8, 240, math.sqrt(0.5), 1.0, 929 / 12960,
                  _neighbours(8))  # fmt: skip


@cache
def barnes_wall16() -> Family:
    """``BW16`` of least norm 4, in coordinates times ``sqrt 2``."""
    generators = [*REED_MULLER, *(2 * _unit(16, i, i + 1) for i in range(15))]
    basis = _triangular(generators, 4, 16)
    return Family("BW16", 16, (math.sqrt(0.5),) * 16, 4, basis, nearest_barnes_wall, 4320, 1.0,
                  math.sqrt(3.0), 0.0682976, _neighbours(16))  # fmt: skip


@cache
def leech24() -> Family:
    """The Leech lattice of least norm 4, in coordinates times ``sqrt 8``."""
    words = golay_words()
    odd = np.ones(24, dtype=int)
    odd[0] = -3
    generators = [*(2 * words), *(4 * _unit(24, i, i + 1) for i in range(23)), odd]
    basis = _triangular(generators, 8, 24)
    return Family("Leech", 24, (math.sqrt(0.125),) * 24, 8, basis, nearest_leech, 196560, 1.0,
                  math.sqrt(2.0), 0.0657706, _leech_pairs(words))  # fmt: skip


def _leech_pairs(words: Whole) -> tuple[tuple[int, int], ...]:
    """Pairs of an automorphism whose square is -1.

    Adding a hexacode word without zeros permutes the rows within each column; a Golay word that holds
    one place of each pair says which of the two changes its sign.
    """
    shift = HEXACODE[np.all(HEXACODE != 0, axis=1)][0]
    pairs = np.array([(4 * j + r, 4 * j + (r ^ shift[j])) for j in range(6) for r in range(4)
                      if r < r ^ shift[j]])  # fmt: skip
    signs = words[np.all(words[:, pairs].sum(axis=2) == 1, axis=1)][0]
    return tuple((int(i), int(j)) if signs[i] else (int(j), int(i)) for i, j in pairs)


def _nearest_hexagonal(y: Array) -> Whole:
    """The nearer of the nearest points of two rectangular lattices; the even one on a tie."""
    even = np.floor(0.5 * y + 0.5) * 2.0
    odd = np.floor(0.5 * y) * 2.0 + 1.0
    weights = np.array([0.75, 0.25])
    nearer = np.square(y - odd) @ weights < np.square(y - even) @ weights
    return np.where(nearer[:, None], odd, even).astype(np.int64)


def _unit(n: int, *places: int) -> Whole:
    e = np.zeros(n, dtype=np.int64)
    e[list(places)] = 1
    return e


def _neighbours(n: int) -> tuple[tuple[int, int], ...]:
    return tuple((i, i + 1) for i in range(0, n - 1, 2)) if n % 2 == 0 else ()


def _triangular(
    generators: list[Whole], period: int, dimension: int
) -> tuple[tuple[int, ...], ...]:
    """Upper triangular basis of the lattice spanned by generators and ``period Z^d``."""
    rows = np.concatenate([np.array(generators), period * np.eye(dimension, dtype=np.int64)])
    basis = []
    for column in range(dimension):
        while np.count_nonzero(rows[:, column]) > 1:
            used = np.flatnonzero(rows[:, column])
            pivot = used[np.argmin(np.abs(rows[used, column]))]
            factor = rows[:, column] // rows[pivot, column]
            factor[pivot] = 0
            rows -= factor[:, None] * rows[pivot]
            # Entries stay small, since multiples of the period may be dropped from what comes later.
            rows[:, column + 1 :] %= period
        pivot = int(np.flatnonzero(rows[:, column])[0])
        row = rows[pivot] * np.sign(rows[pivot, column])
        basis.append(tuple(int(value) for value in row))
        rows = np.concatenate([np.delete(rows, pivot, axis=0), period * np.eye(dimension, dtype=np.int64)[column + 1 :]])  # fmt: skip
    return tuple(basis)
