"""The classifier of [BM], Table 3: two convolutions, two linear layers; over 99 % on MNIST's test set.

Convolution 5x5 to 10 channels, pooling, leaky ReLU; convolution 5x5 to 20 channels (its output is
``Psi``, the deep features of the distortion), dropout, pooling, leaky ReLU; linear 320-50-10. For 8x8
digits the kernels are 3x3 and the first pooling is left out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from veridical.errors import InvalidSetting

__all__ = ["DigitClassifier"]


class DigitClassifier(nn.Module):
    """Classifier of digits of 28 or 8 pixels an edge."""

    def __init__(self, side: int, seed: int = 0) -> None:
        super().__init__()
        if side not in {8, 28}:
            raise InvalidSetting(f"the classifier knows digits of 8 or 28 pixels, not {side}")
        self.side = side
        size = 5 if side == 28 else 3
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.first = nn.Conv2d(1, 10, size)
            self.second = nn.Conv2d(10, 20, size)
            self.middle = nn.Linear(320 if side == 28 else 80, 50)
            self.last = nn.Linear(50, 10)

    def deep(self, x: Tensor) -> Tensor:
        """``Psi(x)``: output of the second convolution, ``(n, 20 h h)``, of pictures ``(n, p)``."""
        return self._second(x).flatten(1)

    def _second(self, x: Tensor) -> Tensor:
        h = self.first(x.reshape(-1, 1, self.side, self.side))
        if self.side == 28:
            h = functional.max_pool2d(h, 2)
        return self.second(functional.leaky_relu(h))

    def features(self, x: Tensor) -> Tensor:
        """The 50 numbers before the last layer, after their leaky ReLU, ``(n, 50)``."""
        h = functional.dropout2d(self._second(x), training=self.training)
        h = functional.leaky_relu(functional.max_pool2d(h, 2)).flatten(1)
        return functional.leaky_relu(self.middle(h))

    def forward(self, x: Tensor) -> Tensor:
        """Scores ``(n, 10)``."""
        return self.last(self.features(x))
