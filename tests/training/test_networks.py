"""Networks as they are defined: what a new one computes, what it costs, what it refuses."""

import numpy as np
import pytest
import torch

from veridical.errors import InvalidSetting
from veridical.photo.options import GRID
from veridical.training.networks import NetworkConfig, RestorationNetwork, kmac_per_pixel


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
    found = kmac_per_pixel(lambda: network(torch.zeros(1, 3, 64, 32), torch.zeros(1, 7)), 64 * 32)
    assert np.isclose(sum(counted) / (64 * 32) / 1000, found, rtol=1e-12)


def test_impossible_sizes():
    with pytest.raises(InvalidSetting):
        NetworkConfig(0)
    with pytest.raises(InvalidSetting):
        NetworkConfig(1, (4, 8, 8))
