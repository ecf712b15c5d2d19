"""From a coded file to pictures at any realism: the one loop over windows.

```
 CodedImage ─ window ─ decoder.estimate ─ x_mmse ─┬─ interpolate(realism) ─ core of the window ─ picture
                            └─ decoder.generate ─ x_real ┘
```
Memory is bounded by the window, not the picture. Neighbouring windows overlap by a margin wider than what
the networks see in practice, noise depends on position only, and only the core of each window is kept; so
a picture in windows is the picture as a whole, up to rounding. A window is estimated once and generated
once, however many realisms are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image

from veridical.codec import resolve_realism
from veridical.errors import InvalidSetting, typed_errors
from veridical.interpolate import check_realism, interpolate
from veridical.photo.formats import open_image
from veridical.photo.image import CodedImage, FileInfo, Notice, silent
from veridical.photo.noise import NoiseField
from veridical.photo.options import DecodeOptions
from veridical.photo.reader import Source
from veridical.photo.tiles import Tile, tiles

__all__ = ["decode", "decode_at", "decode_windows", "info", "supported_realisms"]

Progress = Callable[[int, int], None]


@typed_errors()
def decode(
    source: Source | CodedImage,
    options: DecodeOptions | None = None,
    *,
    notice: Notice = silent,
    progress: Progress = lambda done, total: None,
    **settings: Any,
) -> Image.Image:
    """Decode an AVIF, WebP, JPEG or ``.vdc`` file at any realism.

    Args:
        source: Path or bytes of the file, or an open file.
        options: How (see :class:`veridical.DecodeOptions`).
        notice: Called with a sentence when something was converted.
        progress: Called with (windows done, windows in all).
        **settings: Instead of options, single ones by name, such as ``realism=0.7``.

    Returns:
        Pillow picture of mode L, LA, RGB or RGBA, with ICC profile, Exif and XMP in ``info``.

    Raises:
        VeridicalError: Any of ``errors``; the message says the cause and the remedy.

    Source: [T] Prop. 3 with a conventional codec as the perception-oblivious encoder.
    """
    o = DecodeOptions.of(options, settings)
    image = open_image(source, o, notice)
    if o.realism is None and o.perception is None:
        a = image.default_realism
    elif o.perception is not None:
        a = resolve_realism(image.price(), None, o.perception)
    else:
        a = resolve_realism(None, o.realism, None)
    return decode_at(image, [a], o, notice=notice, progress=progress)[0]


@typed_errors()
def decode_at(
    image: CodedImage,
    realisms: Sequence[float],
    options: DecodeOptions | None = None,
    *,
    notice: Notice = silent,
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
    for tile, x_mmse, x_real in decode_windows(image, any(wanted), o, progress):
        core = tile.core
        for a, picture in zip(wanted, out, strict=True):
            x = x_mmse if x_real is None else interpolate(x_mmse, x_real, a)
            levels = np.clip(np.rint(x * np.float32(255)), 0, 255).astype(np.uint8)
            picture[core.top : core.bottom, core.left : core.right] = levels.transpose(1, 2, 0)
    return [image.finish(picture) for picture in out]


def decode_windows(
    image: CodedImage,
    generate: bool,  # noqa: FBT001 (the two forms of one walk)
    options: DecodeOptions,
    progress: Progress = lambda done, total: None,
) -> Iterator[tuple[Tile, np.ndarray, np.ndarray | None]]:
    """Cores of ``x_mmse`` and, if asked, ``x_real``, float32 of shape (3, height, width), window by window."""
    decoder = image.decoder
    if decoder is None:
        raise InvalidSetting("a lossless file has nothing to estimate")
    noise = NoiseField(options.seed)
    places = tiles(image.height, image.width, options.tile)
    for done, tile in enumerate(places, 1):
        estimate = decoder.estimate(image.window(tile.window), 0)
        x_real = decoder.generate(estimate, noise) if generate else None
        kept = (slice(None), *tile.kept)
        yield tile, estimate.x_mmse[kept], None if x_real is None else x_real[kept]
        progress(done, len(places))


@typed_errors()
def info(
    source: Source | CodedImage, options: DecodeOptions | None = None, **settings: Any
) -> FileInfo:
    """Read a file and predict its price at every setting, without decoding it at any realism.

    Args:
        source: Path or bytes of an AVIF, WebP, JPEG or ``.vdc`` file, or an open file.
        options: How it would be decoded; the transport cost depends on ``steps``.
        **settings: Instead of options, single ones by name.

    Raises:
        VeridicalError: Any of ``errors``.
    """
    return open_image(source, DecodeOptions.of(options, settings)).info


def supported_realisms(
    image: CodedImage, realisms: Sequence[float], notice: Notice
) -> tuple[float, ...]:
    """The realisms that a file can be decoded at: all of them, or 0 alone, which is then told."""
    if image.has_generator or not any(realisms):
        return tuple(realisms)
    notice("the weights of this file have no generator: realism 0 is all there is to see")
    return (0.0,)
