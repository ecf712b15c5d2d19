"""Pictures of the group codes, from their record alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from veridical.interpolate import Calibration
from veridical.studies.records import Record
from veridical.studies.style import PALETTE, figure, save_figure

_TITLES = {"bernoulli": "Bernoulli(0.3)", "gaussian": "Gaussian, 33 levels"}


def draw_group_codes(record: Record, folder: Path) -> list[Path]:
    """Approach to the limit, ``D`` over ``P`` of the largest codes, and the law of the blocks."""
    rows = record.facts["rows"]
    with figure(4, width=3.7, height=3.4) as (drawn, axes):
        _approach(axes[0], record, rows)
        for axis, source in zip(axes[1:3], _TITLES, strict=True):
            _curves(axis, record, rows, source)
        _block_law(axes[3], record, rows)
        return save_figure(drawn, folder, "group-codes")


def _approach(axis: Any, record: Record, rows: list[dict[str, Any]]) -> None:
    """Decibels of ``d`` above the limit against the states, random codes at equal bits beside them."""
    families: dict[tuple[str, int, str], list[tuple[int, float]]] = {}
    for row in rows:
        shaped = ", shaped" if row["shaping_bits"] else ""
        families.setdefault((row["source"], row["p"], shaped), []).append(
            (row["states"], row["mmse_gap_db"])
        )
    for k, ((source, p, shaped), points) in enumerate(families.items()):
        best = sorted(dict(points).items())
        axis.plot(
            *zip(*best, strict=True),
            "o-",
            ms=4,
            color=PALETTE[k],
            label=f"{source}, $p = {p}${shaped}",
        )
    for k, source in enumerate(_TITLES):
        code = record.arrays[f"random_{source}"]
        limit = next(row["mmse_limit"][1] for row in rows if row["source"] == source)
        rate = next(row["rate_bits"] for row in rows if row["source"] == source)
        gap = 10 * np.log10(code[:, 1] / limit)
        error = 2 * 10 / np.log(10) * code[:, 2] / code[:, 1]
        axis.errorbar(
            2.0 ** np.round(code[:, 0] * rate), gap, yerr=error, fmt="s--", ms=3, lw=0.9,
            color=("0.35", "0.65")[k], label=f"{source}, random code",
        )  # fmt: skip
    axis.set_xscale("log", base=2)
    axis.axhline(0, color="black", lw=0.8)
    axis.set(
        xlabel="states searched, or words of the random code",
        ylabel="$d$ above $D(R)$ (dB)",
        title="Approach to the limit",
        ylim=(-0.1, 4.6),
    )
    axis.legend(loc="upper right")


def _curves(axis: Any, record: Record, rows: list[dict[str, Any]], source: str) -> None:
    """Price lists as lines, measured points on them, limits as short bars at ``P = 0`` and in the middle."""
    chosen = [(k, row) for k, row in enumerate(rows) if row["source"] == source]
    widest = max(row["states"] for _, row in chosen if _several(row, chosen))
    chosen = [(k, row) for k, row in chosen if row["states"] == widest]
    chosen.sort(key=lambda item: item[1]["common_bits"])
    realism = record.arrays["realism"]
    for colour, (k, row) in zip(PALETTE, chosen, strict=False):
        price = Calibration(row["mmse"], row["transport_cost"])
        P = np.linspace(0, 1.15 * price.transport_cost, 60)
        axis.plot(P, [price.distortion_for(float(v)) for v in P], color=colour,
                  label=f"$R_c = {row['common_bits']:.2f}$")  # fmt: skip
        measured = record.arrays["knob"][k]
        axis.errorbar(
            [price.perception_at(float(a)) for a in realism], measured[:, 0],
            yerr=2 * measured[:, 1], fmt="o", ms=3, color=colour, mec="white", mew=0.4,
            capsize=1.5, elinewidth=0.8,
        )  # fmt: skip
        for name in ("real", "middle"):
            low, high = row[f"{name}_limit"]
            axis.plot(2 * [row[f"{name}_perception"]], [low, high], "-", lw=4, alpha=0.35,
                      color=colour, solid_capstyle="butt")  # fmt: skip
            axis.plot(row[f"{name}_perception"], high, "_", ms=9, mew=1.6, color=colour)
    axis.axhline(chosen[0][1]["mmse_limit"][1], color="black", lw=0.8, ls=":", label="$D(R)$")
    rate = chosen[0][1]["rate_bits"]
    axis.set(
        xlabel="perception $P$ (per symbol)", ylabel="distortion $D$ (squared error)",
        title=f"{_TITLES[source]}, $R = {rate:.2f}$, {widest} states",
    )  # fmt: skip
    axis.legend(title="bars: $D(R, R_c, P)$")


def _several(row: dict[str, Any], chosen: list[tuple[int, dict[str, Any]]]) -> bool:
    """Whether the same code was measured at several amounts of common randomness, if any was."""
    counts = [sum(r["states"] == other["states"] for _, other in chosen) for _, r in chosen]
    mine = sum(row["states"] == other["states"] for _, other in chosen)
    return mine == max(counts)


def _block_law(axis: Any, record: Record, rows: list[dict[str, Any]]) -> None:
    """Tests of blocks at full realism: deviation from the source's value, two standard errors long."""
    law = record.arrays["block_law"]
    names = record.facts["block_law"][1:4]
    for j, name in enumerate(names):
        value = law[:, j + 1, 0] - law[:, j + 1, 2]
        axis.errorbar(
            np.arange(len(rows)) + 0.22 * (j - 1), value, yerr=2 * law[:, j + 1, 1], fmt="o",
            ms=3, color=PALETTE[j], elinewidth=0.8, label=name,
        )  # fmt: skip
    axis.axhline(0, color="black", lw=0.8)
    axis.set(xlabel="row of the table", ylabel="deviation from the source",
             title="Law of the blocks at realism 1")  # fmt: skip
    # Head room for the legend.
    low, high = axis.get_ylim()
    axis.set_ylim(low, high + 0.35 * (high - low))
    axis.legend(loc="upper right")
