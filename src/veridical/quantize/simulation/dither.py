"""Subtractive dither: additive noise simulated by rounding, one index a coordinate, without a search.

    K = round(g x / w - U),    X^ = w (K + U) + b,    U uniform on [0, 1) from the seed

makes ``X^ - g x`` uniform on an interval of width ``w`` centred on ``b``, independent of ``x`` (Schuchman
1964; Ziv 1985), and ``H(K | U) = I(X; X^)`` exactly: no logarithmic term. Any noise whose density falls
on both sides of its peak is a mixture of uniform laws; width and centre are then drawn from the seed as
well (*layered* quantization: Hegazy and Li, *Randomized quantization with exact error distribution*,
ITW 2022; Wilson 2000). The rate becomes ``I(X; X^ | layer)``, which exceeds ``I``, for Gaussian noise by up
to 0.52 bits a number with direct layers, in return for an encoder that only rounds.

A normal number ``N`` and a uniform height ``H`` under its density, in units of the noise:
*direct* layers are ``(-A, A)`` with ``A = sqrt(N^2 - 2 log H)``, whose square is chi-squared of three
degrees; *shifted* ones turn the left half of the density upside down, so that widths stay above
``2 sqrt(2 log 2)`` and the index has a bounded range for bounded ``x``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array, Whole, whole_number
from veridical.errors import InvalidSetting
from veridical.quantize.circle import CircleQuantizer
from veridical.quantize.simulation.channel import open_uniforms, rows_of_numbers
from veridical.quantize.simulation.gaussian import GaussianChannel
from veridical.quantize.simulation.proposals import checked_index, numbered, sample_words

_MOST_INDEX = 1 << 52
_ROWS = 1 << 13


class _Layers(ABC):
    """Encoder and decoder of a mixture of uniform laws."""

    @property
    @abstractmethod
    def dimension(self) -> int:
        """Coordinates of a sample."""

    @property
    @abstractmethod
    def gain(self) -> float:
        """By which the sample is scaled before noise is added."""

    @abstractmethod
    def layers(self, seed: int, n: int, *, first: int = 0) -> tuple[Array, Array, Array]:
        """Widths, centres and dithers of samples ``first .. first + n - 1``, each ``(n, d)``."""

    def encode(self, x: ArrayLike, seed: int, *, first: int = 0) -> Whole:
        """Indices of either sign, shape ``(n, d)``.

        Raises:
            InvalidSetting: bad samples, or one beyond 2^52 steps.
        """
        rows = rows_of_numbers(x, self.dimension)
        index = np.empty(rows.shape, dtype=np.int64)
        step = max(1, _ROWS // self.dimension)
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            scaled = rows[part] * self.gain
            width, _, dither = self.layers(seed, len(scaled), first=first + start)
            steps = np.rint(scaled / width - dither)
            if np.any(np.abs(steps) > _MOST_INDEX):
                raise InvalidSetting(
                    "a sample lies more than 2^52 steps from the origin; is its scale that of the channel?"
                )
            index[part] = steps
        return index

    def reproduce(self, index: ArrayLike, seed: int, *, first: int = 0) -> Array:
        """The simulated samples ``X^``, shape ``(n, d)``, from indices and seed alone.

        Raises:
            InvalidSetting: bad indices.
        """
        k = checked_index(index, self.dimension, -_MOST_INDEX, _MOST_INDEX)
        out = np.empty(k.shape)
        step = max(1, _ROWS // self.dimension)
        for start in range(0, len(k), step):
            part = slice(start, start + step)
            width, centre, dither = self.layers(seed, len(k[part]), first=first + start)
            out[part] = width * (k[part] + dither) + centre
        return out


@dataclass(frozen=True)
class UniformDither(_Layers):
    """``X^ = X + U(-w/2, w/2)``, coordinates independent: exact, at ``H(K|U) = I(X; X^)``.

    Attributes:
        step: ``w``, positive.
        dimension: coordinates of a sample.
    """

    step: float
    dimension: int = 1

    def __post_init__(self) -> None:
        if not (math.isfinite(self.step) and self.step > 0):
            raise InvalidSetting(f"the step must be finite and positive, got {self.step!r}")
        whole_number(self.dimension, "dimension", 1, 4096)

    @property
    def gain(self) -> float:
        """1: nothing is scaled."""
        return 1.0

    def layers(self, seed: int, n: int, *, first: int = 0) -> tuple[Array, Array, Array]:
        """Widths, centres and dithers of samples ``first .. first + n - 1``, each ``(n, d)``."""
        words = sample_words(seed, numbered(n, first), self.dimension)
        dither = open_uniforms(words)
        return np.full(dither.shape, self.step), np.zeros(dither.shape), dither


@dataclass(frozen=True)
class LayeredDither(_Layers):
    """The Gaussian channel by uniform laws of random width: exact, no search, half a bit dearer.

    Attributes:
        channel: its dispersion plays no part.
        layers_kind: ``"direct"`` (least rate) or ``"shifted"`` (widths bounded from below).
    """

    channel: GaussianChannel
    layers_kind: Literal["direct", "shifted"] = "direct"

    def __post_init__(self) -> None:
        if self.layers_kind not in {"direct", "shifted"}:
            raise InvalidSetting(f"layers are direct or shifted, not {self.layers_kind!r}")

    @property
    def dimension(self) -> int:
        """Coordinates of a sample."""
        return self.channel.dimension

    @property
    def gain(self) -> float:
        """``t rho / s``, by which the sample is scaled before noise is added."""
        c = self.channel
        return c.correlation * math.sqrt(c.output_variance / c.source_variance)

    def layers(self, seed: int, n: int, *, first: int = 0) -> tuple[Array, Array, Array]:
        """Widths, centres and dithers of samples ``first .. first + n - 1``, each ``(n, d)``."""
        from scipy.special import ndtri

        words = sample_words(seed, numbered(n, first), 3 * self.dimension)
        u = open_uniforms(words).reshape(n, self.dimension, 3)
        noise = math.sqrt(self.channel.output_variance * self.channel.noise)
        normal = ndtri(u[..., 0])
        if self.layers_kind == "direct":
            half = np.sqrt(normal * normal - 2.0 * np.log(u[..., 1]))
            return 2.0 * noise * half, np.zeros(half.shape), u[..., 2]
        height = u[..., 1] * np.exp(-0.5 * normal * normal)
        below = np.where(normal > 0, height, 1.0 - height)
        right = np.sqrt(-2.0 * np.log(below))
        left = -np.sqrt(-2.0 * np.log1p(-below))
        return noise * (right - left), 0.5 * noise * (right + left), u[..., 2]


@dataclass(frozen=True)
class ArcDither:
    """The circle's channel of uniform noise by angular dither: exact, at ``log2 M`` bits ([T] eqs 31-33).

    The index is that of :class:`~veridical.quantize.circle.CircleQuantizer` with ``K = inf``, and so are the
    places of its dither in the common randomness; batches are coded whole.

    Attributes:
        outputs: ``M``, 1 to 2^31.
    """

    outputs: int

    def __post_init__(self) -> None:
        CircleQuantizer(self.outputs, math.inf)

    def encode(self, x: ArrayLike, seed: int) -> Whole:
        """Indices ``0 .. M-1``, shape ``(n,)``, of unit vectors ``(n, 2)``.

        Raises:
            InvalidSetting: bad samples.
        """
        points = rows_of_numbers(x, 2)
        return CircleQuantizer(self.outputs, math.inf).encode(points, seed)

    def reproduce(self, index: ArrayLike, seed: int) -> Array:
        """``(cos t, sin t)`` with ``t = (2 pi / M)(K + U)``, shape ``(n, 2)``.

        Raises:
            InvalidSetting: bad indices.
        """
        k = checked_index(index, None, 0, self.outputs - 1)
        angle = CircleQuantizer(self.outputs, math.inf).offsets(seed, k.size) + k
        angle *= 2.0 * math.pi / self.outputs
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)
