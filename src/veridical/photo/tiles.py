"""Windows of a picture: where each begins and which part of it is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from veridical.photo.options import MARGIN


@dataclass(frozen=True)
class Box:
    """A rectangle of a picture in pixels; ``bottom`` and ``right`` are outside."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """In pixels."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """In pixels."""
        return self.right - self.left


@dataclass(frozen=True)
class Tile:
    """A window and its core, the part that no other window's core covers."""

    window: Box
    core: Box

    @property
    def kept(self) -> tuple[slice, slice]:
        """Rows and columns of the core within the window."""
        w, c = self.window, self.core
        return (slice(c.top - w.top, c.bottom - w.top), slice(c.left - w.left, c.right - w.left))


def tiles(height: int, width: int, side: int, margin: int = MARGIN) -> list[Tile]:
    """Windows of at most about ``side`` pixels that overlap by ``margin`` on every side.

    Args:
        height: Of the picture.
        width: Of the picture.
        side: Of a window, a multiple of 16 above twice the margin.
        margin: A multiple of 16.
    """
    columns = list(_along(width, side, margin))
    return [
        Tile(Box(y0, y1, x0, x1), Box(top, bottom, left, right))
        for y0, y1, top, bottom in _along(height, side, margin)
        for x0, x1, left, right in columns
    ]


def _along(length: int, side: int, margin: int) -> Iterator[tuple[int, int, int, int]]:
    """(start, end) of each window and (first, last) of its core along one axis."""
    if length <= side + margin:
        yield 0, length, 0, length
        return
    first = 0
    while first < length:
        last = min(length, first + side - 2 * margin)
        if length - last < margin:
            last = length
        yield max(0, first - margin), min(length, last + margin), first, last
        first = last
