"""Estimator and generator for everyday photographs, tile by tile, as parts of the one ``Codec``.

```
 CodedPicture ─ tiles ─┬─ PhotoEstimator.estimate(tile) ──── x_mmse ─┬─ blend ─ core of the tile
                       └─ PhotoGenerator.generate(x_mmse, noise, tile)┘
```
Memory is bounded by the tile, not the picture. Neighbouring tiles overlap by a margin wider than
what the networks look at in practice, noise depends on position only, and only the core of each
tile is kept; so a picture in tiles is the picture as a whole, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from veridical.codec import Codec
from veridical.errors import InvalidSetting
from veridical.generate.flow import integrate_on_arcs
from veridical.interpolate import Calibration
from veridical.photo.condition import Condition
from veridical.photo.defaults import DEFAULT_STEPS, DEFAULT_TILE
from veridical.photo.encode import EverydayEncoder
from veridical.photo.expected import look, mean_square
from veridical.photo.model import PhotoModel
from veridical.photo.network import GRID
from veridical.photo.noise import NoiseField
from veridical.photo.residual import predict_residual, unwhiten

__all__ = [
    "DEFAULT_STEPS",
    "DEFAULT_TILE",
    "MARGIN",
    "PhotoEstimator",
    "PhotoGenerator",
    "Tile",
    "assemble",
    "check_steps",
    "photo_codec",
    "restore",
    "windows",
]

MARGIN = 64


@dataclass(frozen=True, eq=False)
class Tile:
    """A window of a decoded picture with what the file tells about it.

    Attributes:
        pixels: Decoded colours, uint8 of shape (height, width, 3).
        top, left: Position in the picture, multiples of 16.
        condition: What the file tells.
    """

    pixels: np.ndarray
    top: int
    left: int
    condition: Condition


def check_steps(steps: int) -> int:
    """The number of steps.

    Raises:
        InvalidSetting: Not an integer from 1 to 1000.
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= 1000:
        raise InvalidSetting(f"steps must be an integer from 1 to 1000, got {steps!r}")
    return steps


class _Analysis:
    """What the estimator sees and says of a tile; kept for one tile, since the generator asks too."""

    def __init__(self, model: PhotoModel) -> None:
        self.model = model
        self._last: tuple[Tile, tuple[torch.Tensor, ...]] | None = None

    @torch.inference_mode()
    def __call__(self, tile: Tile) -> tuple[torch.Tensor, ...]:
        """Padded ``x_mmse``, size of its error, decoded picture, features and scale."""
        if self._last is not None and self._last[0] is tile:
            return self._last[1]
        pixels = torch.from_numpy(np.array(tile.pixels))  # a copy: Pillow's is read-only
        seen = look(self.model, pixels.permute(2, 0, 1)[None], tile.condition)
        self._last = (tile, seen)
        return self._last[1]


class PhotoEstimator:
    """``E[X | file]`` for a tile: float tensor (3, height, width) on the [0, 1] scale."""

    def __init__(self, analysis: _Analysis) -> None:
        self._analysis = analysis

    def estimate(self, index: Tile, seed: int = 0) -> torch.Tensor:
        """Least-error colours of a tile; these formats have no common randomness to use."""
        del seed
        height, width = index.pixels.shape[:2]
        return self._analysis(index)[0][0, :, :height, :width]


class PhotoGenerator:
    """A rectified flow from ``x_mmse`` plus noise to a natural picture.

    Raises:
        InvalidSetting: ``steps`` is not an integer from 1 to 1000.
    """

    def __init__(self, analysis: _Analysis, steps: int = DEFAULT_STEPS) -> None:
        self._analysis = analysis
        self.steps = check_steps(steps)

    @torch.inference_mode()
    def generate(self, x_mmse: torch.Tensor, rng: NoiseField, context: Tile) -> torch.Tensor:
        """A sample for a tile, in the form of ``x_mmse``."""
        x, size, y, features, scale = self._analysis(context)
        model = self._analysis.model
        noise = rng.window(context.top, context.left, *x.shape[-2:])
        size_of_noise = model.start_noise[context.condition.format]
        start = torch.from_numpy(noise)[None].to(model.device) * size_of_noise

        def predict(u: torch.Tensor, time: float) -> torch.Tensor:
            t = torch.full((1,), time, device=u.device)
            return predict_residual(model.flow, u, t, x, size, y, features, scale)

        end = integrate_on_arcs(predict, start, self.steps)
        height, width = context.pixels.shape[:2]
        return x_mmse + unwhiten(end, size, scale)[0, :, :height, :width]


