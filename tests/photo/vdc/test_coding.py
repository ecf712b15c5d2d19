"""One tile as a message: the same latents on both sides, in every setting, and its length."""

import dataclasses
import json
import os
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veridical.bitstream.container import read
from veridical.bitstream.tables import SymbolEncoder
from veridical.errors import DamagedFile, InvalidSetting, UnsupportedFormat
from veridical.photo.vdc import coding
from veridical.photo.vdc.coding import TileKey, decode_tile, encode_tile, hyper_shape
from veridical.photo.vdc.frozen import offset_tables, table_of
from veridical.photo.vdc.image import decode_latents
from veridical.photo.vdc.model import load_model
from veridical.photo.vdc.quantizers import (
    E8,
    CommonRandomness,
    Dithered,
    Scalar,
    quantizer_numbered,
)

GOLDEN = Path(__file__).parent / "golden"


def a_tile(entropy, key, seed, spread):
    rng = np.random.default_rng(seed)
    config = entropy.prior.config
    y = (spread * rng.standard_t(3, (config.latents, key.height, key.width))).astype(np.float32)
    z = rng.integers(-6, 7, (config.hyper, *hyper_shape(key.height, key.width)))
    if seed % 4 == 0:
        z = rng.integers(-127, 128, z.shape)
    return y, z


@settings(max_examples=25)
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 11), st.integers(1, 11), st.integers(0, 10_000),
    st.sampled_from([Scalar(), Dithered(1), Dithered(2), Dithered(3), E8()]),
    st.sampled_from([0.05, 1.0, 30.0, 3000.0]),
)  # fmt: skip
def test_both_sides_have_the_same_latents(entropy, seed, height, width, quality, quantizer, spread):
    # Oracle: the encoder's latents; and the points lie within half a step (E8: three quarters, as
    # far as its cell reaches along an axis) of what was quantized, unless it is not coded (row 0) or outside the range of the format.
    told = Told(quantizer)
    key = TileKey(height, width, quality, told, seed, seed % 7)
    y, z = a_tile(entropy, key, seed, spread)
    data, latents = encode_tile(entropy, y, z, key)
    key = dataclasses.replace(key, quantizer=quantizer)
    assert np.array_equal(decode_tile(entropy, data, key), latents)
    assert latents.dtype == np.int16
    assert len(told.seen) == 4
    for x, rows, points in told.seen:
        inside = (rows > 0) & (np.abs(x) < 1898)
        reach = 0.75 if quantizer.number == 2 else 0.5
        assert np.all(np.abs(points / 16 - x)[inside] <= reach + 1e-9)


class Told:
    """A quantizer that remembers what it was given and gave."""

    def __init__(self, quantizer):
        self.quantizer, self.seen = quantizer, []
        self.number, self.randomness_bits = quantizer.number, quantizer.randomness_bits

    def put(self, x, rows, shared, encoder, tables):
        points = self.quantizer.put(x, rows, shared, encoder, tables)
        self.seen.append((x, rows, points))
        return points

    def take(self, rows, shared, decoder, tables):
        return self.quantizer.take(rows, shared, decoder, tables)


class Recording(SymbolEncoder):
    """An encoder that adds up the ideal code length."""

    ideal = 0.0

    def put(self, values, tables, table_set):
        v, t = (np.asarray(a, dtype=np.int64) for a in (values, tables))
        Recording.ideal += table_set.bits(v, t)
        super().put(values, tables, table_set)

    def put_each(self, symbols, frequencies):
        chosen = np.asarray(frequencies)[np.arange(len(symbols)), symbols]
        Recording.ideal += float(np.sum(20 - np.log2(chosen)))
        super().put_each(symbols, frequencies)


