"""How natural must a reconstruction be, when perception is measured otherwise than by W2 ([T] Fig. 11)?

With ``P`` in squared W2 the realism is ``1 - sqrt(P / C)``. For any other measure this module finds it on
samples, by bisection on measured values, for four ways from the estimate to the generated sample:

    X^ = X~ + w (X- - X~),   0 <= w <= 1,   D = d + E[w^2 c],   c = |X- - X~|^2,

and takes the way with the least ``D``. The last formula is orthogonality: ``w`` looks at ``X~``, ``X-`` and
private randomness alone.

* :class:`Interpolation`, ``w = a``: optimal for W2 ([T] Prop. 3).
* :class:`TimeSharing`, ``w = 1`` with probability ``a``, else 0: ``D = d + a C``. The law is a mixture, so
  that total variation is ``(1 - a)`` times that of ``X~``, where interpolation between finitely many
  estimates and a thin source stays at 1 for every ``a < 1``.
* :class:`NearestFirst`, ``w = 1`` where ``c`` is small: total variation at most the share of the others,
  at a smaller price than time sharing; the best there is when ``X~`` and ``X`` share no mass and the
  plan sends each source sample to its nearest estimate.
* :class:`LimitedSteps`, ``w = min(1, l / sqrt c)``: moves by ``l`` at most. For W1 it is the best there is
  with a plan that is optimal for every increasing convex cost (monotone, or to the nearest estimate).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from veridical.arrays import Array
from veridical.errors import InvalidSetting, TargetUnreachable
from veridical.measure.perception_measures import Measure


class Way(Protocol):
    """One way from the estimate to the sample, with its setting fixed."""

    def weights(self, squared: Array, draws: Array) -> Array:
        """``w``, shape ``(n,)``.

        Args:
            squared: ``c = |X- - X~|^2``, shape ``(n,)``.
            draws: private randomness, uniform on [0, 1), shape ``(n,)``.
        """


class _Kind(Protocol):
    """A class of ways, from realism 0 to 1."""

    name: ClassVar[str]

    def at(self, share: float, squared: Array) -> Way:
        """The setting at a share of its range."""


@dataclass(frozen=True)
class Interpolation:
    """``w = a``."""

    realism: float = 1.0
    name: ClassVar[str] = "interpolation"

    def at(self, share: float, squared: Array) -> Interpolation:
        """``a = share``."""
        del squared
        return Interpolation(share)

    def weights(self, squared: Array, draws: Array) -> Array:
        """The same for all."""
        del draws
        return np.full(squared.shape, self.realism)


@dataclass(frozen=True)
class TimeSharing:
    """``w = 1`` with probability ``a``, else 0."""

    share: float = 1.0
    name: ClassVar[str] = "time sharing"

    def at(self, share: float, squared: Array) -> TimeSharing:
        """``a = share``."""
        del squared
        return TimeSharing(share)

    def weights(self, squared: Array, draws: Array) -> Array:
        """By the draws alone."""
        del squared
        return (draws < self.share).astype(np.float64)


@dataclass(frozen=True)
class NearestFirst:
    """``w = 1`` where ``c <= limit``, else 0."""

    limit: float = np.inf
    name: ClassVar[str] = "nearest first"

    def at(self, share: float, squared: Array) -> NearestFirst:
        """The limit that this share of the samples keeps."""
        return NearestFirst(float(np.quantile(squared, share)) if share > 0 else -1.0)

    def weights(self, squared: Array, draws: Array) -> Array:
        """By the distance alone."""
        del draws
        return (squared <= self.limit).astype(np.float64)


@dataclass(frozen=True)
class LimitedSteps:
    """``w = min(1, length / sqrt c)``."""

    length: float = np.inf
    name: ClassVar[str] = "limited steps"

    def at(self, share: float, squared: Array) -> LimitedSteps:
        """A share of the longest step."""
        return LimitedSteps(share * float(np.sqrt(np.max(squared))))

    def weights(self, squared: Array, draws: Array) -> Array:
        """By the distance alone."""
        del draws
        far = np.sqrt(squared)
        return np.where(far > self.length, self.length / np.where(far > 0, far, 1.0), 1.0)


WAYS: tuple[_Kind, ...] = (Interpolation(), TimeSharing(), NearestFirst(), LimitedSteps())


@dataclass(frozen=True)
class Choice:
    """A way that meets a target.

    Attributes:
        way: with its setting.
        name: of the way.
        value: measured perception, at most the target.
        extra_distortion: ``E|X^ - X~|^2 = E[w^2 c]``, to be added to ``d``; squared units.
    """

    way: Way
    name: str
    value: float
    extra_distortion: float

    def blend(self, x_mmse: Array, x_real: Array, rng: np.random.Generator) -> Array:
        """``X~ + w (X- - X~)``, shape ``(n, d)``; of these or any other samples of the same code."""
        return _blend(self.way, x_mmse, x_real, rng.random(len(x_mmse)))


def _blend(way: Way, x_mmse: Array, x_real: Array, draws: Array) -> Array:
    w = way.weights(np.sum(np.square(x_real - x_mmse), axis=1), draws)[:, None]
    # The ends are exact, so that what is generated stays where the source is.
    return np.where(w == 1.0, x_real, x_mmse + w * (x_real - x_mmse))


def realism_for_measure(
    x_mmse: Array,
    x_real: Array,
    reference: Array,
    measure: Measure,
    target: float,
    *,
    rng: np.random.Generator,
    ways: Sequence[_Kind] = WAYS,
    halvings: int = 12,
) -> Choice:
    """The cheapest way whose measured perception is at most ``target``.

    Each way is bisected from ``X~`` to ``X-`` with the same samples and the same private randomness
    throughout, so that its values differ by the setting alone. The values carry the bias and the noise of
    the measure on these samples: to know what a choice is worth, measure it again on others.

    Args:
        x_mmse: estimates, ``codec.decode(index, rng, realism=0, ...)``, shape ``(n, d)``.
        x_real: generated samples, the same with ``realism=1``.
        reference: samples of the source, independent of those coded, shape ``(m, d)``.
        measure: perception, falling towards ``X-``.
        target: what it is to be at most.
        rng: private randomness of time sharing.
        ways: to choose from.
        halvings: of the range of each setting.

    Raises:
        InvalidSetting: shapes that do not fit, no ways or no halvings.
        TargetUnreachable: the generated samples themselves are farther from the reference than the
            target.
    """
    if x_mmse.shape != x_real.shape or x_mmse.ndim != 2 or not len(x_mmse):
        raise InvalidSetting(
            f"estimates {x_mmse.shape} and generated samples {x_real.shape} must be tables of one shape"
        )
    if not ways or halvings < 1:
        raise InvalidSetting("a search needs a way and a halving or more")
    nothing, everything = measure(x_mmse, reference), measure(x_real, reference)
    if nothing <= target:
        return Choice(Interpolation(0.0), Interpolation.name, nothing, 0.0)
    if not everything <= target:
        raise TargetUnreachable(
            f"the generated samples themselves measure {everything:.4g}, more than {target:.4g}; ask for "
            "less, or give more samples, with which the measure is less biased"
        )
    squared = np.sum(np.square(x_real - x_mmse), axis=1)
    draws = rng.random(len(x_mmse))
    found = []
    for kind in ways:
        low, high, value = 0.0, 1.0, everything
        for _ in range(halvings):
            middle = 0.5 * (low + high)
            now = measure(_blend(kind.at(middle, squared), x_mmse, x_real, draws), reference)
            if now <= target:
                high, value = middle, now
            else:
                low = middle
        way = kind.at(high, squared)
        extra = float(np.mean(np.square(way.weights(squared, draws)) * squared))
        found.append(Choice(way, kind.name, value, extra))
    return min(found, key=lambda choice: choice.extra_distortion)
