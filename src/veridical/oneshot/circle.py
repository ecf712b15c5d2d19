"""The codec of the unit circle: ``M`` outputs, ``K`` seeds, and its exact price list.

With ``r_M = (M/pi) sin(pi/M)``, by elementary integrals:

* the centroid of an arc of width ``2 pi / M`` has radius ``r_M``, so that
  ``d = E|X - X~|^2 = 1 - r_M^2``                                              ([T] eq. 24);
* the ``M K`` centroids of all seeds stand evenly on their circle, the best plan sends each to the
  arc of width ``2 pi / (M K)`` around it, whose centroid has radius ``r_MK``, and
  ``W2^2 = E|X~ - X-|^2 = 1 + r_M^2 - 2 r_M r_MK``                             ([T] eq. 25).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.arrays import Array
from veridical.bitstream import FrequencyTables, decode_symbols, encode_symbols, seed_key
from veridical.codec import PartsCodec
from veridical.estimate.circle import ArcCentroids
from veridical.generate.circle import UniformArcs
from veridical.interpolate import Calibration
from veridical.kept import Kept
from veridical.quantize.circle import CircleQuantizer

__all__ = ["CircleCodec", "circle_codec"]

Index = NDArray[np.int64]


@dataclass(frozen=True)
class CircleCodec(Kept, PartsCodec[Array, Index, np.random.Generator]):
    """The codec of the circle, with bytes."""

    encoder: CircleQuantizer
    estimator: ArcCentroids
    generator: UniformArcs
    calibration: Calibration

    def to_bytes(self, index: ArrayLike, *, seed: int = 0) -> bytes:
        """Indices ``(n,)`` at ``log2 M`` bits each, with a checksum; for ``M`` up to 2^16.

        Raises:
            InvalidSetting: an index outside the alphabet, or more outputs.
        """
        z = np.asarray(index)
        return encode_symbols(z, np.zeros(z.shape, dtype=np.int64), self._even(), self._key(seed))

    def from_bytes(self, data: bytes, count: int, *, seed: int = 0) -> Index:
        """The ``count`` indices of a message.

        Raises:
            DamagedFile: truncated, altered, of another number of indices, or coded with another seed.
        """
        zeros = np.zeros(count, dtype=np.int64)
        return decode_symbols(data, zeros, self._even(), self._key(seed))

    def _even(self) -> FrequencyTables:
        return FrequencyTables.from_law(np.ones(min(self.encoder.outputs, (1 << 16) + 1)))

    def _key(self, seed: int) -> bytes:
        return seed_key(seed, common=self.encoder.seeds > 1)


def circle_codec(n_outputs: int, n_seeds: float = 1) -> CircleCodec:
    """Codec of points on the unit circle at ``log2 M`` bits each ([T] section II).

    ``encode`` takes unit vectors, shape ``(n, 2)``, and gives integers ``0 .. M-1``, shape
    ``(n,)``; ``decode`` gives vectors, shape ``(n, 2)``. At realism ``a`` the reconstruction,
    given index and seed, is uniform on an arc of radius ``a`` about ``(1 - a) X~``.

    Args:
        n_outputs: ``M``, 1 to 2^31. One output is rate zero.
        n_seeds: ``K``, a whole number from 1 to 2^63, or ``math.inf`` (angular dither).

    Raises:
        InvalidSetting: a number outside its range.
    """
    quantizer = CircleQuantizer(n_outputs, n_seeds)
    return CircleCodec(
        quantizer, ArcCentroids(quantizer), UniformArcs(quantizer), _price(quantizer)
    )


def _price(quantizer: CircleQuantizer) -> Calibration:
    M, K = quantizer.outputs, quantizer.seeds
    r = float(np.sinc(1.0 / M))
    fine = 1.0 if math.isinf(K) else float(np.sinc(1.0 / (M * K)))
    # The same as 1 - r^2 and 1 + r^2 - 2 r r_MK without their cancellation.
    return Calibration((1.0 - r) * (1.0 + r), (1.0 - r) ** 2 + 2.0 * r * (1.0 - fine))
