"""Range coding of indices: round trip, length against entropy, and damage."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veridical.bitstream.entropy import FrequencyTables, decode_symbols, encode_symbols
from veridical.errors import DamagedFile, InvalidSetting


@given(st.integers(0, 2**32 - 1), st.integers(1, 300), st.integers(1, 5), st.integers(0, 500))
def test_round_trip_and_length(seed, symbols, contexts, n):
    # Oracles: the input, and the ideal code length under the tables, missed by at most 12 bytes.
    rng = np.random.default_rng(seed)
    law = rng.dirichlet(np.full(symbols, 0.3), contexts)
    tables = FrequencyTables.from_law(law)
    c = rng.integers(0, contexts, n)
    s = rng.integers(0, symbols, n) if seed % 2 else np.array(
        [rng.choice(symbols, p=law[k] / law[k].sum()) for k in c], dtype=np.int64
    )  # fmt: skip
    data = encode_symbols(s, c, tables)
    assert np.array_equal(decode_symbols(data, c, tables), s)
    assert 8 * len(data) <= tables.bits(s, c) + 96 + 1e-3 * n


def test_every_flipped_bit_and_every_truncation_is_noticed():
    # Oracle: the contract: CRC-32 finds every single flipped bit.
    rng = np.random.default_rng(0)
    tables = FrequencyTables.from_law([[0.5, 0.3, 0.2]])
    s = rng.integers(0, 3, 60)
    data = encode_symbols(s, np.zeros(60, dtype=np.int64), tables)
    contexts = np.zeros(60, dtype=np.int64)
    for at in range(8 * len(data)):
        bad = bytearray(data)
        bad[at // 8] ^= 1 << at % 8
        with pytest.raises(DamagedFile):
            decode_symbols(bytes(bad), contexts, tables)
    for length in range(len(data)):
        with pytest.raises(DamagedFile):
            decode_symbols(data[:length], contexts, tables)
    with pytest.raises(DamagedFile, match="60 symbols"):
        decode_symbols(data, contexts[:59], tables)


@pytest.mark.parametrize(
    "call",
    [
        lambda: FrequencyTables.from_law([[0.5, np.nan]]),
        lambda: FrequencyTables.from_law([[0.5, -0.5]]),
        lambda: FrequencyTables.from_law([[0.0, 0.0]]),
        lambda: FrequencyTables(np.array([[1, 2]])),
        lambda: encode_symbols([2], [0], FrequencyTables.from_law([[1, 1]])),
        lambda: encode_symbols([-1], [0], FrequencyTables.from_law([[1, 1]])),
        lambda: encode_symbols([0], [1], FrequencyTables.from_law([[1, 1]])),
        lambda: encode_symbols([0, 1], [0], FrequencyTables.from_law([[1, 1]])),
        lambda: encode_symbols([0.5], [0], FrequencyTables.from_law([[1, 1]])),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(InvalidSetting):
        call()


def test_words_that_no_symbols_lead_to_are_refused():
    # Oracle: with the checksum repaired, a message of random words is either symbols or refused; of
    # 300 at this seed some are refused, so that the refusal itself is seen.
    rng = np.random.default_rng(0)
    tables = FrequencyTables.from_law(rng.dirichlet(np.ones(40), size=1))
    contexts = np.zeros(200, dtype=np.int64)
    refused = 0
    for _ in range(300):
        payload = struct.pack("<I", 200) + rng.bytes(120)
        try:
            decode_symbols(struct.pack("<I", zlib.crc32(payload)) + payload, contexts, tables)
        except DamagedFile:
            refused += 1
    assert refused > 0
