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
arithmetic are constants of the format. ``training.vdc.prior`` is the same network as it is trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from veridical.arrays import Whole
from veridical.errors import BadWeights, InvalidSetting
from veridical.photo.tiles import Box
from veridical.photo.vdc.fixed import (
    ACTIVATION_BITS,
    LARGEST_ACTIVATION,
    IntegerBias,
    IntegerConv,
    Whole32,
    check_bound,
    rescale,
)

PASSES = 4
SCALES = 64
QUALITY_STEPS = 10_000
MEAN_UNIT = 16
"""Means and reconstructed latents are whole numbers of this part of a step."""

STRIDE = 16
"""Pixels of a latent's side."""

LARGEST_LATENT = 1900
LARGEST_HYPER = 127
LARGEST_MEAN = 2000
WEIGHT_BITS = 9
ROW_BITS = 2
_SCALE_RANGE = (0.11, 96.0)

Row = TypeVar("Row")


def scale_of_row(row: Row) -> Row:
    """Standard deviation that row ``0 .. 63`` of the tables stands for, in quantization steps."""
    low, high = _SCALE_RANGE
    exponent: Any = row / (SCALES - 1)  # pyrefly: ignore (a number, an array or a tensor)
    return low * (high / low) ** exponent


def compand(latents: Whole) -> Whole32:
    """Latents in 1/16 steps to ``-255 .. 255``: exact up to 4 steps, then ever coarser.

    Slopes 1, 1/4 and 1/16, rounded down in size; so small numbers keep their fractions and large
    ones stay within the range of an activation.
    """
    size = np.abs(latents)
    out = np.minimum(size, 64)
    out += np.clip(size - 64, 0, 256) >> 2
    out += np.clip(size - 320, 0, 16 * 127) >> 4
    return (np.sign(latents) * out).astype(np.float32)


def pass_classes(k: int, channels: int) -> list[tuple[slice, slice, slice]]:
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


