"""Frechet distance between Gaussians, and the running statistics it is computed from.

The squared 2-Wasserstein distance between ``N(m1, C1)`` and ``N(m2, C2)``
(Dowson and Landau 1982; Olkin and Pukelsheim 1982)::

    d^2 = |m1 - m2|^2 + tr(C1 + C2 - 2 (C1^1/2 C2 C1^1/2)^1/2)

Following the habit of the literature, "Frechet distance" names this *squared* number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.errors import InvalidSetting
from veridical.measure.uncertainty import Measured, jackknife_error

_INDEFINITE_TOLERANCE = 1e-9
"""A covariance may have eigenvalues down to minus this times its largest; rounding stays below."""


def frechet_distance(mu1: ArrayLike, cov1: ArrayLike, mu2: ArrayLike, cov2: ArrayLike) -> float:
    """Squared Frechet distance between two Gaussian laws.

    Computed as ``|m1 - m2|^2 + |C1^1/2 U - C2^1/2 V|_F^2``, where ``U S V^T`` is the singular
    value decomposition of ``C1^1/2 C2^1/2`` and the roots are symmetric (``eigh``). This equals
    the formula above, because ``tr (C1^1/2 C2 C1^1/2)^1/2 = tr S``, but it is a sum of squares:
    never negative, without the cancellation between traces for nearly equal laws, and without
    the square root of a rounding error that a singular covariance (fewer samples than
    dimensions) otherwise puts into every null direction.

    Args:
        mu1: mean, shape ``(d,)``.
        cov1: covariance, shape ``(d, d)``, symmetric and positive semidefinite.
        mu2: mean, shape ``(d,)``.
        cov2: covariance, shape ``(d, d)``.

    Returns:
        The squared distance, in squared units of the features; 0 for equal arguments up to
        rounding (far below ``1e-12`` of the trace).

    Raises:
        InvalidSetting: shapes do not fit, a value is not finite, or a covariance is not
            symmetric and positive semidefinite.
    """
    mean1, mean2 = np.asarray(mu1, dtype=np.float64), np.asarray(mu2, dtype=np.float64)
    if mean1.ndim != 1 or mean1.shape != mean2.shape or mean1.size == 0:
        raise InvalidSetting(
            f"means of shapes {mean1.shape} and {mean2.shape}; give two vectors of one length"
        )
    if not (np.all(np.isfinite(mean1)) and np.all(np.isfinite(mean2))):
        raise InvalidSetting("a mean holds NaN or infinite values; check the features behind it")
    root1, root2 = _symmetric_root(cov1, mean1.size), _symmetric_root(cov2, mean1.size)
    left, _, right_t = np.linalg.svd(root1 @ root2)
    gap = root1 @ left - root2 @ right_t.T
    return float(np.sum(np.square(mean1 - mean2)) + np.sum(np.square(gap)))


@dataclass(frozen=True)
class FeatureStatistics:
    """Count, mean and scatter of a set of feature vectors; sets are merged with ``+``.

    Immutable, float64. The merge is the pairwise update of Chan, Golub and LeVeque (1983), so
    that statistics kept per picture give those of any selection of pictures without a second
    pass over the features.

    Attributes:
        count: number of vectors ``n``.
        mean: shape ``(d,)``.
        scatter: ``sum (x - mean)(x - mean)^T``, shape ``(d, d)``.
    """

    count: int
    mean: NDArray[np.float64]
    scatter: NDArray[np.float64]

    @classmethod
    def of(cls, features: ArrayLike) -> FeatureStatistics:
        """Statistics of the rows of ``features``, shape ``(n, d)``, n >= 1, d >= 1.

        Raises:
            InvalidSetting: not two-dimensional, empty, or not finite.
        """
        rows = np.asarray(features, dtype=np.float64)
        if rows.ndim != 2 or rows.size == 0 or not np.all(np.isfinite(rows)):
            raise InvalidSetting(
                f"features of shape {rows.shape}; give finite rows, one vector of features each"
            )
        mean = rows.mean(axis=0)
        centred = rows - mean
        return cls(rows.shape[0], mean, centred.T @ centred)

    def __add__(self, other: FeatureStatistics) -> FeatureStatistics:
        """Statistics of the two sets together."""
        if self.mean.shape != other.mean.shape:
            raise InvalidSetting(
                f"features of {self.mean.size} and {other.mean.size} dimensions cannot be merged; "
                "take both from the same stage of the network"
            )
        count = self.count + other.count
        step = other.mean - self.mean
        mean = self.mean + step * (other.count / count)
        weight = self.count * other.count / count
        scatter = self.scatter + other.scatter + weight * np.outer(step, step)
        return FeatureStatistics(count, mean, scatter)

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Unbiased sample covariance ``scatter / (n - 1)``, shape ``(d, d)``; needs n >= 2."""
        if self.count < 2:
            raise InvalidSetting("a covariance needs two or more feature vectors; add more patches")
        return self.scatter / (self.count - 1)

    def frechet_to(self, other: FeatureStatistics) -> float:
        """Squared Frechet distance between the Gaussians with these two means and covariances."""
        return frechet_distance(self.mean, self.covariance, other.mean, other.covariance)


