"""Encoders for photographs: AVIF, WebP and JPEG through Pillow, with a search for a target size.

The learned ``.vdc`` format enters by the same door (:func:`encode`); its encoder is in ``learned``.

Any of them is a perception-oblivious encoder ([T] Props 1, 2): nothing in it knows about realism,
and the file opens in every other program too.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from veridical.errors import InvalidSetting, TargetUnreachable, UnsupportedFormat
from veridical.photo.condition import FORMATS
from veridical.photo.reader import DEFAULT_MAX_PIXELS, Source, open_source

if TYPE_CHECKING:
    from veridical.photo.learned.encode import LearnedEncoder

__all__ = [
    "DEFAULT_QUALITY",
    "SUFFIXES",
    "EverydayEncoder",
    "LearnedSettings",
    "encode",
    "everyday_encoder",
    "format_of_suffix",
    "learned_encoder",
]

SUFFIXES = {".avif": "AVIF", ".webp": "WEBP", ".jpg": "JPEG", ".jpeg": "JPEG", ".vdc": "VDC"}
"""File suffix to Pillow's name of the format."""

DEFAULT_QUALITY = {"AVIF": 35, "WEBP": 30, "JPEG": 30}
"""Quality used when neither a quality nor a target is given: small files, meant to be restored."""

_LIMITS = {"AVIF": 65536, "WEBP": 16383, "JPEG": 65500}


def format_of_suffix(suffix: str) -> str:
    """Format of a file suffix such as ".avif".

    Raises:
        UnsupportedFormat: No encoder for it.
    """
    try:
        return SUFFIXES[suffix.lower()]
    except KeyError:
        known = ", ".join(SUFFIXES)
        raise UnsupportedFormat(
            f"cannot write suffix {suffix!r}; an encoded photograph ends in {known}"
        ) from None


@dataclass(frozen=True)
class EverydayEncoder:
    """Settings of one encoder.

    Attributes:
        format: "AVIF", "WEBP" or "JPEG".
        quality: 0 to 100 in the format's own sense, or None for its default.
        bpp: Target in bits per pixel of the whole file, reached from below by a search.
        max_bytes: Largest size of the whole file, reached from below by a search.
    """

    format: str = "AVIF"
    quality: float | None = None
    bpp: float | None = None
    max_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise InvalidSetting(f"format must be one of {', '.join(FORMATS)}, got {self.format!r}")
        if sum(x is not None for x in (self.quality, self.bpp, self.max_bytes)) > 1:
            raise InvalidSetting("give one of quality, bpp and max_bytes, not several")
        q = self.quality
        if q is not None and (isinstance(q, bool) or not isinstance(q, int) or not 0 <= q <= 100):
            raise InvalidSetting(f"quality must be an integer from 0 to 100, got {q!r}")
        if self.bpp is not None and not 0 < self.bpp < 1000:
            raise InvalidSetting(
                f"bpp must be a positive number of bits per pixel, got {self.bpp!r}"
            )
        if self.max_bytes is not None and self.max_bytes < 1:
            raise InvalidSetting(f"max_bytes must be positive, got {self.max_bytes!r}")

    def encode(
        self, x: Image.Image, seed: int = 0, notice: Callable[[str], None] = lambda m: None
    ) -> bytes:
        """The file's bytes; ``seed`` is not used, because these formats have no common randomness.

        Raises:
            TargetUnreachable: Even the lowest quality is larger than the target.
            UnsupportedFormat: The picture exceeds the format's largest side.
        """
        del seed
        x = _prepared(x, self.format, notice)
        if self.bpp is None and self.max_bytes is None:
            quality = DEFAULT_QUALITY[self.format] if self.quality is None else int(self.quality)
            return _save(x, self.format, quality)
        target = self.max_bytes if self.bpp is None else int(self.bpp * x.width * x.height / 8)
        return _search(x, self.format, target or 0)


def _prepared(x: Image.Image, name: str, notice: Callable[[str], None]) -> Image.Image:
    if max(x.size) > _LIMITS[name]:
        raise UnsupportedFormat(
            f"{name} cannot hold {x.width} x {x.height} pixels (largest side {_LIMITS[name]}); use another format"
        )
    if name == "JPEG":
        x = _on_white(x, name, notice)
    if name == "AVIF" and x.mode == "LA":
        info = x.info
        x = x.convert("RGBA")
        x.info = info
    return x


def _on_white(x: Image.Image, name: str, notice: Callable[[str], None]) -> Image.Image:
    if x.mode not in ("LA", "RGBA"):
        return x
    notice(f"{name} has no alpha; transparent parts are laid on white (AVIF and WebP keep alpha)")
    white = Image.new("RGBA", x.size, "white")
    white.alpha_composite(x.convert("RGBA"))
    out = white.convert("L" if x.mode == "LA" else "RGB")
    out.info = x.info
    return out


