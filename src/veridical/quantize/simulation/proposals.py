"""Which words of common randomness make which proposal, shared by all methods that select one.

Proposal ``k`` of sample ``i`` is made of words ``k w .. k w + w - 1`` of stream ``2^63 + 2 i`` of the
seed (``w`` words each); its coin is word ``k`` of stream ``2^63 + 2 i + 1``. Samples share no word,
so that they are independent, and each can be reproduced alone. Lower streams are left to others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.arrays import Whole, whole_number
from veridical.errors import InvalidSetting
from veridical.quantize.simulation.channel import Channel, open_uniforms
from veridical.random import random_rows

MOST_INDEX = (1 << 40) - 1
"""The largest index; beyond it the streams and the code of the index are not defined."""

_BUDGET = 1 << 15
"""Numbers worked on at a time: the intermediate arrays of a piece stay in the cache."""

_MOST_SAMPLES = 1 << 40
_STREAMS = 1 << 63


@dataclass(frozen=True)
class Selection:
    """Which proposals were selected, and what that took.

    Attributes:
        index: number of the proposal of each sample, from 0, shape ``(n,)``.
        proposals: how many were drawn for it, shape ``(n,)``.
    """

    index: Whole
    proposals: Whole


def pieces(rows: Whole, width: int) -> Iterator[Whole]:
    """Sample numbers in pieces whose arrays of ``width`` columns keep to the memory budget."""
    step = max(1, _BUDGET // max(width, 1))
    for first in range(0, rows.size, step):
        yield rows[first : first + step]


def sample_words(
    seed: int, samples: Whole, n: int, *, first: ArrayLike = 0, coin: bool = False
) -> NDArray[np.uint64]:
    """Words ``first .. first + n - 1`` of the proposals or the coins of samples, shape ``(m, n)``."""
    streams = (samples.astype(np.uint64) << np.uint64(1)) + np.uint64(_STREAMS + int(coin))
    return random_rows(seed, streams, n, first=first)


def proposals(channel: Channel, seed: int, samples: Whole, first: int, count: int) -> NDArray[Any]:
    """Proposals ``first .. first + count - 1`` of samples, shape ``(m, count, ...)``."""
    w = channel.words
    words = sample_words(seed, samples, count * w, first=first * w)
    return channel.propose(words.reshape(samples.size, count, w))


def coins(seed: int, samples: Whole, first: int, count: int) -> NDArray[np.float64]:
    """Uniform numbers in (0, 1) that belong to the proposals, shape ``(m, count)``."""
    return open_uniforms(sample_words(seed, samples, count, first=first, coin=True))


def checked_index(index: ArrayLike, columns: int | None, least: int, most: int) -> Whole:
    """Indices as int64 of shape ``(n,)`` or ``(n, columns)``.

    Raises:
        InvalidSetting: another shape, not whole numbers, or one outside ``least .. most``.
    """
    array = np.asarray(index)
    shaped = array.ndim == 1 if columns is None else array.shape[1:] == (columns,)
    if not shaped or not (np.issubdtype(array.dtype, np.integer) or array.size == 0):
        wanted = "(n,)" if columns is None else f"(n, {columns})"
        raise InvalidSetting(
            f"indices are whole numbers of shape {wanted}, not {array.dtype} {array.shape}"
        )
    if array.size and not (int(array.min()) >= least and int(array.max()) <= most):
        raise InvalidSetting(f"indices run from {least} to {most}; one is outside")
    return array.astype(np.int64)


def numbered(n: int, first: int) -> Whole:
    """Numbers of the samples of a batch that starts at sample ``first``.

    Raises:
        InvalidSetting: beyond the streams there are.
    """
    start = whole_number(first, "first", 0, _MOST_SAMPLES - n)
    return np.arange(start, start + n, dtype=np.int64)


def reproduce(channel: Channel, index: ArrayLike, seed: int, first: int) -> NDArray[Any]:
    """The proposals that indices name, from common randomness alone.

    Args:
        channel: its proposal law only.
        index: shape ``(n,)``, 0 to 2^40 - 1.
        seed: common randomness.
        first: number of the first sample.

    Raises:
        InvalidSetting: an index or setting outside its range.
    """
    k = checked_index(index, None, 0, MOST_INDEX)
    samples = numbered(k.size, first)
    w = channel.words
    parts = [
        channel.propose(sample_words(seed, samples[p], w, first=k[p] * w).reshape(p.size, 1, w))[
            :, 0
        ]
        for p in pieces(np.arange(k.size), 4 * w)
    ]
    if not parts:
        return channel.propose(np.zeros((0, 1, w), dtype=np.uint64))[:, 0]
    return np.concatenate(parts)


@dataclass(frozen=True)
class SelectingCoder(ABC):
    """A method whose index is the number of the proposal that it selects.

    Attributes:
        channel: what it simulates.
    """

    channel: Channel

    @abstractmethod
    def select(self, x: ArrayLike, seed: int, *, first: int = 0) -> Selection:
        """As :meth:`encode`, with the number of proposals drawn."""

    def encode(self, x: ArrayLike, seed: int, *, first: int = 0) -> Whole:
        """Indices from 0, shape ``(n,)``.

        Args:
            x: samples, one a row.
            seed: common randomness, 0 to 2^64 - 1.
            first: number of the first sample, for a batch coded in parts.

        Raises:
            InvalidSetting: bad samples, or a channel or a density ratio that the method cannot use.
            NotConverged: none is selected after 64 times ``most_proposals``, where the method has such.
        """
        return self.select(x, seed, first=first).index

    def reproduce(self, index: ArrayLike, seed: int, *, first: int = 0) -> NDArray[Any]:
        """The simulated samples ``X^``, from indices and seed alone.

        Raises:
            InvalidSetting: an index or setting outside its range.
        """
        return reproduce(self.channel, index, seed, first)