def frechet_with_error(
    reference: Sequence[FeatureStatistics], other: Sequence[FeatureStatistics]
) -> Measured:
    """Frechet distance between two pooled sets of pictures, with a jackknife error.

    Args:
        reference: one entry per picture, two or more.
        other: ``other[i]`` belongs to the same picture as ``reference[i]`` (its reconstruction).

    Returns:
        ``value``: distance between the two pooled laws. ``standard_error``: over the choice of
        pictures, from leaving out each *pair* in turn; patches of one picture are not
        independent, so pictures are the unit. One extra distance is computed per picture.

    Raises:
        InvalidSetting: lists of different lengths or of fewer than two pictures, or statistics
            of different dimension.
    """
    _check_pictures(reference, other)
    return _with_jackknife(_distance, reference, other)


def frechet_difference(
    reference: Sequence[FeatureStatistics],
    first: Sequence[FeatureStatistics],
    second: Sequence[FeatureStatistics],
) -> Measured:
    """How much farther from the originals ``second`` is than ``first``, with a jackknife error.

    Two reconstructions of the same pictures vary together, so the error of this difference is
    smaller (often by half) than two separate errors suggest.

    Args:
        reference: one entry per picture, two or more.
        first: ``first[i]`` belongs to the same picture as ``reference[i]``.
        second: the same for the other reconstruction.

    Returns:
        ``frechet(reference, second) - frechet(reference, first)``; negative when ``second`` is
        closer. The standard error is over the choice of pictures.

    Raises:
        InvalidSetting: as for :func:`frechet_with_error`.
    """
    _check_pictures(reference, first)
    _check_pictures(reference, second)

    def difference(
        pictures: Sequence[FeatureStatistics],
        one: Sequence[FeatureStatistics],
        two: Sequence[FeatureStatistics],
    ) -> float:
        return _distance(pictures, two) - _distance(pictures, one)

    return _with_jackknife(difference, reference, first, second)


def _check_pictures(
    reference: Sequence[FeatureStatistics], other: Sequence[FeatureStatistics]
) -> None:
    if len(reference) != len(other) or len(reference) < 2:
        raise InvalidSetting(
            f"{len(reference)} reference pictures and {len(other)} others; "
            "give two or more pairs, in the same order"
        )


def _distance(reference: Sequence[FeatureStatistics], other: Sequence[FeatureStatistics]) -> float:
    return reduce(add, reference).frechet_to(reduce(add, other))


def _with_jackknife(
    statistic: Callable[..., float], *sets: Sequence[FeatureStatistics]
) -> Measured:
    """``statistic(*sets)``, and its error from leaving picture ``i`` out of every set at once."""
    left_out = [
        statistic(*([*pictures[:i], *pictures[i + 1 :]] for pictures in sets))
        for i in range(len(sets[0]))
    ]
    return Measured(statistic(*sets), jackknife_error(left_out))


def _symmetric_root(cov: ArrayLike, dimension: int) -> NDArray[np.float64]:
    """Symmetric positive semidefinite square root; eigenvalues at rounding level become 0."""
    matrix = np.asarray(cov, dtype=np.float64)
    if matrix.shape != (dimension, dimension) or not np.all(np.isfinite(matrix)):
        raise InvalidSetting(
            f"a covariance of shape {matrix.shape} beside a mean of {dimension} values; "
            "it must be square, of that size, and finite"
        )
    scale = float(np.max(np.abs(matrix)))
    if not np.allclose(matrix, matrix.T, rtol=0.0, atol=1e-9 * scale):
        raise InvalidSetting("the covariance is not symmetric; average it with its transpose")
    values, vectors = np.linalg.eigh(matrix)
    if values[0] < -_INDEFINITE_TOLERANCE * scale * dimension:
        raise InvalidSetting(
            f"the covariance has a negative eigenvalue, {values[0]:.3g}; "
            "it must be positive semidefinite"
        )
    floor = np.finfo(np.float64).eps * dimension * max(values[-1], 0.0)
    roots = np.sqrt(np.where(values > floor, values, 0.0))
    return (vectors * roots) @ vectors.T
