"""The Gaussian source with unlimited common randomness: ``X^`` is coded directly by channel simulation.

The channel ``Y = rho X + s sqrt(1 - rho^2) N`` has an output that follows the source. Simulated at the
decoder it is at once everything that [T] eq. 65 asks for at ``Rc = inf``, ``u = rho^2 = 1 - 2^(-2R)``:

* ``X~ = E[X | Y] = rho Y``, with ``d = s^2 (1 - rho^2)``;
* ``X- = Y`` itself, at transport cost ``E|X~ - X-|^2 = s^2 (1 - rho)^2``, which is the least;
* ``X^ = (1 - a) X~ + a X-`` for any realism, one index for every ``P``.

The price in distortion and realism is that of the formula; the price in rate is ``R = I`` plus the
overhead of the method. Coordinates are independent; ``D``, ``P`` and ``R`` are those of a sample of ``d``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array, Whole
from veridical.codec import PartsCodec
from veridical.errors import InvalidSetting
from veridical.interpolate import Calibration
from veridical.kept import Kept
from veridical.oneshot.simulation_codes import DitherCode, IndexCode, selection_code
from veridical.quantize.simulation import (
    GaussianChannel,
    GreedyRejection,
    LayeredDither,
    OrderedRandomCoding,
    PoissonRepresentation,
)

__all__ = ["SimulatedCodec", "simulated_gaussian"]

Method = PoissonRepresentation | OrderedRandomCoding | GreedyRejection | LayeredDither


@dataclass(frozen=True)
class SimulatedCodec(Kept, PartsCodec[Array, Whole, np.random.Generator]):
    """A codec whose sample at realism 1 is simulated with common randomness.

    Attributes:
        calibration: the same for every index.
        information_bits: ``R = I(X; Y)``, bits per sample: what large blocks would need.
        code: of the indices.
    """

    calibration: Calibration
    information_bits: float
    code: IndexCode

    def to_bytes(self, index: ArrayLike, *, seed: int = 0) -> bytes:
        """Indices as an entropy-coded message with a checksum.

        Raises:
            InvalidSetting: not indices of this codec.
        """
        return self.code.to_bytes(index, seed=seed)

    def from_bytes(self, data: bytes, count: int, *, seed: int = 0) -> Whole:
        """The indices of ``count`` samples.

        Raises:
            DamagedFile: the message is truncated, altered, or holds another number of indices.
        """
        return self.code.from_bytes(data, count, seed=seed)


def simulated_gaussian(
    rate_bits: float,
    *,
    variance: float = 1.0,
    dimension: int = 1,
    simulate: Callable[[GaussianChannel], Method] = LayeredDither,
) -> SimulatedCodec:
    """Codec of a Gaussian source, coordinates independent, with unlimited common randomness.

    ``encode`` takes samples ``(n, d)``; ``decode`` at realism 1 (or perception 0) gives the simulated
    samples themselves and uses no private randomness.

    Args:
        rate_bits: ``I``, bits per sample of ``d`` numbers, positive.
        variance: of each coordinate, positive.
        dimension: ``d``.
        simulate: the method, made from the channel. :class:`LayeredDither` takes about half a bit a
            number more than ``I`` and hardly any time. :class:`PoissonRepresentation` takes fewer bits
            where many numbers share a few bits, and about ``2^I`` proposals a sample.
            ``lambda channel: OrderedRandomCoding(channel, 256)`` works, and is approximate.

    Raises:
        InvalidSetting: a setting outside its range.
    """
    channel = GaussianChannel.from_rate(rate_bits, variance=variance, dimension=dimension)
    rho = channel.correlation
    if rho == 0:
        raise InvalidSetting("rate_bits is 0: nothing is coded; draw samples of the source instead")
    method = simulate(channel)
    code = (
        DitherCode(method, variance**0.5)
        if isinstance(method, LayeredDither)
        else selection_code(method)
    )
    total = channel.dimension * variance
    return SimulatedCodec(
        encoder=method,
        estimator=PosteriorMean(method, rho),
        generator=Undone(rho),
        calibration=Calibration(total * channel.noise, total * (1.0 - rho) ** 2),
        information_bits=channel.information_bits,
        code=code,
    )


@dataclass(frozen=True)
class PosteriorMean:
    """``E[X | Y] = rho Y``."""

    method: Method
    correlation: float

    def estimate(self, index: Whole, seed: int) -> Array:
        return self.correlation * self.method.reproduce(index, seed)


@dataclass(frozen=True)
class Undone:
    """``Y = X~ / rho``: the sample was there before the estimate."""

    correlation: float

    def generate(self, x_mmse: Array, rng: np.random.Generator, context: Whole) -> Array:
        del rng, context
        return x_mmse / self.correlation
