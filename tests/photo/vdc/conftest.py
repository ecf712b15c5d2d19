"""A tiny model of the learned codec with random weights, the same in every test."""

import numpy as np
import pytest
import torch

from veridical.photo.learned.model import load_codec, save_codec
from veridical.photo.learned.prices import QualityPrices
from veridical.photo.learned.prior import PriorConfig
from veridical.photo.learned.relaxed import TrainedCodec
from veridical.photo.learned.transform import TransformConfig


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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


@pytest.fixture(scope="session")
def networks():
    return lively_networks()


@pytest.fixture(scope="session")
def entropy(networks):
    return networks.entropy_model()


@pytest.fixture(scope="session")
def weights(networks, tmp_path_factory):
    """Weights file of the tiny model, with made-up prices."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    prices = QualityPrices(
        np.array([0, 10_000]), np.array([0.01, 0.0001]), np.array([[0.004, 0.00004]]), (1,)
    )
    save_codec(
        path, networks, {"command": "none"}, name="photo-test", prices={0: prices, 1: prices}
    )
    return path


@pytest.fixture(scope="session")
def model(weights):
    return load_codec(weights)
