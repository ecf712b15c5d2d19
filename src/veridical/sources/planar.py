"""Sources in the plane, to draw and to try designs on: Gaussian mixture, two moons, spiral.

Each is a frozen law with ``sample(n, rng) -> (n, 2)``, centred, and of about unit spread.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from veridical.arrays import Array
from veridical.errors import InvalidSetting
from veridical.sources.circle import checked_count

__all__ = ["GaussianMixture", "Spiral", "TwoMoons"]


def _check(law: object, sizes: dict[str, float]) -> None:
    for name, value in sizes.items():
        if not (math.isfinite(value) and value > 0):
            raise InvalidSetting(f"{name} must be positive and finite, got {value!r} in {law}")


@dataclass(frozen=True, kw_only=True)
class GaussianMixture:
    """Equal parts of ``components`` round Gaussian laws, spaced evenly on a circle.

    ``X = radius (cos t, sin t) + deviation N``, ``t = 2 pi k / components``, ``k`` uniform.
    The mean is 0 and ``E|X|^2 = radius^2 + 2 deviation^2``.
    """

    components: int = 5
    radius: float = 1.0
    deviation: float = 0.15

    def __post_init__(self) -> None:
        _check(self, {"radius": self.radius, "deviation": self.deviation})
        if self.components < 2:
            raise InvalidSetting(f"a mixture needs two or more components, got {self.components}")

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """``n`` independent samples, shape ``(n, 2)``."""
        angle = rng.integers(self.components, size=checked_count(n)) * (
            2 * math.pi / self.components
        )
        centre = self.radius * np.column_stack([np.cos(angle), np.sin(angle)])
        return centre + self.deviation * rng.standard_normal((n, 2))


@dataclass(frozen=True, kw_only=True)
class TwoMoons:
    """Two interleaved half circles of radius 1, blurred.

    ``(cos t, sin t) - (1/2, 1/4)`` or its negative, each half the time, with ``t`` uniform on
    ``[0, pi]``, plus ``deviation N``. The mean is 0 and
    ``E|X|^2 = 1 + 5/16 - 1/pi + 2 deviation^2``.
    """

    deviation: float = 0.08

    def __post_init__(self) -> None:
        _check(self, {"deviation": self.deviation})

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """``n`` independent samples, shape ``(n, 2)``."""
        t = rng.uniform(0.0, math.pi, size=checked_count(n))
        moon = np.column_stack([np.cos(t), np.sin(t)]) - (0.5, 0.25)
        sign = 2.0 * rng.integers(2, size=(n, 1)) - 1.0
        return sign * moon + self.deviation * rng.standard_normal((n, 2))


@dataclass(frozen=True, kw_only=True)
class Spiral:
    """A spiral of Archimedes, blurred.

    ``radius sqrt(U) (cos t, sin t) + deviation N`` with ``U`` uniform on [0, 1] and
    ``t = 2 pi turns sqrt(U)``: about evenly thick along its length. ``E|X|^2 = radius^2 / 2 +
    2 deviation^2``; the mean is ``radius (x, y)`` with ``x + i y = integral 2 r^2 exp(2 pi i turns r)
    dr over [0, 1]``, and is taken away.
    """

    turns: float = 1.5
    radius: float = 1.5
    deviation: float = 0.05

    def __post_init__(self) -> None:
        sizes = {"turns": self.turns, "radius": self.radius, "deviation": self.deviation}
        _check(self, sizes)

    @property
    def mean(self) -> tuple[float, float]:
        """Mean of the spiral before it is centred: the integral above, in closed form."""
        w = 2j * math.pi * self.turns
        rise = np.exp(w)
        value = self.radius * 2.0 * complex(rise * (1 / w - 2 / w**2 + 2 / w**3) - 2 / w**3)
        return value.real, value.imag

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """``n`` independent samples, shape ``(n, 2)``."""
        share = np.sqrt(rng.uniform(size=checked_count(n)))
        angle = 2 * math.pi * self.turns * share
        line = self.radius * share[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
        return line - self.mean + self.deviation * rng.standard_normal((n, 2))
