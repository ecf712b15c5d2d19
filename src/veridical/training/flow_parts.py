"""Path and loss of the flow of ``.vdc`` files.

In coordinates where the residual is nearly white (``photo.residual.whiten``), the flow goes from
standard normal ``n`` to the residual ``r`` along straight lines; its network predicts the end ``r``
from ``u_t = (1-t) n + t r`` with loss ``|r - R(u_t, t)|^2 / (1 - 0.9 t)``, which fixes the velocity
``(R(u, t) - u) / (1 - t)`` (rectified flow, started at the posterior mean).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def normal_noise(shape: tuple[int, ...], seed: list[int], device: torch.device) -> Tensor:
    """Standard normal noise, a function of the seed, drawn where it is used."""
    generator = torch.Generator(device)
    generator.manual_seed(int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0] >> 1))
    return torch.randn(shape, generator=generator, device=device)


def stratified_times(n: int, seed: list[int], device: torch.device) -> Tensor:
    """Times in [0, 1), stratified in the angle ``atan(t / (1-t))``, shape (n,)."""
    rng = np.random.default_rng(seed)
    angle = np.pi / 2 * 0.98 * (rng.permutation(n) + rng.random(n)) / n
    t = np.sin(angle) / (np.sin(angle) + np.cos(angle))
    return torch.from_numpy(t.astype(np.float32)).to(device)


def interpolate_path(n: Tensor, r: Tensor, time: Tensor) -> Tensor:
    """``u_t`` on the line from ``n`` to ``r``; times of shape (n,)."""
    t = time[:, None, None, None]
    return (1 - t) * n + t * r


def end_loss(out: Tensor, r: Tensor, time: Tensor) -> Tensor:
    """``|r - out|^2 / (1 - 0.9 t)``, averaged."""
    return ((out.float() - r) ** 2 / (1 - 0.9 * time[:, None, None, None])).mean()
