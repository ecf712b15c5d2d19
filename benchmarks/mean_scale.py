"""The network of mbt2018-mean, for its time alone: random weights, and no entropy coder.

Layers as in Minnen, Balle and Toderici, "Joint autoregressive and hierarchical priors for learned
image compression" (NeurIPS 2018), without the context model, and sizes as CompressAI's
``MeanScaleHyperprior`` has them: 128 and 192 channels for its four lower rates, 192 and 320 for
its four higher ones (``compressai/models/google.py`` and ``zoo/image.py``).
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

SIZES = {"low rates": (128, 192), "high rates": (192, 320)}


class Normalization(nn.Module):
    """``x / sqrt(b + G x^2)``, or times that root if ``inverse``; bounds applied beforehand."""

    def __init__(self, channels: int, *, inverse: bool = False) -> None:
        super().__init__()
        self.inverse = inverse
        self.mix = nn.Conv2d(channels, channels, 1)
        with torch.no_grad():
            self.mix.weight.abs_()
            self.mix.bias.fill_(1.0)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        norm = self.mix(x * x)
        return x * (norm.sqrt() if self.inverse else norm.rsqrt())


def down(a: int, b: int, kernel: int = 5, stride: int = 2) -> nn.Module:
    """Convolution."""
    return nn.Conv2d(a, b, kernel, stride=stride, padding=kernel // 2)


def up(a: int, b: int) -> nn.Module:
    """Transposed convolution, 5 x 5, to twice the size."""
    return nn.ConvTranspose2d(a, b, 5, stride=2, padding=2, output_padding=1)


class MeanScale(nn.Module):
    """The four networks.

    Args:
        n: Channels inside.
        m: Channels of the latents.
    """

    def __init__(self, n: int, m: int) -> None:
        super().__init__()
        self.n, self.m = n, m
        parts: OrderedDict[str, list[nn.Module]] = OrderedDict()
        parts["g_a"] = [down(3, n), Normalization(n), down(n, n), Normalization(n), down(n, n)]
        parts["g_a"] += [Normalization(n), down(n, m)]
        parts["g_s"] = [up(m, n), Normalization(n, inverse=True), up(n, n)]
        parts["g_s"] += [Normalization(n, inverse=True), up(n, n), Normalization(n, inverse=True)]
        parts["g_s"] += [up(n, 3)]
        parts["h_a"] = [down(m, n, 3, 1), nn.LeakyReLU(), down(n, n), nn.LeakyReLU(), down(n, n)]
        parts["h_s"] = [up(n, m), nn.LeakyReLU(), up(m, 3 * m // 2), nn.LeakyReLU()]
        parts["h_s"] += [down(3 * m // 2, 2 * m, 3, 1)]
        self.parts = nn.ModuleDict({k: nn.Sequential(*v) for k, v in parts.items()})

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Latents and hyperlatents, rounded; the encoder also runs ``h_s``, for its coder."""
        y = self.parts["g_a"](x)
        z = self.parts["h_a"](y).round()
        mean = self.parts["h_s"](z).chunk(2, 1)[1]
        return (y - mean).round() + mean, z

    def decode(self, y: Tensor, z: Tensor) -> Tensor:
        """Pictures from numbers that an entropy decoder would have read, ``h_s`` for the latter."""
        self.parts["h_s"](z)
        return self.parts["g_s"](y).clamp_(0, 1)


def ready(size: str, *, channels_last: bool) -> MeanScale:
    """Random weights in a layout of memory."""
    torch.manual_seed(0)
    network = MeanScale(*SIZES[size]).eval().requires_grad_(False)
    return network.to(memory_format=torch.channels_last) if channels_last else network


def kmac(network: MeanScale, parts: tuple[str, ...], side: int = 128) -> float:
    """Thousands of multiply-accumulates a pixel, counted at each convolution."""
    found: dict[nn.Module, int] = {}  # both directions run h_s

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        at = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
        found[layer] = layer.get_parameter("weight").numel() * at.shape[-1] * at.shape[-2]

    kinds = nn.Conv2d, nn.ConvTranspose2d
    hooks = [
        layer.register_forward_hook(count)
        for part in parts
        for layer in network.parts[part].modules()
        if isinstance(layer, kinds)
    ]
    with torch.inference_mode():
        network.decode(*network.encode(torch.rand(1, 3, side, side)))
    for hook in hooks:
        hook.remove()
    return sum(found.values()) / side**2 / 1000
