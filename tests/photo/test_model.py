"""Weights: found, whole, and the ones that their card describes."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from veridical.errors import BadWeights, InvalidSetting
from veridical.photo.condition import FORMATS
from veridical.photo.model import (
    DEFAULT_WEIGHTS,
    _card_of,
    load_model,
    read_weights,
    resolve_device,
    save_weights,
    write_weights,
)
from veridical.photo.network import GRID, NetworkConfig, RestorationNetwork


@pytest.fixture
def copy(tmp_path):
    path = tmp_path / "w.safetensors"
    shutil.copy(DEFAULT_WEIGHTS, path)
    shutil.copy(DEFAULT_WEIGHTS.with_suffix(".json"), path.with_suffix(".json"))
    return path


def test_shipped_weights_are_whole_and_small():
    # Oracle: the card's digest, and 16 MB a model.
    model = load_model()
    card = json.loads(DEFAULT_WEIGHTS.with_suffix(".json").read_text())
    assert model.digest == card["sha256"]
    assert DEFAULT_WEIGHTS.stat().st_size <= 16_000_000
    assert {"command", "training_data", "stages", "figures"} <= set(card)


def test_a_copy_with_its_card_is_the_same(copy):
    assert load_model(copy).digest == load_model().digest


def test_what_is_saved_is_loaded(tmp_path):
    # Oracle: the model itself; the shipped weights are in half precision, which saving keeps.
    model = load_model()
    path, noise = tmp_path / "w.safetensors", {"AVIF": 0.25, "WEBP": 0.5, "JPEG": 1.0}
    save_weights(
        path, model.estimator, model.flow, model.scale, model.prices, {}, start_noise=noise
    )
    other = load_model(path)
    assert other.start_noise == noise
    for a, b in ((model.estimator, other.estimator), (model.flow, other.flow)):
        for key, value in a.state_dict().items():
            assert torch.equal(value, b.state_dict()[key])
    assert np.array_equal(other.prices.cost, model.prices.cost)


@pytest.mark.parametrize(("written", "read"), [({"start_noise": 0.75}, 0.75), ({}, 1.0)])
def test_start_noise_of_older_weights(tmp_path, written, read):
    # Oracle: contract: one number is for every format, none is 1.
    header, tensors, _ = read_weights(DEFAULT_WEIGHTS, 2, "", kind="estimator", otherwise="")
    del header["start_noise"]
    write_weights(tmp_path / "w.safetensors", tensors, header | written, {})
    assert load_model(tmp_path / "w.safetensors").start_noise == dict.fromkeys(FORMATS, read)


def test_one_flipped_bit_is_noticed(copy):
    data = bytearray(copy.read_bytes())
    data[len(data) // 2] ^= 1
    copy.write_bytes(data)
    with pytest.raises(BadWeights, match="not the file that its card describes"):
        load_model(copy)


def test_a_missing_file_or_card(copy, tmp_path):
    with pytest.raises(BadWeights, match="cannot read"):
        load_model(tmp_path / "none.safetensors")
    copy.with_suffix(".json").unlink()
    with pytest.raises(BadWeights, match="cannot read"):
        load_model(copy)


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b'{"a": 1}'])
def test_rubbish_with_a_matching_digest(copy, content):
    import hashlib

    copy.write_bytes(content)
    copy.with_suffix(".json").write_text(
        json.dumps({"sha256": hashlib.sha256(content).hexdigest()})
    )
    with pytest.raises(BadWeights, match="damaged"):
        load_model(copy)


@pytest.mark.parametrize("card", ["", "[]", "{}", "null"])
def test_a_damaged_card(copy, card):
    copy.with_suffix(".json").write_text(card)
    with pytest.raises(BadWeights, match="damaged"):
        load_model(copy)


@pytest.mark.parametrize("name", ["abacus", "mps", "", "cuda:99"])
def test_unknown_devices(name):
    with pytest.raises(InvalidSetting):
        resolve_device(name)


def test_a_new_network_changes_nothing():
    # Oracle: its last layer starts at zero; exact.
    network = RestorationNetwork(NetworkConfig(1, (8, 8, 8)))
    features = torch.zeros(2, 7)
    out = network(torch.rand(2, 3, 2 * GRID, GRID), features)
    assert out.shape == (2, 3, 2 * GRID, GRID)
    assert not out.any()


def test_cost_is_counted_from_the_layers():
    # Oracle: hooks that count the multiply-accumulates of every convolution; exact.
    network = RestorationNetwork(NetworkConfig(1, (8, 16, 24)))
    counted = []

    def hook(layer, inputs, output):
        counted.append(output[0, 0].numel() * layer.weight.numel())

    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(hook)
    network(torch.zeros(1, 3, 64, 32), torch.zeros(1, 7))
    assert np.isclose(sum(counted) / (64 * 32) / 1000, network.kmac_per_pixel(), rtol=1e-12)


def test_impossible_sizes():
    with pytest.raises(InvalidSetting):
        NetworkConfig(0)
    with pytest.raises(InvalidSetting):
        NetworkConfig(1, (4, 8, 8))


class Stopped(BaseException):
    """Stands for the end of the process."""


def test_weights_and_card_are_both_old_or_both_new(tmp_path, monkeypatch):
    # Oracle: what was written before, or what a write that was not stopped leaves; stopped at each
    # renaming in turn, first where nothing stands, then over other weights.
    path = tmp_path / "w.safetensors"
    renamed = Path.replace
    left = [0]

    def replace(self, target):
        if left[0] == 0:
            raise Stopped
        left[0] -= 1
        return renamed(self, target)

    def found():
        if not path.exists():
            return None
        _, tensors, digest = read_weights(path, 1, "", kind="layout", otherwise="")
        return float(tensors["x"]), _card_of(path, digest)["maker"]

    monkeypatch.setattr(Path, "replace", replace)
    for old, new in ((None, 1.0), (1.0, 2.0)):
        seen = set()
        for stop in range(10):
            left[0] = stop
            try:
                write_weights(path, {"x": torch.tensor(new)}, {"layout": 1}, {"maker": f"m{new}"})
                break
            except Stopped:
                seen.add(found())
                assert found() in (None if old is None else (old, f"m{old}"), (new, f"m{new}"))
        assert stop == (2 if old is None else 3)
        assert found() == (new, f"m{new}")
        assert len(list(tmp_path.iterdir())) == 2
    assert (2.0, "m2.0") in seen  # between the two renamings the waiting card counts
