"""Generator of ``.vdc`` files: a rectified flow that starts at the estimate, conditioned on the latents.

```
 latents ─ synthesis ─┬─ x_mmse ──────────────── detail ─┐
                      └─ its features at 1/4 ─┬─ spread ─┼─ flow network, a few steps ─ x_real
 noise, whitened by the spread ───────────────┴──────────┘
```
What the synthesis knows of the latents before its last layer is the flow's second input, so that
the flow depends on the latents and not on the estimate alone. The coordinates are those of conventional
files (``training.residual``): along the axes of colour, in units of the local size of the error, which
a small head predicts from the same features.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from veridical.errors import InvalidSetting
from veridical.photo.vdc.prior import QUALITY_STEPS
from veridical.training.networks import NetworkConfig, RestorationNetwork
from veridical.training.residual import detail, linear_estimate, local_size

_PICTURES = 4
_SPREAD_WIDTH = 48


@dataclass(frozen=True, eq=False)
class FlowInput:
    """What the flow is conditioned on.

    Attributes:
        x_mmse: Estimate, (n, 3, height, width), sides multiples of 16.
        side: Features of the synthesis, (n, channels, height / 4, width / 4).
        size: Local size of the error in units of ``scale``, shape of ``x_mmse``.
        scale: Root-mean-square error to expect at the quality, (n, 1, 1, 1).
        features: Of the quality, (n, 1).
    """

    x_mmse: Tensor = field(repr=False)
    side: Tensor = field(repr=False)
    size: Tensor = field(repr=False)
    scale: Tensor = field(repr=False)
    features: Tensor = field(repr=False)


def rate_feature(quality: Tensor) -> Tensor:
    """About half the logarithm of the bits per pixel, which is what other networks know of a file's rate.

    So the flow may begin with the weights of theirs.

    Args:
        quality: 0 to ``QUALITY_STEPS``, shape (n,).

    Returns:
        Shape (n, 1).
    """
    return (5.3 * quality.float()[:, None] / QUALITY_STEPS - 4.3) / 2


class LatentFlow(nn.Module):
    """The spread of the error and the flow's network.

    Args:
        config: Of the network: four pictures, timed, with a bypass, one feature, and the synthesis's width at
            1/4 of the resolution as second input.
        anchors: Qualities, evenly spaced, between which the scale is interpolated.

    Raises:
        InvalidSetting: Another kind of network.
    """

    log_scale: Tensor

    def __init__(self, config: NetworkConfig, anchors: int = 9) -> None:
        super().__init__()
        kind = (config.pictures, config.timed, config.spread, config.features)
        if kind != (_PICTURES, True, False, 1) or not config.bypass or not config.side:
            raise InvalidSetting(f"this is no network for a flow conditioned on latents: {config}")
        self.network = RestorationNetwork(config)
        self.spread = nn.Sequential(
            nn.Conv2d(config.side, _SPREAD_WIDTH, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(_SPREAD_WIDTH, _SPREAD_WIDTH, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(_SPREAD_WIDTH, 2, 1),
        )
        self.register_buffer("log_scale", torch.full((anchors,), math.log(0.03)))

    def scale(self, quality: Tensor) -> Tensor:
        """Root-mean-square error to expect, only a unit of length; shape (n, 1, 1, 1)."""
        segments = len(self.log_scale) - 1
        place = quality.float() * (segments / QUALITY_STEPS)
        low = place.long().clamp(max=segments - 1)
        log = torch.lerp(self.log_scale[low], self.log_scale[low + 1], place - low)
        return log.exp()[:, None, None, None]

    def conditioning(self, x_mmse: Tensor, side: Tensor, quality: Tensor) -> FlowInput:
        """Everything that does not change along the flow."""
        size = local_size(self.spread(side))
        return FlowInput(x_mmse, side, size, self.scale(quality), rate_feature(quality))

    def forward(self, u: Tensor, time: Tensor, inputs: FlowInput) -> Tensor:
        """End of the flow of the whitened residual, predicted from a state along the path.

        Args:
            u: State, (n, 3, height, width).
            time: Shape (n,).
            inputs: From :meth:`conditioning`.
        """
        x = inputs.x_mmse
        parts = [2 * x - 1, detail(x, inputs.scale), u, inputs.size.log()]
        change = self.network(torch.cat(parts, 1), inputs.features, time, u, inputs.side)
        return linear_estimate(u, time) + change
