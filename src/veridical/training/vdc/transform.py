"""From pictures to latents and back: light networks, and gains that set the rate.

```
 picture ─ unshuffle 4 ─ conv ─ blocks @1/4 ─ down ─ blocks @1/8 ─ down ─ blocks @1/16 ─ conv ─ y
 y times gain(quality) ─ quantizer ─ latents in steps
 latents times inverse gain ─ conv ─ blocks @1/16 ─ up ─ blocks @1/8 ─ up ─ blocks @1/4 ─ conv ─ x_mmse
```
Beside both runs a linear transform of 16 x 16 blocks, added at the end, that begins as the cosine
transform of lightness and colour differences: training starts from a codec and not from noise.

The analysis does not know the quality, so that a search for a rate runs it once. The synthesis
does, by scale and shift in every block. Sizes of pictures must be multiples of 16 here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from veridical.errors import InvalidSetting
from veridical.photo.vdc.prior import QUALITY_STEPS, STRIDE, PriorConfig
from veridical.training.networks import Sizes, Stack


@dataclass(frozen=True)
class TransformConfig(Sizes):
    """Sizes of both transforms.

    Attributes:
        widths: Channels at 1/4, 1/8 and 1/16 of the resolution.
        blocks: Residual blocks at each of them in the analysis.
        blocks_up: Likewise in the synthesis.
        hidden: Width of the network that turns a quality into scales and shifts.
    """

    widths: tuple[int, int, int] = (64, 112, 160)
    blocks: tuple[int, int, int] = (1, 2, 2)
    blocks_up: tuple[int, int, int] = (1, 2, 3)
    hidden: int = 32

    def __post_init__(self) -> None:
        if min(self.widths) < 8 or min((*self.blocks, *self.blocks_up)) < 0 or self.hidden < 4:
            raise InvalidSetting(f"network sizes must be positive: {self}")


class Analysis(nn.Module):
    """Pictures in [0, 1], (n, 3, height, width), to latents, (n, latents, height/16, width/16)."""

    INPUTS, OUTPUTS = ("x",), ("y",)

    def __init__(self, config: TransformConfig, latents: int) -> None:
        super().__init__()
        w4, w8, w16 = config.widths
        self.head = nn.Conv2d(48, w4, 3, padding=1)
        self.at4 = Stack(w4, config.blocks[0])
        self.to8 = nn.Conv2d(w4, w8, 2, stride=2)
        self.at8 = Stack(w8, config.blocks[1])
        self.to16 = nn.Conv2d(w8, w16, 2, stride=2)
        self.at16 = Stack(w16, config.blocks[2])
        self.tail = nn.Conv2d(w16, latents, 3, padding=1)
        self.block = nn.Conv2d(3, latents, STRIDE, stride=STRIDE, bias=False)
        with torch.no_grad():
            self.tail.weight.mul_(0.1)
            self.block.weight.copy_(cosine_blocks(latents))

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        x = 2 * x - 1
        a = self.at4(self.head(nn.functional.pixel_unshuffle(x, 4)))
        a = self.tail(self.at16(self.to16(self.at8(self.to8(a)))))
        with torch.autocast(x.device.type, enabled=False):  # its sums need every digit
            return a.to(x.dtype) + self.block(x)


class Synthesis(nn.Module):
    """Latents and a quality to pictures around [0, 1]: the estimator ``E[X | file]``."""

    INPUTS, OUTPUTS = ("y", "quality"), ("x_mmse", "features")

    def __init__(self, config: TransformConfig, latents: int) -> None:
        super().__init__()
        w4, w8, w16 = config.widths
        h = config.hidden
        self.embed = nn.Sequential(nn.Linear(_N_FEATURES, h), nn.SiLU(), nn.Linear(h, h), nn.SiLU())
        self.head = nn.Conv2d(latents, w16, 3, padding=1)
        self.at16 = Stack(w16, config.blocks_up[2], h)
        self.to8 = nn.Conv2d(w16, 4 * w8, 1)
        self.at8 = Stack(w8, config.blocks_up[1], h)
        self.to4 = nn.Conv2d(w8, 4 * w4, 1)
        self.at4 = Stack(w4, config.blocks_up[0], h)
        self.tail = nn.Conv2d(w4, 48, 3, padding=1)
        self.block = nn.Conv2d(latents, 3 * STRIDE**2, 1, bias=False)
        with torch.no_grad():
            self.tail.weight.mul_(0.1)
            self.block.weight.copy_(
                cosine_blocks(latents).reshape(latents, -1, 1, 1).transpose(0, 1)
            )

    def forward(self, y: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures, (n, 3, 16 height, 16 width), and what the last layer sees, (n, widths[0], 4 height, 4 width).

        Args:
            y: Latents times the inverse gain, (n, latents, height, width).
            quality: 0 to ``QUALITY_STEPS``, shape (n,).
        """
        with torch.autocast(y.device.type, enabled=False):  # their sums need every digit
            condition = self.embed(_features(quality).to(y.dtype))
            blocks = nn.functional.pixel_shuffle(self.block(y), STRIDE)
        shuffle = nn.functional.pixel_shuffle
        a = self.at16(self.head(y), condition)
        a = self.at8(shuffle(self.to8(a), 2), condition)
        a = self.at4(shuffle(self.to4(a), 2), condition)
        return (shuffle(self.tail(a), 4) + blocks) * 0.5 + 0.5, a


