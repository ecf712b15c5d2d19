"""Film grain that an AVIF file asks its decoder to lay on the picture (AV1 specification, 5.9.12 to 5.9.30, 6.8.20).

The table is the last part of the frame header, so that all between the quantizer and it is read and dropped.
Only key frames that are shown are covered, as :mod:`veridical.photo.formats.avif` says.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

Points = tuple[tuple[int, int], ...]


class Bits:
    """Most-significant-bit-first reader; reading past the end raises IndexError."""

    def __init__(self, data: bytes) -> None:
        self.data, self.pos = data, 0

    def f(self, n: int) -> int:
        """An unsigned number of ``n`` bits."""
        value = 0
        for _ in range(n):
            value = value << 1 | self.data[self.pos >> 3] >> (7 - (self.pos & 7)) & 1
            self.pos += 1
        return value

    def signed(self, n: int) -> int:
        """A number of ``n`` bits in two's complement."""
        value = self.f(n)
        return value - (1 << n) if value >> (n - 1) else value

    def optional(self, n: int) -> int:
        """A signed number if a bit says that there is one, else 0."""
        return self.signed(n) if self.f(1) else 0


@dataclass(frozen=True)
class ColourConfig:
    """Of a sequence: section 5.5.2, and the tools before it that the frame header depends on."""

    cdef: bool
    restoration: bool
    mono: bool
    subsampled: tuple[int, int]
    separate_uv: bool
    grain: bool


@dataclass(frozen=True)
class FilmGrain:
    """Parameters of film grain synthesis.

    Attributes:
        seed: Of the grain's random numbers.
        luma, cb, cr: Points (level, scaling) of the piecewise linear strength of each plane.
        scaling_shift: The strength is divided by two to this power.
        lag: Of the autoregressive filter.
        seed_at: First bit of the seed, of 16, in the header.
        strengths_at: First bits of the scalings, of 8 each.
    """

    seed: int
    luma: Points
    cb: Points
    cr: Points
    scaling_shift: int
    lag: int
    seed_at: int
    strengths_at: tuple[int, ...]


def read_colour_config(b: Bits, profile: int) -> ColourConfig:
    """The rest of a sequence header, from ``enable_cdef`` on."""
    cdef, restoration = bool(b.f(1)), bool(b.f(1))
    twelve = b.f(1) and profile == 2 and b.f(1)
    mono = profile != 1 and bool(b.f(1))
    described = (b.f(8), b.f(8), b.f(8)) if b.f(1) else (2, 2, 2)
    sub, separate = (1, 1), False
    if mono:
        b.f(1)
    else:
        if described == (1, 13, 0):  # sRGB without a matrix
            sub = (0, 0)
        else:
            b.f(1)
            sub = {0: (1, 1), 1: (0, 0)}.get(profile, (1, 0))
            if twelve:
                x = b.f(1)
                sub = (x, b.f(1) if x else 0)
            if sub == (1, 1):
                b.f(2)
        separate = bool(b.f(1))
    return ColourConfig(cdef, restoration, mono, sub, separate, bool(b.f(1)))


def read_grain(
    b: Bits, c: ColourConfig, base_q_idx: int, *, block_copy: bool, superres: bool, wide: bool
) -> FilmGrain | None:
    """Film grain of a key frame whose header was read as far as ``base_q_idx``.

    Args:
        b: Behind ``base_q_idx``.
        c: Of the sequence.
        base_q_idx: The quantizer.
        block_copy: ``allow_intrabc``.
        superres: Whether the frame is coded narrower than it is shown.
        wide: Whether superblocks have 128 pixels.
    """
    if not c.grain:
        return None
    lossless = _skip_quantizer(b, c, base_q_idx, block_copy=block_copy)
    if not lossless and not block_copy:
        _skip_loop_filter(b, c)
        if c.cdef:
            b.f(2)
            b.f((6 if c.mono else 12) << b.f(2))
    if not (lossless and not superres) and not block_copy and c.restoration:
        kinds = [b.f(2) for _ in range(1 if c.mono else 3)]
        if any(kinds) and b.f(1) and not wide:
            b.f(1)
        if any(kinds[1:]) and c.subsampled == (1, 1):
            b.f(1)
    b.f(1 if lossless else 2)  # tx_mode_select, reduced_tx_set
    return _film_grain(b, c) if b.f(1) else None


def _skip_quantizer(b: Bits, c: ColourConfig, base_q_idx: int, *, block_copy: bool) -> bool:
    """From the quantizer's offsets to those of blocks; whether the frame is lossless."""
    offsets = [b.optional(7)]
    if not c.mono:
        differ = c.separate_uv and b.f(1)
        offsets += [b.optional(7) for _ in range(4 if differ else 2)]
    if b.f(1):
        b.f(12 if c.separate_uv else 8)
    indices = [base_q_idx]
    if b.f(1):
        indices = []
        for _ in range(8):
            change = b.optional(9)
            indices.append(min(255, max(0, base_q_idx + change)))
            for bits in (7, 7, 7, 7, 3, 0, 0):
                if b.f(1):
                    b.f(bits)
    if base_q_idx and b.f(1):
        b.f(2)
        if not block_copy and b.f(1):
            b.f(3)
    return not any(indices) and not any(offsets)


def _skip_loop_filter(b: Bits, c: ColourConfig) -> None:
    if b.f(12) and not c.mono:
        b.f(12)
    b.f(3)
    if b.f(1) and b.f(1):
        for _ in range(10):
            b.optional(7)


def _film_grain(b: Bits, c: ColourConfig) -> FilmGrain | None:
    strengths: list[int] = []

    def points() -> Points:
        found = []
        for _ in range(b.f(4)):
            level = b.f(8)
            strengths.append(b.pos)
            found.append((level, b.f(8)))
        return tuple(found)

    seed_at = b.pos
    seed, luma = b.f(16), points()
    from_luma = not c.mono and bool(b.f(1))
    if c.mono or from_luma or (c.subsampled == (1, 1) and not luma):
        cb, cr = (), ()
    else:
        cb, cr = points(), points()
    shift, lag = b.f(2) + 8, b.f(2)
    rising = all(p < q for plane in (luma, cb, cr) for (p, _), (q, _) in itertools.pairwise(plane))
    if not rising:  # no table: the header was misread
        return None
    return FilmGrain(seed, luma, cb, cr, shift, lag, seed_at, tuple(strengths))
