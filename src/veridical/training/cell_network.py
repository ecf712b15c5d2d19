"""The network that says where in its quantization cell a coefficient of the source lies on average.

```
 place of the estimate's coefficient in its cell, expected error, step ─ network ─ E[place of the source's]
```
The estimator has not seen the cells that a JPEG file gives. Where the error that it expects is small beside a cell,
its coefficient stands; where it is large, only the cell is known, and the middle of it has the least error; an estimate
far outside has mistaken the picture. So the hard projection, which leaves what was outside at the border of the
cell, goes too far in fine files. One small network serves every frequency; it also sees how often the estimate leaves its cells
nearby, and the size of the cells. It is fitted by least squares, which makes it the conditional mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from veridical.training.networks import zeroed
from veridical.training.residual import local_mean

N_TOLD = 15
_BATCH, _RATE = 16_384, 4e-3
_HEAVIEST = 50.0
"""Largest weight of a coefficient, in units of the mean."""

_KEPT = 1000
"""Coefficients of a component of a piece that are fitted to."""


class CellNetwork(nn.Module):
    """``forward(place, level, error, steps, chroma)``: mean places of the source's coefficients.

    ``place`` and ``level``, the distance from the middle of the cell in cells and the file's whole number, have shape
    (n, 64, rows, columns) of blocks, as has the result, within half a cell; ``error`` is in levels, (n, 1, rows, columns);
    ``steps`` (n, 64, 1, 1); ``chroma`` 0 or 1, (n, 1, 1, 1).

    Args:
        width: Of the hidden layers.
    """

    INPUTS = ("place", "level", "error", "steps", "chroma")
    OUTPUTS = ("expected",)

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.sizes = {"width": width}
        first, second = nn.Conv2d(N_TOLD, width, 1), nn.Conv2d(width, width, 1)
        act = nn.LeakyReLU(0.1)
        self.layers = nn.Sequential(first, act, second, act, zeroed(nn.Conv2d(width, 1, 1)))
        row = torch.arange(64) // 8
        self.register_buffer(
            "frequency", ((row + torch.arange(64) % 8) / 7.0)[:, None, None], persistent=False
        )

    def told(
        self, place: Tensor, level: Tensor, error: Tensor, steps: Tensor, chroma: Tensor
    ) -> Tensor:
        """What is known of each coefficient, (n, 64, N_TOLD, rows, columns)."""
        far = place.abs()
        spread = torch.log2(error.clamp(min=1e-3) / steps)
        # Without a jump, so that rounding, which differs between machines, decides nothing.
        outside = (8 * (far - 0.5) + 0.5).clamp(0, 1).mean(1, keepdim=True)
        excess = (far - 0.5).clamp(0, 4).mean(1, keepdim=True)
        some = (level != 0).to(far.dtype)
        rows = (
            far.clamp(max=1),
            torch.log(far + 0.05),
            spread / 2,
            (math.log(2) * spread.clamp(max=1)).exp() * far.clamp(max=0.5),
            some,
            chroma,
            self.frequency.to(far),
            (self.frequency == 0).to(far),
            torch.log(outside + 0.02),
            torch.log(local_mean(outside, 3) + 0.02),
            torch.log(local_mean(outside, 5) + 0.02),
            torch.log(local_mean(excess, 5) + 0.01),
            torch.log1p(some.sum(1, keepdim=True)),
            spread.amax(1, keepdim=True) / 4,
            spread.amin(1, keepdim=True) / 4,
        )
        return torch.stack([row.expand_as(place) for row in rows], 2)

    def share(self, told: Tensor) -> Tensor:
        """Of the distance from the middle, cut at half a cell, what is left; told is (n, N_TOLD, ...)."""
        return torch.sigmoid(self.layers(told) + 3.0)

    def forward(
        self, place: Tensor, level: Tensor, error: Tensor, steps: Tensor, chroma: Tensor
    ) -> Tensor:
        """See the class."""
        told = self.told(place, level, error, steps, chroma).flatten(0, 1)
        return place.clamp(-0.5, 0.5) * self.share(told).reshape(place.shape)


def samples_of(
    inputs: dict[str, np.ndarray], source: np.ndarray, known: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Some coefficients of a component at random.

    Args:
        inputs: Of the network.
        source: Place of the source's coefficients, of the shape of ``place``.
        known: Of blocks, shape (rows, columns).
        rng: For the choice.

    Returns:
        ``told`` (n, N_TOLD), ``place`` and ``source`` in cells, and the ``weight`` of each, its squared step, all (n,).
    """
    with torch.inference_mode():
        told = CellNetwork().told(*(torch.from_numpy(inputs[k]) for k in CellNetwork.INPUTS))
    every = told[0].movedim(1, -1).reshape(-1, N_TOLD).numpy()
    usable = np.flatnonzero(np.broadcast_to(known, inputs["place"].shape[1:]).ravel())
    pick = rng.choice(usable, min(_KEPT, len(usable)), replace=False)
    steps = np.broadcast_to(inputs["steps"][0], inputs["place"].shape[1:])
    weight = np.square(steps.ravel()[pick]) * (len(usable) / max(1, len(pick)))
    flat = {"place": inputs["place"].ravel()[pick], "source": source.ravel()[pick]}
    found = {"told": every[pick], "weight": weight, **flat}
    return {k: v.astype(np.float32) for k, v in found.items()}


def fit_cell_network(
    rows: Sequence[dict[str, np.ndarray]],
    steps: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> CellNetwork:
    """Fit to samples of :func:`samples_of` whose ``weight`` was divided by the error of their picture.

    Args:
        rows: Of components of pieces.
        steps: Of the fit.
        progress: Called with (done, total).
    """
    told, place, source, weight = (
        torch.from_numpy(np.concatenate([r[k] for r in rows]).astype(np.float32))
        for k in ("told", "place", "source", "weight")
    )
    weight = (weight / weight.mean()).clamp(max=_HEAVIEST)
    # Of a file that was coded before the source may lie many cells away; the fit is of shares of half a cell.
    place, source = place.clamp(-0.5, 0.5), source.clamp(-1, 1)
    random = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = CellNetwork()
    adam = torch.optim.Adam(network.parameters(), _RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for step in range(steps):
        pick = torch.randint(0, len(place), (_BATCH,), generator=random)
        # As places of one picture: convolutions of many pictures of one place take three times as long.
        found = place[pick] * network.share(told[pick].T[None, :, :, None])[0, 0, :, 0]
        loss = (weight[pick] * (found - source[pick]).square()).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        schedule.step()
        progress(step + 1, steps)
    return network.eval()
