"""The entropy model: hyperprior and four passes of context, in whole numbers from end to end.

```
 z ─ table of (quality, channel) ─ bits            z: 1/64 of the resolution, whole
 z ─ conv ─ up 2 ─ conv ─ up 2 ─ conv ─ h          h: 1/16, whole, 0..255
 h, latents known so far ─ conv ─ conv ─ mean (1/16 units), row of the frequency tables (0..63)
```
Channels stand in four groups, positions in four classes (row and column even or odd); group ``g``
at class ``c`` is coded in pass ``g xor c``. So every pass codes a quarter of the numbers, at every
position, and from the second pass on each number has known neighbours in space and across
channels. A pass is one evaluation of a small network for the whole tile.

A number in row 0 of the tables is not coded: it is the mean. All sizes and shifts of the
arithmetic are constants of the format.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from veridical.errors import InvalidSetting
from veridical.photo.learned.fixed import (
    ACTIVATION_BITS,
    LARGEST_ACTIVATION,
    FixedBias,
    FixedConv,
    check_bound,
    rescale,
    round_down,
)

__all__ = [
    "LARGEST_HYPER",
    "LARGEST_LATENT",
    "MEAN_UNIT",
    "PASSES",
    "QUALITY_STEPS",
    "SCALES",
    "Prior",
    "PriorConfig",
    "compand",
    "pass_mask",
    "pass_places",
    "scale_of_row",
]

PASSES = 4
SCALES = 64
QUALITY_STEPS = 10_000
MEAN_UNIT = 16
"""Means and reconstructed latents are whole numbers of this part of a step."""

LARGEST_LATENT = 1900
LARGEST_HYPER = 127
_LARGEST_MEAN = 2000
_SCALE_RANGE = (0.11, 96.0)
_WEIGHT_BITS = 9
_ROW_BITS = 2


def scale_of_row(row: Tensor | np.ndarray | float) -> Tensor | np.ndarray | float:
    """Standard deviation that row ``0 .. 63`` of the tables stands for, in quantization steps."""
    low, high = _SCALE_RANGE
    return low * (high / low) ** (row / (SCALES - 1))


def compand(latents: Tensor) -> Tensor:
    """Latents in 1/16 steps to ``-255 .. 255``: exact up to 4 steps, then ever coarser.

    Slopes 1, 1/4 and 1/16, rounded down in size; so small numbers keep their fractions and large
    ones stay within the range of an activation.
    """
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


def _classes(k: int, channels: int) -> list[tuple[slice, slice, slice]]:
    """Channels, rows and columns of each class of positions in pass ``k``."""
    group = channels // PASSES
    return [
        (
            slice((k ^ c) * group, ((k ^ c) + 1) * group),
            slice(c >> 1, None, 2),
            slice(c & 1, None, 2),
        )
        for c in range(PASSES)
    ]


def pass_places(k: int, channels: int, height: int, width: int) -> NDArray[np.int64]:
    """Flat places of what pass ``k`` codes, shape (channels / 4, positions).

    Positions run through the four classes (even or odd row, then column), row by row in each.
    """
    at = np.arange(channels * height * width).reshape(channels, height, width)
    parts = [at[own].reshape(channels // PASSES, -1) for own in _classes(k, channels)]
    return np.concatenate(parts, axis=1)


@dataclass(frozen=True)
class PriorConfig:
    """Sizes of the entropy model.

    Attributes:
        latents: Channels of the latents, a multiple of 32 (four groups of whole E8 blocks).
        hyper: Channels of the hyperlatents.
        width: Channels of the hyper network.
        context: Channels of the context networks.
        anchors: Qualities, evenly spaced, between which gains and biases are interpolated.
    """

    latents: int = 192
    hyper: int = 64
    width: int = 96
    context: int = 128
    anchors: int = 9

    def __post_init__(self) -> None:
        if self.latents < 32 or self.latents % 32 or min(self.hyper, self.width, self.context) < 4:
            raise InvalidSetting(f"latents are a multiple of 32, widths 4 or more: {self}")
        if not 2 <= self.anchors <= 64:
            raise InvalidSetting(f"anchors must be 2 to 64, got {self.anchors}")


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
            self.row.bias.fill_(24 / 2**_ROW_BITS)

    def forward(self, h: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        return self.ends(self.mixed(h, known))

    def mixed(self, h: Tensor, known: Tensor) -> Tensor:
        """What both ends see."""
        total = self.seen(h) + _at_places(self.place(), *h.shape[-2:]).to(h.dtype)
        if self.known is not None:
            total = total + self.known(known)
        a = rescale(total, _WEIGHT_BITS, 0, LARGEST_ACTIVATION)
        return rescale(self.mix(a), _WEIGHT_BITS, 0, LARGEST_ACTIVATION)

    def ends(self, a: Tensor, channels: slice = slice(None)) -> tuple[Tensor, Tensor]:
        """Means and rows of some channels."""
        bits = ACTIVATION_BITS + _WEIGHT_BITS
        mean = rescale(self.mean(a, channels), bits - 4, -_LARGEST_MEAN, _LARGEST_MEAN)
        return mean, rescale(self.row(a, channels), bits - _ROW_BITS, 0, SCALES - 1)

    def check(self, name: str) -> None:
        first = (
            [self.seen, self.place] if self.known is None else [self.known, self.seen, self.place]
        )
        check_bound(*first, name=f"{name}, first layer")
        for part in ("mix", "mean", "row"):
            check_bound(getattr(self, part), name=f"{name}, {part}")


def _at_places(table: Tensor, height: int, width: int) -> Tensor:
    """A bias for each class of positions, shape (1, channels, height, width)."""
    tile = table.reshape(2, 2, -1).permute(2, 0, 1)
    tile = tile.repeat(1, -(-height // 2), -(-width // 2))
    return tile[None, :, :height, :width]


class Prior(nn.Module):
    """Laws of latents from whole numbers; the same code trained (real weights) and frozen.

    A frozen copy (``fixed.freeze``) computes the same whole numbers as the trained one, on any
    machine, in float32 and in float64.
    """

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
        a = rescale(a, _WEIGHT_BITS - ACTIVATION_BITS, 0, LARGEST_ACTIVATION)
        for up, conv in ((self.up1, self.mid), (self.up2, self.leave)):
            a = nn.functional.pixel_shuffle(rescale(up(a), _WEIGHT_BITS, 0, LARGEST_ACTIVATION), 2)
            a = rescale(conv(a), _WEIGHT_BITS, 0, LARGEST_ACTIVATION)
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

    def coded_laws(self, k: int, h: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`laws`, of the numbers alone that pass ``k`` codes: a quarter of the work.

        Returns:
            Both of shape (channels / 4, positions), in the order of :func:`pass_places`.
        """
        context = self.contexts[k]
        if not isinstance(context, _Context):
            raise InvalidSetting("a prior is made of contexts")
        a = context.mixed(h, known)
        parts = []
        for channels, rows, columns in _classes(k, self.config.latents):
            own = a[:1, :, rows, columns]
            if own.numel():
                parts.append([x[0].flatten(1) for x in context.ends(own, channels)])
        mean, row = (torch.cat(x, dim=1) for x in zip(*parts, strict=True))
        return mean, row

    def hyper_row(self, quality: int) -> int:
        """The anchor whose tables code the hyperlatents at a quality."""
        return (quality * (self.config.anchors - 1) + QUALITY_STEPS // 2) // QUALITY_STEPS

    def check(self) -> None:
        """Prove that every sum of a frozen model is exact.

        Raises:
            BadWeights: One might not be.
        """
        check_bound(self.enter, self.quality, name="the hyper network, first layer")
        for name in ("up1", "mid", "up2", "leave"):
            check_bound(getattr(self, name), name=f"the hyper network, {name}")
        for k, context in enumerate(self.contexts):
            if isinstance(context, _Context):
                context.check(f"pass {k}")
