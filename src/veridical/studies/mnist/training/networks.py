"""Encoder-decoder pairs and critics for digits, [BM] section 4, as ensembles.

Encoder: fully connected, batch normalization and leaky ReLU between, batch normalization and tanh
at the end, to ``dim`` numbers. Quantizer: ``L`` fixed centres evenly spaced on [-1, 1]; forward the
nearest, backward the soft assignment ``sum_j c_j softmax_j(-sigma |z - c_j|)``, ``sigma = 2/L``.
Decoder: two fully connected and three transposed convolutions, batch normalization and leaky ReLU
between ([BM] does not say whether the decoder normalizes; this one does), sigmoid at the end. Its input
is the centre plus noise, uniform over one bin of width ``b = 2/(L-1)``, so that it can generate. With
weight 0 on perception the decoder *is* the estimator ``E[X|Z]``.

*Dithered* members (subtractive dither, [T] 31-35, not in [BM]) quantize ``z + u`` and decode the
centre less ``u``, ``u`` uniform over one bin and known to both sides.

Critic: WGAN-GP (Gulrajani et al. 2017). ``W1(p, q) = sup over 1-Lipschitz f of E f(X) - E f(Y)``; it
maximises ``E f(X) - E f(Y) - 10 E(|grad f| - 1)^2`` with the gradient taken between pairs of both.
Convolutions 5x5 of stride 2, leaky ReLU, one linear layer, no normalization.

Pairs of any ``(dim, L)`` with ``dim <= 4`` run together; coordinates that an index does not use are zero.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from veridical.studies.mnist.presets import PairShape
from veridical.studies.mnist.table import MAX_DIM, Member
from veridical.studies.mnist.training.layers import (
    LEAK,
    ConvolutionMode,
    Stack,
    apply_members,
    convolve,
    linear,
    normalize,
    upsample,
)  # fmt: skip

_PENALTY = 10.0


class Pairs(Stack):
    """``E`` pairs of one shape; see the module for the formulas."""

    def __init__(
        self,
        members: Sequence[Member],
        shape: PairShape,
        mode: ConvolutionMode = ConvolutionMode.EACH,
    ) -> None:
        super().__init__(mode)
        self.members, self.shape = tuple(members), shape
        E = len(self.members)
        random = [torch.Generator().manual_seed(m.seed) for m in self.members]
        for k, (i, o) in enumerate(itertools.pairwise([shape.side**2, *shape.encoder, MAX_DIM])):
            self.add_layer(f"encoder{k}", random, (i, o), o, [i] * E)
            self.add_norm(f"encoder{k}", E, o)
        hidden, flat = shape.hidden, shape.channels[0] * shape.base**2
        self.add_layer("middle0", random, (MAX_DIM, hidden), hidden, [m.dim for m in self.members])
        self.add_layer("middle1", random, (hidden, flat), flat, [hidden] * E)
        for k, features in enumerate((hidden, flat)):
            self.add_norm(f"middle{k}", E, features)
        steps = zip(itertools.pairwise([*shape.channels, 1]), shape.kernels, strict=True)
        for k, ((ci, co), (size, _)) in enumerate(steps):
            self.add_layer(f"decoder{k}", random, (ci, co, size, size), co, [co * size**2] * E)
            if k < len(shape.kernels) - 1:
                self.add_norm(f"decoder{k}", E, co)
        centres = torch.full((E, max(m.levels for m in self.members)), torch.inf)
        for e, m in enumerate(self.members):
            centres[e, : m.levels] = torch.linspace(-1, 1, m.levels)
        rows = {
            "centres": centres,
            "used": [[float(k < m.dim) for k in range(MAX_DIM)] for m in self.members],
            "bin": [2.0 / (m.levels - 1) for m in self.members],
            "sigma": [2.0 / m.levels for m in self.members],
            "dithered": [float(m.dithered) for m in self.members],
        }
        for name, value in rows.items():
            self.register_buffer(name, torch.as_tensor(value), persistent=False)

    def encode(self, x: Tensor) -> Tensor:
        """``z`` in [-1, 1], shape ``(E, B, 4)``, of pictures ``(B, p)`` or ``(E, B, p)``."""
        part = self.tensors("encoder")
        last = len(self.shape.encoder)
        h = x * 2 - 1
        for k in range(last + 1):
            h = linear(h, part[f"encoder{k}/weight"], part[f"encoder{k}/bias"])
            h = normalize(h, part, f"encoder{k}", training=self.training, axis=2)
            h = torch.tanh(h) if k == last else functional.leaky_relu(h, LEAK)
        return h * self.get_buffer("used")[:, None, :]

    def quantize(self, z: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """Index and the decoder's input.

        Args:
            z: ``(E, B, 4)``.
            u: uniform on +-1/2, ``(B, 4)``; noise, or dither for dithered members. Zero gives the
                centres themselves.

        Returns:
            Index ``(E, B, 4)``, whole, 0 where unused; and the decoder's input, with the gradient of
            the soft assignment.
        """
        noise = self.get_buffer("bin")[:, None, None] * u
        dithered = self.get_buffer("dithered")[:, None, None]
        z = z + dithered * noise
        centres = self.get_buffer("centres")[:, None, None, :]
        distance = (z[..., None] - centres).abs()
        index = distance.argmin(dim=-1)
        hard = torch.take_along_dim(centres.expand(*z.shape, -1), index[..., None], -1)[..., 0]
        if z.requires_grad:
            share = torch.softmax(-self.get_buffer("sigma")[:, None, None, None] * distance, dim=-1)
            soft = (share * torch.nan_to_num(centres, posinf=0.0)).sum(-1)
            hard = soft + (hard - soft).detach()
        used = self.get_buffer("used")[:, None, :]
        return index * used.long(), (hard + (1 - 2 * dithered) * noise) * used

    def lookup(self, index: Tensor, u: Tensor) -> Tensor:
        """The decoder's input for a known index ``(E, B, 4)``; inverse of :meth:`quantize`."""
        centres = self.get_buffer("centres")[:, None, None, :].expand(*index.shape, -1)
        hard = torch.take_along_dim(centres, index[..., None], -1)[..., 0]
        noise = self.get_buffer("bin")[:, None, None] * u
        sign = 1 - 2 * self.get_buffer("dithered")[:, None, None]
        return (hard + sign * noise) * self.get_buffer("used")[:, None, :]

    def decode(self, given: Tensor) -> Tensor:
        """Pictures ``(E, B, p)`` on [0, 1] from ``(E, B, 4)``."""
        part = self.tensors("middle")
        h = given
        for k in range(2):
            h = linear(h, part[f"middle{k}/weight"], part[f"middle{k}/bias"])
            h = normalize(h, part, f"middle{k}", training=self.training, axis=2)
            h = functional.leaky_relu(h, LEAK)
        return apply_members(h, self.tensors("decoder"), self._upsample, self.mode)

    def _upsample(self, h: Tensor, part: Mapping[str, Tensor]) -> Tensor:
        B, G = h.shape[:2]
        side, last = self.shape.base, len(self.shape.kernels) - 1
        x = h.reshape(B, G * self.shape.channels[0], side, side)
        # Measured on a processor: a third faster than planes one after the other.
        x = x.contiguous(memory_format=torch.channels_last) if G == 1 else x
        for k, (_, stride) in enumerate(self.shape.kernels):
            weight, bias = part[f"decoder{k}/weight"], part[f"decoder{k}/bias"]
            x = upsample(x, weight, bias, stride, self.mode)
            if k < last:
                x = normalize(x, part, f"decoder{k}", training=self.training, axis=1)
                x = functional.leaky_relu(x, LEAK)
        return torch.sigmoid(x).reshape(B, G, -1)

    def forward(self, x: Tensor, u: Tensor) -> Tensor:
        """Reconstructions ``(E, B, p)`` of pictures, with noise ``u``."""
        # An index is never decided in half precision.
        with torch.autocast(x.device.type, enabled=False):
            given = self.quantize(self.encode(x), u)[1]
        return self.decode(given)


