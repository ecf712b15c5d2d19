"""A conventional format through Pillow: a format is one instance of :class:`ConventionalFormat`.

Any of them is a perception-oblivious encoder ([T] Props 1, 2): nothing in it knows about realism,
and the file opens in every other program too.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import numpy as np
from PIL import Image

from veridical.errors import InvalidSetting, UnsupportedFormat
from veridical.extras import require
from veridical.notices import Notice, silent, told_to
from veridical.photo.condition import BASIC_FEATURES, Condition
from veridical.photo.image import CodedImage, RestoredImage, mean_of_channels
from veridical.photo.loading import load_picture
from veridical.photo.metadata import fit_profile, metadata_of, prepared_for
from veridical.photo.options import DecodeOptions, EncodeOptions, Target
from veridical.photo.reader import is_neutral, split_channels
from veridical.photo.restoration import Cells
from veridical.photo.search import largest_quality

__all__ = ["CodedPayload", "ConventionalFormat", "on_white"]


@dataclass(frozen=True)
class CodedPayload:
    """The part of a file that codes the colour picture, as its headers alone tell.

    A reader that meets what it does not cover (a tiled grid, an unusual header) gives None for the
    quantizer and never fails: the networks know a state "quantizer unknown".

    Attributes:
        n_bytes: Bytes of the coded colour picture, without metadata and alpha.
        quantizer: The quantizer on a scale from 0 (finest) to 1 (coarsest) within its format,
            logarithmic in the step for JPEG and in the codec's own index for WebP and AVIF;
            ``None`` if the headers do not tell.
        chroma_full: Whether colour is coded at full resolution (4:4:4).
        lossless: Whether the format's lossless mode was used.
        grey: Whether the file says that lightness alone is coded.
        remarks: Sentences for a person about what the ordinary decoder does with the file.
        more: Further features of the format, by name.
    """

    n_bytes: int
    quantizer: float | None
    chroma_full: bool = False
    lossless: bool = False
    grey: bool = False
    remarks: tuple[str, ...] = ()
    more: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ConventionalFormat:
    """A format that Pillow reads and writes, and whose decoder's error our networks reduce.

    Attributes:
        name: Of the format, as in the names of its weights.
        suffixes: Of its files, the first for writing.
        read_payload: What the headers of a whole file say; never raises.
        read_cells: The set of pictures that a whole file and its decoded pixels, uint8 of shape (height, width, 3),
            may stand for, if that is known; never raises.
        regrained: A whole file with film grain of another seed, or (None) of no strength; None if it has none.
        signature: Whether a file begins like one of this format.
        pillow_names: What Pillow calls the format.
        features: Names of what a file tells the networks.
        prepare: Called with a picture to be written; gives what can be written, and options of Pillow's
            ``save``.
        default_quality: Where neither a quality nor a size is asked: small files, meant to be restored.
        largest_side: In pixels.
        tells_grey: Whether a file says if it is grey; if not, one whose colours are neutral is.
        plugin: Package that teaches Pillow the format, if it needs one.
        at_quality: Options of Pillow's ``save`` for a quality of 0 to 100.
    """

    name: str
    suffixes: tuple[str, ...]
    read_payload: Callable[[bytes], CodedPayload]
    signature: Callable[[bytes], bool]
    read_cells: Callable[[bytes, np.ndarray], Cells | None] = lambda data, pixels: None
    regrained: Callable[[bytes, int | None], bytes | None] = lambda data, seed: None
    pillow_names: tuple[str, ...] = ()
    features: tuple[str, ...] = BASIC_FEATURES
    prepare: Callable[[Image.Image, Notice], tuple[Image.Image, dict[str, Any]]] = (
        lambda image, notice: (image, {})
    )
    default_quality: int = 35
    largest_side: int = 65_535
    tells_grey: bool = True
    plugin: str | None = None
    at_quality: Callable[[int], dict[str, Any]] = lambda quality: {"quality": quality}

    def sniff(self, head: bytes) -> bool:
        """Whether a file that begins with ``head`` (64 bytes or the whole file) is of this format."""
        return self.signature(head)

    def check(self, target: Target, options: EncodeOptions) -> None:
        """Refuse what this format cannot do.

        Raises:
            InvalidSetting: A quality that is not whole, or options of ``.vdc`` files.
        """
        if target.quality is not None and target.quality != int(target.quality):
            raise InvalidSetting(
                f"quality must be an integer from 0 to 100 for {self.name}, got {target.quality!r}"
            )
        if options != EncodeOptions():
            raise InvalidSetting(
                f"{self.name} has no quantizer, seed, realism or weights to choose; these are for .vdc files"
            )

    def encode(
        self,
        image: Image.Image,
        target: Target | None = None,
        options: EncodeOptions | None = None,
        notice: Notice = silent,
    ) -> bytes:
        """The bytes of a file; these formats have no common randomness.

        Raises:
            InvalidSetting: As :meth:`check`.
            TargetUnreachable: Even the lowest quality is larger than the target.
            UnsupportedFormat: The picture exceeds the format's largest side.
            MissingDependency: The format's plugin is not installed.
        """
        if self.plugin:
            require(self.plugin)
        target = target or Target()
        self.check(target, options or EncodeOptions())
        if max(image.size) > self.largest_side:
            raise UnsupportedFormat(
                f"{self.name} cannot hold {image.width} x {image.height} pixels (largest side "
                f"{self.largest_side}); use another format"
            )
        x, settings = self.prepare(image, notice)
        x, kept = prepared_for(x, self.pillow_names[0], notice)
        settings = kept | settings

        def save(quality: int) -> bytes:
            buffer = io.BytesIO()
            x.save(buffer, self.pillow_names[0], **self.at_quality(quality), **settings)
            return buffer.getvalue()

        limit = target.size_limit(x.width, x.height)
        if limit is None:
            quality = self.default_quality if target.quality is None else int(target.quality)
            return save(quality)
        return largest_quality(save, limit, 100, name=self.name, pixels=x.width * x.height)

    def condition(self, data: bytes, width: int, height: int) -> Condition | None:
        """What a whole file tells the networks; None if it is lossless."""
        return self._condition(self.read_payload(data), width, height)

    @staticmethod
    def _condition(p: CodedPayload, width: int, height: int) -> Condition | None:
        if p.lossless:
            return None
        bpp = 8 * p.n_bytes / (width * height)
        return Condition(bpp, p.quantizer, p.chroma_full, p.more)

    def open(
        self,
        data: bytes,
        options: DecodeOptions,
        notice: Notice = silent,
        *,
        name: str = "the file",
    ) -> CodedImage:
        """Decode a lossy file as any program would, and read what its headers say.

        Raises:
            DamagedFile, PictureTooLarge: See ``errors``.
        """
        told, notice = told_to(notice)
        clean = self.regrained(data, None)
        im = self._load(clean or data, options, notice, name)
        pixels, alpha, grey = split_channels(im, notice)
        p = self.read_payload(data)
        for sentence in p.remarks:
            notice(f"{name} {sentence}")
        metadata = metadata_of(im, notice)
        if not grey and (p.grey or not self.tells_grey) and is_neutral(pixels):
            grey, pixels = True, np.repeat(pixels[:, :, 1:2], 3, axis=2)
            fit_profile(metadata, ("GRAY", "RGB"), notice)
        else:
            fit_profile(metadata, ("GRAY" if grey else "RGB",), notice)
        condition = self._condition(p, im.width, im.height)

        def grained(seed: int) -> np.ndarray:
            other = self._load(self.regrained(data, seed) or data, options, silent, name)
            out = split_channels(other, silent)[0]
            return np.repeat(mean_of_channels(out)[..., None], 3, axis=2) if grey else out

        return RestoredImage(
            pixels, alpha, grey, condition, len(data), self.name, options, metadata,
            partial(self.read_cells, data), None if clean is None else lru_cache(1)(grained),
            notices=tuple(told),
        )  # fmt: skip

    def _load(self, data: bytes, options: DecodeOptions, notice: Notice, name: str) -> Image.Image:
        return load_picture(
            data, name, options.max_pixels, notice,
            formats=self.pillow_names, allow_partial=options.allow_partial,
        )  # fmt: skip


def on_white(image: Image.Image, name: str, notice: Notice) -> Image.Image:
    """A picture without alpha, its transparent parts laid on white."""
    if image.mode not in ("LA", "RGBA"):
        return image
    notice(f"{name} has no alpha; transparent parts are laid on white")
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image.convert("RGBA"))
    out = white.convert("L" if image.mode == "LA" else "RGB")
    out.info = image.info
    return out
