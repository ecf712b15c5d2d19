"""Pictures of the comparison of generators, drawn from its record alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veridical.interpolate import Calibration
from veridical.studies.records import Record
from veridical.studies.style import PALETTE, grid, save_figure

_COLOURS = dict(
    zip(
        ("posterior", "plan", "flow", "reflow 1", "reflow 2", "reflow 3"),
        (PALETTE[1], PALETTE[0], PALETTE[3], PALETTE[5], PALETTE[4], PALETTE[2]),
        strict=True,
    )
)
_LINES_SHOWN = 250


def _part(record: Record, source: str, code: str, name: str) -> NDArray[np.float64]:
    return record.arrays[f"{source}; {code}; {name}"]


def draw_generators(record: Record, folder: Path) -> list[Path]:
    """Three pictures: transport costs, D against P, and where the generators send the estimates."""
    return [*_costs(record, folder), *_curves(record, folder), *_gallery(record, folder)]


def _costs(record: Record, folder: Path) -> list[Path]:
    """``C`` of every generator between the lines ``W2^2`` and ``d``; bars are two standard errors.

    The dashes are ``W2^2`` to the law that the generator makes, the least that its ``C`` could be.
    """
    sources, codes, names = (record.facts[k] for k in ("sources", "codes", "generators"))
    with grid(len(codes), len(sources), width=2.5, height=2.4) as (drawn, panels):
        for row, code in zip(panels, codes, strict=True):
            for axes, source in zip(row, sources, strict=True):
                facts = record.facts["table"][f"{source}; {code}"]
                cost, law = (_part(record, source, code, k) for k in ("cost", "law"))
                axes.plot(range(len(names)), law[:, 0], "_", ms=15, mew=1.2, color="#777777",
                          label="$W_2^2$ to its own law")  # fmt: skip
                axes.axhline(facts["mmse"][0], color="black", ls="--", lw=1.0, label="$d$")
                axes.axhline(facts["w2_squared"][1], color="black", lw=1.0, label="$W_2^2$")
                for k, (name, (C, error)) in enumerate(zip(names, cost, strict=True)):
                    axes.errorbar(
                        k, C, yerr=2 * error, fmt="o", ms=4, color=_COLOURS[name], capsize=2
                    )
                    below = facts["w2_squared"][1] > C
                    axes.annotate(f"{C:.3f}", (k, C), xytext=(0, -6 if below else 5), ha="center",
                                  va="top" if below else "bottom", textcoords="offset points",
                                  fontsize=6.5)  # fmt: skip
                axes.set(xlim=(-0.6, len(names) - 0.4), ylim=(0, 1.25 * float(np.max(cost[:, 0]))),
                         title=f"{source}, {code}")  # fmt: skip
                axes.set_xticks(range(len(names)), names, rotation=40, ha="right", fontsize=7)
                axes.grid(visible=False, axis="x")
            row[0].set_ylabel(r"cost $C = E|\tilde X - \bar X|^2$")
        panels[0][0].legend(loc="lower left", fontsize=7)
        return save_figure(drawn, folder, "generators")


def _curves(record: Record, folder: Path) -> list[Path]:
    """``d + ((sqrt C - sqrt P)+)^2`` as lines, measured distortion and perception as points."""
    sources, codes, names = (record.facts[k] for k in ("sources", "codes", "generators"))
    chosen = [name for name in names if name in ("posterior", "plan", "flow", names[-1])]
    with grid(len(codes), len(sources), width=2.6, height=2.5) as (drawn, panels):
        for row, code in zip(panels, codes, strict=True):
            for axes, source in zip(row, sources, strict=True):
                facts = record.facts["table"][f"{source}; {code}"]
                d = facts["mmse"][0]
                measured, cost = (_part(record, source, code, k) for k in ("measured", "cost"))
                for name in chosen:
                    k = names.index(name)
                    price = Calibration(d, float(cost[k, 0]))
                    P = np.square(np.linspace(0.0, np.sqrt(1.15 * cost[:, 0].max()), 200))
                    D = [price.distortion_for(float(p)) for p in P]
                    axes.plot(P, D, color=_COLOURS[name], lw=1.2, label=name)
                    points = measured[k].T
                    axes.errorbar(points[2], points[0], xerr=2 * points[3], yerr=2 * points[1],
                                  fmt="o", ms=3, color=_COLOURS[name], mec="white", mew=0.4,
                                  elinewidth=0.7)  # fmt: skip
                axes.axvline(facts["same_law"], color="#888888", ls=":", lw=0.9)
                axes.set(xlim=(0, None), title=f"{source}, {code}")
            row[0].set_ylabel("distortion $D$")
        for axes in panels[-1]:
            axes.set_xlabel("perception $P$ (squared $W_2$)")
        panels[0][-1].legend()
        return save_figure(drawn, folder, "generators-curves")


def _gallery(record: Record, folder: Path) -> list[Path]:
    """Lines from estimates to generated samples, for the code with common randomness."""
    sources, names = record.facts["sources"], record.facts["generators"]
    code = record.facts["codes"][-1]
    chosen = [name for name in ("posterior", "flow", names[-1], "plan") if name in names]
    with grid(len(chosen), len(sources), width=2.2, height=2.2) as (drawn, panels):
        for row, name in zip(panels, chosen, strict=True):
            for axes, source in zip(row, sources, strict=True):
                x_mmse = _part(record, source, code, "x_mmse")[:_LINES_SHOWN]
                x_real = _part(record, source, code, "x_real")[names.index(name)][:_LINES_SHOWN]
                axes.plot(*np.stack([x_mmse, x_real]).transpose(2, 0, 1), color=_COLOURS[name],
                          lw=0.35, alpha=0.55)  # fmt: skip
                axes.plot(*x_real.T, ".", ms=2, color="#333333")
                axes.plot(*np.unique(x_mmse, axis=0).T, "o", ms=4, color="black", mec="white")
                axes.set(xticks=[], yticks=[])
                axes.set_aspect("equal", adjustable="datalim")
                axes.grid(visible=False)
            row[0].set_ylabel(name)
        for axes, source in zip(panels[0], sources, strict=True):
            axes.set_title(f"{source}, {code}")
        return save_figure(drawn, folder, "generators-gallery")
