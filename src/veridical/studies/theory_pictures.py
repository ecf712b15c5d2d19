"""Pictures of the theory figures, drawn from their records alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from veridical.studies.records import Record
from veridical.studies.style import PALETTE, figure, save_figure, shades

__all__ = ["draw_bm3", "draw_bm4", "draw_bm5", "draw_t6", "draw_t8"]


def draw_bm3(record: Record, folder: Path) -> list[Path]:
    """The surface as level sets, with the thresholds D1 and D2."""
    a = record.arrays
    with figure(width=5.0, height=3.6) as (drawn, (axes,)):
        levels = np.arange(0.0, 0.5, 0.05)
        filled = axes.contourf(a["D"], a["P"], a["rate_bits"], levels=levels, cmap="viridis_r")
        lines = axes.contour(
            a["D"], a["P"], a["rate_bits"], levels=levels[1:], colors="white", linewidths=0.5
        )
        axes.clabel(lines, fontsize=7, fmt="%.2f")
        below = a["P"] < record.facts["p"]
        axes.plot(
            a["D1"][below],
            a["P"][below],
            color=PALETTE[1],
            label="$D_1$: perception is free to the left",
        )
        axes.plot(
            a["D2"][below],
            a["P"][below],
            color=PALETTE[6],
            ls="--",
            label="$D_2$: rate is zero to the right",
        )
        axes.set(xlabel="distortion $D$ (Hamming)", ylabel="perception $P$ (total variation)",
                 xlim=(0, 0.2), ylim=(0, 0.12), title=f"$R(D, P)$ of Bernoulli({record.facts['p']:g})")  # fmt: skip
        axes.legend(
            loc="upper right", labelcolor="black", facecolor="white", frameon=True, framealpha=0.85
        )
        drawn.colorbar(filled, ax=axes, label="rate (bits per symbol)")
        return save_figure(drawn, folder, "bm3")


def _family(axes: Any, x: Any, curves: Any, values: Any, label: str) -> None:
    for y, value, colour in zip(curves, values, shades(len(values)), strict=True):
        axes.plot(x, y, color=colour, label=f"${label} = {value:g}$")
    axes.legend(loc="upper right", ncols=2 if len(values) > 4 else 1)


def draw_bm4(record: Record, folder: Path) -> list[Path]:
    """Three panels: rate over distortion, rate over perception, distortion over perception."""
    a = record.arrays
    with figure(3, width=3.4, height=3.0) as (drawn, (left, middle, right)):
        _family(left, a["D"], a["rate_over_d"], a["fixed_p"], "P")
        left.set(
            xlabel="distortion $D$", ylabel="rate (bits per symbol)", title="(a) fixed perception"
        )
        _family(middle, a["P"], a["rate_over_p"], a["fixed_d"], "D")
        middle.set(
            xlabel="perception $P$", ylabel="rate (bits per symbol)", title="(b) fixed distortion"
        )
        _family(right, a["P"], a["d_over_p"], a["fixed_r"], "R")
        right.set(xlabel="perception $P$", ylabel="distortion $D$", title="(c) fixed rate")
        for axes in (left, middle, right):
            # Head room for the legend, which has no free corner otherwise.
            top = 1.0 if axes is left else 1.45
            axes.set_xlim(left=0)
            axes.set_ylim(0, top * axes.get_ylim()[1])
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
