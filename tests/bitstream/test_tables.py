"""Coding in passes with tables of different widths: round trip, length, escapes, hostile words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veridical.bitstream.tables import LARGEST_VALUE, SymbolDecoder, SymbolEncoder, TableSet, shares
from veridical.errors import DamagedFile, InvalidSetting


def some_tables(rng, count):
    laws = []
    for _ in range(count):
        width = int(rng.integers(1, 40))
        laws.append((int(rng.integers(-20, 5)), rng.dirichlet(np.full(width + 1, 0.5))))
    return TableSet.from_laws(laws)


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(0, 300), st.integers(1, 4))
def test_round_trip_in_passes_and_length(seed, count, n, passes):
    # Oracles: the input; the ideal length under the tables, missed by at most 8 bytes and 0.1 %.
    rng = np.random.default_rng(seed)
    tables = some_tables(rng, count)
    wide = LARGEST_VALUE if seed % 3 == 0 else 30
    told = [(rng.integers(-wide, wide + 1, n), rng.integers(0, count, n)) for _ in range(passes)]
    encoder = SymbolEncoder()
    for values, t in told:
        encoder.put(values, t, tables)
    data = encoder.words()
    decoder = SymbolDecoder(data)
    for values, t in told:
        assert np.array_equal(decoder.take(t, tables), values)
    ideal = sum(tables.bits(values, t) for values, t in told)
    assert ideal - 1e-3 * ideal <= 8 * len(data) <= 1.001 * ideal + 64


def test_both_ends_of_the_range_with_the_narrowest_table():
    # Oracle: the input; the values whose escapes are longest.
    tables = TableSet.from_laws([(LARGEST_VALUE, [0.5, 0.5]), (-LARGEST_VALUE, [0.5, 0.5])])
    values = np.array([-LARGEST_VALUE, LARGEST_VALUE, 0, LARGEST_VALUE, -LARGEST_VALUE, 1])
    t = np.array([0, 0, 0, 1, 1, 1])
    encoder = SymbolEncoder()
    encoder.put(values, t, tables)
    assert np.array_equal(SymbolDecoder(encoder.words()).take(t, tables), values)


@given(st.binary(max_size=80), st.integers(0, 200))
def test_any_words_decode_to_values_in_range_or_are_refused(data, n):
    # Oracle: the contract: values of the format, or DamagedFile; nothing else escapes.
    rng = np.random.default_rng(5)
    tables = some_tables(rng, 4)
    try:
        values = SymbolDecoder(data).take(rng.integers(0, 4, n), tables)
    except DamagedFile:
        return
    assert values.shape == (n,)
    assert np.all(np.abs(values) <= LARGEST_VALUE)


@pytest.mark.parametrize(
    "call",
    [
        lambda t: SymbolEncoder().put([0], [len(t)], t),
        lambda t: SymbolEncoder().put([0], [-1], t),
        lambda t: SymbolEncoder().put([0, 1], [0], t),
        lambda t: SymbolEncoder().put([LARGEST_VALUE + 1], [0], t),
        lambda t: SymbolDecoder(b"").take([len(t)], t),
        lambda t: TableSet(t.frequencies[:-1], t.starts, t.lows),
        lambda t: TableSet(t.frequencies, t.starts, t.lows + LARGEST_VALUE),
        lambda t: TableSet(t.frequencies.astype(float), t.starts, t.lows),
        lambda t: TableSet(t.frequencies * 2, t.starts, t.lows),
        lambda t: TableSet.from_laws([]),
    ],
)
def test_bad_input_is_refused(call):
    tables = some_tables(np.random.default_rng(1), 3)
    with pytest.raises((InvalidSetting, ValueError)):
        call(tables)


@given(st.integers(0, 2**32 - 1), st.integers(0, 200), st.integers(2, 16))
def test_symbols_with_a_law_each(seed, n, k):
    # Oracles: the input; the sum of -log2, missed by at most 8 bytes and 0.1 %; symbols of tables
    # before and after are undisturbed.
    rng = np.random.default_rng(seed)
    tables = some_tables(rng, 2)
    laws = shares(rng.integers(0, 1 << 30, (n, k)) ** 2 // (1 << 30) + (rng.random((n, k)) < 0.1))
    symbols = rng.integers(0, k, n)
    encoder = SymbolEncoder()
    around = rng.integers(-5, 6, 7), rng.integers(0, 2, 7)
    encoder.put(*around, tables)
    encoder.put_each(symbols, laws)
    encoder.put(*around, tables)
    decoder = SymbolDecoder(encoder.words())
    assert np.array_equal(decoder.take(around[1], tables), around[0])
    assert np.array_equal(decoder.take_each(laws), symbols)
    assert np.array_equal(decoder.take(around[1], tables), around[0])
    ideal = 2 * tables.bits(*around) + np.sum(20 - np.log2(laws[np.arange(n), symbols]))
    assert 0.999 * ideal <= 8 * len(encoder.words()) <= 1.001 * ideal + 64


def test_laws_that_are_none_are_refused():
    law = np.array([[1 << 19, 1 << 19]])
    for symbols, laws in (
        ([0], law + 1), ([0, 1], law), ([2], law), ([-1], law), ([0], law[0]),
        ([0], [[1 << 20, 0]]), ([0], [[1 << 20]]),
    ):  # fmt: skip
        with pytest.raises(InvalidSetting):
            SymbolEncoder().put_each(symbols, laws)
    with pytest.raises(InvalidSetting):
        SymbolDecoder(b"").take_each(law + 1)


def test_tables_from_whole_weights():
    # Oracle: by hand: floor(w (2^20 - n) / sum) + 1, the rest to the first of the likeliest.
    tables = TableSet.from_weights([(-1, np.array([3, 3, 1])), (5, np.array([1 << 40, 0]))])
    first = [3 * (2**20 - 3) // 7 + 1, 3 * (2**20 - 3) // 7 + 1, (2**20 - 3) // 7 + 1]
    first[0] += 2**20 - sum(first)
    assert tables.frequencies.tolist() == [*first, 2**20 - 1, 1]
    assert tables.lows.tolist() == [-1, 5]
