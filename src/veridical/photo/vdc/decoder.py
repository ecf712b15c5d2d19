"""Decoder of ``.vdc`` files: from a window of latents to ``x_mmse`` and to a realistic picture near it.

```
 latents ─ inverse gains ─ synthesis ─┬─ picture ─────────────┬─ refinement ─ x_mmse ─ generator ─ x_real
                                      └─ features ─┬─ spread ─┤                            │
                                                   └──────────┴────────────────────────────┘
```
All of them are ONNX files. Weights without a refinement have the synthesis alone, whose picture is ``x_mmse`` then.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from veridical.codec import Estimate
from veridical.interpolate import Calibration
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
    """

    model: VdcModel

    def estimate(self, index: LatentWindow, seed: int = 0) -> Estimate[np.ndarray]:
        """``E[X | file]`` of a window; dither is part of the latents already."""
        del seed
        if index.lost:
            return Estimate(np.full((3, index.box.height, index.box.width), 0.5, np.float32))
        _, inverse = self.model.gains(index.quality)
        y = index.latents.astype(np.float32) * (inverse / np.float32(MEAN_UNIT))
        quality = np.full(1, index.quality, np.float32)
        x, side = self.model.network("synthesis")(y=y[None], quality=quality)
        state = {}
        if self.model.refines:
            dithered = np.full(1, index.quantizer > 0, np.float32)
            spread = self.model.network("spread")
            size, scale, features = spread(side=side, quality=quality, dithered=dithered)
            state = {"size": size, "side": side, "features": features, "scale": scale}
            (x,) = self.model.network("refinement")(x_mmse=x, **state)
        box = index.box
        return Estimate(x[0, :, : box.height, : box.width], (box, {"x_mmse": x} | state))

    def generate(self, estimate: Estimate[np.ndarray], rng: int) -> np.ndarray:
        """The realistic picture near ``x_mmse``; this generator needs no noise."""
        del rng
        if estimate.state is None:
            return estimate.x_mmse
        box, state = estimate.state
        (x_real,) = self.model.network("generator")(**state)
        return x_real[0, :, : box.height, : box.width]

    def price(self, index: LatentWindow) -> Calibration | None:
        """Of the quality of a file; None if it was not measured."""
        return self.model.price(index.quality, index.quantizer)
