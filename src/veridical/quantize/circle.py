"""The angle quantizer of [T] section II: ``M`` outputs, rotated by the common randomness.

    Z = round(M theta / (2 pi) - S/K) mod M                              ([T] eqs 22, 33)

with ``S`` uniform on ``0 .. K-1`` from the seed; ``K = inf`` replaces ``S/K`` by a number uniform
on ``[0, 1)``, which is dithered quantization. The cells are arcs of width ``2 pi / M`` centred on
``2 pi (K Z + S) / (M K)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veridical.arrays import real_numbers
from veridical.errors import InvalidSetting
from veridical.random import random_symbols, random_uniforms

CHUNK = 1 << 14
"""Samples worked on at a time: the intermediate arrays of a chunk stay in the cache."""

_MOST_OUTPUTS = 1 << 31
_MOST_SEEDS = 1 << 63
# Room for points that were rounded to single precision (6e-8) on their way here.
_UNIT_TOLERANCE = 1e-6


@dataclass(frozen=True)
class CircleQuantizer:
    """Angle quantizer with common randomness.

    Attributes:
        outputs: ``M``, 1 to 2^31; the rate is ``log2 M`` bits. One output is rate zero.
        seeds: ``K``, a whole number from 1 to 2^63, or ``math.inf`` (angular dither).
    """

    outputs: int
    seeds: float = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "outputs", _count(self.outputs, "outputs", _MOST_OUTPUTS))
        if self.seeds != math.inf:
            object.__setattr__(self, "seeds", _count(self.seeds, "seeds", _MOST_SEEDS))

    def encode(self, x: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
        """Index of each point.

        Args:
            x: unit vectors, shape ``(n, 2)``, lengths within 1e-6 of 1.
            seed: common randomness, 0 to 2^64 - 1.

        Returns:
            Shape ``(n,)``, values ``0 .. M-1``.

        Raises:
            InvalidSetting: another shape, or a vector that is not of length 1 (NaN included).
        """
        points = _points(x)
        index = np.empty(len(points), dtype=np.int64)
        for first in range(0, len(points), CHUNK):
            rows = slice(first, first + CHUNK)
            self._encode_chunk(points[rows], index[rows], seed, first)
        return index

    def offsets(self, seed: int, n: int, *, first: int = 0) -> NDArray[np.float64]:
        """``S/K`` of samples ``first .. first + n - 1``, in ``[0, 1)``."""
        if math.isinf(self.seeds):
            return random_uniforms(seed, n, first=first)
        # The quotient rounds up to 1 only for K beyond 2^53, where a whole cell means nothing.
        return self.symbols(seed, n, first=first) / self.seeds

    def symbols(self, seed: int, n: int, *, first: int = 0) -> NDArray[np.int64]:
        """``S`` of samples ``first .. first + n - 1``; for a finite number of seeds only."""
        return random_symbols(seed, n, int(self.seeds), first=first)

    def _encode_chunk(
        self, x: NDArray[np.float64], index: NDArray[np.int64], seed: int, first: int
    ) -> None:
        _check_lengths(x)
        if self.outputs == 1:
            index[...] = 0
            return
        turns = np.arctan2(x[:, 1], x[:, 0])
        turns *= self.outputs / (2.0 * math.pi)
        if self.seeds != 1:
            turns -= self.offsets(seed, len(x), first=first)
        np.rint(turns, out=turns)
        index[...] = turns
        # The rounded value is at least -M/2 - 1, so that adding M once makes it a residue.
        index += (index >> 63) & self.outputs


def _count(value: Any, name: str, most: int) -> int:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not 1 <= int(value) <= most:
        also = " or math.inf" if name == "seeds" else ""
        raise InvalidSetting(
            f"{name} must be a whole number from 1 to 2^{most.bit_length() - 1}{also}, got {value!r}"
        )
    return int(value)


def _points(x: Any) -> NDArray[np.float64]:
    points = real_numbers(x, "points on the circle")
    if points.ndim != 2 or points.shape[1] != 2:
        raise InvalidSetting(
            f"points on the circle form a table of two columns, got shape {points.shape}"
        )
    return points


def _check_lengths(x: NDArray[np.float64]) -> None:
    lengths = np.einsum("ij,ij->i", x, x)
    # NaN fails every comparison, hence the negation of what must hold.
    if not (lengths.min() >= 1 - 2 * _UNIT_TOLERANCE and lengths.max() <= 1 + 2 * _UNIT_TOLERANCE):
        fits = np.abs(lengths - 1) <= 2 * _UNIT_TOLERANCE
        worst = x[int(np.argmin(fits))]
        raise InvalidSetting(
            f"point {worst.tolist()} is not on the unit circle; divide each row by its length"
        )
