"""Asymptotic universality ([T] IV-E): what an encoder that ignores perception costs a vector Gaussian.

Reverse water-filling against the joint optimum: as a limit, over ``(R, Rc, P)`` of one spectrum and over
random spectra, and as random codes of growing block length, measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from veridical.arrays import Array
from veridical.block.parallel import allocate_bits, vector_code
from veridical.limits import oblivious_distortion, vector_gaussian_distortion
from veridical.measure import mean_with_error
from veridical.studies.records import Record, Run
from veridical.studies.style import PALETTE, figure, save_figure, shades

SPECTRUM = (4.0, 1.0, 0.25, 0.05)
_TOLERANCE = 1e-6


@dataclass(frozen=True, kw_only=True)
class _Size:
    """Points of the map, of the curves, random spectra, block lengths of the law and of measured codes."""

    rates: tuple[float, ...]
    commons: tuple[float, ...]
    perceptions: int
    spectra: int
    law_lengths: tuple[int, ...]
    lengths: tuple[int, ...]
    blocks: int
    codebooks: int


_SIZES = {
    "quick": _Size(rates=(0.5, 1.0, 2.0), commons=(0.0, 1.0, 8.0), perceptions=3, spectra=6,
                   law_lengths=(4, 8), lengths=(4, 8), blocks=40, codebooks=4),
    "full": _Size(rates=tuple(np.linspace(0.125, 4.0, 32).tolist()),
                  commons=tuple(np.linspace(0.0, 8.0, 17).tolist()), perceptions=21, spectra=400,
                  law_lengths=(4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24), lengths=(4, 8, 12, 14),
                  blocks=60, codebooks=8),
}  # fmt: skip
_CURVES = (0.5, 2.0, 8.0)


def penalty(spectrum: Array, R: float, P: float, Rc: float) -> float:
    """``D`` of reverse water-filling over the least ``D``, less one, both with the best decoder."""
    # The middle of the bracket is within half its width; no less than 0 by definition.
    best = vector_gaussian_distortion(spectrum, R, P, Rc, tolerance=_TOLERANCE).distortion
    return max(0.0, oblivious_distortion(spectrum, R, P, Rc) / best - 1.0)


def compute(run: Run) -> Record:
    """Map over ``(R, Rc)`` at ``P = 0``, curves over ``P``, random spectra, codes."""
    size = _SIZES[run.preset]
    spectrum = np.array(SPECTRUM)
    rates, commons = np.array(size.rates), np.array(size.commons)
    P = np.linspace(0.0, 1.0, size.perceptions) ** 2 * 2.0
    steps = len(rates) + len(_CURVES) + 2

    grid = np.empty((len(commons), len(rates)))
    for j, R in enumerate(rates):
        grid[:, j] = [penalty(spectrum, float(R), 0.0, float(Rc)) for Rc in commons]
        run.progress(j + 1, steps)
    over_p = np.array([[penalty(spectrum, 1.0, float(p), Rc) for p in P] for Rc in _CURVES])
    cases = _random_cases(size.spectra)
    run.progress(steps - 1, steps)
    law, limit, measured = _codes(size)
    top = np.unravel_index(int(np.argmax(grid)), grid.shape)
    facts = {
        "spectrum": list(SPECTRUM),
        "known_case": penalty(spectrum, 1.0, 0.0, 8.0),
        "largest_on_the_map": {"penalty": float(grid[top]), "rate_bits": float(rates[top[1]]),
                               "common_bits": float(commons[top[0]])},
        "random_spectra": {"median": float(np.median(cases[:, 0])), "largest": float(np.max(cases[:, 0])),
                           "share_above_1_percent": float(np.mean(cases[:, 0] > 0.01)),
                           "share_above_5_percent": float(np.mean(cases[:, 0] > 0.05))},
        "largest_deviation_in_standard_errors": float(
            np.max(np.abs(measured[..., 0] - measured[..., 2]) / measured[..., 1])),
    }  # fmt: skip
    arrays = {
        "rates": rates, "commons": commons, "grid": grid, "P": P, "curves": np.array(_CURVES),
        "over_p": over_p, "cases": cases, "law_lengths": np.array(size.law_lengths), "law": law,
        "limit": limit, "lengths": np.array(size.lengths), "measured": measured,
    }  # fmt: skip
    return Record("asymptotic-universality", facts, arrays)


def _random_cases(count: int) -> Array:
    """Penalty, ``R``, ``Rc``, ``P``, and the spread ``log(l_max / l_min)`` of random cases, one a row.

    Two to six components, log-normal with deviation 1.5; ``R`` uniform on (0.1, 4) bits a vector, ``Rc``
    on (0, 8); ``P`` a uniform share of the cost at which it no longer binds, and 0 in half the cases.
    """
    rng = np.random.default_rng(3)
    out = np.empty((count, 5))
    for k in range(count):
        spectrum = np.exp(1.5 * rng.standard_normal(int(rng.integers(2, 7))))
        R, Rc = float(rng.uniform(0.1, 4.0)), float(rng.uniform(0.0, 8.0))
        share = 0.0 if k % 2 == 0 else float(rng.uniform())
        P = share * float(np.sum(spectrum)) * 2.0 ** (-2.0 * R / len(spectrum))
        out[k] = (
            penalty(spectrum, R, P, Rc), R, Rc, P, math.log(np.max(spectrum) / np.min(spectrum)),
        )  # fmt: skip
    return out


def _codes(size: _Size) -> tuple[Array, Array, Array]:
    """Random codes at ``R = 1``, ``P = 0``, unlimited common randomness: ``D`` per vector.

    Returns:
        Law, shape ``(2, lengths)``: reverse water-filling, joint. Limits, shape ``(2,)``. Measured,
        shape ``(2, lengths, 3)``: mean, error over codebooks, price list.
    """
    allocated = {
        n: [
            allocate_bits(SPECTRUM, n, n, math.inf, perception=None),
            allocate_bits(SPECTRUM, n, n, math.inf, perception=0.0),
        ]
        for n in sorted({*size.law_lengths, *size.lengths})
    }
    law = np.array(
        [[allocated[n][k].price.distortion_for(0.0) for n in size.law_lengths] for k in (0, 1)]
    )
    limit = np.array(
        [
            oblivious_distortion(SPECTRUM, 1.0, 0.0, math.inf),
            vector_gaussian_distortion(SPECTRUM, 1.0, 0.0, math.inf).distortion,
        ]
    )
    measured = np.empty((2, len(size.lengths), 3))
    for k in (0, 1):
        for j, n in enumerate(size.lengths):
            code = vector_code(allocated[n][k])
            values = []
            for s in range(size.codebooks):
                # The codebook is made from the seed: each seed is another one.
                rng = np.random.default_rng([n, s, 31])
                x = rng.standard_normal((size.blocks, n, len(SPECTRUM))) * np.sqrt(SPECTRUM)
                x_hat = code.decode(code.encode(x, seed=s), rng, seed=s)
                values.extend(np.mean(np.sum(np.square(x - x_hat), axis=2), axis=1))
            D = mean_with_error(values)
            measured[k, j] = D.value, D.standard_error, code.calibration(None).distortion_for(0.0)
    return law, limit, measured


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
        _draw_codes(fourth, a)
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


def _draw_codes(axes: Any, a: Any) -> None:
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