class Critics(Stack):
    """``E`` critics of one shape."""

    def __init__(
        self,
        seeds: Sequence[int],
        shape: PairShape,
        mode: ConvolutionMode = ConvolutionMode.EACH,
    ) -> None:
        super().__init__(mode)
        self.side, self.depth = shape.side, len(shape.critic)
        random = [torch.Generator().manual_seed(seed) for seed in seeds]
        E, size = len(seeds), shape.side
        for k, (ci, co) in enumerate(itertools.pairwise([1, *shape.critic])):
            self.add_layer(f"layer{k}", random, (co, ci, 5, 5), co, [ci * 25] * E)
            size = (size + 1) // 2
        flat = shape.critic[-1] * size**2
        self.add_layer("last", random, (flat,), 1, [flat] * E)

    def forward(self, x: Tensor) -> Tensor:
        """Scores ``(E, B)`` of pictures ``(E, B, p)`` on [0, 1]."""
        return apply_members(x, self.tensors(""), self._score, self.mode)

    def _score(self, x: Tensor, part: Mapping[str, Tensor]) -> Tensor:
        B, G = x.shape[:2]
        h = x.reshape(B, G, self.side, self.side)
        for k in range(self.depth):
            h = convolve(h, part[f"layer{k}/weight"], part[f"layer{k}/bias"], self.mode)
            h = functional.leaky_relu(h, LEAK)
        return (h.reshape(B, G, -1) * part["last/weight"]).sum(-1) + part["last/bias"][:, 0]


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
    at_real, at_fake, at_between = scores.split(real.shape[1], dim=1)
    (slope,) = torch.autograd.grad(at_between.float().sum(), between, create_graph=True)
    norm = (slope.float().square().sum(-1) + 1e-12).sqrt()
    gap = at_fake.float().mean(1) - at_real.float().mean(1)
    return gap + _PENALTY * (norm - 1).square().mean(1)
