"""The one-step generator: its filters, its loss, and what it does before it is trained."""

import numpy as np
import torch

from veridical.training.generator import (
    Critic,
    GeneratorPreset,
    _Game,
    _gradients,
    band_energy_loss,
    drawing_loss,
    drawn,
    filters,
    without_grid,
)
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
    network = GeneratorPreset(farthest=0.0, grid=0.0, beyond=0.0).network().eval()
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
    free, bound = (
        GeneratorPreset(farthest=f, grid=0.0, beyond=0.0).network().eval() for f in (0.0, 2.0)
    )
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


def test_what_repeats_with_blocks_is_not_enlarged():
    # Oracle: a grid of period 4 or 8 that is smaller than the limit is gone, to a tenth of its deviation away from the
    # borders; white noise, which repeats nowhere, keeps 9/10 of its energy (each phase loses about a 25th);
    # an edge a hundred times the limit moves nowhere by more than twice the limit.
    random = torch.Generator().manual_seed(4)
    error = torch.full((1, 1, 96, 96), 0.02)
    for period in (4, 8):
        grid = 0.004 * torch.randn(period, period, generator=random)
        grid = (grid - grid.mean()).repeat(96 // period, 96 // period)[None, None]
        left = without_grid(0.5 + grid, error) - 0.5
        assert left[..., 24:-24, 24:-24].std() < 0.1 * grid.std()
    noise = 0.004 * torch.randn(1, 1, 96, 96, generator=random)
    assert without_grid(noise, error).square().sum() > 0.9 * noise.square().sum()
    edge = torch.zeros(1, 1, 96, 96)
    edge[..., 47:] = 2
    assert (without_grid(edge, error) - edge).abs().max() < 0.04


def test_a_generator_does_not_enlarge_a_grid_and_moves_by_its_strength():
    # Oracle: by hand, gates that enlarge one filter's answer enlarge that of the picture without its grid; in use times
    # the strength, in training not; 1e-5.
    plain, other = (
        GeneratorPreset(farthest=0.0, grid=g, strength=s, beyond=0.0).network().eval()
        for g, s in ((0.0, 1.0), (0.3, 1.5))
    )
    x, size, *rest = seen()
    with torch.no_grad():
        plain.gates.bias[2] = 0.02
        other.load_state_dict(plain.state_dict())
        axes = along_colours(x)
        bare = from_colours(without_grid(axes, 0.3 * size * rest[-1]))
        wanted = along_colours(plain(bare, size, *rest) - bare)[:, :1]
        moved = along_colours(other(x, size, *rest) - x)[:, :1]
        assert torch.allclose(moved, 1.5 * wanted, atol=1e-5)
        assert torch.allclose(
            along_colours(other.train()(x, size, *rest) - x)[:, :1], wanted, atol=1e-5
        )


def test_what_the_estimator_left_alone_stays():
    # Oracle: by hand, in use b tanh(c / b) of the change c without the limit, b twice the root mean square over 9 x 9
    # places of what the estimator changed, along the axes of colour; where it changed nothing, nothing moves (1e-4);
    # in training there is no limit; 1e-5.
    free, bound = (
        GeneratorPreset(farthest=0.0, grid=0.0, beyond=k).network().eval() for k in (0.0, 2.0)
    )
    x, size, y, *rest = seen()
    y = torch.where(torch.arange(32) < 16, x, x + 0.01 * (y - x))
    with torch.no_grad():
        free.gates.bias.normal_(0, 0.1, generator=torch.Generator().manual_seed(2))
        bound.load_state_dict(free.state_dict())
        change, limited = (along_colours(g(x, size, y, *rest) - x) for g in (free, bound))
        padded = torch.nn.functional.pad(along_colours(x - y).square(), (4,) * 4, mode="replicate")
        most = 2 * torch.nn.functional.avg_pool2d(padded, 9, 1).sqrt()
        wanted = most * torch.tanh(change / most.clamp(min=1e-9))
        assert torch.allclose(limited[..., 12:], wanted[..., 12:], atol=1e-4)
        assert limited[..., 20:].abs().max() > 0.01
        assert limited[..., :12].abs().max() < 1e-4
        assert change[..., :12].abs().max() > 0.01
        trained = [g.train()(x, size, y, *rest) for g in (bound, free)]
        assert torch.allclose(*trained)


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

    def loss(a, b, weight=torch.ones(2, 1, 64, 64)):  # noqa: B008
        return float(band_energy_loss(a, b, scale, 3, weight))

    weak = 0.5 + 0.4 * (x - 0.5)
    half = 0.5 + 0.7 * (x - 0.5)
    assert loss(x, x) == 0
    assert loss(weak, x) > 2 * loss(half, x) > 0
    # Local energies alone count: a mirrored picture with the same energies everywhere costs nothing.
    flat = torch.full_like(x, 0.5)
    wave = 0.1 * torch.cos(torch.arange(64) * torch.pi / 2)
    a, b = flat + wave, flat + wave.roll(1)
    assert loss(a, b) < 0.01 * loss(flat, b)
    # What differs where the weight is zero costs nothing (the largest window is 16 places of the coarsest octave
    # that are 1/4 of the picture's; filters reach 2 more).
    where = torch.zeros(2, 1, 64, 64)
    where[..., 48:] = 1
    left = x.clone()
    left[..., :24] = weak[..., :24]
    assert loss(left, x, where) == 0
    assert loss(weak, x, where) > 0


def test_drawn_places_are_told_from_photographs():
    # Oracle: of noise no neighbours are equal, of a rectangle's inside all, of stripes those along them, which is half;
    # a border between two such halves stays within its 16 pixels.
    random = torch.Generator().manual_seed(5)
    x = torch.randint(256, (1, 3, 64, 96), generator=random) / 255
    assert drawn(x).max() == 0
    x[..., 48:] = 0.25
    assert torch.equal(drawn(x), (torch.arange(96) >= 48).float().expand(1, 1, 64, 96))
    assert drawn(torch.rand(1, 1, 1, 96).expand(1, 3, 64, 96)).min() == 1


def test_the_loss_of_drawn_places_is_the_logarithm_of_the_squared_errors():
    # Oracle: by hand, twice the error is log 4 less what the unseen error of 1e-6 hides; places of weight 0 count nowhere;
    # a picture without drawn places adds nothing; 1e-3.
    x = torch.zeros(2, 3, 32, 32)
    where = torch.zeros(2, 1, 32, 32)
    where[0, ..., 16:] = 1
    estimate, generated = x + 0.02, x + 0.04
    generated[..., :16] = 5
    loss = float(drawing_loss(generated, x, estimate, where))
    assert abs(loss - 0.5 * np.log(4) / 2) < 1e-3


def test_drawn_places_have_a_loss_of_their_own():
    # Oracle: with a source drawn everywhere energies and the critic's doubt have no weight, so the gradient of the generator
    # is that of the loss of drawn places alone, of which a picture harmed less than harm's limit has no other; 1e-6.
    network = GeneratorPreset().network().train()
    estimate, size, *rest = seen()
    with torch.no_grad():
        network.gates.bias.normal_(0, 0.003, generator=torch.Generator().manual_seed(2))
    x = torch.full_like(estimate, 0.5)
    preset = GeneratorPreset(most_error=1e9)
    game = _Game(network, Critic())
    gradients = _gradients(game, preset, x, estimate, size, *rest, step=60)[1:]
    mine = list(network.parameters())
    loss = drawing_loss(network(estimate, size, *rest), x, estimate, torch.ones(2, 1, 32, 32))
    for got, wanted in zip(gradients, torch.autograd.grad(loss, mine), strict=False):
        assert torch.allclose(got, wanted, atol=1e-6)
    assert len(gradients) == len(mine) + len(list(game.critic.parameters()))
