"""The one search for a quality: the highest whose file is within a size."""

from __future__ import annotations

import logging
from collections.abc import Callable

from veridical.errors import TargetUnreachable

_LOGGER = logging.getLogger(__name__)


def largest_quality(
    code: Callable[[int], bytes],
    limit: int,
    highest: int,
    *,
    name: str,
    pixels: int,
    enough: float = 1.0,
    finest: int = 1,
) -> bytes:
    """The file of the highest quality from 0 to ``highest`` that has at most ``limit`` bytes, by bisection.

    Args:
        code: The file at a whole quality.
        limit: Largest number of bytes.
        highest: The best quality.
        name: Of the format, for the error.
        pixels: Of the picture, for the error.
        enough: Stop at this share of the limit.
        finest: Or when neighbouring qualities differ by this.

    Raises:
        TargetUnreachable: Even quality 0 is larger.
    """

    def coded(quality: int) -> bytes:
        data = code(quality)
        _LOGGER.info("%s at quality %d of %d: %d bytes", name, quality, highest, len(data))
        return data

    best = coded(0)
    if len(best) > limit:
        raise TargetUnreachable(
            f"{name} needs at least {len(best):,} bytes ({8 * len(best) / pixels:.3f} bits per pixel) for this "
            f"picture, more than the {limit:,} allowed; raise the target, use another format, or make the picture smaller"
        )
    top = coded(highest)
    if len(top) <= limit:
        return top
    low, high = 0, highest
    while high - low > finest and len(best) < enough * limit:
        middle = (low + high) // 2
        data = coded(middle)
        if len(data) <= limit:
            low, best = middle, data
        else:
            high = middle
    return best
