"""``veridical.design``: a working codec with its price list from nothing but samples.

>>> codec = veridical.design(samples, rate_bits=1, seeds=2, perception=0.0, rng=rng)
>>> index = codec.encode(x, seed=7)
>>> x_hat = codec.decode(index, rng, perception=0.1, seed=7)

Fixed-length codes: ``M = round(2^rate_bits)`` codewords for each of ``K`` seed symbols.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.bitstream import FrequencyTables, decode_symbols, encode_symbols
from veridical.codec import PartsCodec
from veridical.errors import InvalidSetting
from veridical.estimate import CentroidEstimator, cell_error, seeded_means
from veridical.generate.plan import PlanGenerator
from veridical.interpolate import Calibration
from veridical.oneshot.joint import Search, descend, search
from veridical.oneshot.objective import Objective, Problem
from veridical.quantize import (
    Codebook,
    CodebookEncoder,
    cell_entropy_bits,
    entropy_constrained,
    lloyd,
)
from veridical.random import random_symbols
from veridical.transport import Plan, plan_to_sites, weighted_points

__all__ = ["SampleCodec", "design"]

Array = NDArray[np.float64]
Whole = NDArray[np.int64]

_MOST_ATOMS = 5_000


@dataclass(frozen=True)
class SampleCodec(PartsCodec[Array, Whole, np.random.Generator]):
    """A codec designed from samples.

    Attributes:
        calibration: ``mmse`` and ``transport_cost``, the same for every index.
        outputs: ``M``, size of the index alphabet.
        seeds: ``K``.
        entropy_bits: ``H(Z|S)`` on the design samples, bits per sample.
        tables: frequencies of the index for each seed symbol, for the entropy coder.
        lower_cost: proven lower bound on ``W2^2`` between the design samples and the law of
            ``X~``; ``calibration.transport_cost`` is the cost of the plan in use.
    """

    calibration: Calibration
    outputs: int
    seeds: int
    entropy_bits: float
    tables: FrequencyTables = field(repr=False)
    lower_cost: float

    @property
    def rate_bits(self) -> float:
        """``log2 M``: bits per sample of an index of fixed length."""
        return math.log2(self.outputs)

    def to_bytes(self, index: ArrayLike, *, seed: int = 0) -> bytes:
        """Indices as an entropy-coded message with a checksum.

        Raises:
            InvalidSetting: an index outside the alphabet.
        """
        z = np.asarray(index)
        return encode_symbols(z, random_symbols(seed, z.size, self.seeds), self.tables)

    def from_bytes(self, data: bytes, count: int, *, seed: int = 0) -> Whole:
        """The ``count`` indices of a message.

        Raises:
            DamagedFile: the message is truncated, altered, or holds another number of indices.
        """
        return decode_symbols(data, random_symbols(seed, count, self.seeds), self.tables)


def design(
    samples: ArrayLike,
    *,
    rate_bits: float,
    seeds: int = 1,
    perception: float | None = None,
    rng: np.random.Generator,
    weights: ArrayLike | None = None,
    variable_length: bool = False,
    search_settings: Search | None = None,
    plan_samples: int = 1000,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> SampleCodec:
    """Design a codec that minimises ``d + ((W2 - sqrt P)+)^2`` on samples ([T] eqs 40, 44).

    With ``K = 1`` the MMSE codebook is best at every perception ([T] Props 1, 2): Lloyd's, with
    posterior sampling as the optimal plan, so that ``transport_cost = mmse``. With more seeds the
    codebooks are found by a local search (:mod:`veridical.oneshot.joint`) on ``plan_samples`` of
    the samples and polished with all of them; the result is never dearer, on the design samples,
    than the rotated and perturbed MMSE codebooks that the search starts from. The prices hold for
    the design samples; new samples of the same law cost more by a share of about ``K M d / n``.

    Args:
        samples: shape ``(n, d)``, or ``(n,)`` for numbers.
        rate_bits: bits per sample. Fixed length: ``M = round(2^rate_bits)``. Variable length: the
            entropy ``H(Z|S)`` is at most this.
        seeds: ``K``, number of seed symbols; ``K M`` is at most 5,000.
        perception: ``P``, squared W2 for which to design. ``None``: MMSE first, for use at every
            perception: ``d`` at most 10 % above the least, in practice much closer, and ``W2`` as small as that
            leaves room for (:mod:`veridical.oneshot.objective`).
        rng: source of all random choices of the design.
        weights: of the samples, shape ``(n,)``, equal if left out.
        variable_length: entropy-constrained design; :meth:`SampleCodec.to_bytes` realises it.
        search_settings: effort of the joint search.
        plan_samples: samples for plans during the search, at least 2.
        progress: called with the number of descents done and to do.

    Raises:
        InvalidSetting: bad samples, weights or settings; fewer samples than codewords; too many
            codewords.
        NotConverged: a plan was not found.
    """
    x, a = weighted_points(samples, weights, name="samples")
    x, a = x[a > 0], a[a > 0]
    outputs = _outputs(rate_bits, seeds, variable_length=variable_length)
    if plan_samples < 2:
        raise InvalidSetting(f"plan_samples is {plan_samples}; a plan needs 2 or more")
    if variable_length:
        outputs = min(outputs, a.size)
    book = lloyd(x, outputs, rng=rng, weights=a)
    lagrangian = 0.0
    if variable_length:
        book, lagrangian = _at_entropy(x, a, book, rate_bits)
    M = book.points.shape[0]
    same = CodebookEncoder(
        np.repeat(book.points[None], seeds, axis=0), np.repeat(book.offsets[None], seeds, axis=0)
    )
    if seeds == 1 or M == 1 or book.mmse == 0.0:
        return _composed(x, a, same, rng)
    objective = Objective(perception, lagrangian)
    settings = Search() if search_settings is None else search_settings
    problem = _subset(x, a, plan_samples, rng)
    small = Problem(problem.plan_x, problem.plan_weights, problem.plan_x, problem.plan_weights)
    best, raw = search(
        small, book.points, seeds, objective, rng=rng, settings=settings, progress=progress
    )
    polished = descend(best.encoder, problem, objective, steps=settings.steps)
    options = [_composed(x, a, e, rng) for e in (polished.encoder, raw.encoder)]
    if variable_length:
        options = [o for o in options if o.entropy_bits <= rate_bits]
        # The same codebook for every seed always meets the rate.
        options = options or [_composed(x, a, same, rng)]
    return min(
        options,
        key=lambda o: objective.value(
            o.calibration.mmse, o.calibration.transport_cost, o.entropy_bits
        ),
    )


def _outputs(rate_bits: float, seeds: int, *, variable_length: bool) -> int:
    """``M``, after checking the rate and the number of seeds."""
    if isinstance(rate_bits, bool) or not isinstance(rate_bits, int | float) or not rate_bits >= 0:
        raise InvalidSetting(f"rate_bits must be 0 or more, got {rate_bits!r}")
    if isinstance(seeds, bool) or not isinstance(seeds, int | np.integer) or seeds < 1:
        raise InvalidSetting(f"seeds must be a whole number of 1 or more, got {seeds!r}")
    bits = rate_bits + (1.0 if variable_length and rate_bits > 0 else 0.0)
    M = round(2.0**bits) if bits <= 32 else _MOST_ATOMS + 1
    if M * seeds > _MOST_ATOMS:
        raise InvalidSetting(
            f"{rate_bits} bits with {seeds} seeds take more than {_MOST_ATOMS} codewords; lower "
            "the rate or the number of seeds, or code blocks of fewer coordinates"
        )
    return M


def _subset(x: Array, a: Array, count: int, rng: np.random.Generator) -> Problem:
    """All samples for the means, and at most ``count`` of them for the plans."""
    if a.size <= count:
        return Problem(x, a, x, a)
    equal = bool(np.all(a == a[0]))
    chosen = rng.choice(a.size, count, replace=not equal, p=None if equal else a)
    return Problem(x, a, x[chosen], np.full(count, 1.0 / count))


def _at_entropy(x: Array, a: Array, start: Codebook, rate_bits: float) -> tuple[Codebook, float]:
    """The entropy-constrained codebook of least error whose entropy is at most the rate."""
    if start.entropy_bits <= rate_bits:
        return start, 0.0
    spread = float(a @ np.sum(np.square(x - a @ x), axis=1))
    # At the upper end one codeword is best: a bit saves less than the whole variance.
    low, high = 0.0, 4.0 * spread
    best, best_lagrangian = lloyd(x, 1, rng=np.random.default_rng(0), weights=a), high
    for _ in range(24):
        middle = math.sqrt(low * high) if low > 0 else high / 16
        book = entropy_constrained(x, start, middle, weights=a)
        if book.entropy_bits <= rate_bits:
            best = book if book.mmse <= best.mmse else best
            best_lagrangian, high = middle, middle
        else:
            low = middle
        if low > 0 and high / low < 1.001:
            break
    return best, best_lagrangian


def _composed(
    x: Array, a: Array, encoder: CodebookEncoder, rng: np.random.Generator
) -> SampleCodec:
    """Means, plan, price and tables of an encoder; cells without samples are closed."""
    K, M, d = encoder.sites.shape
    means, masses = seeded_means(x, a, encoder)
    closed = CodebookEncoder(encoder.sites, np.where(masses > 0, encoder.offsets, np.inf))
    used = masses.ravel() > 0
    atoms, which = np.unique(means.reshape(K * M, d)[used], axis=0, return_inverse=True)
    law = np.bincount(which.ravel(), masses.ravel()[used], atoms.shape[0]) / K
    plan: Plan = plan_to_sites(x, atoms, rng=rng, masses=law, weights=a)
    return SampleCodec(
        encoder=closed,
        estimator=CentroidEstimator(means),
        generator=PlanGenerator.from_plan(plan, x, atoms),
        calibration=Calibration(cell_error(x, a, means, masses), plan.cost),
        outputs=M,
        seeds=K,
        entropy_bits=cell_entropy_bits(masses),
        tables=FrequencyTables.from_law(masses),
        lower_cost=plan.lower,
    )
