"""The codec of photographs: any format's encoder, its file as the index, and the decoder of whole pictures."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from veridical.codec import Codec, Estimate
from veridical.errors import InvalidSetting
from veridical.interpolate import Calibration
from veridical.photo.formats import Format, format_named, open_image
from veridical.photo.image import CodedImage
from veridical.photo.options import DecodeOptions, EncodeOptions, Target
from veridical.photo.windows import decode_windows

__all__ = ["CodedFile", "PhotoCodec", "photo_codec"]


@dataclass(frozen=True, eq=False)
class CodedFile:
    """The index of a photograph: a coded file that is open.

    Attributes:
        data: Its bytes.
        image: Open.
    """

    data: bytes = field(repr=False)
    image: CodedImage


@dataclass(frozen=True)
class _Encoder:
    format: Format
    target: Target
    options: EncodeOptions
    decoding: DecodeOptions

    def encode(self, x: np.ndarray, seed: int) -> CodedFile:
        """The file of a picture, float of shape (3, height, width) in [0, 1]; ``seed`` is the options' own."""
        del seed
        levels = np.clip(np.rint(np.asarray(x) * 255), 0, 255).astype(np.uint8)
        picture = Image.fromarray(np.ascontiguousarray(levels.transpose(1, 2, 0)))
        data = self.format.encode(picture, self.target, self.options)
        return CodedFile(data, open_image(data, self.decoding))


@dataclass(frozen=True)
class _Coder:
    decoding: DecodeOptions

    def pack(self, index: CodedFile, seed: int = 0) -> bytes:
        """The file's bytes."""
        del seed
        return index.data

    def unpack(self, data: bytes, seed: int = 0) -> CodedFile:
        """The file, opened."""
        del seed
        return CodedFile(data, open_image(data, self.decoding))


@dataclass(frozen=True)
class _Decoder:
    """Whole pictures, window by window; arrays are float32 of shape (3, height, width) in [0, 1]."""

    decoding: DecodeOptions

    def _whole(self, file: CodedFile, seed: int | None) -> np.ndarray:
        image = file.image
        if image.decoder is None:  # lossless: every realism is the picture itself
            return np.asarray(image.ordinary, np.float32).transpose(2, 0, 1) / np.float32(255)
        out = np.empty((3, image.height, image.width), np.float32)
        seen = DecodeOptions(seed=seed or 0, tile=self.decoding.tile)
        for tile, x_mmse, x_real in decode_windows(image, seed is not None, seen):
            c = tile.core
            out[:, c.top : c.bottom, c.left : c.right] = x_mmse if x_real is None else x_real
        return out

    def estimate(self, index: CodedFile, seed: int = 0) -> Estimate[np.ndarray]:
        """``E[X | file]``, with the file as state."""
        del seed
        return Estimate(self._whole(index, None), index)

    def generate(self, estimate: Estimate[np.ndarray], rng: int) -> np.ndarray:
        """A picture that follows the generator's law; estimated anew, to keep no window's state."""
        return self._whole(estimate.state, rng)

    def price(self, index: CodedFile) -> Calibration | None:
        """Of the file."""
        return index.image.price()


@dataclass(frozen=True)
class PhotoCodec(Codec[np.ndarray, CodedFile, int]):
    """See :func:`photo_codec`.

    Attributes:
        encoder: Gives a coded file.
        coder: Between coded files and bytes.
        decoder: Of whole pictures.
    """

    encoder: _Encoder
    coder: _Coder
    decoder: _Decoder


def photo_codec(
    format_name: str = "AVIF",
    target: Target | None = None,
    options: EncodeOptions | None = None,
    decoding: DecodeOptions | None = None,
) -> PhotoCodec:
    """The codec of photographs in one format, with the same parts as every other source's.

    ``encode`` takes float pictures (3, height, width) in [0, 1] and ``decode`` gives them, with a
    seed from 0 to 2^64 - 1 as private randomness. ``veridical.encode`` and ``veridical.decode`` do the same for
    files and Pillow pictures, with everything that goes with these.

    Args:
        format_name: Name or suffix of a format.
        target: Quality or size.
        options: Of ``.vdc``.
        decoding: Weights, device and tile of the decoder.

    Raises:
        InvalidSetting, UnsupportedFormat: See ``errors``.
    """
    o = decoding or DecodeOptions()
    if o.realism is not None or o.perception is not None:
        raise InvalidSetting("realism and perception are given to the codec's decode, not here")
    form = format_named(format_name)
    form.check(target or Target(), options or EncodeOptions())
    return PhotoCodec(
        _Encoder(form, target or Target(), options or EncodeOptions(), o), _Coder(o), _Decoder(o)
    )
