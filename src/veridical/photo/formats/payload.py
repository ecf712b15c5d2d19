"""What a conventional file says about its own quantization, read from its headers alone.

The estimator and the generator may condition only on what the decoder has: the decoded picture,
the format, the size of the coded payload, and the quantizer that the encoder wrote down. A reader that
meets something it does not cover (a tiled grid, an unusual header) returns ``None`` for the quantizer and
never fails: the networks know a state "quantizer unknown".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["CodedPayload"]


@dataclass(frozen=True)
class CodedPayload:
    """The part of a file that codes the colour picture.

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
