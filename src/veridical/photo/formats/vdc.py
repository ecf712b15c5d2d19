"""``.vdc``: our own format; see ``docs/format.md``. Its parts are imported when such a file is met."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from veridical.bitstream.container import SIGNATURE, read
from veridical.notices import Notice, silent
from veridical.photo.formats.conventional import on_white
from veridical.photo.options import DecodeOptions, EncodeOptions, Target, check_seed

if TYPE_CHECKING:
    from veridical.photo.vdc.image import VdcImage


@dataclass(frozen=True)
class VdcFormat:
    """See ``formats.Format``; its quality is continuous."""

    name: str = "VDC"
    suffixes: tuple[str, ...] = (".vdc",)
    features: tuple[str, ...] = ()

    def sniff(self, head: bytes) -> bool:
        """Whether a file begins with the signature, perhaps one that a transfer altered."""
        return head[:4] == SIGNATURE[:4]

    def check(self, target: Target, options: EncodeOptions) -> None:
        """Refuse a quantizer or a seed that there is not.

        Raises:
            InvalidSetting: Such a setting.
        """
        from veridical.photo.vdc.quantizers import quantizer_named

        del target
        quantizer_named(options.quantizer)
        check_seed(options.seed)

    def encode(
        self,
        image: Image.Image,
        target: Target | None = None,
        options: EncodeOptions | None = None,
        notice: Notice = silent,
    ) -> bytes:
        """The bytes of a file; transparent parts are laid on white.

        Raises:
            TargetUnreachable: Even the lowest quality is larger than the target.
            BadWeights: There are none, or they are damaged.
        """
        from veridical.photo.vdc.encode import VdcEncoder
        from veridical.photo.vdc.model import load_model

        o = options or EncodeOptions()
        return VdcEncoder(load_model(o.weights), o).encode(
            on_white(image, self.name, notice), target
        )

    def open(
        self,
        data: bytes,
        options: DecodeOptions,
        notice: Notice = silent,
        *,
        name: str = "the file",
    ) -> VdcImage:
        """Take a file apart; it is entropy-decoded when its first window is asked for.

        Raises:
            DamagedFile, UnsupportedFormat, PictureTooLarge: See ``errors``.
        """
        from veridical.photo.vdc.image import VdcImage

        del name  # what goes wrong is told by its place in the file
        container = read(data, max_pixels=options.max_pixels, allow_partial=options.allow_partial)
        for sentence in container.damage:
            notice(sentence)
        return VdcImage(container, len(data), options, notice)


VDC = VdcFormat()
