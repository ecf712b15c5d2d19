"""The Zipf code of whole numbers: round trip, length against the law, and damage."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import zeta

from veridical.bitstream import ZipfCode
from veridical.bitstream.integers import MOST_NUMBER
from veridical.errors import DamagedFile, InvalidSetting

NUMBERS = st.one_of(
    st.integers(1, 80),
    st.integers(1, MOST_NUMBER),
    st.integers(0, 40).map(lambda e: 1 << e),
    st.integers(1, 40).map(lambda e: (1 << e) - 1),
)


@given(st.lists(NUMBERS, max_size=60), st.sampled_from([1.0, 1.1, 1.37, 2.0, 16.0]))
def test_round_trip_and_length(numbers, exponent):
    # Oracles: the input; the ideal code length, missed by at most 25 bytes and the coder's 0.1 %.
    code = ZipfCode(exponent)
    k = np.array(numbers, dtype=np.int64)
    data = code.encode(k)
    assert np.array_equal(code.decode(data, k.size), k)
    ideal = float(np.sum(code.bits(k)))
    assert ideal - 1e-9 <= 8 * len(data) <= 1.001 * ideal + 8 * 25


@pytest.mark.parametrize("exponent", [1.2, 1.5, 3.0])
def test_lengths_are_those_of_the_zipf_law(exponent):
    # Oracle: a log2 k + log2 of the sum over 1 .. 2^41 - 1 (Hurwitz), averaged over the law itself up
    # to 2^20 (exact sums); the mean exceeds the entropy of that part by at most 0.004 bits: classes
    # are flat, frequencies rounded.
    k = np.arange(1, 1 << 20)
    law = k**-exponent / (zeta(exponent) - zeta(exponent, 1 << 41))
    ideal = -np.log2(law)
    excess = float(law @ (ZipfCode(exponent).bits(k) - ideal))
    assert -1e-9 - (1 - law.sum()) < excess < 0.004
    # Small numbers, each by itself: frequencies of 20 bits.
    np.testing.assert_allclose(ZipfCode(exponent).bits(k[:8]), ideal[:8], atol=0.002)


def test_the_table_is_pinned():
    # Oracle: values written when the format was fixed; exact. Another table makes messages unreadable.
    assert ZipfCode(1.3).tables.frequencies[0, [0, 1, 30, 31, 100, 606]].tolist() == [
        266901, 108271, 3070, 5774, 1748, 2,
    ]  # fmt: skip
    assert (
        ZipfCode(1.3).encode([1, 2, 3, 40, 10**9]).hex()
        == "5e383481cd4c0100100000008bf261b40500000010c84913d70504c366b28000"
    )


def test_every_flipped_bit_and_every_truncation_is_noticed():
    # Oracle: CRC-32 finds every single flipped bit.
    code = ZipfCode(1.25)
    k = np.array([1, 5, 70, 3_000_000, 1 << 40])
    data = code.encode(k)
    for at in range(8 * len(data)):
        bad = bytearray(data)
        bad[at // 8] ^= 1 << at % 8
        with pytest.raises(DamagedFile):
            code.decode(bytes(bad), 5)
    for length in range(len(data)):
        with pytest.raises(DamagedFile):
            code.decode(data[:length], 5)
    with pytest.raises(DamagedFile, match="exponent"):
        ZipfCode(1.5).decode(data, 5)
    with pytest.raises(DamagedFile, match="5 symbols"):
        code.decode(data, 4)


@given(st.binary(max_size=60), st.integers(0, 20))
def test_bytes_with_a_good_checksum_are_numbers_or_an_error(body, count):
    # Oracle: the contract: numbers in the range, or DamagedFile; nothing else escapes.
    code = ZipfCode(1.25)
    head = struct.pack("<I", round(1.25 * 65536)) + body
    data = struct.pack("<I", zlib.crc32(head)) + head
    try:
        numbers = code.decode(data, count)
    except DamagedFile:
        return
    assert numbers.shape == (count,)
    assert np.all((numbers >= 1) & (numbers <= MOST_NUMBER))


@pytest.mark.parametrize("bad", [[0], [-1], [MOST_NUMBER + 1], [1.5], [[1]], ["1"]])
def test_what_is_no_such_number(bad):
    with pytest.raises(InvalidSetting):
        ZipfCode(1.5).encode(bad)


@pytest.mark.parametrize("exponent", [0.99, 16.1, float("nan"), -2])
def test_exponents_outside_their_range(exponent):
    with pytest.raises(InvalidSetting, match="exponent"):
        ZipfCode(exponent)
