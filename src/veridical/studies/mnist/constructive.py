"""The constructive route on digits beside the pairs of [BM]: D against P at every rate, and the cost.

One encoder and estimator for each rate, trained for squared error alone, and one generator for all of
them; the knob does the rest. For every code the record holds ``d``, the transport cost ``C``, and all
measures along the knob beside ``D = d + a^2 C`` ([T] 42).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veridical.interpolate import interpolate
from veridical.measure import mean_with_error
from veridical.studies.mnist.codebooks import CODEBOOK_COLUMNS, codebooks, largest_codebook
from veridical.studies.mnist.measurements import (
    COSTLY_REALISM,
    MEASURES,
    Measurements,
    measurements,
    spending,
)
from veridical.studies.mnist.pairs import COLUMNS, coded_bits, pair_table
from veridical.studies.records import Record, Run

Array = NDArray[np.float64]

REALISM = {
    "quick": (0.0, 0.5, 1.0),
    "cpu": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
    "paper": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
}
CODE_COLUMNS = (
    "dim", "levels", "seeds", "dithered", "rate_bits", "coded_bits", "mmse", "mmse_error",
    "cost", "cost_error", "seconds",
)  # fmt: skip
_FROM_A_CODEWORD = 12


def constructive(run: Run) -> Record:
    """Both routes and what they cost."""
    used = measurements(run, ("estimators", "generator", "pairs"))
    outputs = used.codes()
    table = np.array([_code_row(used, output) for output in outputs])
    curves, off = _curves(used, outputs)
    books, book_curves = codebooks(used, REALISM[run.preset])
    pairs, facts = pair_table(used, "squared")
    facts |= spending(used) | {
        "columns": list(COLUMNS), "code_columns": list(CODE_COLUMNS), "measures": list(MEASURES),
        "codebook_columns": list(CODEBOOK_COLUMNS), "side": used.digits.side,
        "largest_deviation_of_distortion_in_standard_errors": off,
        "comparison": _comparison(pairs, table, curves),
        "codebook_comparison": _codebook_comparison(pairs, books, book_curves), "cost": _cost(used, pairs, outputs),
    }  # fmt: skip
    arrays: dict[str, Any] = {
        "codes": table.reshape(-1, len(CODE_COLUMNS)), "curves": curves, "pairs": pairs,
        "realism": np.array(REALISM[run.preset]), "codebooks": books,
        "codebook_curves": book_curves,
        "floor": np.array([used.floor().get(m, (np.nan, np.nan)) for m in MEASURES]),
    }  # fmt: skip
    arrays |= _from_codewords(outputs)
    return Record("constructive-mnist", facts, arrays)


def _floats(pictures: NDArray[np.uint8]) -> Array:
    return pictures.astype(np.float64) / 255


def _code_row(used: Measurements, output: Record) -> list[float]:
    facts = output.facts
    x_mmse = _floats(output.arrays["x_mmse"])
    numbers = [mean_with_error(np.sum(np.square(used.coded - x_mmse), axis=1))]
    x_real = _floats(output.arrays["x_real"])
    numbers.append(mean_with_error(np.sum(np.square(x_real - x_mmse), axis=1)))
    bits = coded_bits(output.arrays["train_index"], output.arrays["index"], facts["levels"])
    rate = facts["dim"] * np.log2(facts["levels"])
    return [
        facts["dim"], facts["levels"], facts["seeds"], float(facts["dithered"]), rate, bits,
        *(v for n in numbers for v in (n.value, n.standard_error)), sum(facts["estimator_seconds"]),
    ]  # fmt: skip


def _curves(used: Measurements, outputs: list[Record]) -> tuple[Array, float]:
    """Measures ``(codes, realism, measures, 2)``, and the worst miss of ``d + a^2 C``."""
    knob = REALISM[used.budget.name]
    curves = np.full((len(outputs), len(knob), len(MEASURES), 2), np.nan)
    worst = 0.0
    for i, output in enumerate(outputs):
        f, (x_mmse, x_real, learnt_mmse, learnt_real) = output.facts, (
            _floats(output.arrays[k]) for k in ("x_mmse", "x_real", "train_x_mmse", "train_x_real")
        )  # fmt: skip
        # A critic takes a minute or two for a point: one network a rate.
        plain = f["seeds"] == 1 and not f["dithered"]
        for k, a in enumerate(knob):
            found = used.measured(
                f"{f['code']}-real-{a:g}",
                partial(interpolate, x_mmse, x_real, a),
                partial(interpolate, learnt_mmse, learnt_real, a)
                if plain and a in COSTLY_REALISM
                else None,
                exact=a in COSTLY_REALISM,
            )
            for m, name in enumerate(MEASURES):
                curves[i, k, m] = found.get(name, (np.nan, np.nan))
        # D minus its prediction is 2a E<x - x~, x~ - x->, digit by digit.
        cross = mean_with_error(np.sum((used.coded - x_mmse) * (x_mmse - x_real), axis=1))
        worst = max(worst, abs(cross.value) / cross.standard_error)
    return curves, worst


def distortion_at(perception: Array, distortion: Array, P: float) -> float:
    """Distortion of the knob at a measured perception, by linear interpolation along it.

    Args:
        perception: along the knob, from realism 0 on; ``nan`` where it was not measured.
        distortion: likewise.
        P: wanted.

    Returns:
        ``nan`` where the knob does not reach ``P``.
    """
    known = np.isfinite(perception)
    # Perception falls along the knob; where it rises again for want of a better generator, it is cut.
    p = np.minimum.accumulate(perception[known])
    if p[-1] > P:
        return float("nan")
    return float(np.interp(-P, -p, distortion[known]))


_DISTANCES = {m: k for k, m in enumerate(MEASURES) if m not in {"squared", "deep"}}


def _comparison(pairs: Array, codes: Array, curves: Array) -> dict[str, Any]:
    """At the perception of every pair: how often the knob's D is lower, and by how much."""
    plain = [i for i, c in enumerate(codes) if c[2] == 1 and c[3] == 0]
    return {
        measure: {
            f"{codes[i][4]:.4g}": _against(pairs, codes[i][4], curves[i], measure) for i in plain
        }
        for measure in _DISTANCES
    }


