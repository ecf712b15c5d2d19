"""Convolutions in fixed-point arithmetic whose results do not depend on the machine.

A number with ``b`` fraction bits is a whole number in units of ``2^-b``. Whole numbers stand in
float32 arrays here: products and sums of whole numbers are exact there while no partial sum can
leave ``+-2^24``, in whatever order a library adds, with or without fused multiply-add. That holds
because the sum of the *sizes* of all terms is bounded, which :meth:`IntegerConv.bound` computes
from the weights and :func:`check_bound` enforces when weights are loaded.

    accumulator = sum_k w_k a_k + b,      result = clamp(floor((accumulator + 2^(s-1)) / 2^s))

Scaling by a power of two is exact, so the shift is a product and a floor, and rounds half up. A
convolution is a sum of matrix products; a fast-convolution algorithm (Winograd, FFT) would round.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from veridical.errors import BadWeights

ACTIVATION_BITS = 5
LARGEST_ACTIVATION = 255
_LIMIT = 1 << 24
_EVERY = slice(None)

Whole32 = NDArray[np.float32]
"""Whole numbers in float32."""


def rescale(accumulator: Whole32, shift: int, low: int, high: int) -> Whole32:
    """``clamp(floor((accumulator + 2^(shift-1)) / 2^shift), low, high)``, exact."""
    x = accumulator + np.float32(2.0 ** (shift - 1))
    x *= np.float32(2.0**-shift)
    np.floor(x, out=x)
    return np.clip(x, low, high, out=x)


class IntegerConv:
    """A convolution of whole numbers; a call gives the accumulators.

    Args:
        weight: Whole, shape (out, in, k, k), k odd.
        bias: Whole, shape (out,).
        most: Largest size of an input number.
    """

    def __init__(self, weight: NDArray[np.integer], bias: NDArray[np.integer], most: int) -> None:
        self.numbers = (weight, bias)
        self.most = most
        self._taps = np.ascontiguousarray(weight.transpose(2, 3, 0, 1), dtype=np.float32)
        self._bias = bias.astype(np.float32)[:, None, None]

    def __call__(self, a: Whole32, outputs: slice = _EVERY) -> Whole32:
        """Accumulators, shape (out, height, width).

        Args:
            a: Inputs, whole numbers, shape (in, height, width).
            outputs: Which of them to compute.
        """
        taps, margin = self._taps[:, :, outputs], len(self._taps) // 2
        n_in, height, width = a.shape
        if not margin:
            out = (taps[0, 0] @ a.reshape(n_in, -1)).reshape(taps.shape[2], height, width)
            return np.add(out, self._bias[outputs], out=out)
        # Rows stand behind one another with their margins, so that a shifted picture is a slice;
        # what is computed in the margins is cut off.
        pad = ((0, 0), (margin, margin + 1), (margin, margin))
        flat, wide = np.pad(a, pad).reshape(n_in, -1), width + 2 * margin
        total = np.zeros((taps.shape[2], height * wide), dtype=np.float32)
        for row, column in np.ndindex(taps.shape[:2]):
            start = row * wide + column
            total += taps[row, column] @ flat[:, start : start + height * wide]
        return total.reshape(-1, height, wide)[:, :, :width] + self._bias[outputs]

    def bound(self) -> NDArray[np.float64]:
        """Largest size that a partial sum can have, shape (out,)."""
        weight, bias = (np.abs(x.astype(np.float64)) for x in self.numbers)
        return self.most * weight.sum((1, 2, 3)) + bias


class IntegerBias:
    """Whole numbers that are added to accumulators, shape (rows, width)."""

    def __init__(self, table: NDArray[np.integer]) -> None:
        self.numbers = (table,)
        self.table = table.astype(np.int64)

    def bound(self) -> NDArray[np.float64]:
        """Largest size in each column, shape (width,)."""
        return np.abs(self.table).max(0).astype(np.float64)


def check_bound(*layers: IntegerConv | IntegerBias, name: str) -> None:
    """Prove that accumulators which are added stay exact in float32.

    Raises:
        BadWeights: The sizes of all terms could add up to 2^24 or more, or a number is not whole.
    """
    for layer in layers:
        if not all(np.issubdtype(x.dtype, np.integer) for x in layer.numbers):
            raise BadWeights(f"{name} holds numbers that are not whole; train the weights again")
    # The rounding term of the shift is at most 2^15.
    most = float(np.max(sum((layer.bound() for layer in layers), start=np.float64(2**15))))
    if not most < _LIMIT:
        raise BadWeights(
            f"sums in {name} can reach {most:.4g}, and whole numbers are exact below 2^24; "
            "train the weights again"
        )
