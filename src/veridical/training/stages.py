"""What the stages of photograph training share: devices, batches, and their files in a run's folder."""

from __future__ import annotations

import json
import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from veridical.errors import InvalidSetting
from veridical.training.loop import keep_memory
from veridical.training.pieces import PieceSampler
from veridical.writing import replacing, write_text

if TYPE_CHECKING:
    from accelerate import Accelerator, PartialState


def _on_processor() -> bool:
    """No GPU, or none wanted; accelerate joins processes without GPUs only if it is told so."""
    wanted = os.environ.get("ACCELERATE_USE_CPU", "").lower() in {"1", "true", "yes"}
    return wanted or not torch.cuda.is_available()


def processes() -> PartialState:
    """The processes that train together."""
    from accelerate import PartialState

    return PartialState(cpu=_on_processor())


class MixedPrecision(Protocol):
    """A preset that says in which precision it wants to be trained."""

    @property
    def mixed_precision(self) -> str:
        """One of ``no`` and ``bf16``."""
        ...


def accelerator_for(preset: MixedPrecision) -> Accelerator:
    """The accelerator of a stage: half precision only where the preset and the device have it."""
    from accelerate import Accelerator

    keep_memory()
    cpu = _on_processor()
    fast = not cpu or torch.cpu.get_capabilities().get("avx512_bf16", False)
    return Accelerator(cpu=cpu, mixed_precision=preset.mixed_precision if fast else "no")


class Batches:
    """Batches as tensors on the device, in [0, 1], channels first; of each, this process's rows.

    The next ones are made meanwhile: a processor waits for one, a fast device for several.

    Raises:
        InvalidSetting: The processes cannot share a batch evenly.
    """

    def __init__(self, sampler: PieceSampler, accelerator: Accelerator) -> None:
        self.part = (accelerator.process_index, accelerator.num_processes)
        if sampler.batch_size % self.part[1]:
            raise InvalidSetting(
                f"{self.part[1]} processes cannot share a batch of {sampler.batch_size} evenly; "
                "choose a number of processes that divides it"
            )
        self.sampler, self.device = sampler, accelerator.device
        self._ahead = 8 if self.device.type == "cuda" else 2
        self._pool = ThreadPoolExecutor(self._ahead - 1)
        self._coming: dict[int, Future[tuple[Tensor, ...]]] = {}

    def _tensors(self, step: int) -> tuple[Tensor, ...]:
        b = self.sampler.batch(step)
        p, n = self.part
        mine = {k: torch.from_numpy(v[p::n]) for k, v in b.items()}
        x, y = (mine[k].permute(0, 3, 1, 2).float().div_(255) for k in ("source", "decoded"))
        return x, y, mine["features"], mine["scale"][:, None, None, None]

    def __call__(self, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Source and decoded (n, 3, side, side), features (n, names), scale (n, 1, 1, 1)."""
        for k in range(step, step + self._ahead):
            if k not in self._coming:
                self._coming[k] = self._pool.submit(self._tensors, k)
        x, y, features, scale = (v.to(self.device) for v in self._coming.pop(step).result())
        self._coming = {k: f for k, f in self._coming.items() if k > step}
        return x, y, features, scale


def save_stage(name: str, network: nn.Module, figures: dict[str, Any], run: Path) -> None:
    """Write the result of a stage: its network last, which says that the stage is done."""
    from safetensors.torch import save_model

    if processes().is_main_process:
        write_text(run / f"{name}.json", json.dumps(figures))
        with replacing(run / f"{name}.safetensors") as temporary:
            save_model(network, str(temporary))
    processes().wait_for_everyone()


def restore_stage(name: str, network: nn.Module, run: Path) -> bool:
    """Put the result of a stage into a network of its sizes; False if the stage is not finished."""
    from safetensors.torch import load_model

    path = run / f"{name}.safetensors"
    if path.exists():
        load_model(network, str(path))
    return path.exists()
