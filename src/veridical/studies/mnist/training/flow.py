"""One posterior-mean rectified flow for the digits of many codes (Ohayon, Michaeli and Elad 2025).

The flow starts at ``u_0 = X~ + s N`` and ends at ``u_1 ~ p_X``. The network predicts the end,
``h(u_t, t) = E[u_1 | u_t]``, from ``u_t = (1-t) u_0 + t u_1``; the velocity is ``(h - u) / (1 - t)``.
For pictures this is easier to learn than the velocity itself, which holds all the noise. Its
input says which code is in use, and neither the index nor the seed: paths of different estimates may
exchange their ends, which lowers the transport cost where there is common randomness (see
:mod:`veridical.generate.sample_flow`).
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

_HARMONICS = 4
_BATCH = 500
_LARGE = 16


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


class DigitFlow(nn.Module):
    """``h(u, t, code)``: residual convolutions on a coarse grid, and a sigmoid.

    Pictures are cut into squares of 4 x 4 pixels (2 x 2 for small ones), each a place of the grid,
    on which a few convolutions reach from end to end.

    Args:
        pixels: of a picture, a square.
        codes: how many codes it serves.
        width: channels of a place.
        depth: residual blocks.
        noise: ``s``, standard deviation of the noise of the start.

    Raises:
        InvalidSetting: a size that is not positive, or pixels that are no square of an even side.
    """

    def __init__(self, *, pixels: int, codes: int, width: int, depth: int, noise: float) -> None:
        super().__init__()
        if min(pixels, codes, width, depth) < 1 or not noise > 0:
            raise InvalidSetting("pixels, codes, width, depth and noise of a flow are positive")
        self.side = math.isqrt(pixels)
        if self.side**2 != pixels or self.side % 2:
            raise InvalidSetting(f"the flow carries squares of an even side, not {pixels} pixels")
        self.pixels, self.codes, self.noise = pixels, codes, noise
        self.patch = 4 if self.side % 4 == 0 and self.side >= _LARGE else 2
        grid = self.side // self.patch
        self.head = nn.Conv2d(self.patch**2, width, 3, padding=1)
        self.position = nn.Parameter(torch.zeros(1, width, grid, grid))
        self.embedding = nn.Sequential(
            nn.Linear(1 + 2 * _HARMONICS + codes, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
        )
        self.blocks = nn.ModuleList(_Block(width) for _ in range(depth))
        self.tail = nn.Conv2d(width, self.patch**2, 3, padding=1)

    def forward(self, u: Tensor, t: Tensor, code: Tensor) -> Tensor:
        """Predicted end ``(n, p)`` for states ``(n, p)``, times ``(n, 1)`` and codes ``(n,)``."""
        harmonics = [
            f(math.pi * k * t) for k in range(1, _HARMONICS + 1) for f in (torch.sin, torch.cos)
        ]
        embedding = self.embedding(
            torch.cat([t, *harmonics, functional.one_hot(code, self.codes).to(u.dtype)], dim=1)
        )
        x = functional.pixel_unshuffle((2 * u - 1).reshape(-1, 1, self.side, self.side), self.patch)
        h = self.head(x.contiguous(memory_format=torch.channels_last)) + self.position
        for block in self.blocks:
            h = block(h, embedding)
        end = functional.pixel_shuffle(self.tail(functional.silu(h)), self.patch)
        return torch.sigmoid(end.reshape(-1, self.pixels))

    def integrate(self, start: Tensor, code: Tensor, steps: int) -> Tensor:
        """Ends of the flow, by equal Euler steps; the last one lands on its prediction."""
        u = start
        with torch.inference_mode():
            for k in range(steps):
                end = self(u, u.new_full((len(u), 1), k / steps), code)
                u = u + (end - u) / (steps - k)
        return u


@dataclass(frozen=True, eq=False)
class DigitFlowGenerator:
    """``X- = flow(X~ + s N)`` for one of the codes.

    Attributes:
        network: the trained flow.
        code: which of its codes.
        steps: Euler steps.
    """

    network: DigitFlow
    code: int
    steps: int = 32

    def __post_init__(self) -> None:
        if self.steps < 1 or not 0 <= self.code < self.network.codes:
            raise InvalidSetting(
                f"a flow needs a step or more and a code below {self.network.codes}; "
                f"got {self.steps} steps, code {self.code}"
            )

    def generate(
        self, x_mmse: NDArray[np.float64], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """A picture for each estimate, shape ``(n, p)``, on [0, 1].

        Args:
            x_mmse: estimates, shape ``(n, p)``.
            rng: private randomness: the noise of the start.

        Raises:
            InvalidSetting: estimates of another size.
        """
        if x_mmse.ndim != 2 or x_mmse.shape[1] != self.network.pixels:
            raise InvalidSetting(f"the flow carries (n, {self.network.pixels}), not {x_mmse.shape}")
        device = self.network.position.device
        start = x_mmse + self.network.noise * rng.standard_normal(x_mmse.shape)
        given = torch.from_numpy(start.astype(np.float32))
        parts = [
            self.network.integrate(
                u.to(device), torch.full((len(u),), self.code, device=device), self.steps
            ).cpu()
            for u in given.split(_BATCH)
        ]
        return torch.cat(parts).numpy().astype(np.float64)
