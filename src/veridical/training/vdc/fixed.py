"""Fixed-point layers as they are trained: real weights, rounded on the way forward.

Gradients pass over the rounding (straight through), so that what was trained is what is frozen:
``integers`` gives the whole numbers from which ``photo.vdc.fixed`` computes the same accumulators.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from veridical.photo.vdc.fixed import ACTIVATION_BITS, LARGEST_ACTIVATION
from veridical.photo.vdc.prior import WEIGHT_BITS

_LARGEST_WEIGHT = 1023
_BUDGET = (1 << 23) - (1 << 20)
"""Bound of one convolution's accumulator: two of them and small biases stay below 2^24."""
_LARGEST_BIAS = 1 << 19


class _Straight(torch.autograd.Function):
    """A value on the way forward, the identity on the way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor) -> Tensor:
        del ctx, x
        return value

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        del ctx
        return grads[0], None


class _ClampedStraight(torch.autograd.Function):
    """A clamp that lets gradients through where they lead back inside."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, low: float, high: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.ends = (low, high)
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (x,), (low, high), g = ctx.saved_tensors, ctx.ends, grads[0]
        stay = ((x >= low) | (g < 0)) & ((x <= high) | (g > 0))
        return g * stay, None, None


def round_half_up(x: Tensor) -> Tensor:
    """``floor(x + 1/2)``, straight through on the way back."""
    return _Straight.apply(x, torch.floor(x + 0.5))


def round_down(x: Tensor) -> Tensor:
    """``floor(x)``, straight through on the way back."""
    return _Straight.apply(x, torch.floor(x))


def rescale(accumulator: Tensor, shift: int, low: int, high: int) -> Tensor:
    """``clamp(floor((accumulator + 2^(shift-1)) / 2^shift), low, high)``, exact.

    A rectifier (``low`` 0) has the gradient of one; other ends let gradients through that lead
    back inside.
    """
    x = (accumulator + 2.0 ** (shift - 1)) * 2.0**-shift
    whole = round_down(x)
    if low == 0 and high == LARGEST_ACTIVATION:
        return whole.clamp(low, high)
    return _ClampedStraight.apply(whole, float(low), float(high))


class FixedConv(nn.Module):
    """A convolution whose real weights are rounded on the way forward; see ``photo.vdc.fixed``.

    Args:
        n_in, n_out, kernel: Shape; the kernel is odd.
        in_bits: Fraction bits of the inputs.
        most: Largest size of an input, as a whole number.
    """

    def __init__(
        self, n_in: int, n_out: int, kernel: int, *, in_bits: int = ACTIVATION_BITS,
        most: int = LARGEST_ACTIVATION,
    ) -> None:  # fmt: skip
        super().__init__()
        self.in_bits, self.most = in_bits, most
        conv = nn.Conv2d(n_in, n_out, kernel)
        self.weight = nn.Parameter(conv.weight.detach())
        self.bias = nn.Parameter(torch.zeros(n_out))

    def integers(self) -> tuple[Tensor, Tensor]:
        """Whole weights and biases within the budget, with gradients straight through."""
        w = self.weight * 2.0**WEIGHT_BITS
        whole = torch.round(w.detach()).clamp(-_LARGEST_WEIGHT, _LARGEST_WEIGHT)
        allowed = (_BUDGET - _LARGEST_BIAS) / self.most
        total = whole.abs().sum((1, 2, 3), keepdim=True).clamp(min=1.0)
        whole = torch.where(total > allowed, torch.trunc(whole * (allowed / total)), whole)
        b = self.bias * 2.0 ** (self.in_bits + WEIGHT_BITS)
        whole_bias = torch.round(b.detach()).clamp(-_LARGEST_BIAS, _LARGEST_BIAS)
        return _Straight.apply(w, whole), _Straight.apply(b, whole_bias)

    def forward(self, a: Tensor) -> Tensor:
        """Accumulators of whole numbers, (n, in, height, width)."""
        weight, bias = self.integers()
        padding = weight.shape[-1] // 2
        return nn.functional.conv2d(a, weight.to(a.dtype), bias.to(a.dtype), padding=padding)


class FixedBias(nn.Module):
    """Numbers that are added to accumulators, with their bits, rounded on the way forward."""

    def __init__(self, rows: int, width: int, *, in_bits: int = ACTIVATION_BITS) -> None:
        super().__init__()
        self.bits = in_bits + WEIGHT_BITS
        self.values = nn.Parameter(torch.zeros(rows, width))

    def forward(self) -> Tensor:
        """The table of whole numbers."""
        x = self.values * 2.0**self.bits
        return _Straight.apply(x, torch.round(x.detach()).clamp(-_LARGEST_BIAS, _LARGEST_BIAS))
