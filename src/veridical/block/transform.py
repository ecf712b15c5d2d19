"""Trellis and lattice codes on a user's own vectors: a fitted front before codes of independent numbers ([T] IV-E).

    x -> z = B^T (x - mean) / deviations -> one code for each class of components of like rate -> bytes

``B`` is the Karhunen-Loeve basis, the rates follow reverse water-filling, and components below the water are not
sent: their estimate is the mean, and a sample draws them by their quantiles. All amounts are per vector, summed
over components, in squared units of the source, as in :func:`veridical.design`.

``X-`` has the mean, the covariance and, pooled over each class, the even part of the laws of the components.
For a Gaussian source that is its law (as near as the code of the class comes to it); for others, dependence
between uncorrelated components and skewness are lost, and prices and ``P`` refer to this law.
"""

from __future__ import annotations

import math
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array, Whole
from veridical.block.fit import misfit
from veridical.block.lattice import LatticeCodec
from veridical.block.trellis import TrellisCodec
from veridical.codec import PartsCodec
from veridical.errors import DamagedFile, InvalidSetting
from veridical.interpolate import Calibration
from veridical.kept import Kept

__all__ = [
    "Front",
    "TransformCodec",
    "TransformEncoder",
    "TransformEstimator",
    "TransformGenerator",
]


_STRIDE = 0x9E3779B97F4A7C15
"""Between the seeds of two classes: the golden ratio in 64 bits."""


@dataclass(frozen=True)
class Front:
    """Mean, basis and deviations.

    Attributes:
        mean: shape ``(d,)``.
        basis: orthonormal columns, those of coded components first, shape ``(d, k)``; what they do not
            span is constant.
        deviations: of the components, shape ``(k,)``.
    """

    mean: Array = field(repr=False)
    basis: Array = field(repr=False)
    deviations: Array = field(repr=False)

    def components(self, x: Array) -> Array:
        """``z`` of unit variance, shape ``(n, k)``, of vectors ``(n, d)``."""
        return (x - self.mean) @ self.basis / self.deviations

    def vectors(self, z: Array) -> Array:
        """Inverse of :meth:`components`."""
        return self.mean + (z * self.deviations) @ self.basis.T


