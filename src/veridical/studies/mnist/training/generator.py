"""The one-step generator for the digits of many codes, and the distance between laws that it learns from.

``x_real = G(x_mmse, n, code)``: one network for all codes, told which of them is in use, neither the index nor
the seed, and given private noise ``n``. Like the pairs it minimises a squared error and a distance between the laws
of digits and of what it draws. The distance is an energy distance of samples (Székely and Rizzo 2013), which no critic
has to learn, on pixels and on the features of a classifier. That classifier must not be the one that judges
perception: of that one nothing is trained on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from veridical.errors import InvalidSetting
from veridical.studies.mnist.training.classifier import DigitClassifier

NOISE = 32
"""Numbers of private noise for a digit."""

_BATCH = 500
_LARGE = 16
_EDGE = 0.02
_MAPS = 20
"""Channels of the classifier's deep features."""


class _Block(nn.Module):
    """Residual block of two convolutions, with scale and shift between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.modulation = nn.Linear(width, 2 * width)
        with torch.no_grad():
            self.conv2.weight.mul_(0.3)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, dim=1)
        y = torch.addcmul(shift, self.conv1(functional.silu(x)), 1 + scale)
        return x + self.conv2(functional.silu(y))


class DigitGenerator(nn.Module):
    """``G(x_mmse, noise, code)``: residual convolutions on a coarse grid, added to the estimate's logits.

    Pictures are cut into squares of 4 x 4 pixels (2 x 2 for small ones), each a place of the grid,
    on which a few convolutions reach from end to end. A new one returns its estimate.

    Args:
        pixels: of a picture, a square.
        codes: how many codes it serves.
        width: channels of a place.
        depth: residual blocks.

    Raises:
        InvalidSetting: a size that is not positive, or pixels that are no square of an even side.
    """

    def __init__(self, *, pixels: int, codes: int, width: int, depth: int) -> None:
        super().__init__()
        if min(pixels, codes, width, depth) < 1:
            raise InvalidSetting("pixels, codes, width and depth of a generator are positive")
        self.side = math.isqrt(pixels)
        if self.side**2 != pixels or self.side % 2:
            raise InvalidSetting(f"digits are squares of an even side, not {pixels} pixels")
        self.pixels, self.codes = pixels, codes
        self.patch = 4 if self.side % 4 == 0 and self.side >= _LARGE else 2
        grid = self.side // self.patch
        self.head = nn.Conv2d(self.patch**2, width, 3, padding=1)
        self.position = nn.Parameter(torch.zeros(1, width, grid, grid))
        self.embedding = nn.Sequential(
            nn.Linear(NOISE + codes, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
        )
        self.blocks = nn.ModuleList(_Block(width) for _ in range(depth))
        self.tail = nn.Conv2d(width, self.patch**2, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]

    def forward(self, x_mmse: Tensor, noise: Tensor, code: Tensor) -> Tensor:
        """Pictures ``(n, p)`` on [0, 1] for estimates ``(n, p)``, noise ``(n, 32)`` and codes ``(n,)``."""
        told = functional.one_hot(code, self.codes).to(noise.dtype)
        embedding = self.embedding(torch.cat([noise, told], dim=1))
        logits = torch.logit(x_mmse, _EDGE)
        x = functional.pixel_unshuffle(
            (2 * x_mmse - 1).reshape(-1, 1, self.side, self.side), self.patch
        )
        h = self.head(x.contiguous(memory_format=torch.channels_last)) + self.position
        for block in self.blocks:
            h = block(h, embedding)
        moved = functional.pixel_shuffle(self.tail(functional.silu(h)), self.patch)
        spread = (torch.sigmoid(logits + moved.reshape(-1, self.pixels)) - _EDGE) / (1 - 2 * _EDGE)
        return spread.clamp(0, 1)


def energy_distance(a: Tensor, b: Tensor) -> Tensor:
    """``(2 E|A - B| - E|A - A'| - E|B - B'|) / E|B - B'|``, the mean over groups; 0 for equal laws, else positive.

    Args:
        a: samples, ``(groups, n, d)``.
        b: samples, likewise, two or more.
    """
    n = a.shape[1]
    own_a, own_b = (_distances(v, v).sum((1, 2)) / (n * (n - 1)) for v in (a, b))
    return ((2 * _distances(a, b).mean((1, 2)) - own_a - own_b) / own_b.mean()).mean()


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """``|a_i - b_j|``, ``(groups, n, n)``; several times as fast as ``torch.cdist`` with gradients."""
    squares = a.square().sum(2)[:, :, None] + b.square().sum(2)[:, None]
    return (torch.baddbmm(squares, a, b.transpose(1, 2), alpha=-2).clamp(min=0) + 1e-6).sqrt()


def law_distance(classifier: DigitClassifier, x_real: Tensor, x: Tensor) -> Tensor:
    """Energy distances of pictures ``(n, p)``, added up: of pixels, of features, and of ``Psi`` at each place."""
    total = energy_distance(x_real[None], x[None])
    total = total + energy_distance(*(classifier.features(v)[None] for v in (x_real, x)))
    maps = (classifier.deep(v).unflatten(1, (_MAPS, -1)).permute(2, 0, 1) for v in (x_real, x))
    return total + energy_distance(*maps)


@dataclass(frozen=True, eq=False)
class OneStepGenerator:
    """``x_real = G(x_mmse, noise)`` for one of the codes.

    Attributes:
        network: the trained generator.
        code: which of its codes.
    """

    network: DigitGenerator
    code: int

    def __post_init__(self) -> None:
        if not 0 <= self.code < self.network.codes:
            raise InvalidSetting(
                f"the generator knows codes 0 to {self.network.codes - 1}, not {self.code}"
            )

    def generate(
        self, x_mmse: NDArray[np.float64], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """A picture for each estimate, shape ``(n, p)``, on [0, 1].

        Args:
            x_mmse: estimates, shape ``(n, p)``.
            rng: private randomness.

        Raises:
            InvalidSetting: estimates of another size.
        """
        if x_mmse.ndim != 2 or x_mmse.shape[1] != self.network.pixels:
            raise InvalidSetting(
                f"the generator takes (n, {self.network.pixels}), not {x_mmse.shape}"
            )
        device = self.network.position.device
        noise = rng.standard_normal((len(x_mmse), NOISE))
        given, private = (torch.from_numpy(a.astype(np.float32)) for a in (x_mmse, noise))
        with torch.inference_mode():
            parts = [
                self.network(
                    a.to(device), n.to(device), torch.full((len(a),), self.code, device=device)
                ).cpu()
                for a, n in zip(given.split(_BATCH), private.split(_BATCH), strict=True)
            ]
        return torch.cat(parts).numpy().astype(np.float64)
