"""Wasserstein distortion: squared error where ``sigma`` is small, a distance of laws where it is large.

With means ``m`` and deviations ``s`` of each feature under a Gaussian window of deviation ``sigma`` about a position,

    D = average over positions and features of  (m - m_hat)^2 + (s - s_hat)^2,

the squared W2 distance of normal laws with these moments. Windows are reflected at the border, so that they
tend to the whole picture. Source: Y. Qiu, A. B. Wagner, J. Balle and L. Theis, "Wasserstein distortion: unifying
fidelity and realism", CISS 2024, eqs 5 to 8. Code of two of its authors (balle-lab/wasserstein-distortion) has
binomial windows on a pyramid, whose ``log2_sigma = k`` is a deviation of ``sqrt((4^k - 1) / 6)`` pixels, and zeros beyond the
border: at that ``sigma``, away from borders, its numbers are these within 5 % at ``k = 1`` and 1 % above.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.arrays import Array
from veridical.errors import InvalidSetting
from veridical.measure.stlpips import Trunk, trunk_activations

_NARROWEST = 0.125
"""Narrower windows, cut off at 4 sigma, hold one position."""


@dataclass(frozen=True, kw_only=True)
class TrunkFeatures:
    """Activations of ST-LPIPS' trunks as features of an RGB picture.

    Attributes:
        trunk: network.
        stage: 1 to 5; the first ones keep most of the resolution.
        device: where PyTorch computes.
    """

    trunk: Trunk = Trunk.VGG
    stage: int = 2
    device: str = "cpu"

    def __post_init__(self) -> None:
        if isinstance(self.stage, bool) or self.stage not in range(1, 6):
            raise InvalidSetting(f"stage is 1 to 5, not {self.stage!r}")

    def __call__(self, image: NDArray[np.uint8]) -> Array:
        """Shape ``(h, w, channels)`` of a picture ``uint8``, ``H x W x 3``, 32 pixels or more a side."""
        return trunk_activations(image, self.trunk, self.stage, self.device)


def wasserstein_distortion(
    x: ArrayLike, x_hat: ArrayLike, sigma: float, *, features: TrunkFeatures | None = None
) -> float:
    """Wasserstein distortion of two pictures; 0 for equal ones, symmetric.

    Args:
        x: shape ``(h, w)`` or ``(h, w, channels)``; with a trunk ``uint8``, ``h x w x 3``.
        x_hat: the same shape.
        sigma: of the window, in pixels of the picture: 0 for squared error, infinity for the whole picture.
        features: ``None`` for the values themselves.

    Returns:
        Mean over positions and features, in squared units of these.

    Raises:
        InvalidSetting: no pictures of one shape, values that are not finite, or a negative ``sigma``.
        MissingDependency: a trunk without the extra ``metrics``.
    """
    if isinstance(sigma, bool) or not isinstance(sigma, Real) or not sigma >= 0:
        raise InvalidSetting(f"sigma is 0 or more pixels, got {sigma!r}")
    one, two = np.asarray(x), np.asarray(x_hat)
    if one.shape != two.shape or one.ndim not in (2, 3) or 0 in one.shape:
        raise InvalidSetting(
            f"pictures of shapes {one.shape} and {two.shape} cannot be compared; give one shape, (h, w) or "
            "(h, w, channels)"
        )
    for picture in (one, two):
        if picture.dtype.kind not in "biuf" or not np.all(np.isfinite(picture)):
            raise InvalidSetting(f"pictures hold finite real numbers, not {picture.dtype} or NaN")
    height = one.shape[0]
    if features is not None:
        one, two = features(one), features(two)
    width = float(sigma) * one.shape[0] / height
    if width < _NARROWEST:
        return float(np.mean(np.square(one.astype(np.float64) - two)))
    (m, s), (m_hat, s_hat) = _moments(one, width), _moments(two, width)
    return float(np.mean(np.square(m - m_hat)) + np.mean(np.square(s - s_hat)))


def _moments(f: NDArray, width: float) -> tuple[Array, Array]:
    """Means and deviations about each position, shape of ``f`` (of one position if the window is the picture)."""
    from scipy.ndimage import gaussian_filter

    values = f.astype(np.float64)
    if math.isinf(width):
        return values.mean(axis=(0, 1)), values.std(axis=(0, 1))
    # About a level near the values no digits cancel in the variances.
    level = values.mean(axis=(0, 1))
    mean = gaussian_filter(values - level, width, axes=(0, 1))
    power = gaussian_filter(np.square(values - level), width, axes=(0, 1))
    return mean + level, np.sqrt(np.maximum(power - np.square(mean), 0.0))
