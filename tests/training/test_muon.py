"""Muon for convolutions: the library's update of matrices, whatever the order of the memory."""

import pytest
import torch

from veridical.errors import InvalidSetting
from veridical.training.muon import ConvolutionMuon, as_matrix
from veridical.training.networks import NetworkConfig, RestorationNetwork, to_channels_last


@pytest.mark.parametrize(("single", "tolerance"), [(False, 1e-6), (True, 0.01)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_update_is_that_of_the_matrix(layout, single, tolerance):
    # Oracle: torch.optim.Muon on a copy of the weights as a matrix of its own, three steps with
    # the same gradients, whatever their layout; the same arithmetic, equal to 1e-6. In single precision
    # an update of 0.1 to 0.2 differs by the library's bfloat16, whose digits are 2^-8 apart: 0.01.
    torch.manual_seed(0)
    weights = torch.nn.Parameter(torch.randn(6, 4, 3, 3).to(memory_format=layout))
    order = (0, 1, 2, 3) if layout is torch.contiguous_format else (0, 2, 3, 1)
    matrix = torch.nn.Parameter(weights.detach().permute(order).reshape(6, -1).clone())
    before = weights.detach().clone()
    mine = ConvolutionMuon([weights], lr=0.1, single=single)
    theirs = torch.optim.Muon([matrix], lr=0.1, weight_decay=0, adjust_lr_fn="match_rms_adamw")
    for step in range(3):
        weights.grad = torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(step))
        matrix.grad = weights.grad.permute(order).reshape(6, -1)
        mine.step()
        theirs.step()
    assert not torch.allclose(weights, before, atol=0.01)
    assert torch.allclose(weights.permute(order).reshape(6, -1), matrix, atol=tolerance)


def test_an_update_is_nearly_orthogonal_and_as_large_as_adams():
    # Oracle: the definition: singular values near 1 (the library's five steps of Newton and
    # Schulz leave them in [0.69, 1.09] here) and a root mean square of 0.2 times the rate.
    torch.manual_seed(1)
    weights = torch.nn.Parameter(torch.zeros(8, 5, 3, 3))
    weights.grad = torch.randn(8, 5, 3, 3) * torch.logspace(-0.5, 0.5, 8)[:, None, None, None]
    ConvolutionMuon([weights], lr=1.0).step()
    update = weights.detach().flatten(1)
    values = torch.linalg.svdvals(update) / (0.2 * 45**0.5)
    assert values.min() > 0.65
    assert values.max() < 1.2
    assert float(update.square().mean().sqrt()) == pytest.approx(0.2, rel=0.12)


def test_weights_without_a_gradient_stay():
    # Oracle: contract.
    weights = torch.nn.Parameter(torch.ones(4, 4, 1, 1))
    ConvolutionMuon([weights], lr=1.0).step()
    assert torch.equal(weights, torch.ones(4, 4, 1, 1))


def test_hidden_weights_are_matrices_and_leave_out_the_ends():
    # Oracle: contract; each matrix shares its memory with the weights.
    network = to_channels_last(RestorationNetwork(NetworkConfig(5, (8, 8, 8), side=8)))
    hidden = network.hidden_weights()
    ends = {id(network.head.weight), id(network.tail.weight)}
    assert len(hidden) == sum(p.dim() == 4 for p in network.parameters()) - 2
    assert not ends & {id(p) for p in hidden}
    for weights in hidden:
        assert as_matrix(weights).data_ptr() == weights.data_ptr()
        assert as_matrix(weights).shape[0] == weights.shape[0]


def test_what_is_no_matrix_is_refused():
    # Oracle: contract.
    with pytest.raises(InvalidSetting, match="matrix"):
        as_matrix(torch.ones(3))
    with pytest.raises(InvalidSetting, match="matrix"):
        as_matrix(torch.ones(4, 6).t())
