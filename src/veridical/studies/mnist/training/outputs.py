"""What a trained pair makes of the test digits: the files from which everything is measured.

One record for each: reconstructions of the first half of the test digits, rounded to bytes (which moves
a squared error of 784 pixels by 0.001), indices of all, and the facts of the training. The second half
is what distances between laws compare them with; reconstructions of some training digits are what a
critic learns from. No file is larger than 16 MiB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veridical.studies.mnist.presets import Budget
from veridical.studies.mnist.table import MAX_DIM
from veridical.studies.mnist.training.adversarial import Job, Runtime
from veridical.studies.mnist.training.networks import Critics, Pairs
from veridical.studies.records import Record, make_folder, save_record

_MAX_BATCH = 4000


def as_bytes(x: Tensor) -> NDArray[np.uint8]:
    """Pictures on [0, 1] as bytes."""
    return (x.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def _noise(n: int, seed: int, device: str) -> Tensor:
    """Uniform on +-1/2, ``(n, 4)``; the same on every machine."""
    random = torch.Generator().manual_seed(seed)
    return (torch.rand(n, MAX_DIM, generator=random) - 0.5).to(device)


def _batch(members: int) -> int:
    """Digits at once, so that many networks do not fill the memory."""
    return max(20, _MAX_BATCH // members)


def reconstruct(pairs: Pairs, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """Indices ``(E, n, 4)`` and reconstructions ``(E, n, p)`` of pictures, without gradient."""
    pairs.eval()
    indices, pictures = [], []
    size = _batch(len(pairs.members))
    with torch.inference_mode():
        for part, dither in zip(x.split(size), u.split(size), strict=True):
            index, given = pairs.quantize(pairs.encode(part), dither)
            indices.append(index.to(torch.uint8))
            pictures.append(pairs.decode(given))
        return torch.cat(indices, dim=1), torch.cat(pictures, dim=1)


def pair_outputs(
    job: Job,
    state: Mapping[str, Any],
    budget: Budget,
    x: Sequence[Tensor],
    out: Path,
    runtime: Runtime,
) -> None:
    """Code training and test digits with every pair of a finished job and write its files.

    Args:
        job: the finished job; with critics, their loss on the test digits is kept too.
        state: what the training returned.
        budget: of the job.
        x: training and test digits on the device.
        out: folder of the files ``<row>.npz``.
        runtime: device and convolutions.
    """
    pairs = Pairs([row.member for row in job.rows], budget.shape, runtime.mode)
    pairs.load_state_dict(state["pairs"])
    pairs.to(runtime.device)
    train, test = x
    half = len(test) // 2
    train_index, index = (_indices(pairs, x, runtime.device) for x in (train, test))
    _, x_hat = reconstruct(pairs, test[:half], _noise(half, 99, runtime.device))
    learnt = train[: budget.convergence.digits]
    _, train_hat = reconstruct(pairs, learnt, _noise(len(learnt), 97, runtime.device))
    gaps = None
    if job.adversarial:
        critics = Critics([0] * len(job.rows), budget.shape, runtime.mode)
        critics.load_state_dict(state["critics"])
        gaps = _gaps(critics.to(runtime.device), test[:half], x_hat)
    make_folder(out)
    for e, row in enumerate(job.rows):
        facts = {
            "row": row.name, "dim": row.dim, "levels": row.levels, "weight": row.weight,
            "preset": budget.name, "digest": state["digest"], "device": runtime.device,
            "steps": state["step"], "seconds": state["seconds"] / len(job.rows),
            "together": len(job.rows),
        }  # fmt: skip
        arrays: dict[str, NDArray[Any]] = {
            "reconstruction": as_bytes(x_hat[e]),
            "train_reconstruction": as_bytes(train_hat[e]),
            "index": index[e, :, : row.dim].cpu().numpy(),
            "train_index": train_index[e, :, : row.dim].cpu().numpy(),
        }
        if gaps is not None:
            arrays["critic"] = gaps[e]
        save_record(Record(row.name, facts, arrays), out)


def _indices(pairs: Pairs, x: Tensor, device: str) -> Tensor:
    """Indices alone, which need no decoder."""
    pairs.eval()
    u = _noise(len(x), 98, device)
    with torch.inference_mode():
        parts = [
            pairs.quantize(pairs.encode(a), b)[0].to(torch.uint8)
            for a, b in zip(x.split(2000), u.split(2000), strict=True)
        ]
    return torch.cat(parts, dim=1)


def _gaps(critics: Critics, x: Tensor, x_hat: Tensor) -> NDArray[np.float64]:
    """``f(x) - f(x^)`` of every test digit, ``(E, n)``; its mean is the critic's loss."""
    size = _batch(len(x_hat))
    parts = []
    with torch.inference_mode():
        for real, fake in zip(x.split(size), x_hat.split(size, dim=1), strict=True):
            scores = critics(torch.cat([real.expand_as(fake), fake], dim=1))
            parts.append(scores[:, : len(real)] - scores[:, len(real) :])
    return torch.cat(parts, dim=1).double().cpu().numpy()
