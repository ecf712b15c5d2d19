"""The 98 encoder-decoder pairs of [BM] section 4.

The table's numbers are ``lambda`` in ``|x - x^|^2 + lambda W1``: only with both terms in the units of
pictures do they lie where they matter. For ``K = 1`` the best pair has the perception
``W = d^(1/2) - lambda / 2``, so that ``lambda = 2 d^(1/2)``, 12 at 2 bits and 8 at 16, buys realism.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from veridical.errors import InvalidSetting

__all__ = ["MAX_DIM", "TABLE", "Code", "Member", "PairRow", "rows_of"]

MAX_DIM = 4
"""The largest ``dim`` of [BM]'s table."""

_TWELVE = (0, 2, 2.5, 3, 3.5, 4, 4.3, 4.6, 5, 6, 8, 10)
_EIGHT = (0, 2, 2.5, 3, 4, 5, 6, 10)

# [BM], the table of its appendix: (dim, L) and the weights of the perceptual term.
TABLE: dict[tuple[int, int], tuple[float, ...]] = {
    (2, 2): (0, 2, 2.5, 3, 3.5, 4, 4.3, 4.6, 5, 5.5, 6, 8, 10, 15, 20),
    (3, 2): (0, 2, 2.5, 3, 3.5, 4, 4.3, 4.6, 5, 6, 8, 9, 10),
    (4, 2): (0, 2, 2.5, 3, 3.5, 4, 4.3, 4.6, 4.8, 4.9, 5, 6, 8, 10),
    (4, 3): _TWELVE,
    (4, 4): _TWELVE,
    (4, 6): (0, 2, 2.5, 3, 3.5, 4, 5, 10),
    (4, 8): _EIGHT,
    (4, 11): _EIGHT,
    (4, 16): _EIGHT,
}


@dataclass(frozen=True)
class Member:
    """One pair of an ensemble.

    Attributes:
        dim: numbers in an index, 1 to 4.
        levels: ``L``, values of each, 2 or more.
        dithered: the noise is known to the encoder and subtracted.
        seed: start of its weights.
    """

    dim: int
    levels: int
    dithered: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not (1 <= self.dim <= MAX_DIM and self.levels >= 2):
            raise InvalidSetting(f"a pair has 1 to {MAX_DIM} numbers of 2 or more levels: {self}")


@dataclass(frozen=True, kw_only=True)
class PairRow:
    """One encoder-decoder pair.

    Attributes:
        dim: numbers in an index.
        levels: ``L``, values of each.
        weight: ``lambda`` on ``W1``, 0 for least distortion alone.
        distortion: ``squared``, or ``deep`` for squared error plus deep features.
        copy: further networks of the same row, for common randomness.
        dithered: subtractive dither in place of private noise.
    """

    dim: int
    levels: int
    weight: float = 0.0
    distortion: str = "squared"
    copy: int = 0
    dithered: bool = False

    def __post_init__(self) -> None:
        self.member  # noqa: B018 - checks dim and levels
        if self.distortion not in {"squared", "deep"} or self.copy < 0:
            raise InvalidSetting(f"distortion is squared or deep, copy 0 or more: {self}")
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise InvalidSetting(f"lambda must be finite and not negative: {self}")

    @property
    def name(self) -> str:
        """Name of its files, such as ``squared-2-2-4.6``."""
        extra = (f"-copy{self.copy}" if self.copy else "") + ("-dither" if self.dithered else "")
        return f"{self.distortion}-{self.dim}-{self.levels}-{self.weight:g}{extra}"

    @property
    def rate_bits(self) -> float:
        """``dim log2 L``, which [BM] takes for the rate of a digit."""
        return self.dim * math.log2(self.levels)

    @property
    def member(self) -> Member:
        """Its network; rows that differ in lambda alone begin alike."""
        seed = 1000 * self.dim + 10 * self.levels + 100_000 * self.copy + int(self.dithered)
        return Member(self.dim, self.levels, self.dithered, seed)


@dataclass(frozen=True, kw_only=True)
class Code:
    """One code of the constructive route, made of networks at lambda = 0.

    Attributes:
        dim, levels: of its index.
        seeds: ``K``, networks among which the seed chooses.
        dithered: subtractive dither.
    """

    dim: int
    levels: int
    seeds: int = 1
    dithered: bool = False

    @property
    def name(self) -> str:
        """Name of its files."""
        return f"code-{self.dim}-{self.levels}-" + ("dither" if self.dithered else str(self.seeds))

    @property
    def rows(self) -> tuple[PairRow, ...]:
        """Its networks."""
        return tuple(
            PairRow(dim=self.dim, levels=self.levels, copy=c, dithered=self.dithered)
            for c in range(self.seeds)
        )


def rows_of(
    table: dict[tuple[int, int], tuple[float, ...]], distortion: str = "squared"
) -> tuple[PairRow, ...]:
    """One row for each lambda of a table."""
    return tuple(
        PairRow(dim=d, levels=L, weight=float(w), distortion=distortion)
        for (d, L), weights in table.items()
        for w in weights
    )
