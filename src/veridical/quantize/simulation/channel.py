"""What a channel must offer to be simulated, and a channel given by its functions.

A channel is the law ``P(. | x)`` of a reconstruction ``X^`` given a source sample ``x``. To simulate
it, a proposal law ``Q`` that does not depend on ``x`` is drawn from common randomness, and the
density ratio ``r(y) = dP(. | x)/dQ (y)`` decides which of its draws is taken. Logarithms are natural.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.arrays import Array, real_numbers
from veridical.errors import InvalidSetting

Words = NDArray[np.uint64]


class Channel(Protocol):
    """A channel with a proposal law; ``n`` samples, ``b`` proposals for each.

    ``words`` is how many 64-bit words one proposal takes. ``information_bits`` is ``I(X; X^)`` under
    the source that the channel is meant for, ``divergence_bits`` is ``E D(P(.|X) || Q)``, which is the
    same plus ``D(P_X^ || Q)``; either is NaN where it is not known.
    """

    @property
    def words(self) -> int:
        """Words of common randomness that make one proposal."""

    @property
    def information_bits(self) -> float:
        """``I(X; X^)``, bits per sample."""

    @property
    def divergence_bits(self) -> float:
        """``E D(P(. | X) || Q)``, bits per sample."""

    def check(self, x: ArrayLike) -> NDArray[Any]:
        """The samples as an array of ``n`` rows.

        Raises:
            InvalidSetting: the samples do not fit the channel.
        """

    def propose(self, words: Words) -> NDArray[Any]:
        """Draws of ``Q`` from words ``(n, b, words)``, shape ``(n, b, ...)``."""

    def log_ratio(self, x: NDArray[Any], y: NDArray[Any]) -> Array:
        """``log r(y)``, shape ``(n, b)``; minus infinity where the ratio is 0."""

    def log_bound(self, x: NDArray[Any]) -> Array:
        """``sup_y log r(y)``, shape ``(n,)``; infinite where there is no bound."""

    def excess(self, x: NDArray[Any], level: Array) -> Array:
        """``E_Q (r(Y) - level)+``, shape ``(n,)``.

        Raises:
            InvalidSetting: the channel does not know it.
        """


class Simulator(Protocol):
    """What every method offers: an index that, with the seed alone, reproduces the simulated sample."""

    def encode(self, x: ArrayLike, seed: int) -> NDArray[np.int64]:
        """Indices of ``n`` samples, one a row."""

    def reproduce(self, index: ArrayLike, seed: int) -> NDArray[Any]:
        """The simulated samples ``X^``."""


@dataclass(frozen=True)
class RatioChannel:
    """A channel given by functions: a proposal sampler, the log density ratio, and its bound.

    Attributes:
        words: uniform numbers that one proposal takes, 1 or more.
        sampler: from uniform numbers in (0, 1), shape ``(n, b, words)``, to proposals ``(n, b, k)``.
        log_density_ratio: from ``x`` of shape ``(n, d)`` and proposals to ``log dP(.|x)/dQ``,
            natural logarithm, shape ``(n, b)``.
        log_ratio_bound: from ``x`` to an upper bound of it, shape ``(n,)``. Without it only ordered
            random coding serves.
        ratio_excess: from ``x`` and levels ``(n,)`` to ``E_Q (r - level)+``, shape ``(n,)``; for greedy
            rejection only.
        information_bits: ``I(X; X^)``, for the code of the index; NaN if unknown.
        divergence_bits: ``E D(P(.|X) || Q)``, likewise.
    """

    words: int
    sampler: Callable[[Array], Array]
    log_density_ratio: Callable[[Array, Array], Array]
    log_ratio_bound: Callable[[Array], Array] | None = None
    ratio_excess: Callable[[Array, Array], Array] | None = None
    information_bits: float = math.nan
    divergence_bits: float = math.nan

    def __post_init__(self) -> None:
        if isinstance(self.words, bool) or not isinstance(self.words, int) or self.words < 1:
            raise InvalidSetting(f"a proposal takes 1 word or more, got {self.words!r}")

    def check(self, x: ArrayLike) -> Array:
        """Finite numbers, shape ``(n, d)``."""
        return rows_of_numbers(x, None)

    def propose(self, words: Words) -> Array:
        """Draws of the sampler."""
        return self.sampler(open_uniforms(words))

    def log_ratio(self, x: Array, y: Array) -> Array:
        """The given log density ratio."""
        return self.log_density_ratio(x, y)

    def log_bound(self, x: Array) -> Array:
        """The given bound; infinite if there is none."""
        if self.log_ratio_bound is None:
            return np.full(len(x), np.inf)
        return self.log_ratio_bound(x)

    def excess(self, x: Array, level: Array) -> Array:
        """The given ``E_Q (r - level)+``."""
        if self.ratio_excess is None:
            raise InvalidSetting(
                "greedy rejection needs E_Q (r - level)+ of the channel; give ratio_excess, or use "
                "the Poisson functional representation"
            )
        return self.ratio_excess(x, level)


def open_uniforms(words: Words) -> Array:
    """``(floor(word / 2^11) + 1/2) 2^-53`` in double precision, inside (0, 1), never 0 or 1.

    The largest would be rounded to 1 and is replaced by the number below it.
    """
    uniforms = (words >> np.uint64(11)).astype(np.float64)
    uniforms += 0.5
    uniforms *= 2.0**-53
    return np.minimum(uniforms, 1.0 - 2.0**-53, out=uniforms)


def rows_of_numbers(x: ArrayLike, columns: int | None) -> Array:
    """Samples as finite numbers, shape ``(n, columns)``; ``n = 0`` is allowed.

    Raises:
        InvalidSetting: another shape, or a value that is not finite.
    """
    rows = real_numbers(x, "samples")
    if rows.ndim != 2 or rows.shape[1] == 0 or (columns is not None and rows.shape[1] != columns):
        wanted = "d" if columns is None else columns
        raise InvalidSetting(
            f"samples form a table (n, {wanted}), one a row; got shape {rows.shape}"
        )
    if not np.all(np.isfinite(rows)):
        raise InvalidSetting("the samples hold NaN or infinite values; remove them first")
    return rows


def certified_bounds(channel: Channel, x: NDArray[Any], most: int) -> Array:
    """``sup log r`` of each sample, checked against the number of proposals that may be drawn.

    The expected number of proposals is about ``sup r``, so that a sample beyond the limit is refused
    by itself alone, before any randomness is looked at: the law of what is coded stays exact.

    Raises:
        InvalidSetting: the ratio has no bound, or the bound is beyond ``most``.
    """
    bounds = np.asarray(channel.log_bound(x), dtype=np.float64)
    if bounds.shape != (len(x),) or np.any(np.isnan(bounds)) or np.any(bounds == np.inf):
        raise InvalidSetting(
            "the density ratio has no finite bound, so that no number of proposals is certainly "
            "enough; choose a wider proposal law or use ordered random coding"
        )
    if np.any(bounds > math.log(most)):
        worst = int(np.argmax(bounds))
        raise InvalidSetting(
            f"sample {worst} needs about e^{bounds[worst]:.1f} proposals and the limit is {most}; "
            "raise most_proposals, lower the rate, or cut the sample into blocks of fewer coordinates"
        )
    return bounds
