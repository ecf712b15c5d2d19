"""Picture of [T] Fig. 11, drawn from its record alone."""

from __future__ import annotations

from pathlib import Path

from veridical.studies.records import Record
from veridical.studies.style import PALETTE, grid, save_figure

_COLOURS = {
    "interpolation": PALETTE[0],
    "time sharing": PALETTE[1],
    "nearest first": PALETTE[2],
    "limited steps": PALETTE[2],
}
_BEST = {
    "kl": "best jointly Gaussian pair",
    "w1": "best for this encoder",
    "circle-tv": "best for this encoder",
    "circle-w1": "best for this encoder",
}


def draw_t11(record: Record, folder: Path) -> list[Path]:
    """One panel for each measure and source; bars are two standard errors each way.

    The dotted line is what two samples of the source measure.
    """
    a, panels = record.arrays, record.facts["panels"]
    with grid(2, 3, width=3.3, height=2.8) as (drawn, rows):
        for axes, name in zip(rows.ravel(), record.facts["order"], strict=True):
            facts = panels[name]
            for way in facts["lines"]:
                P, D = a[f"{name}; line; {way}"]
                if way == "optimum":
                    axes.plot(P, D, color="black", lw=3.2, alpha=0.28, label=_BEST[name])
                else:
                    axes.plot(P, D, color=_COLOURS[way], lw=1.2)
            for way in facts["ways"]:
                _, P, P_error, D, D_error = a[f"{name}; points; {way}"]
                axes.errorbar(P, D, xerr=2 * P_error, yerr=2 * D_error, fmt="o", ms=3.5, label=way,
                              color=_COLOURS[way], mec="white", mew=0.5, elinewidth=0.8)  # fmt: skip
            axes.axvline(max(facts["same_law"], 0.0), color="#888888", ls=":", lw=0.9)
            axes.set(xlim=(0, None), title=facts["title"])
            axes.legend(fontsize=7)
        for axes in rows[-1]:
            axes.set_xlabel("perception $P$")
        for axes in rows[:, 0]:
            axes.set_ylabel("distortion $D$ (squared error)")
        return save_figure(drawn, folder, "t11")
