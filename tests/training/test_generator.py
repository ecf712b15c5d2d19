"""The one-step generator: its filters, its loss, and what it does before it is trained."""

import numpy as np
import torch

from veridical.training.generator import GeneratorPreset, band_energy_loss, filters
from veridical.training.residual import along_colours, from_colours


def seen(n=2, side=32, seed=0):
    random = torch.Generator().manual_seed(seed)
    x = torch.rand(n, 3, side, side, generator=random)
    size, scale = torch.ones_like(x), torch.full((n, 1, 1, 1), 0.05)
    return x, size, x.roll(1, 3), torch.rand(n, 4, generator=random), scale


def test_a_new_generator_changes_nothing():
    # Oracle: x_mmse; rounding of float32.
    x, *rest = seen()
    with torch.no_grad():
        assert torch.allclose(GeneratorPreset().network().eval()(x, *rest), x, atol=1e-6)


def test_one_gate_is_one_filter():
    # Oracle: the filter applied by hand to one axis of colour, its strength 3 tanh(10 b / 3); 1e-5.
    network = GeneratorPreset(farthest=0.0).network().eval()
    x, *rest = seen()
    luma, _ = filters()
    with torch.no_grad():
        network.gates.bias[2] = 0.02
        out = along_colours(network(x, *rest) - x)
        padded = torch.nn.functional.pad(along_colours(x)[:, :1], (8,) * 4, mode="replicate")
        wanted = 3 * np.tanh(0.2 / 3) * torch.nn.functional.conv2d(padded, luma[2:3])
    assert torch.allclose(out[:, :1], wanted, atol=1e-5)
    assert out[:, 1:].abs().max() < 1e-5


def test_nothing_moves_farther_than_the_estimate_may_be_wrong():
    # Oracle: f tanh(c / f) of the change c of the same network without the limit f, in units of size and scale; 1e-4.
    free, bound = (GeneratorPreset(farthest=f).network().eval() for f in (0.0, 2.0))
    x, size, *rest = seen()
    size = 0.2 * size
    with torch.no_grad():
        free.gates.bias.normal_(0, 1, generator=torch.Generator().manual_seed(2))
        bound.load_state_dict(free.state_dict())
        change, limited = (
            along_colours(g(x, size, *rest) - x) / (size * rest[-1]) for g in (free, bound)
        )
    assert change.abs().max() > 4
    assert torch.allclose(limited, 2 * torch.tanh(change / 2), atol=1e-4)
    assert limited.abs().max() < 2 + 1e-4


def test_faint_answers_are_not_enlarged():
    # Oracle: by hand, an answer r beside the least t = f x size x scale is enlarged as r r^2 / (r^2 + t^2); 1e-5 of the
    # range. A pattern of a tenth of t moves by at most 1 % of what the same gates make of it without the limit.
    free, bound = (GeneratorPreset(farthest=0.0, faintest=f).network().eval() for f in (0.0, 0.5))
    x, size, *rest = seen()
    with torch.no_grad():
        free.gates.bias[2] = 0.02
        bound.load_state_dict(free.state_dict())
        answer, change = (along_colours(g(x, size, *rest) - x)[:, :1] for g in (free, bound))
        answer, least = answer / (3 * np.tanh(0.2 / 3)), 0.5 * 0.05
        wanted = answer * answer**2 / (answer**2 + least**2) * 3 * np.tanh(0.2 / 3)
        assert torch.allclose(change, wanted, atol=1e-5)
        # In training there is no such limit.
        assert torch.equal(bound.train()(x, size, *rest), free(x, size, *rest))
        bound.eval()
        faint = 0.5 + (x - 0.5) * 0.1 * least / answer.abs().max()
        enlarged, kept = (
            along_colours(g(faint, size, *rest) - faint).norm() for g in (free, bound)
        )
    assert enlarged > 1e-3
    assert kept < 0.011 * enlarged


def test_filters_leave_a_level_alone_and_steer():
    # Oracle: sums are zero (of the derivatives 2e-4, their Gaussians end at four deviations); second derivatives along the diagonal of a plane wave are combinations
    # of those along rows, columns and the mixed one: a turn by 90 degrees exchanges the first two.
    luma, chroma = filters()
    assert torch.cat([luma[:5], chroma]).sum((1, 2, 3)).abs().max() < 1e-6
    assert luma[5:].sum((1, 2, 3)).abs().max() < 2e-4
    for k in (5, 8):
        assert torch.allclose(luma[k, 0].T, luma[k + 1, 0], atol=1e-7)
        assert torch.allclose(luma[k + 2, 0].T, luma[k + 2, 0], atol=1e-7)


def test_filters_hold_no_number_that_is_slow_to_multiply():
    # Oracle: by hand, a value is zero or so large that its product with a level of 1e-12 is a normal number.
    for kernels in filters():
        assert kernels[kernels != 0].abs().min() >= 1e-12


def test_axes_of_colour_are_orthonormal():
    # Oracle: lengths and the identity, 1e-6.
    x = torch.randn(1, 3, 5, 7)
    assert torch.allclose(from_colours(along_colours(x)), x, atol=1e-6)
    assert torch.allclose(along_colours(x).square().sum(), x.square().sum(), rtol=1e-5)


def test_the_loss_is_zero_for_the_source_and_falls_towards_its_energy():
    # Oracle: zero for equal pictures; for one whose contrast is reduced, half-way back is nearer.
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    scale = torch.full((2, 1, 1, 1), 0.05)
    weak = 0.5 + 0.4 * (x - 0.5)
    half = 0.5 + 0.7 * (x - 0.5)
    assert float(band_energy_loss(x, x, scale, 3)) == 0
    assert (
        float(band_energy_loss(weak, x, scale, 3))
        > 2 * float(band_energy_loss(half, x, scale, 3))
        > 0
    )
    # Local energies alone count: a mirrored picture with the same energies everywhere costs nothing.
    flat = torch.full_like(x, 0.5)
    wave = 0.1 * torch.cos(torch.arange(64) * torch.pi / 2)
    a, b = flat + wave, flat + wave.roll(1)
    assert float(band_energy_loss(a, b, scale, 3)) < 0.01 * float(
        band_energy_loss(flat, b, scale, 3)
    )
