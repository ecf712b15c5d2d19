"""Convolutions in fixed-point arithmetic whose results do not depend on the machine.

A number with ``b`` fraction bits is a whole number in units of ``2^-b``. Whole numbers stand in
float32 tensors here: products and sums of whole numbers are exact there while no partial sum can
leave ``+-2^24``, in whatever order a library adds, with or without fused multiply-add. That holds
because the sum of the *sizes* of all terms is bounded, which :meth:`IntegerConv.bound` computes
from the weights and :func:`check_bound` enforces when weights are loaded.

    accumulator = sum_k w_k a_k + b,      result = clamp(floor((accumulator + 2^(s-1)) / 2^s))

Scaling by a power of two is exact, so the shift is a product and a floor, and rounds half up.
:class:`FixedConv` is the same layer during training: real weights are rounded on the way forward
and passed over on the way back (straight through), so that what was trained is what is frozen.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from veridical.errors import BadWeights

__all__ = [
    "ACTIVATION_BITS",
    "LARGEST_ACTIVATION",
    "FixedBias",
    "FixedConv",
    "IntegerBias",
    "IntegerConv",
    "check_bound",
    "exact_arithmetic",
    "freeze",
    "rescale",
    "round_down",
    "round_half_up",
]

ACTIVATION_BITS = 5
LARGEST_ACTIVATION = 255
_WEIGHT_BITS = 9
_LARGEST_WEIGHT = 1023
_LIMIT = 1 << 24
_BUDGET = (1 << 23) - (1 << 20)
"""Bound of one convolution's accumulator: two of them and small biases stay below 2^24."""
_LARGEST_BIAS = 1 << 19
_EVERY = slice(None)


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


class IntegerConv(nn.Module):
    """A frozen convolution of whole numbers; ``forward`` gives the accumulators.

    Args:
        weight: Whole, shape (out, in, k, k), k odd.
        bias: Whole, shape (out,).
        most: Largest size of an input number.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, most: int) -> None:
        super().__init__()
        self.register_buffer("weight", weight.float())
        self.register_buffer("bias", bias.float())
        self.most = most

    def forward(self, a: Tensor, outputs: slice = _EVERY) -> Tensor:
        """Accumulators of the inputs ``a``, whole numbers, shape (n, in, height, width).

        Args:
            a: See above.
            outputs: Which of them to compute.
        """
        return _convolve(a.to(self.weight.dtype), self.weight[outputs], self.bias[outputs])

    def bound(self) -> Tensor:
        """Largest size that a partial sum can have, float64 of shape (out,)."""
        return self.most * self.weight.double().abs().sum((1, 2, 3)) + self.bias.double().abs()


class IntegerBias(nn.Module):
    """Frozen whole numbers that are added to accumulators, shape (rows, width)."""

    table: Tensor

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.register_buffer("table", table.float())

    def forward(self) -> Tensor:
        """The table."""
        return self.table

    def bound(self) -> Tensor:
        """Largest size in each column, float64 of shape (width,)."""
        return self.table.double().abs().amax(0)


class FixedConv(nn.Module):
    """The same layer with real weights, rounded on the way forward.

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
        w = self.weight * 2.0**_WEIGHT_BITS
        whole = torch.round(w.detach()).clamp(-_LARGEST_WEIGHT, _LARGEST_WEIGHT)
        allowed = (_BUDGET - _LARGEST_BIAS) / self.most
        total = whole.abs().sum((1, 2, 3), keepdim=True).clamp(min=1.0)
        whole = torch.where(total > allowed, torch.trunc(whole * (allowed / total)), whole)
        b = self.bias * 2.0 ** (self.in_bits + _WEIGHT_BITS)
        whole_bias = torch.round(b.detach()).clamp(-_LARGEST_BIAS, _LARGEST_BIAS)
        return _Straight.apply(w, whole), _Straight.apply(b, whole_bias)

    def forward(self, a: Tensor, outputs: slice = _EVERY) -> Tensor:
        """As :meth:`IntegerConv.forward`."""
        weight, bias = self.integers()
        return _convolve(a, weight[outputs].to(a.dtype), bias[outputs].to(a.dtype))

    def frozen(self) -> IntegerConv:
        """The layer as it is, without its real weights."""
        weight, bias = self.integers()
        return IntegerConv(weight.detach(), bias.detach(), self.most)


class FixedBias(nn.Module):
    """The trained counterpart of :class:`IntegerBias`, with the bits of an accumulator."""

    def __init__(self, rows: int, width: int, *, in_bits: int = ACTIVATION_BITS) -> None:
        super().__init__()
        self.bits = in_bits + _WEIGHT_BITS
        self.values = nn.Parameter(torch.zeros(rows, width))

    def forward(self) -> Tensor:
        """The table of whole numbers."""
        x = self.values * 2.0**self.bits
        return _Straight.apply(x, torch.round(x.detach()).clamp(-_LARGEST_BIAS, _LARGEST_BIAS))

    def frozen(self) -> IntegerBias:
        """The table as it is."""
        return IntegerBias(self.forward().detach())


def _convolve(a: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    padding = weight.shape[-1] // 2
    if a.is_cuda and not torch.is_grad_enabled():
        # Libraries for GPUs may take shortcuts that round (Winograd, FFT, TensorFloat-32). In
        # double precision their errors are far below 1/2, and rounding removes them.
        wide = nn.functional.conv2d(a.double(), weight.double(), bias.double(), padding=padding)
        return wide.round().to(a.dtype)
    return nn.functional.conv2d(a, weight, bias, padding=padding)


def check_bound(*layers: IntegerConv | IntegerBias | FixedConv | FixedBias, name: str) -> None:
    """Prove that accumulators which are added stay exact in float32.

    Raises:
        BadWeights: The sizes of all terms could add up to 2^24 or more, or a number is not whole.
    """
    whole = [x.frozen() if isinstance(x, FixedConv | FixedBias) else x for x in layers]
    for layer in whole:
        for number in layer.buffers():
            if not torch.equal(number, number.round()):
                raise BadWeights(
                    f"{name} holds numbers that are not whole; train the weights again"
                )
    # The rounding term of the shift is at most 2^15.
    total = sum((layer.bound() for layer in whole), start=torch.tensor(2.0**15).double())
    if not float(torch.max(total)) < _LIMIT:
        raise BadWeights(
            f"sums in {name} can reach {float(torch.max(total)):.4g}, and whole numbers are exact below 2^24; "
            "train the weights again"
        )


def freeze(module: nn.Module) -> nn.Module:
    """A copy in which every trained fixed-point layer is replaced by its frozen form."""
    out = copy.deepcopy(module)
    for parent in list(out.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, FixedConv | FixedBias):
                setattr(parent, name, child.frozen())
    return out.eval().requires_grad_(False)


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Float32 as IEEE 754 has it: no shortcut that a program around us may have allowed."""
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        for device in ("cpu", "cuda"):
            if device == "cpu" or torch.cuda.is_available():
                stack.enter_context(torch.autocast(device, enabled=False))
        stack.enter_context(torch.backends.nnpack.flags(enabled=False))
        for place in _precisions():
            before = place.fp32_precision
            place.fp32_precision = "ieee"
            stack.callback(setattr, place, "fp32_precision", before)
        yield


def _precisions() -> list[Any]:
    """The settings of this torch that let convolutions round to fewer bits."""
    mkldnn = torch.backends.mkldnn
    places = [getattr(mkldnn, name, None) for name in ("conv", "matmul")]
    return [p for p in places if hasattr(p, "fp32_precision")]
