"""Figures of the encoder-decoder pairs and of the constructive route, from their records alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veridical.studies.mnist.codebooks import largest_codebook
from veridical.studies.records import Record
from veridical.studies.style import PALETTE, figure, grid, save_figure, shades

_LEVELS = 5
_GRID_DIGITS = 5
_COLUMNS = 3
_TICKS = tuple(m * 10.0**k for k in range(-4, 5) for m in (1, 2, 5))


def _columns(record: Record, name: str = "table") -> dict[str, NDArray[np.float64]]:
    return {c: record.arrays[name][:, k] for k, c in enumerate(record.facts["columns"])}


def _note(record: Record) -> str:
    """One line that says where a figure comes from."""
    f = record.facts
    missing = len(f.get("missing", ()))
    left = f", {missing} rows not trained" if missing else ""
    return (
        f"{f['source']}, preset {f['preset']}: {f['digits']:,} digits, "
        f"{f['epochs'][0]}+{f['epochs'][1]} epochs{left}"
    )


def _digit_sheet(axes: Any, pictures: NDArray[Any], names: list[str], side: int) -> None:
    """Rows of digits, with a name beside each row."""
    rows, columns = pictures.shape[:2]
    tiles = pictures.reshape(rows, columns, side, side)
    sheet = np.pad(tiles, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=128)
    sheet = sheet.transpose(0, 2, 1, 3).reshape(rows * (side + 2), columns * (side + 2))
    axes.imshow(255 - sheet, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="equal")
    axes.set_yticks([(k + 0.5) * (side + 2) for k in range(rows)], names)
    axes.set_xticks([])
    axes.tick_params(length=0, labelsize=7)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _plain_ticks(axes: Any) -> None:
    """Whole numbers along an axis of logarithms, which the powers of ten crowd."""
    low, high = axes.get_xlim()
    ticks = [tick for tick in _TICKS if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)


def _scatter(axes: Any, c: dict[str, NDArray[np.float64]], x: str, y: str) -> None:
    """One line per rate through its pairs, with two standard errors each way."""
    rates = np.unique(c["rate_bits"])
    for rate, colour in zip(rates, shades(len(rates)), strict=True):
        own = np.flatnonzero(c["rate_bits"] == rate)
        own = own[np.argsort(c["weight"][own])]
        axes.errorbar(
            c[x][own], c[y][own], xerr=2 * c[f"{x}_error"][own], yerr=2 * c[f"{y}_error"][own],
            fmt="o-", ms=3.5, lw=1.0, color=colour, mec="white", mew=0.4, elinewidth=0.7,
            label=f"{rate:.3g} bits",
        )  # fmt: skip


def _grid_sheet(axes: Any, record: Record, name: str = "grid") -> None:
    """Shannon's curve and two of equal perception side by side, a row for each rate, the highest first."""
    facts, grid = record.facts[name], record.arrays[name][:, :, :_GRID_DIGITS]
    curves, rates = len(facts["curves"]), len(facts["rates"])
    blocks = np.concatenate([grid[1:, ::-1], grid[:1, :1].repeat(curves, axis=0)], axis=1)
    sheet = blocks.transpose(1, 0, 2, 3).reshape(rates + 1, curves * _GRID_DIGITS, -1)
    names = [f"{rate:.3g} bits" for rate in facts["rates"][::-1]]
    _digit_sheet(axes, sheet, [*names, "original"], record.facts["side"])
    width = _GRID_DIGITS * (record.facts["side"] + 2)
    for k, curve in enumerate(facts["curves"]):
        axes.text((k + 0.5) * width, -2, curve, ha="center", va="bottom", fontsize=7)
        axes.axvline(k * width - 0.5, color="white", lw=3 if k else 0)


def _scatter_and_digits(record: Record, folder: Path, y: str, label: str, title: str) -> list[Path]:
    with figure(2, width=4.6, height=3.8) as (drawn, (left, right)):
        _scatter(left, _columns(record), "w1", y)
        left.set(
            xlabel="perception: $W_1$ by a critic trained to convergence, on test digits", ylabel=label, title=title
        )  # fmt: skip
        left.legend(ncols=2, fontsize=7)
        _grid_sheet(right, record)
        drawn.suptitle(_note(record), fontsize=7)
        return save_figure(drawn, folder, record.study)


def draw_bm6(record: Record, folder: Path) -> list[Path]:
    """Scatter of perception and distortion, a line per rate, and digits along three curves."""
    return _scatter_and_digits(
        record, folder, "squared", "distortion $D$ (squared error per digit)",
        "Pairs trained with $|x-\\hat x|^2 + \\lambda W_1$",
    )  # fmt: skip


def draw_bm8(record: Record, folder: Path) -> list[Path]:
    """The same with the deep-feature distortion."""
    return _scatter_and_digits(
        record, folder, "deep", "distortion with deep features", "Pairs trained with deep features"
    )


