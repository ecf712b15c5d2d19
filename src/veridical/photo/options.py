"""What decoding and encoding are told: frozen objects, checked when they are made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from veridical.arrays import as_path, check_flag, is_number, whole_number
from veridical.errors import InvalidSetting
from veridical.interpolate import check_perception, check_realism

DEFAULT_TILE = 1152
"""Side of a window of the decoder in pixels, margins included."""

DEFAULT_MAX_PIXELS = 178_956_970
"""Largest picture accepted without an option: Pillow's own limit against decompression bombs."""

GRID = 16
"""Windows begin at multiples of this many pixels, and the networks take sides that are multiples."""

MARGIN = 64
"""Overlap of neighbouring windows on every side in pixels, wider than what the networks see in practice."""


def check_seed(seed: Any) -> int:
    """A seed of private randomness.

    Raises:
        InvalidSetting: Not a whole number from 0 to 2^64 - 1.
    """
    return whole_number(seed, "seed", 0, 2**64 - 1)


def _check_path(name: str, value: Any) -> Path | None:
    return None if value is None else as_path(name, value)


@dataclass(frozen=True, kw_only=True)
class DecodeOptions:
    """How a coded file is decoded.

    Attributes:
        realism: 0 gives the least error, 1 is nearest to the statistics of photographs, values between the
            optimal tradeoff; None is 0, or what a ``.vdc`` file says.
        perception: Instead of a realism: bound on the squared Wasserstein-2 distance to the generator's
            law, per channel sample on the [0, 1] scale; 0 is realism 1.
        seed: Private randomness of the generator, 0 to 2^64 - 1; the same seed gives the same picture.
        device: "auto", "cpu", "cuda" or "cuda:N".
        threads: Threads of the networks; None takes ``OMP_NUM_THREADS`` or the cores of this process.
        tile: Side of the windows in pixels, a multiple of 16 above 128; bounds the memory.
        weights: Own weights (a file, or a folder of several) instead of the shipped ones.
        max_pixels: Limit against decompression bombs.
        allow_partial: Decode what is whole of a damaged ``.vdc`` file, whose damaged tiles are grey, or what
            is there of a JPEG or WebP file that ends early.

    Raises:
        InvalidSetting: A setting outside its domain, or both realism and perception.
    """

    realism: float | None = None
    perception: float | None = None
    seed: int = 0
    device: str = "auto"
    threads: int | None = None
    tile: int = DEFAULT_TILE
    weights: Path | None = None
    max_pixels: int = DEFAULT_MAX_PIXELS
    allow_partial: bool = False

    def __post_init__(self) -> None:
        put = partial(object.__setattr__, self)  # numbers of numpy become Python's
        if self.realism is not None:
            put("realism", check_realism(self.realism))
        if self.perception is not None:
            put("perception", check_perception(self.perception))
        if self.realism is not None and self.perception is not None:
            raise InvalidSetting("give either realism or perception, not both")
        put("seed", check_seed(self.seed))
        put("max_pixels", whole_number(self.max_pixels, "max_pixels", 1))
        if self.threads is not None:
            put("threads", whole_number(self.threads, "threads", 1, 1024))
        put("tile", whole_number(self.tile, "tile", 1))
        if self.tile % GRID or self.tile <= 2 * MARGIN:
            raise InvalidSetting(
                f"tile must be a multiple of {GRID} above {2 * MARGIN}, got {self.tile}"
            )
        if not isinstance(self.device, str):
            raise InvalidSetting(f"device must be auto, cpu, cuda or cuda:N, got {self.device!r}")
        put("weights", _check_path("weights", self.weights))
        check_flag(allow_partial=self.allow_partial)

    @classmethod
    def of(cls, options: DecodeOptions | None, settings: dict[str, Any]) -> DecodeOptions:
        """The options that a function was given, as an object or as keyword arguments.

        Raises:
            InvalidSetting: Both, or an unknown name.
        """
        if options is not None:
            if not isinstance(options, cls):
                raise InvalidSetting(f"options must be {cls.__name__}(...), got {options!r:.100}")
            if settings:
                raise InvalidSetting("give either options or single settings, not both")
            return options
        unknown = settings.keys() - cls.__dataclass_fields__.keys()
        if unknown:
            raise InvalidSetting(
                f"unknown setting {', '.join(sorted(unknown))}; known are {', '.join(cls.__dataclass_fields__)}"
            )
        return cls(**settings)


@dataclass(frozen=True, kw_only=True)
class Target:
    """How large or how good a coded file is to be; at most one of the three, none is the format's default.

    Attributes:
        quality: 0 to 100 in the format's own sense.
        bpp: Largest number of bits per pixel of the whole file, reached from below by a search.
        max_bytes: Largest size of the whole file, reached from below by a search.

    Raises:
        InvalidSetting: A number outside its domain, or several.
    """

    quality: float | None = None
    bpp: float | None = None
    max_bytes: int | None = None

    def __post_init__(self) -> None:
        if sum(x is not None for x in (self.quality, self.bpp, self.max_bytes)) > 1:
            raise InvalidSetting("give one of quality, bpp and max_bytes, not several")
        for name, least, most in (("quality", 0, 100), ("bpp", 0, 1000)):
            value = getattr(self, name)
            if value is None:
                continue
            if not (is_number(value) and least <= value <= most):
                raise InvalidSetting(
                    f"{name} must be a number from {least} to {most}, got {value!r}"
                )
            object.__setattr__(self, name, float(value))
        if self.bpp == 0:
            raise InvalidSetting("bpp must be a positive number of bits per pixel, got 0")
        if self.max_bytes is not None:
            object.__setattr__(self, "max_bytes", whole_number(self.max_bytes, "max_bytes", 1))

    def size_limit(self, width: int, height: int) -> int | None:
        """Largest number of bytes for a picture; None if a quality decides."""
        return self.max_bytes if self.bpp is None else int(self.bpp * width * height / 8)


@dataclass(frozen=True, kw_only=True)
class EncodeOptions:
    """What only ``.vdc`` files have.

    Attributes:
        quantizer: "scalar"; "dither" or "e8" (blocks of eight) for common randomness from the seed.
        seed: Common randomness of the file.
        realism: What a decoder uses if it is not told, 0 to 1.
        weights: Own weights instead of the shipped ones.

    Raises:
        InvalidSetting: A realism outside [0, 1].
    """

    quantizer: str = "scalar"
    seed: int = 0
    realism: float = 0.0
    weights: Path | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "realism", check_realism(self.realism))
        object.__setattr__(self, "weights", _check_path("weights", self.weights))
