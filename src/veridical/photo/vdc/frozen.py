"""The frozen tables of the latents: which row and offset a number is coded with.

A table holds the law of ``floor(x + o/16 + 1/2)`` for ``x`` with the spread of a row, for one of
the offsets ``o = 0 .. 8`` sixteenths; a negative offset is the mirror image. Rows of 8 steps and
more have one table for all offsets, since a shift by half a step costs them 0.003 bits at most.

All offsets together are the density of ``x`` plus uniform noise of one step, at every sixteenth of
a step (:func:`density`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array, Whole
from veridical.bitstream.tables import TableSet

OFFSETS = 9
UNIT = 16
"""Points are whole numbers of this part of a step."""
ROWS = 64
NARROW = 40
"""Rows below this have a table for each offset."""
N_TABLES = ROWS + (OFFSETS - 1) * NARROW
_OUTSIDE = 3e-4


def table_of(offset: Whole, rows: Whole) -> Whole:
    """The table of an offset (in 1/16, 0 to 8) and a row, elementwise."""
    return np.where((offset == 0) | (rows >= NARROW), rows, ROWS + (offset - 1) * NARROW + rows)


def offset_tables(cdf: Callable[[Array, float], Array], scales: Array) -> TableSet:
    """The tables of the module's head, from a law's distribution function.

    Args:
        cdf: ``cdf(x, scale)``, symmetric about 0.
        scales: Spread of each row, shape ``(64,)``.
    """
    laws: list[tuple[int, ArrayLike]] = []
    for offset in range(OFFSETS):
        for scale in scales[: None if offset == 0 else NARROW].tolist():
            nearest = int(np.ceil(3 * scale)) + 1
            tried = np.arange(nearest, 8 * nearest, dtype=np.float64)
            outside = 2 * cdf(-tried - 0.5, scale)
            reach = nearest + int(np.argmax(outside <= _OUTSIDE))
            values = np.arange(-reach, reach + 1, dtype=np.float64) - offset / UNIT
            law = cdf(values + 0.5, scale) - cdf(values - 0.5, scale)
            laws.append((-reach, np.append(law, max(1.0 - float(np.sum(law)), 0.0))))
    return TableSet.from_laws(laws)


def density(tables: TableSet, row: int, points: Whole) -> Whole:
    """Density of the row at points in sixteenths of a step, times 2^24; 0 outside its tables.

    Exact for rows with a table for each offset; linear between whole steps for the wider ones.
    """
    step, offset = -(-points // UNIT), -points % UNIT
    if row >= NARROW:
        low = _frequency(tables, np.full_like(points, row), step - 1)
        high = _frequency(tables, np.full_like(points, row), step)
        return offset * low + (UNIT - offset) * high
    mirrored = offset > UNIT // 2
    of = np.where(mirrored, UNIT - offset, offset)
    at = np.where(mirrored, 1 - step, step)
    return UNIT * _frequency(tables, table_of(of, np.full_like(of, row)), at)


def _frequency(tables: TableSet, t: Whole, values: Whole) -> Whole:
    """Frequency of a value in its table; 0 outside the table."""
    inside = (values >= tables.lows[t]) & (values <= tables.highs[t])
    place = tables.starts[t] + np.where(inside, values - tables.lows[t], 0)
    return np.where(inside, tables.frequencies[place], 0)