def draw_bm7(record: Record, folder: Path) -> list[Path]:
    """Three cuts through the lower hull of the measured points."""
    a, c = record.arrays, _columns(record)
    rates, P, surface = a["rates"], a["P"], a["surface"]
    with figure(3, width=3.5, height=3.1) as (drawn, (left, middle, right)):
        least = float(np.min(c["w1"]))
        levels = least + np.linspace(0.1, 0.9, _LEVELS) * (P[-1] - least)
        for level, colour in zip(levels, shades(_LEVELS), strict=True):
            at = int(np.argmin(np.abs(P - level)))
            left.plot(
                rates, surface[:, at], "o-", ms=3, color=colour, label=f"$P \\leq {level:.2g}$"
            )
        left.set(xlabel="rate (bits)", ylabel="distortion $D$", title="(a) at fixed perception")
        floor = np.nanmin(surface)
        for level, colour in zip(
            np.linspace(1.1, 2.0, _LEVELS) * floor, shades(_LEVELS), strict=True
        ):
            reached = surface <= level
            first = np.where(reached.any(axis=1), P[np.argmax(reached, axis=1)], np.nan)
            middle.plot(rates, first, "o-", ms=3, color=colour, label=f"$D \\leq {level:.3g}$")
        middle.set(xlabel="rate (bits)", ylabel="perception $P$", title="(b) at fixed distortion")
        for rate, row, colour in zip(rates, surface, shades(len(rates)), strict=True):
            right.plot(P, row, color=colour, label=f"{rate:.3g} bits")
            own = c["rate_bits"] == rate
            right.plot(c["w1"][own], c["squared"][own], "o", ms=3, color=colour)
        right.set(xlabel="perception $P$", ylabel="distortion $D$", title="(c) at fixed rate")
        for axes in (left, middle, right):
            axes.legend(fontsize=6.5)
        drawn.suptitle(_note(record), fontsize=7)
        return save_figure(drawn, folder, "bm7")


def draw_bm9(record: Record, folder: Path) -> list[Path]:
    """Digits of pairs of both kinds."""
    with figure(2, width=4.6, height=3.8) as (drawn, panels):
        for axes, name, kind in zip(
            panels, ("squared_grid", "grid"), ("squared error", "deep features"), strict=True
        ):
            _grid_sheet(axes, record, name)
            axes.set_title(f"trained with {kind}", fontsize=8, pad=14)
        drawn.suptitle(_note(record), fontsize=7)
        return save_figure(drawn, folder, "bm9")


def draw_bm10(record: Record, folder: Path) -> list[Path]:
    """Frechet distance on the classifier's features against either distortion, for both kinds."""
    kinds = (("squared_table", "squared error"), ("deep_table", "deep features"))
    with figure(2, width=4.2, height=3.4) as (drawn, panels):
        for axes, y, label in zip(
            panels, ("squared", "deep"), ("squared error", "distortion with deep features"), strict=True
        ):  # fmt: skip
            for (name, kind), marker, colour in zip(kinds, "os", PALETTE, strict=False):
                c = _columns(record, name)
                axes.errorbar(
                    c["frechet"], c[y], xerr=2 * c["frechet_error"], yerr=2 * c[f"{y}_error"],
                    fmt=marker, ms=4, color=colour, elinewidth=0.7, label=f"trained with {kind}",
                )  # fmt: skip
                for k in np.flatnonzero(c["weight"] == 0):
                    axes.annotate(
                        f"{c['rate_bits'][k]:.2g}", (c["frechet"][k], c[y][k]), fontsize=6,
                        xytext=(3, 3), textcoords="offset points",
                    )  # fmt: skip
            axes.set(xlabel="Frechet distance on classifier features", ylabel=label, xscale="log")
            _plain_ticks(axes)
            axes.legend(fontsize=7)
        drawn.suptitle(_note(record) + "; numbers: bits at $\\lambda = 0$", fontsize=7)
        return save_figure(drawn, folder, "bm10")


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
        drawn.suptitle(_note(record), fontsize=7)
        paths = save_figure(drawn, folder, "constructive-mnist")
    rows = a["from_codewords"]
    with figure(width=6.0, height=0.5 + 0.46 * len(rows)) as (drawn, (axes,)):
        _digit_sheet(axes, rows, [f"codeword {z + 1}" for z in range(len(rows))], f["side"])
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
        curve = a["curves"][k]
        axes.errorbar(
            curve[:, at, 0], curve[:, 0, 0], xerr=2 * curve[:, at, 1], yerr=2 * curve[:, 0, 1],
            fmt="o-", ms=2.5, lw=1.0, color=next(colour), elinewidth=0.6,
            label=f"one encoder, {kind}",
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
    _plain_ticks(axes)


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
