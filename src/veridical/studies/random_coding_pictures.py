"""Pictures of the random codes, drawn from the record alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from veridical.studies.records import Record
from veridical.studies.style import PALETTE, figure, save_figure, shades

_HEIGHTS = (0.03, 0.05, 0.1, 0.2, 0.4)
_BARS = {"fmt": "o", "ms": 3.5, "mec": "white", "mew": 0.5, "capsize": 1.5, "elinewidth": 0.8}


def draw(record: Record, folder: Path) -> list[Path]:
    """Distortion over block length, over perception, and what one codebook's law lacks."""
    a, rate = record.arrays, record.facts["rate_bits"]
    with figure(4, width=3.5, height=3.2) as (drawn, (first, second, third, fourth)):
        _over_length(first, a)
        first.set(title=f"Distortion at $P=0$, $R = {rate:g}$", xlabel="block length $n$",
                  ylabel="distortion $D$ per sample")  # fmt: skip
        _over_perception(second, a)
        second.set(title="Along the knob, $R_c = 0.5$", xlabel="perception $P$ per sample (block)",
                   ylabel="distortion $D$ per sample")  # fmt: skip
        _law(third, a)
        third.set(title="The law of $X^-$ in one codebook", xlabel="block length $n$",
                  ylabel="bound on $W_2^2$ per sample")  # fmt: skip
        _trap(fourth, a)
        fourth.set(title="Block against single samples", xlabel="$(1-a)^2 C$, the price list",
                   ylabel="$W_2^2$ per sample, measured")  # fmt: skip
        return save_figure(drawn, folder, "random-coding")


def _name(common: float) -> str:
    return r"\infty" if np.isinf(common) else f"{common:g}"


def _over_length(axes: Any, a: Any) -> None:
    for k, Rc in enumerate(a["common"]):
        colour = PALETTE[k]
        axes.plot(a["curve"], a["law_at_zero"][k], color=colour, label=f"law, $R_c = {_name(Rc)}$")
        axes.axhline(a["limit_at_zero"][k], color=colour, ls="--", lw=0.9)
        at_full = a["measured"][k, :, -1]
        axes.errorbar(a["lengths"], at_full[:, 0], yerr=2 * at_full[:, 1], color=colour, **_BARS)
    axes.plot([], [], color="grey", ls="--", lw=0.9, label="limit")
    axes.set_xscale("log")
    axes.legend()


def _over_perception(axes: Any, a: Any) -> None:
    colours = shades(len(a["shown"]) + 1)
    for k, n in enumerate(a["shown"]):
        axes.plot(
            a["law_perception"][k], a["law_distortion"][k], color=colours[k], label=f"$n = {n:g}$"
        )
        points = a["measured"][1, int(np.flatnonzero(a["lengths"] == n)[0])]
        axes.errorbar(points[:, 3], points[:, 0], yerr=2 * points[:, 1], color=colours[k], **_BARS)
    axes.plot(a["limit_perception"], a["limit_distortion"], color="black", ls="--", label="limit")
    axes.legend()


def _law(axes: Any, a: Any) -> None:
    n = a["law_lengths"]
    for i, channel in enumerate(("sphere", "symbol")):
        for j, Rc in enumerate((0.0, 0.5)):
            upper, error = a["mismatch"][i, j, :, 1], a["mismatch"][i, j, :, 2]
            axes.errorbar(
                n * (1 + 0.02 * (2 * i + j)), 2 * upper / n, yerr=4 * error / n, color=PALETTE[i],
                **{**_BARS, "fmt": "o" if j == 0 else "s"}, label=f"{channel}, $R_c = {Rc:g}$",
            )  # fmt: skip
    fine = np.geomspace(n[0], n[-1], 50)
    axes.plot(fine, 0.5 / fine, color="grey", lw=1.0, label="$1/(2n)$")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(n, [f"{v:g}" for v in n])
    axes.set_yticks(_HEIGHTS, [f"{v:g}" for v in _HEIGHTS])
    axes.minorticks_off()
    axes.legend()


def _trap(axes: Any, a: Any) -> None:
    rows = a["block_perception"]
    top = 1.05 * rows[:, 0].max()
    axes.plot([0, top], [0, top], color="grey", lw=1.0, label="equality")
    axes.errorbar(
        rows[:, 0], rows[:, 1], yerr=2 * rows[:, 2], color=PALETTE[0], label="$n=2$: block", **_BARS
    )
    axes.errorbar(
        rows[:, 0],
        rows[:, 3],
        yerr=2 * rows[:, 4],
        color=PALETTE[1],
        label="$n=2$: single",
        **_BARS,
    )
    longer = a["single_perception"]
    axes.errorbar(
        longer[:, 0], longer[:, 1], yerr=2 * longer[:, 2], color=PALETTE[2],
        label="$n=12$: single", **_BARS,
    )  # fmt: skip
    axes.legend()
