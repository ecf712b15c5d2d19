"""What a trained pair or code makes of the test digits: the files from which everything is measured.

One NPZ for each: reconstructions of the first half of the test digits, rounded to bytes (which moves
a squared error of 784 pixels by 0.001), indices of all, and the facts of the training. The second half
is what distances between laws compare them with. No file is larger than 16 MiB.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veridical.errors import DamagedFile
from veridical.estimate.digit_pairs import WIDEST, Pairs
from veridical.training.digit_critic import Critics
from veridical.training.digit_loop import Job, Limits
from veridical.training.digit_rows import Budget

__all__ = ["Output", "as_bytes", "load_output", "noise", "pair_outputs", "save_output", "through"]

Output = dict[str, Any]
"""``facts`` (a mapping for JSON) and named arrays."""

_AT_ONCE = 4000


def save_output(path: Path, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write under a temporary name and rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp.npz")
    named: dict[str, Any] = {k: np.asarray(v) for k, v in arrays.items()}
    np.savez_compressed(temporary, facts=np.array(json.dumps(dict(facts))), **named)
    temporary.replace(path)


def load_output(path: Path) -> Output | None:
    """What was saved, or ``None`` where there is no file.

    Raises:
        DamagedFile: the file is damaged.
    """
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as archive:
            out: Output = {name: archive[name] for name in archive.files}
        out["facts"] = json.loads(str(out["facts"]))
    except Exception as cause:
        raise DamagedFile(f"{path} is no output of a training ({cause}); remove it") from cause
    return out


def as_bytes(x: Tensor) -> NDArray[np.uint8]:
    """Pictures on [0, 1] as bytes."""
    return (x.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def noise(n: int, seed: int, device: str) -> Tensor:
    """Uniform on +-1/2, ``(n, 4)``; the same on every machine."""
    random = torch.Generator().manual_seed(seed)
    return (torch.rand(n, WIDEST, generator=random) - 0.5).to(device)


def _batch(members: int) -> int:
    """Digits at once, so that many networks do not fill the memory."""
    return max(20, _AT_ONCE // members)


def through(pairs: Pairs, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
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
    limits: Limits,
) -> list[Path]:
    """Code training and test digits with every pair of a finished job and write its files.

    Args:
        job: the finished job; with critics, their loss on the test digits is kept too.
        state: what the training returned.
        budget: of the job.
        x: training and test digits on the device.
        out: folder of the files ``<row>.npz``.
        limits: device and convolutions.
    """
    pairs = Pairs([row.member for row in job.rows], budget.shape, limits.mode)
    pairs.put(state["pairs"])
    pairs.to(limits.device)
    seeds = [0] * (len(job.rows) if job.adversarial else 1)
    critics = Critics(seeds, budget.shape, limits.mode)
    critics.put(state["critics"])
    critics.to(limits.device)
    train, test = x
    half = len(test) // 2
    train_index, index = (_indices(pairs, x, limits.device) for x in (train, test))
    _, x_hat = through(pairs, test[:half], noise(half, 99, limits.device))
    gaps = _gaps(critics, test[:half], x_hat) if job.adversarial else None
    paths = []
    for e, row in enumerate(job.rows):
        facts = {
            "row": row.name, "dim": row.dim, "levels": row.levels, "weight": row.weight,
            "preset": budget.name, "digest": state["digest"], "device": limits.device,
            "steps": state["step"], "seconds": state["seconds"] / len(job.rows),
            "together": len(job.rows),
        }  # fmt: skip
        arrays: dict[str, NDArray[Any]] = {
            "reconstruction": as_bytes(x_hat[e]),
            "index": index[e, :, : row.dim].cpu().numpy(),
            "train_index": train_index[e, :, : row.dim].cpu().numpy(),
        }
        if gaps is not None:
            arrays["critic"] = gaps[e]
        path = out / f"{row.name}.npz"
        save_output(path, facts, arrays)
        paths.append(path)
    return paths


def _indices(pairs: Pairs, x: Tensor, device: str) -> Tensor:
    """Indices alone, which need no decoder."""
    pairs.eval()
    u = noise(len(x), 98, device)
    with torch.inference_mode():
        parts = [
            pairs.quantize(pairs.encode(a), b)[0].to(torch.uint8)
            for a, b in zip(x.split(2000), u.split(2000), strict=True)
        ]
    return torch.cat(parts, dim=1)


def _gaps(critics: Critics, x: Tensor, x_hat: Tensor) -> NDArray[np.float64]:
    """``f(x) - f(x^)`` of every test digit, ``(E, n)``; its mean is the critic's loss."""
    parts = []
    size = _batch(len(x_hat))
    with torch.inference_mode():
        for first in range(0, len(x), size):
            real, fake = x[first : first + size], x_hat[:, first : first + size]
            scores = critics(torch.cat([real.expand_as(fake), fake], dim=1))
            parts.append(scores[:, : len(real)] - scores[:, len(real) :])
    return torch.cat(parts, dim=1).double().cpu().numpy()
