"""Codes for the Gaussian source at equal rate and common randomness: D-P curves beside the limit.

Every code is designed, fed with fresh samples of N(0, 1), entropy-coded by the real coder and decoded at several
perceptions. All amounts are per dimension. The record is a list of named codes, so that other kinds of codes
are further entries of ``CODES``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from veridical.arrays import Array
from veridical.block.lattice import lattice_codec
from veridical.block.trellis import trellis_codec
from veridical.interpolate import Calibration, interpolate
from veridical.limits import gaussian_distortion
from veridical.quantize.lattice import (
    Family,
    Lattice,
    barnes_wall16,
    checkerboard,
    cubic,
    gosset,
    hexagonal,
    leech24,
)
from veridical.studies.gaussian_rivals import (
    GROUP_LENGTH,
    RANDOM_LENGTH,
    group_common_bits,
    make_group,
    make_random,
)
from veridical.studies.records import Record, Run


class BlockCode(Protocol):
    """What is asked of a code: blocks ``(n, d)`` in, bytes, blocks out."""

    @property
    def calibration(self) -> Calibration:
        """Price list per dimension."""

    def encode(self, x: Array, *, seed: int = 0) -> Any:
        """Index of blocks."""

    def to_bytes(self, index: Any, *, seed: int = 0) -> bytes:
        """The index as bytes."""

    def decode(
        self, index: Any, rng: np.random.Generator, *, realism: float, seed: int = 0
    ) -> Array:
        """Blocks at a realism."""


@dataclass(frozen=True)
class Entry:
    """A code of the comparison.

    Attributes:
        name: in tables and pictures.
        dimension: of its blocks.
        make: ``(rate_bits, common_bits, samples, rng)`` to the code.
        gain_db: of theory at high rate over the scalar code, where there is one.
        reaches: whether the code exists at a rate and an amount of common randomness.
        common_bits: what amount of common randomness it has where this is asked for.
        most_samples: how many samples it is fed with at most, where searching takes long.
    """

    name: str
    dimension: int
    make: Callable[[float, float, int, np.random.Generator], BlockCode]
    gain_db: float = math.nan
    reaches: Callable[[float, float], bool] = lambda rate_bits, common_bits: True
    common_bits: Callable[[float], float] = lambda common_bits: common_bits
    most_samples: int = 1 << 60


def _lattice_entry(family: Family, name: str | None = None) -> Entry:
    def make(R: float, Rc: float, samples: int, rng: np.random.Generator) -> BlockCode:
        return lattice_codec(family, rate_bits=R, common_bits=Rc, samples=samples, rng=rng)

    n = family.dimension
    return Entry(
        name or family.name, n, make, Lattice(family).space_filling_gain_db,
        lambda R, Rc: math.isinf(Rc) or Rc > 1 or abs(Rc * n - round(Rc * n)) < 1e-9,
    )  # fmt: skip


def _trellis_entry(states: int) -> Entry:
    def make(R: float, Rc: float, samples: int, rng: np.random.Generator) -> BlockCode:
        return trellis_codec(states, rate_bits=R, common_bits=Rc, samples=samples, rng=rng)

    return Entry(f"trellis {states}", _TRELLIS_BLOCK, make)


_TRELLIS_BLOCK = 100
"""Trellis codes take streams of any length; the law of X- is tested on blocks of this many samples."""
_FAMILIES = (hexagonal(), checkerboard(4), gosset(), barnes_wall16(), leech24())
# Eight scalar quantizers to a block, so that codes over them reach parts of a bit of common randomness.
CODES: tuple[Entry, ...] = (
    _lattice_entry(cubic(8), "Z"),
    *(_lattice_entry(family) for family in _FAMILIES),
    Entry(
        "random", RANDOM_LENGTH, make_random, reaches=lambda R, Rc: R == 1.0, most_samples=24_000
    ),
    Entry(
        "group", GROUP_LENGTH, make_group, common_bits=group_common_bits,
        reaches=lambda R, Rc: R == 1.0 and not math.isinf(Rc),
    ),
    *(_trellis_entry(states) for states in (8, 64, 256)),
)  # fmt: skip

_SHARES = np.array([0.0, 0.04, 0.15, 0.35, 0.65, 1.0])
"""Perceptions, as shares of the limit's transport cost; the third is the middle one of the table."""
MIDDLE = 2


@dataclass(frozen=True)
class _Size:
    settings: tuple[tuple[float, float], ...]
    codes: tuple[str, ...]
    samples: int
    design: int


_ALL = tuple(entry.name for entry in CODES)
_SIZES = {
    "quick": _Size(((1.0, 0.0), (1.0, math.inf)), ("Z", "D4", "E8", "trellis 8"), 16_000, 8_000),
    "full": _Size(
        (
            (1.0, 0.0),
            (1.0, 0.5),
            (1.0, 1.0),
            (1.0, math.inf),
            (3.0, math.inf),
        ),
        _ALL,
        240_000,
        120_000,
    ),
}


