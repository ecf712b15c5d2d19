"""Laws of latents and hyperlatents: smooth for training, frozen as whole-number tables after it.

Latents: a mixture of two centred normal laws, ``(1-w) N(0, s^2) + w N(0, (k s)^2)``, in which
``s`` is the scale of the table's row and ``w`` and ``k`` are two trained numbers for all rows;
the second law is for tails heavier than normal. Hyperlatents: for each channel and each anchor of
quality a mixture of three logistic laws. The probability of a whole number is the mass of the
step around it.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from veridical.bitstream.tables import TableSet
from veridical.photo.vdc.frozen import offset_tables
from veridical.photo.vdc.prior import LARGEST_HYPER, SCALES, PriorConfig, scale_of_row

_LEAST = 2.0**-20
_N_MIXED = 3


def _normal_mass(x: Tensor, scale: Tensor) -> Tensor:
    """Mass of the step around ``x``; the far side is mirrored, where differences stay accurate."""
    far = -x.abs()
    root = scale * 2.0**0.5
    return 0.5 * (torch.erf((far + 0.5) / root) - torch.erf((far - 0.5) / root))


class LatentLaw(nn.Module):
    """Law of a latent's distance from its mean."""

    def __init__(self) -> None:
        super().__init__()
        self.logit_weight = nn.Parameter(torch.tensor(-3.0))
        self.log_stretch = nn.Parameter(torch.tensor(0.0))

    def bits(self, x: Tensor, row: Tensor) -> Tensor:
        """``-log2`` of the mass of the step around ``x``, elementwise; ``row`` may be fractional."""
        scale = torch.as_tensor(scale_of_row(row.float()))
        w, k = self.logit_weight.sigmoid(), 1 + self.log_stretch.exp()
        mass = (1 - w) * _normal_mass(x, scale) + w * _normal_mass(x, k * scale)
        return -torch.log2(mass.clamp(min=_LEAST))

    @torch.no_grad()
    def tables(self) -> TableSet:
        """The frozen tables, by offset and row (see ``frozen``)."""
        from scipy.special import ndtr

        w = float(self.logit_weight.double().sigmoid())
        k = 1 + float(self.log_stretch.double().exp())

        def cdf(x: NDArray[np.float64], s: float) -> NDArray[np.float64]:
            return (1 - w) * ndtr(x / s) + w * ndtr(x / (k * s))

        return offset_tables(cdf, np.asarray(scale_of_row(np.arange(SCALES, dtype=np.float64))))


class HyperLaw(nn.Module):
    """Law of the hyperlatents, one for each anchor and channel."""

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        shape = (config.anchors, config.hyper, _N_MIXED)
        self.mean = nn.Parameter(torch.zeros(shape))
        self.log_scale = nn.Parameter(torch.zeros(shape) + torch.tensor([-0.5, 0.5, 1.5]))
        self.logit = nn.Parameter(torch.zeros(shape))

    def _mass(self, z: Tensor, at: Tensor) -> Tensor:
        mean, scale = self.mean[at], self.log_scale[at].exp()
        share = self.logit[at].softmax(-1)
        far = -(z[..., None] - mean).abs()
        steps = torch.sigmoid((far + 0.5) / scale) - torch.sigmoid((far - 0.5) / scale)
        return (share * steps).sum(-1)

    def bits(self, z: Tensor, anchor: Tensor) -> Tensor:
        """``-log2`` of the mass of the step around ``z``, shape (n, hyper, height, width).

        Args:
            z: Hyperlatents, perhaps with uniform noise.
            anchor: Whole, shape (n,).
        """
        mass = self._mass(z.permute(2, 3, 0, 1), anchor).permute(2, 3, 0, 1)
        return -torch.log2(mass.clamp(min=_LEAST))

    @torch.no_grad()
    def tables(self) -> TableSet:
        """The frozen tables, ``anchor * hyper + channel``, cut to where the mass is."""
        anchors, hyper, _ = self.mean.shape
        law = copy.deepcopy(self).cpu().double()
        values = torch.arange(-LARGEST_HYPER, LARGEST_HYPER + 1).double()[:, None]
        laws: list[tuple[int, ArrayLike]] = []
        for anchor in range(anchors):
            mass = law._mass(values.expand(-1, hyper), torch.full((len(values),), anchor))  # noqa: SLF001
            for p in mass.T.numpy():
                inside = np.flatnonzero(p > 1e-5)
                low, high = (
                    (inside[0], inside[-1]) if inside.size else (LARGEST_HYPER, LARGEST_HYPER)
                )
                kept = p[low : high + 1]
                laws.append((int(low) - LARGEST_HYPER, np.append(kept, max(1 - kept.sum(), 0.0))))
        return TableSet.from_laws(laws)
