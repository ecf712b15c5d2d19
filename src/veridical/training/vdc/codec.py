"""The codec as it is trained: the same whole numbers forward, gradients straight through.

The rate is the smooth law's ``-log2`` at the latents with uniform noise of one step, which has a
gradient and, for the dithered quantizer, the same law as in use. What the context networks and
the synthesis see is quantized as in use: rounded, or dithered on the levels of the file format.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from veridical.photo.vdc.prior import (
    LARGEST_HYPER,
    LARGEST_LATENT,
    MEAN_UNIT,
    PASSES,
    QUALITY_STEPS,
    PriorConfig,
)
from veridical.training.vdc.fixed import round_half_up
from veridical.training.vdc.laws import HyperLaw, LatentLaw
from veridical.training.vdc.prior import TrainedPrior, compand, pass_mask
from veridical.training.vdc.transform import (
    Analysis,
    Gains,
    HyperAnalysis,
    Synthesis,
    TransformConfig,
)


def lambda_of(quality: Tensor, ends: tuple[float, float]) -> Tensor:
    """Weight of the squared error at a quality: geometric between the ends, shape as given."""
    low, high = ends
    return low * (high / low) ** (quality.float() / QUALITY_STEPS)


@dataclass(frozen=True)
class Relaxed:
    """What one training step sees.

    Attributes:
        picture: Reconstruction, (n, 3, height, width).
        latent_bits: Rate of the latents at noisy values, shape (n,).
        hyper_bits: Of the hyperlatents, shape (n,).
        symbols, rows: Whole distances from the means as in use, and rows of their tables.
    """

    picture: Tensor
    latent_bits: Tensor
    hyper_bits: Tensor
    symbols: Tensor
    rows: Tensor


class TrainedCodec(nn.Module):
    """Everything that is trained before the generator; ``forward`` is the relaxed codec."""

    def __init__(self, transform: TransformConfig, prior: PriorConfig) -> None:
        super().__init__()
        self.config = (transform, prior)
        self.analysis = Analysis(transform, prior.latents)
        self.hyper_analysis = HyperAnalysis(prior)
        self.synthesis = Synthesis(transform, prior.latents)
        self.gains = Gains(prior)
        self.prior = TrainedPrior(prior)
        self.latent_law = LatentLaw()
        self.hyper_law = HyperLaw(prior)

    def forward(
        self, x: Tensor, quality: Tensor, noise: Tensor, *, dither: bool = False
    ) -> Relaxed:
        """Run the codec on pictures.

        Args:
            x: Pictures in [0, 1], (n, 3, height, width), sides multiples of 64.
            quality: Whole, 0 to 10,000, shape (n,).
            noise: Uniform on [-1/2, 1/2), (n, latents + hyper, height / 16, width / 16); the
                hyperlatents use its upper left corner.
            dither: Quantize with dither on eight levels, instead of rounding.
        """
        y = self.analysis(x)
        with torch.autocast(x.device.type, enabled=False):
            gain, inverse = self.gains(quality)
            y = y * gain
            z = self.hyper_analysis(y)
            n_latents = y.shape[1]
            u = noise[:, n_latents:, : z.shape[2], : z.shape[3]]
            row = (quality * self.gains.segments + QUALITY_STEPS // 2) // QUALITY_STEPS
            hyper_bits = self.hyper_law.bits(z + u, row)
            whole = round_half_up(z.clamp(-LARGEST_HYPER, LARGEST_HYPER))
            latents, mean, rows = self._passes(
                y, whole, quality, noise[:, :n_latents], dither=dither
            )
            x_minus = y - mean / MEAN_UNIT
            latent_bits = self.latent_law.bits(x_minus + noise[:, :n_latents], rows)
            decoded = latents * (inverse / MEAN_UNIT)
        symbols = ((latents - mean) / MEAN_UNIT).detach()
        return Relaxed(
            self.synthesis(decoded, quality)[0],
            latent_bits.sum((1, 2, 3)), hyper_bits.sum((1, 2, 3)), symbols, rows.detach(),
        )  # fmt: skip

    def _passes(
        self, y: Tensor, z: Tensor, quality: Tensor, noise: Tensor, *, dither: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Decoded latents and means in 1/16 steps, and rows."""
        n, channels, height, width = y.shape
        seen = self.prior.features(z, quality)[:, :, :height, :width]
        latents, means, rows = (torch.zeros_like(y) for _ in range(3))
        for k in range(PASSES):
            mean, row = self.prior.laws(k, seen, compand(latents))
            mask = pass_mask(k, channels, height, width).to(y.device).expand(n, -1, -1, -1)
            x = (y - mean / MEAN_UNIT).clamp(-LARGEST_LATENT, LARGEST_LATENT)
            if dither:
                u = (2 * torch.floor(8 * (noise + 0.5)) - 7) / MEAN_UNIT
                point = round_half_up(x + u) - u
            else:
                point = round_half_up(x)
            point = MEAN_UNIT * torch.where(row > 0, point, 0.0)
            latents = torch.where(mask, mean + point, latents)
            means = torch.where(mask, mean, means)
            rows = torch.where(mask, row, rows)
        return latents, means, rows
