"""Perception-aware lossy compression: one file, one encoder, a realism knob at decode time.

>>> import veridical
>>> data = veridical.encode("photo.png", bpp=0.25)            # an ordinary AVIF file
>>> picture = veridical.decode(data, realism=0.7)             # a Pillow picture
>>> small = veridical.encode("photo.png", format="VDC", bpp=0.2)  # the learned format, for veridical only

All functions for photographs take AVIF, WebP, JPEG and ``.vdc`` files, as paths, bytes or open files, and
pictures also as Pillow pictures, numpy arrays or torch tensors. The heavy libraries are imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "Calibration",
    "Codec",
    "CodedImage",
    "ComparisonRow",
    "DecodeOptions",
    "EncodeOptions",
    "FileInfo",
    "Page",
    "Restorer",
    "SampleCodec",
    "VeridicalError",
    "__version__",
    "compare",
    "decode",
    "design",
    "encode",
    "info",
    "load_codec",
    "open",
    "view",
]

if TYPE_CHECKING:
    from veridical.block.design import design
    from veridical.codec import Codec
    from veridical.errors import VeridicalError
    from veridical.interpolate import Calibration
    from veridical.kept import load_codec
    from veridical.measure.photo import ComparisonRow, compare
    from veridical.oneshot.coder import SampleCoder  # noqa: F401 (needs an extra: not in __all__)
    from veridical.oneshot.sample_codec import SampleCodec
    from veridical.photo.decode import decode, info
    from veridical.photo.encode import encode
    from veridical.photo.formats import open_image as open  # noqa: A004 (the word for it)
    from veridical.photo.image import CodedImage, FileInfo
    from veridical.photo.options import DecodeOptions, EncodeOptions
    from veridical.photo.restorer import Restorer
    from veridical.photo.view import Page, view

_HOME = {
    "Calibration": "veridical.interpolate:Calibration",
    "Codec": "veridical.codec:Codec",
    "CodedImage": "veridical.photo.image:CodedImage",
    "ComparisonRow": "veridical.measure.photo:ComparisonRow",
    "DecodeOptions": "veridical.photo.options:DecodeOptions",
    "EncodeOptions": "veridical.photo.options:EncodeOptions",
    "FileInfo": "veridical.photo.image:FileInfo",
    "Page": "veridical.photo.view:Page",
    "Restorer": "veridical.photo.restorer:Restorer",
    "SampleCodec": "veridical.oneshot.sample_codec:SampleCodec",
    "SampleCoder": "veridical.oneshot.coder:SampleCoder",
    "VeridicalError": "veridical.errors:VeridicalError",
    "compare": "veridical.measure.photo:compare",
    "decode": "veridical.photo.decode:decode",
    "design": "veridical.block.design:design",
    "encode": "veridical.photo.encode:encode",
    "info": "veridical.photo.decode:info",
    "load_codec": "veridical.kept:load_codec",
    "open": "veridical.photo.formats:open_image",
    "view": "veridical.photo.view:view",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        module, _, attribute = _HOME[name].partition(":")
        value = getattr(import_module(module), attribute)
        globals()[name] = value
        return value
    if name == "limits":
        return import_module("veridical.limits")
    raise AttributeError(f"module 'veridical' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_HOME})  # some need an extra, and `import *` must not
