"""Finite common randomness of a lattice code: the cosets of ``L2`` in ``L3``, by Construction A.

    L3 = { z B / q : z mod q in C },    |L3 / L2| = q^k,    Rc = (k/n) log2 q bits a dimension

for a free code ``C`` of length ``n`` and ``q^k`` words over the integers modulo ``q``, in coordinates of the
basis ``B`` of ``L2``. All words, ``k = n``, give the self-similar ``L3 = L2 / q``. A seed picks a word, and the
quantizer of a block is ``L2`` shifted by ``z B / q`` (theory: [T] IV-D).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product

import numpy as np

from veridical.arrays import Array, Whole, whole_number
from veridical.errors import InvalidSetting
from veridical.quantize.lattice.families import Family
from veridical.quantize.lattice.lattice import Lattice
from veridical.random import random_symbols

_MOST_MODULUS = 1 << 15
_MOST_SEARCHED = 1 << 12


@dataclass(frozen=True)
class Cosets:
    """Cosets of a lattice in a finer one.

    Attributes:
        family: of ``L2``.
        modulus: ``q``, 1 to 2^15; 1 for no common randomness.
        rows: ``k`` generators of ``C``, each ``n`` whole numbers from 0 to ``q - 1``.
    """

    family: Family
    modulus: int = 1
    rows: tuple[tuple[int, ...], ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        q, n = self.modulus, self.family.dimension
        if isinstance(q, bool) or not isinstance(q, int) or not 1 <= q <= _MOST_MODULUS:
            raise InvalidSetting(f"the modulus is a whole number from 1 to 2^15, got {q!r}")
        if len(self.rows) > n or any(len(row) != n for row in self.rows):
            raise InvalidSetting(
                f"a code for {self.family.name} has at most {n} generators of length {n}"
            )
        if any(not isinstance(v, int) or not 0 <= v < q for row in self.rows for v in row):
            raise InvalidSetting(f"generators hold whole numbers from 0 to {q - 1}")
        if q == 1 and self.rows:
            raise InvalidSetting("modulus 1 leaves no room for generators")
        for p in _prime_factors(q):
            if _rank(self.generator, p) < self.k:
                raise InvalidSetting(
                    f"the {self.k} generators are dependent modulo {p}, so that there are fewer "
                    f"than {q}^{self.k} cosets; leave out what the others span"
                )

    @property
    def k(self) -> int:
        """Number of generators."""
        return len(self.rows)

    @property
    def count(self) -> int:
        """``|L3 / L2| = q^k``."""
        return self.modulus**self.k

    @property
    def common_bits(self) -> float:
        """``Rc = (k/n) log2 q`` bits a dimension."""
        return self.k * math.log2(self.modulus) / self.family.dimension

    @cached_property
    def generator(self) -> Whole:
        """The generators, shape ``(k, n)``."""
        return np.array(self.rows, dtype=np.int64).reshape(self.k, self.family.dimension)

    def representatives(self, symbols: Whole) -> Whole:
        """``q t`` for symbols ``(m, k)`` modulo ``q``: whole coordinates of ``L2`` times ``q``."""
        q, m = self.modulus, self.family.period
        return (symbols @ self.generator % q) @ np.array(self.family.basis) % (q * m)

    def drawn(self, seed: int, n: int) -> Whole:
        """``q t`` of blocks ``0 .. n-1`` from the common randomness, shape ``(n, d)``."""
        symbols = random_symbols(seed, n * self.k, self.modulus).reshape(n, self.k)
        return self.representatives(symbols)

    def nearest_fine(self, y: Array) -> Whole:
        """Nearest point of ``L3``, as ``q`` times whole coordinates of ``L2``; exact.

        Raises:
            InvalidSetting: more than 4096 cosets would have to be searched.
        """
        q, base = self.modulus, Lattice(self.family)
        if self.k in (0, self.family.dimension):
            return base.nearest_units(y * q) if self.k else base.nearest_units(y) * q
        axis = np.array(self.family.axis)
        best, out = np.full(len(y), np.inf), np.empty(y.shape, dtype=np.int64)
        for shift in self._searched:
            near = self._nearest_core(y - shift / q) + shift
            miss = np.sum(np.square((y - near / q) * axis), axis=1)
            better = miss < best
            best[better], out[better] = miss[better], near[better]
        return out

    @cached_property
    def _through_turn(self) -> bool:
        """Whether ``L3`` holds ``R L2 / 2``, ``R`` the similarity that doubles norms."""
        if self.modulus != 2 or not self.family.pairs:
            return False
        both = np.concatenate([self.generator, turned_code(self.family)])
        return _rank(both, 2) == self.k

    @cached_property
    def _searched(self) -> Whole:
        """``q`` times representatives of the cosets of the core in ``L3``, shape ``(m, d)``."""
        rows = self.generator
        if self._through_turn:
            # Generators that are independent of the core's code.
            chosen: list[Whole] = list(turned_code(self.family))
            extra = []
            for row in rows:
                if _rank(np.array([*chosen, row]), 2) > len(chosen):
                    chosen.append(row)
                    extra.append(row)
            rows = np.array(extra, dtype=np.int64).reshape(len(extra), self.family.dimension)
        if self.modulus ** len(rows) > _MOST_SEARCHED:
            raise InvalidSetting(
                f"nearest points of L3 would need {self.modulus}^{len(rows)} cosets, more than "
                f"{_MOST_SEARCHED}; take fewer generators, or as many as there are dimensions"
            )
        symbols = np.array(list(product(range(self.modulus), repeat=len(rows))), dtype=np.int64)
        words = symbols.reshape(self.modulus ** len(rows), len(rows)) @ rows % self.modulus
        return words @ np.array(self.family.basis) % (self.modulus * self.family.period)

    def _nearest_core(self, y: Array) -> Whole:
        """``q`` times the nearest point of ``L2``, or of ``R L2 / 2``."""
        base = Lattice(self.family)
        if not self._through_turn:
            return base.nearest_units(y) * self.modulus
        first, second = (list(side) for side in zip(*self.family.pairs, strict=True))
        back = np.empty_like(y)
        back[:, first] = y[:, first] + y[:, second]
        back[:, second] = y[:, second] - y[:, first]
        v = base.nearest_units(back)
        return _turned(self.family, v)


def self_similar(family: Family, q: int) -> Cosets:
    """``L3 = L2 / q``: ``Rc = log2 q`` bits a dimension."""
    n = family.dimension
    if q == 1:
        return Cosets(family)
    return Cosets(family, q, tuple(tuple(int(i == j) for j in range(n)) for i in range(n)))


def construction_a(family: Family, k: int, q: int = 2) -> Cosets:
    """An ``[n, k]`` code over the integers modulo ``q`` whose cosets lie far apart.

    Where the lattice has a similarity ``R`` that doubles norms and ``q = 2``, the codes of all ``k`` are
    nested around the one of ``R L2 / 2`` (``k = n/2``), which is as good a lattice as ``L2``. Otherwise,
    and for the rest of the generators, the best of 24 codes drawn at fixed seeds is taken.

    Raises:
        InvalidSetting: ``k`` is not from 0 to ``n``, or ``q`` outside its range.
    """
    n = family.dimension
    if whole_number(k, "k", 0, n) == 0:
        return Cosets(family)
    if k == n or q == 1:
        return self_similar(family, q)
    core = turned_code(family) if q == 2 and family.pairs else np.zeros((0, n), dtype=np.int64)
    best, least = None, math.inf
    for trial in range(24):
        rng = np.random.default_rng([trial, k, q])
        try:
            code = Cosets(family, q, _draw_rows(rng, n, k, q, core))
        except InvalidSetting:
            continue  # dependent by chance
        if (closeness := _closeness(code)) < least:
            best, least = code, closeness
    if best is None:
        raise InvalidSetting(f"found no free [{n}, {k}] code modulo {q!r}; choose another q or k")
    return best


def turned_code(family: Family) -> Whole:
    """Generators, modulo 2, of the code of ``R L2 / 2`` in coordinates of the basis."""
    basis = np.array(family.basis)
    inside = np.rint(_turned(family, basis) @ np.linalg.inv(basis)).astype(np.int64) % 2
    rows: list[Whole] = []
    for row in inside:
        if _rank(np.array([*rows, row]), 2) > len(rows):
            rows.append(row)
    return np.array(rows).reshape(len(rows), family.dimension)


def _turned(family: Family, u: Whole) -> Whole:
    first, second = (list(side) for side in zip(*family.pairs, strict=True))
    out = np.empty_like(u)
    out[:, first] = u[:, first] - u[:, second]
    out[:, second] = u[:, first] + u[:, second]
    return out


def _draw_rows(
    rng: np.random.Generator, n: int, k: int, q: int, core: Whole
) -> tuple[tuple[int, ...], ...]:
    """``k`` generators, within or around the core where there is one."""
    c = len(core)
    if c == 0:
        rows = rng.integers(0, q, (k, n))
    elif k <= c:
        rows = rng.integers(0, 2, (k, c)) @ core % 2 if k < c else core
    else:
        rows = np.concatenate([core, rng.integers(0, 2, (k - c, n))])
    return tuple(tuple(int(v) for v in row) for row in rows)


def _closeness(code: Cosets, most: int = 256) -> float:
    """Mean of ``exp(-pi |t|^2 / volume^(2/n))`` over cosets other than ``L2``: less is better spread."""
    if code.count <= most:
        symbols = np.array(list(product(range(code.modulus), repeat=code.k)))
    else:
        symbols = np.random.default_rng(0).integers(0, code.modulus, (most, code.k))
    lattice = Lattice(code.family)
    t = code.representatives(symbols) / code.modulus
    near = (t - lattice.nearest_units(t)) * lattice.axis
    volume = (code.family.volume / code.count) ** (2.0 / code.family.dimension)
    return float(np.mean(np.exp(-math.pi * np.sum(np.square(near), axis=1) / volume)))


def _prime_factors(q: int) -> list[int]:
    return [p for p in range(2, q + 1) if q % p == 0 and all(p % r for r in range(2, math.isqrt(p) + 1))]  # fmt: skip


def _rank(rows: Whole, p: int) -> int:
    """Rank over the field of ``p`` elements."""
    rest, rank = np.array(rows, dtype=np.int64) % p, 0
    for column in range(rest.shape[1]):
        used = np.flatnonzero(rest[rank:, column])
        if used.size == 0:
            continue
        rest[[rank, rank + used[0]]] = rest[[rank + used[0], rank]]
        rest[rank] = rest[rank] * pow(int(rest[rank, column]), -1, p) % p
        others = np.arange(len(rest)) != rank
        rest[others] = (rest[others] - rest[others, column : column + 1] * rest[rank]) % p
        rank += 1
        if rank == len(rest):
            break
    return rank
