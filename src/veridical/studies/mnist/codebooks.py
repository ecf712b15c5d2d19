"""Codebooks for digits without any network: what encoder and estimator networks add or lose.

The cells are Lloyd's, or with more codebooks those of :func:`veridical.design`, in the first principal
coordinates of the training digits; the codewords are the conditional means of whole training digits, and the generator draws a
training digit: with one codebook one of the same cell ([T] Prop. 2), with more by the plan.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numpy.typing import NDArray

from veridical.errors import InvalidSetting
from veridical.estimate import CentroidEstimator
from veridical.generate.plan import PlanGenerator
from veridical.interpolate import interpolate
from veridical.measure import mean_with_error
from veridical.oneshot.joint import Search
from veridical.oneshot.samples import design
from veridical.quantize import CodebookEncoder, conditional_means, lloyd
from veridical.studies.mnist.measurements import COSTLY_REALISM, MEASURES, Measurements
from veridical.studies.mnist.presets import Budget
from veridical.studies.records import Record, load_record, make_folder, save_record
from veridical.transport import plan_to_sites, power_assign

Array = NDArray[np.float64]

CODEBOOK_COLUMNS = (
    "rate_bits", "seeds", "train_mmse", "mmse", "mmse_error", "cost", "cost_error", "real", "real_error",
)  # fmt: skip
_COORDINATES = 32
_MOST_BITS = 12.01
_SEEDED_BITS = 4.01
_FEW = 256
_SEED = 2718


def _codes(budget: Budget) -> list[tuple[float, int]]:
    """Rates up to 12 bits with one codebook, and 2 and 4 of them at up to 4 bits."""
    rates = sorted({r.rate_bits for r in budget.rows if r.rate_bits < _MOST_BITS})
    return [(b, k) for b in rates for k in (1, 2, 4) if k == 1 or b < _SEEDED_BITS]


def codebooks(used: Measurements, realism: tuple[float, ...]) -> tuple[Array, Array]:
    """Errors and transport costs on test digits, and all measures along the knob.

    Args:
        used: digits and the folder of what was measured.
        realism: of the knob.

    Returns:
        Rows of ``CODEBOOK_COLUMNS``; and ``(codes, realism, MEASURES, 2)``, value and standard error.
    """
    path = used.folder / "measured" / "codebook-curves.npz"
    settings = {"realism": list(realism), "measures": list(MEASURES)}
    if path.is_file():
        kept = load_record(path)
        if kept.facts == settings:
            return kept.arrays["table"], kept.arrays["curves"]
    x = used.digits.train.astype(np.float64)
    centre = x.mean(axis=0)
    _, _, axes = np.linalg.svd(x[:4000] - centre, full_matrices=False)
    basis = axes[:_COORDINATES].T
    found = [
        _measured(used, x, centre, basis, bits, seeds, realism)
        for bits, seeds in _codes(used.budget)
        if round(2**bits) * 2 <= len(x)
    ]
    table, curves = (np.array(parts) for parts in zip(*found, strict=True))
    make_folder(path.parent)
    arrays = {"table": table, "curves": curves}
    save_record(Record("codebook-curves", settings, arrays), path.parent)
    return table, curves


def largest_codebook(table: Array, rate_bits: float) -> int | None:
    """Row of the largest single codebook of at most a rate, if there is one.

    Args:
        table: rows of ``CODEBOOK_COLUMNS``.
        rate_bits: bits for each digit.
    """
    bits, seeds = table[:, 0], table[:, 1]
    own = np.flatnonzero((seeds == 1) & (bits < rate_bits + 1e-6))
    return int(own[np.argmax(bits[own])]) if len(own) else None


def _measured(
    used: Measurements, x: Array, centre: Array, basis: Array, bits: float, seeds: int,
    realism: tuple[float, ...],
) -> tuple[list[float], Array]:  # fmt: skip
    """A row of the table, and the measures along the knob."""
    y = used.test
    rng = np.random.default_rng([round(100 * bits), seeds])
    coordinates = (x - centre) @ basis
    encoder = _encoder(coordinates, round(2**bits), seeds, rng)
    estimator, generator = _in_pixels(encoder, x, coordinates, rng)
    index = encoder.encode(coordinates, seed=_SEED)
    train = np.sum(np.square(x - estimator.estimate(index, _SEED)), axis=1)
    index = encoder.encode((y - centre) @ basis, seed=_SEED)
    x_mmse = estimator.estimate(index, _SEED)
    x_real = generator.generate(x_mmse, rng)
    row = [bits, float(seeds), float(np.mean(train))]
    for a, b in ((y, x_mmse), (x_mmse, x_real), (y, x_real)):
        value = mean_with_error(np.sum(np.square(a - b), axis=1))
        row += [value.value, value.standard_error]
    half, learnt = len(used.coded), used.budget.convergence.digits
    train_mmse = estimator.estimate(encoder.encode(coordinates[:learnt], seed=_SEED), _SEED)
    train_real = generator.generate(train_mmse, np.random.default_rng(_SEED))
    curve = np.full((len(realism), len(MEASURES), 2), np.nan)
    for k, a in enumerate(realism):
        x_hat = interpolate(x_mmse[:half], x_real[:half], a)
        found = used.measured(
            f"codebook-{bits:.4g}-{seeds}-{a:g}",
            lambda x_hat=x_hat: x_hat,
            partial(interpolate, train_mmse, train_real, a)
            if seeds == 1 and a in COSTLY_REALISM
            else None,
            exact=False,
        )
        curve[k] = [found.get(name, (np.nan, np.nan)) for name in MEASURES]
    return row, curve


def _encoder(
    coordinates: Array, outputs: int, seeds: int, rng: np.random.Generator
) -> CodebookEncoder:
    """Cells of least error; with more than one seed those of a joint design for equal laws."""
    if seeds == 1:
        book = lloyd(coordinates, outputs, rng=rng, starts=2 if outputs <= _FEW else 1)
        return CodebookEncoder(book.points[None], book.offsets[None])
    codec = design(
        coordinates, rate_bits=math.log2(outputs), seeds=seeds, perception=0.0, rng=rng,
        plan_samples=500, search_settings=Search(starts=3, steps=20),
    )  # fmt: skip
    encoder = codec.encoder
    if not isinstance(encoder, CodebookEncoder):
        raise InvalidSetting("a design from samples is made of codebooks")
    return encoder


def _in_pixels(
    encoder: CodebookEncoder, x: Array, coordinates: Array, rng: np.random.Generator
) -> tuple[CentroidEstimator, PlanGenerator | _CellSampler]:
    """Conditional means of whole digits, and a generator that draws training digits."""
    sites, offsets = encoder.sites, encoder.offsets
    K, M, _ = sites.shape
    weights = np.full(len(x), 1.0 / len(x))
    means, masses = np.empty((K, M, x.shape[1])), np.empty((K, M))
    empty = np.broadcast_to(x.mean(axis=0), (M, x.shape[1]))
    cells = [power_assign(coordinates, sites[s], offsets[s]) for s in range(K)]
    for s in range(K):
        means[s], masses[s] = conditional_means(x, weights, cells[s], empty)
    estimator = CentroidEstimator(means)
    if K == 1:
        return estimator, _CellSampler(x, means[0], cells[0])
    held = masses.ravel() > 0
    atoms = means.reshape(K * M, -1)[held]
    plan = plan_to_sites(x, atoms, rng=rng, masses=masses.ravel()[held] / K, weights=weights)
    return estimator, PlanGenerator.from_plan(plan, x, atoms)


class _CellSampler:
    """A training digit of the cell whose mean is given."""

    def __init__(self, x: Array, means: Array, cells: NDArray[np.int64]) -> None:
        self.x, self.means = x, means
        self.order = np.argsort(cells, kind="stable")
        self.counts = np.bincount(cells, minlength=len(means))
        self.starts = np.concatenate([[0], np.cumsum(self.counts)[:-1]])

    def generate(self, x_mmse: Array, rng: np.random.Generator) -> Array:
        """One digit for each estimate."""
        cell = power_assign(x_mmse, self.means, np.where(self.counts > 0, 0.0, np.inf))
        place = (rng.random(len(cell)) * self.counts[cell]).astype(np.int64)
        return self.x[self.order[self.starts[cell] + place]]
