"""A coded file that was opened once, to be looked at in several ways, whichever kind it is.

```
 AVIF, WebP, JPEG ─ ordinary decoder ─ CodedPicture ─┐
 .vdc ─ container, weights ─────────────── bytes ────┴─ Opened: facts, ordinary picture, decode(realism)
```
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Protocol

from PIL import Image

from veridical.bitstream.container import read
from veridical.photo.decode import decode, decode_picture, vdc_bytes
from veridical.photo.facts import FileInfo, info, picture_info
from veridical.photo.noise import NoiseField
from veridical.photo.reader import DEFAULT_MAX_PIXELS, CodedPicture, Source, open_coded
from veridical.photo.restore import DEFAULT_STEPS, check_steps

__all__ = ["Opened", "Settings", "open_file", "within_reach"]


class Opened(Protocol):
    """What can be asked of a coded file."""

    @property
    def facts(self) -> FileInfo:
        """Size, rate and predicted price."""
        ...

    @property
    def ordinary(self) -> Image.Image | None:
        """What every other program shows, of mode RGB; None if no other program opens the file."""
        ...

    @property
    def has_generator(self) -> bool:
        """Whether realisms above 0 can be decoded."""
        ...

    def decode(self, realism: float) -> Image.Image:
        """The picture at a realism, as ``veridical.decode`` gives it.

        Raises:
            VeridicalError: As there.
        """
        ...


@dataclass(frozen=True)
class Settings:
    """What stays the same while a file is decoded at several realisms; see ``veridical.decode``.

    Attributes:
        seed, steps, device, weights, max_pixels: As there.
        notice: Called with a sentence when something was converted.

    Raises:
        InvalidSetting: A seed or a number of steps outside its domain.
    """

    seed: int = 0
    steps: int = DEFAULT_STEPS
    device: str = "auto"
    weights: str | PathLike[str] | None = None
    max_pixels: int = DEFAULT_MAX_PIXELS
    notice: Callable[[str], None] = lambda message: None

    def __post_init__(self) -> None:
        NoiseField(self.seed)
        check_steps(self.steps)


@dataclass(frozen=True, eq=False)
class _Everyday:
    """An AVIF, WebP or JPEG file after its ordinary decoder."""

    picture: CodedPicture = field(repr=False)
    facts: FileInfo
    settings: Settings
    has_generator: bool = True

    @property
    def ordinary(self) -> Image.Image | None:
        return Image.fromarray(self.picture.pixels)

    def decode(self, realism: float) -> Image.Image:
        s = self.settings
        return decode_picture(
            self.picture, realism=realism, seed=s.seed, steps=s.steps, device=s.device, weights=s.weights
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Learned:
    """A ``.vdc`` file whose weights are at hand."""

    data: bytes = field(repr=False)
    facts: FileInfo
    settings: Settings
    has_generator: bool
    ordinary: Image.Image | None = None

    def decode(self, realism: float) -> Image.Image:
        s = self.settings
        return decode(
            self.data, realism=realism, seed=s.seed, steps=s.steps, device=s.device, weights=s.weights,
            max_pixels=s.max_pixels, notice=s.notice,
        )  # fmt: skip


def open_file(source: Source, settings: Settings | None = None) -> Opened:
    """Open an AVIF, WebP, JPEG or ``.vdc`` file.

    Args:
        source: Path or bytes.
        settings: Of everything that is asked of the file later.

    Raises:
        BadWeights, WrongModel: The weights of a ``.vdc`` file are not at hand.
        VeridicalError: As ``veridical.info``.
    """
    s = settings or Settings()
    data = vdc_bytes(source)
    if data is not None:
        return _learned(data, s)
    picture = open_coded(source, max_pixels=s.max_pixels, notice=s.notice)
    if picture.condition is None:
        s.notice("the file is lossless: every realism is the picture itself")
    return _Everyday(picture, picture_info(picture, steps=s.steps, weights=s.weights), s)


def _learned(data: bytes, s: Settings) -> Opened:
    from veridical.photo.learned.decode import check_model
    from veridical.photo.learned.model import load_codec

    header = read(data, max_pixels=s.max_pixels).header
    model = load_codec(None if s.weights is None else Path(s.weights), s.device)
    check_model(header, model)
    facts = info(data, steps=s.steps, weights=s.weights, max_pixels=s.max_pixels)
    return _Learned(data, facts, s, model.flow is not None)


def within_reach(
    file: Opened, realisms: Sequence[float], notice: Callable[[str], None]
) -> tuple[float, ...]:
    """The realisms that a file can be decoded at: all of them, or 0 alone, which is then told."""
    if file.has_generator or not any(realisms):
        return tuple(realisms)
    notice("the weights of this file have no generator: realism 0 is all there is to see")
    return (0.0,)
