"""The one-step generator that serves all codes of digits, and the distance that it learns from."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from veridical.errors import InvalidSetting
from veridical.studies.mnist.training.classifier import DigitClassifier
from veridical.studies.mnist.training.generator import (
    NOISE,
    DigitGenerator,
    OneStepGenerator,
    energy_distance,
    law_distance,
)

SIDE = 8


def generator(**changes: object) -> DigitGenerator:
    sizes = {"pixels": SIDE**2, "codes": 2, "width": 16, "depth": 1}
    torch.manual_seed(3)
    return DigitGenerator(**(sizes | changes))


@pytest.mark.parametrize(
    "changes", [{"pixels": 50}, {"pixels": 49}, {"codes": 0}, {"width": 0}, {"depth": 0}]
)
def test_impossible_sizes_are_refused(changes):
    with pytest.raises(InvalidSetting):
        generator(**changes)


def test_estimates_and_codes_that_do_not_fit_are_refused():
    network = generator()
    with pytest.raises(InvalidSetting):
        OneStepGenerator(network, 2)
    with pytest.raises(InvalidSetting):
        OneStepGenerator(network, 0).generate(np.zeros((3, 50)), np.random.default_rng(0))


def test_a_new_generator_returns_its_estimate():
    # Oracle: the zero weights of its last layer; the logits are bounded at 0.02, which is the tolerance.
    x_mmse = np.random.default_rng(1).random((5, SIDE**2))
    x_real = OneStepGenerator(generator(), 1).generate(x_mmse, np.random.default_rng(2))
    np.testing.assert_allclose(x_real, x_mmse, atol=0.0201)


@pytest.mark.parametrize(("pixels", "patch"), [(784, 4), (64, 2), (36, 2), (324, 2)])
def test_a_picture_keeps_its_places(pixels, patch):
    # Oracle: the convolutions: four of 3 x 3 places in a row, so that a change in the first pixel
    # stays in the first five places each way (pictures of no more places have nothing beyond).
    network = generator(pixels=pixels)
    torch.nn.init.normal_(network.tail.weight, std=0.1)
    side = int(pixels**0.5)
    assert network.patch == patch
    x = torch.rand(2, pixels, generator=torch.Generator().manual_seed(1)) / 2
    other = x.clone()
    other[:, 0] += 0.5
    noise, code = torch.zeros(2, NOISE), torch.tensor([0, 1])
    moved = (network(x, noise, code) - network(other, noise, code)).abs().reshape(2, side, side)
    reach = 5 * patch
    assert moved[:, :patch, :patch].max() > 1e-4
    # Exact but for the order of sums, tolerance 1e-6.
    assert side <= reach or moved[:, reach:].max() < 1e-6
    assert side <= reach or moved[:, :, reach:].max() < 1e-6


def test_the_distance_of_laws_is_the_energy_distance():
    # Oracle: its formula with scipy's distances in float64, a group at a time; 1e-3 relative to its unit
    # (root of 1e-6 added under the root, and float32). Samples of one law are within 0.05 of 0.
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 3, 200, 5)) * np.array([1.0, 1.5])[:, None, None, None]
    n = a.shape[1]
    own = [[cdist(v, v).sum() / (n * (n - 1)) for v in groups] for groups in (a, b)]
    both = [cdist(u, v).mean() for u, v in zip(a, b, strict=True)]
    expected = np.mean(2 * np.array(both) - own[0] - own[1]) / np.mean(own[1])
    found = energy_distance(*(torch.from_numpy(v.astype(np.float32)) for v in (a, b)))
    assert float(found) == pytest.approx(expected, abs=1e-3)
    assert expected > 0.02
    same = torch.from_numpy(rng.standard_normal((2, 1, 400, 5)).astype(np.float32))
    assert abs(float(energy_distance(*same))) < 0.05


@pytest.mark.statistical
def test_what_the_estimate_left_open_is_drawn():
    # Oracle: pictures of code 0 lie on a line, t uniform on [0, 1], and the estimate is its middle; code 1
    # knows the picture. What code 0 draws is spread along the line as t is (0.289; 0.06 for a short
    # training and the squared error, which holds it together), about its middle within 0.05. Code 1 has
    # nothing to draw; after so few steps at most three quarters of that spread. One that ignores its noise,
    # or returns the estimate, has no spread; one that ignores the code spreads both alike.
    random = torch.Generator().manual_seed(4)
    ends = torch.rand(2, SIDE**2, generator=random)
    classifier = DigitClassifier(SIDE, seed=1).eval().requires_grad_(False)
    network, steps = generator(), 400
    adam = torch.optim.Adam(network.parameters())
    for step in range(steps):
        adam.param_groups[0]["lr"] = 1e-2 * (1 - step / steps)
        t, others = torch.rand(2, 64, 1, generator=random)
        x, noise = torch.lerp(ends[0], ends[1], t), torch.randn(64, NOISE, generator=random)
        x_mmse = torch.lerp(ends[0], ends[1], t if step % 2 else torch.full_like(t, 0.5))
        x_real = network(x_mmse, noise, torch.full((64,), step % 2))
        loss = law_distance(classifier, x_real, torch.lerp(ends[0], ends[1], others))
        adam.zero_grad()
        (loss + 0.1 * (x - x_real).square().sum(1).mean()).backward()
        adam.step()
    network.requires_grad_(False)
    line = (ends[1] - ends[0]).double().numpy()
    middle = ((ends[0] + ends[1]) / 2).double().numpy()
    given = np.repeat(middle[None], 1000, axis=0)
    drawn = [
        OneStepGenerator(network, code).generate(given, np.random.default_rng(6)) for code in (0, 1)
    ]
    places = [(d - middle) @ line / (line @ line) for d in drawn]
    assert abs(np.mean(places[0])) < 0.05
    assert np.std(places[0]) == pytest.approx(12**-0.5, abs=0.06)
    assert np.std(places[1]) < 0.75 * np.std(places[0])
