"""The flow that serves all codes of digits."""

import numpy as np
import pytest
import torch

from veridical.errors import InvalidSetting
from veridical.studies.mnist.training.flow import DigitFlow, DigitFlowGenerator

SIDE = 8


def flow(**changes: object) -> DigitFlow:
    sizes = {"pixels": SIDE**2, "codes": 2, "width": 16, "depth": 1, "noise": 0.3}
    torch.manual_seed(3)
    return DigitFlow(**(sizes | changes))


@pytest.mark.parametrize(
    "changes",
    [{"pixels": 50}, {"pixels": 49}, {"codes": 0}, {"width": 0}, {"depth": 0}, {"noise": 0.0}],
)
def test_impossible_sizes_are_refused(changes):
    with pytest.raises(InvalidSetting):
        flow(**changes)


@pytest.mark.parametrize(("pixels", "patch"), [(784, 4), (64, 2), (36, 2), (324, 2)])
def test_a_picture_keeps_its_places(pixels, patch):
    # Oracle: the convolutions: four of 3 x 3 places in a row, so that a change in the first pixel
    # stays in the first five places each way (pictures of no more places have nothing beyond).
    network = flow(pixels=pixels)
    side = int(pixels**0.5)
    assert network.patch == patch
    u = torch.rand(2, pixels, generator=torch.Generator().manual_seed(1))
    other = u.clone()
    other[:, 0] += 1
    t, code = torch.full((2, 1), 0.4), torch.tensor([0, 1])
    moved = (network(u, t, code) - network(other, t, code)).abs().reshape(2, side, side)
    reach = 5 * patch
    assert moved[:, :patch, :patch].max() > 1e-4
    # Exact but for the order of sums, tolerance 1e-6.
    assert side <= reach or moved[:, reach:].max() < 1e-6
    assert side <= reach or moved[:, :, reach:].max() < 1e-6


def test_the_last_step_lands_on_the_prediction():
    # Oracle: with one step the end is the network's prediction at time 0; tolerance 1e-6 (float32).
    network = flow()
    u = torch.rand(5, SIDE**2, generator=torch.Generator().manual_seed(2))
    code = torch.zeros(5, dtype=torch.long)
    end = network.integrate(u, code, 1)
    assert torch.allclose(end, network(u, torch.zeros(5, 1), code), atol=1e-6)


@pytest.mark.statistical
def test_one_estimate_becomes_either_of_two_pictures_as_often_as_they_are():
    # Oracle: code 0 stands for picture A (probability 0.7) or B, code 1 for C alone; the flow must
    # give A and B in these shares and never a mixture. Shares within 0.08: 4 standard errors of 1,000
    # draws are 0.058, the rest is for a short training. A flow that does not hear the code, or
    # lands between the two, fails.
    a, b, c = np.random.default_rng(5).random((3, 16)) > 0.5
    pictures = torch.from_numpy(np.stack([a, b, c]).astype(np.float32))
    estimates = torch.stack([0.7 * pictures[0] + 0.3 * pictures[1], pictures[2]])
    network = flow(pixels=16, width=24, noise=1.5)
    adam = torch.optim.Adam(network.parameters(), lr=4e-3)
    random = torch.Generator().manual_seed(4)
    for step in range(600):
        adam.param_groups[0]["lr"] = 4e-3 * (1 - step / 600)
        code = torch.randint(2, (128,), generator=random)
        second = torch.rand(128, generator=random) < 0.3
        end = pictures[torch.where(code == 1, 2, second.long())]
        start = estimates[code] + network.noise * torch.randn(128, 16, generator=random)
        t = torch.rand(128, 1, generator=random)
        guess = network(torch.lerp(start, end, t), t, code)
        adam.zero_grad()
        ((guess - end).square() / (1.05 - t)).sum(1).mean().backward()
        adam.step()
    network.requires_grad_(False)
    for code, shares in ((0, (0.7, 0.3, 0.0)), (1, (0.0, 0.0, 1.0))):
        x_mmse = np.repeat(estimates[code : code + 1].double().numpy(), 1000, axis=0)
        drawn = DigitFlowGenerator(network, code, 16).generate(x_mmse, np.random.default_rng(6))
        gaps = ((drawn[:, None] - pictures.double().numpy()) ** 2).mean(2)
        assert np.mean(gaps.min(1) < 0.05) > 0.99  # two of these pictures differ by about 0.5
        assert np.bincount(gaps.argmin(1), minlength=3) / 1000 == pytest.approx(shares, abs=0.08)
