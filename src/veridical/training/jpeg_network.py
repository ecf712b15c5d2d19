"""The estimator for JPEG files: the U-Net for photographs, aligned to the 8x8 grid and told the tables.

```
 decoded ─┬─ unshuffle 4 ─ conv ─ (+ place in the 16x16 grid) ─ U-Net ─┬─ conv ─ times gate ──── shuffle 4 ─ times s ─┐
          └─ DCT / steps ─ asinh ─ conv 1x1 ─ added at 1/8 ────────────┴─ conv 2 ─ times steps ─ inverse DCT ────────┴─ + decoded
```
The second path sees and corrects DCT coefficients in units of the file's own quantization steps, in
which a correction lies within half a unit whatever the quality (but for files coded before). All new
parts begin at zero: with the weights of a smaller network the whole begins as that.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from veridical.photo.jpeg_header import CONDITIONS
from veridical.photo.network import NetworkConfig, RestorationNetwork
from veridical.photo.residual import detail, local_size
from veridical.training.take_over import take_over

__all__ = ["JpegEstimator"]

_LUMA = CONDITIONS.index("luma_q_00")
_CHROMA = CONDITIONS.index("chroma_q_00")
_GREY = CONDITIONS.index("grey")

_TO_YCC = torch.tensor(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
)
"""RGB to YCbCr without offsets (JFIF 1.02, page 3)."""


def _dct() -> Tensor:
    """The orthonormal two-dimensional DCT of a block, (64 frequencies, 64 pixels), both row-major."""
    k, x = torch.arange(8.0)[:, None], torch.arange(8.0)[None]
    one = 0.5 * torch.cos(torch.pi * (2 * x + 1) * k / 16)
    one[0] = 8**-0.5
    return torch.kron(one, one)


def _zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class JpegEstimator(RestorationNetwork):
    """``forward(y, features, scale)`` gives the estimate and the local size of its error.

    Shapes are those of ``photo.residual.estimate``; ``features`` are (n, len(CONDITIONS)).
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        w4, w8, _ = config.widths
        self.embed[0] = nn.Linear(len(CONDITIONS), self.embed[2].in_features)
        self.place = nn.Parameter(torch.zeros(1, w4, 4, 4))
        self.coefficients = _zeroed(nn.Conv2d(192, w8, 1))
        self.gate = _zeroed(nn.Conv2d(w4, 1, 1))
        self.tail8 = _zeroed(nn.Conv2d(w4, 192, 2, stride=2))
        transform = _dct()
        self.register_buffer("to_ycc", _TO_YCC[:, :, None, None], persistent=False)
        self.register_buffer("to_rgb", _TO_YCC.inverse()[:, :, None, None], persistent=False)
        self.register_buffer("dct", transform[:, :, None, None], persistent=False)
        self.register_buffer("idct", transform.T[:, :, None, None].contiguous(), persistent=False)

    def start_from(self, other: RestorationNetwork) -> None:
        """Begin as another network, whose conditions are the first of these."""
        with torch.no_grad():
            first = self.embed[0].weight
            take_over(self, other)
            old = other.embed[0].weight
            first.zero_()
            first[:, : old.shape[1]] = old

    def hidden_weights(self) -> list[nn.Parameter]:
        """Weights of the convolutions between the first and the last."""
        ends = ("head", "tail", "gate", "coefficients")
        return [
            p
            for name, p in self.named_parameters()
            if p.dim() == 4 and p.requires_grad and not name.startswith((*ends, "place"))
        ]

    def _per_block(self, x: Tensor, matrix: Tensor) -> Tensor:
        """A 64x64 matrix on the groups of 64 channels of (n, 192, height / 8, width / 8)."""
        n, _, h, w = x.shape
        return nn.functional.conv2d(x.reshape(3 * n, 64, h, w), matrix).reshape(n, 192, h, w)

    def estimate(self, y: Tensor, features: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """The estimate, and the trunk from which :meth:`sizes` are."""
        steps = torch.exp2(
            8 * torch.cat([features[:, _LUMA : _LUMA + 64], *[features[:, _CHROMA : _CHROMA + 64]] * 2], 1)
        )[:, :, None, None] / 255  # fmt: skip
        ycc = nn.functional.conv2d(y - 128 / 255, self.to_ycc)
        coefficients = self._per_block(nn.functional.pixel_unshuffle(ycc, 8), self.dct)
        h = self.embed(features)
        shuffle = nn.functional.pixel_shuffle
        seen = torch.cat([2 * y - 1, detail(y, scale)], 1)
        a = self.head(nn.functional.pixel_unshuffle(seen, 4))
        a = a + self.place.repeat(1, 1, a.shape[2] // 4, a.shape[3] // 4)
        a = self.down4(a, h)
        b = self.to8(a) + self.coefficients(torch.asinh(coefficients / steps))
        b = self.down8(b, h)
        c = self.mid16(self.to16(b), h)
        b = self.up8(b + shuffle(self.from16(c), 2), h)
        trunk = self.up4(a + shuffle(self.from8(b), 2), h)
        change = shuffle(self.tail(trunk) * (2 * torch.sigmoid(self.gate(trunk))), 4) * scale
        blocks = self._per_block(self.tail8(trunk) * steps, self.idct)
        change = change + nn.functional.conv2d(shuffle(blocks, 8), self.to_rgb)
        luma = nn.functional.conv2d(change, self.to_ycc[:1])
        grey = features[:, _GREY, None, None, None]
        return y + change + grey * (luma - change), trunk

    def sizes(self, trunk: Tensor) -> Tensor:
        """Standard deviations of the error in units of the scale, from a trunk of ``estimate``."""
        return local_size(self.spread(trunk))

    def forward(self, y: Tensor, features: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """See the class."""
        x, trunk = self.estimate(y, features, scale)
        return x, self.sizes(trunk)
