"""Training of the classifier of [BM], Table 3, and the deep-feature distortion made from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from veridical.errors import TrainingData
from veridical.estimate.digit_classifier import DigitClassifier
from veridical.sources.digits import Digits
from veridical.training.digit_loop import Distortion, squared_error

__all__ = ["accuracy", "deep_distortion", "deep_weight", "trained_classifier"]

_BATCH, _MOMENTUM = 30, 0.9
_DEEP_PARTS = 19.0


def trained_classifier(
    digits: Digits,
    path: Path,
    *,
    epochs: int,
    rate: float = 1e-2,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> DigitClassifier:
    """The classifier in ``path``, trained there first if it is missing; on the processor.

    SGD with batches of 30, rate 1e-2, a fifth of it after two thirds of the epochs ([BM]: 20 of 30);
    momentum 0.9, which [BM] does not state.

    Raises:
        TrainingData: the file is damaged or of another classifier.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)  # initial weights
        model = DigitClassifier(digits.side)
    if path.is_file():
        try:
            model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        except Exception as cause:
            raise TrainingData(f"{path} is no classifier of these digits; remove it") from cause
        return model.eval().requires_grad_(False)
    x, y = torch.from_numpy(digits.train), torch.from_numpy(digits.train_labels)
    adam = torch.optim.SGD(model.parameters(), lr=rate, momentum=_MOMENTUM)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        for epoch in range(epochs):
            for group in adam.param_groups:
                group["lr"] = rate if 3 * epoch < 2 * epochs else rate / 5
            order = torch.from_numpy(np.random.default_rng([3, epoch]).permutation(len(x)))
            for pick in order.split(_BATCH):
                adam.zero_grad(set_to_none=True)
                functional.cross_entropy(model(x[pick]), y[pick]).backward()
                adam.step()
            progress(epoch + 1, epochs)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    torch.save(model.state_dict(), temporary)
    temporary.replace(path)
    return model.eval().requires_grad_(False)


def accuracy(model: DigitClassifier, x: np.ndarray, labels: np.ndarray) -> float:
    """Share of digits ``(n, p)`` that are read as their labels."""
    with torch.inference_mode():
        parts = [model(part).argmax(1) for part in torch.from_numpy(x).split(2000)]
    return float(np.mean(torch.cat(parts).numpy() == labels))


def deep_weight(model: DigitClassifier, digits: Digits) -> float:
    """``alpha`` for which deep features make 19 of 20 parts between different training digits.

    [BM]'s own ``alpha`` is not known; its factor 5e-5 in place of 1e-3 suggests a distortion about
    twenty times as large.
    """
    x = torch.from_numpy(digits.train[:2000])
    y = x.roll(1, dims=0)
    with torch.inference_mode():
        deep = (model.deep(x) - model.deep(y)).square().sum(1).mean()
    return _DEEP_PARTS * float((x - y).square().sum(1).mean()) / float(deep)


def deep_distortion(model: DigitClassifier, alpha: float) -> Distortion:
    """``|x - x^|^2 + alpha |Psi(x) - Psi(x^)|^2``."""

    def distortion(x: Tensor, x_hat: Tensor) -> Tensor:
        flat = x_hat.reshape(-1, x_hat.shape[-1])
        with torch.no_grad():
            target = model.deep(x)
        deep = model.deep(flat).reshape(*x_hat.shape[:-1], -1)
        return squared_error(x, x_hat) + alpha * (deep - target).square().sum(-1)

    return distortion
