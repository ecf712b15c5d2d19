"""A scaled lattice: nearest points, cells and their figures.

    Q(x) = argmin over points p of |x - p|,    p = scale * axis * u,    u whole

Points are exchanged as whole vectors ``u`` (int64), so that sums, cosets and indices are exact; lengths
enter only through ``scale``. Ties (points of space with several nearest lattice points) are decided by the
decoder's own rule, which depends on ``x`` modulo the period of the lattice only: ``Q(x + v) = Q(x) + v``
exactly for ``v`` in ``period Z^d``, as long as ``x + v`` itself is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.arrays import Array, Whole, real_numbers, whole_number
from veridical.errors import InvalidSetting
from veridical.quantize.lattice.families import Family

_FARTHEST = 2.0**50
"""Largest whole coordinate: beyond it float64 has no room for where in a cell a point lies."""

CHUNK = 4096
"""Points of eight coordinates worked on at a time: their arrays stay in the cache."""


@dataclass(frozen=True)
class Lattice:
    """A lattice of a family, at a scale.

    Attributes:
        family: for example ``gosset()``.
        scale: factor on all lengths of the family's standard size, positive.
    """

    family: Family
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.family, Family):
            raise InvalidSetting(f"a lattice needs a family such as gosset(), got {self.family!r}")
        s = self.scale
        number = isinstance(s, int | float | np.floating) and not isinstance(s, bool)
        if not number or not 1e-150 <= s <= 1e150:
            raise InvalidSetting(f"scale must be a number from 1e-150 to 1e150, got {s!r}")
        object.__setattr__(self, "scale", float(s))

    @property
    def dimension(self) -> int:
        """``d``."""
        return self.family.dimension

    @cached_property
    def axis(self) -> Array:
        """Lengths of one unit of the whole coordinates, shape ``(d,)``."""
        return self.scale * np.array(self.family.axis)

    @property
    def volume(self) -> float:
        """Volume of a cell, ``scale^d`` times that of the family."""
        return self.family.volume * self.scale**self.dimension

    @property
    def second_moment(self) -> float:
        """``E|e|^2 / d`` of ``e`` uniform in the Voronoi cell, squared units per dimension."""
        root = self.family.volume ** (1.0 / self.dimension) * self.scale
        return self.family.normalised_second_moment * root**2

    @property
    def packing_radius(self) -> float:
        """Half the least distance of two points."""
        return self.family.packing_radius * self.scale

    @property
    def covering_radius(self) -> float:
        """Largest distance of any ``x`` from its nearest point."""
        return self.family.covering_radius * self.scale

    @property
    def packing_density(self) -> float:
        """Share of space that balls of the packing radius fill."""
        d = self.dimension
        ball = math.pi ** (d / 2) / math.gamma(d / 2 + 1) * self.family.packing_radius**d
        return ball / self.family.volume

    @property
    def space_filling_gain_db(self) -> float:
        """``10 log10((1/12) / G)``: less error than the cubic lattice at high rate; 1.53 at most."""
        return -10.0 * math.log10(12.0 * self.family.normalised_second_moment)

    def units(self, x: ArrayLike) -> Array:
        """``x`` in whole coordinates, shape ``(n, d)``.

        Raises:
            InvalidSetting: another shape, NaN or infinity, or farther than 2^50 units from 0.
        """
        return self._checked_units(lattice_blocks(x, self.dimension))

    def _checked_units(self, blocks: Array) -> Array:
        y = blocks / self.axis
        # NaN fails the comparison, hence the negation of what must hold.
        if y.size and not (y.max() < _FARTHEST and y.min() > -_FARTHEST):
            raise InvalidSetting(
                "points must be finite and closer to 0 than 2^50 units of the lattice "
                f"({_FARTHEST * float(self.axis.min()):.3g}); remove NaN and infinity, or raise the scale"
            )
        return y

    def nearest(self, x: ArrayLike) -> Whole:
        """Whole coordinates of the nearest points, shape ``(n, d)``.

        Raises:
            InvalidSetting: see :meth:`units`.
        """
        blocks = lattice_blocks(x, self.dimension)
        out = np.empty(blocks.shape, dtype=np.int64)
        rows = max(1, CHUNK * 8 // self.dimension)
        for first in range(0, len(blocks), rows):
            part = slice(first, first + rows)
            out[part] = self.nearest_units(self._checked_units(blocks[part]))
        return out

    def nearest_units(self, y: Array) -> Whole:
        """The same for points that are in whole coordinates already; not checked."""
        if self.family.period == 1:
            return self.family.decode(y)
        out, period = np.empty(y.shape, dtype=np.int64), float(self.family.period)
        rows = max(1, CHUNK * 8 // self.dimension)
        for first in range(0, len(y), rows):
            part = y[first : first + rows]
            # A multiple of the period is taken off first, so that the decoder sees small numbers only.
            shift = np.floor(part / period + 0.5)
            shift *= period
            target = out[first : first + rows]
            target[...] = shift
            target += self.family.decode(part - shift)
        return out

    def points(self, u: ArrayLike) -> Array:
        """Points of whole coordinates, shape ``(n, d)``."""
        return np.asarray(u) * self.axis

    def reduce(self, x: ArrayLike) -> Array:
        """``x - Q(x)``: the representative of ``x`` modulo the lattice in the Voronoi cell."""
        y = self.units(x)
        return (y - self.nearest_units(y)) * self.axis

    def contains(self, u: ArrayLike) -> NDArray[np.bool_]:
        """Whether whole vectors belong to the lattice, shape ``(n,)``."""
        whole = _whole_blocks(u, self.dimension)
        rest = (whole % self.family.period).astype(np.float64)
        return np.all(self.family.decode(rest) == rest, axis=1)

    def sample_cell(self, n: int, rng: np.random.Generator) -> Array:
        """``n`` points uniform in the Voronoi cell: uniform in a period, reduced; ``(n, d)``."""
        y = rng.random((whole_number(n, "n", 0), self.dimension)) * self.family.period
        return (y - self.nearest_units(y)) * self.axis


def lattice_blocks(x: Any, dimension: int) -> Array:
    """An array ``(n, d)`` of blocks.

    Raises:
        InvalidSetting: not numbers, or not blocks of ``dimension`` columns.
    """
    blocks = real_numbers(x, "blocks")
    if blocks.ndim != 2 or blocks.shape[1] != dimension:
        raise InvalidSetting(
            f"blocks of this lattice form an array (n, {dimension}), got shape {blocks.shape}; cut "
            f"a stream whose length is a multiple of {dimension} by reshape(-1, {dimension})"
        )
    return blocks


def _whole_blocks(u: Any, dimension: int) -> Whole:
    array = np.asarray(u)
    if array.ndim != 2 or array.shape[1] != dimension or not np.issubdtype(array.dtype, np.integer):
        raise InvalidSetting(
            f"whole coordinates form an integer array (n, {dimension}), got {array.dtype} {array.shape}"
        )
    return array.astype(np.int64, copy=False)
