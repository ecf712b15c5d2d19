"""What decoding uses if it is not told, without anything heavy to import."""

from __future__ import annotations

__all__ = ["DEFAULT_STEPS", "DEFAULT_TILE"]

DEFAULT_STEPS = 4
"""Steps of the generator."""

DEFAULT_TILE = 1152
"""Side of a window in pixels, margins included."""