def _save(x: Image.Image, name: str, quality: int) -> bytes:
    options: dict[str, Any] = {str(k): v for k, v in x.info.items()}
    if name == "JPEG":
        options |= {"optimize": True, "progressive": True}
    buffer = io.BytesIO()
    x.save(buffer, name, quality=quality, **options)
    return buffer.getvalue()


def _search(x: Image.Image, name: str, target: int) -> bytes:
    """Largest quality whose file is no larger than ``target`` bytes, by bisection."""
    lo, hi = 0, 100
    best = _save(x, name, lo)
    if len(best) > target:
        raise TargetUnreachable(
            f"{name} needs at least {len(best):,} bytes ({8 * len(best) / (x.width * x.height):.3f} bits per pixel) "
            f"for this picture, more than the {target:,} allowed; "
            "raise the target, use AVIF, or make the picture smaller"
        )
    while hi - lo > 1:
        middle = (lo + hi) // 2
        data = _save(x, name, middle)
        if len(data) <= target:
            lo, best = middle, data
        else:
            hi = middle
    return best


def encode(
    image: Source | Image.Image,
    *,
    format: str = "AVIF",  # noqa: A002 (the word for it, as in Pillow's save)
    quality: float | None = None,
    bpp: float | None = None,
    max_bytes: int | None = None,
    learned: LearnedSettings | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    notice: Callable[[str], None] = lambda message: None,
) -> bytes:
    """Code a picture in an everyday format or as a ``.vdc`` file.

    Args:
        image: Pillow picture, path or bytes of any picture that Pillow opens.
        format: "AVIF", "WEBP", "JPEG" or "VDC".
        quality: 0 to 100 in the format's own sense; whole, but for VDC.
        bpp: Instead of a quality: largest number of bits per pixel, found by search.
        max_bytes: Instead of a quality: largest file, found by search.
        learned: Further settings of VDC: quantizer, seed, default realism, weights; not for other
            formats.
        max_pixels: Limit against decompression bombs.
        notice: Called with a sentence when the picture had to be converted.

    Returns:
        The bytes of the file, with the picture's ICC profile, Exif and XMP. JPEG and VDC have no
        alpha: transparent parts are laid on white, with a notice.

    Raises:
        InvalidSetting: A setting outside its domain or several targets.
        TargetUnreachable: The target is below what the format can do.
        BadWeights: VDC without weights.
        MissingFile, NotAnImage, DamagedFile, PictureTooLarge: See ``errors``.
    """
    name = format.upper().replace("JPG", "JPEG")
    if name == "VDC":
        encoder = learned_encoder(learned or LearnedSettings(), quality, bpp, max_bytes)
        picture = open_source(image, max_pixels=max_pixels, notice=notice)
        return encoder.encode(_on_white(picture, name, notice))
    everyday = everyday_encoder(name, quality, bpp, max_bytes, learned)
    picture = open_source(image, max_pixels=max_pixels, notice=notice)
    return everyday.encode(picture, notice=notice)


@dataclass(frozen=True)
class LearnedSettings:
    """What only ``.vdc`` files have.

    Attributes:
        quantizer: "scalar"; "dither" or "e8" (blocks of eight) for common randomness from the seed.
        seed: Common randomness of the file.
        realism: What a decoder uses if it is not told, 0 to 1.
        weights: Own weights file instead of the shipped one.
    """

    quantizer: str = "scalar"
    seed: int = 0
    realism: float = 0.0
    weights: Path | None = None


def learned_encoder(
    settings: LearnedSettings, quality: float | None, bpp: float | None, max_bytes: int | None
) -> LearnedEncoder:
    """The checked encoder of ``.vdc`` files.

    Raises:
        InvalidSetting: A setting outside its domain or several targets.
        BadWeights: There are no usable weights.
    """
    from veridical.photo.learned.encode import LearnedEncoder
    from veridical.photo.learned.model import load_codec

    model = load_codec(settings.weights)
    return LearnedEncoder(
        model, quality, bpp, max_bytes, settings.quantizer, settings.seed, settings.realism
    )


def everyday_encoder(
    name: str,
    quality: float | None,
    bpp: float | None,
    max_bytes: int | None,
    learned: LearnedSettings | None = None,
) -> EverydayEncoder:
    """The checked encoder of an everyday format.

    Raises:
        InvalidSetting: A setting outside its domain, several targets, or settings of ``.vdc`` files.
    """
    if learned not in (None, LearnedSettings()):
        raise InvalidSetting(
            f"{name} has no quantizer, seed, realism or weights to choose; these are for .vdc files"
        )
    whole = int(quality) if isinstance(quality, float) and quality.is_integer() else quality
    return EverydayEncoder(name, whole, bpp, max_bytes)
