"""Entropy-coded trellis codes for streams of a Gaussian source, with common randomness ([T] IV-D).

>>> codec = trellis_codec(64, rate_bits=1.0, common_bits=0.5, rng=rng)
>>> index = codec.encode(x, seed=7)                       # x of any shape: one stream, in its order
>>> x_hat = codec.decode(index, rng, perception=0.1, seed=7)

The encoder searches the path of least ``(x/step - p)^2 + lambda bits(p)`` (:mod:`veridical.quantize.trellis`),
the coder codes it given what the trellis forces (:mod:`veridical.bitstream.trellis`), the estimate is
``E[X | p]``. All amounts are per sample, in squared units of the source.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.arrays import Array, Whole, check_rng
from veridical.bitstream.trellis import TrellisCoder, as_rows
from veridical.block.fit import NormalCodec, checked_law, priced
from veridical.block.trellis_parts import fitted_generator, scaled_to_rate
from veridical.codec import PartsCodec
from veridical.errors import InvalidSetting
from veridical.estimate.lattice import OddMap, fitted_means
from veridical.generate.trellis import TrellisGenerator
from veridical.interpolate import Calibration
from veridical.quantize.trellis import Shifts, Trellis

__all__ = ["TrellisCodec", "TrellisEncoder", "TrellisEstimator", "trellis_codec"]


_LEAST_RATE, _MOST_RATE = 0.1, 8.0
_CELLS = 1 << 26


@dataclass(frozen=True)
class TrellisEncoder:
    """Viterbi's search over the numbers of the code.

    Attributes:
        coder: with trellis, shifts and code lengths.
        step: width of the union codebook, units of the source.
        lagrangian: squared steps per bit.
    """

    coder: TrellisCoder
    step: float
    lagrangian: float

    def encode(self, x: ArrayLike, seed: int) -> Whole:
        """Whole numbers of samples of any shape, in that shape.

        Raises:
            InvalidSetting: not finite numbers.
        """
        values = np.asarray(x)
        if values.dtype.kind not in "biuf" or not np.all(np.isfinite(values)):
            raise InvalidSetting(
                "samples are finite real numbers; remove NaN and infinite ones first"
            )
        flat = values.astype(np.float64).ravel()
        steps = self.coder.shifts.steps(seed, flat.size)
        if flat.size == 0:
            return np.zeros(values.shape, dtype=np.int64)
        most = 2.0 * self.coder.reach + 4
        target = np.clip(flat / self.step, -most, most)
        rows = [as_rows(v) for v in (target, steps, np.arange(flat.size))]
        # So many rows at a time that the memory of the paths stays within 64 MiB.
        some = max(1, _CELLS // (rows[0].shape[0] * self.coder.trellis.states))
        parts = [
            self._searched(*(v[:, first : first + some] for v in rows))
            for first in range(0, rows[0].shape[1], some)
        ]
        return np.concatenate(parts, axis=1).T.ravel()[: flat.size].reshape(values.shape)

    def _searched(self, target: Array, steps: Whole, where: Whole) -> Whole:
        """Numbers of some rows, shape ``(n, rows)``."""
        costs, best = self.candidates(target, steps, where)
        subset = self.coder.trellis.cheapest(costs)
        return np.take_along_axis(best, subset[:, None], axis=1)[:, 0]

    def candidates(self, target: Array, steps: Whole, where: Whole) -> tuple[NDArray, Whole]:
        """The cheapest number of each subset and its cost, shapes ``(n, 4, rows)``."""
        coder = self.coder
        y = target + steps / coder.shifts.fractions
        groups = coder.groups(where)
        costs = np.empty((len(y), 4, y.shape[1]), dtype=np.float32)
        best = np.empty(costs.shape, dtype=np.int64)
        for odd in range(2):
            phase, turn = coder.phase(odd, steps)
            context = coder.contexts(phase, groups)
            for subset in (odd, odd + 2):
                low = subset + 4 * np.floor((y - subset) / 4).astype(np.int64)
                for shift in (0, 4):
                    k = ((low + shift) >> 1) - turn + coder.reach
                    # Out of reach, the last number of the same subset stands for all.
                    most = 2 * coder.reach - 2
                    k = np.where(k < 0, k & 1, np.where(k < most + 2, k, most + (k & 1)))
                    number = coder.numbers(k, odd, turn)
                    cost = np.square(y - number) + self.lagrangian * coder.bits[context, k]
                    if shift == 0:
                        costs[:, subset], best[:, subset] = cost, number
                    else:
                        better = cost < costs[:, subset]
                        costs[:, subset] = np.where(better, cost, costs[:, subset])
                        best[:, subset] = np.where(better, number, best[:, subset])
        return costs, best

    def points(self, index: ArrayLike, seed: int) -> Array:
        """``p`` of numbers, units of the source, of their shape.

        Raises:
            InvalidSetting: not whole numbers.
        """
        numbers = np.asarray(index)
        if numbers.dtype.kind not in "iu" and numbers.size:
            raise InvalidSetting(f"an index holds whole numbers, not {numbers.dtype}")
        shift = self.coder.shifts.steps(seed, numbers.size) / self.coder.shifts.fractions
        return self.step * (numbers - shift.reshape(numbers.shape))


@dataclass(frozen=True)
class TrellisEstimator:
    """``X~ = E[X | p]``, sample by sample.

    Attributes:
        encoder: turns numbers into points.
        means: of points.
    """

    encoder: TrellisEncoder
    means: OddMap

    def estimate(self, index: ArrayLike, seed: int) -> Array:
        """Estimates of the shape of the index.

        Raises:
            InvalidSetting: not whole numbers.
        """
        return self.means(self.encoder.points(index, seed))


@dataclass(frozen=True)
class TrellisCodec(NormalCodec, PartsCodec[Array, Whole, np.random.Generator]):
    """A trellis code for streams of independent normal samples.

    Attributes:
        calibration: ``mmse`` and ``transport_cost`` per sample, measured.
        rate_bits: code length per sample, measured.
        variance: ``s2`` of the source.
    """

    streams: ClassVar[bool] = True
    encoder: TrellisEncoder
    estimator: TrellisEstimator
    generator: TrellisGenerator
    calibration: Calibration
    rate_bits: float
    variance: float

    @property
    def common_bits(self) -> float:
        """``Rc``, bits per sample."""
        return self.encoder.coder.shifts.common_bits

    def to_bytes(self, index: ArrayLike, *, seed: int = 0) -> bytes:
        """A stream of numbers as a message with a checksum.

        Raises:
            InvalidSetting: numbers that are no path of the trellis.
        """
        return self.encoder.coder.to_bytes(np.asarray(index, dtype=np.int64).ravel(), seed)

    def from_bytes(self, data: bytes, count: int, *, seed: int = 0) -> Whole:
        """The ``count`` numbers of a message, shape ``(count,)``.

        Raises:
            DamagedFile: truncated, altered, or of another number of samples.
        """
        return self.encoder.coder.from_bytes(data, count, seed)


def trellis_codec(
    states: int,
    *,
    rate_bits: float,
    common_bits: float = 0.0,
    variance: float = 1.0,
    samples: int = 120_000,
    source: Array | None = None,
    rng: np.random.Generator,
) -> TrellisCodec:
    """A trellis code at a rate and an amount of common randomness.

    Args:
        states: of the trellis, a power of 2 from 4 to 2048. More is better and slower.
        rate_bits: ``R`` a sample, 0.1 to 8, of the entropy coder.
        common_bits: ``Rc`` a sample: ``k/m`` with ``m`` to 16 up to 1, ``1 + log2 q``, or ``math.inf``.
        variance: ``s2`` of the source.
        samples: normal samples for the fits, and as many for the price list.
        source: numbers to use instead, three quarters for the fits, shape ``(n,)``; their law is taken for even, and
            their mean square is ``variance``.
        rng: source of the samples.

    Raises:
        InvalidSetting: a setting outside its domain.
    """
    rate_bits, s = checked_law(rate_bits, (_LEAST_RATE, _MOST_RATE), variance)
    check_rng(rng)
    trellis, shifts = Trellis(states), Shifts.of_bits(common_bits)
    x, held = np.split(source, [3 * len(source) // 4]) if source is not None else (
        rng.standard_normal(max(samples, 4000)), None
    )  # fmt: skip
    x = x * (s / math.sqrt(float(np.mean(np.square(x)))))
    seed = int(rng.integers(1 << 62))
    encoder = scaled_to_rate(TrellisEncoder, trellis, shifts, x, seed, rate_bits)
    p = encoder.points(encoder.encode(x, seed), seed)
    means = fitted_means(x[:, None], p[:, None], by_coordinate=True)
    generator = fitted_generator(encoder, means, x, p, s, rng, normal=source is None)
    draft = TrellisCodec(
        encoder, TrellisEstimator(encoder, means), generator, Calibration(s * s, s * s),
        rate_bits, float(variance),
    )  # fmt: skip
    fresh = s * rng.standard_normal(len(x)) if held is None else held
    return priced(draft, encoder.coder, fresh, rng)
