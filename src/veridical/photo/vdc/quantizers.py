"""From latents to coded whole numbers and back: the part that common randomness enters.

A quantizer sees what one pass codes: the distances of the latents from their means (in steps),
and the row of the frequency tables that stands for their spread, both of shape ``(channels, n)``.
It gives points, whole numbers of 1/16 step: the decoder's latent is mean plus point. What the
tables hold stands in ``frozen``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from veridical.arrays import Array, Whole
from veridical.bitstream.tables import SymbolDecoder, SymbolEncoder, TableSet
from veridical.errors import InvalidSetting, UnsupportedFormat
from veridical.photo.vdc.dither import CommonRandomness, Dithered, Scalar
from veridical.photo.vdc.e8 import E8


class Quantizer(Protocol):
    """A way to turn latents into whole numbers; ``put`` and ``take`` give the same points."""

    @property
    def number(self) -> int:
        """Its number in the file's header."""

    @property
    def randomness_bits(self) -> int:
        """Common randomness for each coded number, in bits."""

    def put(
        self, x: Array, rows: Whole, shared: CommonRandomness,
        encoder: SymbolEncoder, tables: TableSet,
    ) -> Whole:  # fmt: skip
        """Quantize and code distances ``x``; gives the points in 1/16 steps."""

    def take(
        self, rows: Whole, shared: CommonRandomness, decoder: SymbolDecoder, tables: TableSet
    ) -> Whole:
        """The points in 1/16 steps."""


QUANTIZERS: dict[str, Callable[..., Quantizer]] = {"scalar": Scalar, "dither": Dithered, "e8": E8}
"""By name, in the order of their numbers; each takes its bits of common randomness, and without them its usual ones."""

QUANTIZER_TITLES = {0: "scalar", 1: "scalar with dither", 2: "E8 with dither"}
"""What a file's number says to people."""


def quantizer_named(name: str) -> Quantizer:
    """The quantizer that an encoder is asked for.

    Raises:
        InvalidSetting: Unknown.
    """
    if not isinstance(name, str) or name not in QUANTIZERS:
        raise InvalidSetting(f"quantizer must be one of {', '.join(QUANTIZERS)}, got {name!r}")
    return QUANTIZERS[name]()


def quantizer_numbered(number: int, bits: int) -> Quantizer:
    """The quantizer of a file's header.

    Raises:
        UnsupportedFormat: This version does not have it.
    """
    if number >= len(QUANTIZERS):
        raise UnsupportedFormat(
            f"the file uses quantizer {number}, which this version does not have; update it"
        )
    try:
        return [*QUANTIZERS.values()][number](bits)
    except InvalidSetting as cause:
        raise UnsupportedFormat(
            f"the file asks for what this version cannot do: {cause}"
        ) from cause
