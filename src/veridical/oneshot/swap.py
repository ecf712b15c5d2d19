"""Another generator in a codec, with its own price.

>>> codec = veridical.design(samples, rate_bits=1, seeds=2, rng=rng)
>>> plain = with_generator(codec, posterior_of(codec, samples), samples, rng=rng)

A :class:`~veridical.codec.PartsCodec` is a frozen dataclass, so that ``dataclasses.replace`` exchanges any
part of it; the price list has to follow, and that is all that these functions add.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array, Whole
from veridical.codec import Generator, PartsCodec
from veridical.errors import InvalidSetting
from veridical.estimate import CentroidEstimator
from veridical.generate.posterior import PosteriorGenerator
from veridical.interpolate import Calibration
from veridical.quantize import CodebookEncoder
from veridical.transport import weighted_points

__all__ = ["posterior_of", "with_generator"]

Vectors = TypeVar("Vectors", bound="PartsCodec[Array, Whole, np.random.Generator]")


def with_generator(
    codec: Vectors,
    generator: Generator[Array, Whole, np.random.Generator],
    samples: ArrayLike,
    *,
    rng: np.random.Generator,
    seed: int = 0,
) -> Vectors:
    """The same code with another generator, and ``C = E|X~ - X-|^2`` measured anew ([T] eqs 41-43).

    Encoder, estimator and ``d`` stay, so that indices and messages of the two codecs are the same.

    Args:
        codec: of vectors, with one price for every index (:func:`veridical.design`,
            :func:`~veridical.oneshot.circle.circle_codec`).
        generator: its output should follow the source; nothing here checks that.
        samples: of the source, shape ``(n, d)``; ``C`` has a standard error of about ``C / sqrt n``.
        rng: private randomness of the generator.
        seed: common randomness under which the samples are coded.

    Raises:
        InvalidSetting: bad samples, or a generator whose output has another shape.
    """
    x, _ = weighted_points(samples, name="samples")
    index = codec.encode(x, seed=seed)
    x_mmse = codec.decode(index, rng, realism=0.0, seed=seed)
    x_real = generator.generate(x_mmse, rng, index)
    if x_real.shape != x_mmse.shape:
        raise InvalidSetting(
            f"the generator makes {x_real.shape} out of estimates of shape {x_mmse.shape}"
        )
    C = float(np.mean(np.sum(np.square(x_mmse - x_real), axis=1)))
    price = Calibration(codec.calibration(index).mmse, C)
    return replace(codec, generator=generator, calibration=price)


def posterior_of(
    codec: PartsCodec[Array, Whole, np.random.Generator],
    samples: ArrayLike,
    weights: ArrayLike | None = None,
) -> PosteriorGenerator:
    """Posterior sampling for a codec of :func:`veridical.design`, ``C = d``.

    Args:
        codec: with codebooks and their centroids.
        samples: those of the design, shape ``(n, d)``, or ``(n,)`` for numbers.
        weights: those of the design.

    Raises:
        InvalidSetting: a codec of another kind, or bad samples.
    """
    encoder, estimator = codec.encoder, codec.estimator
    if not isinstance(encoder, CodebookEncoder) or not isinstance(estimator, CentroidEstimator):
        raise InvalidSetting(
            "posterior sampling from stored samples needs a codec of codebooks and centroids, as "
            f"veridical.design makes them, not {type(encoder).__name__}"
        )
    return PosteriorGenerator.from_code(encoder, estimator, samples, weights)
