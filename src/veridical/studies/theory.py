"""The theory figures of the source papers: [BM] 3, 4a-c, 5 and [T] 6, 8, as records.

[T] 6 and 8 also hold measurements of the real circle codec, to be set beside the formula.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veridical.limits import (
    bernoulli_distortion,
    bernoulli_rate_bits,
    bernoulli_thresholds,
    circle_distortion,
    circle_mmse,
    circle_w2_squared,
    gaussian_rate_bits,
)
from veridical.measure import mean_with_error
from veridical.oneshot.circle import circle_codec
from veridical.sources.circle import circle_samples
from veridical.studies.records import Record
from veridical.studies.style import PALETTE, figure, save_figure, shades

_P_ONE = 0.1
_POINTS = np.array([0.0, 0.02, 0.08, 0.16, 0.28, 0.42, 0.56])
_SAMPLES = 50_000


def _simulate(codes: NDArray[np.float64]) -> tuple[dict[str, NDArray[np.float64]], float]:
    """Distortion of the real codec at every ``_POINTS`` for each row ``(M, K)``.

    Returns:
        ``points`` (perception asked for), ``measured`` and ``standard_error``, shape
        ``(codes, points)``; and the largest deviation from [T] eq. 26 in standard errors.
    """
    value, error = np.empty((len(codes), len(_POINTS))), np.empty((len(codes), len(_POINTS)))
    for i, (outputs, seeds) in enumerate(codes):
        codec = circle_codec(int(outputs), float(seeds) if np.isinf(seeds) else int(seeds))
        for j, P in enumerate(_POINTS):
            rng = np.random.default_rng([int(outputs), i, j])
            x = circle_samples(_SAMPLES, rng)
            seed = int(rng.integers(1 << 62))
            index = codec.encode(x, seed=seed)
            x_hat = codec.decode(index, rng, perception=float(P), seed=seed)
            D = mean_with_error(np.sum(np.square(x - x_hat), axis=1))
            value[i, j], error[i, j] = D.value, D.standard_error
    formula = circle_distortion(codes[:, :1], _POINTS[None, :], codes[:, 1:])
    deviation = float(np.max(np.abs(value - formula) / error))
    return {"points": _POINTS, "measured": value, "standard_error": error}, deviation


def bm3() -> Record:
    """[BM] Fig. 3: ``R`` over ``D`` of Bernoulli(0.1) at several ``P``, and Shannon's curve."""
    D = np.linspace(0.0, 0.2, 401)
    fixed_p = np.array([0.0, 0.01, 0.02, 0.04, 0.06])
    curves = bernoulli_rate_bits(_P_ONE, D[None, :], fixed_p[:, None])
    shannon = bernoulli_rate_bits(_P_ONE, D, np.inf)
    first, second = bernoulli_thresholds(_P_ONE, fixed_p)
    # Where the perception is free, up to D1, the curve is Shannon's own.
    apart = float(np.max(np.abs(np.where(first[:, None] >= D, curves - shannon, 0.0))))
    facts = {"p": _P_ONE, "distance_from_shannon_before_d1": apart}
    return Record(
        "bm3",
        facts,
        {
            "D": D,
            "fixed_p": fixed_p,
            "rate_over_d": curves,
            "shannon_bits": shannon,
            "D1": first,
            "D2": second,
        },
    )


def bm4() -> Record:
    """[BM] Fig. 4: (a) the surface with lines of equal rate, (b) ``P`` over ``D``, (c) ``R`` over ``P``."""
    D, P = np.linspace(0.0, 0.2, 201), np.linspace(0.0, 0.1, 101)
    fixed_d = np.array([0.02, 0.05, 0.08, 0.1, 0.15])
    fixed_r = np.array([0.05, 0.1, 0.15, 0.2, 0.3])
    rate = bernoulli_rate_bits(_P_ONE, D[None, :], P[:, None])
    arrays = {
        "D": D, "P": P, "fixed_d": fixed_d, "fixed_r": fixed_r, "rate_bits": rate,
        "d_over_p": bernoulli_distortion(_P_ONE, fixed_r[:, None], P[None, :]),
        "rate_over_p": bernoulli_rate_bits(_P_ONE, fixed_d[:, None], P[None, :]),
    }  # fmt: skip
    # Convex along both axes ([BM] Theorem 1): the least second difference is no less than rounding.
    bend = min(float(np.min(np.diff(rate, 2, axis=k))) for k in (0, 1))
    price = arrays["d_over_p"][:, 0] / arrays["d_over_p"][:, -1]
    facts = {"p": _P_ONE, "price_of_equal_laws": price.tolist(), "least_second_difference": bend}
    return Record("bm4", facts, arrays)


