"""The error that the estimator expects of one picture, from which its price starts.

```
 decoded picture ─ windows spread over it ─ estimator ─ mean squared local size ── expected error
```
The format and rate of a file leave its error open by a factor of two either way, because pictures
differ. What the estimator sees of the picture itself tells more, and a few windows are enough.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from veridical.interpolate import Calibration
from veridical.photo.condition import Condition
from veridical.photo.model import PhotoModel
from veridical.photo.network import GRID
from veridical.photo.residual import estimate

__all__ = ["expected_error", "file_price", "look", "mean_square"]

WINDOW = 128
"""Side of a window in pixels."""

MOST_WINDOWS = 32
"""Pictures of at most this many windows' area are looked at as a whole."""


def look(model: PhotoModel, pixels: torch.Tensor, condition: Condition) -> tuple[torch.Tensor, ...]:
    """The estimator's view of decoded pictures of one file.

    Args:
        model: Networks and units.
        pixels: Decoded colours, uint8 of shape (n, 3, height, width).
        condition: What the file tells.

    Returns:
        ``x_mmse`` and the size of its error (see ``residual.estimate``), the decoded pictures in
        [0, 1], features and scale; pictures are padded to multiples of GRID.
    """
    y = pixels.to(model.device).float().div_(255)
    bottom, right = -y.shape[-2] % GRID, -y.shape[-1] % GRID
    if bottom or right:
        y = torch.nn.functional.pad(y, (0, right, 0, bottom), mode="replicate")
    y = y.contiguous(memory_format=torch.channels_last)
    n = len(y)
    features = torch.from_numpy(condition.features()).to(model.device).expand(n, -1)
    scale = torch.full((n, 1, 1, 1), model.scale(condition), device=model.device)
    x_mmse, size = estimate(model.estimator, y, features, scale)
    return x_mmse, size, y, features, scale


def mean_square(size: torch.Tensor, scale: torch.Tensor) -> float:
    """Mean squared error per channel sample to expect, from the size that ``estimate`` gave."""
    return float((size * scale).square().mean())


@torch.inference_mode()
def expected_error(model: PhotoModel, pixels: np.ndarray, condition: Condition) -> float:
    """Mean squared error of ``x_mmse`` that the estimator expects of a picture.

    Args:
        model: Networks and units.
        pixels: Decoded colours, uint8 of shape (height, width, 3).
        condition: What the file tells.

    Returns:
        Per channel sample on the [0, 1] scale, over at most ``MOST_WINDOWS`` windows, the same for
        the same picture. It is what the estimator believes; the price list turns it into a price.
    """
    seen = torch.from_numpy(_windows(pixels)).permute(0, 3, 1, 2)
    _, size, _, _, scale = look(model, seen, condition)
    return mean_square(size, scale)


def _windows(pixels: np.ndarray) -> np.ndarray:
    """The whole picture, or windows at even distances; (n, height, width, 3)."""
    height, width = pixels.shape[:2]
    if height * width <= MOST_WINDOWS * WINDOW**2:
        return pixels[None].copy()  # Pillow's are read-only
    high, wide = min(height, WINDOW), min(width, WINDOW)
    columns = max(1, round(math.sqrt(MOST_WINDOWS * width / height)))
    columns = min(columns, MOST_WINDOWS, width // wide)
    rows = max(1, min(MOST_WINDOWS // columns, height // high))
    tops = np.linspace(0, height - high, rows).astype(int) // GRID * GRID
    lefts = np.linspace(0, width - wide, columns).astype(int) // GRID * GRID
    return np.stack([pixels[t : t + high, x : x + wide] for t in tops for x in lefts])


def file_price(
    model: PhotoModel, pixels: np.ndarray, condition: Condition, steps: int
) -> Calibration:
    """Price of one file, from what it tells and from what the estimator sees of its picture.

    Args:
        model: Networks, units and price list.
        pixels: Decoded colours, uint8 of shape (height, width, 3).
        condition: What the file tells.
        steps: Steps of the generator.
    """
    return model.prices.calibration(condition, expected_error(model, pixels, condition), steps)
