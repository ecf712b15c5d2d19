"""Vector Gaussians: one random code a component, and which component gets which bits ([T] IV-E).

Blocks of ``n`` vectors ``N(0, diag(l))``; component ``i`` has a random code of its own, with ``b_i`` index
bits and ``c_i`` seed bits a block, ``sum b_i = nR``, ``sum c_i = nRc``. With the shares ``u_i, v_i`` that
``b_i`` and ``b_i + c_i`` bits convey (:func:`veridical.block.cosine.conveyed_share`), per vector

    d = sum l_i (1 - u_i),     C = sum l_i (1 + u_i - 2 sqrt(u_i v_i)).

*Reverse water-filling* spends the bits for the least ``d``, whatever ``P`` is: a universal encoder. The
*joint* allocation minimises ``d + ((sqrt C - sqrt P)+)^2``. Both are found exactly, among all ways to
share whole bits out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array, Whole
from veridical.block.codebook import MOST_INDEX_BITS, MOST_TOTAL_BITS
from veridical.block.cosine import conveyed_share
from veridical.block.random_coding import RandomCode, random_code
from veridical.codec import PartsCodec
from veridical.errors import InvalidSetting
from veridical.interpolate import Calibration, check_perception
from veridical.random import random_words

__all__ = ["Allocation", "VectorCode", "allocate_bits", "vector_code"]


_MOST_WAYS = 200_000
_COMPONENT_STREAM = 4


@dataclass(frozen=True)
class Allocation:
    """Bits of each component of a block.

    Attributes:
        eigenvalues: ``l``.
        dimension: ``n``, vectors of a block.
        index_bits: ``b_i``.
        seed_bits: ``c_i``; all infinite for unlimited common randomness.
        price: ``d`` and ``C`` per vector.
    """

    eigenvalues: tuple[float, ...]
    dimension: int
    index_bits: tuple[int, ...]
    seed_bits: tuple[float, ...]
    price: Calibration


def allocate_bits(
    eigenvalues: ArrayLike,
    dimension: int,
    index_bits: int,
    seed_bits: float = 0,
    *,
    perception: float | None,
) -> Allocation:
    """The best way to share out whole bits.

    Args:
        eigenvalues: ``l``, shape ``(k,)``, positive.
        dimension: ``n``.
        index_bits: ``nR``, bits of a block of all components, 0 to 24.
        seed_bits: ``nRc``, whole, or ``inf``. A component takes 56 bits in all at most, and none where
            it conveys nothing; what is left over is not spent.
        perception: ``P`` per vector, for which the allocation is joint; ``None``: reverse
            water-filling (least ``d``, then least ``C``).

    Raises:
        InvalidSetting: bad eigenvalues or bits, or more than 200,000 ways.
    """
    spectrum = _spectrum(eigenvalues)
    k = len(spectrum)
    index_bits = _bits(index_bits, "index_bits", MOST_INDEX_BITS)
    if seed_bits != math.inf:
        seed_bits = _bits(seed_bits, "seed_bits", k * MOST_TOTAL_BITS - index_bits)
    if math.comb(index_bits + k - 1, k - 1) > _MOST_WAYS:
        raise InvalidSetting(
            f"{index_bits} bits go to {k} components in more than {_MOST_WAYS} ways; "
            "use fewer bits or leave the smallest components out"
        )
    ways = _compositions(index_bits, k)
    u = np.array([conveyed_share(dimension, b) for b in range(index_bits + 1)])[ways]
    seeds, v = _spread_seeds(spectrum, dimension, ways, u, seed_bits)
    d = (1.0 - u) @ spectrum
    C = ((1.0 - np.sqrt(u * v)) ** 2 + u * (1.0 - v)) @ spectrum
    if perception is None:
        best = np.lexsort((C, d))[0]
    else:
        gap = np.sqrt(C) - math.sqrt(check_perception(perception))
        best = np.lexsort((C, d + np.maximum(gap, 0.0) ** 2))[0]
    return Allocation(
        tuple(spectrum.tolist()), dimension, tuple(ways[best].tolist()), tuple(seeds[best].tolist()),
        Calibration(float(d[best]), float(C[best])),
    )  # fmt: skip


@dataclass(frozen=True)
class _Side:
    """The three parts of all components, side by side on the last axis."""

    codes: tuple[RandomCode, ...]

    def encode(self, x: Array, seed: int) -> Whole:
        """Indices ``(blocks, k)`` of ``(blocks, n, k)``."""
        n = self.codes[0].codebook.dimension
        array = np.asarray(x)
        if array.ndim != 3 or array.shape[1:] != (n, len(self.codes)):
            raise InvalidSetting(
                f"blocks of vectors have shape (blocks, {n}, {len(self.codes)}), got {array.shape}"
            )
        parts = [
            code.encode(array[:, :, i], seed=_own(seed, i)) for i, code in enumerate(self.codes)
        ]
        return np.stack(parts, axis=1)

    def estimate(self, index: Whole, seed: int) -> Array:
        """Estimates ``(blocks, n, k)``."""
        z = np.asarray(index)
        if z.ndim != 2 or z.shape[1] != len(self.codes):
            raise InvalidSetting(
                f"indices have one column for each of {len(self.codes)} components, got {z.shape}"
            )
        parts = [
            code.estimator.estimate(z[:, i], _own(seed, i)) for i, code in enumerate(self.codes)
        ]
        return np.stack(parts, axis=2)

    def generate(self, x_mmse: Array, rng: np.random.Generator, context: Whole) -> Array:
        """Samples ``(blocks, n, k)``."""
        parts = [
            code.generator.generate(x_mmse[:, :, i], rng, context[:, i])
            for i, code in enumerate(self.codes)
        ]
        return np.stack(parts, axis=2)


@dataclass(frozen=True)
class VectorCode(PartsCodec[Array, Whole, np.random.Generator]):
    """Random codes side by side; prices and perceptions are *per vector*.

    Attributes:
        calibration: ``d`` and ``C`` per vector, on average over codebooks.
        allocation: who gets which bits.
    """

    calibration: Calibration
    allocation: Allocation


def vector_code(allocation: Allocation, *, codebook_seed: int = 0) -> VectorCode:
    """The code of an allocation: ``(blocks, n, k)`` to indices ``(blocks, k)`` and back.

    Args:
        allocation: from :func:`allocate_bits`.
        codebook_seed: component ``i`` uses ``codebook_seed + i``.

    Raises:
        InvalidSetting: a component with more than 56 bits, or a seed outside its range.
    """
    n = allocation.dimension
    codes = tuple(
        random_code(n, b / n, c / n, variance=value, codebook_seed=codebook_seed + i)
        for i, (value, b, c) in enumerate(
            zip(allocation.eigenvalues, allocation.index_bits, allocation.seed_bits, strict=True)
        )
    )
    side = _Side(codes)
    return VectorCode(side, side, side, allocation.price, allocation)


def _own(seed: int, component: int) -> int:
    """Common randomness of one component."""
    return int(random_words(seed, 1, stream=_COMPONENT_STREAM, first=component)[0])


def _spread_seeds(
    spectrum: Array, dimension: int, ways: Whole, u: Array, seed_bits: float
) -> tuple[Array, Array]:
    """Seed bits for the least ``C`` and the shares ``v``; bit by bit, the gains fall as they must."""
    if math.isinf(seed_bits):
        share = conveyed_share(dimension, math.inf)
        return np.full(ways.shape, math.inf), np.full(ways.shape, share)
    most = int(min(np.max(ways) + seed_bits, MOST_TOTAL_BITS))
    table = np.sqrt([conveyed_share(dimension, b) for b in range(most + 1)])
    # A component that is full or conveys nothing gains nothing.
    steps = np.append(np.diff(table), 0.0)
    total = ways.copy()
    rows = np.arange(len(ways))
    weight = spectrum * np.sqrt(u)
    for _ in range(int(seed_bits)):
        gain = weight * steps[total]
        taker = np.argmax(gain, axis=1)
        total[rows, taker] += np.where(gain[rows, taker] > 0, 1, 0)
    return (total - ways).astype(np.float64), table[total] ** 2


def _compositions(total: int, parts: int) -> Whole:
    """All ways to write ``total`` as ``parts`` ordered numbers of 0 or more."""
    if parts == 1:
        return np.array([[total]])
    return np.concatenate(
        [
            np.column_stack([np.full(len(rest), first), rest])
            for first in range(total + 1)
            for rest in [_compositions(total - first, parts - 1)]
        ]
    )


def _bits(value: float, name: str, most: int) -> int:
    if isinstance(value, bool) or not 0 <= value <= most or value != int(value):
        also = " (or inf)" if name == "seed_bits" else ""
        raise InvalidSetting(f"{name} must be a whole number from 0 to {most}{also}, got {value!r}")
    return int(value)


def _spectrum(eigenvalues: ArrayLike) -> Array:
    spectrum = np.asarray(eigenvalues, dtype=np.float64)
    if (
        spectrum.ndim != 1
        or spectrum.size == 0
        or not np.all((spectrum > 0) & (spectrum < math.inf))
    ):
        raise InvalidSetting(
            "eigenvalues must be a list of finite positive numbers; leave components of no "
            "variance out"
        )
    return spectrum
