"""The classifier of [BM], Table 3, its training, and the deep-feature distortion made from it.

Convolution 5x5 to 10 channels, pooling, leaky ReLU; convolution 5x5 to 20 channels (its output is
``Psi``, the deep features of the distortion), dropout, pooling, leaky ReLU; linear 320-50-10. For 8x8
digits the kernels are 3x3 and the first pooling is left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from veridical.errors import InvalidSetting, TrainingData
from veridical.studies.mnist.data import Digits
from veridical.studies.records import Record, load_record, make_folder, save_record

Distortion = Callable[[Tensor, Tensor], Tensor]
"""Distortion ``(E, B)`` between pictures ``(B, p)`` and reconstructions ``(E, B, p)``."""

_BATCH, _MOMENTUM = 30, 0.9
_DEEP_PARTS = 19.0


class DigitClassifier(nn.Module):
    """Classifier of digits of 28 or 8 pixels an edge."""

    def __init__(self, side: int, seed: int = 0) -> None:
        super().__init__()
        if side not in {8, 28}:
            raise InvalidSetting(f"the classifier knows digits of 8 or 28 pixels, not {side}")
        self.side = side
        size = 5 if side == 28 else 3
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.first = nn.Conv2d(1, 10, size)
            self.second = nn.Conv2d(10, 20, size)
            self.middle = nn.Linear(320 if side == 28 else 80, 50)
            self.last = nn.Linear(50, 10)

    def deep(self, x: Tensor) -> Tensor:
        """``Psi(x)``: output of the second convolution, ``(n, 20 h h)``, of pictures ``(n, p)``."""
        return self._second(x).flatten(1)

    def _second(self, x: Tensor) -> Tensor:
        h = self.first(x.reshape(-1, 1, self.side, self.side))
        if self.side == 28:
            h = functional.max_pool2d(h, 2)
        return self.second(functional.leaky_relu(h))

    def features(self, x: Tensor) -> Tensor:
        """The 50 numbers before the last layer, after their leaky ReLU, ``(n, 50)``."""
        h = functional.dropout2d(self._second(x), training=self.training)
        h = functional.leaky_relu(functional.max_pool2d(h, 2)).flatten(1)
        return functional.leaky_relu(self.middle(h))

    def forward(self, x: Tensor) -> Tensor:
        """Scores ``(n, 10)``."""
        return self.last(self.features(x))


def train_classifier(
    digits: Digits,
    path: Path,
    *,
    epochs: int,
    rate: float,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Train on the processor and write weights and facts to ``path``, an NPZ file; the facts.

    SGD with batches of 30, rate 1e-2, a fifth of it after two thirds of the epochs ([BM]: 20 of 30);
    momentum 0.9, which [BM] does not state.
    """
    began = time.monotonic()
    model = DigitClassifier(digits.side, seed)
    x, y = torch.from_numpy(digits.train), torch.from_numpy(digits.train_labels)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=_MOMENTUM)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11 + seed)
        for epoch in range(epochs):
            for group in optimizer.param_groups:
                group["lr"] = rate if 3 * epoch < 2 * epochs else rate / 5
            order = torch.from_numpy(np.random.default_rng([3, epoch]).permutation(len(x)))
            for pick in order.split(_BATCH):
                optimizer.zero_grad(set_to_none=True)
                functional.cross_entropy(model(x[pick]), y[pick]).backward()
                optimizer.step()
            progress(epoch + 1, epochs)
    model.eval().requires_grad_(False)
    guess = torch.cat([model(part).argmax(1) for part in torch.from_numpy(digits.test).split(2000)])
    facts = {
        "test_accuracy": float(np.mean(guess.numpy() == digits.test_labels)),
        "alpha": _deep_weight(model, x[:2000]), "seconds": time.monotonic() - began,
        "epochs": epochs, "digits": len(x),
    }  # fmt: skip
    make_folder(path.parent)
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    save_record(Record(path.stem, facts, weights), path.parent)
    return facts


def load_classifier(path: Path, side: int) -> tuple[DigitClassifier, dict[str, Any]]:
    """What :func:`train_classifier` wrote, on the processor.

    Raises:
        MissingFile, DamagedFile: there is no such file, or it is damaged.
        TrainingData: the file is of another classifier.
    """
    record, model = load_record(path), DigitClassifier(side)
    try:
        model.load_state_dict({k: torch.from_numpy(v) for k, v in record.arrays.items()})
    except Exception as cause:
        raise TrainingData(f"{path} is no classifier of these digits; remove it") from cause
    return model.eval().requires_grad_(False), dict(record.facts)


def _deep_weight(model: DigitClassifier, x: Tensor) -> float:
    """``alpha`` for which deep features make 19 of 20 parts between different training digits.

    [BM]'s own ``alpha`` is not known; its factor 5e-5 in place of 1e-3 suggests a distortion about
    twenty times as large.
    """
    y = x.roll(1, dims=0)
    deep = (model.deep(x) - model.deep(y)).square().sum(1).mean()
    return _DEEP_PARTS * float((x - y).square().sum(1).mean()) / float(deep)


def features(model: DigitClassifier, pictures: NDArray[np.float64]) -> NDArray[np.float64]:
    """Features before the last layer, ``(n, 50)``."""
    parts = torch.from_numpy(pictures.astype(np.float32)).split(2000)
    return torch.cat([model.features(x) for x in parts]).double().numpy()


def squared_error(x: Tensor, x_hat: Tensor) -> Tensor:
    """``|x - x^|^2``, summed over pixels."""
    return (x - x_hat).square().sum(-1)


def deep_distortion(model: DigitClassifier, alpha: float) -> Distortion:
    """``|x - x^|^2 + alpha |Psi(x) - Psi(x^)|^2``."""

    def distortion(x: Tensor, x_hat: Tensor) -> Tensor:
        flat = x_hat.reshape(-1, x_hat.shape[-1])
        with torch.no_grad():
            target = model.deep(x)
        deep = model.deep(flat).reshape(*x_hat.shape[:-1], -1)
        return squared_error(x, x_hat) + alpha * (deep - target).square().sum(-1)

    return distortion


def deep_errors(
    model: DigitClassifier, alpha: float, first: NDArray[np.float64], second: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The deep-feature distortion between the rows of two tables of pictures, ``(n,)``."""
    distortion = deep_distortion(model, alpha)
    x, y = (torch.from_numpy(a.astype(np.float32)).split(1000) for a in (first, second))
    return torch.cat([distortion(a, b) for a, b in zip(x, y, strict=True)]).double().numpy()