def pass_places(k: int, channels: int, height: int, width: int) -> Whole:
    """Flat places of what pass ``k`` codes, shape (channels / 4, positions).

    Positions run through the four classes (even or odd row, then column), row by row in each.
    """
    at = np.arange(channels * height * width).reshape(channels, height, width)
    parts = [at[own].reshape(channels // PASSES, -1) for own in pass_classes(k, channels)]
    return np.concatenate(parts, axis=1)


def latent_places(box: Box) -> tuple[slice, slice]:
    """Rows and columns of the latents of a box of pixels."""
    return (
        slice(box.top // STRIDE, -(-box.bottom // STRIDE)),
        slice(box.left // STRIDE, -(-box.right // STRIDE)),
    )


def place_of_quality(quality: int, anchors: int) -> tuple[int, int]:
    """The anchor below a quality, and how far it is to the next one, 0 to 256."""
    place = quality * 256 * (anchors - 1) // QUALITY_STEPS
    low = min(place // 256, anchors - 2)
    return low, place - 256 * low


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

    def hyper_row(self, quality: int) -> int:
        """The anchor whose tables code the hyperlatents at a quality."""
        return (quality * (self.anchors - 1) + QUALITY_STEPS // 2) // QUALITY_STEPS


class _Tensors:
    """Arrays by name, taken with the shape that they must have."""

    def __init__(self, tensors: Mapping[str, NDArray[Any]], prefix: str) -> None:
        self._tensors, self._prefix = tensors, prefix

    def table(self, name: str, *shape: int) -> IntegerBias:
        return IntegerBias(self._take(f"{name}.table", shape))

    def conv(
        self, name: str, n_in: int, n_out: int, kernel: int = 1, most: int = LARGEST_ACTIVATION
    ) -> IntegerConv:
        weight = self._take(f"{name}.weight", (n_out, n_in, kernel, kernel))
        return IntegerConv(weight, self._take(f"{name}.bias", (n_out,)), most)

    def _take(self, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
        found = self._tensors[self._prefix + name]
        if found.shape != shape:
            raise BadWeights(f"{name} has the shape {found.shape} instead of {shape}")
        return found


class _Context:
    """Network of one pass."""

    def __init__(self, config: PriorConfig, tensors: _Tensors, k: int) -> None:
        width, name = config.context, f"contexts.{k}"
        self.known = None if k == 0 else tensors.conv(f"{name}.known", config.latents, width, 3)
        self.seen = tensors.conv(f"{name}.seen", config.width, width)
        self.place = tensors.table(f"{name}.place", 4, width)
        self.mix = tensors.conv(f"{name}.mix", width, width)
        self.mean = tensors.conv(f"{name}.mean", width, config.latents)
        self.row = tensors.conv(f"{name}.row", width, config.latents)
        first = (
            [self.seen, self.place] if self.known is None else [self.known, self.seen, self.place]
        )
        check_bound(*first, name=f"pass {k}, first layer")
        for part in ("mix", "mean", "row"):
            check_bound(getattr(self, part), name=f"pass {k}, {part}")

    def mixed(self, h: Whole32, known: Whole32) -> Whole32:
        """What both ends see."""
        total = self.seen(h)
        for c in range(4):
            total[:, c >> 1 :: 2, c & 1 :: 2] += self.place.table[c].astype(np.float32)[
                :, None, None
            ]
        if self.known is not None:
            total += self.known(known)
        a = rescale(total, WEIGHT_BITS, 0, LARGEST_ACTIVATION)
        return rescale(self.mix(a), WEIGHT_BITS, 0, LARGEST_ACTIVATION)

    def ends(self, a: Whole32, channels: slice) -> tuple[Whole32, Whole32]:
        """Means and rows of some channels."""
        bits = ACTIVATION_BITS + WEIGHT_BITS
        mean = rescale(self.mean(a, channels), bits - 4, -LARGEST_MEAN, LARGEST_MEAN)
        return mean, rescale(self.row(a, channels), bits - ROW_BITS, 0, SCALES - 1)


class Prior:
    """Laws of latents from whole numbers.

    Args:
        config: Sizes.
        tensors: Whole weights, biases and tables by name.
        prefix: Of their names.

    Raises:
        BadWeights: A tensor has another shape, or a sum of the network might not be exact.
        KeyError: A tensor is missing.
    """

    def __init__(
        self, config: PriorConfig, tensors: Mapping[str, NDArray[Any]], prefix: str = ""
    ) -> None:
        self.config = config
        width, t = config.width, _Tensors(tensors, prefix)
        self.enter = t.conv("enter", config.hyper, width, 3, LARGEST_HYPER)
        self.quality = t.table("quality", config.anchors, width)
        self.up1 = t.conv("up1", width, 4 * width)
        self.mid = t.conv("mid", width, width, 3)
        self.up2 = t.conv("up2", width, 4 * width)
        self.leave = t.conv("leave", width, width, 3)
        self.contexts = [_Context(config, t, k) for k in range(PASSES)]
        check_bound(self.enter, self.quality, name="the hyper network, first layer")
        for name in ("up1", "mid", "up2", "leave"):
            check_bound(getattr(self, name), name=f"the hyper network, {name}")

    def features(self, z: Whole, quality: int) -> Whole32:
        """What the hyperlatents tell, whole, shape (width, 4 height, 4 width) of ``z``'s.

        Args:
            z: Whole hyperlatents, shape (hyper, height, width).
            quality: 0 to ``QUALITY_STEPS``.
        """
        a = self.enter(z.astype(np.float32))
        a += self.quality_bias(quality).astype(np.float32)[:, None, None]
        a = rescale(a, WEIGHT_BITS - ACTIVATION_BITS, 0, LARGEST_ACTIVATION)
        for up, conv in ((self.up1, self.mid), (self.up2, self.leave)):
            a = _pixel_shuffle(rescale(up(a), WEIGHT_BITS, 0, LARGEST_ACTIVATION))
            a = rescale(conv(a), WEIGHT_BITS, 0, LARGEST_ACTIVATION)
        return a

    def quality_bias(self, quality: int) -> Whole:
        """Whole biases, interpolated in whole numbers between the anchors, shape (width,)."""
        low, part = place_of_quality(quality, self.config.anchors)
        table = self.quality.table
        return (table[low] * (256 - part) + table[low + 1] * part + 128) >> 8

    def coded_laws(self, k: int, h: Whole32, known: Whole32) -> tuple[Whole, Whole]:
        """Means in 1/16 steps and rows of the tables of the numbers that pass ``k`` codes.

        Args:
            k: Pass, from 0.
            h: From :meth:`features`, cut to the latents' size.
            known: Latents of earlier passes in 1/16 steps, companded; 0 where unknown.

        Returns:
            Both of shape (channels / 4, positions), in the order of :func:`pass_places`.
        """
        context = self.contexts[k]
        a = context.mixed(h, known)
        parts = [
            [x.reshape(len(x), -1) for x in context.ends(a[:, rows, columns], channels)]
            for channels, rows, columns in pass_classes(k, self.config.latents)
        ]
        mean, row = (np.concatenate(x, axis=1).astype(np.int64) for x in zip(*parts, strict=True))
        return mean, row


def _pixel_shuffle(a: Whole32) -> Whole32:
    """(4 c, height, width) to (c, 2 height, 2 width)."""
    _, height, width = a.shape
    blocks = a.reshape(-1, 2, 2, height, width).transpose(0, 3, 1, 4, 2)
    return blocks.reshape(-1, 2 * height, 2 * width)
