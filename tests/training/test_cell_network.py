"""The network of quantization cells: what it is fitted to, and what it is fitted by."""

import numpy as np
import pytest
import torch

from veridical.training.cell_network import CellNetwork, fit_cell_network, samples_of


def component(rng, error, rows=24, columns=24):
    """Coefficients uniform in cells of step 8, and an estimate of them with a normal error of a known size in levels."""
    true = rng.uniform(-0.5, 0.5, (1, 64, rows, columns))
    place = true + rng.normal(0, error / 8, true.shape)
    inputs = {
        "place": place,
        "level": np.ones_like(place),
        "error": np.full((1, 1, rows, columns), error),
        "steps": np.full((1, 64, 1, 1), 8.0),
        "chroma": np.zeros((1, 1, 1, 1)),
    }
    return {k: v.astype(np.float32) for k, v in inputs.items()}, true


def mean_in_cell(place, spread):
    """Mean of a uniform law over a cell, given a normal observation: of a normal law cut at half a cell, closed form."""
    from scipy.special import ndtr

    # Far from the middle both ends lie in the left tail, where the distribution function keeps its digits.
    far = np.abs(place)
    low, high = (-0.5 - far) / spread, (0.5 - far) / spread
    density = (np.exp(-0.5 * low**2) - np.exp(-0.5 * high**2)) / np.sqrt(2 * np.pi)
    return np.sign(place) * (far + spread * density / (ndtr(high) - ndtr(low)))


def test_the_fit_is_the_conditional_mean():
    # Oracle: the mean of a truncated normal law, at three sizes of the error. The network's mean squared
    # distance from it is at most 3 % of the error that the mean leaves (found: 1 %); the hard clip's is 10 % and more.
    rng = np.random.default_rng(0)
    rows, tests = [], []
    for error in (0.8, 2.4, 7.2):
        for _ in range(8):
            inputs, true = component(rng, error)
            known = np.ones(inputs["place"].shape[2:], bool)
            sample = samples_of(inputs, true, known, rng)
            rows.append(sample | {"weight": sample["weight"] / error**2})
        tests.append((error, *component(rng, error)))
    network = fit_cell_network(rows, steps=300)
    for error, inputs, true in tests:
        best = mean_in_cell(inputs["place"].astype(float), error / 8)
        least = np.mean((best - true) ** 2)
        with torch.inference_mode():
            found = network(*(torch.from_numpy(inputs[k]) for k in CellNetwork.INPUTS)).numpy()
        assert np.mean((found - best) ** 2) < 0.03 * least
        if error > 1:
            clip = inputs["place"].clip(-0.5, 0.5)
            assert np.mean((clip - best) ** 2) > 0.1 * least


def test_means_lie_in_their_cells_whatever_is_asked():
    # Oracle: contract: half a cell, finite numbers, the sign of the estimate's place.
    network = CellNetwork()
    torch.nn.init.normal_(network.layers[-1].weight, std=3.0)
    rng = np.random.default_rng(1)
    told = {
        "place": rng.normal(0, 30, (2, 64, 3, 1)),
        "level": rng.integers(-2, 3, (2, 64, 3, 1)),
        "error": rng.choice([0.0, 1e-9, 1e4], (2, 1, 3, 1)),
        "steps": rng.choice([1.0, 255.0], (2, 64, 1, 1)),
        "chroma": np.ones((2, 1, 1, 1)),
    }
    with torch.inference_mode():
        found = network(*(torch.from_numpy(told[k].astype(np.float32)) for k in network.INPUTS))
    assert np.abs(found.numpy()).max() <= 0.5
    assert np.all(found.numpy() * told["place"] >= 0)


def test_samples_are_of_blocks_that_are_known():
    # Oracle: a single known block of a component: 64 coefficients at most, each with its own place.
    inputs, true = component(np.random.default_rng(2), 1.0)
    known = np.zeros(inputs["place"].shape[2:], bool)
    known[3, 5] = True
    found = samples_of(inputs, true, known, np.random.default_rng(3))
    assert sorted(found["place"]) == pytest.approx(sorted(inputs["place"][0, :, 3, 5]))
    assert found["told"].shape == (64, 15)
    assert np.all(found["weight"] == 64)
