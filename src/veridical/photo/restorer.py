"""Weights of any codec as a function of decoded pictures: for codecs whose files this package does not read."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from PIL import Image

from veridical.arrays import as_path
from veridical.errors import BadWeights, InvalidSetting, typed_errors
from veridical.interpolate import Calibration
from veridical.notices import Notice, log_notice
from veridical.photo.condition import Condition
from veridical.photo.image import RestoredImage
from veridical.photo.metadata import metadata_of
from veridical.photo.options import DecodeOptions
from veridical.photo.reader import Picture, is_pixels, open_source, split_channels
from veridical.photo.weights import damaged_weights, load_network

__all__ = ["Restorer"]


@dataclass(frozen=True, eq=False)
class Restorer:
    """What is left to do after a codec's own decoder: ``restorer(decoded, realism=0.7)``.

    Pictures are given as everywhere: path, bytes, Pillow, numpy or torch.

    Attributes:
        name: Of the codec.
        rate_known: Whether the weights want to know the bits per pixel of the coded file.
        options: Weights, device, threads and tile.
    """

    name: str
    rate_known: bool
    options: DecodeOptions

    @classmethod
    @typed_errors()
    def load(cls, weights: str | PathLike[str], **settings: Any) -> Restorer:
        """From the weights that ``veridical train restorer`` wrote, or a format's own.

        Args:
            weights: ``NAME.onnx``, with ``NAME-generator.onnx`` and their cards beside it.
            **settings: Of :class:`veridical.DecodeOptions`: ``device``, ``threads``, ``tile``, ``max_pixels``.

        Raises:
            BadWeights: Missing, damaged, or weights that want to know more of a file than its rate.
        """
        path = as_path("weights", weights)
        if path.is_dir():
            raise BadWeights(
                f"{path} is a folder; name the weights file in it, such as mycodec.onnx"
            )
        o = DecodeOptions.of(None, {**settings, "weights": path})
        header = load_network(path, kind="estimator", device=o.device, threads=o.threads).header
        with damaged_weights(path):
            Condition(1.0).features(header["features"])
            return cls(header["format"], bool(header.get("rate_known", True)), o)

    @typed_errors()
    def open(
        self, decoded: Picture, bits_per_pixel: float | None = None, notice: Notice = log_notice
    ) -> RestoredImage:
        """A decoded picture as an open file: with ``.decode(realism)``, ``.price()`` and ``.info``.

        Args:
            decoded: What the codec's decoder gave.
            bits_per_pixel: Of the coded file, if the weights want to know it.
            notice: Called with a sentence when something was converted.

        Raises:
            InvalidSetting: A rate is missing, needless or not positive.
            MissingFile, NotAnImage, DamagedFile, PictureTooLarge: See ``errors``.
        """
        if self.rate_known != (bits_per_pixel is not None):
            raise InvalidSetting(
                f"the weights for {self.name} were trained with{'' if self.rate_known else 'out'} the rate; "
                + ("give bits_per_pixel" if self.rate_known else "leave bits_per_pixel out")
            )
        condition = Condition(1.0 if bits_per_pixel is None else float(bits_per_pixel))
        im = open_source(decoded, max_pixels=self.options.max_pixels, notice=notice)
        pixels, alpha, grey = split_channels(im, notice)
        n_bytes = round((bits_per_pixel or 0) * im.width * im.height / 8)
        return RestoredImage(
            pixels,
            alpha,
            grey,
            condition,
            n_bytes,
            self.name,
            self.options,
            metadata_of(im, notice),
        )

    def __call__(
        self,
        decoded: Picture,
        realism: float | None = None,
        *,
        perception: float | None = None,
        bits_per_pixel: float | None = None,
    ) -> Image.Image | np.ndarray:
        """The picture at a realism, 0 if none is given.

        Args:
            decoded: What the codec's decoder gave.
            realism: 0 (least error) to 1 (nearest to the statistics of photographs).
            perception: Instead of a realism, as in :class:`veridical.DecodeOptions`.
            bits_per_pixel: Of the coded file, if the weights want to know it.

        Returns:
            For an array or a tensor uint8 of shape (height, width[, channels]), otherwise a Pillow picture.

        Raises:
            InvalidSetting: A setting outside its domain, or a realism above 0 without a generator.
        """
        image = self.open(decoded, bits_per_pixel)
        picture = image.decode(realism, perception=perception)
        return np.array(picture) if is_pixels(decoded) else picture

    def price(self, decoded: Picture, bits_per_pixel: float | None = None) -> Calibration | None:
        """Predicted error and transport cost, per channel sample on the [0, 1] scale: [T] Prop. 3."""
        return self.open(decoded, bits_per_pixel).price()

    def curve(
        self, decoded: Picture, bits_per_pixel: float | None = None, n: int = 11
    ) -> np.ndarray:
        """Predicted tradeoff: rows of realism and mean squared error ``d + a^2 C``, shape (n, 2).

        Raises:
            InvalidSetting: The weights have no prices.
        """
        price = self.price(decoded, bits_per_pixel)
        if price is None:
            raise InvalidSetting(f"the weights for {self.name} have no prices")
        a = np.linspace(0, 1, n)
        return np.stack([a, [price.distortion_at(float(v)) for v in a]], axis=1)
