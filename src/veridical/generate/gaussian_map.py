"""The optimal map between normal laws, as a generator.

Between ``N(m, S)`` and ``N(n, T)`` the map of least ``E|X~ - X-|^2`` is affine,

    X- = n + A (X~ - m),   A = S^(-1/2) (S^(1/2) T S^(1/2))^(1/2) S^(-1/2),

at the cost of Bures and Wasserstein, ``|m - n|^2 + tr(S + T - 2 (S^(1/2) T S^(1/2))^(1/2))`` (Olkin and
Pukelsheim 1982). A singular ``S`` (an estimate of fewer dimensions than the source) has no map; the part
of ``T`` that no image of ``S`` reaches is then added as independent noise, which is an optimal plan.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array
from veridical.errors import InvalidSetting
from veridical.transport import weighted_points

__all__ = ["GaussianMap"]


_RANK = 1e-9


@dataclass(frozen=True)
class GaussianMap:
    """From ``X~`` to ``X-`` by first and second moments.

    Attributes:
        centre: ``m``, shape ``(d,)``.
        mean: ``n``, shape ``(d,)``.
        matrix: ``A``, shape ``(d, d)``; symmetric where ``S`` has full rank.
        noise: matrix of the noise where ``S`` is singular, shape ``(d, d)``; zeros otherwise.
    """

    centre: Array = field(repr=False)
    mean: Array = field(repr=False)
    matrix: Array = field(repr=False)
    noise: Array = field(repr=False)

    @classmethod
    def fitted(cls, x_mmse: ArrayLike, x: ArrayLike) -> GaussianMap:
        """The map between the moments of two sets of samples, shapes ``(n, d)`` and ``(m, d)``.

        Raises:
            InvalidSetting: bad samples, or of different dimensions.
        """
        left, _ = weighted_points(x_mmse, name="estimates")
        right, _ = weighted_points(x, name="samples")
        if left.shape[1] != right.shape[1]:
            raise InvalidSetting(f"{left.shape[1]} coordinates cannot map to {right.shape[1]}")
        return cls.of_moments(
            left.mean(axis=0), np.cov(left.T, bias=True).reshape(left.shape[1], -1),
            right.mean(axis=0), np.cov(right.T, bias=True).reshape(right.shape[1], -1),
        )  # fmt: skip

    @classmethod
    def of_moments(cls, centre: Array, S: Array, mean: Array, T: Array) -> GaussianMap:
        """The map from ``N(centre, S)`` to ``N(mean, T)``; covariances of shape ``(d, d)``."""
        values, vectors = np.linalg.eigh(S)
        used = values > _RANK * max(float(values[-1]), np.finfo(float).tiny)
        root, inverse = np.sqrt(values[used]), vectors[:, used]
        half = inverse * root
        middle, basis = np.linalg.eigh(half.T @ T @ half)
        # T S^(1/2) (S^(1/2) T S^(1/2))^(-1/2) S^(-1/2), which is A where S has full rank.
        kept = middle > _RANK * float(np.max(middle, initial=0.0))
        pseudo = (basis[:, kept] / np.sqrt(middle[kept])) @ basis[:, kept].T
        matrix = T @ half @ pseudo @ (inverse / root).T
        rest = T - matrix @ S @ matrix.T
        values, vectors = np.linalg.eigh((rest + rest.T) / 2)
        floor = _RANK * float(np.trace(T))
        noise = vectors * np.sqrt(np.where(values > floor, values, 0.0))
        return cls(centre, mean, matrix, noise)

    def generate(self, x_mmse: Array, rng: np.random.Generator, context: Any = None) -> Array:
        """One sample for each estimate, shape ``(n, d)``."""
        del context
        out = self.mean + (x_mmse - self.centre) @ self.matrix.T
        if np.any(self.noise):
            out = out + rng.standard_normal(out.shape) @ self.noise.T
        return out
