"""Weights of a codec as a torch module, for networks and losses of one's own around it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from veridical.errors import InvalidSetting
from veridical.photo.condition import Condition, ResidualScale
from veridical.photo.options import GRID
from veridical.training.export import load_estimator, load_generator_beside

__all__ = ["RestorerModule"]


class RestorerModule(nn.Module):
    """``forward(decoded, realism)`` as :class:`veridical.Restorer`, differentiable in both.

    Args:
        weights: ``NAME.onnx`` with its companions beside it.

    Attributes:
        estimator: Gives ``x_mmse`` and the local size of its error.
        generator: Gives ``x_real``. Both are frozen, until ``requires_grad_(True)``.

    Raises:
        BadWeights: Missing, damaged, or weights that want to know more of a file than its rate.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        weights = Path(weights)
        header, self.estimator = load_estimator(weights)
        self.generator = load_generator_beside(weights)
        self.rate_known = bool(header.get("rate_known", True))
        self._names, tables = header["features"], header["scale"]
        Condition(1.0).features(self._names)
        self._scale = ResidualScale(*(torch.tensor(t, dtype=torch.float64).numpy() for t in tables))

    def forward(
        self, decoded: Tensor, realism: float | Tensor = 0.0, bits_per_pixel: float | None = None
    ) -> Tensor:
        """The pictures at a realism, of the shape of ``decoded``, not clipped.

        Args:
            decoded: (n, 3, height, width) in [0, 1].
            realism: 0 to 1, a number or of shape (n, 1, 1, 1).
            bits_per_pixel: Of the coded files, if the weights want to know it.

        Raises:
            InvalidSetting: A rate is missing or needless.
        """
        if self.rate_known != (bits_per_pixel is not None):
            raise InvalidSetting(
                f"bits_per_pixel is {'needed' if self.rate_known else 'not used'} by these weights"
            )
        condition = Condition(1.0 if bits_per_pixel is None else bits_per_pixel)
        n, _, height, width = decoded.shape
        y = functional.pad(decoded, (0, -width % GRID, 0, -height % GRID), mode="replicate")
        features = torch.from_numpy(condition.features(self._names)).to(y).expand(n, -1)
        scale = torch.full((n, 1, 1, 1), self._scale(condition)).to(y)
        x_mmse, size = self.estimator(y, features, scale)
        if isinstance(realism, Tensor) or realism:
            x_real = self.generator(x_mmse, size, y, features, scale)
            x_mmse = x_mmse + realism * (x_real - x_mmse)
        return x_mmse[..., :height, :width]
