"""A coded file that is open: parsed once, entropy-decoded once, and decoded window by window."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast, overload

import numpy as np
from PIL import Image

from veridical.arrays import check_flag
from veridical.codec import Decoder
from veridical.errors import InvalidSetting, typed_errors
from veridical.interpolate import Calibration
from veridical.notices import Notice, log_notice
from veridical.photo.condition import Condition
from veridical.photo.options import DecodeOptions
from veridical.photo.restoration import Cells, PixelWindow, RestorationDecoder, load_restoration
from veridical.photo.tiles import Box
from veridical.photo.weights import weights_path
from veridical.photo.windows import Progress, decode_image


@dataclass(frozen=True)
class FileInfo:
    """What a coded file is and what decoding it will cost.

    Attributes:
        format, width, height, n_bytes, bits_per_pixel: Of the file.
        quantizer: 0 (finest) to 1 (coarsest) within the format, or None.
        grey, alpha, lossless: Of the picture.
        price: Predicted error and transport cost; zeros for a lossless file, None if it was not measured
            (a ``.vdc`` file without its weights). Its ``perception_at`` bounds the squared Wasserstein-2
            distance to the law of this generator's own pictures, not to photographs.
        details: Every field of a ``.vdc`` file's header, by name.
        notices: Sentences on what of the file does not reach a picture, such as a second one behind the first.
        has_generator: Whether the weights can decode at realisms above 0.
    """

    format: str
    width: int
    height: int
    n_bytes: int
    bits_per_pixel: float
    quantizer: float | None
    grey: bool
    alpha: bool
    lossless: bool
    price: Calibration | None
    details: dict[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    has_generator: bool = True

    def predicted_psnr_db(self, realism: float) -> float:
        """Predicted PSNR in dB at a realism; infinite for a lossless file, NaN without a price."""
        if self.price is None:
            return math.nan
        d = self.price.distortion_at(realism)
        return math.inf if d == 0 else -10 * math.log10(d)


class Decodes(Protocol):
    """What every open file does in the same way."""

    if TYPE_CHECKING:

        @property
        def options(self) -> DecodeOptions:
            """How it is decoded unless :meth:`decode` is told otherwise."""

    @overload
    def decode(
        self,
        realism: float | None = ...,
        *,
        perception: float | None = ...,
        seed: int | None = ...,
        as_array: Literal[False] = ...,
        notice: Notice = ...,
        progress: Progress = ...,
    ) -> Image.Image: ...

    @overload
    def decode(
        self,
        realism: float | None = ...,
        *,
        perception: float | None = ...,
        seed: int | None = ...,
        as_array: Literal[True],
        notice: Notice = ...,
        progress: Progress = ...,
    ) -> np.ndarray: ...

    @typed_errors()
    def decode(
        self,
        realism: float | None = None,
        *,
        perception: float | None = None,
        seed: int | None = None,
        as_array: bool = False,
        notice: Notice = log_notice,
        progress: Progress = lambda done, total: None,
    ) -> Image.Image | np.ndarray:
        """The picture at a realism; what is not given here is as :func:`veridical.open` was told.

        Args:
            realism: 0 (least error) to 1 (the statistics of photographs).
            perception: Instead of a realism, as in :class:`veridical.DecodeOptions`.
            seed: Private randomness of the generator.
            as_array: Give a numpy array instead of a picture, as :func:`veridical.decode` does.
            notice: Called with a sentence when something was converted.
            progress: Called with (windows done, windows in all).

        Raises:
            InvalidSetting: A setting outside its domain, or a realism above 0 without a generator.
        """
        check_flag(as_array=as_array)
        o = self.options
        if realism is not None or perception is not None:
            o = replace(o, realism=realism, perception=perception)
        o = o if seed is None else replace(o, seed=seed)
        picture = decode_image(cast("CodedImage", self), o, notice=notice, progress=progress)
        return np.array(picture) if as_array else picture


class CodedImage(Decodes, Protocol):
    """What can be asked of an open file, whatever its format."""

    @property
    def height(self) -> int:
        """In pixels."""

    @property
    def width(self) -> int:
        """In pixels."""

    @property
    def info(self) -> FileInfo:
        """What the file is, with its predicted price."""

    @property
    def ordinary(self) -> Image.Image | None:
        """What every other program shows, of mode RGB; None if no other program opens the file."""

    @property
    def default_realism(self) -> float:
        """The realism of a decoder that is not told one."""

    @property
    def has_generator(self) -> bool:
        """Whether realisms above 0 can be decoded."""

    @property
    def decoder(self) -> Decoder[Any, np.ndarray, int] | None:
        """Gives float32 arrays (3, height, width) in [0, 1] of a window; None if the file is lossless."""

    def price(self) -> Calibration | None:
        """Predicted error and transport cost; None if it was not measured."""

    def window(self, box: Box) -> Any:
        """The decoder's index of a window whose top and left are multiples of 16."""

    def finish(self, colours: np.ndarray) -> Image.Image:
        """A Pillow picture of decoded colours, uint8 of shape (height, width, 3), with all that goes with it."""


