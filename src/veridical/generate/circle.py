"""Uniform arcs: the exact optimal plan from the centroids of the circle to the circle itself.

The estimate ``X~`` is uniform on ``M K`` points of radius ``r_M``. Each point of the circle goes
with the nearest of them ([T] eq. 25), so that given ``X~ = r_M e^{it}`` the plan is

    X- = e^{i(t + phi)},   phi uniform on [-pi/(MK), pi/(MK)],

and a single point, ``X- = X~ / r_M``, when ``K = inf``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veridical.errors import InvalidSetting
from veridical.quantize.circle import CHUNK, CircleQuantizer
from veridical.sources.circle import as_complex, circle_samples, half_turns


@dataclass(frozen=True)
class UniformArcs:
    """Draws ``X-`` uniformly from the arc around ``X~``.

    Attributes:
        quantizer: The quantizer whose centroids are refined.
    """

    quantizer: CircleQuantizer

    def generate(
        self, x_mmse: NDArray[np.float64], rng: np.random.Generator, context: Any = None
    ) -> NDArray[np.float64]:
        """Points of the unit circle, uniform over the arcs of width ``2 pi / (M K)``.

        Args:
            x_mmse: centroids, shape ``(n, 2)``.
            rng: private randomness; not read when there is nothing to draw (``K = inf``).
            context: not used: the centroid says all that the index does.

        Returns:
            Shape ``(n, 2)``, vectors of length 1.

        Raises:
            InvalidSetting: another shape.
        """
        del context
        if x_mmse.ndim != 2 or x_mmse.shape[1] != 2:
            raise InvalidSetting(f"estimates form a table of two columns, got {x_mmse.shape}")
        M, K = self.quantizer.outputs, self.quantizer.seeds
        if M == 1:
            # The estimate is the centre, equally far from every point: any pairing is optimal.
            return circle_samples(len(x_mmse), rng)
        r = float(np.sinc(1.0 / M))
        if math.isinf(K):
            return x_mmse / r
        out = np.empty((len(x_mmse), 2))
        points, centroids = out.view(np.complex128)[:, 0], as_complex(x_mmse)
        for first in range(0, len(x_mmse), CHUNK):
            part = centroids[first : first + CHUNK]
            halves = rng.random(len(part))
            halves -= 0.5
            halves *= math.pi / (M * K)
            turned = half_turns(halves, 1.0 / r)
            np.multiply(turned, part, out=points[first : first + CHUNK])
        return out
