"""Nested group codes, measured: against random codes, against ``D(R, Rc, P)``, and the law of their blocks.

Every row of ``facts["rows"]`` is one code on one source, by name, with per-symbol squared error: ``mmse`` and
``transport_cost`` of its price list, distortion measured on new blocks at three settings of the knob with
standard errors, the bracket of ``D(R, Rc, P)`` beside it, and what is left in decibels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from veridical.block.group import GroupGenerator
from veridical.block.group_design import Effort, GroupDesign, design_group_codec
from veridical.block.letters import design_letters
from veridical.interpolate import Calibration
from veridical.limits import least_distortion
from veridical.measure import mean_with_error
from veridical.quantize.group import NestedChain
from veridical.sources.alphabet import Alphabet, bernoulli, quantized_gaussian
from veridical.studies.block_law import block_law
from veridical.studies.records import Record, Run

_SOURCES: dict[str, Alphabet] = {
    "bernoulli": bernoulli(0.3),
    "gaussian": quantized_gaussian(33),
}
# A middle perception: this share of the least distortion of the rate.
_MIDDLE = 0.15
_REALISM = np.array([0.0, 0.25, 0.5, 0.75, 1.0])


@dataclass(frozen=True)
class _Code:
    """A chain by its numbers; taps were found by ``choose_taps`` with 16 to 64 tries."""

    source: str
    p: int
    period: int
    counts: tuple[int, int, int]
    memory: tuple[int, int, int]
    taps: tuple[int, int, int]

    def chain(self, symbols: int) -> NestedChain:
        """Blocks of about so many symbols."""
        k1, km, ks = self.counts
        return NestedChain(
            p=self.p, n=self.period * max(symbols // self.period, 1), period=self.period,
            shaping=k1, message=km, seed=ks, memory=self.memory, taps=self.taps,
        )  # fmt: skip

    @property
    def name(self) -> str:
        """Source, field, states of the operational search, and seed symbols."""
        states = self.p ** sum(m for m, k in zip(self.memory[:2], self.counts, strict=False) if k)
        shaped = ", shaped" if self.counts[0] else ""
        return f"group {self.source} p={self.p} states={states}{shaped} Rc={self.common_bits:.3f}"

    @property
    def common_bits(self) -> float:
        """``Rc``."""
        return self.counts[2] / self.period * math.log2(self.p)


def _coin(memory: tuple[int, int, int], taps: tuple[int, int, int], seeds: int = 2) -> _Code:
    return _Code("bernoulli", 2, 10, (1, 5, seeds), memory, taps)


def _relabelled(memory: int, taps: int, seeds: int = 2) -> _Code:
    """Three letters, two of which come to stand near the same number: no shaping code is needed."""
    return _Code("bernoulli", 3, 16, (0, 5, seeds), (0, memory, 1), (0, taps, 0))


def _three(memory: int, taps: int, seeds: int = 2) -> _Code:
    return _Code("gaussian", 3, 8, (0, 5, seeds), (0, memory, 1), (0, taps, 0))


def _five(memory: int, taps: int, seeds: int = 2) -> _Code:
    return _Code("gaussian", 5, 7, (0, 3, seeds), (0, memory, 1), (0, taps, 0))


_QUICK = (_coin((1, 1, 1), (5, 15, 0)), _three(1, 27))
_FULL = (
    *_QUICK,
    _coin((2, 2, 1), (0, 23, 0)),
    _coin((3, 3, 1), (12, 15, 0)),
    _coin((3, 5, 1), (0, 8, 0)),
    _coin((4, 6, 1), (13, 4, 0)),
    *(_relabelled(m, taps) for m, taps in enumerate((55, 53, 46, 49, 10, 46, 25, 9), 1)),
    *(_relabelled(6, 46, seeds) for seeds in (0, 1, 4)),
    *(_three(m, taps) for m, taps in enumerate((63, 29, 27, 53, 21, 27), 2)),
    *(_five(m, taps) for m, taps in enumerate((39, 6, 58, 47, 9), 1)),
    *(_five(4, 47, seeds) for seeds in (0, 1, 3)),
    _Code("gaussian", 3, 16, (1, 10, 4), (2, 4, 1), (16, 23, 0)),
)


@dataclass(frozen=True, kw_only=True)
class _Sizes:
    codes: tuple[_Code, ...]
    symbols: int
    blocks: int
    effort: Effort
    random_bits: tuple[int, ...]
    random_blocks: int
    rounds: int
    borrowed: tuple[_Code, _Code] | None = None


_PRESETS = {
    "quick": _Sizes(
        codes=_QUICK, symbols=120, blocks=12, random_bits=(4,), random_blocks=512, rounds=2,
        effort=Effort(blocks=4, calibration_blocks=16, weights=(0.75,), rounds=2, virtual_rounds=4),
    ),
    "full": _Sizes(
        codes=_FULL, symbols=1000, blocks=64, random_bits=(4, 6, 8, 10, 12, 14), random_blocks=4096,
        rounds=12, borrowed=(_relabelled(6, 46, 0), _relabelled(6, 46, 4)),
        effort=Effort(blocks=12, calibration_blocks=48, weights=(0.5, 0.75, 1.0)),
    ),
}  # fmt: skip


def group_codes(run: Run) -> Record:
    """Rows of all codes, random codes at the same rates, and the tests of the blocks' law."""
    sizes = _PRESETS[run.preset]
    rows, knob, laws = [], [], []
    designs: dict[str, GroupDesign] = {}
    for k, code in enumerate(sizes.codes):
        source = _SOURCES[code.source]
        design = design_group_codec(
            source,
            code.chain(sizes.symbols),
            rng=np.random.default_rng([1, k]),
            effort=sizes.effort,
        )
        designs[code.name] = design
        row, measured, law = _row(code, design, sizes, np.random.default_rng([2, k]))
        rows.append(row)
        knob.append(measured)
        laws.append(law)
        run.progress(k + 1, len(sizes.codes))
    arrays = {"realism": _REALISM, "knob": np.array(knob), "block_law": np.array(laws)}
    for name, source in _SOURCES.items():
        rate = next(r["rate_bits"] for r in rows if r["source"] == name)
        arrays[f"random_{name}"] = np.array(
            [_random_code(source, rate, bits, sizes.random_blocks, np.random.default_rng([3, bits]))
             for bits in sizes.random_bits]
        )  # fmt: skip
    facts: dict[str, Any] = {
        "rows": rows,
        "block_law": ["marginal", "neighbours", "block mean", "nearness to G3", "least perception"],
        "largest_deviation_of_distortion_in_standard_errors": max(r["deviation"] for r in rows),
    }
    if sizes.borrowed is not None:
        poor, rich = (designs[code.name] for code in sizes.borrowed)
        facts["borrowed"] = _borrowed(poor, rich, sizes)
    return Record("group-codes", facts, arrays)


