"""Decoder of ``.vdc`` files: from a window of latents to ``x_mmse`` and to samples near it.

```
 latents ─ inverse gains ─ synthesis (ONNX) ─ x_mmse, features ─ spread (ONNX) ─ local size of the error
 noise ───────────────────────────────────── generator (ONNX), a few steps ─ x_real = x_mmse + s U(u * size)
```
The flow carries the residual ``x - x_mmse`` in the coordinates of ``photo.restoration``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from veridical.codec import Estimate
from veridical.generate.flow import integrate_on_arcs
from veridical.interpolate import Calibration
from veridical.photo.noise import NoiseField
from veridical.photo.options import DEFAULT_STEPS
from veridical.photo.restoration import unwhiten
from veridical.photo.tiles import Box
from veridical.photo.vdc.model import VdcModel
from veridical.photo.vdc.prior import MEAN_UNIT


@dataclass(frozen=True, eq=False)
class LatentWindow:
    """The index of a ``.vdc`` file: latents of a window of the picture.

    Attributes:
        latents: In 1/16 steps, int16 of shape (latents, rows, columns).
        box: Place of the window; top and left are multiples of 16.
        quality: 0 to 10,000.
        quantizer: Its number.
        lost: Whether no tile that the window touches is whole; it is grey then.
    """

    latents: NDArray[np.int16] = field(repr=False)
    box: Box
    quality: int
    quantizer: int = 0
    lost: bool = False


@dataclass(frozen=True, eq=False)
class VdcDecoder:
    """See ``codec.Decoder``. Arrays are float32 of shape (3, height, width) on the [0, 1] scale.

    Attributes:
        model: The model that made the file.
        steps: Of the generator.
    """

    model: VdcModel
    steps: int = DEFAULT_STEPS

    def estimate(self, index: LatentWindow, seed: int = 0) -> Estimate[np.ndarray]:
        """``E[X | file]`` of a window; dither is part of the latents already."""
        del seed
        if index.lost:
            return Estimate(np.full((3, index.box.height, index.box.width), 0.5, np.float32))
        _, inverse = self.model.gains(index.quality)
        y = index.latents.astype(np.float32) * (inverse / np.float32(MEAN_UNIT))
        quality = np.full(1, index.quality, np.float32)
        x, side = self.model.network("synthesis")(y=y[None], quality=quality)
        return Estimate(
            x[0, :, : index.box.height, : index.box.width],
            (index.box, {"x_mmse": x, "side": side, "quality": quality}),
        )

    def generate(self, estimate: Estimate[np.ndarray], rng: NoiseField) -> np.ndarray:
        """A sample near ``x_mmse``: the end of a rectified flow that starts at noise."""
        if estimate.state is None:
            return estimate.x_mmse
        box, state = estimate.state
        size, scale = self.model.network("spread")(side=state["side"], quality=state["quality"])
        network = self.model.network("generator")
        start = rng.window(box.top, box.left, *size.shape[-2:])[None]

        def predict(u: np.ndarray, time: float) -> np.ndarray:
            return network(u=u, time=np.full(1, time, np.float32), size=size, scale=scale, **state)[
                0
            ]

        end = integrate_on_arcs(predict, start, self.steps)
        return estimate.x_mmse + unwhiten(end, size, scale)[0, :, : box.height, : box.width]

    def price(self, index: LatentWindow) -> Calibration | None:
        """Of the quality of a file; None if it was not measured."""
        return self.model.price(index.quality, index.quantizer, self.steps)