def check_original(original: Image.Image, image: CodedImage) -> None:
    """An original can only be held beside a file of its size.

    Raises:
        InvalidSetting: The two differ in size.
    """
    if original.size != (image.width, image.height):
        raise InvalidSetting(
            f"the original has {original.width} x {original.height} pixels, the file {image.width} x {image.height}; "
            "give the picture that the file was made from"
        )


@dataclass(frozen=True, eq=False)
class RestoredImage(Decodes):
    """A file of a conventional format after its ordinary decoder.

    Attributes:
        pixels: Decoded colour, uint8 of shape (height, width, 3), without film grain.
        alpha: Opacity, uint8 of shape (height, width), or None.
        grey: Whether the picture is greyscale (its three channels are the same).
        condition: What the file tells the networks; None if the coding was lossless.
        n_bytes: Size of the whole file.
        format: Name of the format.
        options: How it is to be decoded.
        metadata: ICC profile, Exif and XMP in the form that Pillow's ``save`` takes.
        read_cells: Of the pixels, gives the set of pictures that the file may stand for, if its format knows it.
        grained: The same with the file's film grain of a seed (0 for its own); None if it has none.
        notices: What was told when the file was opened.
    """

    pixels: np.ndarray = field(repr=False)
    alpha: np.ndarray | None = field(repr=False)
    grey: bool
    condition: Condition | None = field(repr=False)
    n_bytes: int
    format: str
    options: DecodeOptions = field(default_factory=DecodeOptions, repr=False)
    metadata: dict[str, Any] = field(default_factory=dict, repr=False)
    read_cells: Callable[[np.ndarray], Cells | None] = field(
        default=lambda pixels: None, repr=False
    )
    grained: Callable[[int], np.ndarray] | None = field(default=None, repr=False)
    default_realism: float = 0.0
    notices: tuple[str, ...] = ()

    @property
    def height(self) -> int:
        """In pixels."""
        return self.pixels.shape[0]

    @property
    def width(self) -> int:
        """In pixels."""
        return self.pixels.shape[1]

    @property
    def bits_per_pixel(self) -> float:
        """Bits of the whole file per pixel."""
        return 8 * self.n_bytes / (self.width * self.height)

    @property
    def ordinary(self) -> Image.Image:
        """The ordinary decoder's picture, of mode RGB."""
        return Image.fromarray(self.pixels if self.grained is None else self.grained(0))

    @property
    def has_generator(self) -> bool:
        """Whether the weights of the format hold one."""
        name = f"{self.format.lower()}-generator"
        return self.condition is None or weights_path(name, self.options.weights).exists()

    @cached_property
    def decoder(self) -> RestorationDecoder | None:
        """The format's networks under this file's condition; None for a lossless file."""
        if self.condition is None:
            return None
        return RestorationDecoder(load_restoration(self.format, self.options), self.condition)

    @cached_property
    def _cells(self) -> Cells | None:
        return self.read_cells(self.pixels)

    @cached_property
    def _price(self) -> Calibration | None:
        if self.decoder is None:
            return Calibration(0.0, 0.0)
        return self.decoder.price(self.window(Box(0, self.height, 0, self.width)))

    def price(self) -> Calibration | None:
        """From what the file tells and what the estimator expects of its picture."""
        return self._price

    @property
    def info(self) -> FileInfo:
        """What the file is, with its predicted price."""
        return FileInfo(
            format=self.format,
            width=self.width,
            height=self.height,
            n_bytes=self.n_bytes,
            bits_per_pixel=self.bits_per_pixel,
            quantizer=None if self.condition is None else self.condition.quantizer,
            grey=self.grey,
            alpha=self.alpha is not None,
            lossless=self.condition is None,
            price=self.price(),
            notices=self.notices,
            has_generator=self.has_generator,
        )

    def window(self, box: Box) -> PixelWindow:
        """Pixels of a window."""
        cut = np.s_[box.top : box.bottom, box.left : box.right]
        grained = self.grained
        own = None if grained is None else lambda seed: grained(seed)[cut]
        return PixelWindow(self.pixels[cut], box, self._cells, own)

    def finish(self, colours: np.ndarray) -> Image.Image:
        """A Pillow picture with this file's alpha, greyness and metadata."""
        out = Image.fromarray(mean_of_channels(colours) if self.grey else colours)
        if self.grey and self.metadata.get("icc_profile", b"")[16:20] == b"RGB ":
            out = out.convert("RGB")  # equal channels, which the profile fits
        if self.alpha is not None:
            out.putalpha(Image.fromarray(self.alpha))
        out.info.update(self.metadata)
        return out


def mean_of_channels(colours: np.ndarray) -> np.ndarray:
    """Rounded mean of three channels, uint8 of shape (height, width)."""
    total = colours[:, :, 0].astype(np.uint16)
    total += colours[:, :, 1]
    total += colours[:, :, 2]
    return ((total + 1) // 3).astype(np.uint8)
