"""Pictures of the theory figures, drawn from their records alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from veridical.studies.records import Record
from veridical.studies.style import PALETTE, figure, save_figure, shades


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
