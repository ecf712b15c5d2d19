"""Layers of many small networks that run together: every parameter has the networks as first axis.

One small network leaves a large machine idle. Here ``E`` networks of one shape hold their parameters
as tensors ``(E, ...)``: linear layers are one batched product, convolutions run with groups, or one
network after the other where that is faster (:class:`ConvolutionMode`). The result of a network does
not depend on its neighbours, except for rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from enum import Enum

import torch
from torch import Tensor, nn
from torch.nn import functional

LEAK = 0.2


class ConvolutionMode(Enum):
    """How the convolutions of an ensemble are computed.

    ``EACH``: one network after the other; fastest on a processor. ``GROUPS``: one convolution with
    as many groups as networks. ``COLUMNS``: patches as columns, and one batched product.
    """

    EACH = "each"
    GROUPS = "groups"
    COLUMNS = "columns"


def _initial(
    generators: Sequence[torch.Generator], shape: Sequence[int], fans: Sequence[int]
) -> nn.Parameter:
    """Uniform on ``+-1/sqrt(fan)``, each network from its own generator; shape ``(E, *shape)``."""
    parts = [
        torch.empty(tuple(shape)).uniform_(-1 / math.sqrt(fan), 1 / math.sqrt(fan), generator=g)
        for g, fan in zip(generators, fans, strict=True)
    ]
    return nn.Parameter(torch.stack(parts))


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``x W + b`` of every network: ``(E, B, i), (E, i, o), (E, o) -> (E, B, o)``.

    ``x`` of shape ``(B, i)`` is shared by all networks.
    """
    given = x.expand(weight.shape[0], *x.shape) if x.ndim == 2 else x
    return torch.baddbmm(bias[:, None, :], given, weight)


def normalize(
    x: Tensor, part: Mapping[str, Tensor], name: str, *, training: bool, axis: int
) -> Tensor:
    """Batch normalization of each network over its own batch; running statistics are updated.

    Args:
        x: ``(E, B, F)`` with ``axis=2``, or ``(B, G C, H, W)`` with ``axis=1``.
        part: tensors ``<name>/gain, /shift, /mean, /variance``, each ``(E, F)`` or ``(G, C)``.
        name: of the layer.
        training: use and fold in the statistics of this batch.
        axis: where the features are.
    """
    gain, shift = part[f"{name}/gain"].reshape(-1), part[f"{name}/shift"].reshape(-1)
    mean, variance = part[f"{name}/mean"].view(-1), part[f"{name}/variance"].view(-1)
    if axis == 1:
        return functional.batch_norm(x, mean, variance, gain, shift, training)
    E, B, features = x.shape
    table = x.transpose(0, 1).reshape(B, E * features)
    out = functional.batch_norm(table, mean, variance, gain, shift, training)
    return out.reshape(B, E, features).transpose(0, 1)


def convolve(x: Tensor, weight: Tensor, bias: Tensor, mode: ConvolutionMode) -> Tensor:
    """5x5 convolution with stride 2 and padding 2.

    Args:
        x: ``(B, G Ci, H, W)``.
        weight: ``(G, Co, Ci, 5, 5)``.
        bias: ``(G, Co)``.
        mode: ``COLUMNS`` or another.
    """
    G, Co, Ci, k, _ = weight.shape
    if mode is not ConvolutionMode.COLUMNS:
        return functional.conv2d(
            x, weight.reshape(G * Co, Ci, k, k), bias.reshape(-1), stride=2, padding=2, groups=G
        )
    B, _, H, W = x.shape
    columns = functional.unfold(x.reshape(B * G, Ci, H, W), k, stride=2, padding=2)
    columns = columns.reshape(B, G, Ci * k * k, -1).permute(1, 2, 0, 3).reshape(G, Ci * k * k, -1)
    out = torch.baddbmm(bias[:, :, None], weight.reshape(G, Co, -1), columns)
    size = (H + 1) // 2, (W + 1) // 2
    return out.reshape(G * Co, B, *size).transpose(0, 1)


def upsample(x: Tensor, weight: Tensor, bias: Tensor, stride: int, mode: ConvolutionMode) -> Tensor:
    """Transposed convolution without padding.

    Args:
        x: ``(B, G Ci, H, W)``.
        weight: ``(G, Ci, Co, k, k)``.
        bias: ``(G, Co)``.
        stride: of the output.
        mode: ``COLUMNS`` or another.
    """
    G, Ci, Co, k, _ = weight.shape
    if mode is not ConvolutionMode.COLUMNS:
        return functional.conv_transpose2d(
            x, weight.reshape(G * Ci, Co, k, k), bias.reshape(-1), stride=stride, groups=G
        )
    B, _, H, W = x.shape
    given = x.reshape(B, G, Ci, H * W).permute(1, 2, 0, 3).reshape(G, Ci, -1)
    columns = torch.bmm(weight.reshape(G, Ci, -1).transpose(1, 2), given)
    columns = columns.reshape(G, -1, B, H * W).transpose(1, 2).reshape(G * B, -1, H * W)
    size = (H - 1) * stride + k, (W - 1) * stride + k
    out = functional.fold(columns, size, k, stride=stride).reshape(G, B, Co, *size)
    return (out + bias[:, None, :, None, None]).transpose(0, 1).reshape(B, G * Co, *size)


def apply_members(
    x: Tensor,
    part: Mapping[str, Tensor],
    run: Callable[[Tensor, Mapping[str, Tensor]], Tensor],
    mode: ConvolutionMode,
) -> Tensor:
    """Run a stack of convolutions for all networks at once, or for one after the other.

    Args:
        x: ``(E, B, ...)``; what each network is given.
        part: tensors with the networks as first axis.
        run: takes ``(B, G, ...)`` and the tensors of ``G`` networks; returns ``(B, G, ...)``.
        mode: see :class:`ConvolutionMode`.
    """
    if mode is not ConvolutionMode.EACH:
        return run(x.transpose(0, 1), part).transpose(0, 1)
    alone = [
        run(x[e][:, None], {name: value[e : e + 1] for name, value in part.items()})[:, 0]
        for e in range(x.shape[0])
    ]
    return torch.stack(alone)


class Stack(nn.Module):
    """Base of the ensembles: named tensors with the networks as first axis."""

    def __init__(self, mode: ConvolutionMode = ConvolutionMode.EACH) -> None:
        super().__init__()
        self.mode = mode
        self.weights = nn.ParameterDict()

    def tensors(self, prefix: str) -> dict[str, Tensor]:
        """Parameters and running statistics whose names begin with ``prefix``."""
        every = {**dict(self.weights.items()), **dict(self.named_buffers())}
        return {name: value for name, value in every.items() if name.startswith(prefix)}

    def add_layer(
        self, name: str, random: list[torch.Generator], shape: tuple[int, ...], outputs: int,
        fans: Sequence[int],
    ) -> None:  # fmt: skip
        """Weight ``(E, *shape)`` and bias ``(E, outputs)``, uniform on ``+-1/sqrt(fan)``."""
        self.weights[f"{name}/weight"] = _initial(random, shape, fans)
        self.weights[f"{name}/bias"] = _initial(random, (outputs,), fans)

    def add_norm(self, name: str, members: int, features: int) -> None:
        """Gain, shift and running statistics of a normalization layer."""
        self.weights[f"{name}/gain"] = nn.Parameter(torch.ones(members, features))
        self.weights[f"{name}/shift"] = nn.Parameter(torch.zeros(members, features))
        self.register_buffer(f"{name}/mean", torch.zeros(members, features))
        self.register_buffer(f"{name}/variance", torch.ones(members, features))
