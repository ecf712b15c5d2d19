"""Pictures of asymptotic universality, drawn from the record alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from veridical.studies.records import Record
from veridical.studies.style import PALETTE, figure, save_figure, shades


def draw(record: Record, folder: Path) -> list[Path]:
    """The penalty over ``(R, Rc)``, over ``P``, over random spectra, and of measured codes."""
    a = record.arrays
    with figure(4, width=3.5, height=3.2) as (drawn, (first, second, third, fourth)):
        filled = first.contourf(
            a["rates"], a["commons"], 100 * a["grid"], levels=10, cmap="viridis_r"
        )
        first.set(xlabel="rate $R$ (bits per vector)", ylabel="common randomness $R_c$ (bits per vector)",
                  title="Penalty in percent at $P=0$")  # fmt: skip
        drawn.colorbar(filled, ax=first)
        for y, Rc, colour in zip(a["over_p"], a["curves"], shades(len(a["curves"])), strict=True):
            second.plot(a["P"], 100 * y, color=colour, label=f"$R_c = {Rc:g}$")
        second.set(xlabel="perception $P$ per vector", ylabel="penalty in percent", title="$R = 1$",
                   ylim=(0, None))  # fmt: skip
        second.legend()
        _spectra(third, a)
        _codes(fourth, a)
        return save_figure(drawn, folder, "asymptotic-universality")


def _spectra(axes: Any, a: Any) -> None:
    """Share of random cases above a penalty, by the amount of common randomness."""
    value, common, perception = a["cases"][:, 0], a["cases"][:, 2], a["cases"][:, 3]
    groups = (
        (perception == 0, "$P = 0$"),
        ((perception == 0) & (common > 4), "$P = 0$, $R_c > 4$"),
        (perception > 0, "$P > 0$"),
    )
    for k, (chosen, label) in enumerate(groups):
        sorted_values = np.sort(np.maximum(100 * value[chosen], 1e-4))
        above = 100 * (1.0 - np.arange(len(sorted_values)) / max(len(sorted_values), 1))
        axes.step(sorted_values, above, where="post", color=PALETTE[k], label=label)
    axes.set_xscale("log")
    axes.set(xlabel="penalty in percent", ylabel="percent of cases above it", xlim=(1e-2, 40),
             ylim=(0, 100), title="Random spectra")  # fmt: skip
    axes.legend()


def _codes(axes: Any, a: Any) -> None:
    for k, label in enumerate(("reverse water-filling", "joint")):
        colour = PALETTE[k]
        axes.plot(a["law_lengths"], a["law"][k], color=colour, label=label)
        axes.axhline(a["limit"][k], color=colour, ls="--", lw=0.9)
        axes.errorbar(
            a["lengths"] + 0.15 * (2 * k - 1), a["measured"][k, :, 0], yerr=2 * a["measured"][k, :, 1],
            fmt="o", ms=3.5, color=colour, mec="white", mew=0.5, capsize=1.5, elinewidth=0.8,
        )  # fmt: skip
    axes.plot([], [], color="grey", ls="--", lw=0.9, label="limits")
    axes.set(xlabel="block length $n$", ylabel="distortion $D$ per vector",
             title=r"Random codes: $R=1$, $R_c=\infty$, $P=0$")  # fmt: skip
    axes.legend()