@dataclass(frozen=True)
class TransformEncoder:
    """Front and codes.

    Attributes:
        front: of the data.
        sizes: number of components of each class.
        codes: one for each class.
        spread: standard deviation of the mean of ``z^2`` over a class in one vector, last that of the
            components that are not sent, shape ``(classes + 1,)``.
        fitted: number of vectors that the deviations are from.
    """

    front: Front
    sizes: tuple[int, ...]
    codes: tuple[TrellisCodec | LatticeCodec, ...] = field(repr=False)
    spread: Array = field(repr=False)
    fitted: int

    @property
    def coded(self) -> int:
        """Number of components that are sent."""
        return sum(self.sizes)

    @property
    def block(self) -> int:
        """Numbers that a code takes at a time."""
        code = self.codes[0]
        return 1 if isinstance(code, TrellisCodec) else code.chain.dimension

    @property
    def extra_rows(self) -> int:
        """Rows of an index beyond the vectors, for what fills up the last block of each class."""
        return -(-(self.block - 1) // min(self.sizes))

    def encode(self, x: ArrayLike, seed: int) -> Whole:
        """Whole numbers of vectors ``(n, d)``, shape ``(n + extra_rows, coded)``.

        Raises:
            InvalidSetting: no table of ``d`` finite real numbers a row.

        Warns:
            UserWarning: the vectors do not fit the codec, with figures.
        """
        values, d = np.asarray(x), len(self.front.mean)
        if values.dtype.kind not in "biuf" or values.ndim != 2 or values.shape[1] != d:
            raise InvalidSetting(
                f"this codec takes tables of {d} real numbers a row, not {values.dtype} of shape "
                f"{values.shape}"
            )
        if not np.all(np.isfinite(values)):
            raise InvalidSetting("vectors are finite numbers; remove NaN and infinite ones first")
        z = self.front.components(values.astype(np.float64))
        self._check_fit(z)
        index = np.zeros((len(z) + self.extra_rows, self.coded), dtype=np.int64)
        for code, columns, own in self._classes(seed):
            stream = z[:, columns].ravel()
            blocks = np.pad(stream, (0, -stream.size % self.block)).reshape(-1, self.block)
            self._put(index, columns, np.ravel(code.encoder.encode(blocks, own)))
        return index

    def estimated(self, index: Whole, seed: int) -> Array:
        """``E[z | index]`` of the coded components, shape ``(n, coded)``."""
        out = np.empty((len(index) - self.extra_rows, self.coded))
        for code, columns, own in self._classes(seed):
            blocks = self.stream(index, columns)
            mean = code.estimator.estimate(blocks, own)
            out[:, columns] = np.ravel(mean)[: out[:, columns].size].reshape(out[:, columns].shape)
        return out

    def generated(self, z: Array, rng: np.random.Generator) -> Array:
        """Samples of the coded components near estimates, shape ``(n, coded)``."""
        out = np.empty_like(z)
        for code, columns, _ in self._classes(0):
            stream = z[:, columns].ravel()
            blocks = np.pad(stream, (0, -stream.size % self.block)).reshape(-1, self.block)
            drawn = np.ravel(code.generator.generate(blocks, rng, np.zeros(0, dtype=np.int64)))
            out[:, columns] = drawn[: stream.size].reshape(out[:, columns].shape)
        return out

    def stream(self, index: Whole, columns: slice) -> Whole:
        """Numbers of a class in blocks, shape ``(blocks, block)``."""
        n = len(index) - self.extra_rows
        plain = index[:n, columns].ravel()
        rest = index[n:, columns].ravel()[: -plain.size % self.block]
        return np.concatenate([plain, rest]).reshape(-1, self.block)

    def to_bytes(self, index: Whole, seed: int) -> bytes:
        """The messages of the classes, each after its length (4 bytes)."""
        parts = []
        for code, columns, own in self._classes(seed):
            data = code.to_bytes(self.stream(index, columns), seed=own)
            parts += [struct.pack("<I", len(data)), data]
        return b"".join(parts)

    def from_bytes(self, data: bytes, rows: int, seed: int) -> Whole:
        """The index of ``rows`` rows.

        Raises:
            DamagedFile: truncated, altered, or of another number of rows.
        """
        n = rows - self.extra_rows
        if n < 0:
            raise DamagedFile(f"an index of this codec has {self.extra_rows} rows or more")
        index, at = np.zeros((rows, self.coded), dtype=np.int64), 0
        for code, columns, own in self._classes(seed):
            if at + 4 > len(data):
                raise DamagedFile("the message ends before its last class; was it cut off?")
            (length,) = struct.unpack_from("<I", data, at)
            count = n * (columns.stop - columns.start)
            whole = count if self.block == 1 else -(-count // self.block)
            numbers = code.from_bytes(data[at + 4 : at + 4 + length], whole, seed=own)
            self._put(index, columns, np.ravel(numbers))
            at += 4 + length
        if at != len(data):
            raise DamagedFile("the message goes on after its last class; fetch it again")
        return index

    def _put(self, index: Whole, columns: slice, numbers: Whole) -> None:
        """Inverse of :meth:`stream`, in place."""
        n, width = len(index) - self.extra_rows, columns.stop - columns.start
        index[:n, columns] = numbers[: n * width].reshape(n, width)
        rest = np.zeros(self.extra_rows * width, dtype=np.int64)
        rest[: numbers.size - n * width] = numbers[n * width :]
        index[n:, columns] = rest.reshape(self.extra_rows, width)

    def _classes(self, seed: int) -> Iterator[tuple[TrellisCodec | LatticeCodec, slice, int]]:
        """Code, components and seed of each class."""
        first = 0
        for number, (size, code) in enumerate(zip(self.sizes, self.codes, strict=True)):
            yield code, slice(first, first + size), (seed + number * _STRIDE) % (1 << 64)
            first += size

    def _check_fit(self, z: Array) -> None:
        ends = [*np.cumsum(self.sizes), z.shape[1]]
        starts = [0, *ends[:-1]]
        for first, end, spread in zip(starts, ends, self.spread, strict=True):
            if end == first or not len(z):
                continue
            ratio = float(np.mean(np.square(z[:, first:end])))
            noise = float(spread) * math.sqrt(1 / len(z) + 1 / self.fitted)
            if misfit(ratio, noise):
                warnings.warn(
                    f"these vectors do not fit the codec: principal components {first + 1} to {end} have {ratio:.3g} "
                    f"times the mean square of the design (1 +- {noise:.2g} is to be expected), so that its rate and "
                    "prices do not hold; design a codec from such vectors",
                    stacklevel=4,
                )
                return


@dataclass(frozen=True)
class TransformEstimator:
    """``X~``: estimates of the components that are sent, the mean of the others.

    Attributes:
        encoder: with front and codes.
    """

    encoder: TransformEncoder

    def estimate(self, index: ArrayLike, seed: int) -> Array:
        """Shape ``(n, d)``.

        Raises:
            InvalidSetting: no index of this codec.
        """
        sent = self.encoder.estimated(checked_index(self.encoder, index), seed)
        unsent = self.encoder.front.basis.shape[1] - self.encoder.coded
        return self.encoder.front.vectors(np.pad(sent, ((0, 0), (0, unsent))))


@dataclass(frozen=True)
class TransformGenerator:
    """From ``X~`` to ``X-``: samples of the components that are sent by their codes, of the others by quantiles.

    Attributes:
        encoder: with front and codes.
        quantiles: of the components that are not sent, pooled, levels evenly from 0 to 1.
    """

    encoder: TransformEncoder
    quantiles: Array = field(repr=False)

    def generate(self, x_mmse: Array, rng: np.random.Generator, context: object = None) -> Array:
        """Shape ``(n, d)``."""
        del context
        z = self.encoder.front.components(x_mmse)
        k = self.encoder.coded
        z[:, :k] = self.encoder.generated(z[:, :k], rng)
        level = np.linspace(0.0, 1.0, self.quantiles.size)
        z[:, k:] = np.interp(rng.random(z[:, k:].shape), level, self.quantiles)
        return self.encoder.front.vectors(z)


@dataclass(frozen=True)
class TransformCodec(Kept, PartsCodec[Array, Whole, np.random.Generator]):
    """A codec of vectors; :func:`veridical.design` makes it with ``method="trellis"`` or ``"lattice"``.

    Attributes:
        calibration: ``mmse`` and ``transport_cost`` per vector, measured on vectors of their own.
        rate_bits: code length per vector, likewise.
    """

    encoder: TransformEncoder
    estimator: TransformEstimator
    generator: TransformGenerator
    calibration: Calibration
    rate_bits: float

    @property
    def common_bits(self) -> float:
        """``Rc``, bits per vector."""
        parts = zip(self.encoder.sizes, self.encoder.codes, strict=True)
        return math.fsum(size * code.common_bits for size, code in parts)

    def to_bytes(self, index: ArrayLike, *, seed: int = 0) -> bytes:
        """An index as a message with checksums.

        Raises:
            InvalidSetting: no index of this codec.
        """
        return self.encoder.to_bytes(checked_index(self.encoder, index), seed)

    def from_bytes(self, data: bytes, count: int, *, seed: int = 0) -> Whole:
        """The index of a message, ``count`` rows (vectors and ``encoder.extra_rows``).

        Raises:
            DamagedFile: truncated, altered, or of another number of rows.
        """
        return self.encoder.from_bytes(data, count, seed)


def checked_index(encoder: TransformEncoder, index: ArrayLike) -> Whole:
    """An index as whole numbers.

    Raises:
        InvalidSetting: another shape or other numbers.
    """
    z = np.asarray(index)
    fits = z.ndim == 2 and z.shape[1] == encoder.coded and len(z) >= encoder.extra_rows
    if not fits or z.dtype.kind not in "iu":
        raise InvalidSetting(
            f"an index of this codec is a table of {encoder.coded} whole numbers a row, not "
            f"{z.dtype} of shape {z.shape}"
        )
    return z.astype(np.int64)
