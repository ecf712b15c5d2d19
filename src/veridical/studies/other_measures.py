"""[T] Fig. 11: D against P where perception is KL, W1, energy distance or total variation.

Two sources, each with a code whose laws are known: the scalar Gaussian at one bit with unlimited common
randomness, ``X~ = u X + sqrt(u (1 - u)) N``, ``X- = X~ / sqrt u``, ``u = 1 - 2^(-2R)`` ([T] eq. 65 at
``Rc = inf``), and the unit circle at one bit without common randomness ([T] section II). For every measure and
way the realism is searched on samples, and ``D`` and ``P`` are measured on others; the lines are formulas
(:mod:`veridical.studies.other_measures_lines`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veridical.arrays import Array
from veridical.measure import mean_with_error
from veridical.measure.perception_measures import (
    Measure,
    binned_kl_nats,
    binned_total_variation,
    energy_distance,
    equal_cells,
    gaussian_kl_nats,
    over_parts,
    w1_distance,
)
from veridical.measure.realism import (
    Interpolation,
    LimitedSteps,
    NearestFirst,
    TimeSharing,
    realism_for_measure,
)
from veridical.oneshot.circle import circle_codec
from veridical.sources.circle import circle_samples
from veridical.studies.other_measures_lines import lines
from veridical.studies.records import Record, Run
from veridical.studies.style import PALETTE, grid, save_figure

Triples = Callable[[int, np.random.Generator], tuple[Array, Array, Array]]

_EXPLAINED = 0.75
"""``u = 1 - 2^(-2R)`` at one bit."""

_CIRCLE_MMSE = 1 - 4 / np.pi**2
_KINDS = {
    kind.name: kind for kind in (Interpolation(), TimeSharing(), NearestFirst(), LimitedSteps())
}


def gaussian_triples(n: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """``X``, ``X~`` and ``X-`` of the Gaussian test channel, shape ``(n, 1)`` each."""
    x = rng.standard_normal((n, 1))
    u = _EXPLAINED
    x_mmse = u * x + np.sqrt(u * (1 - u)) * rng.standard_normal((n, 1))
    return x, x_mmse, x_mmse / np.sqrt(u)


def circle_triples(n: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """``X``, ``X~`` and ``X-`` of the real codec of the circle, M = 2, K = 1, shape ``(n, 2)`` each."""
    codec = circle_codec(2, 1)
    x = circle_samples(n, rng)
    index = codec.encode(x)
    return x, codec.decode(index, rng, realism=0.0), codec.decode(index, rng, realism=1.0)


def circle_cells(x: Array, count: int = 32) -> NDArray[np.int64]:
    """Even arcs of the unit circle, and one cell more for everything that does not lie on it.

    ``X`` has no mass off the circle, so that the total variation of the binned laws is exact for the
    part of ``X^`` that lies there.
    """
    arc = np.floor((np.arctan2(x[:, 1], x[:, 0]) / (2 * np.pi) + 0.5) * count).astype(np.int64)
    on = np.abs(np.hypot(x[:, 0], x[:, 1]) - 1.0) < 1e-9
    return np.where(on, np.minimum(arc, count - 1), count)


@dataclass(frozen=True)
class Panel:
    """One measure on one source.

    Attributes:
        title: what is drawn.
        triples: draws ``X``, ``X~``, ``X-``.
        mmse: ``d`` of the code, by its formula.
        measures: estimator of perception for each way, by name, from reference samples.
        targets: perceptions asked for.
        transport: whether an exact plan in the plane limits the number of samples.
    """

    title: str
    triples: Triples
    mmse: float
    measures: dict[str, Callable[[Array], Measure]]
    targets: tuple[float, ...]
    transport: bool = False


def _same(measure: Measure) -> Callable[[Array], Measure]:
    return lambda reference: measure


def _binned(measure: Callable[..., float], cells: int) -> Callable[[Array], Measure]:
    def made(reference: Array) -> Measure:
        edges = equal_cells(reference, min(cells, len(reference) // 20))
        return lambda x_hat, x: measure(x_hat, x, edges)

    return made


def _on_circle(x_hat: Array, x: Array) -> float:
    return binned_total_variation(x_hat, x, circle_cells)


_LINES = {"nearest first": "optimum", "limited steps": "optimum"}
"""Ways that are the best for the measure they are tried on."""
_SHARED = ("interpolation", "time sharing")
PANELS = {
    "kl": Panel(
        "Gaussian, Kullback-Leibler (nats)", gaussian_triples, 1 - _EXPLAINED,
        {"interpolation": _same(gaussian_kl_nats), "time sharing": _binned(binned_kl_nats, 128)},
        (0.003, 0.006, 0.010, 0.014),
    ),
    "w1": Panel(
        "Gaussian, $W_1$", gaussian_triples, 1 - _EXPLAINED,
        dict.fromkeys((*_SHARED, "limited steps"), _same(w1_distance)), (0.02, 0.04, 0.06, 0.08),
    ),
    "energy": Panel(
        "Gaussian, energy distance", gaussian_triples, 1 - _EXPLAINED,
        dict.fromkeys(_SHARED, _same(energy_distance)), (0.0005, 0.0015, 0.003, 0.0045),
    ),
    "tv": Panel(
        "Gaussian, total variation", gaussian_triples, 1 - _EXPLAINED,
        dict.fromkeys(_SHARED, _binned(binned_total_variation, 16)), (0.015, 0.03, 0.045, 0.06),
    ),
    "circle-tv": Panel(
        "Circle $M = 2$, $K = 1$, total variation", circle_triples, _CIRCLE_MMSE,
        dict.fromkeys((*_SHARED, "nearest first"), _same(_on_circle)), (0.1, 0.3, 0.5, 0.7, 0.9),
    ),
    "circle-w1": Panel(
        "Circle $M = 2$, $K = 1$, $W_1$", circle_triples, _CIRCLE_MMSE,
        dict.fromkeys((*_SHARED, "limited steps"), _same(w1_distance)), (0.15, 0.3, 0.45, 0.6),
        transport=True,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Effort:
    """How much is drawn.

    Attributes:
        samples: in a search and in a measurement.
        transport: the same, where an exact plan in the plane is needed.
        targets: of each panel, the last ones.
    """

    samples: int
    transport: int
    targets: int


PRESETS = {"quick": Effort(20_000, 200, 1), "full": Effort(200_000, 1500, 5)}


def compute(run: Run) -> Record:
    """Every panel: formulas as lines, and for each way and target what was found and measured.

    Points hold the rows target, ``P`` and its standard error, ``D`` and its standard error, realised on
    samples that the search did not see; ``D`` is ``d`` plus what realism was measured to add.
    ``same_law`` is what two samples of the source measure: the bias of the first way's measure.
    """
    effort = PRESETS[run.preset]
    facts: dict[str, Any] = {"effort": asdict(effort), "order": list(PANELS), "panels": {}}
    arrays: dict[str, Array] = {}
    jobs = [(name, way) for name, panel in PANELS.items() for way in panel.measures]
    for done, (name, way) in enumerate(jobs):
        run.progress(done, len(jobs))
        panel = PANELS[name]
        points = _points(panel, way, effort, np.random.default_rng([11, done]))
        arrays[f"{name}; points; {way}"] = points
    for name, panel in PANELS.items():
        drawn = lines(name)
        arrays |= {f"{name}; line; {way}": curve for way, curve in drawn.items()}
        off = {
            way: _largest_deviation(arrays[f"{name}; points; {way}"], drawn[_LINES.get(way, way)])
            for way in panel.measures
            if _LINES.get(way, way) in drawn
        }
        n = effort.transport if panel.transport else effort.samples
        rng = np.random.default_rng([12, len(facts["panels"])])
        measure = next(iter(panel.measures.values()))(panel.triples(n, rng)[0])
        floor = measure(panel.triples(n, rng)[0], panel.triples(n, rng)[0])
        facts["panels"][name] = {
            "title": panel.title, "same_law": floor, "ways": list(panel.measures), "lines": list(drawn),
            "largest_deviation_in_standard_errors": off,
        }  # fmt: skip
    return Record("t11", facts, arrays)


def _points(panel: Panel, way: str, effort: Effort, rng: np.random.Generator) -> Array:
    n = effort.transport if panel.transport else effort.samples
    rows = []
    for target in panel.targets[-effort.targets :]:
        reference = panel.triples(n, rng)[0]
        measure = panel.measures[way](panel.triples(n, rng)[0])
        _, x_mmse, x_real = panel.triples(n, rng)
        choice = realism_for_measure(
            x_mmse, x_real, reference, measure, target, rng=rng, ways=(_KINDS[way],)
        )
        _, x_mmse, x_real = panel.triples(n, rng)
        P = over_parts(
            measure, choice.blend(x_mmse, x_real, rng), panel.triples(n, rng)[0], splits=10
        )
        x, x_mmse, x_real = panel.triples(effort.samples, rng)
        x_hat = choice.blend(x_mmse, x_real, rng)
        # The part of D that all share, d, is known; what realism adds to it is measured.
        added = mean_with_error(
            np.sum(np.square(x - x_hat), axis=1) - np.sum(np.square(x - x_mmse), axis=1)
        )
        rows.append(
            [target, P.value, P.standard_error, panel.mmse + added.value, added.standard_error]
        )
    return np.array(rows).T


def _largest_deviation(points: Array, line: Array) -> float:
    """Distance of measured ``D`` from the line at the measured ``P``, in standard errors of both."""
    _, P, P_error, D, D_error = points
    predicted = np.interp(P, line[0], line[1])
    slope = np.interp(P, line[0], np.gradient(line[1], line[0]))
    return float(np.max(np.abs(D - predicted) / np.hypot(D_error, slope * P_error)))


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
