"""A codec is an encoder, an estimator, a generator and a blend; this module only composes them.

```
x ─ Encoder ─ index ══ bits ══ Estimator ─ x_mmse ─ Generator ─ x_real
                                   └────── blend (realism) ───────┘
```
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from veridical.errors import InvalidSetting
from veridical.interpolate import Calibration, check_realism, interpolate

__all__ = ["Codec", "Encoder", "Estimator", "Generator", "resolve_realism"]

X = TypeVar("X")
Index = TypeVar("Index")
X_contra = TypeVar("X_contra", contravariant=True)
Index_contra = TypeVar("Index_contra", contravariant=True)
Index_co = TypeVar("Index_co", covariant=True)
X_co = TypeVar("X_co", covariant=True)
Randomness = TypeVar("Randomness")
Randomness_contra = TypeVar("Randomness_contra", contravariant=True)


class Encoder(Protocol[X_contra, Index_co]):
    """Turns a source into an index; ``seed`` is the common randomness."""

    def encode(self, x: X_contra, seed: int) -> Index_co:
        """Index of a source."""
        ...


class Estimator(Protocol[Index_contra, X_co]):
    """Turns an index into ``x_mmse = E[X | index, seed]``."""

    def estimate(self, index: Index_contra, seed: int) -> X_co:
        """Least-error reconstruction."""
        ...


class Generator(Protocol[X, Index_contra, Randomness_contra]):
    """Turns ``x_mmse`` into a sample that follows the source, as near to ``x_mmse`` as it can."""

    def generate(self, x_mmse: X, rng: Randomness_contra, context: Index_contra) -> X:
        """A sample; ``rng`` is private randomness, ``context`` the index it may condition on."""
        ...


def resolve_realism(
    calibration: Calibration, realism: float | None, perception: float | None
) -> float:
    """The realism that a caller asked for, directly or by a perception; 1 if neither is given.

    Raises:
        InvalidSetting: Both are given, or one is outside its domain.
    """
    if realism is not None and perception is not None:
        raise InvalidSetting("give either realism or perception, not both")
    if perception is not None:
        return calibration.realism_for(perception)
    return 1.0 if realism is None else check_realism(realism)


@dataclass(frozen=True)
class Codec(Generic[X, Index, Randomness]):
    """Encoder, estimator, generator and their price list.

    Attributes:
        encoder: Turns a source into an index.
        estimator: Turns an index into the least-error reconstruction.
        generator: Turns that into a sample that follows the source.
        calibration: Price list of an index (the same for all in a one-shot design; by format and
            rate for photographs).
    """

    encoder: Encoder[X, Index]
    estimator: Estimator[Index, X]
    generator: Generator[X, Index, Randomness]
    calibration: Callable[[Index], Calibration]

    def encode(self, x: X, *, seed: int = 0) -> Index:
        """Index of a source under the common randomness ``seed``."""
        return self.encoder.encode(x, seed)

    def decode(
        self,
        index: Index,
        rng: Randomness,
        *,
        realism: float | None = None,
        perception: float | None = None,
        seed: int = 0,
    ) -> X:
        """Reconstruction at a realism (default 1) or a perception.

        Args:
            index: What the encoder gave.
            rng: Private randomness of the generator; not read at realism 0.
            realism: 0 (least error) to 1 (follows the source).
            perception: Squared W2 distance to the source to be met, instead of a realism.
            seed: Common randomness, the same as at the encoder.

        Raises:
            InvalidSetting: A setting outside its domain, or both realism and perception.
        """
        a = resolve_realism(self.calibration(index), realism, perception)
        x_mmse = self.estimator.estimate(index, seed)
        if a == 0.0:
            return x_mmse
        return interpolate(x_mmse, self.generator.generate(x_mmse, rng, index), a)
