"""Rate: the bits that a coded picture costs, from the length of the file really written."""

from __future__ import annotations

from veridical.errors import InvalidSetting


def bits_per_pixel(size_bytes: int, width: int, height: int) -> float:
    """Bits per pixel of a coded picture.

    A pixel is one position of the picture, whatever its number of channels; ``size_bytes``
    counts everything that the decoder needs, headers and checksums included.

    Args:
        size_bytes: length of the file in bytes, at least 0.
        width: true width in pixels (not the padded width), at least 1.
        height: true height in pixels, at least 1.

    Returns:
        ``8 size_bytes / (width height)``.

    Raises:
        InvalidSetting: a negative length or a picture without pixels.
    """
    if size_bytes < 0:
        raise InvalidSetting(f"a file cannot have {size_bytes} bytes; pass its length in bytes")
    if width < 1 or height < 1:
        raise InvalidSetting(
            f"a picture of {width}x{height} has no pixels; pass its true width and height"
        )
    return 8.0 * size_bytes / (width * height)
