"""Muon for the hidden weights of a network, Adam for the rest.

Muon (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon) replaces the update of a
weight matrix by the nearest orthogonal one. PyTorch has it for matrices; here a convolution's
weights of shape (out, in, h, w) are taken as the matrix (out, in h w), over the same memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from veridical.errors import InvalidSetting


def as_matrix(weights: Tensor) -> Tensor:
    """Weights of shape (out, ...) as the matrix (out, rest) over the same memory.

    Its columns lie as in memory: (in, h, w), or (h, w, in) for channels last. The nearest
    orthogonal matrix does not depend on their order.

    Raises:
        InvalidSetting: They have less than two axes, or lie in memory in an order of another kind.
    """
    if weights.dim() > 1:
        for order in (weights, weights.movedim(1, -1)):
            if order.is_contiguous():
                return order.flatten(1)
    raise InvalidSetting(f"weights of shape {tuple(weights.shape)} cannot be seen as a matrix")


def orthogonalized(matrix: Tensor, coefficients: tuple[float, float, float], steps: int) -> Tensor:
    """Nearly the nearest orthogonal matrix, by the Newton-Schulz iteration of Muon."""
    a, b, c = coefficients
    x = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x if matrix.shape[0] <= matrix.shape[1] else x.T


class ConvolutionMuon(torch.optim.Muon):
    """:class:`torch.optim.Muon` for weights of convolutions, with rates on the scale of Adam's.

    Args:
        weights: Parameters of shape (out, in, h, w) or (out, in), contiguous or channels last;
            they must already lie on the device where they will be trained.
        lr: Learning rate; the root mean square of an update is about 0.2 of it, as Adam's is.
        single: Orthogonalize in single precision; None does so on processors without bfloat16,
            where the library's bfloat16 takes seven times as long as the network itself.

    Raises:
        InvalidSetting: Weights that are no matrix (:func:`as_matrix`).
    """

    def __init__(
        self, weights: Sequence[nn.Parameter], lr: float, *, single: bool | None = None
    ) -> None:
        self._weights = list(weights)
        on_processor = all(w.device.type == "cpu" for w in self._weights)
        slow = on_processor and not torch.cpu.get_capabilities().get("avx512_bf16", False)
        self._single = slow if single is None else single
        matrices = [nn.Parameter(as_matrix(w.detach())) for w in self._weights]
        super().__init__(matrices, lr=lr, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update from the gradients of the weights."""
        matrices = [p for group in self.param_groups for p in group["params"]]
        for matrix, weights in zip(matrices, self._weights, strict=True):
            matrix.grad = None
            if weights.grad is not None:
                # The order of the memory is that of the weights, whatever the gradient's own is.
                gradient = torch.empty_like(weights).copy_(weights.grad)
                matrix.grad = as_matrix(gradient)
        return self._single_step() if self._single else super().step(closure)

    @torch.no_grad()
    def _single_step(self) -> None:
        """The library's update (momentum after Nesterov, no decay) with :func:`orthogonalized`."""
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                buffer = state.setdefault("momentum_buffer", torch.zeros_like(matrix))
                buffer.lerp_(matrix.grad, 1 - group["momentum"])
                update = matrix.grad.lerp(buffer, group["momentum"])
                rate = group["lr"] * 0.2 * max(matrix.shape) ** 0.5
                matrix.add_(
                    orthogonalized(update, group["ns_coefficients"], group["ns_steps"]), alpha=-rate
                )
