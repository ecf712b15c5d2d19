"""What the page asks of the package: the pictures of a file that its browser does not decode."""

from __future__ import annotations

import io
import json

from PIL import Image

from veridical.notices import silent
from veridical.photo.formats import open_image
from veridical.photo.image import CodedImage
from veridical.photo.metadata import prepared_for
from veridical.photo.windows import decode_at

__all__ = ["picture_at", "pictures"]


def pictures(data: bytes) -> bytes:
    """A line of JSON, then PNG files: ordinary decoder (or realism 0 where there is none), realism 0, realism 1.

    The line has ``info`` and ``price`` as the page's own decoder gives them, and ``sizes`` of the PNG files in bytes.

    Raises:
        VeridicalError: See :func:`veridical.open` and :func:`veridical.decode`.
    """
    image = open_image(_Sent(data), notice=silent)
    ends = decode_at(image, [0.0, float(image.has_generator)], notice=silent)
    ordinary = ends[0] if image.ordinary is None else image.ordinary
    i, parts, price = image.info, [_png(p) for p in (ordinary, *ends)], None
    if i.price is not None:
        price = {"mmse": i.price.mmse, "transportCost": i.price.transport_cost}
    head = {
        "info": {
            "format": i.format, "width": i.width, "height": i.height, "bytes": i.n_bytes, "lossless": i.lossless,
            "bitsPerPixel": i.bits_per_pixel, "quantizer": i.quantizer, "grey": i.grey, "alpha": i.alpha,
            "notices": i.notices,
        },
        "price": price,
        "sizes": [len(p) for p in parts],
    }  # fmt: skip
    return json.dumps(head).encode() + b"\n" + b"".join(parts)


def picture_at(data: bytes, realism: float) -> bytes:
    """The PNG file of a file's picture at a realism.

    Raises:
        VeridicalError: As :func:`pictures`.
    """
    image: CodedImage = open_image(_Sent(data), notice=silent)
    return _png(decode_at(image, [realism], notice=silent)[0])


class _Sent(io.BytesIO):
    """A file as messages call it: the page does not tell its name."""

    name = "The file"


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    out, kept = prepared_for(picture, "PNG", silent)
    out.save(buffer, "PNG", compress_level=1, **kept)
    return buffer.getvalue()
