"""Critics of digits, [BM] section 4: WGAN-GP (Gulrajani et al. 2017), as an ensemble.

``W1(p, q) = sup over 1-Lipschitz f of E f(X) - E f(Y)``; the critic maximises
``E f(X) - E f(Y) - 10 E(|grad f| - 1)^2`` with the gradient taken between pairs of both.
Convolutions 5x5 of stride 2, leaky ReLU, one linear layer, no normalization.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from veridical.estimate.digit_pairs import PairShape
from veridical.estimate.ensemble import (
    LEAK,
    ConvolutionMode,
    Stack,
    apply_members,
    convolve,
    initial,
)

__all__ = ["Critics", "critic_loss"]

_PENALTY = 10.0


class Critics(Stack):
    """``E`` critics of one shape."""

    def __init__(
        self,
        seeds: Sequence[int],
        shape: PairShape,
        mode: ConvolutionMode = ConvolutionMode.EACH,
    ) -> None:
        super().__init__(mode)
        self.side = shape.side
        random = [torch.Generator().manual_seed(seed) for seed in seeds]
        E, size = len(seeds), shape.side
        for k, (ci, co) in enumerate(itertools.pairwise([1, *shape.critic])):
            fan = [ci * 25] * E
            self.weights[f"layer{k}/weight"] = initial(random, (co, ci, 5, 5), fan)
            self.weights[f"layer{k}/bias"] = initial(random, (co,), fan)
            size = (size + 1) // 2
        flat = shape.critic[-1] * size**2
        self.weights["last/weight"] = initial(random, (flat,), [flat] * E)
        self.weights["last/bias"] = initial(random, (1,), [flat] * E)
        self.depth = len(shape.critic)

    def forward(self, x: Tensor) -> Tensor:
        """Scores ``(E, B)`` of pictures ``(E, B, p)`` on [0, 1]."""
        return apply_members(x, self.tensors(""), self._score, self.mode)

    def _score(self, x: Tensor, part: Mapping[str, Tensor]) -> Tensor:
        B, G = x.shape[:2]
        h = x.reshape(B, G, self.side, self.side)
        for k in range(self.depth):
            h = convolve(h, part[f"layer{k}.weight"], part[f"layer{k}.bias"], self.mode)
            h = functional.leaky_relu(h, LEAK)
        flat = h.reshape(B, G, -1)
        return (flat * part["last.weight"]).sum(-1) + part["last.bias"][:, 0]


def critic_loss(critics: Critics, real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """Loss ``(E,)``: ``E f(fake) - E f(real) + 10 E(|grad f| - 1)^2``.

    Args:
        critics: of ``E`` pairs.
        real: ``(B, p)``, the same for all.
        fake: ``(E, B, p)``, without gradient.
        share: ``(B, 1)``, uniform on [0, 1]: where between real and fake the gradient is taken.
    """
    real = real.expand_as(fake)
    between = torch.lerp(real, fake, share).requires_grad_(True)
    scores = critics(torch.cat([real, fake, between], dim=1))
    B = real.shape[1]
    at_real, at_fake, at_between = scores.split(B, dim=1)
    (slope,) = torch.autograd.grad(at_between.float().sum(), between, create_graph=True)
    norm = (slope.float().square().sum(-1) + 1e-12).sqrt()
    gap = at_fake.float().mean(1) - at_real.float().mean(1)
    return gap + _PENALTY * (norm - 1).square().mean(1)