@pytest.mark.parametrize("quantizer", [Scalar(), Dithered(3), E8()])
@pytest.mark.parametrize("spread", [0.1, 2.0, 40.0])
def test_length_is_the_entropy_under_the_tables(entropy, monkeypatch, quantizer, spread):
    # Oracle: the sum of -log2 of the tables; within 0.5 % and 64 bytes, as the format promises
    # (the coder's own 24-bit laws give rare symbols a little more, so that it can be shorter).
    monkeypatch.setattr(coding, "SymbolEncoder", Recording)
    Recording.ideal = 0.0
    key = TileKey(24, 20, 7000, quantizer, 11, 3)
    data, _ = encode_tile(entropy, *a_tile(entropy, key, 1, spread), key)
    assert 0.999 * Recording.ideal / 8 - 1 <= len(data) <= 1.005 * Recording.ideal / 8 + 64


@pytest.mark.parametrize("quantizer", [Scalar(), Dithered(3), E8()])
def test_the_same_bytes_and_latents_in_every_thread(entropy, quantizer):
    # Oracle: what one thread alone computes; equal bytes and equal latents.
    key = TileKey(17, 23, 4321, quantizer, 99, 2)
    tile = a_tile(entropy, key, 5, 4.0)
    data, latents = encode_tile(entropy, *tile, key)
    with ThreadPoolExecutor(4) as pool:
        again = list(pool.map(lambda _: encode_tile(entropy, *tile, key)[0], range(4)))
        decoded = list(pool.map(lambda _: decode_tile(entropy, data, key), range(4)))
    assert again == [data] * 4
    assert all(np.array_equal(x, latents) for x in decoded)


@pytest.mark.parametrize("name", ["rounded", "dithered", "e8"])
def test_golden_files_decode_to_the_same_latents_for_ever(name):
    # Oracle: files, weights and checksums of latents that are checked in. Never regenerate them
    # to make this pass: a released version must stay decodable.
    expected = json.loads((GOLDEN / "expected.json").read_text())[name]
    container = read((GOLDEN / f"{name}.vdc").read_bytes(), max_pixels=10**6)
    latents, damaged = decode_latents(container, load_model(GOLDEN / "tiny.npz"))
    assert not damaged
    assert list(latents.shape) == expected["shape"]
    assert zlib.crc32(latents.astype("<i2").tobytes()) == expected["crc32"]


@pytest.mark.parametrize("blas", ["1", "2", "Haswell", "Prescott"])
def test_golden_latents_whatever_the_library_of_matrices(blas):
    # Oracle: the checksum that is checked in; other numbers of threads and other kernels (on
    # processors that OpenBLAS has them for) add in other orders.
    name = "OPENBLAS_NUM_THREADS" if blas.isdigit() else "OPENBLAS_CORETYPE"
    code = f"""
import zlib
from pathlib import Path
from veridical.bitstream.container import read
from veridical.photo.vdc.image import decode_latents
from veridical.photo.vdc.model import load_model
golden = Path({str(GOLDEN)!r})
container = read((golden / "e8.vdc").read_bytes(), max_pixels=10**6)
latents, _ = decode_latents(container, load_model(golden / "tiny.npz"))
print(zlib.crc32(latents.astype("<i2").tobytes()))
"""
    found = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {name: blas}, capture_output=True, check=True
    )
    assert int(found.stdout) == json.loads((GOLDEN / "expected.json").read_text())["e8"]["crc32"]


def test_damage_is_an_error_or_harmless(entropy):
    # Oracle: the checksum of the latents: whatever decodes without error is what was coded
    # (the last bits of the coder's words may be free).
    key = TileKey(2, 3, 5000, Scalar())
    data, latents = encode_tile(entropy, *a_tile(entropy, key, 2, 2.0), key)
    refused = 0
    for at in range(len(data)):
        bad = bytearray(data)
        bad[at] ^= 1 << at % 8
        try:
            assert np.array_equal(decode_tile(entropy, bytes(bad), key), latents)
        except DamagedFile:
            refused += 1
    assert refused >= len(data) - 4
    for length in range(0, len(data), 3):
        with pytest.raises(DamagedFile):
            decode_tile(entropy, data[:length], key)


