"""Encoder-decoder pairs for digits, [BM] section 4, as an ensemble.

Encoder: fully connected, batch normalization and leaky ReLU between, batch normalization and tanh
at the end, to ``dim`` numbers. Quantizer: ``L`` fixed centres evenly spaced on [-1, 1]; forward the
nearest, backward the soft assignment ``sum_j c_j softmax_j(-sigma |z - c_j|)``, ``sigma = 2/L``.
Decoder: two fully connected and three transposed convolutions, batch normalization and leaky ReLU
between ([BM] does not say whether the decoder normalizes; this one does), sigmoid at the end. It is
given the centre plus noise, uniform over one bin of width ``b = 2/(L-1)``, so that it can generate.

*Dithered* members (subtractive dither, [T] 31-35, not in [BM]) quantize ``z + u`` and decode the
centre less ``u``, ``u`` uniform over one bin and known to both sides.

Encoder and decoder are trained as one network and live in one module, in the room of the estimators:
with weight 0 on perception the decoder *is* the estimator ``E[X|Z]``. Pairs of any ``(dim, L)`` with
``dim <= 4`` run together; what an index does not use is zero.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from veridical.errors import InvalidSetting
from veridical.estimate.ensemble import (
    LEAK,
    ConvolutionMode,
    Stack,
    apply_members,
    initial,
    linear,
    normalize,
    upsample,
)

__all__ = ["WIDEST", "Member", "PairShape", "Pairs"]

WIDEST = 4
"""The largest ``dim`` of [BM]'s table."""


@dataclass(frozen=True)
class Member:
    """One pair of an ensemble.

    Attributes:
        dim: numbers in an index, 1 to 4.
        levels: ``L``, values of each, 2 or more.
        dithered: the noise is known to the encoder and subtracted.
        seed: start of its weights.
    """

    dim: int
    levels: int
    dithered: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not (1 <= self.dim <= WIDEST and self.levels >= 2):
            raise InvalidSetting(f"a pair has 1 to {WIDEST} numbers of 2 or more levels: {self}")


@dataclass(frozen=True, kw_only=True)
class PairShape:
    """Sizes of the networks; the defaults are [BM]'s for 28x28 digits.

    Attributes:
        side: pixels of an edge.
        encoder: hidden widths of the encoder.
        hidden: hidden width of the decoder.
        base: pixels of an edge before the first transposed convolution.
        channels: before each transposed convolution.
        kernels: (size, stride) of each transposed convolution; they lead from base to side.
        critic: channels of the critic's convolutions.
    """

    side: int = 28
    encoder: tuple[int, ...] = (512, 256, 128, 128)
    hidden: int = 128
    base: int = 4
    channels: tuple[int, int, int] = (32, 64, 128)
    kernels: tuple[tuple[int, int], ...] = ((5, 2), (5, 2), (4, 1))
    critic: tuple[int, ...] = (64, 128, 256)

    def __post_init__(self) -> None:
        size = self.base
        for kernel, stride in self.kernels:
            size = (size - 1) * stride + kernel
        if size != self.side or len(self.kernels) != len(self.channels):
            raise InvalidSetting(f"the decoder ends at {size} pixels instead of {self.side}")


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
        sizes = [shape.side**2, *shape.encoder, WIDEST]
        for k, (i, o) in enumerate(itertools.pairwise(sizes)):
            self._add_linear(f"encoder{k}", random, i, o, [i] * E)
            self.add_norm(f"encoder{k}", E, o)
        flat = shape.channels[0] * shape.base**2
        self._add_linear("middle0", random, WIDEST, shape.hidden, [m.dim for m in self.members])
        self._add_linear("middle1", random, shape.hidden, flat, [shape.hidden] * E)
        for k, features in enumerate((shape.hidden, flat)):
            self.add_norm(f"middle{k}", E, features)
        steps = zip(itertools.pairwise([*shape.channels, 1]), shape.kernels, strict=True)
        for k, ((ci, co), (size, _)) in enumerate(steps):
            fan = [co * size**2] * E
            self.weights[f"decoder{k}/weight"] = initial(random, (ci, co, size, size), fan)
            self.weights[f"decoder{k}/bias"] = initial(random, (co,), fan)
            if k < len(shape.kernels) - 1:
                self.add_norm(f"decoder{k}", E, co)
        most = max(m.levels for m in self.members)
        centres = torch.full((E, most), torch.inf)
        for e, m in enumerate(self.members):
            centres[e, : m.levels] = torch.linspace(-1, 1, m.levels)
        used = torch.tensor([[float(k < m.dim) for k in range(WIDEST)] for m in self.members])
        rows = {
            "centres": centres,
            "used": used,
            "bin": torch.tensor([2.0 / (m.levels - 1) for m in self.members]),
            "sigma": torch.tensor([2.0 / m.levels for m in self.members]),
            "dithered": torch.tensor([float(m.dithered) for m in self.members]),
        }
        for name, value in rows.items():
            self.register_buffer(name, value, persistent=False)

    def _add_linear(
        self, name: str, random: list[torch.Generator], i: int, o: int, fans: list[int]
    ) -> None:
        self.weights[f"{name}/weight"] = initial(random, (i, o), fans)
        self.weights[f"{name}/bias"] = initial(random, (o,), fans)

    def encode(self, x: Tensor) -> Tensor:
        """``z`` in [-1, 1], shape ``(E, B, 4)``, of pictures ``(B, p)`` or ``(E, B, p)``."""
        part = self.tensors("encoder")
        last = len(self.shape.encoder)
        h = x * 2 - 1
        for k in range(last + 1):
            h = linear(h, part[f"encoder{k}.weight"], part[f"encoder{k}.bias"])
            h = normalize(h, part, f"encoder{k}", training=self.training, axis=2)
            h = torch.tanh(h) if k == last else functional.leaky_relu(h, LEAK)
        return h * self.get_buffer("used")[:, None, :]

    def quantize(self, z: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """Index and what the decoder is given.

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
            h = linear(h, part[f"middle{k}.weight"], part[f"middle{k}.bias"])
            h = normalize(h, part, f"middle{k}", training=self.training, axis=2)
            h = functional.leaky_relu(h, LEAK)
        return apply_members(h, self.tensors("decoder"), self._draw, self.mode)

    def _draw(self, h: Tensor, part: Mapping[str, Tensor]) -> Tensor:
        B, G = h.shape[:2]
        side, last = self.shape.base, len(self.shape.kernels) - 1
        x = h.reshape(B, G * self.shape.channels[0], side, side)
        # Measured on a processor: a third faster than planes one after the other.
        x = x.contiguous(memory_format=torch.channels_last) if G == 1 else x
        for k, (_, stride) in enumerate(self.shape.kernels):
            weight, bias = part[f"decoder{k}.weight"], part[f"decoder{k}.bias"]
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
