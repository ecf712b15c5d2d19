"""Digits: idx files and their faults, the embedded set."""

import gzip
import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veridical.errors import DamagedFile, InvalidSetting, MissingFile, VeridicalError
from veridical.measure import sliced_w2_squared
from veridical.studies.mnist import data as mnist
from veridical.studies.mnist.data import (
    MNIST_FILES,
    download_mnist,
    find_mnist,
    load_mnist,
    read_idx,
    small_digits,
)


def idx(array):
    """An idx file of bytes, by the format's own description."""
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.tobytes()


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Four small files with their digests in place of MNIST's."""
    rng = np.random.default_rng(0)
    arrays = {
        "train-images-idx3-ubyte": rng.integers(0, 256, (30, 28, 28), dtype=np.uint8),
        "train-labels-idx1-ubyte": rng.integers(0, 10, 30, dtype=np.uint8),
        "t10k-images-idx3-ubyte": rng.integers(0, 256, (20, 28, 28), dtype=np.uint8),
        "t10k-labels-idx1-ubyte": rng.integers(0, 10, 20, dtype=np.uint8),
    }
    folder = tmp_path / "data" / "mnist"
    folder.mkdir(parents=True)
    for name, array in arrays.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
        monkeypatch.setitem(MNIST_FILES, name, hashlib.sha256(array.tobytes()).hexdigest())
    return folder, arrays


def test_files_are_read_as_they_were_written(tiny):
    # Oracle: the arrays that were written; exact up to float32.
    folder, arrays = tiny
    digits = load_mnist(find_mnist(folder.parent))
    expected = arrays["train-images-idx3-ubyte"].reshape(30, 784) / np.float32(255)
    assert np.array_equal(digits.train, expected.astype(np.float32))
    assert np.array_equal(digits.test_labels, arrays["t10k-labels-idx1-ubyte"])
    assert digits.limited(12, 10).train.shape == (12, 784)
    with pytest.raises(InvalidSetting):
        digits.limited(31)


def test_faults_are_named(tiny, tmp_path, monkeypatch):
    # Oracle: each fault has its type and says what to do.
    folder, _ = tiny
    monkeypatch.delenv("VERIDICAL_DATA", raising=False)
    with pytest.raises(MissingFile, match="--preset quick"):
        find_mnist(tmp_path / "nothing")
    path = folder / "t10k-labels-idx1-ubyte.gz"
    whole = path.read_bytes()
    for broken in (whole[:-9], b"", gzip.compress(b"\0\0\x0d\1" + b"\0" * 8), b"\x1f\x8bxx"):
        path.write_bytes(broken)
        with pytest.raises(DamagedFile):
            load_mnist(folder)
    path.write_bytes(gzip.compress(idx(np.zeros(20, dtype=np.uint8))))
    with pytest.raises(DamagedFile, match="digest"):
        load_mnist(folder)
    path.unlink()
    with pytest.raises(MissingFile):
        load_mnist(folder)


def test_download_checks_what_came(tiny, tmp_path):
    # Oracle: files fetched from a folder by address load alike; a wrong one is never kept.
    folder, _ = tiny
    there = download_mnist(tmp_path / "new", folder.as_uri())
    assert np.array_equal(load_mnist(there).train, load_mnist(folder).train)
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(
        gzip.compress(idx(np.zeros(30, dtype=np.uint8)))
    )
    with pytest.raises(DamagedFile):
        download_mnist(tmp_path / "other", folder.as_uri())
    assert not (tmp_path / "other" / "train-labels-idx1-ubyte.gz").exists()
    with pytest.raises(MissingFile):
        download_mnist(tmp_path / "third", (tmp_path / "nowhere").as_uri())
    with pytest.raises(InvalidSetting):
        download_mnist(tmp_path / "third", "ftp://example.org")


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_give_an_array_or_a_typed_error(data, packed):
    # Oracle: bytes of the declared sizes, or no exception outside the package's tree.
    try:
        found = read_idx(gzip.compress(data) if packed else data, "name")
    except VeridicalError:
        return
    assert found.dtype == np.uint8
    assert found.size <= len(data)


def test_the_real_files_are_the_real_files(data_dir):
    # Oracle: digests in the module, and the known share of each class (980 test zeros).
    digits = load_mnist(find_mnist(data_dir))
    assert digits.train.shape == (60_000, 784)
    assert int(np.sum(digits.test_labels == 0)) == 980
    # Shuffled, the digits to test are the same, and their halves follow one law: sliced W2 between them
    # is below 4e-4 (two samples of one law: 1e-4), where the halves as they come are 28e-4 apart.
    shuffled = digits.shuffled_test()
    order = np.lexsort(shuffled.test.T), np.lexsort(digits.test.T)
    assert np.array_equal(shuffled.test[order[0]], digits.test[order[1]])
    assert int(np.sum(shuffled.test_labels == 0)) == 980
    halves = [
        sliced_w2_squared(x[:5000], x[5000:], 64, np.random.default_rng(0)).value
        for x in (shuffled.test, digits.test)
    ]
    assert halves[0] < 4e-4
    assert halves[1] > 20e-4
    assert mnist.MNIST_ADDRESS.startswith("https://")


def test_small_digits_are_split_once_and_for_all():
    # Oracle: 1,297 + 500 of 1,797 digits, none in both parts.
    digits = small_digits()
    assert digits.train.shape == (1297, 64)
    assert digits.test.shape == (500, 64)
    assert digits.train.min() >= 0
    assert digits.train.max() == 1
    train, test = ({row.tobytes() for row in part} for part in (digits.train, digits.test))
    assert not train & test