def cosine_blocks(latents: int) -> Tensor:
    """The lowest frequencies of 16 x 16 blocks, orthonormal, shape (latents, 3, 16, 16).

    Five in seven are of lightness, the others of two colour differences. Consecutive frequencies
    go to different quarters of the channels, which the passes of the prior code in turn.
    """
    n = torch.arange(STRIDE, dtype=torch.float64)
    waves = torch.cos(math.pi / STRIDE * (n[None] + 0.5) * n[:, None]) * (2 / STRIDE) ** 0.5
    waves[0] *= 0.5**0.5
    order = sorted(
        ((i, k) for i in range(STRIDE) for k in range(STRIDE)), key=lambda p: (sum(p), max(p), p)
    )
    colours = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]]).double()
    colours /= colours.square().sum(1, keepdim=True).sqrt()
    n_colour = latents // 7
    counts = (min(latents - 2 * n_colour, len(order)), n_colour, n_colour)
    blocks = torch.zeros(latents, 3, STRIDE, STRIDE, dtype=torch.float64)
    at = 0
    for colour, count in zip(colours, counts, strict=True):
        for i, k in order[:count]:
            blocks[at] = colour[:, None, None] * torch.outer(waves[i], waves[k])
            at += 1
    return torch.cat([blocks[start::4] for start in range(4)]).float()


_N_FEATURES = 5


def _features(quality: Tensor) -> Tensor:
    t = quality.float()[:, None] / QUALITY_STEPS
    k = math.pi * torch.arange(1, _N_FEATURES, device=quality.device)
    return torch.cat([2 * t - 1, torch.cos(k * t)], 1)


class HyperAnalysis(nn.Module):
    """Latents in steps, sides multiples of 4, to hyperlatents at a quarter of their resolution."""

    INPUTS, OUTPUTS = ("y",), ("z",)

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        w = config.width
        self.head = nn.Conv2d(config.latents, w, 3, padding=1)
        self.down1 = nn.Conv2d(w, w, 4, stride=2, padding=1)
        self.down2 = nn.Conv2d(w, w, 4, stride=2, padding=1)
        self.tail = nn.Conv2d(w, config.hyper, 1)

    def forward(self, y: Tensor) -> Tensor:
        """See the class; ``y`` is companded, since it runs over several orders of magnitude."""
        silu = nn.functional.silu
        a = self.head(y.sign() * torch.log1p(y.abs()))
        return 4 * self.tail(silu(self.down2(silu(self.down1(silu(a))))))


class Gains(nn.Module):
    """Steps of the quantizer by quality: logarithms of gains, interpolated between anchors.

    Args:
        config: Of the prior, which has the same anchors.
        span: Ratio of the finest to the coarsest step at the beginning.
    """

    def __init__(self, config: PriorConfig, span: float = 16.0) -> None:
        super().__init__()
        self.segments = config.anchors - 1
        ramp = torch.linspace(-0.5, 0.5, config.anchors)[:, None] * math.log(span) + math.log(8.0)
        self.log_gain = nn.Parameter(ramp.repeat(1, config.latents))
        self.log_inverse = nn.Parameter(-ramp.repeat(1, config.latents))

    def forward(self, quality: Tensor) -> tuple[Tensor, Tensor]:
        """Gain and inverse gain of each channel, shapes (n, latents, 1, 1)."""
        place = quality.float() * (self.segments / QUALITY_STEPS)
        low = place.long().clamp(max=self.segments - 1)
        part = (place - low)[:, None]
        gain, inverse = (
            torch.lerp(table[low], table[low + 1], part).exp()[:, :, None, None]
            for table in (self.log_gain, self.log_inverse)
        )
        return gain, inverse
