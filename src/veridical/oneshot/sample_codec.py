"""The codec that designs from samples give: codebooks, their means, a plan, prices and tables."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array, Whole
from veridical.bitstream import FrequencyTables, decode_symbols, encode_symbols, seed_key
from veridical.codec import PartsCodec
from veridical.estimate import CentroidEstimator, cell_error, seeded_means
from veridical.generate.plan import PlanGenerator
from veridical.interpolate import Calibration
from veridical.kept import Kept
from veridical.quantize import CodebookEncoder, cell_entropy_bits
from veridical.transport import Plan, plan_to_sites

TURNS = 1 << 16
"""Shares of the time are whole numbers of this."""


@dataclass(frozen=True)
class SampleCodec(Kept, PartsCodec[Array, Whole, np.random.Generator]):
    """A codec designed from samples.

    Attributes:
        encoder: ``K`` sets of cells; ``2 K`` where two codes share the time.
        estimator: their conditional means.
        calibration: ``mmse`` and ``transport_cost``, the same for every index.
        outputs: ``M``, size of the index alphabet.
        seeds: ``K``.
        entropy_bits: ``H(Z|S)`` on the design samples, bits per sample.
        tables: frequencies of the index for each seed symbol, for the entropy coder.
        lower_cost: proven lower bound on ``W2^2`` between the design samples and the law of
            ``X~``; ``calibration.transport_cost`` is the cost of the plan in use.
    """

    encoder: CodebookEncoder
    estimator: CentroidEstimator
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
        return encode_symbols(z, self.encoder.symbols(z.size, seed), self.tables, self._key(seed))

    def from_bytes(self, data: bytes, count: int, *, seed: int = 0) -> Whole:
        """The ``count`` indices of a message.

        Raises:
            DamagedFile: the message is truncated, altered, or holds another number of indices.
        """
        return decode_symbols(data, self.encoder.symbols(count, seed), self.tables, self._key(seed))

    def _key(self, seed: int) -> bytes:
        return seed_key(seed, common=len(self.encoder.sites) > 1)


def composed(x: Array, a: Array, encoder: CodebookEncoder, rng: np.random.Generator) -> SampleCodec:
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


def time_shared(low: SampleCodec, high: SampleCodec, turns: int) -> SampleCodec:
    """``high`` for ``turns`` of 2^16 samples, ``low`` for the others, each with its own plan."""
    w = turns / TURNS
    K, M = low.seeds, max(low.outputs, high.outputs)
    plans = [c.generator for c in (low, high) if isinstance(c.generator, PlanGenerator)]
    shares = (TURNS - turns,) * K + (turns,) * K

    def joined(first: ArrayLike, second: ArrayLike, value: float) -> Array:
        both = [np.asarray(t, dtype=np.float64) for t in (first, second)]
        both = [
            np.pad(t, [(0, 0), (0, M - t.shape[1]), (0, 0)][: t.ndim], constant_values=value)
            for t in both
        ]
        return np.concatenate(both)

    def mean(first: float, second: float) -> float:
        return (1 - w) * first + w * second

    return SampleCodec(
        encoder=CodebookEncoder(
            joined(low.encoder.sites, high.encoder.sites, 0.0),
            joined(low.encoder.offsets, high.encoder.offsets, math.inf),
            shares,
        ),
        estimator=CentroidEstimator(
            joined(low.estimator.points, high.estimator.points, 0.0), shares
        ),
        generator=PlanGenerator.mixed(plans, (1 - w, w)),
        calibration=Calibration(
            mean(low.calibration.mmse, high.calibration.mmse),
            mean(low.calibration.transport_cost, high.calibration.transport_cost),
        ),
        outputs=M,
        seeds=K,
        entropy_bits=mean(low.entropy_bits, high.entropy_bits),
        tables=FrequencyTables.from_law(
            joined(low.tables.frequencies, high.tables.frequencies, 0.0)
        ),
        lower_cost=mean(low.lower_cost, high.lower_cost),
    )
