"""Three generators on sources in the plane: transport cost after rounds of reflow, and D(P).

For each source and code the study sets ``C = E|X~ - X-|^2`` of posterior sampling, of the exact plan
and of a rectified flow after 0, 1, 2, 3 rounds of reflow beside ``W2^2(p_X, p_X~)``, and measures
distortion and perception along the realism knob beside ``d + ((sqrt C - sqrt P)+)^2`` ([T] 38, 42, 43).

A flow's law is not quite that of the source. Two more numbers keep its faults apart: ``W2^2(p_X~, p_X-)``
to the law that it does make, below which its ``C`` cannot be, and the energy distance of that law to the
source.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veridical.arrays import Array
from veridical.errors import DamagedFile, MissingFile
from veridical.interpolate import Calibration, interpolate
from veridical.measure import exact_w2_squared, mean_with_error
from veridical.measure.perception_measures import energy_distance, over_parts
from veridical.sources.circle import circle_samples
from veridical.sources.planar import GaussianMixture, Spiral, TwoMoons
from veridical.studies.records import Record, Run, load_record, save_record
from veridical.transport import exact_plan

Sampler = Callable[[int, np.random.Generator], Array]


PLANAR: dict[str, Sampler] = {
    "circle": circle_samples,
    "mixture": GaussianMixture().sample,
    "moons": TwoMoons().sample,
    "spiral": Spiral().sample,
}
CODES = {"2 bits, K = 1": (2.0, 1), "1 bit, K = 2": (1.0, 2)}
GENERATORS = ("posterior", "plan", "flow", "reflow 1", "reflow 2", "reflow 3")


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is drawn and trained.

    Attributes:
        sources: Names in ``PLANAR``.
        codes: Names in ``CODES``.
        design: Samples that codes and flows are made from.
        measure: New samples for ``d``, ``C`` and distortion.
        transport: Of these, how many enter an exact ``W2^2``.
        law: How many enter an energy distance.
        rounds: Rounds of reflow.
        steps: Optimizer steps of a round.
        pairs: Pairs that a round of reflow simulates.
        realism: Settings of the knob that are measured.
        shown: Samples of each kind that are kept for the picture.
    """

    sources: tuple[str, ...] = tuple(PLANAR)
    codes: tuple[str, ...] = tuple(CODES)
    design: int = 20_000
    measure: int = 20_000
    transport: int = 1500
    law: int = 4000
    rounds: int = 3
    steps: int = 2000
    pairs: int = 50_000
    realism: tuple[float, ...] = field(default=(0.0, 0.25, 0.5, 0.75, 1.0))
    shown: int = 600


PRESETS = {
    "quick": Sizes(
        sources=("moons",), codes=("1 bit, K = 2",), design=600, measure=400, transport=100, law=200,
        rounds=1, steps=20, pairs=500, realism=(0.0, 0.5, 1.0), shown=100,
    ),
    "full": Sizes(),
}  # fmt: skip


def compute(run: Run) -> Record:
    """The study at one of its ``PRESETS``; finished parts and trained rounds stay in ``run.work``."""
    return compare(run.work, PRESETS[run.preset], progress=run.progress)


