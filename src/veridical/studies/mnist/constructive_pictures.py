"""Pictures of the constructive route on digits, from its record alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from veridical.studies.mnist.codebooks import largest_codebook
from veridical.studies.mnist.pairs_pictures import digit_sheet, note
from veridical.studies.records import Record
from veridical.studies.style import PALETTE, figure, grid, save_figure

__all__ = ["draw_constructive"]

_COLUMNS = 3
_TICKS = tuple(m * 10.0**k for k in range(-4, 5) for m in (1, 2, 5))


def draw_constructive(record: Record, folder: Path) -> list[Path]:
    """D against Frechet distance at every rate, both routes; and digits from the codewords at 2 bits."""
    a, f = record.arrays, record.facts
    codes = {name: a["codes"][:, k] for k, name in enumerate(f["code_columns"])}
    plain = np.flatnonzero((codes["seeds"] == 1) & (codes["dithered"] == 0))
    plain = plain[np.argsort(codes["rate_bits"][plain])]
    columns = min(_COLUMNS, len(plain))
    with grid(-(-len(plain) // columns), columns, width=3.4, height=2.9) as (drawn, panels):
        for axes, i in zip(panels.flat, plain, strict=False):
            _panel(axes, record, codes, int(i))
        for axes in panels.flat[len(plain) :]:
            axes.set_axis_off()
        handles, names = panels.flat[0].get_legend_handles_labels()
        drawn.legend(handles, names, loc="outside lower center", ncols=3, fontsize=7)
        drawn.suptitle(note(record), fontsize=7)
        paths = save_figure(drawn, folder, "constructive-mnist")
    rows = a["from_codewords"]
    with figure(width=6.0, height=0.5 + 0.46 * len(rows)) as (drawn, (axes,)):
        digit_sheet(axes, rows, [f"codeword {z + 1}" for z in range(len(rows))], f["side"])
        axes.set_title("the estimate, then digits drawn from it at realism 1", fontsize=8)
        return paths + save_figure(drawn, folder, "constructive-mnist-digits")


def _panel(axes: Any, record: Record, codes: dict[str, Any], i: int) -> None:
    """One rate: the pairs, the knob with one codebook and with more, and d and 2d."""
    a, f = record.arrays, record.facts
    at = f["measures"].index("frechet")
    column = {name: a["pairs"][:, k] for k, name in enumerate(f["columns"])}
    same = (codes["dim"] == codes["dim"][i]) & (codes["levels"] == codes["levels"][i])
    own = (column["dim"] == codes["dim"][i]) & (column["levels"] == codes["levels"][i])
    axes.errorbar(
        column["frechet"][own], column["squared"][own], yerr=2 * column["squared_error"][own],
        xerr=2 * column["frechet_error"][own], fmt="s", ms=4, color=PALETTE[1], elinewidth=0.7,
        label="pairs, one training each",
    )  # fmt: skip
    colour = iter((PALETTE[0], PALETTE[2], PALETTE[3], PALETTE[4]))
    for k in np.flatnonzero(same):
        kind = "dither" if codes["dithered"][k] else f"K = {codes['seeds'][k]:g}"
        shade = next(colour)
        for j, (generator, line) in enumerate(zip(f["generators"], ("-", "--"), strict=True)):
            curve = a["curves"][k, j]
            axes.errorbar(
                curve[:, at, 0], curve[:, 0, 0], xerr=2 * curve[:, at, 1], yerr=2 * curve[:, 0, 1],
                fmt=f"o{line}", ms=2.5, lw=1.0, color=shade, elinewidth=0.6,
                label=f"one encoder, {kind}, {generator}",
            )  # fmt: skip
    _codebook(axes, record, float(codes["rate_bits"][i]))
    d = codes["mmse"][i]
    for factor, name in ((1, "$d$"), (2, "$2d$")):
        axes.axhline(factor * d, color="black", lw=0.8, ls=":")
        axes.annotate(
            name, (0.02, factor * d), xycoords=("axes fraction", "data"), fontsize=7,
            xytext=(0, 2), textcoords="offset points",
        )  # fmt: skip
    axes.set(
        xlabel="Frechet distance on classifier features", ylabel="squared error $D$",
        title=f"{codes['rate_bits'][i]:.3g} bits", xscale="log",
    )  # fmt: skip
    low, high = axes.get_xlim()
    ticks = [tick for tick in _TICKS if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)


def _codebook(axes: Any, record: Record, rate: float) -> None:
    """The knob of the largest single codebook of at most this rate, which needs no network."""
    a, f = record.arrays, record.facts
    at = f["measures"].index("frechet")
    i = largest_codebook(a["codebooks"], rate)
    if i is None:
        return
    bits, curve = a["codebooks"][i, 0], a["codebook_curves"][i]
    axes.errorbar(
        curve[:, at, 0], curve[:, 0, 0], xerr=2 * curve[:, at, 1], yerr=2 * curve[:, 0, 1],
        fmt="^-", ms=3, lw=1.0, color="black", elinewidth=0.6, label="one codebook, no network",
    )  # fmt: skip
    if bits < rate - 1e-6:
        axes.annotate(
            f"codebook of {bits:.3g} bits", (curve[-1, at, 0], curve[-1, 0, 0]), fontsize=7,
            xytext=(4, 4), textcoords="offset points",
        )  # fmt: skip
