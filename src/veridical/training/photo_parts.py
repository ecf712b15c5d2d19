"""What the stages of photograph training share: sizes, batches, and their files in a run's folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from veridical.errors import InvalidSetting, TrainingData
from veridical.photo.condition import ResidualScale
from veridical.training.loop import Schedule, keep_memory
from veridical.training.networks import NetworkConfig, RestorationNetwork
from veridical.training.photo_data import Pairs, PairSampler
from veridical.writing import replacing, write_text

if TYPE_CHECKING:
    from accelerate import Accelerator, PartialState


@dataclass(frozen=True)
class Preset:
    """Sizes of one training.

    Attributes:
        widths: Channels of both networks at 1/4, 1/8, 1/16.
        patch: Side of the patches in pixels.
        batch_size: Patches in a step.
        estimator: Schedule of the least-squares stage.
        spread: Of the head that predicts the local size of the error.
        flow: Of the rectified flow.
        reflow: Of the reflow.
        reflow_batches: Batches of (start, end) pairs drawn for the reflow.
        reflow_steps: Steps with which their end points are computed.
        calibration_side: Side of the validation crops from which the price list is measured.
        bypass: Channels of the flow's bypass.
        blocks: Residual blocks of the estimator at 1/4, 1/8, 1/16 on the way down.
        blocks_up: And at 1/8 and 1/4 on the way up.
        start_noise: Standard deviation of the noise at the start of the finished flow by format, 1
            where nothing is said; chosen by ``benchmarks/start_noise.py``.
        mixed_precision: "no" or "bf16", which is used where the device has it.
    """

    widths: tuple[int, int, int]
    patch: int
    batch_size: int
    estimator: Schedule
    spread: Schedule
    flow: Schedule
    reflow: Schedule
    reflow_batches: int
    reflow_steps: int = 16
    calibration_side: int = 384
    bypass: int = 96
    blocks: tuple[int, int, int] = (1, 2, 1)
    blocks_up: tuple[int, int] = (1, 2)
    start_noise: Mapping[str, float] = field(default_factory=dict)
    mixed_precision: str = "no"


_CPU = Preset(
    (64, 112, 128), 128, 8, Schedule(6500, hidden_rate=2e-3), Schedule(700, 2e-3, 0.98),
    Schedule(8000, 7e-4), Schedule(1200, 4e-4, 0.995), 200,
    reflow_steps=12, calibration_side=256, start_noise={"AVIF": 0.87, "WEBP": 0.79, "JPEG": 0.71},
)  # fmt: skip

PRESETS = {
    "cpu": _CPU,
    "cpu-long": replace(
        _CPU, estimator=Schedule(24_000, 8e-4, hidden_rate=1.5e-3), blocks=(1, 4, 2), blocks_up=(3, 2),
        flow=Schedule(3000, 5e-4, hidden_rate=1e-3), mixed_precision="bf16",
    ),
    "gpu": Preset(
        (96, 176, 224), 192, 32,
        Schedule(14000, 6e-4, hidden_rate=1.5e-3), Schedule(1000, 3e-3, 0.98), Schedule(14000, 6e-4, 0.9995), Schedule(4000, 3e-4, 0.9995), 500,
        mixed_precision="bf16",
    ),
    "tiny": Preset(
        (8, 8, 8), 64, 2, Schedule(6), Schedule(3), Schedule(6), Schedule(4), 2, reflow_steps=2,
        calibration_side=64, bypass=8,
    ),
}  # fmt: skip
"""``cpu``: about two hours on two cores; ``cpu-long``: a deeper estimator, trained longer, with bf16
where the processor has it, to go on from earlier weights; ``gpu``: half an hour on a large GPU;
``tiny``: tests."""

Report = Callable[[str, int, int, float, float], None]


@dataclass(frozen=True, eq=False)
class Start:
    """Weights from which a training begins.

    Attributes:
        estimator, flow: Networks.
        scale: Units that they know.
        digest: Of the estimator's file.
    """

    estimator: RestorationNetwork
    flow: RestorationNetwork
    scale: ResidualScale
    digest: str


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
    """Batches as tensors on the device, in [0, 1], channels first; of each, this process's rows."""

    def __init__(self, pairs: Pairs, preset: Preset, seed: int, accelerator: Accelerator) -> None:
        self.part = (accelerator.process_index, accelerator.num_processes)
        if preset.batch_size % self.part[1]:
            raise InvalidSetting(
                f"{self.part[1]} processes cannot share a batch of {preset.batch_size} evenly; "
                "choose a number of processes that divides it"
            )
        self.sampler = PairSampler(
            pairs, patch=preset.patch, batch_size=preset.batch_size, seed=seed, part=self.part
        )
        self.device = accelerator.device
        # A fast device waits for patches: cut the next ones meanwhile. On a processor the
        # arithmetic needs every core, and nothing is gained.
        self._ahead = 8 if self.device.type == "cuda" else 0
        self._pool = ThreadPoolExecutor(max(1, self._ahead))
        self._coming: dict[int, Future[dict[str, np.ndarray]]] = {}

    def _batch(self, step: int) -> dict[str, np.ndarray]:
        for k in range(step, step + self._ahead):
            if k not in self._coming:
                self._coming[k] = self._pool.submit(self.sampler.batch, k)
        ready = self._coming.pop(step, None)
        self._coming = {k: f for k, f in self._coming.items() if k > step}
        return self.sampler.batch(step) if ready is None else ready.result()

    def mine(self, whole: Tensor) -> Tensor:
        """This process's rows of something that was drawn for the whole batch."""
        return whole[self.part[0] :: self.part[1]]

    def __call__(self, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Source and decoded (n, 3, side, side), features (n, names), scale (n, 1, 1, 1)."""
        b = self._batch(step)
        x, y = (
            torch.from_numpy(b[k]).to(self.device).permute(0, 3, 1, 2).float().div_(255)
            for k in ("source", "decoded")
        )
        scale = torch.from_numpy(b["scale"]).to(self.device)[:, None, None, None]
        return x, y, torch.from_numpy(b["features"]).to(self.device), scale


def finish(
    name: str, result: tuple[nn.Module, dict[str, float]] | None, run: Path
) -> nn.Module | None:
    """Write what a stage gave; ``None`` if it ran out of time."""
    if result is None:
        return None
    network, figures = result
    if processes().is_main_process:
        save_stage(name, network, figures, run)
    processes().wait_for_everyone()
    return network


def save_stage(name: str, network: nn.Module, figures: dict[str, Any], run: Path) -> None:
    """Write the result of a stage: its network last, which says that the stage is done."""
    from safetensors.torch import save_model

    write_text(run / f"{name}.json", json.dumps(figures))
    with replacing(run / f"{name}.safetensors") as temporary:
        save_model(network, str(temporary))


def load_stage(name: str, config: NetworkConfig, run: Path) -> RestorationNetwork:
    """A finished stage of a run.

    Raises:
        TrainingData: The stage is not finished.
    """
    from safetensors.torch import load_model

    path = run / f"{name}.safetensors"
    if not path.exists():
        raise TrainingData(f"{path} is missing; train the stage {name!r} first")
    network = RestorationNetwork(config)
    load_model(network, str(path))
    return network.eval().requires_grad_(False)


def estimator_config(preset: Preset, *, spread: bool = True, features: int = 4) -> NetworkConfig:
    """Network of the estimator: sees the decoded picture and its detail."""
    return NetworkConfig(
        pictures=2,
        widths=preset.widths,
        blocks=preset.blocks,
        blocks_up=preset.blocks_up,
        spread=spread,
        features=features,
    )


def flow_config(preset: Preset, features: int = 4) -> NetworkConfig:
    """Network of the flow: sees also its state and what the estimator changed."""
    return NetworkConfig(
        pictures=5, widths=preset.widths, timed=True, bypass=preset.bypass, features=features
    )
