"""The four parts for ``.vdc`` files, composed by the one ``Codec``; its index is a window of latents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch

from veridical.codec import Codec
from veridical.errors import InvalidSetting
from veridical.interpolate import Calibration
from veridical.photo.learned.encode import LearnedEncoder
from veridical.photo.learned.generator import LatentFlow, generate
from veridical.photo.learned.model import LearnedModel
from veridical.photo.learned.prior import MEAN_UNIT
from veridical.photo.noise import NoiseField
from veridical.photo.restore import DEFAULT_STEPS, check_steps

__all__ = [
    "FlowGenerator",
    "LatentEstimator",
    "LatentGenerator",
    "LatentWindow",
    "Latents",
    "learned_codec",
]

Latents = np.ndarray


@dataclass(frozen=True, eq=False)
class LatentWindow:
    """The index of the learned codec: latents of a window of the picture.

    Attributes:
        latents: In 1/16 steps, int16 of shape (latents, rows, columns).
        top, left: Position in the picture in pixels, multiples of 16.
        height, width: In pixels.
        quality: 0 to 10,000.
        quantizer: Its number.
    """

    latents: Latents = field(repr=False)
    top: int
    left: int
    height: int
    width: int
    quality: int
    quantizer: int = 0


class LatentGenerator(Protocol):
    """What a generator conditioned on latents offers (see ``codec.Generator``)."""

    def generate(
        self, x_mmse: torch.Tensor, rng: NoiseField, context: LatentWindow
    ) -> torch.Tensor:
        """A sample for a window, (3, height, width) like ``x_mmse``."""
        ...


class _NoGenerator:
    """Stands where weights have no generator."""

    def generate(
        self, x_mmse: torch.Tensor, rng: NoiseField, context: LatentWindow
    ) -> torch.Tensor:
        del x_mmse, rng, context
        raise InvalidSetting(
            "these weights have no generator, so that realism 0 is all they can do; "
            "use --realism 0 or other weights"
        )


class _Synthesis:
    """The synthesis of a window, kept for one window, since the generator asks too."""

    def __init__(self, model: LearnedModel) -> None:
        self.model = model
        self._last: tuple[LatentWindow, tuple[torch.Tensor, ...]] | None = None

    @torch.inference_mode()
    def __call__(self, index: LatentWindow) -> tuple[torch.Tensor, ...]:
        """``x_mmse`` padded to whole blocks, the features of the synthesis, and the quality."""
        if self._last is not None and self._last[0] is index:
            return self._last[1]
        device = self.model.device
        quality = torch.tensor([index.quality], device=device)
        y = torch.from_numpy(index.latents.astype(np.float32))[None].to(device)
        y = y * (self.model.gains(quality)[1] / MEAN_UNIT)
        y = y.contiguous(memory_format=torch.channels_last)
        self._last = (index, (*self.model.synthesis.with_features(y, quality), quality))
        return self._last[1]


class LatentEstimator:
    """``E[X | file]`` for a window: float tensor (3, height, width) on the [0, 1] scale."""

    def __init__(self, synthesis: _Synthesis) -> None:
        self._synthesis = synthesis

    def estimate(self, index: LatentWindow, seed: int = 0) -> torch.Tensor:
        """Least-error colours; dither is part of the latents already."""
        del seed
        return self._synthesis(index)[0][0, :, : index.height, : index.width]


class FlowGenerator:
    """A rectified flow from ``x_mmse`` plus noise to a natural picture, conditioned on latents."""

    def __init__(self, synthesis: _Synthesis, flow: LatentFlow, steps: int) -> None:
        self._synthesis, self._flow = synthesis, flow
        self.steps = check_steps(steps)

    @torch.inference_mode()
    def generate(
        self, x_mmse: torch.Tensor, rng: NoiseField, context: LatentWindow
    ) -> torch.Tensor:
        """A sample for a window, in the form of ``x_mmse``."""
        x, side, quality = self._synthesis(context)
        noise = rng.window(context.top, context.left, *x.shape[-2:])
        start = torch.from_numpy(noise)[None].to(x.device)
        change = generate(self._flow, self._flow.sees(x, side, quality), start, self.steps) - x
        return x_mmse + change[0, :, : context.height, : context.width]


def learned_codec(
    model: LearnedModel,
    *,
    steps: int = DEFAULT_STEPS,
    generator: LatentGenerator | None = None,
) -> Codec:
    """The parts for ``.vdc`` files; the index is a :class:`LatentWindow`.

    Args:
        model: The model.
        steps: Of the model's own generator.
        generator: Another one.
    """

    def price(index: LatentWindow) -> Calibration:
        prices = model.prices_of(index.quantizer)
        if prices is None or not prices.complete:
            return Calibration(0.0, 0.0)  # nothing reads it: settings by perception are refused
        return prices.calibration(index.quality, steps)

    synthesis = _Synthesis(model)
    if generator is None and model.flow is not None:
        generator = FlowGenerator(synthesis, model.flow, steps)
    # The encoder writes a whole file; opening it and cutting windows stands between the halves.
    return Codec(
        LearnedEncoder(model), LatentEstimator(synthesis), generator or _NoGenerator(), price
    )
