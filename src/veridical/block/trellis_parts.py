"""Parts of a trellis code, fitted to samples: step and tables at a rate, and the generator."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from veridical.arrays import Array
from veridical.bitstream.trellis import ROW, TrellisCoder
from veridical.block.lattice_parts import norms_to_normal, sizes_to_samples
from veridical.errors import InvalidSetting
from veridical.estimate.lattice import OddMap
from veridical.generate.trellis import TrellisGenerator
from veridical.quantize.trellis import DITHER, Shifts, Trellis

if TYPE_CHECKING:
    from veridical.block.trellis import TrellisEncoder


_LEVELS = 513
_ROUNDS = 3
_TURNS = 9
_REACH = 8.5
_BEYOND = 1.25
"""Tables reach so many standard deviations, and so many times the greatest sample."""
_ENOUGH = 200
_LAGRANGIAN = 0.3
"""Squared steps per bit; from 0.15 to 0.5 the error at equal rate changes by less than 0.01 dB."""


def scaled_to_rate(
    make: Callable[[TrellisCoder, float, float], TrellisEncoder],
    trellis: Trellis,
    shifts: Shifts,
    x: Array,
    seed: int,
    rate_bits: float,
) -> TrellisEncoder:
    """The encoder whose numbers cost the rate on samples: regula falsi on the step, tables anew each time."""
    s = math.sqrt(float(np.mean(np.square(x))))
    most = float(np.max(np.abs(x)))
    where = np.arange(x.size)
    some = x[: min(x.size, 24 * ROW)]

    def coder_of(points: Array, places: NDArray[np.int64], step: float) -> TrellisCoder:
        reach = max(4, math.ceil(max(_REACH * s, _BEYOND * most) / step / 2) + 1)
        return TrellisCoder.from_points(trellis, shifts, reach, points / step, places)

    def fitted(log_step: float, sample: Array, rounds: int) -> tuple[TrellisEncoder, float]:
        step = 2.0**log_step
        # To begin with, numbers next to the samples: the law of p is near that of X.
        shift = shifts.steps(seed, sample.size) / shifts.fractions
        p = step * (np.rint(sample / step + shift) - shift)
        encoder = make(coder_of(p, where[: sample.size], step), step, _LAGRANGIAN)
        index = encoder.encode(sample, seed)
        for _ in range(rounds):
            coder = coder_of(encoder.points(index, seed), where[: sample.size], step)
            encoder = make(coder, step, encoder.lagrangian)
            index = encoder.encode(sample, seed)
        return encoder, encoder.coder.ideal_bits(index, seed) / sample.size

    at = math.log2(s * math.sqrt(2 * math.pi * math.e) / 2) - rate_bits
    low, high = None, None
    # The rate of samples is a rough function of the step; the nearest of a few tries is taken.
    best, miss = None, math.inf
    for turn in range(_TURNS):
        found, rate = fitted(at, some if turn < 3 else x, _ROUNDS)
        if turn >= 3 and abs(rate - rate_bits) < miss:
            best, miss = found, abs(rate - rate_bits)
        if miss < 5e-4 * max(1.0, rate_bits):
            break
        if rate > rate_bits:
            low = (at, rate)
        else:
            high = (at, rate)
        if low and high:
            share = (low[1] - rate_bits) / (low[1] - high[1]) if low[1] > high[1] else 0.5
            at = low[0] + min(max(share, 0.02), 0.98) * (high[0] - low[0])
        else:
            at += (rate - rate_bits) / min(1.0, max(0.3, rate_bits))
        if turn == 2:
            low = high = None
    if best is not None and miss < 0.02 * rate_bits:
        return best
    raise InvalidSetting(
        f"a trellis code of {trellis.states} states does not meet {rate_bits:g} bits on these samples; "
        "ask for another rate, or give more samples"
    )


def fitted_generator(
    encoder: TrellisEncoder,
    means: OddMap,
    x: Array,
    p: Array,
    s: float,
    rng: np.random.Generator,
    *,
    normal: bool,
) -> TrellisGenerator:
    """The generator of a code; see :mod:`veridical.generate.trellis`.

    Args:
        encoder: at its rate.
        means: of the estimator.
        x: samples of the source, shape ``(n,)``.
        p: their points.
        s: standard deviation of the source.
        rng: for the virtual encoding.
        normal: whether the samples are known to be; otherwise their own quantiles count.
    """
    shifts, step = encoder.coder.shifts, encoder.step
    unit, tables = step / shifts.fractions, None
    if shifts.fractions < DITHER:
        points = math.ceil(max(_REACH * s, _BEYOND * float(np.max(np.abs(x)))) / unit) + 2
        if not shifts.shifted:
            tables = _decision_regions(x, p, unit, points)[None]
        else:
            tables = _virtual_cells(encoder, p, s, points, rng)
    start = TrellisGenerator(
        means,
        unit,
        tables,
        shifts.period,
        shifts.shifted,
        OddMap(np.array([0.0, 1.0]), np.array([0.0, 1.0]), by_coordinate=True),
    )
    drawn = start.drawn(p, rng)
    to_source = (
        norms_to_normal(drawn[:, None], x[:, None], shaped=False)
        if normal
        else sizes_to_samples(drawn, x)
    )
    return replace(start, to_source=to_source)


def _decision_regions(x: Array, p: Array, unit: float, points: int) -> Array:
    """Quantiles of the source given each point, of the code itself, shape ``(points, levels)``."""
    level = np.linspace(0.0, 1.0, _LEVELS)
    k = np.rint(np.abs(p) / unit).astype(np.int64)
    along = np.where(p < 0, -x, x)
    order = np.argsort(k, kind="stable")
    ends = np.searchsorted(k[order], np.arange(points + 1))
    common = np.quantile((along - np.abs(p))[k > 0], level)
    out: Array = np.asarray(unit * np.arange(points)[:, None] + common, dtype=np.float64)
    for j in range(points):
        mine = along[order[ends[j] : ends[j + 1]]]
        if mine.size >= _ENOUGH:
            out[j] = np.quantile(np.concatenate([mine, -mine]) if j == 0 else mine, level)
    return out


def _virtual_cells(
    encoder: TrellisEncoder, p: Array, s: float, points: int, rng: np.random.Generator
) -> Array:
    """Quantiles of ``beta (p + e)``, ``e`` in the cell of all cosets, shape ``(classes, points, levels)``."""
    coder, step = encoder.coder, encoder.step
    cells = _residuals(coder, rng) * step
    moment, spread = float(np.mean(np.square(cells))), float(np.mean(np.square(p)))
    beta = s / math.sqrt(max(spread - moment, 0.25 * spread))
    levels = _LEVELS if coder.shifts.fractions == 1 else _LEVELS // 32 + 1
    level = np.linspace(0.0, 1.0, levels)
    out = np.empty((coder.classes, points, levels))
    for group in range(coder.classes):
        e = np.sort(cells[group])
        for j in range(points):
            at = j * step / coder.shifts.fractions + e
            weight = np.cumsum(np.exp(-0.5 * (np.square(beta * at) - (beta * at[0]) ** 2) / s**2))
            out[group, j] = beta * np.interp(level, weight / weight[-1], at)
    return out


def _residuals(coder: TrellisCoder, rng: np.random.Generator) -> Array:
    """``e`` in steps where all cosets together code an even source, shape ``(classes, n)``."""
    shifts = coder.shifts
    if shifts.shifted == shifts.period:
        return ((np.arange(2000) + 0.5) / 2000 - 0.5)[None] / shifts.fractions
    n = -(-ROW // shifts.period) * shifts.period
    y = 4 * rng.random((n, 16)).astype(np.float32)
    away = (y[:, None] - np.arange(4, dtype=np.float32)[:, None] + 2) % 4 - 2
    # A shifted place may take the number below as well.
    other = np.roll(away, -1, axis=1)
    moved = (np.arange(n) % shifts.period < shifts.shifted)[:, None, None]
    away = np.where(moved & (np.abs(other) < np.abs(away)), other, away)
    subset = coder.trellis.cheapest(np.square(away))
    e = np.take_along_axis(away, subset[:, None], axis=1)[:, 0].astype(np.float64)
    shifted = e[moved[:, 0, 0]].ravel()
    plain = e[~moved[:, 0, 0]].ravel()
    # Even numbers of each class, by its own quantiles.
    level = (np.arange(4000) + 0.5) / 4000
    return np.stack([np.quantile(c, level) for c in (shifted, plain)])
