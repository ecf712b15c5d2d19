"""Generator of the learned codec: a rectified flow that starts at the estimate and sees the latents.

```
 latents ─ synthesis ─┬─ x_mmse ──────────────── detail ─┐
                      └─ its features at 1/4 ─┬─ spread ─┼─ flow network, a few steps ─ x_real
 noise, whitened by the spread ───────────────┴──────────┘
```
What the synthesis knows of the latents before its last layer is the flow's second input, so that
the flow depends on the latents and not on the estimate alone. The coordinates are those of everyday
files (``photo.residual``): along the axes of colour, in units of the local size of the error, which
a small head predicts from the same features.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from veridical.errors import InvalidSetting
from veridical.generate.flow import integrate_on_arcs
from veridical.photo.condition import FORMATS, N_FEATURES
from veridical.photo.learned.prior import QUALITY_STEPS
from veridical.photo.network import NetworkConfig, RestorationNetwork
from veridical.photo.residual import detail, linear_estimate, local_size, unwhiten

__all__ = ["FlowInput", "LatentFlow", "generate", "quality_features"]

_PICTURES = 4
_SPREAD_WIDTH = 48


@dataclass(frozen=True, eq=False)
class FlowInput:
    """What the flow sees of a window besides its state.

    Attributes:
        x_mmse: Estimate, (n, 3, height, width), sides multiples of 16.
        side: Features of the synthesis, (n, channels, height / 4, width / 4).
        size: Local size of the error in units of ``scale``, shape of ``x_mmse``.
        scale: Root-mean-square error to expect at the quality, (n, 1, 1, 1).
        features: Of the quality, (n, N_FEATURES).
    """

    x_mmse: Tensor = field(repr=False)
    side: Tensor = field(repr=False)
    size: Tensor = field(repr=False)
    scale: Tensor = field(repr=False)
    features: Tensor = field(repr=False)


def quality_features(quality: Tensor) -> Tensor:
    """The quality in the form in which the networks for everyday files know a file's rate.

    The number is about half the logarithm of the bits per pixel, under the first format's flag, so
    that the flow may begin with the weights of theirs.

    Args:
        quality: 0 to ``QUALITY_STEPS``, shape (n,).
    """
    out = torch.zeros(len(quality), N_FEATURES, device=quality.device)
    out[:, 0] = 1.0
    out[:, len(FORMATS)] = (5.3 * quality.float() / QUALITY_STEPS - 4.3) / 2
    out[:, -1] = 1.0
    return out


class LatentFlow(nn.Module):
    """The spread of the error and the flow's network.

    Args:
        config: Of the network: four pictures, timed, with a bypass, and the synthesis's width at
            1/4 of the resolution as second input.
        anchors: Qualities, evenly spaced, between which the scale is interpolated.

    Raises:
        InvalidSetting: Another kind of network.
    """

    log_scale: Tensor

    def __init__(self, config: NetworkConfig, anchors: int = 9) -> None:
        super().__init__()
        kind = (config.pictures, config.timed, config.spread)
        if kind != (_PICTURES, True, False) or not config.bypass or not config.side:
            raise InvalidSetting(f"this is no network for a flow that sees latents: {config}")
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

    def sees(self, x_mmse: Tensor, side: Tensor, quality: Tensor) -> FlowInput:
        """Everything that does not change along the flow."""
        size = local_size(self.spread(side))
        return FlowInput(x_mmse, side, size, self.scale(quality), quality_features(quality))

    def forward(self, u: Tensor, time: Tensor, seen: FlowInput) -> Tensor:
        """End of the flow of the whitened residual, predicted from a state on the way.

        Args:
            u: State, (n, 3, height, width).
            time: Shape (n,).
            seen: From :meth:`sees`.
        """
        x = seen.x_mmse
        parts = [2 * x - 1, detail(x, seen.scale), u, seen.size.log()]
        change = self.network(torch.cat(parts, 1), seen.features, time, u, seen.side)
        return linear_estimate(u, time) + change


def generate(flow: LatentFlow, seen: FlowInput, noise: Tensor, steps: int) -> Tensor:
    """A sample ``x_real``: ``x_mmse`` plus what the flow makes of noise.

    Args:
        flow: Trained.
        seen: Of a window, from :meth:`LatentFlow.sees`.
        noise: Standard normal, of the shape of ``seen.x_mmse``.
        steps: Of the flow, at least 1.
    """
    n = len(noise)

    def predict(u: Tensor, time: float) -> Tensor:
        return flow(u, torch.full((n,), time, device=u.device), seen)

    end = integrate_on_arcs(predict, noise, steps)
    return seen.x_mmse + unwhiten(end, seen.size, seen.scale)
