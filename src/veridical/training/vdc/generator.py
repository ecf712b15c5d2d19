"""What ``.vdc`` files' decoder is trained on when the codec itself is finished: pieces coded as in use.

```
 latents ─ synthesis ─┬─ picture ────────────────────────┬─ refinement ─ x_mmse ─ generator ─ x_real
                      └─ its features at 1/4 ─┬─ spread ─┤                            │
                                              └──────────┴────────────────────────────┘
```
Refinement and generator are networks of one kind (``training.generator``), trained to least squares and to realism.
What the synthesis knows of the latents before its last layer is what both see beside the picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from veridical.photo.options import EncodeOptions
from veridical.photo.vdc.coding import TileKey, encode_tile
from veridical.photo.vdc.encode import VdcEncoder
from veridical.photo.vdc.model import VdcModel
from veridical.photo.vdc.prior import MEAN_UNIT, QUALITY_STEPS
from veridical.photo.vdc.quantizers import QUANTIZERS, quantizer_named
from veridical.training.estimator_train import Tensors, spread_loss
from veridical.training.generator import FilterGenerator
from veridical.training.loop import Execution, Schedule, Trained, train
from veridical.training.networks import spread_head
from veridical.training.residual import local_size
from veridical.training.sources import Sources, SourceSampler
from veridical.training.vdc.transform import Synthesis


class LatentSpread(nn.Module):
    """``forward(side, quality, dithered)`` gives the local size of the error, its unit and what the generator is told.

    Shapes: ``side`` (n, channels, height / 4, width / 4), ``quality`` from 0 to ``QUALITY_STEPS`` and ``dithered``
    (1 where the quantizer was dithered and 0 where it rounded) (n,); the size (n, 3, height, width) along the axes of
    colour in units of the scale (n, 1, 1, 1), and features (n, 2).

    Args:
        side: Channels of the synthesis's features.
        anchors: Qualities, evenly spaced, between which the scale is interpolated.
    """

    INPUTS = ("side", "quality", "dithered")
    OUTPUTS = ("size", "scale", "features")
    log_scale: Tensor

    def __init__(self, side: int, anchors: int = 9) -> None:
        super().__init__()
        self.channels = side
        self.spread = spread_head(side)
        self.register_buffer("log_scale", torch.full((anchors,), math.log(0.03)))

    def forward(
        self, side: Tensor, quality: Tensor, dithered: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See the class."""
        features = torch.stack([2 * quality.float() / QUALITY_STEPS - 1, dithered.float()], 1)
        return local_size(self.spread(side)), self.scale(quality), features

    def scale(self, quality: Tensor) -> Tensor:
        """Root-mean-square error to expect, only a unit of length; shape (n, 1, 1, 1)."""
        segments = len(self.log_scale) - 1
        place = quality.float() * (segments / QUALITY_STEPS)
        low = place.long().clamp(max=segments - 1)
        log = torch.lerp(self.log_scale[low], self.log_scale[low + 1], place - low)
        return log.exp()[:, None, None, None]

    def measure_scale(self, batches: Tensors) -> None:
        """Fit the scale to the errors of the codec, a parabola of its logarithm over the quality."""
        place, log_error = [], []
        for step in range(24):
            x, x_mmse, _, quality, _ = batches(step)
            error = (x - x_mmse).square().mean((1, 2, 3)).clamp(min=1e-7)
            log_error += error.log().tolist()
            place += (quality / QUALITY_STEPS).tolist()
        curve = np.polyfit(place, log_error, 2)
        anchors = np.linspace(0.0, 1.0, len(self.log_scale))
        self.log_scale.copy_(torch.from_numpy(np.polyval(curve, anchors) / 2))


class LatentSampler:
    """Random patches coded by a codec at random qualities with random quantizers, as files are.

    Args:
        sources: Pictures.
        model: The codec as shipped.
        patch: Side of the patches in pixels, a multiple of 64.
        batch_size: Patches of a batch.
        seed: Of everything random.
    """

    def __init__(
        self, sources: Sources, model: VdcModel, *, patch: int, batch_size: int, seed: int
    ) -> None:
        self.patches = SourceSampler(sources, patch=patch, batch_size=batch_size, seed=seed)
        self.batch_size, self.model, self.seed = batch_size, model, seed

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """``source`` uint8 (n, patch, patch, 3), and what the synthesis takes: ``latents``, ``quality`` and ``dithered`` (n,)."""
        source = self.patches.batch(step)["source"]
        rng = np.random.default_rng([self.seed, step, 1])
        place = (rng.permutation(len(source)) + rng.random(len(source))) / len(source)
        quality = (place * (QUALITY_STEPS + 1)).astype(int)
        names = rng.choice([*QUANTIZERS], len(source))
        latents = [
            self.coded(x, int(q), str(name), int(rng.integers(2**31)))
            for x, q, name in zip(source, quality, names, strict=True)
        ]
        return {
            "source": source, "latents": np.stack(latents), "quality": quality.astype(np.float32),
            "dithered": (names != "scalar").astype(np.float32),
        }  # fmt: skip

    def coded(self, x: np.ndarray, quality: int, name: str, seed: int) -> np.ndarray:
        """Latents times the inverse gain of a patch, float32 of shape (latents, height / 16, width / 16)."""
        encoder = VdcEncoder(self.model, EncodeOptions(quantizer=name))
        gain, inverse = self.model.gains(quality)
        y = encoder.analysed(x) * gain
        _, rows, columns = y.shape
        key = TileKey(rows, columns, quality, quantizer_named(name), seed)
        _, latents = encode_tile(self.model.entropy, y, encoder.hyperlatents(y), key)
        return latents.astype(np.float32) * (inverse / np.float32(MEAN_UNIT))


def decoded(synthesis: Synthesis, batches: Tensors) -> Tensors:
    """Batches of latents decoded by a synthesis that stays as it is: source, its picture and features, quality and dither."""

    def of(step: int) -> tuple[Tensor, ...]:
        x, y, quality, dithered = batches(step)
        with torch.no_grad():
            return x, *synthesis(y, quality), quality, dithered

    return of


def train_spread(
    network: LatentSpread, batches: Tensors, schedule: Schedule, execution: Execution
) -> Trained | None:
    """Gaussian likelihood of the local size; None if the seconds ran out, with a checkpoint."""
    if not execution.checkpoint.exists():
        network.measure_scale(batches)
    network.requires_grad_(True)

    def loss(model: LatentSpread, step: int) -> Tensor:
        x, x_mmse, side, *told = batches(step)
        size, scale, _ = model(side, *told)
        return spread_loss(x - x_mmse, size, scale)

    return train(network, loss, schedule, execution)


def given(
    synthesis: Synthesis, spread: LatentSpread, refinement: FilterGenerator | None = None
) -> Callable[..., tuple[Tensor, ...]]:
    """Of rows of a batch what a generator is given; see ``training.generator.train_generator``."""

    def of(x: Tensor, y: Tensor, quality: Tensor, dithered: Tensor) -> tuple[Tensor, ...]:
        x_mmse, side = synthesis(y, quality)
        size, scale, features = spread(side, quality, dithered)
        if refinement is not None:
            x_mmse = refinement(x_mmse, size, side, features, scale)
        return x, x_mmse, size, side, features, scale

    return of
