"""What a one-shot design minimises, and the price of a candidate.

    J = d + ((W2 - sqrt P)+)^2 + lambda H(Z|S)                                  ([T] eqs 40, 44, 45)

``d = E|X - X~|^2`` with ``X~ = E[X | Z, S]``, and ``W2`` between the source and the law of ``X~``.
Without a perception the design is MMSE first: ``J = d + W2^2 / 10 + lambda H``, whose minimum has a
``d`` at most 10 % above the least (because ``W2^2 <= d`` for the MMSE codebooks), and spends the
freedom that is left, such as a rotation of the codebooks, on realism.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from veridical.arrays import Array
from veridical.errors import InvalidSetting
from veridical.estimate import cell_error, seeded_means
from veridical.interpolate import check_perception
from veridical.quantize import CodebookEncoder, cell_entropy_bits
from veridical.transport import Plan, exact_plan

# Less would drown in the sampling noise of d: 0.7 % between rotations, on 4,000 samples of a circle.
_MMSE_FIRST = 0.1


@dataclass(frozen=True)
class Objective:
    """``J`` of the module.

    Attributes:
        perception: ``P``, squared units; ``None`` for the MMSE-first design.
        lagrangian: ``lambda``, squared units per bit; 0 for codes of fixed length.
    """

    perception: float | None = None
    lagrangian: float = 0.0

    def __post_init__(self) -> None:
        if self.perception is not None:
            check_perception(self.perception)
        if not (math.isfinite(self.lagrangian) and self.lagrangian >= 0):
            raise InvalidSetting(f"lambda must be 0 or more, got {self.lagrangian!r}")

    def value(self, mmse: float, w2_squared: float, entropy_bits: float) -> float:
        """``J``, squared units."""
        rate = self.lagrangian * entropy_bits
        if self.perception is None:
            return mmse + _MMSE_FIRST * w2_squared + rate
        return mmse + max(0.0, math.sqrt(w2_squared) - math.sqrt(self.perception)) ** 2 + rate

    def realism(self, w2_squared: float) -> float:
        """``dJ / dW2^2``: 1/10 for MMSE first, else ``a = (1 - sqrt(P) / W2)+`` ([T] eq. 39)."""
        if self.perception is None:
            return _MMSE_FIRST
        if self.perception >= w2_squared:
            return 0.0
        return 1.0 - math.sqrt(self.perception / w2_squared)


@dataclass(frozen=True)
class Problem:
    """Samples for cells and means, and a subset of them (or all) for the plan.

    Attributes:
        x, weights: shapes ``(n, d)`` and ``(n,)``; the weights sum to 1.
        plan_x, plan_weights: likewise.
    """

    x: Array = field(repr=False)
    weights: Array = field(repr=False)
    plan_x: Array = field(repr=False)
    plan_weights: Array = field(repr=False)


@dataclass(frozen=True)
class Candidate:
    """An encoder with what it costs on a problem.

    Attributes:
        encoder: cells.
        means, masses: ``E[X|z,s]``, shape ``(K, M, d)``, and ``P(z|s)``, shape ``(K, M)``.
        mmse, w2_squared, entropy_bits: ``d``, ``W2^2(p_X, p_X~)`` and ``H(Z|S)``.
        plan: the optimal plan from the plan samples to the cells with mass.
        value: ``J``.
    """

    encoder: CodebookEncoder
    means: Array = field(repr=False)
    masses: Array = field(repr=False)
    mmse: float
    w2_squared: float
    entropy_bits: float
    plan: Plan = field(repr=False)
    value: float


def judge(encoder: CodebookEncoder, problem: Problem, objective: Objective) -> Candidate:
    """Means, masses, plan and price of an encoder.

    Raises:
        NotConverged: the plan was not found.
    """
    K, M, d = encoder.sites.shape
    means, masses = seeded_means(problem.x, problem.weights, encoder)
    mmse = cell_error(problem.x, problem.weights, means, masses)
    used = masses.ravel() > 0
    plan = exact_plan(
        problem.plan_x, means.reshape(K * M, d)[used],
        x_weights=problem.plan_weights, y_weights=masses.ravel()[used] / K,
    )  # fmt: skip
    entropy = cell_entropy_bits(masses)
    value = objective.value(mmse, plan.cost, entropy)
    return Candidate(encoder, means, masses, mmse, plan.cost, entropy, plan, value)
