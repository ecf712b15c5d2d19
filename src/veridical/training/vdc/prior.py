"""The entropy model as it is trained (see ``photo.vdc.prior``): the same whole numbers, with gradients."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from veridical.photo.vdc.fixed import ACTIVATION_BITS, LARGEST_ACTIVATION
from veridical.photo.vdc.prior import (
    LARGEST_HYPER,
    LARGEST_MEAN,
    PASSES,
    QUALITY_STEPS,
    ROW_BITS,
    SCALES,
    WEIGHT_BITS,
    PriorConfig,
)
from veridical.training.vdc.fixed import FixedBias, FixedConv, rescale, round_down


def compand(latents: Tensor) -> Tensor:
    """As ``photo.vdc.prior.compand``."""
    size = latents.abs()
    parts = (
        size.clamp(max=64),
        round_down((size - 64).clamp(0, 256) / 4),
        round_down((size - 320).clamp(0, 16 * 127) / 16),
    )
    return latents.sign() * (parts[0] + parts[1] + parts[2])


def pass_mask(k: int, channels: int, height: int, width: int) -> Tensor:
    """Which numbers pass ``k`` codes, bool of shape (channels, height, width)."""
    rows, columns = torch.arange(height) & 1, torch.arange(width) & 1
    classes = 2 * rows[:, None] + columns[None, :]
    groups = torch.arange(channels) // (channels // PASSES)
    return (groups[:, None, None] ^ classes[None]) == k


class _Context(nn.Module):
    """Network of one pass."""

    def __init__(self, config: PriorConfig, *, first: bool) -> None:
        super().__init__()
        width = config.context
        self.known = None if first else FixedConv(config.latents, width, 3)
        self.seen = FixedConv(config.width, width, 1)
        self.place = FixedBias(4, width)
        self.mix = FixedConv(width, width, 1)
        self.mean = FixedConv(width, config.latents, 1)
        self.row = FixedConv(width, config.latents, 1)
        with torch.no_grad():
            self.mean.weight.mul_(0.1)
            self.row.bias.fill_(24 / 2**ROW_BITS)

    def forward(self, h: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        total = self.seen(h) + _at_places(self.place(), *h.shape[-2:]).to(h.dtype)
        if self.known is not None:
            total = total + self.known(known)
        a = rescale(total, WEIGHT_BITS, 0, LARGEST_ACTIVATION)
        a = rescale(self.mix(a), WEIGHT_BITS, 0, LARGEST_ACTIVATION)
        bits = ACTIVATION_BITS + WEIGHT_BITS
        mean = rescale(self.mean(a), bits - 4, -LARGEST_MEAN, LARGEST_MEAN)
        return mean, rescale(self.row(a), bits - ROW_BITS, 0, SCALES - 1)


def _at_places(table: Tensor, height: int, width: int) -> Tensor:
    """A bias for each class of positions, shape (1, channels, height, width)."""
    tile = table.reshape(2, 2, -1).permute(2, 0, 1)
    tile = tile.repeat(1, -(-height // 2), -(-width // 2))
    return tile[None, :, :height, :width]


class TrainedPrior(nn.Module):
    """Laws of latents from whole numbers; ``photo.vdc.prior.Prior`` of its ``integers`` computes the same."""

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.enter = FixedConv(config.hyper, width, 3, in_bits=0, most=LARGEST_HYPER)
        self.quality = FixedBias(config.anchors, width, in_bits=0)
        self.up1 = FixedConv(width, 4 * width, 1)
        self.mid = FixedConv(width, width, 3)
        self.up2 = FixedConv(width, 4 * width, 1)
        self.leave = FixedConv(width, width, 3)
        self.contexts = nn.ModuleList(_Context(config, first=k == 0) for k in range(PASSES))
        with torch.no_grad():
            for layer in (self.enter, self.up1, self.mid, self.up2, self.leave):
                layer.bias.fill_(0.1)

    def features(self, z: Tensor, quality: Tensor) -> Tensor:
        """What the hyperlatents tell, whole, shape (n, width, 4 height, 4 width) of ``z``'s.

        Args:
            z: Whole hyperlatents, shape (n, hyper, height, width).
            quality: 0 to ``QUALITY_STEPS``, whole, shape (n,).
        """
        a = self.enter(z) + self._quality_bias(quality)[:, :, None, None].to(z.dtype)
        a = rescale(a, WEIGHT_BITS - ACTIVATION_BITS, 0, LARGEST_ACTIVATION)
        for up, conv in ((self.up1, self.mid), (self.up2, self.leave)):
            a = nn.functional.pixel_shuffle(rescale(up(a), WEIGHT_BITS, 0, LARGEST_ACTIVATION), 2)
            a = rescale(conv(a), WEIGHT_BITS, 0, LARGEST_ACTIVATION)
        return a

    def _quality_bias(self, quality: Tensor) -> Tensor:
        """Whole biases, interpolated in whole numbers between the anchors, shape (n, width)."""
        low, part = self.place_of(quality)
        table = self.quality().double()
        part = part.double()[:, None]
        x = (table[low] * (256 - part) + table[low + 1] * part + 128) / 256
        return round_down(x)

    def place_of(self, quality: Tensor) -> tuple[Tensor, Tensor]:
        """The anchor below a quality, and how far it is to the next one, 0 to 256."""
        segments = self.config.anchors - 1
        place = quality.long() * (256 * segments) // QUALITY_STEPS
        low = (place // 256).clamp(max=segments - 1)
        return low, place - 256 * low

    def laws(self, k: int, h: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Means in 1/16 steps and rows of the tables for pass ``k``, whole, of the latents' shape.

        Args:
            k: Pass, from 0.
            h: From :meth:`features`, cut to the latents' size.
            known: Latents of earlier passes in 1/16 steps, companded; 0 where unknown.
        """
        return self.contexts[k](h, known)

    def integers(self) -> dict[str, Tensor]:
        """Whole weights, biases and tables by name, as ``photo.vdc.prior.Prior`` takes them."""
        out = {}
        for name, layer in self.named_modules():
            if isinstance(layer, FixedConv):
                out[f"{name}.weight"], out[f"{name}.bias"] = layer.integers()
            elif isinstance(layer, FixedBias):
                out[f"{name}.table"] = layer()
        return {k: v.detach().cpu() for k, v in out.items()}
