"""A finite source with its distortion, and the normal form that the solver works on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.arrays import Array
from veridical.errors import InvalidSetting
from veridical.limits.checks import constraint, cost_matrix, law
from veridical.limits.divergence import Divergence, SquaredWasserstein, TotalVariation
from veridical.limits.family import SmoothFamily

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class FiniteSource:
    """A source of ``n`` symbols and the distortion of ``m`` reconstructions.

    Attributes:
        law: ``p_i``, shape ``(n,)``; zeros allowed; sums to 1 within 1e-9.
        distortion: ``d_ij``, shape ``(n, m)``, rows index the source; not negative, in any unit;
            ``inf`` forbids a pair. The diagonal may be anything.

    Raises:
        InvalidSetting: not a law, NaN, negative entries, or shapes that do not fit.
    """

    law: ArrayLike = field(compare=False)
    distortion: ArrayLike = field(compare=False)

    def __post_init__(self) -> None:
        p, d = law(self.law), cost_matrix(self.distortion, "distortion")
        if d.shape[0] != p.size:
            raise InvalidSetting(
                f"{p.size} source symbols, but the distortion has {d.shape[0]} rows; rows index the source"
            )
        object.__setattr__(self, "law", p)
        object.__setattr__(self, "distortion", d)

    @property
    def p(self) -> Array:
        """The law as an array."""
        return np.asarray(self.law, dtype=np.float64)

    @property
    def d(self) -> Array:
        """The distortion as an array."""
        return np.asarray(self.distortion, dtype=np.float64)


@dataclass(frozen=True)
class NormalForm:
    """The same problem without zero rows, with row minima taken off and units divided out.

    Attributes:
        p: positive source law, shape ``(n,)``.
        d: shape ``(n, m)``, each row has a zero; ``inf`` forbids.
        distortion: ``D`` in the unit of ``d``.
        perception: ``P``: of ``cost``, of ``family``, or total variation; ``inf`` for none.
        target: what the output law is compared with, shape ``(m,)``, if it has its own.
        same: whether the output law must equal ``target``.
        cost: transport cost of shape ``(n, m)``, if that is the measure.
        family: the smooth measure, if it is one.
        rows, columns: which symbols of the source problem these are.
        d_unit, p_unit: units of distortion and perception.
        d_floor: the least distortion of any channel onto ``columns``, in the unit of the source.
        d_noise, c_noise: rounding of ``distortion`` and ``perception``, in the units of ``d`` and ``cost``.
    """

    p: Array
    d: Array
    distortion: float
    perception: float
    target: Array | None
    same: bool
    cost: Array | None
    family: SmoothFamily | None
    rows: Indices
    columns: Indices
    d_unit: float
    p_unit: float
    d_floor: float
    d_noise: float
    c_noise: float

    def on_alphabets(self, source: FiniteSource, channel: Array) -> Array:
        """A channel of this form on the alphabets of its source.

        Symbols without probability reconstruct like the first one that has some.
        """
        out = np.zeros(source.d.shape)
        out[:, self.columns] = channel[0]
        out[np.ix_(self.rows, self.columns)] = channel
        return out


def _relative(
    matrix: Array, p: Array, bound: float, name: str
) -> tuple[Array, float, float, float]:
    """Rows minus their minima over the mean entry, the bound likewise, the unit, the rounding."""
    least = np.min(matrix, axis=1)
    floor = float(p @ least)
    rest = bound - floor
    if rest < 0 and rest > -1e-13 * floor:
        rest = 0.0
    if rest < 0:
        raise InvalidSetting(
            f"no channel has {name} {bound!r}: the least possible is {floor!r}; ask for that or more"
        )
    shifted = matrix - least[:, None]
    if rest == 0.0:
        # Only the best pairs may be used; with them alone the constraint holds by itself.
        return np.where(shifted > 0, np.inf, 0.0), 1.0, 1.0, 0.0
    finite = np.isfinite(shifted)
    top = float(np.max(shifted, where=finite, initial=0.0))
    means = np.mean(np.where(finite, shifted, 0.0), axis=1)
    unit = float(p @ means) or top or 1.0
    # Differences of entries are rounded relative to themselves; the mean of the minima is not.
    noise = 2.3e-16 * (p.size + 4) * floor / unit
    # A bound above every entry says nothing; a finite one keeps the arithmetic finite.
    return shifted / unit, min(rest, 2.0 * top + unit) / unit, unit, noise


def _only_choice(cost: Array, p: Array) -> Array | None:
    """The output law if the transport cost leaves each row one column, else nothing."""
    allowed = np.isfinite(cost)
    if np.any(np.sum(allowed, axis=1) != 1):
        return None
    return np.bincount(np.argmax(allowed, axis=1), p, cost.shape[1]).astype(np.float64)


def normal_form(  # noqa: C901, PLR0912 (one branch per kind of measure, side by side)
    source: FiniteSource, distortion: float, perception: float, divergence: Divergence | None
) -> NormalForm:
    """Validate the constraints and reduce the problem.

    Raises:
        InvalidSetting: a constraint is negative or NaN, below what any channel reaches, or the shapes
            do not suit the divergence.
    """
    D, P = constraint(distortion, "distortion"), constraint(perception, "perception")
    rows = np.flatnonzero(source.p > 0)
    p, d = source.p[rows], source.d[rows]
    columns = np.arange(d.shape[1])
    target: Array | None = None
    cost: Array | None = None
    family: SmoothFamily | None = None
    same, p_unit, c_noise = False, 1.0, 0.0
    if divergence is None or math.isinf(P):
        P = math.inf
    elif isinstance(divergence, SquaredWasserstein):
        cost = divergence.matrix
        if cost.shape != source.d.shape:
            raise InvalidSetting(
                f"the cost has shape {cost.shape} and the distortion {source.d.shape}; they must agree"
            )
        cost, P, p_unit, c_noise = _relative(cost[rows], p, P, "perception")
        target = _only_choice(cost, p)
        if target is not None:
            same, cost = True, None
    else:
        if source.d.shape[0] != source.d.shape[1]:
            raise InvalidSetting(
                f"this divergence compares two laws on one alphabet, but the distortion has shape "
                f"{source.d.shape}; make it square or use a transport cost"
            )
        target, same = source.p, P == 0.0
        if not isinstance(divergence, TotalVariation):
            family, P = divergence.family(), divergence.inner(P)
            if math.isinf(P) and not family.needs_source_mass:
                family, target = None, None
        elif P >= 1.0:
            P, target = math.inf, None
    if target is not None and (same or (family is not None and family.needs_source_mass)):
        columns = np.flatnonzero(target > 0)
    d = d[:, columns]
    target = None if target is None else target[columns]
    if np.any(np.all(np.isinf(d), axis=1)):
        raise InvalidSetting("the distortion allows a source symbol no reconstruction; relax it")
    floor = float(p @ np.min(d, axis=1))
    d, D, d_unit, d_noise = _relative(d, p, D, "distortion")
    usable = ~np.all(np.isinf(d), axis=0)
    if cost is not None:
        usable &= ~np.all(np.isinf(cost), axis=0)
    if target is not None and np.any(target[~usable] > 0):
        raise InvalidSetting(
            "these constraints forbid a reconstruction that the source law asks for; relax the "
            "distortion constraint a little or replace infinite distortions by large ones"
        )
    return NormalForm(
        p, d[:, usable], D, P, None if target is None else target[usable], same,
        None if cost is None else cost[:, usable], family, rows, columns[usable],
        d_unit, p_unit, floor, d_noise, c_noise,
    )  # fmt: skip
