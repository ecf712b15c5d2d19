"""From an open file to pictures at any realism: the one loop over windows.

```
 CodedImage ─ window ─ decoder.estimate ─ x_mmse ─┬─ interpolate(realism) ─ core of the window ─ picture
                            └─ decoder.generate ─ x_real ┘
```
Memory is bounded by the window, not the picture. Neighbouring windows overlap by a margin wider than what
the networks see in practice, and only the core of each window is kept; so
a picture in windows is the picture as a whole, up to rounding. A window is estimated once and generated
once, however many realisms are asked.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from veridical.codec import resolve_realism
from veridical.errors import InvalidSetting, typed_errors
from veridical.interpolate import check_realism, interpolate
from veridical.notices import Notice, check_callable, log_notice
from veridical.photo.options import DecodeOptions
from veridical.photo.tiles import Tile, tiles

if TYPE_CHECKING:
    from veridical.photo.image import CodedImage

Progress = Callable[[int, int], None]

_LOGGER = logging.getLogger(__name__)


def decode_image(
    image: CodedImage,
    options: DecodeOptions,
    *,
    notice: Notice = log_notice,
    progress: Progress = lambda done, total: None,
) -> Image.Image:
    """The picture of an open file at the realism or perception of the options, or else at the file's own."""
    realism, perception = options.realism, options.perception
    if realism is None and perception is None:
        realism = image.default_realism
    a = resolve_realism(None if perception is None else image.price(), realism, perception)
    return decode_at(image, [a], options, notice=notice, progress=progress)[0]


@typed_errors()
def decode_at(
    image: CodedImage,
    realisms: Sequence[float],
    options: DecodeOptions | None = None,
    *,
    notice: Notice = log_notice,
    progress: Progress = lambda done, total: None,
) -> list[Image.Image]:
    """Pictures of an open file at several realisms, at the cost of one.

    Args:
        image: From ``veridical.open``.
        realisms: Each 0 to 1.
        options: Seed and tile; realism and perception are not read.
        notice: Called with a sentence when something was converted.
        progress: Called with (windows done, windows in all).

    Raises:
        InvalidSetting: A realism outside [0, 1], or above 0 without a generator.
    """
    wanted = [check_realism(a) for a in realisms]
    if image.decoder is None:
        notice("the file is lossless: every realism is the picture itself")
        return [image.finish(np.asarray(image.ordinary)) for _ in wanted]
    out = [np.empty((image.height, image.width, 3), dtype=np.uint8) for _ in wanted]
    o = options or DecodeOptions()
    start = time.perf_counter()
    for tile, x_mmse, x_real in decode_windows(image, any(wanted), o, progress):
        core = tile.core
        for a, picture in zip(wanted, out, strict=True):
            picture[core.top : core.bottom, core.left : core.right] = _in_levels(
                x_mmse if x_real is None else interpolate(x_mmse, x_real, a)
            )
        del x_mmse, x_real  # the networks need the memory for the next window
    seconds = time.perf_counter() - start
    _LOGGER.info(
        "decoded %d x %d pixels at realism %s in %.2f s",
        image.width, image.height, ", ".join(f"{a:g}" for a in wanted), seconds,
    )  # fmt: skip
    return [image.finish(picture) for picture in out]


def _in_levels(x: np.ndarray) -> np.ndarray:
    """Samples in [0, 1], (3, height, width), as whole levels, (height, width, 3)."""
    levels = x * np.float32(255)
    return np.clip(np.rint(levels, out=levels), 0, 255, out=levels).transpose(1, 2, 0)


def decode_windows(
    image: CodedImage,
    generate: bool,  # noqa: FBT001 (the two forms of one walk)
    options: DecodeOptions,
    progress: Progress = lambda done, total: None,
) -> Iterator[tuple[Tile, np.ndarray, np.ndarray | None]]:
    """Cores of ``x_mmse`` and, if asked, ``x_real``, float32 of shape (3, height, width), window by window."""
    check_callable(progress=progress)
    decoder = image.decoder
    if decoder is None:
        raise InvalidSetting("a lossless file has nothing to estimate")
    places = tiles(image.height, image.width, options.tile)

    def ends(tile: Tile) -> tuple[Tile, np.ndarray, np.ndarray | None]:
        estimate = decoder.estimate(image.window(tile.window), 0)
        x_real = decoder.generate(estimate, options.seed) if generate else None
        kept = (slice(None), *tile.kept)
        return tile, estimate.x_mmse[kept], None if x_real is None else x_real[kept]

    for done, tile in enumerate(places, 1):
        yield ends(tile)  # nothing of a window is held here while the next one is computed
        progress(done, len(places))


def supported_realisms(
    image: CodedImage, realisms: Sequence[float], notice: Notice
) -> tuple[float, ...]:
    """The realisms that a file can be decoded at: all of them, or 0 alone, which is then told."""
    if image.has_generator or not any(realisms):
        return tuple(realisms)
    notice("the weights of this file have no generator: realism 0 is all there is to see")
    return (0.0,)