def compare(
    work: Path,
    sizes: Sizes,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Record:
    """All sources and codes; each finished pair and each trained round is kept in ``work``.

    Args:
        work: Folder for what is finished, so that a killed run goes on. Use another for other sizes.
        sizes: Numbers of samples, rounds and steps.
        progress: Called with (done, total) steps of training.
    """
    work.mkdir(parents=True, exist_ok=True)
    facts: dict[str, Any] = {"generators": list(GENERATORS[: 3 + sizes.rounds]), "table": {}}
    facts |= {"sources": list(sizes.sources), "codes": list(sizes.codes)}
    arrays: dict[str, NDArray[np.float64]] = {"realism": np.array(sizes.realism)}
    total = len(sizes.sources) * len(sizes.codes) * (sizes.rounds + 1)
    done = 0
    for source in sizes.sources:
        for code in sizes.codes:
            base = done

            def tell(finished: int, step: int, steps: int, base: int = base) -> None:
                progress((base + finished) * steps + step, total * steps)

            part = _part(source, code, work, sizes, tell)
            facts["table"][f"{source}; {code}"] = dict(part.facts)
            arrays |= {f"{source}; {code}; {k}": v for k, v in part.arrays.items()}
            done += sizes.rounds + 1
    return Record("generators", facts, arrays)


def _part(
    source: str, code: str, work: Path, sizes: Sizes, tell: Callable[[int, int, int], None]
) -> Record:
    """One source and code, read from ``work`` if it is there."""
    bits, seeds = CODES[code]
    name = f"{source}-{bits:g}-{seeds}"
    try:
        return load_record(work / f"{name}.npz")
    except (MissingFile, DamagedFile):
        pass
    from veridical.oneshot.samples import design
    from veridical.oneshot.swap import posterior_of
    from veridical.training.loop import Schedule
    from veridical.training.sample_flow import SampleFlowSettings, reflow_rounds

    rng = np.random.default_rng([sorted(PLANAR).index(source), seeds])
    draw = PLANAR[source]
    train = draw(sizes.design, rng)
    codec = design(train, rate_bits=bits, seeds=seeds, perception=0.0, rng=rng)
    estimates = codec.decode(codec.encode(train, seed=1), rng, realism=0.0, seed=1)
    x = draw(sizes.measure, rng)
    index = codec.encode(x, seed=2)
    x_mmse = codec.decode(index, rng, realism=0.0, seed=2)
    settings = SampleFlowSettings(
        batch=512, pairs=sizes.pairs,
        schedule=Schedule(steps=sizes.steps, learning_rate=3e-3, average=0.995),
    )  # fmt: skip
    flows = reflow_rounds(
        estimates, train, settings, rounds=sizes.rounds, seed=7, folder=work / name, report=tell
    )
    samples = {
        label: generator.generate(x_mmse, rng, index)
        for label, generator in zip(
            GENERATORS, [posterior_of(codec, train), codec.generator, *flows], strict=False
        )
    }
    part = _measured(name, x, x_mmse, samples, draw(sizes.transport + sizes.law, rng), sizes)
    bracket = [codec.lower_cost, codec.calibration.transport_cost]
    part = Record(name, {**part.facts, "w2_squared": bracket}, part.arrays)
    save_record(part, work)
    return part


def _measured(
    name: str, x: Array, x_mmse: Array, samples: dict[str, Array], fresh: Array, sizes: Sizes
) -> Record:
    """``d``, ``C``, and distortion and perception along the knob, each with its standard error.

    Rows of ``cost``: ``C`` and its error. Of ``law``: ``W2^2`` to the law of the generator, its energy
    distance to the source and the error of that. Of ``measured``, by realism: ``D`` and its error, ``P``
    and its error, and the predicted ``D`` and bound on ``P``.
    """
    d = mean_with_error(np.sum((x - x_mmse) ** 2, axis=1))
    m = sizes.transport
    fresh, more = fresh[:m], fresh[m:]
    floor = exact_w2_squared(x[-m:], fresh)
    atoms, counts = np.unique(x_mmse, axis=0, return_counts=True)
    facts: dict[str, Any] = {"mmse": [d.value, d.standard_error], "same_law": floor.value}
    cost, measured, law = [], [], []
    worst = 0.0
    for x_real in samples.values():
        C = mean_with_error(np.sum((x_mmse - x_real) ** 2, axis=1))
        cost.append([C.value, C.standard_error])
        own = exact_plan(x_real, atoms, y_weights=counts).cost
        energy = over_parts(energy_distance, x_real[: sizes.law], more)
        law.append([own, energy.value, energy.standard_error])
        price = Calibration(d.value, C.value)
        rows = []
        for a in sizes.realism:
            x_hat = interpolate(x_mmse, x_real, a)
            # D minus its prediction, sample by sample, so that the noise that they share cancels.
            error = np.sum((x - x_hat) ** 2, axis=1)
            predicted = np.sum((x - x_mmse) ** 2, axis=1) + np.sum((x_hat - x_mmse) ** 2, axis=1)
            D, off = mean_with_error(error), mean_with_error(error - predicted)
            P = exact_w2_squared(x_hat[:m], fresh)
            rows.append([D.value, D.standard_error, P.value, P.standard_error,
                         price.distortion_at(a), price.perception_at(a)])  # fmt: skip
            if off.standard_error > 1e-12:
                worst = max(worst, abs(off.value) / off.standard_error)
        measured.append(rows)
    facts["largest_deviation_of_distortion_in_standard_errors"] = worst
    k = sizes.shown
    arrays = {
        "cost": np.array(cost),
        "measured": np.array(measured),
        "law": np.array(law),
        "x": x[:k],
    }
    arrays |= {"x_mmse": x_mmse[:k], "x_real": np.stack([s[:k] for s in samples.values()])}
    return Record(name, facts, arrays)