def compute(run: Run) -> Record:
    """Measure every code at every (R, Rc) of the preset."""
    size = _SIZES[run.preset]
    entries = [entry for entry in CODES if entry.name in size.codes]
    jobs = [(e, R, Rc) for R, Rc in size.settings for e in entries if e.reaches(R, Rc)]
    rows, columns = [], []
    for done, (entry, R, Rc) in enumerate(jobs):
        run.progress(done, len(jobs))
        limit = gaussian_distortion(R, 0.0, Rc) - 2.0 ** (-2.0 * R)
        P = _SHARES * float(limit)
        columns.append(_measured(entry, R, Rc, P, size))
        gain = None if math.isnan(entry.gain_db) else entry.gain_db
        own = entry.common_bits(Rc)
        rows.append({"own_Rc": "inf" if math.isinf(own) else own, "name": entry.name, "dimension": entry.dimension, "R": R, "gain_db": gain,
                     "Rc": "inf" if math.isinf(Rc) else Rc})  # fmt: skip
    run.progress(len(jobs), len(jobs))
    names = columns[0].keys()
    return Record(
        "gaussian-codes",
        {"codes": rows, "samples": size.samples},
        {name: np.stack([column[name] for column in columns]) for name in names},
    )


def _measured(entry: Entry, R: float, Rc: float, P: Array, size: _Size) -> dict[str, Array]:
    """Price list, rate of real bytes, and errors at every perception, of one code."""
    rng = np.random.default_rng(
        [entry.dimension, int(10 * R), 99 if math.isinf(Rc) else int(10 * Rc)]
    )
    code = entry.make(R, Rc, size.design, rng)
    count = min(size.samples, entry.most_samples) // entry.dimension
    x = rng.standard_normal((count, entry.dimension))
    seed = int(rng.integers(1 << 62))
    index = code.encode(x, seed=seed)
    rate = 8 * len(code.to_bytes(index, seed=seed)) / x.size
    price = code.calibration
    value, error = np.empty(P.size), np.empty(P.size)
    # The two ends are decoded once; every perception is a blend of them, as in the codec.
    x_mmse = code.decode(index, rng, realism=0.0, seed=seed)
    x_real = code.decode(index, rng, realism=1.0, seed=seed)
    norm_ks, projection_ks = _law(x_real, rng)
    for j, p in enumerate(P):
        out = interpolate(x_mmse, x_real, price.realism_for(float(p)))
        misses = np.mean(np.square(x - out), axis=1)
        value[j], error[j] = np.mean(misses), np.std(misses) / math.sqrt(len(misses))
    return {
        "rate_bits": np.array(rate),
        "mmse": np.array(price.mmse),
        "transport_cost": np.array(price.transport_cost),
        "P": P,
        "predicted": np.array([price.distortion_for(float(p)) for p in P]),
        "measured": value,
        "standard_error": error,
        "limit": gaussian_distortion(R, P, Rc),
        "norm_ks": np.array(norm_ks),
        "projection_ks": np.array(projection_ks),
        "blocks": np.array(float(len(x))),
        # The limit at the rate that the bytes really have, and the common randomness that was used.
        "limit_at_rate": gaussian_distortion(rate, P, entry.common_bits(Rc)),
    }


def _law(x_real: Array, rng: np.random.Generator) -> tuple[float, float]:
    """Kolmogorov-Smirnov distances of the block law from N(0, I): norms, and the worst of 4 projections.

    At 1 % significance blocks of the source themselves reach 1.63 (1.9 for the worst of 4) over the root of
    the number of blocks.
    """
    from scipy.stats import kstest

    d = x_real.shape[1]
    w = rng.standard_normal((d, 4))
    projected = x_real @ (w / np.linalg.norm(w, axis=0))
    norms = kstest(np.sum(np.square(x_real), axis=1), "chi2", args=(d,)).statistic
    return float(norms), max(float(kstest(column, "norm").statistic) for column in projected.T)


def _bits(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.3g}"


def table(record: Record) -> str:
    """The record as a table in Markdown."""
    a, lines = record.arrays, []
    lines.append(
        "| R | Rc | code | bits | d | C | D, P=0 | s.e. | P | D | limit P=0 | limit P | gain dB | theory | above dB | norm | proj. |"
    )
    lines.append("|" + "---|" * 17)
    scalar: dict[tuple[float, Any], float] = {}
    for i, row in enumerate(record.facts["codes"]):
        key = (row["R"], row["Rc"])
        # Rates differ by noise: distortions are compared at the nominal rate, 6.02 dB a bit.
        d = float(a["mmse"][i]) * 4.0 ** (float(a["rate_bits"][i]) - row["R"])
        scalar.setdefault(key, d)
        gain = 10 * math.log10(scalar[key] / d)
        above = 10 * math.log10(float(a["measured"][i, 0] / a["limit_at_rate"][i, 0]))
        theory = "" if row["gain_db"] is None else f"{abs(row['gain_db']):.2f}"
        lines.append(
            f"| {row['R']:g} | {_bits(row['own_Rc'])} | {row['name']} | {a['rate_bits'][i]:.4f} "
            f"| {a['mmse'][i]:.4f} | {a['transport_cost'][i]:.4f} | {a['measured'][i, 0]:.4f} "
            f"| {a['standard_error'][i, 0]:.4f} | {a['P'][i, MIDDLE]:.4f} "
            f"| {a['measured'][i, MIDDLE]:.4f} | {a['limit'][i, 0]:.4f} "
            f"| {a['limit'][i, MIDDLE]:.4f} | {gain:.2f} | {theory} | {above:.2f} "
            f"| {a['norm_ks'][i] * math.sqrt(a['blocks'][i]):.2f} "
            f"| {a['projection_ks'][i] * math.sqrt(a['blocks'][i]):.2f} |"
        )
    return "\n".join(lines)
