"""Blocks of an AVIF picture that are drawn in few colours, of which the ordinary decoder knows more than an estimate.

AV1 codes drawings by palettes of up to eight colours, whose values are as exact as the samples (AV1 specification,
5.11.46), and by copies of earlier blocks, so that a file of few bits may hold a pattern without an error. Such a block
tells that it is one by few colours that are far apart, and its pixels are kept. Of drawings' such blocks two thirds are exact, and 92 % are
no farther from the source than the estimate is; of photographs' blocks at most one in a thousand is such.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from veridical.photo.options import GRID
from veridical.photo.restoration import Cells
from veridical.photo.tiles import Box

MOST_COLOURS = 8
LEAST_CONTRAST = 64
_STRIP = 32  # rows of blocks at a time, which bounds the memory


@dataclass(frozen=True, eq=False)
class PaletteBlocks(Cells):
    """Blocks of 16 x 16 pixels that are drawn in few colours.

    Attributes:
        pixels: Of the ordinary decoder, uint8 of shape (height, width, 3).
        drawn: Which blocks, bool of shape (rows, columns).
    """

    pixels: np.ndarray = field(repr=False)
    drawn: np.ndarray = field(repr=False)

    @classmethod
    def read(cls, pixels: np.ndarray) -> PaletteBlocks | None:
        """The blocks of a picture; None if there is none."""
        rows = _STRIP * GRID
        drawn = [_few_colours(pixels[t : t + rows]) for t in range(0, len(pixels), rows)]
        out = cls(pixels, np.concatenate(drawn))
        return out if out.drawn.any() else None

    def project(self, x: np.ndarray, top: int = 0, left: int = 0) -> np.ndarray:
        """An estimate of a window with the ordinary decoder's pixels in these blocks, see ``restoration.Cells``."""
        height, width = x.shape[1:]
        drawn = self._within(Box(top, top + height, left, left + width))
        drawn = drawn.repeat(GRID, 0).repeat(GRID, 1)
        y = self.pixels[top : top + height, left : left + width].transpose(2, 0, 1)
        return np.where(drawn[:height, :width], y / np.float32(255), x)

    def certain(self, box: Box) -> float:
        """Part of a window's blocks that are taken for exact, see ``restoration.Cells``."""
        return float(self._within(box).mean())

    def _within(self, box: Box) -> np.ndarray:
        ends = ((box.top, box.bottom), (box.left, box.right))
        rows, columns = (slice(a // GRID, -(-b // GRID)) for a, b in ends)
        return self.drawn[rows, columns]


def _few_colours(pixels: np.ndarray) -> np.ndarray:
    """Which blocks of (height, width, 3) have few colours that are far apart, (rows, columns)."""
    height, width = pixels.shape[:2]
    pixels = np.pad(pixels, ((0, -height % GRID), (0, -width % GRID), (0, 0)), mode="edge")
    rows, columns = pixels.shape[0] // GRID, pixels.shape[1] // GRID
    blocks = (
        pixels.reshape(rows, GRID, columns, GRID, 3).swapaxes(1, 2).reshape(rows, columns, -1, 3)
    )
    contrast = blocks.max(axis=2) - blocks.min(axis=2)
    found = contrast.max(axis=2) >= LEAST_CONTRAST
    some = blocks[found].astype(np.int32)
    colours = np.sort((some[..., 0] << 16) | (some[..., 1] << 8) | some[..., 2], axis=1)
    found[found] = np.count_nonzero(np.diff(colours, axis=1), axis=1) < MOST_COLOURS
    return found