def bm5() -> Record:
    """[BM] Fig. 5: squared error, ``R(D, 0) <= R(D/2, inf)`` (Theorem 2), for the Gaussian.

    With ``P`` from nothing to equality of laws the curve moves up, never above the curve of half the
    distortion: twice the distortion always buys perfect perception at the same rate.
    """
    D = np.linspace(0.02, 2.0, 397)
    fixed_p = np.array([0.0, 0.01, 0.04, 0.16])
    arrays = {
        "D": D, "fixed_p": fixed_p,
        "rate_bits": gaussian_rate_bits(D[None, :], fixed_p[:, None]),
        "shannon_bits": gaussian_rate_bits(D, np.inf),
        "bound_bits": gaussian_rate_bits(D / 2, np.inf),
    }  # fmt: skip
    slack = float(np.min(arrays["bound_bits"] - arrays["rate_bits"][0]))
    return Record("bm5", {"source": "N(0,1)", "least_slack_bits": slack}, arrays)


def t6() -> Record:
    """[T] Fig. 6: ``D(P)`` on the circle at one bit, with 1, 2 and unlimited seeds: formula and simulation."""
    P = np.linspace(0.0, 0.7, 351)
    seeds = np.array([1.0, 2.0, np.inf])
    D = circle_distortion(2, P[None, :], seeds[:, None])
    points, deviation = _simulate(np.column_stack([np.full(3, 2.0), seeds]))
    facts = {
        "outputs": 2,
        "at_zero": D[:, 0].tolist(),
        "samples": _SAMPLES,
        "largest_deviation_in_standard_errors": deviation,
    }
    return Record("t6", facts, {"P": P, "seeds": seeds, "D": D, **points})


def t8() -> Record:
    """[T] Figs 7, 8: a bit of seed against a bit of information, and dithering, on the circle."""
    P = np.linspace(0.0, 0.7, 351)
    codes = np.array([[2.0, 1.0], [2.0, 2.0], [2.0, np.inf], [4.0, 1.0]])
    D = circle_distortion(codes[:, :1], P[None, :], codes[:, 1:])
    points, deviation = _simulate(codes)
    facts = {
        "samples": _SAMPLES,
        "largest_deviation_in_standard_errors": deviation,
        "mmse": circle_mmse(codes[:, 0]).tolist(),
        "w2_squared": circle_w2_squared(codes[:, 0], codes[:, 1]).tolist(),
        "information_always_better": bool(np.all(D[3] <= D[:3])),
    }
    return Record("t8", facts, {"P": P, "codes": codes, "D": D, **points})


def _family(axes: Any, x: Any, curves: Any, values: Any, label: str) -> None:
    for y, value, colour in zip(curves, values, shades(len(values)), strict=True):
        axes.plot(x, y, color=colour, label=f"${label} = {value:g}$")


def draw_bm3(record: Record, folder: Path) -> list[Path]:
    """Rate over distortion at several perceptions; Shannon's curve is dashed."""
    a = record.arrays
    with figure(width=4.6, height=3.4) as (drawn, (axes,)):
        _family(axes, a["D"], a["rate_over_d"], a["fixed_p"], "P")
        axes.plot(
            a["D"], a["shannon_bits"], color="black", ls="--", label=r"$P = \infty$ (Shannon)"
        )
        axes.set(xlabel="distortion $D$ (Hamming)", ylabel="rate $R$ (bits per symbol)",
                 xlim=(0, 0.2), ylim=(0, 0.5), title=f"$R(D, P)$ of Bernoulli({record.facts['p']:g}), total variation")  # fmt: skip
        axes.legend()
        return save_figure(drawn, folder, "bm3")


