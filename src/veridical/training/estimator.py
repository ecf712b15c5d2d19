"""The estimator of a conventional format: a U-Net for photographs, and a head that works on 8x8 blocks.

```
 decoded y ─ U-Net (as for every format) ─┬─ change ── DCT / steps ─┬──────── times gates ─ plus ─ times steps ─ inverse DCT ─ + y
             │                            └─ features at 1/8 ─┐     │           │            │
             └──── DCT / steps ──────────────────────────── sum ────┴─ blocks ──┴────────────┘
```
The steps are a JPEG file's own quantization steps, in which a correction lies within half a unit whatever
the quality (but for files coded before), and a multiple of the residual scale where a format has no such
tables. For each coefficient the head keeps, weakens or strengthens what the U-Net wants to change, and adds
something of its own. It begins as if it were not there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from veridical.photo.formats.jpeg_cells import DCT, TO_YCC
from veridical.training.networks import Block, NetworkConfig, RestorationNetwork, zeroed
from veridical.training.residual import local_mean, local_size, unet_change

_STEP = 2.0
"""Of a format without tables, in units of the residual scale."""


def _asinh(x: Tensor) -> Tensor:
    """As torch.asinh, by functions that the exporter to ONNX knows."""
    return x.sign() * (x.abs() + (x * x + 1).sqrt()).log()


class Shrinkage(nn.Module):
    """``forward(change, y, size, features)``: the coefficients of a change, each times what least squares keep of it.

    A network that is trained on all kinds of pictures at once moves too far where its change is no more than the error
    that it expects. The factor, 0 to 1.25, is one for each block and band of frequencies; it is found from the energies
    of the bands in the block and nearby, those of the decoded picture, and the expected error. It begins as 1.

    Args:
        n_features: Numbers that the network is told.
    """

    def __init__(self, n_features: int) -> None:
        super().__init__()
        width = 32
        k = torch.arange(64)
        height = k // 8 + k % 8
        luma = (height > 0).int() + (height > 2).int() + (height > 6).int()
        band = torch.cat([luma, *[4 + (height > 0).int()] * 2])
        sums = (band == torch.arange(6)[:, None]).float()[:, :, None, None]
        self.register_buffer("sums", sums, persistent=False)
        self.told = nn.Linear(n_features, width)
        self.first = nn.Conv2d(4 * 6 + 2 * 2, width, 1)
        self.second = nn.Conv2d(width, width, 1)
        self.last = zeroed(nn.Conv2d(width, 6, 1))

    def forward(self, change: Tensor, y: Tensor, size: Tensor, features: Tensor) -> Tensor:
        """``change`` and ``y`` (n, 192, rows, columns), ``size`` the squared error of blocks, (n, 2, rows, columns)."""
        moved, decoded = (nn.functional.conv2d(v * v, self.sums) for v in (change, y))
        nearby = [local_mean(v, side) for v, side in ((moved, 3), (moved, 5), (size, 5))]
        seen = (torch.cat([moved, decoded, size, *nearby], 1) + 1e-7).log() / 3 + 3
        act = nn.functional.silu
        a = act(self.first(seen) + self.told(features)[:, :, None, None])
        share = 1.25 * torch.sigmoid(self.last(act(self.second(a))) + math.log(4))
        return change * nn.functional.conv2d(share, self.sums.transpose(0, 1))


class BlockEstimator(nn.Module):
    """``forward(y, features, scale)`` gives the estimate and the local size of its error.

    The size is the standard deviation to expect of ``(x - x_mmse) / scale`` along the three axes of colour; both have the
    shape of ``y``. Shapes are those of ``residual.unet_change``; ``features`` are (n, len(names)).

    Args:
        config: Of the U-Net, which is told the first of the features alone.
        names: Of the features; with ``luma_q_00`` among them, the file's tables are the steps.
        width: Channels of the head at 1/8 of the resolution.
        blocks: Its residual blocks.

    Attributes:
        network: The U-Net.
        shrinks: Whether its shrinkage is used; one that is not trained is a factor of 1 and costs a fifth of it all.
    """

    INPUTS = ("y", "features", "scale")
    OUTPUTS = ("x_mmse", "size")

    def __init__(
        self, config: NetworkConfig, names: Sequence[str], *, width: int = 96, blocks: int = 2
    ) -> None:
        super().__init__()
        hidden = 64
        self.sizes = {"width": width, "blocks": blocks}
        place = {name: k for k, name in enumerate(names)}
        self._luma, self._chroma = place.get("luma_q_00"), place.get("chroma_q_00")
        self._grey = place.get("grey")
        self.network = RestorationNetwork(config)
        self.embed = nn.Sequential(
            nn.Linear(len(names), hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU()
        )
        self.from_trunk = nn.Conv2d(config.widths[0], width, 2, stride=2)
        self.from_coefficients = nn.Conv2d(192, width, 1)
        self.from_change = nn.Conv2d(192, width, 1)
        self.place = nn.Parameter(torch.zeros(1, width, 2, 2))
        self.blocks = nn.ModuleList(Block(width, hidden) for _ in range(blocks))
        self.to_gates = zeroed(nn.Conv2d(width, 192, 1))
        self.to_change = zeroed(nn.Conv2d(width, 192, 1))
        self.to_size = zeroed(nn.Conv2d(width, 8, 1))
        self.shrinkage = Shrinkage(1 + len(names))
        self.shrinks = True
        to_ycc, transform = torch.from_numpy(TO_YCC), torch.from_numpy(DCT)
        self.register_buffer("to_ycc", to_ycc[:, :, None, None], persistent=False)
        self.register_buffer("to_rgb", to_ycc.inverse()[:, :, None, None], persistent=False)
        self.register_buffer("dct", transform[:, :, None, None], persistent=False)
        self.register_buffer("idct", transform.T[:, :, None, None].contiguous(), persistent=False)

    def hidden_weights(self) -> list[nn.Parameter]:
        """Weights of the trained convolutions between the first and the last."""
        own = [p for p in self.blocks.parameters() if p.dim() == 4]
        return own + self.network.hidden_weights()

    def _blockwise(self, x: Tensor, matrix: Tensor) -> Tensor:
        """A 64x64 matrix on the groups of 64 channels of (n, 192, height / 8, width / 8)."""
        n, _, h, w = x.shape
        return nn.functional.conv2d(x.reshape(3 * n, 64, h, w), matrix).reshape(n, 192, h, w)

    def _coefficients(self, x: Tensor) -> Tensor:
        """DCT of the YCbCr blocks of pictures, (n, 192, height / 8, width / 8)."""
        ycc = nn.functional.conv2d(x, self.to_ycc)
        return self._blockwise(nn.functional.pixel_unshuffle(ycc, 8), self.dct)

    def _steps(self, features: Tensor, scale: Tensor) -> Tensor:
        """Units of the coefficients on the [0, 1] scale, (n, 192 or 1, 1, 1)."""
        if self._luma is None or self._chroma is None:
            return _STEP * scale
        luma, chroma = (features[:, k : k + 64] for k in (self._luma, self._chroma))
        tables = torch.cat([luma, chroma, chroma], 1)
        return (torch.exp(8 * math.log(2) * tables) / 255)[:, :, None, None]

    def head(
        self, y: Tensor, features: Tensor, scale: Tensor, change: Tensor, trunk: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The estimate, and the logarithms of two local sizes at 1/4 of the resolution."""
        steps = self._steps(features, scale)
        wanted = self._coefficients(change) / steps
        a = self.from_trunk(nn.functional.silu(trunk))
        decoded = self._coefficients(y - 128 / 255)
        a = a + self.from_coefficients(_asinh(decoded / steps))
        a = a + self.from_change(_asinh(4 * wanted))
        a = a + self.place.repeat(1, 1, a.shape[2] // 2, a.shape[3] // 2)
        h = self.embed(features)
        for block in self.blocks:
            a = block(a, h)
        a = nn.functional.silu(a)
        better = steps * (2 * torch.sigmoid(self.to_gates(a)) * wanted + self.to_change(a))
        more = nn.functional.pixel_shuffle(self.to_size(a), 2)
        log_size = self.network.spread(trunk) + more
        expected = (8 * scale) ** 2 * nn.functional.avg_pool2d((2 * log_size.clamp(-4, 2)).exp(), 2)
        told = torch.cat([scale[:, :, 0, 0].log(), features], 1)
        if self.shrinks:
            better = self.shrinkage(better, decoded, expected, told)
        pixels = nn.functional.pixel_shuffle(self._blockwise(better, self.idct), 8)
        change = nn.functional.conv2d(pixels, self.to_rgb)
        if self._grey is not None:
            luma = nn.functional.conv2d(change, self.to_ycc[:1])
            change = change + features[:, self._grey, None, None, None] * (luma - change)
        return y + change, log_size

    def forward(self, y: Tensor, features: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        change, trunk = unet_change(self.network, y, features, scale)
        x_mmse, log_size = self.head(y, features, scale, change, trunk)
        return x_mmse, local_size(log_size)

    def given(self, x: Tensor, y: Tensor, features: Tensor, scale: Tensor) -> tuple[Tensor, ...]:
        """Of rows of a batch with their source, what a generator is trained on; see ``generator.train_generator``."""
        return x, *self(y, features, scale), y, features, scale
