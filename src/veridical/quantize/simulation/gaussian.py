"""The Gaussian test channel, of any correlation, output variance and dimension.

    X^ = (t rho / s) X + t sqrt(1 - rho^2) N,    coordinates independent,

with ``X`` of variance ``s^2``, ``X^`` of variance ``t^2``, correlation ``rho`` and standard normal ``N``.
``I = -d/2 log2(1 - rho^2)``. With ``t = s`` the output follows the source: this is the optimum of
perfect realism with unlimited common randomness, ``E|X - X^|^2 = 2 d s^2 (1 - rho)`` ([T] eq. 65 at
``P = 0``, ``Rc = inf``), and other ``P`` take ``t = max(s - sqrt P, s rho)``.

The proposal law is normal with variance ``c t^2``, ``c >= 1``. In units of ``t``, with ``m = rho x / s``
and ``v = 1 - rho^2``, the ratio is ``r(y) = (c/v)^(d/2) exp(|y|^2/(2c) - |y - m|^2/(2v))``, its largest
value ``(c/v)^(d/2) exp(|m|^2 / (2 (c - v)))`` at ``y = m c / (c - v)``, and ``{r >= level}`` a ball around
that. Its mean over the source is ``(c (c - v) / (v (c - 1)))^(d/2)``. With ``c = 1`` that is infinite
(Flamich and Theis 2023), and a few samples would take most of the time; a wider law costs
``(d/2)(1/c - 1 + log c)`` nats. The mean is least, ``((1 + rho)/(1 - rho))^(d/2)``, at ``c = 1 + |rho|``; the
default of 1.25 gives up some of that time for 0.017 bits a coordinate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.arrays import Array, is_number, whole_number
from veridical.errors import InvalidSetting
from veridical.quantize.simulation.channel import open_uniforms, rows_of_numbers

_SMALLEST = 5e-324


@dataclass(frozen=True)
class GaussianChannel:
    """Jointly Gaussian source and reconstruction; samples and reconstructions of shape ``(n, d)``.

    Attributes:
        correlation: ``rho``, inside (-1, 1).
        source_variance: ``s^2`` of each coordinate of ``X``, positive.
        output_variance: ``t^2`` of each coordinate of ``X^``, positive.
        dimension: ``d``, 1 to 4,096.
        dispersion: ``c``, 1 to 4; above 1 if the correlation is 0.
    """

    correlation: float
    source_variance: float = 1.0
    output_variance: float = 1.0
    dimension: int = 1
    dispersion: float = 1.25

    def __post_init__(self) -> None:
        if not abs(self.correlation) < 1:
            raise InvalidSetting(
                f"the correlation is {self.correlation!r}; it lies inside (-1, 1): at 1 the channel "
                "has no noise and no finite rate"
            )
        for name in ("source_variance", "output_variance"):
            value = getattr(self, name)
            if not (is_number(value) and math.isfinite(value) and value > 0):
                raise InvalidSetting(f"{name} must be finite and positive, got {value!r}")
        whole_number(self.dimension, "dimension", 1, 4096)
        if not 1 <= self.dispersion <= 4 or (self.dispersion == 1 and self.correlation == 0):
            raise InvalidSetting(
                f"the dispersion is {self.dispersion!r}; it runs from 1 to 4, above 1 if nothing is "
                "correlated"
            )

    @classmethod
    def from_rate(
        cls,
        rate_bits: float,
        *,
        variance: float = 1.0,
        dimension: int = 1,
        dispersion: float = 1.25,
    ) -> GaussianChannel:
        """The channel whose output follows the source, with ``I = rate_bits`` a sample of ``d`` numbers.

        Raises:
            InvalidSetting: a negative or infinite rate, or another bad setting.
        """
        d = whole_number(dimension, "dimension", 1, 4096)
        if not is_number(rate_bits) or not (math.isfinite(rate_bits) and rate_bits >= 0):
            raise InvalidSetting(f"rate_bits must be finite and 0 or more, got {rate_bits!r}")
        rho = math.sqrt(-math.expm1(-2.0 * math.log(2.0) * rate_bits / d))
        return cls(rho, variance, variance, d, dispersion)

    @property
    def words(self) -> int:
        """One word a coordinate."""
        return self.dimension

    @property
    def information_bits(self) -> float:
        """``I(X; X^)``, bits per sample of ``d`` numbers."""
        return -0.5 * self.dimension * math.log2(self.noise)

    @property
    def divergence_bits(self) -> float:
        """``I`` and ``D(P_X^ || Q) = (d/2)(1/c - 1 + log c)`` together, bits per sample."""
        c = self.dispersion
        return self.information_bits + 0.5 * self.dimension * (
            (1.0 / c - 1.0) / math.log(2.0) + math.log2(c)
        )

    @property
    def mean_proposals(self) -> float:
        """``E sup r`` over the source: about how many proposals a sample takes; infinite at ``c = 1``."""
        c, v = self.dispersion, self.noise
        if c == 1:
            return math.inf
        return (c * (c - v) / (v * (c - 1.0))) ** (0.5 * self.dimension)

    @property
    def noise(self) -> float:
        """``v = 1 - rho^2``, the share of the output's variance that is noise."""
        return (1.0 - self.correlation) * (1.0 + self.correlation)

    def check(self, x: ArrayLike) -> Array:
        """Finite numbers, shape ``(n, d)``."""
        return rows_of_numbers(x, self.dimension)

    def means(self, x: Array) -> Array:
        """``E[X^ | x]`` in units of ``t``."""
        return x * (self.correlation / math.sqrt(self.source_variance))

    def propose(self, words: NDArray[np.uint64]) -> Array:
        """Normal numbers by the inverse of their distribution function, one word each."""
        from scipy.special import ndtri

        return ndtri(open_uniforms(words)) * math.sqrt(self.dispersion * self.output_variance)

    def log_ratio(self, x: Array, y: Array) -> Array:
        """``log r``, natural logarithm."""
        m, unit = self.means(x), 1.0 / self.output_variance
        # |y|^2/(2c) - |y - m|^2/(2v), multiplied out so that no third array of the size of y is made.
        square = np.einsum("nbd,nbd->nb", y, y) * (
            unit * (0.5 / self.dispersion - 0.5 / self.noise)
        )
        square += np.einsum("nbd,nd->nb", y, m) * (math.sqrt(unit) / self.noise)
        square += (self._log_height - 0.5 / self.noise * np.sum(m * m, axis=1))[:, None]
        return square

    def log_bound(self, x: Array) -> Array:
        """``(d/2) log(c/v) + |m|^2 / (2 (c - v))``."""
        m = self.means(x)
        return self._log_height + np.sum(m * m, axis=1) / (2.0 * self._gap)

    def excess(self, x: Array, level: Array) -> Array:
        """``P(r >= level) - level Q(r >= level)``: two probabilities of one ball."""
        m, c, v = self.means(x), self.dispersion, self.noise
        # The smallest positive number stands for level 0: its ball is all that matters of the space.
        depth = self._log_height - np.log(np.maximum(level, _SMALLEST))
        depth += np.einsum("nd,nd->n", m, m) * (0.5 / self._gap)
        radius2 = np.maximum(depth, 0.0) * (2.0 * c * v / self._gap)
        inside = _ball(m * (v / self._gap), radius2, v)
        inside -= level * _ball(m * (c / self._gap), radius2, c)
        return np.minimum(np.maximum(inside, 0.0), 1.0)

    @property
    def _gap(self) -> float:
        return self.dispersion - self.noise

    @property
    def _log_height(self) -> float:
        return 0.5 * self.dimension * math.log(self.dispersion / self.noise)


def _ball(centre: Array, radius2: Array, variance: float) -> Array:
    """Probability of a ball under a normal law of mean 0: ``P(|Y - centre|^2 <= radius2)``."""
    from scipy.special import chndtr, ndtr

    d = centre.shape[1]
    if d == 1:
        scale = 1.0 / math.sqrt(variance)
        c, h = np.abs(centre[:, 0]) * scale, np.sqrt(radius2) * scale
        return ndtr(h - c) - ndtr(-h - c)
    return chndtr(radius2 / variance, float(d), np.einsum("nd,nd->n", centre, centre) / variance)
