"""Realism and perception, and what they cost: the arithmetic every source shares.

Let ``d = E|X - X~|^2`` be the error of the estimate ``X~ = E[X | Z, S]`` and ``C = E|X~ - X-|^2``
the transport cost of a generator whose output ``X-`` follows the law of the source. The blend

    X^ = (1 - a) X~ + a X-                                                  ([T] eqs 8-16, 39)

has distortion ``d + a^2 C`` and squared Wasserstein-2 distance to the source of at most
``(1 - a)^2 C``; with the optimal plan, ``C = W2^2(p_X, p_X~)``, no decoder does better
([T] Prop. 3). The least distortion for a perception ``P`` is ``d + ((sqrt C - sqrt P)+)^2``,
attained at ``a = (1 - sqrt(P / C))+``                                      ([T] eqs 38, 41-43).

Any unit serves, as long as all quantities use the same one; photographs use the mean squared
error per channel sample on the [0, 1] scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

from veridical.errors import InvalidSetting

__all__ = ["Calibration", "check_perception", "check_realism", "interpolate"]


def check_realism(realism: float) -> float:
    """The realism as a float.

    Raises:
        InvalidSetting: Not a number in [0, 1].
    """
    if isinstance(realism, bool) or not isinstance(realism, Real) or not 0 <= realism <= 1:
        raise InvalidSetting(
            f"realism must be a number from 0 (least error) to 1 (most natural), got {realism!r}"
        )
    return float(realism)


def check_perception(perception: float) -> float:
    """The perception constraint ``P`` (a squared distance, infinity allowed) as a float.

    Raises:
        InvalidSetting: Negative or not a number.
    """
    if isinstance(perception, bool) or not isinstance(perception, Real) or not perception >= 0:
        raise InvalidSetting(
            "perception is a squared Wasserstein-2 distance and must be 0 (follows the source) "
            f"or more, got {perception!r}"
        )
    return float(perception)


@dataclass(frozen=True)
class Calibration:
    """The two measured numbers from which every price follows.

    Attributes:
        mmse: ``d``, the error of the estimate.
        transport_cost: ``C``, the mean squared distance from the estimate to the generated sample.
        uncertainty_db: Standard deviation to expect of ``10 log10(d)`` where both numbers are a prediction
            for one input; None where they are means.
    """

    mmse: float
    transport_cost: float
    uncertainty_db: float | None = None

    def __post_init__(self) -> None:
        for name in ("mmse", "transport_cost", "uncertainty_db"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise InvalidSetting(f"{name} must be finite and not negative, got {value!r}")

    def __call__(self, index: object = None) -> Calibration:
        """This price list: one-shot designs have one price for every index."""
        del index
        return self

    def realism_for(self, perception: float) -> float:
        """Realism ``a = (1 - sqrt(P / C))+`` that meets a perception constraint ([T] eq. 41)."""
        p = check_perception(perception)
        if p >= self.transport_cost:
            return 0.0
        return 1.0 - math.sqrt(p / self.transport_cost)

    def perception_at(self, realism: float) -> float:
        """Bound ``(1 - a)^2 C`` on the squared W2 distance to the law of ``x_real``, the generator's own."""
        return (1.0 - check_realism(realism)) ** 2 * self.transport_cost

    def distortion_at(self, realism: float) -> float:
        """Mean squared error ``d + a^2 C`` at a realism."""
        return self.mmse + check_realism(realism) ** 2 * self.transport_cost

    def distortion_for(self, perception: float) -> float:
        """Mean squared error ``d + ((sqrt C - sqrt P)+)^2`` at a perception ([T] eq. 42)."""
        gap = math.sqrt(self.transport_cost) - math.sqrt(check_perception(perception))
        return self.mmse + max(0.0, gap) ** 2


def interpolate(x_mmse: Any, x_real: Any, realism: float) -> Any:
    """``(1 - a) x_mmse + a x_real`` for arrays of any library.

    The ends are exact: realism 0 returns ``x_mmse`` itself and realism 1 ``x_real`` itself.

    Raises:
        InvalidSetting: Realism outside [0, 1] or shapes that differ.
    """
    a = check_realism(realism)
    if getattr(x_mmse, "shape", None) != getattr(x_real, "shape", None):
        raise InvalidSetting(
            f"estimate and sample differ in shape: {x_mmse.shape} against {x_real.shape}"
        )
    if a == 0.0:
        return x_mmse
    if a == 1.0:
        return x_real
    return x_mmse + a * (x_real - x_mmse)