def photo_codec(
    model: PhotoModel, *, steps: int = DEFAULT_STEPS, encoder: EverydayEncoder | None = None
) -> Codec:
    """The four parts for photographs; its index is a :class:`Tile`, its randomness a NoiseField."""

    def price(tile: Tile) -> Calibration:
        _, size, _, _, scale = analysis(tile)
        return model.prices.calibration(tile.condition, mean_square(size, scale), steps)

    # The encoder writes a whole file; opening it and cutting tiles stands between the two halves.
    analysis = _Analysis(model)
    return Codec(
        encoder or EverydayEncoder(),
        PhotoEstimator(analysis),
        PhotoGenerator(analysis, steps),
        price,
    )


def windows(length: int, tile: int, margin: int) -> Iterator[tuple[int, int, int, int]]:
    """(start, end) of each padded window and (first, last) of its core along one axis."""
    if length <= tile + margin:
        yield 0, length, 0, length
        return
    core = tile - 2 * margin
    first = 0
    while first < length:
        last = min(length, first + core)
        if length - last < margin:
            last = length
        yield max(0, first - margin), min(length, last + margin), first, last
        first = last


def restore(
    pixels: np.ndarray,
    condition: Condition,
    codec: Codec,
    *,
    realism: float,
    noise: NoiseField,
    tile: int = DEFAULT_TILE,
    margin: int = MARGIN,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """Restore a decoded picture at a realism.

    Args:
        pixels: Decoded colours, uint8 of shape (height, width, 3).
        condition: What the file tells.
        codec: From :func:`photo_codec`.
        realism: 0 to 1.
        noise: Private randomness; not read at realism 0.
        tile: Side of a tile in pixels, a multiple of 16 that leaves a core.
        margin: Overlap on every side, a multiple of 16.
        progress: Called with (tiles done, tiles in all).

    Returns:
        Colours, uint8 of the same shape.

    Raises:
        InvalidSetting: A tile or margin that is not a multiple of 16, or leaves no core.
    """
    height, width = pixels.shape[:2]

    def cut(y0: int, y1: int, x0: int, x1: int) -> Tile:
        return Tile(pixels[y0:y1, x0:x1], y0, x0, condition)

    return assemble(
        height, width, cut, codec,
        realism=realism, noise=noise, tile=tile, margin=margin, progress=progress,
    )  # fmt: skip


def assemble(
    height: int,
    width: int,
    cut: Callable[[int, int, int, int], Any],
    codec: Codec,
    *,
    realism: float,
    noise: NoiseField,
    tile: int = DEFAULT_TILE,
    margin: int = MARGIN,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """Decode a picture window by window and keep the core of each.

    Args:
        height: Of the picture.
        width: Of the picture.
        cut: ``cut(top, bottom, left, right)``, the codec's index of a window; top and left are
            multiples of 16.
        codec: Whose decoding gives float tensors (3, height, width) of a window.
        realism: As for :func:`restore`, like the rest.
        noise: Private randomness.
        tile: Side of a window.
        margin: Overlap.
        progress: Called with (windows done, windows in all).

    Returns:
        Colours, uint8 of shape (height, width, 3).

    Raises:
        InvalidSetting: A tile or margin that is not a multiple of 16, or leaves no core.
    """
    if tile % GRID or margin % GRID or margin < 0 or tile <= 2 * margin:
        raise InvalidSetting(
            f"tile {tile} and margin {margin} must be multiples of {GRID} with tile > 2 margin"
        )
    rows = list(windows(height, tile, margin))
    cols = list(windows(width, tile, margin))
    out = np.empty((height, width, 3), dtype=np.uint8)
    done, total = 0, len(rows) * len(cols)
    for y0, y1, top, bottom in rows:
        for x0, x1, left, right in cols:
            x = codec.decode(cut(y0, y1, x0, x1), noise, realism=realism)
            core = x[:, top - y0 : bottom - y0, left - x0 : right - x0]
            levels = core.mul(255).round().clamp_(0, 255).to(torch.uint8)
            out[top:bottom, left:right] = levels.permute(1, 2, 0).cpu().numpy()
            done += 1
            progress(done, total)
    return out
