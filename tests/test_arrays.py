"""NPY and NPZ files: what they claim is refused before it is allocated; what is no number is refused."""

import io
import math
import tracemalloc
import zipfile

import numpy as np
import pytest

from veridical.arrays import read_npy, read_npz
from veridical.block.codebook import checked_blocks
from veridical.errors import DamagedFile, InvalidSetting, MissingFile
from veridical.limits.checks import cost_matrix
from veridical.quantize.circle import CircleQuantizer
from veridical.quantize.lattice.lattice import lattice_blocks
from veridical.quantize.simulation.gaussian import GaussianChannel
from veridical.sources.alphabet import Alphabet


def npy(shape, data=b"", dtype="<f8"):
    """An NPY file with any shape in its header."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": dtype, "fortran_order": False, "shape": shape}
    )
    return buffer.getvalue() + data


def zipped(path, **entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(f"{name}.npy", data)


@pytest.mark.parametrize(
    "array",
    [np.arange(12.0).reshape(3, 4), np.asfortranarray(np.arange(6).reshape(2, 3)), np.float32(3)[()],
     np.zeros((0, 3)), np.array("a text"), np.array([True])],
)  # fmt: skip
def test_what_numpy_wrote_is_read(tmp_path, array):
    # Oracle: numpy's own reader; exact, and the array can be written to.
    np.save(tmp_path / "a.npy", array)
    np.savez_compressed(tmp_path / "a.npz", x=array, y=[1])
    own = read_npy(tmp_path / "a.npy")
    assert own.dtype == np.load(tmp_path / "a.npy").dtype
    assert np.array_equal(own, np.load(tmp_path / "a.npy"))
    assert own.flags.writeable
    assert np.array_equal(read_npz(tmp_path / "a.npz")["x"], array)
    assert read_npz(tmp_path / "a.npz", {"y", "z"}).keys() == {"y"}


@pytest.mark.parametrize(
    "shape", [(10**12,), (10**6, 10**6), (-1,), (2**63, 2**63), (1 << 40, 0, 7)]
)
def test_what_is_claimed_is_not_allocated(tmp_path, shape):
    # Oracle: at most 1 MiB of memory for files that claim terabytes.
    (tmp_path / "a.npy").write_bytes(npy(shape, b"x" * 64))
    zipped(tmp_path / "a.npz", x=npy(shape, b"x" * 64))
    tracemalloc.start()
    for read, name in ((read_npy, "a.npy"), (read_npz, "a.npz")):
        with pytest.raises((DamagedFile, InvalidSetting)):
            read(tmp_path / name)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1 << 20


def test_a_limit_holds_for_all_that_is_read_and_only_that(tmp_path):
    # Oracle: three arrays of 80 kB: two of them within 200 kB, three are not.
    np.savez_compressed(tmp_path / "a.npz", **{name: np.zeros(10_000) for name in "abc"})
    assert len(read_npz(tmp_path / "a.npz", "ab", 200_000)) == 2
    with pytest.raises(InvalidSetting, match="limit"):
        read_npz(tmp_path / "a.npz", None, 200_000)


def test_what_is_no_array_file(tmp_path):
    np.save(tmp_path / "object.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "cut.npy").write_bytes(npy((9,), b"x" * 20))
    (tmp_path / "long.npy").write_bytes(npy((1,), b"x" * 20))
    (tmp_path / "text.npy").write_bytes(b"no array")
    (tmp_path / "empty.npy").touch()
    (tmp_path / "letter.npy").write_bytes(npy((1,), b"\xff" * 8, "<U2"))
    for name in ("object", "cut", "long", "text", "empty", "letter"):
        with pytest.raises(DamagedFile):
            read_npy(tmp_path / f"{name}.npy")
        with pytest.raises(DamagedFile):
            read_npz(tmp_path / f"{name}.npy")
    for name in ("none", "a\0b", "x" * 5000):
        with pytest.raises(MissingFile):
            read_npz(tmp_path / name)
    with pytest.raises(MissingFile):
        read_npy(tmp_path)


TAKERS = {
    "circle": lambda x: CircleQuantizer(8, math.inf).encode(x, 0),
    "channel": GaussianChannel(0.8, dimension=2).check,
    "lattice": lambda x: lattice_blocks(x, 2),
    "blocks": lambda x: checked_blocks(x, 2),
    "costs": lambda x: cost_matrix(x, "costs"),
    "symbols": Alphabet(np.array([0.0, 1.0]), np.array([0.5, 0.5])).symbols,
}


@pytest.mark.parametrize("room", TAKERS)
@pytest.mark.parametrize("x", [np.eye(2) + 0j, [["one", "two"], ["1", "0"]], [[None, {}], [1, 0]]])
def test_what_is_no_real_number_is_refused(room, x):
    # Oracle: the same places of floats are taken; the imaginary parts would be lost without a word.
    TAKERS[room](np.eye(2))
    with pytest.raises(InvalidSetting, match="must be numbers"):
        TAKERS[room](x)
