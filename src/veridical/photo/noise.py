"""Private randomness of the photo generator, as a function of seed and position.

Tiles must see the same noise wherever their borders lie, so that a picture decoded in tiles is
the picture decoded whole: the field is drawn in blocks of 64 x 64 pixels, each from its own
Philox stream with the seed as key and the block's row and column as counter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from veridical.photo.options import check_seed

_BLOCK = 64


@dataclass(frozen=True)
class NoiseField:
    """Standard normal noise over an unbounded picture with three channels.

    Attributes:
        seed: From 0 to 2^64 - 1.
    """

    seed: int = 0

    def __post_init__(self) -> None:
        check_seed(self.seed)

    def window(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """The field over a window, float32 of shape (3, height, width); positions at least 0."""
        out = np.empty((3, height, width), dtype=np.float32)
        for row in range(top // _BLOCK, -(-(top + height) // _BLOCK)):
            for col in range(left // _BLOCK, -(-(left + width) // _BLOCK)):
                y0, x0 = row * _BLOCK, col * _BLOCK
                block = self._block(row, col)
                t, b = max(top, y0), min(top + height, y0 + _BLOCK)
                le, r = max(left, x0), min(left + width, x0 + _BLOCK)
                out[:, t - top : b - top, le - left : r - left] = block[
                    :, t - y0 : b - y0, le - x0 : r - x0
                ]
        return out

    def _block(self, row: int, col: int) -> np.ndarray:
        # Whole numbers of 64 bits: a list would go through floats from 2^63 on.
        key = np.array([self.seed, 0], dtype=np.uint64)
        bits = np.random.Philox(key=key, counter=[0, 0, row, col])
        return np.random.Generator(bits).standard_normal((3, _BLOCK, _BLOCK), dtype=np.float32)