def _row(
    code: _Code, design: GroupDesign, sizes: _Sizes, rng: np.random.Generator
) -> tuple[dict[str, Any], list[list[float]], list[list[float]]]:
    """One line of the table, the knob's curve ``(realism, [D, error])``, and the block law."""
    codec, chain, source, blocks = (
        design.codec,
        design.codec.chain,
        _SOURCES[code.source],
        sizes.blocks,
    )
    x = source.sample(blocks, chain.n, rng)
    index = codec.encode(x, seed=5)
    data = codec.to_bytes(index)
    curve, deviation = [], 0.0
    x_real = x
    for a in _REALISM.tolist():
        out = codec.decode(index, np.random.default_rng(6), realism=a, seed=5)
        D = mean_with_error(np.mean(np.square(x - out), axis=1))
        curve.append([D.value, D.standard_error])
        off = abs(D.value - codec.calibration.distortion_at(a)) / D.standard_error
        # The price list has an error of its own, from its own number of blocks.
        deviation = max(deviation, off)
        x_real = out
    price = codec.calibration
    row = _limits(code.source, chain, price, sizes.rounds)
    row |= {
        "name": code.name, "source": code.source, "p": chain.p, "block_symbols": chain.n,
        "states": chain.codes[1].states, "rate_bits": chain.rate_bits,
        "coded_bits": 8 * len(data) / x.size, "common_bits": chain.common_bits,
        "shaping_bits": chain.shaping_bits, "mmse": price.mmse, "transport_cost": price.transport_cost,
        "operational_bits": design.operational_bits, "virtual_bits": design.virtual_bits,
        "measured": curve, "deviation": deviation,
    }  # fmt: skip
    fresh = source.sample(blocks, chain.n, rng)
    return row, curve, block_law(design, x_real, fresh)


