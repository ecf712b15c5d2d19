"""The one-step generator of photographs: filters whose strengths a network sets from place to place.

```
 x_mmse, seen, size, features ─ U-Net ─ gates g_k at 1/4, enlarged ─┐
 x_mmse ─ without its grid ─ band-pass filters f_k ──────── sum g_k (f_k * x_mmse) ─ + x_mmse ─ x_real
```
The estimate has lost energy where the file left it open; the generator gives every band and orientation back
what the source has there on average. It is a deterministic map of ``x_mmse``, as optimal transport between two
laws with densities is (Brenier, 1991), so that its transport cost stays small. A free network of this size
leaves a pattern of its own instead (the grid of its shuffled pixels), which fixed filters cannot. Nothing moves farther
than the estimate may be wrong, nor in use than twice what the estimator changed around it: drawings and fine files keep their edges. What repeats with the blocks
of the file or of the estimator is not enlarged (:func:`without_grid`): it would be seen as a mesh. ``seen`` is what
the decoder had beside the estimate: the ordinary decoder's picture ``y``, or for ``.vdc`` files the features of the
synthesis at a quarter of the resolution.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from veridical.training.estimator_train import Tensors, in_threads
from veridical.training.loop import Execution, Schedule, Trained, train
from veridical.training.networks import NetworkConfig, RestorationNetwork, zeroed
from veridical.training.residual import along_colours, detail, from_colours, local_mean

_REACH = 8
_SIZES = (0.6, 0.85, 1.2, 1.7, 2.4)
_MOST = 3.0
"""Largest strength of a filter."""

_NOTHING = 1e-12
"""What is smaller in a filter is zero: far below the rounding of its largest values."""

_PERIODS = (4, 8)
"""Pixels between the lines of a grid: shuffled pixels of an estimator, and blocks."""

_UNSEEN = 1e-6
"""Squared error that nobody sees, a quarter of a level of 255."""

_ALONE = 50
"""Steps that the critic learns before the generator listens to it."""

STRENGTH = {"AVIF": 1.5, "WEBP": 1.5, "JXL": 2.0, "VDC": 2.0}
"""Of the formats whose trained generators are too cautious, chosen by validation pictures (see ``NetworkConfig``)."""

SHARES = {"photograph": 0.75, "drawing": 0.25}
"""Kinds of pieces."""


def _gaussian(size: float) -> Tensor:
    t = torch.arange(-_REACH, _REACH + 1.0)
    g = torch.exp(-(t**2) / (2 * size**2))
    return g / g.sum()


def filters() -> tuple[Tensor, Tensor]:
    """Filters of lightness and of each colour difference, (n, 1, 17, 17).

    Differences of Gaussians of 0 to 2.4 pixels, and second derivatives of Gaussians of 1 and 2 pixels
    along rows, columns and diagonals, which steer to every direction (Freeman and Adelson, 1991).
    """
    one = torch.zeros(2 * _REACH + 1)
    one[_REACH] = 1
    blurs = [torch.outer(g, g) for g in (one, *map(_gaussian, _SIZES))]
    bands = [a - b for a, b in itertools.pairwise(blurs)]
    t = torch.arange(-_REACH, _REACH + 1.0)
    steered = []
    for size in (1.0, 2.0):
        g = _gaussian(size)
        slope, curve = -t / size**2 * g, (t**2 / size**4 - 1 / size**2) * g
        steered += [
            -(size**2) / 2 * torch.outer(curve, g),
            -(size**2) / 2 * torch.outer(g, curve),
            -(size**2) * torch.outer(slope, slope),
        ]
    # The tails of a Gaussian are denormal numbers, and a processor takes thirty times as long for these.
    luma = torch.stack(bands + steered)[:, None]
    luma = torch.where(luma.abs() < _NOTHING, 0.0, luma)
    return luma, luma[1:4].clone()


def without_grid(x: Tensor, largest: Tensor) -> Tensor:
    """A picture without what repeats in it with the blocks of a file and of an estimator's shuffled pixels.

    Departures from a local mean, an edge's cut to ``largest``, are averaged over 5 x 5 places of equal phase.

    Args:
        x: (n, channels, height, width); the sides are multiples of the periods.
        largest: Amplitude of a grid, of the same shape.
    """
    for period in _PERIODS:
        fine = (x - local_mean(x, 5)).clamp(-largest, largest)
        x = x - functional.pixel_shuffle(
            local_mean(functional.pixel_unshuffle(fine, period), 5), period
        )
    return x


def _within(moved: Tensor, most: Tensor) -> Tensor:
    """A change bounded smoothly."""
    return most * torch.tanh(moved / most)


class FilterGenerator(nn.Module):
    """``forward(x_mmse, size, seen, features, scale)`` gives ``x_real``; shapes as in :class:`~veridical.training.estimator.BlockEstimator`.

    Args:
        config: Of the U-Net, without a tail: four pictures and the first features of the format; or three pictures
            and a second input, which is what it has ``seen`` then.

    Attributes:
        INPUTS: Names in an exported file.
    """

    OUTPUTS = ("x_real",)

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.INPUTS = ("x_mmse", "size", "side" if config.side else "y", "features", "scale")
        self.network = RestorationNetwork(config)
        luma, chroma = filters()
        self.register_buffer("luma", luma, persistent=False)
        self.register_buffer("chroma", chroma, persistent=False)
        self.gates = zeroed(nn.Conv2d(config.widths[0], len(luma) + 2 * len(chroma), 1))

    def forward(
        self, x_mmse: Tensor, size: Tensor, seen: Tensor, features: Tensor, scale: Tensor
    ) -> Tensor:
        """See the class."""
        side = bool(self.network.config.side)
        parts = [2 * x_mmse - 1, detail(x_mmse, scale)]
        parts += [size.log()] if side else [(seen - x_mmse) / scale, size.log()]
        told = features[:, : self.network.config.features]  # an estimator may be told more
        trunk = functional.silu(
            self.network.trunk(torch.cat(parts, 1), told, seen if side else None)
        )
        gates = _MOST * torch.tanh(10 / _MOST * self.gates(trunk))
        gates = functional.interpolate(
            gates, scale_factor=4.0, mode="bilinear", align_corners=False
        )
        n, error, limits = len(self.luma), size * scale, self.network.config
        axes = along_colours(x_mmse)
        axes = without_grid(axes, limits.grid * error) if limits.grid else axes
        padded = functional.pad(axes, (_REACH,) * 4, mode="replicate")
        change = []
        for k, g in enumerate(gates.split([n, len(self.chroma), len(self.chroma)], 1)):
            answer = functional.conv2d(padded[:, k : k + 1], self.chroma if k else self.luma)
            change.append((answer * g).sum(1, keepdim=True))
        moved = torch.cat(change, 1)
        moved = moved if self.training else limits.strength * moved
        if limits.farthest:
            moved = _within(moved, limits.farthest * error)
        if limits.beyond and not self.training:
            corrected = along_colours(x_mmse - seen).square()
            moved = _within(moved, limits.beyond * (local_mean(corrected, 9) + 1e-9).sqrt())
        return x_mmse + from_colours(moved)


@dataclass(frozen=True)
class GeneratorPreset:
    """Sizes and weights of the training of a generator.

    Attributes:
        schedule: Of the training.
        widths: Channels of the U-Net at 1/4, 1/8, 1/16.
        finest: Highest quality of the files.
        energy, critic, error: Weights of the terms of the loss.
        drawing: Weight of the error of drawn places, which the energies and the critic leave alone.
        harm: Weight of what a piece's error exceeds ``most_error`` times that of its estimate by.
        most_error: See there.
        farthest, grid, strength, beyond: See ``NetworkConfig``.
        gradient_penalty: Of the critic, on real patches (Mescheder et al., 2018).
    """

    schedule: Schedule = field(default_factory=lambda: Schedule(600, 5e-4, average=0.995))
    widths: tuple[int, int, int] = (32, 64, 96)
    finest: int = 95
    energy: float = 4.0
    critic: float = 0.3
    error: float = 0.15
    drawing: float = 1.0
    harm: float = 1.0
    most_error: float = 1.2
    farthest: float = 2.0
    grid: float = 0.2
    strength: float = 1.0
    beyond: float = 2.0
    gradient_penalty: float = 0.3

    def of_format(self, name: str) -> GeneratorPreset:
        """With the strength that was chosen for files of a format."""
        return replace(self, strength=STRENGTH.get(name, self.strength))

    def least_squares(self, schedule: Schedule) -> GeneratorPreset:
        """The same network trained to its squared error alone."""
        return replace(
            self, schedule=schedule, energy=0.0, critic=0.0, error=1.0, drawing=0.0, harm=0.0, farthest=0.0, grid=0.0, strength=1.0, beyond=0.0
        )  # fmt: skip

    def network(self, side: int = 0) -> FilterGenerator:
        """A new generator; ``side`` is the number of features of a synthesis, if that is what it sees."""
        return FilterGenerator(
            NetworkConfig(
                3 if side else 4, self.widths, blocks=(1, 1, 1), blocks_up=(1, 1), side=side,
                features=2 if side else 4, tail=False, farthest=self.farthest, grid=self.grid,
                strength=self.strength, beyond=0.0 if side else self.beyond,
            )
        )  # fmt: skip


def drawn(x: Tensor) -> Tensor:
    """How surely places of a source are drawn, 0 to 1, (n, 1, height, width): neighbours that are equal tell.

    Of neighbours in training photographs few are equal, in most rendered drawings nearly all.

    Args:
        x: Source before any compression, (n, 3, height, width), sides multiples of 16.
    """
    corner, above, left = x[..., 1:, 1:], x[..., :-1, 1:], x[..., 1:, :-1]
    pairs = torch.cat([(corner == v).all(1, keepdim=True) for v in (above, left)], 1)
    equal = pairs.to(x).mean(1, keepdim=True)
    share = functional.avg_pool2d(functional.pad(equal, (1, 0, 1, 0), mode="replicate"), 16)
    return functional.interpolate(((share - 0.2) / 0.2).clamp(0, 1), scale_factor=16.0)


def drawing_loss(x_real: Tensor, x: Tensor, x_mmse: Tensor, where: Tensor) -> Tensor:
    """Logarithm of how much larger the squared error is than the estimate's, mean over pictures by their share.

    Args:
        x_real: Generated, (n, 3, height, width).
        x: Source.
        x_mmse: Estimate.
        where: Weights of places, (n, 1, height, width).
    """
    share = where.mean((1, 2, 3))
    a, b = (
        ((v - x).square().mean(1, keepdim=True) * where).mean((1, 2, 3)) for v in (x_real, x_mmse)
    )
    floor = _UNSEEN * (share + 1e-3)
    return (((a + floor) / (b + floor)).log() * share).mean()


def band_energy_loss(x_real: Tensor, x: Tensor, scale: Tensor, seed: int, weight: Tensor) -> Tensor:
    """Squared relative difference of local energies behind random filters of three octaves.

    A Wasserstein distortion (Qiu et al., 2024, [T 46]) with linear features: of the local laws of the
    filtered pictures their standard deviations are compared, over windows of 16 pixels. The filters are drawn
    anew for every step, so that no fixed set can be satisfied alone.

    Args:
        x_real: Generated, (n, 3, height, width).
        x: Source.
        scale: Residual scale, (n, 1, 1, 1), the unit of length.
        seed: Of the filters.
        weight: Of places, (n, 1, height, width).
    """
    random = torch.Generator(x.device).manual_seed(seed)
    a, b = (along_colours(v / scale) for v in (x_real, x))
    t = torch.arange(-2.0, 3.0, device=x.device)
    window = torch.exp(-(t**2) / 2.88)
    total = torch.zeros((), device=x.device)
    for octave in range(3):
        f = torch.randn(12, 3, 5, 5, generator=random, device=x.device) * torch.outer(
            window, window
        )
        if octave < 2:
            f[:8, 1:] = 0  # lightness counts most where it is fine
        f = f - f.mean((2, 3), keepdim=True)
        f = f / f.flatten(1).norm(dim=1)[:, None, None, None]
        side = 16 >> octave
        ea, eb = (
            functional.avg_pool2d(functional.conv2d(v, f).square(), side, side // 2) + 0.09
            for v in (a, b)
        )
        here = functional.avg_pool2d(weight[..., 2:-2, 2:-2], side, side // 2)
        total = total + ((ea.sqrt() - eb.sqrt()).square() / eb * here).mean()
        a, b, weight = (functional.avg_pool2d(v, 2) for v in (a, b, weight))
    return total


class Critic(nn.Module):
    """Tells patches of sources from generated ones, from the picture alone, in units of the scale."""

    def __init__(self) -> None:
        super().__init__()
        widths = (6, 40, 80, 128)
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise(widths):
            layers += [nn.Conv2d(a, b, 4, 2, 1), nn.LeakyReLU(0.2)]
        layers += [nn.Conv2d(128, 128, 3, 1, 1), nn.LeakyReLU(0.2), nn.Conv2d(128, 1, 3, 1, 1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        """Scores of places, (n, 1, height / 8, width / 8)."""
        return self.layers(torch.cat([along_colours(detail(x, scale)), 2 * x - 1], 1))


class _Game(nn.Module):
    def __init__(self, generator: FilterGenerator, critic: Critic | None) -> None:
        super().__init__()
        self.generator, self.critic = generator, critic


def _mean_square(x: Tensor) -> Tensor:
    return x.square().mean((1, 2, 3))


def _gradients(
    game: _Game,
    preset: GeneratorPreset,
    x: Tensor,
    x_mmse: Tensor,
    size: Tensor,
    seen: Tensor,
    features: Tensor,
    scale: Tensor,
    *,
    step: int,
) -> tuple[Tensor, ...]:
    """Loss of the generator, and the gradients of all parameters, each by its own loss.

    Drawn places have a loss of their own; the weight of the others is 1 on average.
    """
    x_real = game.generator(x_mmse, size, seen, features, scale)
    where = drawn(x) if preset.drawing else torch.zeros_like(x[:, :1])
    weight = (1 - where) / (1 - where).mean().clamp(min=0.02)
    error = (along_colours(x_real - x) / (size * scale)).square()
    loss = preset.error * (error * weight).mean()
    if preset.drawing:
        loss = loss + preset.drawing * drawing_loss(x_real, x, x_mmse, where)
    if preset.energy:
        loss = loss + preset.energy * band_energy_loss(x_real, x, scale, step, weight)
    if preset.harm:
        dearer = _mean_square(x_real - x) / (_mean_square(x_mmse - x) + _UNSEEN)
        loss = loss + preset.harm * functional.relu(dearer - preset.most_error).mean()
    mine, critic = list(game.generator.parameters()), game.critic
    if critic is None:
        return loss.detach(), *torch.autograd.grad(loss, mine)
    weight = functional.avg_pool2d(weight, 8)
    if step >= _ALONE:
        doubt = functional.softplus(-critic(x_real, scale))
        loss = loss + preset.critic * (doubt * weight).mean()
    told = _critic_loss(critic, preset, x, x_real.detach(), scale, weight, penalized=step % 8 == 0)
    return (
        loss.detach(),
        *torch.autograd.grad(loss, mine, retain_graph=True),
        *torch.autograd.grad(told, list(critic.parameters())),
    )


def _critic_loss(
    critic: Critic,
    preset: GeneratorPreset,
    x: Tensor,
    x_real: Tensor,
    scale: Tensor,
    weight: Tensor,
    *,
    penalized: bool,
) -> Tensor:
    real = x.clone().requires_grad_(penalized)
    score = critic(real, scale)
    wrong = functional.softplus(-score) + functional.softplus(critic(x_real, scale))
    told = (wrong * weight).mean()
    if not penalized:
        return told
    (slope,) = torch.autograd.grad((score * weight).sum(), real, create_graph=True)
    slope = slope * scale  # in the unit of length of the residual
    energy = slope.square().sum((1, 2, 3)).mean() / score[0].numel()
    return told + 4 * preset.gradient_penalty * energy


def train_generator(
    network: FilterGenerator,
    estimated: Callable[..., tuple[Tensor, ...]],
    batches: Tensors,
    preset: GeneratorPreset,
    execution: Execution,
) -> Trained | None:
    """Train to the end of the schedule; None if the seconds ran out, with a checkpoint.

    Args:
        network: New, or to go on from.
        estimated: Of rows of a batch, the source and what the generator is given: ``x, x_mmse, size, seen, features,
            scale``; it stays as it is.
        batches: Of a step.
        preset: Sizes.
        execution: Checkpoint, device, time, reports.
    """
    game = _Game(network, Critic() if preset.critic else None).train().requires_grad_(True)

    def part(*rows: Tensor, more: tuple[_Game, int]) -> tuple[Tensor, ...]:
        model, step = more
        with torch.no_grad():
            given = estimated(*rows)
        return _gradients(model, preset, *given, step=step)

    split = in_threads(execution.accelerator, list(game.parameters()), part)
    result = train(
        game,
        lambda model, step: split(*batches(step), more=(model, step)),
        preset.schedule,
        execution,
    )
    if result is None:
        return None
    trained, figures = result
    assert isinstance(trained, _Game)
    return trained.generator, figures
