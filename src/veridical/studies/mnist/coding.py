"""Bits that the indices of digits really take, against ``dim log2 L``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from veridical.bitstream import FrequencyTables, encode_symbols

__all__ = ["coded_bits"]

_MOST_JOINT = 4096


def coded_bits(train: NDArray[np.uint8], test: NDArray[np.uint8], levels: int) -> float:
    """Bits per test digit of the range coder with tables from the training digits.

    Two models, and the shorter message counts: one table of whole indices, where there are few; and
    each number of an index with a table for each value of the number before it. The tables belong
    to the code and are not counted; the 8 bytes at the head of the message are.

    Args:
        train: indices of training digits, ``(n, dim)``.
        test: indices of test digits, ``(m, dim)``.
        levels: ``L``.
    """
    dim = test.shape[1]
    lengths = []
    if levels**dim <= _MOST_JOINT:
        unit = levels ** np.arange(dim)
        a, b = (part.astype(np.int64) @ unit for part in (train, test))
        lengths.append(_length(a, b, np.zeros_like(a), np.zeros_like(b), levels**dim, 1))
    (a, ca), (b, cb) = (_chain(part, levels) for part in (train, test))
    lengths.append(_length(a, b, ca, cb, levels, dim * levels))
    return 8 * min(lengths) / len(test)


def _chain(index: NDArray[np.uint8], levels: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Symbols of all numbers, and as context the place of the number and the value before it."""
    wide = index.astype(np.int64)
    before = np.concatenate([np.zeros((len(wide), 1), dtype=np.int64), wide[:, :-1]], axis=1)
    contexts = before + levels * np.arange(wide.shape[1])
    return wide.ravel(), contexts.ravel()


def _length(
    train: NDArray[np.int64], test: NDArray[np.int64],
    train_contexts: NDArray[np.int64], contexts: NDArray[np.int64], symbols: int, count: int,
) -> int:  # fmt: skip
    counts = np.full((count, symbols), 0.5)
    np.add.at(counts, (train_contexts, train), 1.0)
    return len(encode_symbols(test, contexts, FrequencyTables.from_law(counts)))
