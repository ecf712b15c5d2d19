"""A tiny model of ``.vdc`` files with random weights, the same in every test."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from veridical.photo.vdc.model import load_model
from veridical.photo.vdc.prices import QualityPrices
from veridical.photo.vdc.prior import PriorConfig
from veridical.photo.weights import network_path
from veridical.training.generator import GeneratorPreset
from veridical.training.vdc.codec import TrainedCodec
from veridical.training.vdc.export import save_prices
from veridical.training.vdc.generator import LatentSpread
from veridical.training.vdc.transform import TransformConfig

GOLDEN = Path(__file__).parent / "golden"


def lively_networks(seed=0):
    """Random networks whose laws differ from place to place, as those of trained ones do."""
    torch.manual_seed(seed)
    networks = TrainedCodec(
        TransformConfig((8, 8, 8), (1, 1, 1), (1, 1, 1), 8), PriorConfig(32, 8, 8, 8, 3)
    )
    with torch.no_grad():
        for context in networks.prior.contexts:
            context.seen.weight.mul_(3)
            context.mix.weight.mul_(3)
            context.mean.weight.mul_(40)
            context.row.weight.mul_(8)
            context.place.values.uniform_(-1, 1)
        networks.prior.quality.values.uniform_(-2, 2)
        for layer in (networks.prior.enter, networks.prior.mid, networks.prior.leave):
            layer.weight.mul_(2)
        networks.hyper_law.mean.uniform_(-1, 1)
    return networks.eval().requires_grad_(False)


def lively_generator(seed=1):
    """A random spread, refinement and generator, whose outputs are not their inputs."""
    torch.manual_seed(seed)
    preset = GeneratorPreset(widths=(8, 8, 8), farthest=0.0, grid=0.0)
    networks = LatentSpread(8, 3), preset.network(8), preset.network(8)
    with torch.no_grad():
        for network in networks:
            for value in network.parameters():
                value.add_(0.1 * torch.randn_like(value))
    return tuple(network.eval().requires_grad_(False) for network in networks)


def copied(path, parts):
    """The golden weights with some of their networks, and made-up prices."""
    shutil.copy(GOLDEN / "tiny.npz", path)
    shutil.copy(GOLDEN / "tiny.json", path.with_suffix(".json"))
    for part in parts:
        for suffix in (".onnx", ".json"):
            name = network_path(GOLDEN / "tiny.npz", part).with_suffix(suffix)
            shutil.copy(name, path.with_name(name.name))
    prices = QualityPrices(
        np.array([0, 10_000]), np.array([0.01, 0.0001]), np.array([0.004, 0.00004])
    )
    save_prices(path, {0: prices, 1: prices})
    return path


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """Weights without a generator."""
    path = tmp_path_factory.mktemp("weights") / "tiny.npz"
    return copied(path, ("analysis", "hyper-analysis", "synthesis"))


@pytest.fixture(scope="session")
def lively(tmp_path_factory):
    """Weights with a generator, whose output is not its input."""
    path = tmp_path_factory.mktemp("lively") / "tiny.npz"
    return copied(
        path, ("analysis", "hyper-analysis", "synthesis", "spread", "refinement", "generator")
    )


@pytest.fixture(scope="session")
def model(weights):
    return load_model(weights)


@pytest.fixture(scope="session")
def entropy(model):
    return model.entropy


@pytest.fixture(scope="session")
def networks():
    """The trained form of the tiny model."""
    return lively_networks()


@pytest.fixture(scope="session")
def trained_generator():
    """The trained form of its spread, refinement and generator."""
    return lively_generator()
