"""[BM] Figs 6 to 10: encoder-decoder pairs on digits, as records.

Each record holds a table of the pairs with distortion, measures of perception with their standard errors
and the bits that the coder takes, and small pictures of ten test digits. Perception is ``W1`` by a critic that was trained to
convergence; the column ``critic`` is the loss of the critic of the adversarial training itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from veridical.bitstream import FrequencyTables, encode_symbols
from veridical.measure import mean_with_error
from veridical.studies.mnist.measurements import MEASURES, Measurements, measurements, spending
from veridical.studies.mnist.table import PairRow
from veridical.studies.records import Record, Run

Array = NDArray[np.float64]

COLUMNS = (
    "dim", "levels", "weight", "rate_bits", "coded_bits", "seconds", "critic", "critic_error",
    *(name for m in MEASURES for name in (m, f"{m}_error")),
)  # fmt: skip
PERCEPTION = "w1"
"""The column that stands for perception."""

_SHOWN = 10
_MAX_JOINT = 4096


def _row(used: Measurements, row: PairRow, output: Record) -> list[float]:
    found = used.measured(
        row.name, lambda: output.arrays["reconstruction"].astype(np.float64) / 255,
        lambda: output.arrays["train_reconstruction"].astype(np.float64) / 255,
    )  # fmt: skip
    critic = mean_with_error(output.arrays["critic"])
    bits = coded_bits(output.arrays["train_index"], output.arrays["index"], row.levels)
    return [
        row.dim, row.levels, row.weight, row.rate_bits, bits, float(output.facts["seconds"]),
        critic.value, critic.standard_error, *(v for m in MEASURES for v in found[m]),
    ]  # fmt: skip


def pair_table(used: Measurements, kind: str) -> tuple[Array, dict[str, Any]]:
    """Rows of ``COLUMNS`` for the trained pairs, and what is missing of the preset's."""
    trained = used.pairs(kind)
    table = np.array([_row(used, row, output) for row, output in trained])
    kept = [used.kept(row.name) for row, _ in trained]
    planned = used.budget.rows if kind == "squared" else used.budget.deep_rows
    there = {row.name for row, _ in trained}
    facts = {
        "trained": len(trained), "missing": [r.name for r in planned if r.name not in there],
        "pair_epochs": len(trained) * used.budget.epochs[1]
        + len({(r.dim, r.levels) for r, _ in trained}) * used.budget.epochs[0],
        "total_critic_steps": sum(int(output.facts["steps"]) for _, output in trained),
        "convergence_steps": sum(k.get("critic_steps", 0) for k in kept),
        "not_converged": [
            row.name for (row, _), k in zip(trained, kept, strict=True) if not k.get("converged")
        ],
        "devices": sorted({str(o.facts["device"]) for _, o in trained}),
    }  # fmt: skip
    return table.reshape(-1, len(COLUMNS)), facts


def digit_grid(
    used: Measurements, kind: str, table: Array
) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    """Reconstructions along Shannon's curve and along two curves of equal perception ([BM] Fig. 6).

    Shannon's curve has the pair at ``lambda = 0`` of every rate. Perception is equal at the least
    ``P`` that every rate reaches, and halfway from there to Shannon's curve at the lowest rate; each rate
    shows the pair that is nearest to it.

    Args:
        used: digits and outputs.
        kind: ``squared`` or ``deep``.
        table: of the trained pairs, rows of ``COLUMNS``.

    Returns:
        Names of the curves, rates, and lambda and perception of each pair ``(curves, rates)``; bytes
        ``(1 + curves, rates, 10, p)``, of which the first holds the originals.
    """
    column = {name: table[:, k] for k, name in enumerate(COLUMNS)}
    rates, P = np.unique(column["rate_bits"]), column[PERCEPTION]
    at = [np.flatnonzero(column["rate_bits"] == rate) for rate in rates]
    shannon = [own[np.argmin(column["weight"][own])] for own in at]
    least = max(float(np.min(P[own])) for own in at)
    levels = ((least + float(P[shannon[0]])) / 2, least)
    chosen = np.array(
        [shannon, *([own[np.argmin(np.abs(P[own] - level))] for own in at] for level in levels)]
    )
    facts = {
        "curves": ["Shannon's curve", *(f"$P \\approx {level:.3g}$" for level in levels)],
        "rates": rates.tolist(), "weights": column["weight"][chosen].tolist(),
        "perception": P[chosen].tolist(),
    }  # fmt: skip
    pick = np.array([int(np.argmax(used.digits.test_labels == k)) for k in range(_SHOWN)])
    originals = np.round(used.digits.test[pick] * 255).astype(np.uint8)
    outputs = [output.arrays["reconstruction"] for _, output in used.pairs(kind)]
    grid = [[outputs[k][pick] for k in curve] for curve in chosen]
    return facts, np.stack([np.broadcast_to(originals, np.shape(grid[0])), *map(np.stack, grid)])


def _record(run: Run, name: str, kind: str) -> tuple[Record, Measurements]:
    used = measurements(run, ("pairs" if kind == "squared" else "deep",))
    table, facts = pair_table(used, kind)
    facts |= spending(used) | {"columns": list(COLUMNS), "side": used.digits.side}
    facts["grid"], grid = digit_grid(used, kind, table)
    arrays: dict[str, Any] = {"table": table, "grid": grid}
    arrays["floor"] = np.array([used.floor().get(m, (np.nan, np.nan)) for m in MEASURES])
    return Record(name, facts, arrays), used