@cache
def _bracket(source: str, R: float, P: float, Rc: float, rounds: int) -> tuple[float, float]:
    law = _SOURCES[source]
    bound = least_distortion(law.points, law.law, R, P, Rc, rounds=rounds)
    return bound.lower_distortion, bound.upper_distortion


def _limits(source: str, chain: NestedChain, price: Calibration, rounds: int) -> dict[str, Any]:
    """Brackets of ``D(R, Rc, P)`` at ``P = 0``, a middle ``P`` and no constraint; gaps in decibels."""
    out: dict[str, Any] = {}
    free = _bracket(source, chain.rate_bits, 1e9, 0.0, rounds)
    middle = _MIDDLE * free[1]
    for name, P in (("real", 0.0), ("middle", middle)):
        bound = _bracket(source, chain.rate_bits, P, chain.common_bits, rounds)
        D = price.distortion_for(P)
        out[f"{name}_perception"] = P
        out[f"{name}_distortion"] = D
        out[f"{name}_limit"] = list(bound)
        out[f"{name}_gap_db"] = 10 * math.log10(D / bound[1])
    out["mmse_limit"] = list(free)
    out["mmse_gap_db"] = 10 * math.log10(price.mmse / free[1])
    return out


def _borrowed(poor: GroupDesign, rich: GroupDesign, sizes: _Sizes) -> dict[str, Any]:
    """What a test of single symbols does not see: words of little common randomness, channel of much.

    The letters' law at realism 1 is right and the distortion lies below what the common randomness
    allows; the blocks give it away.
    """
    codec = poor.codec
    source, chain = codec.encoder.source, codec.chain
    generator = GroupGenerator(source, codec.estimator.values, rich.codec.generator.channel)
    rng = np.random.default_rng(4)
    x, fresh = (source.sample(sizes.blocks, chain.n, rng) for _ in range(2))
    x_mmse = codec.decode(codec.encode(x, seed=5), rng, realism=0.0, seed=5)
    x_real = generator.generate(x_mmse, rng)
    D = mean_with_error(np.mean(np.square(x - x_real), axis=1))
    own = codec.generator.generate(x_mmse, rng, np.zeros((0, 0), dtype=np.int64))
    return {
        "distortion": [D.value, D.standard_error],
        "block_law": block_law(poor, x_real, fresh),
        "own_block_law": block_law(poor, own, fresh),
    }


def _random_code(
    source: Alphabet, rate_bits: float, bits: int, blocks: int, rng: np.random.Generator
) -> list[float]:
    """``[n, d, error]`` of ``2^bits`` random words of ``n = bits / R`` letters, drawn from their best law.

    The word of least ``d(x, c) - ln pi(c) / beta`` is found by looking at all; ``x_mmse`` is the mean of
    what a letter stood for. Every 64 blocks have a codebook of their own.
    """
    n, p = max(1, round(bits / rate_bits)), 5
    letters = design_letters(source, p, rate_bits, shaping_bits=2.4)
    costs = (letters.distortion - np.log(letters.law) / letters.slope).astype(np.float32)
    x = source.symbols(source.sample(blocks, n, rng))
    found = np.empty_like(x)
    for first in range(0, blocks, 64):
        book = rng.choice(p, size=(1 << bits, n), p=letters.law)
        part = x[first : first + 64]
        sums = np.zeros((len(part), 1 << bits), dtype=np.float32)
        for t in range(n):
            sums += costs[part[:, t]][:, book[:, t]]
        found[first : first + 64] = book[np.argmin(sums, axis=1)]
    m = source.points.size
    joint = np.bincount((x * p + found).ravel(), minlength=m * p).reshape(m, p)
    means = source.points @ joint / np.maximum(joint.sum(axis=0), 1)
    d = mean_with_error(np.mean(np.square(source.points[x] - means[found]), axis=1))
    return [float(n), d.value, d.standard_error]
