"""Growth: a larger network starts as the function that the smaller one was, and learns on from there."""

import pytest
import torch

from veridical.training.networks import NetworkConfig, RestorationNetwork
from veridical.training.warm_start import contains, warm_start

SMALL = (8, 16, 8)


def network(seed, **sizes):
    """A network whose every weight is random, the last layer's too."""
    torch.manual_seed(seed)
    made = RestorationNetwork(NetworkConfig(**sizes))
    with torch.no_grad():
        for p in made.parameters():
            p.add_(0.05 * torch.randn(p.shape))
    return made


def inputs(config):
    x, features = torch.randn(2, 3 * config.pictures, 32, 48), torch.randn(2, 7)
    more = (torch.rand(2), torch.randn(2, 3, 32, 48)) if config.timed else ()
    return (x, features, *more)


@pytest.mark.parametrize(
    "larger",
    [
        {"widths": (16, 24, 40)},
        {"blocks": (1, 4, 2), "blocks_up": (3, 2)},
        {"widths": (8, 24, 8), "blocks": (2, 2, 1)},
        {"widths": SMALL},
    ],
)
@pytest.mark.parametrize(
    "task", [{"pictures": 2, "spread": True}, {"pictures": 5, "timed": True, "bypass": 8}]
)
def test_the_larger_network_computes_the_same(larger, task):
    # Oracle: the smaller network; 1e-4 of its output's size (other orders of sums).
    small = network(0, widths=SMALL, **task)
    large = network(1, **({"widths": SMALL, **task} | larger))
    assert contains(large.config, small.config)
    seen = inputs(small.config)
    with torch.inference_mode():
        expected = small(*seen)
        assert (large(*seen) - expected).abs().max() > 0.1 * expected.abs().max()
        warm_start(large, small)
        assert (large(*seen) - expected).abs().max() < 1e-4 * expected.abs().max()
        if small.config.spread:
            a, b = (n.with_spread(*seen)[1] for n in (small, large))
            assert (a - b).abs().max() < 1e-4 * a.abs().max()


def test_what_is_new_learns():
    # Oracle: contract: new channels and blocks get a gradient at once, so they are not dead.
    small = network(0, pictures=2, widths=SMALL)
    torch.manual_seed(1)
    large = RestorationNetwork(NetworkConfig(2, (16, 24, 16), (1, 3, 1)))
    warm_start(large, small)
    large(*inputs(large.config)).square().mean().backward()
    for name, p in large.named_parameters():
        if name in ("tail.weight", "up4.blocks.0.conv1.weight"):  # columns that read new channels
            assert p.grad[: SMALL[0], SMALL[0] :].abs().max() > 0, name
        if name == "down8.blocks.2.conv2.weight":  # of a new block
            assert p.grad.abs().max() > 0


def test_a_smaller_network_has_no_room():
    # Oracle: contract; what does not fit stays as it was.
    small, large = (network(k, pictures=2, widths=w) for k, w in enumerate([SMALL, (16, 16, 8)]))
    assert not contains(small.config, large.config)
    before = small.head.weight.clone()
    warm_start(small, large)
    assert torch.equal(small.head.weight, before)
    assert torch.equal(small.mid16.blocks[0].conv1.weight, large.mid16.blocks[0].conv1.weight)


def test_a_network_of_another_task_has_no_room():
    # Oracle: contract.
    estimator, flow = NetworkConfig(2, SMALL), NetworkConfig(5, SMALL, timed=True, bypass=8)
    assert not contains(flow, estimator)
