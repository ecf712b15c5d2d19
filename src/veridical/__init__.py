"""Perception-aware lossy compression: one file, one encoder, a realism knob at decode time.

>>> import veridical
>>> data = veridical.encode("photo.png", bpp=0.25)            # an ordinary AVIF file
>>> picture = veridical.decode(data, realism=0.7)             # a Pillow picture
>>> small = veridical.encode("photo.png", format="VDC", bpp=0.2)  # the learned format, for veridical only

All functions for photographs take AVIF, WebP, JPEG and ``.vdc`` files, as paths or bytes.
The heavy libraries are imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "Calibration",
    "Codec",
    "FileInfo",
    "LearnedSettings",
    "VeridicalError",
    "__version__",
    "decode",
    "design",
    "encode",
    "info",
]

if TYPE_CHECKING:
    from veridical.codec import Codec
    from veridical.errors import VeridicalError
    from veridical.interpolate import Calibration
    from veridical.oneshot.samples import design
    from veridical.photo.decode import decode
    from veridical.photo.encode import LearnedSettings, encode
    from veridical.photo.facts import FileInfo, info

_HOME = {
    "Calibration": "veridical.interpolate",
    "Codec": "veridical.codec",
    "FileInfo": "veridical.photo.facts",
    "LearnedSettings": "veridical.photo.encode",
    "VeridicalError": "veridical.errors",
    "decode": "veridical.photo.decode",
    "design": "veridical.oneshot.samples",
    "encode": "veridical.photo.encode",
    "info": "veridical.photo.facts",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    if name == "limits":
        return import_module("veridical.limits")
    raise AttributeError(f"module 'veridical' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
