"""Codecs that are saved and loaded, and messages that know their codec."""

import io
import json
import math
import re
import struct
import tracemalloc
import zipfile
import zlib
from dataclasses import replace

import numpy as np
import pytest

import veridical
from veridical import kept
from veridical.block.group_design import Effort, design_group_codec
from veridical.block.lattice import lattice_codec
from veridical.block.random_coding import random_code
from veridical.block.trellis import trellis_codec
from veridical.errors import DamagedFile, InvalidSetting, MissingFile, WrongModel
from veridical.kept import codec_id, open_message
from veridical.oneshot.circle import circle_codec
from veridical.oneshot.simulated import simulated_gaussian
from veridical.oneshot.swap import posterior_of, with_generator
from veridical.quantize.group import NestedChain
from veridical.quantize.lattice import checkerboard, cubic, gosset, hexagonal, leech24
from veridical.quantize.simulation import PoissonRepresentation
from veridical.sources.alphabet import quantized_gaussian
from veridical.sources.circle import circle_samples

X = np.random.default_rng(0).normal(size=(400, 2))


def designed(**settings):
    return veridical.design(
        X, **{"rate_bits": 1.2, "seeds": 2, "rng": np.random.default_rng(1), **settings}
    )


def of_lattice(family, **settings):
    return lattice_codec(
        family, **{"rate_bits": 1.0, "samples": 8000, "rng": np.random.default_rng(1), **settings}
    )


def of_group():
    chain = NestedChain(p=3, n=20, period=5, shaping=0, message=2, seed=1, memory=(0, 2, 1))
    alphabet = quantized_gaussian(15, width=0.5)
    effort = Effort(blocks=4, calibration_blocks=8)
    return design_group_codec(alphabet, chain, rng=np.random.default_rng(0), effort=effort).codec


def posterior():
    codec = designed()
    return with_generator(codec, posterior_of(codec, X), X, rng=np.random.default_rng(0))


def blocks(d):
    return np.random.default_rng(2).normal(size=(60, d))


