"""The certificates that the solvers of the room return."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from veridical.arrays import Array
from veridical.errors import InvalidSetting, NotConverged


@dataclass(frozen=True)
class DistortionInterval:
    """A proven bracket of a least distortion, in the unit of the source, rounding included.

    Attributes:
        lower_distortion: no code has less.
        upper_distortion: the distortion of what is given besides.
    """

    lower_distortion: float
    upper_distortion: float

    @property
    def distortion(self) -> float:
        """The middle of the bracket."""
        return 0.5 * (self.lower_distortion + self.upper_distortion)

    @property
    def gap(self) -> float:
        """Width of the bracket."""
        return self.upper_distortion - self.lower_distortion

    def within(self, tolerance: float) -> Self:
        """The bracket itself.

        Raises:
            NotConverged: it is wider than a share of its upper end; ``best`` carries it.
        """
        if not self.gap <= tolerance * self.upper_distortion:
            raise NotConverged(
                f"the bracket stayed {self.gap / self.upper_distortion:.2g} of the distortion wide; "
                "accept it with a larger tolerance",
                best=self,
            )
        return self


@dataclass(frozen=True)
class Bound:
    """A proven bracket of the least rate at one point (D, P), with what proves it.

    Attributes:
        lower_bits: no code has a smaller rate; a dual point, rounding included.
        upper_bits: the rate of ``channel``, rounding included.
        distortion: the constraint ``D`` on ``E d(X, X^)``.
        perception: the constraint ``P``; ``inf`` for none.
        channel: shape ``(n, m)``, ``p(x^ | x)``, rows sum to one; meets both constraints up to
            relative rounding of 1e-12.
        slope_distortion: ``lambda``: bits saved per unit of distortion.
        slope_perception: ``mu``: bits saved per unit of perception, of the measure or, for Renyi, of
            the member of the power family.
        iterations: Newton steps.
    """

    lower_bits: float
    upper_bits: float
    distortion: float
    perception: float
    channel: Array = field(repr=False, compare=False)
    slope_distortion: float
    slope_perception: float
    iterations: int

    def __post_init__(self) -> None:
        if not 0.0 <= self.lower_bits <= self.upper_bits:
            raise InvalidSetting(
                f"no bracket: lower {self.lower_bits!r} and upper {self.upper_bits!r}; "
                "the bounds contradict each other"
            )

    @property
    def rate_bits(self) -> float:
        """The middle of the bracket."""
        return 0.5 * (self.lower_bits + self.upper_bits)

    @property
    def gap_bits(self) -> float:
        """Width of the bracket."""
        return self.upper_bits - self.lower_bits