def test_other_keys_are_noticed(entropy):
    # Oracle: the checksum; each of these changes what the words mean.
    key = TileKey(6, 6, 5000, Dithered(3), 1, 1)
    data, _ = encode_tile(entropy, *a_tile(entropy, key, 3, 3.0), key)
    for change in (
        {"seed": 2}, {"index": 2}, {"quality": 200}, {"height": 7}, {"width": 5},
        {"quantizer": Scalar()}, {"quantizer": Dithered(2)},
    ):  # fmt: skip
        with pytest.raises(DamagedFile):
            decode_tile(entropy, data, dataclasses.replace(key, **change))


@given(st.binary(max_size=64))
@settings(max_examples=30)
def test_rubbish_is_refused(entropy, rubbish):
    with pytest.raises(DamagedFile):
        decode_tile(entropy, rubbish, TileKey(2, 2, 0, Scalar()))


def test_dither_is_spread_evenly_and_centred():
    # Oracle: by hand, in sixteenths of a step.
    for bits, levels in ((1, [-4, 4]), (2, [-6, -2, 2, 6]), (3, [-7, -5, -3, -1, 1, 3, 5, 7])):
        u = Dithered(bits)._dither(4000, CommonRandomness(5, 0))
        assert sorted(set(u.tolist())) == levels


@pytest.mark.statistical
@pytest.mark.parametrize("scale", [0.3, 2.0])
def test_dither_makes_the_error_uniform_whatever_the_latent(entropy, scale):
    # Oracle: subtractive dither on eight levels has the error variance (1 + 1/64 * 0)/12 of a
    # uniform law to within the levels: (1/12)(1 - 1/64) + 1/12/64 = 1/12, seed 0, n = 40,000,
    # |error| < 4 standard errors (a wrong sign of the dither doubles it and more).
    rng = np.random.default_rng(0)
    x = scale * rng.standard_normal((8, 5000))
    rows = np.full(x.shape, 30)
    points = Dithered(3).put(
        x, rows, CommonRandomness(7, 0), SymbolEncoder(), entropy.latent_tables
    )
    e2 = (points / 16 - x) ** 2
    assert abs(e2.mean() - 1 / 12) < 4 * e2.std() / np.sqrt(x.size)


def test_rows_without_code_are_their_means(entropy):
    # Oracle: the format: row 0 is not coded.
    for quantizer in (Scalar(), Dithered(3), E8()):
        encoder = SymbolEncoder()
        points = quantizer.put(
            np.full((8, 5), 30.0), np.zeros((8, 5), dtype=np.int64),
            CommonRandomness(0, 0), encoder, entropy.latent_tables,
        )  # fmt: skip
        assert not points.any()
        assert encoder.words() == b""


def test_tables_of_offsets_are_laws_of_the_shifted_number():
    # Oracle: counts of floor(x + o/16 + 1/2) for 400,000 normal x, seed 1; total variation below
    # 0.01 (sampling error about 0.003; the wrong direction of an offset gives 0.2).
    from scipy.special import ndtr

    tables = offset_tables(lambda x, s: ndtr(x / s), np.geomspace(0.11, 96, 64))
    x = np.random.default_rng(1).standard_normal(400_000)
    row = 20
    scale = np.geomspace(0.11, 96, 64)[row]
    for offset in (0, 3, 8):
        t = table_of(np.array([offset]), np.array([row]))[0]
        law = tables.frequencies[tables.starts[t] : tables.starts[t + 1] - 1] / 2**20
        values = np.floor(scale * x + offset / 16 + 0.5).astype(int)
        found = np.array([np.mean(values == v) for v in range(tables.lows[t], tables.highs[t] + 1)])
        assert 0.5 * np.sum(np.abs(found - law)) < 0.01


@pytest.mark.parametrize(("number", "bits"), [(0, 1), (1, 0), (1, 4), (2, 0), (2, 3), (77, 0)])
def test_quantizers_of_other_versions_are_refused(number, bits):
    with pytest.raises(UnsupportedFormat):
        quantizer_numbered(number, bits)
    with pytest.raises(InvalidSetting):
        Dithered(9)
