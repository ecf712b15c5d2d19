"""Entropy coding of lattice indices: length against entropies that are known."""

import math

import numpy as np
import pytest

from veridical.bitstream.lattice import LatticeCoder
from veridical.bitstream.lattice_tables import CoordinateTables
from veridical.bitstream.steps import StepDecoder, encode_steps
from veridical.errors import DamagedFile, InvalidSetting
from veridical.quantize.lattice import (
    Lattice,
    NestedChain,
    barnes_wall16,
    checkerboard,
    cubic,
    gosset,
    leech24,
    self_similar,
)


def coder_of(family, scale, cosets):
    chain = NestedChain(Lattice(family, scale), cosets)
    cell = Lattice(family).sample_cell(4096, np.random.default_rng(0)) / Lattice(family).axis
    return chain, LatticeCoder.from_law(chain, 1.0, cell)


@pytest.mark.statistical
@pytest.mark.parametrize("step", [0.2, 1.0, 2.5])
def test_scalar_index_costs_its_entropy(step):
    # Oracle: the entropy of the cells of N(0, 1), in closed form; 200,000 samples: 4 standard errors
    # of the mean code length plus 0.2 %.
    from scipy.stats import norm

    chain, coder = coder_of(cubic(1), step, self_similar(cubic(1), 1))
    x = np.random.default_rng(1).normal(size=(200_000, 1))
    index = chain.encode(x, 0)
    k = np.arange(-200, 201)
    law = norm.cdf((k + 0.5) * step) - norm.cdf((k - 0.5) * step)
    law = law[law > 0]
    entropy = float(-np.sum(law * np.log2(law)))
    spread = math.sqrt(np.sum(law * (np.log2(law) + entropy) ** 2) / len(x))
    length = 8 * len(coder.to_bytes(index, 0)) / len(x)
    assert abs(length - entropy) < 4 * spread + 0.002 * entropy + 0.001


@pytest.mark.statistical
@pytest.mark.parametrize(
    "family", [checkerboard(4), gosset(), barnes_wall16(), leech24()], ids=lambda f: f.name
)
@pytest.mark.parametrize("cosets", [1, None], ids=["no common", "dither"])
def test_vector_index_costs_little_more_than_theory(family, cosets):
    # Oracle: the rate of dithered quantization, I(X; X + N) = h(X + N) - log2 V, lies between
    # 1/2 log2((1 + D)/D) and that plus 1/2 log2(2 pi e G) a dimension (Zamir and Feder 1992). The coder
    # stays below the upper bound plus 0.015 bit for coordinates taken as independent; 4,000
    # blocks or more, scaled to unit power, leave 0.005 bit of noise.
    scale = 2.4 * family.volume ** (-1 / family.dimension)
    code = None if cosets is None else self_similar(family, 1)
    chain, coder = coder_of(family, scale, code)
    blocks = 4000 if family.dimension > 4 else 8000
    x = np.random.default_rng(2).normal(size=(blocks, family.dimension))
    x /= math.sqrt(np.mean(np.square(x)))
    D = chain.middle.second_moment
    lower = 0.5 * math.log2((1 + D) / D)
    filling = 0.5 * math.log2(2 * math.pi * math.e * family.normalised_second_moment)
    rate = coder.ideal_bits(chain.encode(x, 7), 7) / x.size
    assert lower - 0.005 < rate < lower + filling + 0.015


def test_tables_stay_bounded_and_refuse_more():
    # Oracle: the stated limits: 2^22 entries, 2^16 symbols.
    cell = Lattice(leech24()).sample_cell(64, np.random.default_rng(0)) / Lattice(leech24()).axis
    fine = CoordinateTables.from_law(Lattice(leech24(), 2.0**-5), 1.0, cell)
    assert fine.tables.frequencies.size <= 1 << 22
    with pytest.raises(InvalidSetting, match="lower the rate"):
        CoordinateTables.from_law(Lattice(leech24(), 2.0**-14), 1.0, cell)


def test_steps():
    # Oracles: the symbols; typed errors for damage and for what does not fit.
    rng = np.random.default_rng(3)
    tables = CoordinateTables.from_law(
        Lattice(cubic(1), 1.0), 1.0, np.array([[0.3], [-0.3]])
    ).tables
    rows, columns = tables.frequencies.shape
    steps = [(rng.integers(0, columns, n), rng.integers(0, rows, n)) for n in (0, 5, 40)]
    data = encode_steps(steps, tables, b"more")
    decoder = StepDecoder(data, tables)
    assert decoder.extra == b"more"
    assert decoder.count == 45
    for symbols, contexts in steps:
        assert np.array_equal(decoder.step(contexts), symbols)
    for bad in (data[:-1], data[:5], b"", data[:4] + b"\xff" + data[5:]):
        with pytest.raises(DamagedFile):
            StepDecoder(bad, tables)
    one = np.zeros(1, dtype=np.int64)
    for symbols, contexts in (
        (one + columns, one),
        (one - 1, one),
        (one, one + rows),
        (one, one[:0]),
    ):
        with pytest.raises(InvalidSetting):
            encode_steps([(symbols, contexts)], tables)