def _codebook_comparison(pairs: Array, books: Array, curves: Array) -> dict[str, Any]:
    """Likewise for the largest codebook of at most each rate; its exact W2 is not measured."""
    out: dict[str, Any] = {measure: {} for measure in _DISTANCES if measure != "exact"}
    for rate in np.unique(pairs[:, COLUMNS.index("rate_bits")]):
        i = largest_codebook(books, rate)
        if i is None:
            continue
        for measure, rates in out.items():
            rates[f"{rate:.4g}"] = _against(pairs, rate, curves[i], measure) | {
                "codebook_bits": round(float(books[i][0]), 4)
            }
    return out


def _against(pairs: Array, rate: float, curve: Array, measure: str) -> dict[str, Any]:
    """The pairs of a rate that are trained for perception, against a curve of the knob."""
    column = {name: pairs[:, k] for k, name in enumerate(COLUMNS)}
    m = _DISTANCES[measure]
    own = np.flatnonzero((np.abs(column["rate_bits"] - rate) < 1e-6) & (column["weight"] > 0))
    reached = [
        distortion_at(curve[:, m, 0], curve[:, 0, 0], float(P)) for P in column[measure][own]
    ]
    ratios = [
        D / float(column["squared"][k]) for k, D in zip(own, reached, strict=True) if np.isfinite(D)
    ]
    return {
        "lower": int(np.sum(np.array(ratios) <= 1)), "of": len(own),
        "not_reached": len(own) - len(ratios), "ratios": [round(r, 4) for r in ratios],
    }  # fmt: skip


def _cost(used: Measurements, pairs: Array, outputs: list[Record]) -> dict[str, Any]:
    """Training of both routes in pair-epochs and seconds, for ``K = 1``; the first part serves both."""
    first, second = used.budget.epochs
    plain = [o.facts for o in outputs if o.facts["seeds"] == 1 and not o.facts["dithered"]]
    begun, ended = (float(sum(f["estimator_seconds"][k] for f in plain)) for k in (0, 1))
    rates = len({(r[0], r[1]) for r in pairs})
    generator = float(plain[0]["generator_seconds"]) if plain else 0.0
    return {
        "pairs": len(pairs), "pair_epochs": len(pairs) * second + rates * first,
        "pair_seconds": float(np.sum(pairs[:, COLUMNS.index("seconds")])) + begun,
        "codes": len(plain), "code_epochs": len(plain) * (first + second),
        "code_seconds": begun + ended + generator, "generator_seconds": generator,
    }  # fmt: skip


def _from_codewords(outputs: list[Record]) -> dict[str, NDArray[np.uint8]]:
    """For each codeword at the lowest rate: the estimate, and digits generated from it."""
    if not outputs:
        return {}
    output = outputs[0]
    index = output.arrays["index"].astype(np.int64) @ output.facts["levels"] ** np.arange(
        output.facts["dim"]
    )
    index = index[: len(output.arrays["x_mmse"])]
    rows = []
    for z in np.unique(index):
        own = np.flatnonzero(index == z)[:_FROM_A_CODEWORD]
        own = np.resize(own, _FROM_A_CODEWORD)
        rows.append(
            np.concatenate([output.arrays["x_mmse"][own[:1]], output.arrays["x_real"][own]])
        )
    return {"from_codewords": np.stack(rows)}
