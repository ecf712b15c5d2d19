"""The network of estimator and generator: a light U-Net.

```
 picture(s) ─ unshuffle 4 ─ conv ─ blocks @1/4 ─ down ─ blocks @1/8 ─ down ─ blocks @1/16
                                        │                   │                    │
             shuffle 4 ─ conv ─ blocks @1/4 ──── up ─ blocks @1/8 ────── up ─────┘
 condition ─ MLP ─ scale and shift in every block
```
Dense 3x3 convolutions at a quarter of the resolution and below run at full speed on ordinary
processors. Sizes of the input must be multiples of 16.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from veridical.errors import InvalidSetting

N = TypeVar("N", bound=nn.Module)
Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)


class Sizes:
    """Sizes of a network, which are kept in its file."""

    @classmethod
    def of(cls, sizes: dict[str, Any]) -> Self:
        """From the dictionary that ``dataclasses.asdict`` gave, perhaps by way of JSON.

        Raises:
            TypeError: Unknown or missing keys.
        """
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in sizes.items()})


@dataclass(frozen=True)
class NetworkConfig(Sizes):
    """Size of a network.

    Attributes:
        pictures: Number of RGB pictures stacked at the input.
        widths: Channels at 1/4, 1/8 and 1/16 of the resolution.
        blocks: Residual blocks at each of the three levels, on the way down.
        blocks_up: Residual blocks at 1/8 and 1/4 on the way up.
        spread: Whether it also predicts the local size of the error (see :func:`spread_head`).
        tail: Whether it ends in a picture; if not, :meth:`RestorationNetwork.trunk` is all it has.
        side: Channels of a second input at 1/4 of the resolution; 0 for none.
        features: Numbers that the network is told.
        farthest: Largest change of a generator, in standard deviations of what the estimator expects of its error
            at the place; 0 for no limit.
        grid: What repeats with the blocks of an estimate is not enlarged by a generator, up to this size in the same
            unit (see :func:`~veridical.training.generator.without_grid`); 0 leaves it.
        strength: A generator's change in use over the change that it was trained to.
        beyond: Largest change of a generator in use, in root mean squares of what the estimator changed around the
            place; 0 for no limit.
    """

    pictures: int = 1
    widths: tuple[int, int, int] = (64, 112, 128)
    blocks: tuple[int, int, int] = (1, 2, 1)
    blocks_up: tuple[int, int] = (1, 2)
    spread: bool = False
    side: int = 0
    features: int = 7
    tail: bool = True
    farthest: float = 0.0
    grid: float = 0.0
    strength: float = 1.0
    beyond: float = 0.0

    def __post_init__(self) -> None:
        smallest = min((*self.blocks, *self.blocks_up, self.side))
        if self.pictures < 1 or min(self.widths) < 8 or smallest < 0:
            raise InvalidSetting(f"network sizes must be positive: {self}")


def zeroed(layer: Layer) -> Layer:
    """The layer with weights and biases of zero."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class Block(nn.Module):
    """Residual block, with the condition, if there is one, as scale and shift between its two convolutions."""

    def __init__(self, width: int, hidden: int | None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.film = None if hidden is None else zeroed(nn.Linear(hidden, 2 * width))
        with torch.no_grad():
            self.conv2.weight.mul_(0.3)

    def forward(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        """``h`` is the condition, (n, hidden)."""
        y = self.conv1(nn.functional.silu(x))
        if self.film is not None:
            scale, shift = self.film(h)[:, :, None, None].chunk(2, dim=1)
            y = torch.addcmul(shift, y, 1 + scale)
        return x + self.conv2(nn.functional.silu(y))


class Stack(nn.Module):
    """Blocks behind one another."""

    def __init__(self, width: int, n: int, hidden: int | None = None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, hidden) for _ in range(n))

    def forward(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        """As :class:`Block`."""
        for block in self.blocks:
            x = block(x, h)
        return x


def spread_head(width: int) -> nn.Sequential:
    """From features at 1/4 of the resolution to the logarithms of two local sizes of the error."""
    return nn.Sequential(
        nn.Conv2d(width, 48, 3, padding=1), nn.SiLU(),
        nn.Conv2d(48, 48, 3, padding=1), nn.SiLU(), nn.Conv2d(48, 2, 1),
    )  # fmt: skip


class RestorationNetwork(nn.Module):
    """Maps stacked pictures and a condition to one RGB picture.

    ``forward(x, features)`` with ``x`` of shape (n, 3 * pictures, height, width) and ``features`` of shape
    (n, config.features) gives (n, 3, height, width). A network with a second input takes it as ``side``,
    (n, config.side, height / 4, width / 4).
    The output starts at zero before training.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        w4, w8, w16 = config.widths
        hidden = 64
        self.embed = nn.Sequential(
            nn.Linear(config.features, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU()
        )
        self.head = nn.Conv2d(48 * config.pictures, w4, 3, padding=1)
        self.down4 = Stack(w4, config.blocks[0], hidden)
        self.to8 = nn.Conv2d(w4, w8, 2, stride=2)
        self.down8 = Stack(w8, config.blocks[1], hidden)
        self.to16 = nn.Conv2d(w8, w16, 2, stride=2)
        self.mid16 = Stack(w16, config.blocks[2], hidden)
        self.from16 = nn.Conv2d(w16, 4 * w8, 1)
        self.up8 = Stack(w8, config.blocks_up[0], hidden)
        self.from8 = nn.Conv2d(w8, 4 * w4, 1)
        self.up4 = Stack(w4, config.blocks_up[1], hidden)
        if config.tail:
            self.tail = zeroed(nn.Conv2d(w4, 48, 3, padding=1))
        if config.spread:
            self.spread = spread_head(w4)
        if config.side:
            self.side = zeroed(nn.Conv2d(config.side, w4, 1))

    def forward(self, x: Tensor, features: Tensor, side: Tensor | None = None) -> Tensor:
        """See the class."""
        return nn.functional.pixel_shuffle(self.tail(self.trunk(x, features, side)), 4)

    def trunk(self, x: Tensor, features: Tensor, side: Tensor | None = None) -> Tensor:
        """The last features at 1/4 of the resolution, (n, widths[0], height / 4, width / 4)."""
        h = self.embed(features)
        shuffle = nn.functional.pixel_shuffle
        a = self.head(nn.functional.pixel_unshuffle(x, 4))
        if self.config.side:
            if side is None:
                raise InvalidSetting("this network needs its second input")
            a = a + self.side(side)
        a = self.down4(a, h)
        b = self.down8(self.to8(a), h)
        c = self.mid16(self.to16(b), h)
        b = self.up8(b + shuffle(self.from16(c), 2), h)
        return self.up4(a + shuffle(self.from8(b), 2), h)

    def hidden_weights(self) -> list[nn.Parameter]:
        """Weights of the convolutions between the first and the last."""
        return [
            p
            for name, p in self.named_parameters()
            if p.dim() == 4 and p.requires_grad and not name.startswith(("head", "tail", "spread"))
        ]


def kmac_per_pixel(run: Callable[[], object], pixels: int) -> float:
    """Thousands of multiply-accumulates of convolutions for each of so many pixels, counted as ``run`` does them."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        run()
    return counter.get_flop_counts()["Global"][torch.ops.aten.convolution] / 2 / pixels / 1000


def to_channels_last(network: N) -> N:
    """The network with its weights in channels-last order, which convolutions run fastest on."""
    for parameter in network.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network