def draw_bm4(record: Record, folder: Path) -> list[Path]:
    """Three panels: the surface with lines of equal rate, P over D at fixed rates, R over P at fixed distortions."""
    a = record.arrays
    with figure(3, width=3.5, height=3.3) as (drawn, (left, middle, right)):
        place = left.get_subplotspec()
        left.remove()
        solid = drawn.add_subplot(place, projection="3d")
        x, y = np.meshgrid(a["D"], a["P"])
        solid.plot_surface(
            x, y, a["rate_bits"], cmap="viridis", alpha=0.75, linewidth=0, rcount=60, ccount=60
        )
        solid.contour(x, y, a["rate_bits"], levels=a["fixed_r"], colors="black", linewidths=0.9)
        solid.set(
            xlabel="$D$",
            ylabel="$P$",
            zlabel="$R$ (bits)",
            title="(a) $R(D, P)$, lines of equal rate",
        )
        solid.set_xticks([0.0, 0.1, 0.2])
        solid.set_yticks([0.0, 0.05, 0.1])
        solid.view_init(elev=24, azim=50)
        solid.set_box_aspect(None, zoom=0.85)
        for d, value, colour in zip(
            a["d_over_p"], a["fixed_r"], shades(len(a["fixed_r"])), strict=True
        ):
            middle.plot(d, a["P"], color=colour, label=f"$R = {value:g}$")
        middle.set(
            xlabel="distortion $D$",
            ylabel="perception $P$",
            title="(b) fixed rate",
            xlim=(0, 0.2),
            ylim=(0, 0.1),
        )
        _family(right, a["P"], a["rate_over_p"], a["fixed_d"], "D")
        right.set(xlabel="perception $P$", ylabel="rate $R$ (bits per symbol)", title="(c) fixed distortion",
                  xlim=(0, 0.1), ylim=(0, None))  # fmt: skip
        for axes in (middle, right):
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3, columnspacing=1.0)
        return save_figure(drawn, folder, "bm4")


def draw_bm5(record: Record, folder: Path) -> list[Path]:
    """Rate over distortion between Shannon's curve and the curve of half the distortion."""
    a = record.arrays
    with figure(width=4.6, height=3.4) as (drawn, (axes,)):
        _family(axes, a["D"], a["rate_bits"], a["fixed_p"], "P")
        axes.plot(a["D"], a["shannon_bits"], color="black", label=r"$P = \infty$ (Shannon)")
        axes.plot(
            a["D"], a["bound_bits"], color=PALETTE[1], ls="--", label=r"$R(D/2, \infty)$: Theorem 2"
        )
        axes.legend()
        axes.set(xlabel="distortion $D$ (squared error)", ylabel="rate (bits per sample)",
                 xlim=(0, 2), ylim=(0, 2.5), title=r"$R(D, 0) \leq R(D/2, \infty)$: the Gaussian")  # fmt: skip
        return save_figure(drawn, folder, "bm5")


def _measurements(axes: Any, arrays: Any, k: int) -> None:
    """Points of the simulation on curve ``k``; the bars are two standard errors long each way."""
    axes.errorbar(
        arrays["points"], arrays["measured"][k], yerr=2 * arrays["standard_error"][k],
        fmt="o", ms=3.5, color=PALETTE[k], mec="white", mew=0.5, capsize=1.5, elinewidth=0.8,
    )  # fmt: skip


def draw_t6(record: Record, folder: Path) -> list[Path]:
    """One curve per number of seeds; points are the real codec's."""
    a = record.arrays
    with figure(width=4.6, height=3.4) as (drawn, (axes,)):
        for k, (seeds, D) in enumerate(zip(a["seeds"], a["D"], strict=True)):
            name = r"\infty" if np.isinf(seeds) else f"{seeds:g}"
            axes.plot(a["P"], D, color=PALETTE[k], label=f"$K = {name}$")
            _measurements(axes, a, k)
        axes.set(xlabel="perception $P$ (squared $W_2$)", ylabel="distortion $D$ (squared error)",
                 xlim=(0, 0.7), title="Unit circle, one bit: common randomness")  # fmt: skip
        axes.legend()
        return save_figure(drawn, folder, "t6")


def draw_t8(record: Record, folder: Path) -> list[Path]:
    """A bit of information lies below a bit of seed everywhere; points are the real codec's."""
    a = record.arrays
    with figure(width=4.6, height=3.4) as (drawn, (axes,)):
        for k, ((outputs, seeds), D) in enumerate(zip(a["codes"], a["D"], strict=True)):
            name = r"\infty" if np.isinf(seeds) else f"{seeds:g}"
            axes.plot(a["P"], D, color=PALETTE[k], label=f"$M = {outputs:g}$, $K = {name}$")
            _measurements(axes, a, k)
        axes.set(xlabel="perception $P$ (squared $W_2$)", ylabel="distortion $D$ (squared error)",
                 xlim=(0, 0.7), ylim=(0, None), title="Unit circle: a bit of seed or of information")  # fmt: skip
        axes.legend()
        return save_figure(drawn, folder, "t8")