def bm6(run: Run) -> Record:
    """[BM] Fig. 6: perception and distortion of all pairs, and their digits along three curves."""
    return _record(run, "bm6", "squared")[0]


def bm7(run: Run) -> Record:
    """[BM] Fig. 7: cuts of the measured surface at fixed perception (a), distortion (b), rate (c)."""
    record, _ = _record(run, "bm7", "squared")
    arrays = {k: v for k, v in record.arrays.items() if k != "grid"}
    table = record.arrays["table"]
    column = {name: table[:, k] for k, name in enumerate(COLUMNS)}
    rates = np.unique(column["rate_bits"])
    P = np.linspace(0.0, float(np.max(column[PERCEPTION])), 60)
    surface = np.full((len(rates), len(P)), np.nan)
    for k, rate in enumerate(rates):
        own = column["rate_bits"] == rate
        surface[k] = least_distortion(column[PERCEPTION][own], column["squared"][own], P)
    return Record("bm7", record.facts, {**arrays, "rates": rates, "P": P, "surface": surface})


def least_distortion(perception: Array, distortion: Array, P: Array) -> Array:
    """Least distortion of mixtures of measured pairs with perception at most ``P``.

    The lower convex hull of the points, cut off where it begins to rise; ``nan`` below the least
    perception. A mixture of two pairs, chosen by common randomness, has at most the mean of
    their W1.
    """
    order = np.argsort(perception, kind="stable")
    hull: list[tuple[float, float]] = []
    for p, d in zip(perception[order], distortion[order], strict=True):
        while len(hull) > 1 and _above(hull[-2], hull[-1], (p, d)):
            hull.pop()
        if hull and d >= hull[-1][1]:
            continue
        hull.append((float(p), float(d)))
    xs, ys = np.array(hull).T
    return np.where(xs[0] > P, np.nan, np.interp(P, xs, ys))


def _above(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    """Whether ``b`` lies on or above the line from ``a`` to ``c``."""
    return (b[1] - a[1]) * (c[0] - a[0]) >= (c[1] - a[1]) * (b[0] - a[0])


def bm8(run: Run) -> Record:
    """[BM] Fig. 8: perception and deep-feature distortion of the pairs trained with it."""
    return _record(run, "bm8", "deep")[0]


def bm9(run: Run) -> Record:
    """[BM] Fig. 9: digits of pairs with deep-feature and with squared-error distortion side by side."""
    record, used = _record(run, "bm9", "deep")
    measurements(run, ("pairs",))
    facts, grid = digit_grid(used, "squared", pair_table(used, "squared")[0])
    arrays = {**record.arrays, "squared_grid": grid}
    return Record("bm9", {**record.facts, "squared_grid": facts}, arrays)


def bm10(run: Run) -> Record:
    """[BM] Fig. 10: what either distortion costs in the other, and in perception, at each rate."""
    record, used = _record(run, "bm10", "deep")
    measurements(run, ("pairs",))
    squared, facts = pair_table(used, "squared")
    arrays = {"deep_table": record.arrays["table"], "squared_table": squared}
    arrays["floor"] = record.arrays["floor"]
    return Record("bm10", {**record.facts, "trained_squared": facts["trained"]}, arrays)


def coded_bits(train: NDArray[np.uint8], test: NDArray[np.uint8], levels: int) -> float:
    """Bits per test digit of the range coder with tables from the training digits.

    Two models, and the shorter message counts: one table of whole indices, where there are few; and
    each number of an index with a table for each value of the number before it. The tables belong
    to the code and are not counted; the 8 bytes at the head of the message are.

    Args:
        train: indices of training digits, ``(n, dim)``.
        test: indices of test digits, ``(m, dim)``.
        levels: ``L``.
    """
    dim = test.shape[1]
    lengths = []
    if levels**dim <= _MAX_JOINT:
        unit = levels ** np.arange(dim)
        a, b = (part.astype(np.int64) @ unit for part in (train, test))
        lengths.append(_length(a, b, np.zeros_like(a), np.zeros_like(b), levels**dim, 1))
    (a, ca), (b, cb) = (_chain(part, levels) for part in (train, test))
    lengths.append(_length(a, b, ca, cb, levels, dim * levels))
    return 8 * min(lengths) / len(test)


def _chain(index: NDArray[np.uint8], levels: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Symbols of all numbers, and as context the place of the number and the value before it."""
    wide = index.astype(np.int64)
    before = np.concatenate([np.zeros((len(wide), 1), dtype=np.int64), wide[:, :-1]], axis=1)
    contexts = before + levels * np.arange(wide.shape[1])
    return wide.ravel(), contexts.ravel()


def _length(
    train: NDArray[np.int64], test: NDArray[np.int64],
    train_contexts: NDArray[np.int64], contexts: NDArray[np.int64], symbols: int, count: int,
) -> int:  # fmt: skip
    counts = np.full((count, symbols), 0.5)
    np.add.at(counts, (train_contexts, train), 1.0)
    return len(encode_symbols(test, contexts, FrequencyTables.from_law(counts)))
