"""Chains ``L1 < L2 < L3``: the encoder of a lattice code with a shared seed ([T] IV-D).

    p = Q_L2(x - t) + t,    index = p - t in L2,

``t`` from the common randomness: a coset of ``L2`` in ``L3``, or uniform in space modulo ``L2`` (dithered
quantization, ``Rc = inf``). With a shaping lattice ``L1`` the index is taken modulo ``L1``, at fixed length.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array, Whole
from veridical.errors import InvalidSetting
from veridical.quantize.lattice.cosets import Cosets, self_similar
from veridical.quantize.lattice.lattice import Lattice
from veridical.random import random_uniforms

# Shares of a block outside the shaping region that are tried, the largest first.
_SHRINK = np.arange(15, -1, -1) / 16


@dataclass(frozen=True)
class NestedChain:
    """``L1 < L2 < L3``.

    Attributes:
        middle: ``L2``, the quantizer.
        cosets: of ``L2`` in ``L3``; ``None`` for dither.
        shaping: ``L1 = shaping * L2`` for an index of fixed length, ``R = log2 shaping``; 0 for none,
            which leaves the index unbounded and to the entropy coder.
    """

    middle: Lattice
    cosets: Cosets | None
    shaping: int = 0

    def __post_init__(self) -> None:
        if self.cosets is not None and self.cosets.family != self.middle.family:
            raise InvalidSetting(
                f"inconsistent chain: cosets of {self.cosets.family.name} in a finer lattice do not "
                f"shift a quantizer made of {self.middle.family.name}; build both from one family"
            )
        q = self.shaping
        if isinstance(q, bool) or not isinstance(q, int) or q < 0 or q > 1 << 16:
            raise InvalidSetting(
                f"shaping is a whole number from 1 to 2^16, or 0 for none, got {q!r}"
            )

    @classmethod
    def of(cls, coarse: Lattice | None, middle: Lattice, fine: Lattice) -> NestedChain:
        """The chain of three lattices of one family, whose scales are whole multiples.

        Raises:
            InvalidSetting: they are not nested, or of different families.
        """
        q = _multiple(middle, fine, "L2", "L3")
        shaping = 0 if coarse is None else _multiple(coarse, middle, "L1", "L2")
        return cls(middle, self_similar(middle.family, q), shaping)

    @property
    def dimension(self) -> int:
        """``n``."""
        return self.middle.dimension

    @property
    def common_bits(self) -> float:
        """``Rc``, bits a dimension."""
        return math.inf if self.cosets is None else self.cosets.common_bits

    @property
    def half_step(self) -> Array:
        """Half a basis vector of ``L3`` in whole coordinates of ``L2``, by which a shaped code is shifted."""
        q = 1 if self.cosets is None else self.cosets.modulus
        return np.array(self.middle.family.basis[0]) / (2.0 * q)

    def offsets(self, seed: int, n: int) -> Array:
        """``t`` of blocks ``0 .. n-1`` in whole coordinates of ``L2``, shape ``(n, d)``."""
        if self.cosets is not None:
            t = self.cosets.drawn(seed, n) / self.cosets.modulus
            # The points of a shaped code lie symmetrically around 0, like those of every good short code.
            return t + self.half_step if self.shaping else t
        d = self.dimension
        return random_uniforms(seed, n * d).reshape(n, d) * self.middle.family.period

    def encode(self, x: ArrayLike, seed: int) -> Whole:
        """Indices of blocks ``(n, d)``: whole coordinates of points of ``L2``, shape ``(n, d)``.

        With shaping, a block whose point lies outside the cell of ``L1`` is shrunk towards 0 in steps of
        1/16 until it does not.

        Raises:
            InvalidSetting: blocks of another dimension, or not finite, or too far away.
        """
        y = self.middle.units(x)
        t = self.offsets(seed, len(y))
        u = self.middle.nearest_units(y - t)
        if not self.shaping:
            return u
        reduced = self.reduced(u, t)
        wrong = np.flatnonzero(np.any(reduced != u, axis=1))
        for share in _SHRINK:
            if wrong.size == 0:
                break
            u = self.middle.nearest_units(share * y[wrong] - t[wrong])
            reduced[wrong] = self.reduced(u, t[wrong])
            wrong = wrong[np.any(reduced[wrong] != u, axis=1)]
        return reduced

    def reduced(self, u: Whole, t: Array) -> Whole:
        """The index whose point ``u + t`` lies in the cell of ``L1``; the same for all congruent ``u``."""
        basis = np.array(self.middle.family.basis)
        least = coordinates(self.middle, u) % self.shaping @ basis
        return least - self.shaping * self.middle.nearest_units((least + t) / self.shaping)

    def points(self, u: ArrayLike, seed: int) -> Array:
        """Points ``p`` of indices, shape ``(n, d)``.

        Raises:
            InvalidSetting: not indices of this chain.
        """
        whole = np.asarray(u)
        if not np.all(self.middle.contains(whole)):
            raise InvalidSetting(
                f"an index is no point of {self.middle.family.name}; was it coded by another design?"
            )
        return (whole + self.offsets(seed, len(whole))) * self.middle.axis


def coordinates(lattice: Lattice, u: Whole) -> Whole:
    """``z`` with ``u = z B``, by substitution in integers; ``u`` must belong to the lattice."""
    rest, z = u.copy(), np.empty_like(u)
    for i, row in enumerate(np.array(lattice.family.basis)):
        z[:, i] = rest[:, i] // row[i]
        rest[:, i:] -= z[:, i : i + 1] * row[i:]
    return z


def _multiple(coarse: Lattice, fine: Lattice, a: str, b: str) -> int:
    ratio = coarse.scale / fine.scale
    q = round(ratio)
    if coarse.family != fine.family or q < 1 or abs(ratio - q) > 1e-9 * ratio:
        raise InvalidSetting(
            f"inconsistent chain: {a} ({coarse.family.name}, scale {coarse.scale:g}) is not a whole "
            f"multiple of {b} ({fine.family.name}, scale {fine.scale:g}); choose {a} = q {b}"
        )
    return q
