"""Pictures of the lattice studies, drawn from their records alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from veridical.studies.records import Record
from veridical.studies.style import PALETTE, figure, save_figure, shades


def draw_gaussian_codes(record: Record, folder: Path) -> list[Path]:
    """One panel for each (R, Rc): D over P; lines predicted, points measured, the limit in black."""
    rows, a = record.facts["codes"], record.arrays
    settings = list(dict.fromkeys((row["R"], row["Rc"]) for row in rows))
    names = list(dict.fromkeys(row["name"] for row in rows))
    others = {"random": PALETTE[1], "group": PALETTE[3]}
    lattices = [name for name in names if name not in others]
    colours = dict(zip(lattices, shades(len(lattices)), strict=True)) | others
    with figure(len(settings), width=3.3, height=3.6) as (drawn, panels):
        for axes, (R, Rc) in zip(panels, settings, strict=True):
            mine = [i for i, row in enumerate(rows) if (row["R"], row["Rc"]) == (R, Rc)]
            for i in mine:
                colour = colours[rows[i]["name"]]
                P, root = a["P"][i], np.sqrt(a["transport_cost"][i])
                fine = np.linspace(0.0, P[-1], 200)
                line = a["mmse"][i] + np.maximum(root - np.sqrt(fine), 0.0) ** 2
                axes.plot(
                    fine,
                    line,
                    color=colour,
                    lw=1.1,
                    label=rows[i]["name"],
                    ls="--" if rows[i]["name"] in others else "-",
                )
                axes.errorbar(P, a["measured"][i], 2 * a["standard_error"][i], color=colour,
                              ls="", marker="o", ms=3)  # fmt: skip
            least = 2.0 ** (-2.0 * R)
            P = a["P"][mine[0]]
            cost = a["limit"][mine[0]][0] - least
            fine = np.linspace(0.0, P[-1], 200)
            curve = least + np.maximum(np.sqrt(cost) - np.sqrt(fine), 0.0) ** 2
            axes.plot(fine, curve, color=PALETTE[6], lw=2.0, label="limit")
            common = "\\infty" if Rc == "inf" else f"{Rc:g}"
            axes.set(xlabel="perception $P$ a dimension", title=f"$R = {R:g}$, $R_c = {common}$")
        panels[0].set(ylabel="distortion $D$ a dimension")
        drawn.legend(
            *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(names) + 1
        )
        return save_figure(drawn, folder, "gaussian-codes")


def _cells(axes: Any, centres: Any, corners: Any, **style: Any) -> None:
    from matplotlib.collections import PolyCollection

    axes.add_collection(PolyCollection(centres[:, None, :] + corners[None, :-1, :], **style))


def draw_nested_chain(record: Record, folder: Path) -> list[Path]:
    """The chain with its cosets by colour; two of its quantizers; one code at work."""
    a, facts = record.arrays, record.facts
    points, coset = a["points"], a["coset"].astype(int)
    with figure(3, width=3.6, height=3.9) as (drawn, (left, middle, right)):
        _cells(left, points, a["cell3"], facecolors="none", edgecolors="#cccccc", linewidths=0.5)
        for s in range(facts["cosets"]):
            own = points[coset == s]
            left.plot(*own.T, ls="", marker="o", ms=3, color=PALETTE[s % 6])
        left.plot(*a["cell1"].T, color=PALETTE[6], lw=1.5)
        left.set(title="$L_3$, cosets of $L_2$ by colour,\nthe cell of $L_1$")
        for s in (0, 3):
            own = points[coset == s]
            _cells(
                middle, own, a["cell2"], facecolors="none", edgecolors=PALETTE[s], linewidths=1.0
            )
            middle.plot(*own.T, ls="", marker="o", ms=3, color=PALETTE[s])
        middle.plot(*a["cell1"].T, color=PALETTE[6], lw=1.5)
        middle.set(title="two of the four quantizers:\ntheir cells")
        drawn_coset = a["drawn_coset"].astype(int)
        _cells(right, points, a["cell3"], facecolors="none", edgecolors="#dddddd", linewidths=0.5)
        for k in range(40):
            colour = PALETTE[drawn_coset[k] % 6]
            right.plot(*np.stack([a["x"][k], a["p"][k]]).T, color=colour, lw=0.6)
            right.plot(*np.stack([a["x_mmse"][k], a["x_real"][k]]).T, color=colour, lw=0.6, ls=":")
        colours = [PALETTE[s % 6] for s in drawn_coset[:40]]
        right.scatter(*a["x"][:40].T, s=8, c=colours, marker="x", label="source")
        right.scatter(*a["x_mmse"][:40].T, s=9, c=colours, label="estimate")
        right.scatter(
            *a["x_real"][:40].T, s=9, facecolors="none", edgecolors=colours, label="sample"
        )
        right.plot(*a["cell1"].T, color=PALETTE[6], lw=1.5)
        right.set(title="40 blocks, each coded by the\nquantizer that its seed picks")
        right.legend(loc="lower right", frameon=True, framealpha=0.9, labelcolor="black")
        reach = 1.15 * float(np.max(np.abs(a["cell1"])))
        for axes in (left, middle, right):
            axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
            axes.grid(visible=False)
        return save_figure(drawn, folder, "t10")