CASES = {
    "design": (designed, lambda: X),
    "variable length": (lambda: designed(variable_length=True), lambda: X),
    "posterior": (posterior, lambda: X),
    "circle": (lambda: circle_codec(3, math.inf), lambda: circle_samples(50, np.random.default_rng(0))),
    "simulated": (lambda: simulated_gaussian(1.5, dimension=2), lambda: blocks(2)),
    "selected": (lambda: simulated_gaussian(1.5, simulate=PoissonRepresentation), lambda: blocks(1)),
    "random": (lambda: random_code(10, 1.0, 0.5, codebook_seed=3), lambda: blocks(10)),
    "Z": (lambda: of_lattice(cubic(1)), lambda: blocks(1)),
    "D4": (lambda: of_lattice(checkerboard(4), common_bits=math.inf), lambda: blocks(4)),
    "A2": (lambda: of_lattice(hexagonal(), common_bits=1.0), lambda: blocks(2)),
    "E8": (lambda: of_lattice(gosset(), common_bits=0.5), lambda: blocks(8)),
    "Leech": (lambda: of_lattice(leech24(), rate_bits=2.0, common_bits=math.inf, fixed_length=True),
              lambda: blocks(24)),
    "group": (of_group, lambda: quantized_gaussian(15, width=0.5).nearest(blocks(20))),
    "trellis": (
        lambda: trellis_codec(
            8, rate_bits=1.0, common_bits=0.5, samples=8000, rng=np.random.default_rng(1)
        ),
        lambda: blocks(7),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(CASES))
def test_a_codec_comes_back_whole(name, tmp_path):
    # Oracle: the codec itself: equal ids, indices, messages and reconstructions, bit by bit.
    make, samples = CASES[name]
    codec, x = make(), samples()
    codec.save(tmp_path / "c.npz")
    again = veridical.load_codec(tmp_path / "c.npz")
    assert codec_id(again) == codec_id(codec)
    index = codec.encode(x, seed=7)
    data = codec.to_message(index, seed=7)
    assert again.to_message(again.encode(x, seed=7), seed=7) == data
    message = open_message(again, data)
    assert message.seed == 7
    assert np.array_equal(message.index, index)
    assert np.array_equal(again.coder.unpack(codec.coder.pack(index, 7), 7), index)
    with pytest.raises(WrongModel, match="seed"):
        codec.coder.unpack(data, 8)
    outs = [c.decode(index, np.random.default_rng(3), realism=0.6, seed=7) for c in (codec, again)]
    np.testing.assert_array_equal(*outs)


def test_other_codecs_and_forgotten_seeds_are_refused():
    # Oracle: the same samples through another design of the same shape, and through the same with
    # another seed: refused, where they used to decode to noise.
    codec, other = designed(), designed(rng=np.random.default_rng(2))
    index = codec.encode(X, seed=7)
    with pytest.raises(WrongModel, match="coded by codec"):
        open_message(other, codec.to_message(index, seed=7))
    for name in ("design", "circle", "D4", "A2", "E8", "trellis"):
        made, x = CASES[name][0](), CASES[name][1]()
        z = made.encode(x, seed=7)
        data = made.to_bytes(z, seed=7)
        for seed in range(7):
            with pytest.raises(DamagedFile, match="seed"):
                made.from_bytes(data, z.size if name == "trellis" else len(z), seed=seed)


def test_every_flipped_bit_of_a_message_is_noticed():
    # Oracle: CRC-32 finds every flipped bit; truncation likewise; a good checksum over a foreign head too.
    codec = designed()
    data = codec.to_message(codec.encode(X[:20], seed=3), seed=3)
    for at in range(8 * len(data)):
        bad = bytearray(data)
        bad[at // 8] ^= 1 << at % 8
        with pytest.raises(DamagedFile):
            open_message(codec, bytes(bad))
    for length in range(len(data)):
        with pytest.raises(DamagedFile):
            open_message(codec, data[:length])
    for place, value in ((8, 2), (10, 0), (10, 60000), (43, 255)):
        bad = bytearray(data[:-4])
        bad[place : place + 2] = struct.pack("<H", value)
        with pytest.raises(DamagedFile):
            open_message(codec, bytes(bad) + struct.pack("<I", zlib.crc32(bytes(bad))))
    with pytest.raises(InvalidSetting):
        codec.to_message(codec.encode(X[:2]), seed=-1)


def test_files_that_are_no_codec(tmp_path):
    # Oracle: typed errors, and no class that is not in the table.
    codec = designed()
    good = tmp_path / "good.npz"
    codec.save(good)
    with pytest.raises(MissingFile):
        veridical.load_codec(tmp_path / "none.npz")
    bad = tmp_path / "bad.npz"
    whole = good.read_bytes()
    for content in (b"", b"PK", whole[: len(whole) // 2]):
        bad.write_bytes(content)
        with pytest.raises(DamagedFile):
            veridical.load_codec(bad)
    with np.load(good) as parts:
        content = dict(parts)
    for change in (
        {"a0": content["a0"] + 1}, {"codec": np.frombuffer(b'{"version": 1, "codec": {"class": "os.system", "parts": {}}}', np.uint8)},
    ):  # fmt: skip
        np.savez(bad, **{**content, **change})
        with pytest.raises(DamagedFile):
            veridical.load_codec(bad)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a0.npy", b"no array")
    bad.write_bytes(stream.getvalue())
    with pytest.raises(DamagedFile):
        veridical.load_codec(bad)
    with pytest.raises(InvalidSetting, match="object cannot be kept"):
        codec_id(replace(simulated_gaussian(1.0), generator=object()))


def altered(path, tree=lambda text: text, **arrays):
    """The file with another tree and other arrays, its digest repaired."""
    with np.load(path) as file:
        parts = dict(file)
    text = tree(parts["codec"].tobytes().decode())
    parts["codec"] = np.frombuffer(text.encode(), dtype=np.uint8)
    parts |= arrays
    whole = kept._identity(text, [parts[f"a{k}"] for k in range(len(parts) - 2)])
    np.savez_compressed(path, **parts | {"sha256": np.frombuffer(whole, dtype=np.uint8)})


def test_a_message_claims_no_more_than_its_bytes_can_hold():
    # Oracle: 2^21 numbers and 2^13 a byte; refused within 1 MiB of memory, and by the codec itself where
    # the limit was raised.
    codec = circle_codec(3, math.inf)
    data = codec.to_message(codec.encode(circle_samples(5, np.random.default_rng(0))))
    tracemalloc.start()
    for count in (1 << 22, 1 << 33, (1 << 64) - 1):
        body = data[:36] + struct.pack("<Q", count) + data[44:-4]
        claims = body + struct.pack("<I", zlib.crc32(body))
        with pytest.raises(DamagedFile, match="limit"):
            open_message(codec, claims)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    body = data[:36] + struct.pack("<Q", 1 << 22) + data[44:-4]
    with pytest.raises(DamagedFile, match="5 symbols"):
        open_message(codec, body + struct.pack("<I", zlib.crc32(body)), max_numbers=1 << 22)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: re.sub(r'"calibration": {[^}]*}}', '"calibration": 1', t), "calibration"),
        (lambda t: t.replace('"outputs": 2', '"outputs": "2"'), "outputs"),
        (lambda t: t.replace('"seeds": 2', '"seeds": NaN'), "seeds"),
    ],
)
def test_parts_of_another_kind_are_refused(tmp_path, change, message):
    # Oracle: a digest that fits proves nothing; the names of the parts are in the sentence.
    designed().save(tmp_path / "c.npz")
    altered(tmp_path / "c.npz", tree=change)
    with pytest.raises(DamagedFile, match=message):
        veridical.load_codec(tmp_path / "c.npz")


@pytest.mark.parametrize("root", [7, None, "x", [1, 2]])
def test_a_file_whose_root_is_no_codec(root, tmp_path):
    # Oracle: contract: a typed error, also for a file whose digest is right.
    tree = json.dumps({"version": kept._VERSION, "codec": root}, sort_keys=True)
    parts = {"codec": tree.encode(), "sha256": kept._identity(tree, [])}
    path = tmp_path / "a.npz"
    np.savez(path, **{k: np.frombuffer(v, np.uint8) for k, v in parts.items()})
    with pytest.raises(DamagedFile, match="no codec"):
        veridical.load_codec(path)


def test_numbers_that_do_not_fit_each_other_are_an_error_of_the_package(tmp_path):
    # Oracle: rows and places of a plan that are not there are InvalidSetting when they are drawn from,
    # NaN is refused when it is loaded, and zeros that are packed a thousand to one before they are unpacked.
    codec = designed()
    codec.save(tmp_path / "c.npz")
    index = codec.encode(X)
    with np.load(tmp_path / "c.npz") as file:
        arrays = {k: v for k, v in file.items() if k[0] == "a"}
    for name, array in arrays.items():
        codec.save(tmp_path / "c.npz")
        if (
            array.dtype.kind == "i" and array.ndim == 1
        ):  # tables, which have two axes, are checked when loaded
            altered(tmp_path / "c.npz", **{name: array + 10**6})
            again = veridical.load_codec(tmp_path / "c.npz")
            with pytest.raises(InvalidSetting):
                again.decode(index, np.random.default_rng(0))
        elif array.dtype.kind == "f":
            altered(tmp_path / "c.npz", **{name: np.full_like(array, np.nan)})
            with pytest.raises(DamagedFile):
                veridical.load_codec(tmp_path / "c.npz")
    altered(tmp_path / "c.npz", a0=np.zeros(1 << 23))
    tracemalloc.start()
    with pytest.raises(DamagedFile, match="limit"):
        veridical.load_codec(tmp_path / "c.npz")
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
