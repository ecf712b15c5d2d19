"""A codec is an encoder, a coder and a decoder; this module only composes them.

```
            seed (common randomness)
              |                                      |
 x ─ Encoder ─ index ─ Coder ══ bytes ══ Coder ─ index ─ Decoder.estimate ─ x_mmse
                                                              │ state         │
                                                              └─ generate ─ x_real
                                               x_hat = (1 - realism) x_mmse + realism x_real
```
A decoder exists without an encoder (any AVIF file of the world); a codec has both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from veridical.errors import InvalidSetting
from veridical.interpolate import Calibration, check_realism, interpolate

__all__ = [
    "Codec",
    "Coder",
    "Decoder",
    "Encoder",
    "Estimate",
    "Estimator",
    "Generator",
    "PartsCodec",
    "PartsDecoder",
    "resolve_realism",
]

X = TypeVar("X")
X_co = TypeVar("X_co", covariant=True)
X_contra = TypeVar("X_contra", contravariant=True)
Index = TypeVar("Index")
Index_co = TypeVar("Index_co", covariant=True)
Index_contra = TypeVar("Index_contra", contravariant=True)
Randomness = TypeVar("Randomness")
Randomness_contra = TypeVar("Randomness_contra", contravariant=True)


class Encoder(Protocol[X_contra, Index_co]):
    """Turns a source into an index."""

    def encode(self, x: X_contra, seed: int) -> Index_co:
        """Index of a source; ``seed`` is the common randomness."""


class Coder(Protocol[Index]):
    """Turns an index into bytes and back, without loss."""

    def pack(self, index: Index, seed: int) -> bytes:
        """The bytes of an index, entropy-coded."""

    def unpack(self, data: bytes, seed: int) -> Index:
        """The index that :meth:`pack` was given.

        Raises:
            DamagedFile: The bytes are not a message of this coder.
        """


@dataclass(frozen=True)
class Estimate(Generic[X]):
    """What an estimator says of an index.

    Attributes:
        x_mmse: ``E[X | index, seed]``, the reconstruction of least error.
        state: What the generator conditions on besides; its kind is the decoder's own affair.
    """

    x_mmse: X
    state: Any = None


class Decoder(Protocol[Index_contra, X, Randomness_contra]):
    """Turns an index into an estimate, and an estimate into a sample that follows the source."""

    def estimate(self, index: Index_contra, seed: int) -> Estimate[X]:
        """Least-error reconstruction, with the state from which a sample is drawn."""

    def generate(self, estimate: Estimate[X], rng: Randomness_contra) -> X:
        """A sample ``x_real`` that follows the source, near ``x_mmse``; ``rng`` is private randomness."""

    def price(self, index: Index_contra) -> Calibration | None:
        """Error and transport cost to expect of an index; None if they were not measured."""


class Estimator(Protocol[Index_contra, X_co]):
    """The part of a decoder that computes ``x_mmse = E[X | index, seed]``."""

    def estimate(self, index: Index_contra, seed: int) -> X_co:
        """Least-error reconstruction."""


class Generator(Protocol[X, Index_contra, Randomness_contra]):
    """The part of a decoder that draws a sample near ``x_mmse``."""

    def generate(self, x_mmse: X, rng: Randomness_contra, context: Index_contra) -> X:
        """A sample; ``rng`` is private randomness, ``context`` the index it may condition on."""


@dataclass(frozen=True)
class PartsDecoder(Generic[Index, X, Randomness]):
    """A decoder made of an estimator and a generator that share nothing but the index.

    Attributes:
        estimator: Turns an index into the least-error reconstruction.
        generator: Turns that and the index into a sample.
        calibration: Price list of an index (the same for all in a one-shot design).
    """

    estimator: Estimator[Index, X]
    generator: Generator[X, Index, Randomness]
    calibration: Callable[[Index], Calibration]

    def estimate(self, index: Index, seed: int) -> Estimate[X]:
        """The estimator's reconstruction, with the index as state."""
        return Estimate(self.estimator.estimate(index, seed), index)

    def generate(self, estimate: Estimate[X], rng: Randomness) -> X:
        """The generator's sample."""
        return self.generator.generate(estimate.x_mmse, rng, estimate.state)

    def price(self, index: Index) -> Calibration | None:
        """The calibration of an index."""
        return self.calibration(index)


def resolve_realism(
    price: Calibration | None, realism: float | None, perception: float | None
) -> float:
    """The realism that a caller asked for, directly or by a perception; 1 if neither is given.

    Raises:
        InvalidSetting: Both are given, one is outside its domain, or a perception without a price.
    """
    if realism is not None and perception is not None:
        raise InvalidSetting("give either realism or perception, not both")
    if perception is not None:
        if price is None:
            raise InvalidSetting(
                "no prices were measured here, so a perception cannot be met; give a realism instead"
            )
        return price.realism_for(perception)
    return 1.0 if realism is None else check_realism(realism)


@dataclass(frozen=True)
class Codec(Generic[X, Index, Randomness]):
    """Encoder and decoder, whoever holds them; subclasses say where they come from.

    Attributes:
        encoder: Turns a source into an index.
        decoder: Turns an index into a reconstruction at any realism.
    """

    encoder: Encoder[X, Index]

    if TYPE_CHECKING:

        @property
        def decoder(self) -> Decoder[Index, X, Randomness]:
            """See the class."""

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
        price = None if perception is None else self.decoder.price(index)
        a = resolve_realism(price, realism, perception)
        estimate = self.decoder.estimate(index, seed)
        if a == 0.0:
            return estimate.x_mmse
        return interpolate(estimate.x_mmse, self.decoder.generate(estimate, rng), a)


@dataclass(frozen=True)
class PartsCodec(Codec[X, Index, Randomness]):
    """A codec whose decoder is an estimator and a generator that share nothing but the index.

    Attributes:
        encoder: Turns a source into an index.
        estimator: Turns an index into the least-error reconstruction.
        generator: Turns that and the index into a sample that follows the source.
        calibration: Price list of an index (the same for all in a one-shot design).
    """

    estimator: Estimator[Index, X]
    generator: Generator[X, Index, Randomness]
    calibration: Callable[[Index], Calibration]

    @property
    def coder(self) -> Coder[Index] | None:
        """None; codecs with an entropy coder have one."""
        return None

    @property
    def decoder(self) -> Decoder[Index, X, Randomness]:
        """Estimator and generator as one."""
        return PartsDecoder(self.estimator, self.generator, self.calibration)
