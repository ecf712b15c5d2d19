"""Random codes and nested group codes as entries of the comparison of codes for the Gaussian source.

A group code has a finite alphabet: the source is rounded to 65 levels an eighth apart, which costs
``1/64/12 = 0.0013`` of distortion, and a level drawn at realism 1 is spread over its own cell by the normal law, so
that nothing of the rounding is left in the law of the output.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from veridical.arrays import Array
from veridical.block.group import GroupCodec
from veridical.block.group_design import Effort, design_group_codec
from veridical.block.random_coding import RandomCode, random_code
from veridical.interpolate import Calibration, interpolate
from veridical.quantize.group import NestedChain
from veridical.sources.alphabet import Alphabet, quantized_gaussian

RANDOM_LENGTH = 12
_PERIOD = 7
GROUP_LENGTH = 142 * _PERIOD
_BIT = math.log2(5)


@dataclass(frozen=True)
class _Random:
    """A random code behind the interface of the comparison."""

    code: RandomCode

    @property
    def calibration(self) -> Calibration:
        return self.code.calibration

    def encode(self, x: Array, *, seed: int = 0) -> Any:
        return self.code.encode(x, seed=seed)

    def to_bytes(self, index: Any, *, seed: int = 0) -> bytes:
        del seed
        return self.code.to_bytes(index)

    def decode(
        self, index: Any, rng: np.random.Generator, *, realism: float, seed: int = 0
    ) -> Array:
        return self.code.decode(index, rng, realism=realism, seed=seed)


def make_random(R: float, Rc: float, samples: int, rng: np.random.Generator) -> _Random:
    """A random code of blocks of 12: ``2^12`` words at one bit."""
    del samples
    return _Random(random_code(RANDOM_LENGTH, R, Rc, codebook_seed=int(rng.integers(1 << 62))))


@dataclass(frozen=True)
class _Group:
    """A group code on rounded samples."""

    codec: GroupCodec
    alphabet: Alphabet
    calibration: Calibration

    def encode(self, x: Array, *, seed: int = 0) -> Any:
        return self.codec.encode(self.alphabet.nearest(x), seed=seed)

    def to_bytes(self, index: Any, *, seed: int = 0) -> bytes:
        del seed
        return self.codec.to_bytes(index)

    def decode(
        self, index: Any, rng: np.random.Generator, *, realism: float, seed: int = 0
    ) -> Array:
        x_mmse = self.codec.decode(index, rng, realism=0.0, seed=seed)
        if realism == 0.0:
            return x_mmse
        levels = self.codec.decode(index, rng, realism=1.0, seed=seed)
        return interpolate(x_mmse, _spread(self.alphabet, levels, rng), realism)


def _spread(alphabet: Alphabet, levels: Array, rng: np.random.Generator) -> Array:
    """A normal number in the cell of each level."""
    from scipy.special import ndtr, ndtri

    points = alphabet.points
    edges = np.concatenate([[-np.inf], 0.5 * (points[1:] + points[:-1]), [np.inf]])
    place = alphabet.symbols(levels)
    low, high = ndtr(edges[place]), ndtr(edges[place + 1])
    return np.asarray(ndtri(low + (high - low) * rng.uniform(1e-12, 1.0, levels.shape)))


def group_common_bits(Rc: float) -> float:
    """The nearest common randomness of the chain, a multiple of ``log2(5) / 7``, bits."""
    return round(Rc * _PERIOD / _BIT) * _BIT / _PERIOD


def make_group(R: float, Rc: float, samples: int, rng: np.random.Generator) -> _Group:
    """Codes over ``Z_5``, 625 states, blocks of 994: 3/7 of log2 5 = 0.995 bits for one bit.

    ``d`` and ``C`` are measured on ``samples`` fresh samples, half as many for small designs.
    """
    message, seeds = round(R * _PERIOD / _BIT), round(Rc * _PERIOD / _BIT)
    chain = NestedChain(
        p=5, n=GROUP_LENGTH, period=_PERIOD, shaping=0, message=message, seed=seeds,
        memory=(0, 4, 1), taps=(0, 47, 0),
    )  # fmt: skip
    alphabet = quantized_gaussian(65, width=0.125)
    effort = Effort(blocks=8, calibration_blocks=32, weights=(0.5, 0.75, 1.0))
    codec = design_group_codec(alphabet, chain, rng=rng, effort=effort).codec
    code = _Group(codec, alphabet, codec.calibration)
    x = rng.standard_normal((max(samples // GROUP_LENGTH, 8), GROUP_LENGTH))
    index = code.encode(x, seed=1)
    x_mmse, x_real = (code.decode(index, rng, realism=a, seed=1) for a in (0.0, 1.0))
    price = Calibration(
        float(np.mean(np.square(x - x_mmse))), float(np.mean(np.square(x_mmse - x_real)))
    )
    return _Group(codec, alphabet, price)
