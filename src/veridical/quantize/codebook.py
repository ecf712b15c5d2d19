"""Codebooks: Lloyd's for least error, entropy-constrained for least rate, and the encoder of both.

    Z = argmin_z |x - e_Sz|^2 + o_Sz

with sites ``e`` and offsets ``o``, one set for each seed symbol ``S``. Offsets of zero give the
nearest codeword; ``lambda`` times a code length gives entropy-constrained quantization (Chou,
Lookabaugh and Gray 1989). The cells are convex polytopes (power diagrams) in either case.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array, Whole
from veridical.errors import InvalidSetting
from veridical.extras import require
from veridical.random import random_choices
from veridical.transport import power_assign, weighted_points

_ONE_THREAD = 10_000_000


def cell_entropy_bits(masses: Array) -> float:
    """``H(Z)`` of cell probabilities ``(M,)``, or ``H(Z|S)`` of ``(K, M)`` with even seeds, in bits."""
    p = masses[masses > 0]
    return max(0.0, float(-np.sum(p * np.log2(p))) / (masses.size / masses.shape[-1]))


@dataclass(frozen=True)
class Codebook:
    """Codewords of one quantizer and what they cost on the samples that made it.

    Attributes:
        points: conditional means of the cells, shape ``(M, d)``.
        offsets: shape ``(M,)``; see the module.
        masses: probabilities of the cells, shape ``(M,)``.
        mmse: mean squared error, squared units of the samples (summed over coordinates).
    """

    points: Array = field(repr=False)
    offsets: Array = field(repr=False)
    masses: Array = field(repr=False)
    mmse: float

    @property
    def entropy_bits(self) -> float:
        """``H(Z)`` in bits per sample."""
        return cell_entropy_bits(self.masses)


@dataclass(frozen=True)
class CodebookEncoder:
    """Encoder with ``K`` sets of ``M`` sites; the seed symbol of a sample chooses its set.

    Attributes:
        sites: ``e``, shape ``(K, M, d)``.
        offsets: ``o``, shape ``(K, M)``; infinite for a cell that is never used.
        shares: how often each set is used, in whole proportions; equally if left out.
    """

    sites: Array = field(repr=False)
    offsets: Array = field(repr=False)
    shares: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.sites.ndim != 3 or self.offsets.shape != self.sites.shape[:2]:
            raise InvalidSetting(
                f"sites (K, M, d) and offsets (K, M) do not fit: {self.sites.shape}, "
                f"{self.offsets.shape}"
            )
        if len(self.shares or self.sites) != len(self.sites):
            raise InvalidSetting(f"{len(self.sites)} sets of sites with {len(self.shares)} shares")

    def symbols(self, n: int, seed: int) -> Whole:
        """Which set codes each of ``n`` samples, shape ``(n,)``."""
        return random_choices(seed, n, self.shares or (1,) * len(self.sites))

    def encode(self, x: ArrayLike, seed: int) -> Whole:
        """Indices of samples ``(n, d)``, shape ``(n,)``; sample ``i`` uses seed symbol ``i``.

        Raises:
            InvalidSetting: bad samples, or of another dimension than the codebook.
        """
        points, _ = weighted_points(x, name="samples")
        K, _, d = self.sites.shape
        if points.shape[1] != d:
            raise InvalidSetting(
                f"samples have {points.shape[1]} coordinates, the codebook has {d}"
            )
        symbols = self.symbols(points.shape[0], seed)
        index = np.empty(points.shape[0], dtype=np.int64)
        for s in range(K):
            mine = np.flatnonzero(symbols == s)
            index[mine] = power_assign(points[mine], self.sites[s], self.offsets[s])
        return index


def lloyd(
    samples: ArrayLike,
    outputs: int,
    *,
    rng: np.random.Generator,
    weights: ArrayLike | None = None,
    starts: int = 4,
) -> Codebook:
    """Codebook of least mean squared error: k-means++ and Lloyd by scikit-learn, until nothing moves.

    Where the samples have no more than ``outputs`` distinct values, these are the codewords, and
    the error is 0.

    Args:
        samples: shape ``(n, d)``.
        weights: shape ``(n,)``.
        outputs: ``M``, 1 to ``n``.
        rng: for the starts.
        starts: number of k-means++ starts.

    Raises:
        InvalidSetting: bad samples or weights, or fewer samples than outputs.
    """
    x, a = weighted_points(samples, weights, name="samples")
    x, a = x[a > 0], a[a > 0]
    if not 1 <= outputs <= a.size:
        raise InvalidSetting(
            f"{outputs} codewords from {a.size} samples of positive weight; "
            "ask for at least one and at most as many as there are samples"
        )
    if outputs == 1:
        return _settled(x, a, (a @ x)[None, :])
    distinct = np.unique(x, axis=0)
    if distinct.shape[0] <= outputs:
        return _settled(x, a, distinct)
    KMeans = require("sklearn.cluster").KMeans
    from threadpoolctl import threadpool_limits

    means = KMeans(
        outputs, n_init=starts, tol=0.0, max_iter=1000, random_state=int(rng.integers(1 << 31))
    )
    # On small tables threads only wait for one another: seven times the processor time on two busy cores.
    with threadpool_limits(1 if x.size * outputs < _ONE_THREAD else None, user_api="openmp"):
        means.fit(x, sample_weight=a)
    return _settled(x, a, np.asarray(means.cluster_centers_, dtype=np.float64))


def entropy_constrained(
    samples: ArrayLike,
    start: Codebook,
    lagrangian: float,
    *,
    weights: ArrayLike | None = None,
    iterations: int = 200,
) -> Codebook:
    """Entropy-constrained Lloyd: lowers ``d + lambda H(Z)`` from a given codebook, cell by cell.

    Each step assigns every sample to ``argmin |x - c_z|^2 - lambda log2 p_z`` and takes conditional
    means and probabilities anew; cells that lose all samples are dropped, so that the alphabet
    shrinks to what the rate is worth.

    Args:
        samples: shape ``(n, d)``.
        weights: shape ``(n,)``.
        start: for example of :func:`lloyd`, with more codewords than the rate will leave.
        lagrangian: ``lambda``, squared units per bit, 0 or more.
        iterations: the most to spend; each one lowers the sum.

    Raises:
        InvalidSetting: bad samples, weights or ``lambda``.
    """
    x, a = weighted_points(samples, weights, name="samples")
    if not (math.isfinite(lagrangian) and lagrangian >= 0):
        raise InvalidSetting(f"lambda must be 0 or more, got {lagrangian!r}")
    book, best = start, math.inf
    for _ in range(iterations):
        used = book.masses > 0
        offsets = -lagrangian * np.log2(book.masses[used])
        book = _measured(x, a, book.points[used], offsets)
        now = book.mmse + lagrangian * book.entropy_bits
        if now >= best - 1e-9 * abs(best):
            break
        best = now
    # Lengths and means of the cells as they now are make the encoder that is kept.
    used = book.masses > 0
    lengths = -lagrangian * np.log2(book.masses[used])
    return _measured(x, a, book.points[used], lengths)


def _settled(x: Array, a: Array, points: Array) -> Codebook:
    return _measured(x, a, points, np.zeros(points.shape[0]))


def _measured(x: Array, a: Array, sites: Array, offsets: Array) -> Codebook:
    """The codebook of the conditional means of given cells."""
    cell = power_assign(x, sites, offsets)
    points, masses = conditional_means(x, a, cell, sites)
    error = float(a @ np.sum(np.square(x - points[cell]), axis=1))
    return Codebook(points, np.where(masses > 0, offsets, np.inf), masses, error)


def conditional_means(x: Array, weights: Array, cells: Whole, empty: Array) -> tuple[Array, Array]:
    """``E[X | cell]`` and ``P(cell)`` of weighted samples.

    Args:
        x: shape ``(n, d)``.
        weights: shape ``(n,)``, sums to 1.
        cells: shape ``(n,)``, 0 to ``m - 1``.
        empty: what stands for the mean of a cell without samples, shape ``(m, d)``.

    Returns:
        Means, shape ``(m, d)``, and probabilities, shape ``(m,)``.
    """
    m = empty.shape[0]
    masses = np.asarray(np.bincount(cells, weights, m), dtype=np.float64)
    sums = np.stack([np.bincount(cells, weights * column, m) for column in x.T], axis=1)
    held = masses > 0
    means = np.where(held[:, None], sums / np.where(held, masses, 1.0)[:, None], empty)
    return means, masses
