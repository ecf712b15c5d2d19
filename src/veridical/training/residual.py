"""What the networks are asked, and in which coordinates: the estimate and the size of its residual.

The estimator works in units of the residual scale ``s`` of a file; the size of the residual ``x - x_mmse`` is
predicted along the axes of colour.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from veridical.training.networks import RestorationNetwork


def detail(y: Tensor, scale: Tensor) -> Tensor:
    """Departure from the local mean in units of the residual scale.

    Without it the small steps between blocks drown in the brightness, and training crawls.
    """
    rows, columns = (_sums_of_nine(torch.ones_like(y[:1, :1]), axis) for axis in (2, 3))
    mean = _sums_of_nine(_sums_of_nine(y, 2), 3) / (rows * columns)
    return ((y - mean) / (2 * scale)).clamp(-8, 8)


def local_mean(x: Tensor, side: int) -> Tensor:
    """Mean over squares of an odd side around each place; the picture goes on beyond its borders as it ends."""
    r = side // 2
    return functional.avg_pool2d(functional.pad(x, (r, r, r, r), mode="replicate"), side, 1)


def _sums_of_nine(x: Tensor, axis: int) -> Tensor:
    """Sums over nine neighbours along an axis, zeros beyond its ends.

    By doubling, in four additions; pooling takes five times as long and more.
    """
    n = x.shape[axis]
    ends = [0] * (2 * (x.dim() - axis))
    ends[-2:] = 4, 4
    one = functional.pad(x, ends)
    two = one.narrow(axis, 0, n + 7) + one.narrow(axis, 1, n + 7)
    four = two.narrow(axis, 0, n + 5) + two.narrow(axis, 2, n + 5)
    eight = four.narrow(axis, 0, n) + four.narrow(axis, 4, n)
    return eight + one.narrow(axis, 8, n)


_COLOURS = (
    torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]])
    / torch.tensor([[3.0], [2.0], [6.0]]).sqrt()
)
"""Orthonormal axes of colour: lightness and two differences; lengths are kept."""


def unet_change(
    network: RestorationNetwork, y: Tensor, features: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor]:
    """Change ``s N(y, condition)`` of decoded pictures by an estimator's U-Net, and its last features at 1/4.

    Args:
        network: With a tail; it is told the first of the features alone.
        y: Decoded pictures in [0, 1], shape (n, 3, height, width), sides multiples of GRID.
        features: Conditions, shape (n, names).
        scale: Residual scale ``s``, shape (n, 1, 1, 1).
    """
    seen = torch.cat([2 * y - 1, detail(y, scale)], 1)
    trunk = network.trunk(seen, features[:, : network.config.features])
    return scale * functional.pixel_shuffle(network.tail(trunk), 4), trunk


def local_size(log_size: Tensor) -> Tensor:
    """Standard deviations along the axes of colour, (n, 3, 4 height, 4 width).

    Args:
        log_size: Their logarithms for lightness and colour differences, (n, 2, height, width).
    """
    size = functional.interpolate(
        log_size.float().clamp(-4, 2), scale_factor=4, mode="bilinear", align_corners=False
    ).exp()
    return size[:, [0, 1, 1]]


def along_colours(x: Tensor) -> Tensor:
    """RGB along the axes of lightness and two colour differences, (n, 3, height, width)."""
    return functional.conv2d(x, _COLOURS.to(x)[:, :, None, None])


def from_colours(x: Tensor) -> Tensor:
    """Inverse of :func:`along_colours`."""
    return functional.conv2d(x, _COLOURS.T.to(x)[:, :, None, None])
