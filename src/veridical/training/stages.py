"""What the stages of photograph training share: devices, batches, and their files in a run's folder."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from veridical.errors import InvalidSetting
from veridical.training.loop import Execution, Trained, keep_memory
from veridical.writing import replacing, write_text

if TYPE_CHECKING:
    from accelerate import Accelerator, PartialState


P = TypeVar("P")

Progress = Callable[[str, int, int], None]
"""Told (stage, done, total)."""


def silent(stage: str, done: int, total: int) -> None:
    """No progress is shown."""


def chosen(preset: str | P, presets: Mapping[str, P]) -> P:
    """Sizes given, or those of a name."""
    if not isinstance(preset, str):
        return preset
    if preset not in presets:
        raise InvalidSetting(f"preset must be one of {', '.join(presets)}, got {preset!r}")
    return presets[preset]


def deadline_after(minutes: float | None) -> float | None:
    """Of the monotonic clock, in seconds; None for no end.

    Raises:
        InvalidSetting: A negative time, or no number.
    """
    if minutes is None:
        return None
    if not minutes >= 0:
        raise InvalidSetting(f"minutes must be 0 or more, got {minutes}")
    return time.monotonic() + 60 * minutes


def claim(run: Path, name: str, start: Path | None) -> None:
    """Make the folder of a run, whose finished stages are taken for those of every later one in it.

    Args:
        run: The folder.
        name: Of the format.
        start: Weights that the run goes on from.

    Raises:
        InvalidSetting: It holds a run of another format, or from other weights.
    """
    run.mkdir(parents=True, exist_ok=True)
    own, kept = {"format": name, "started_from": _digest(start)}, run / "run.json"
    if not kept.exists():
        write_text(kept, json.dumps(own))
    found = json.loads(kept.read_text(encoding="utf-8"))
    if found != own:
        raise InvalidSetting(
            f"{run} holds a run for {found['format']} files{' from other weights' * (found['format'] == name)}; name "
            "another folder (--run), or remove that one"
        )


def _digest(start: Path | None) -> str | None:
    return None if start is None else hashlib.sha256(start.read_bytes()).hexdigest()


def _on_processor() -> bool:
    """No GPU, or none wanted; accelerate joins processes without GPUs only if it is told so."""
    wanted = os.environ.get("ACCELERATE_USE_CPU", "").lower() in {"1", "true", "yes"}
    return wanted or not torch.cuda.is_available()


def processes() -> PartialState:
    """The processes that train together."""
    from accelerate import PartialState

    return PartialState(cpu=_on_processor())


def accelerator_for(mixed_precision: str) -> Accelerator:
    """The accelerator of a stage: the precision of a preset, ``no`` or ``bf16``, where the device has it."""
    from accelerate import Accelerator

    keep_memory()
    cpu = _on_processor()
    fast = not cpu or torch.cpu.get_capabilities().get("avx512_bf16", False)
    return Accelerator(cpu=cpu, mixed_precision=mixed_precision if fast else "no")


class Sampler(Protocol):
    """Makes the batches of a training; each depends only on its own seed and the step."""

    batch_size: int

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """Arrays of ``batch_size`` rows; pictures are uint8 of shape (n, side, side, 3)."""


class Batches:
    """Batches as tensors on the device, pictures in [0, 1] and channels first; of each, this process's rows.

    The next ones are made meanwhile: a processor waits for one, a fast device for several.

    Raises:
        InvalidSetting: The processes cannot share a batch evenly.
    """

    def __init__(self, sampler: Sampler, accelerator: Accelerator) -> None:
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
        p, n = self.part
        mine = (torch.from_numpy(v[p::n]) for v in self.sampler.batch(step).values())
        return tuple(
            v.permute(0, 3, 1, 2).float().div_(255) if v.dtype == torch.uint8 else v for v in mine
        )

    def __call__(self, step: int) -> tuple[Tensor, ...]:
        """What the sampler gives, in its order."""
        for k in range(step, step + self._ahead):
            if k not in self._coming:
                self._coming[k] = self._pool.submit(self._tensors, k)
        found = tuple(v.to(self.device) for v in self._coming.pop(step).result())
        self._coming = {k: f for k, f in self._coming.items() if k > step}
        return found


@dataclass(frozen=True)
class Stage:
    """A part of a training.

    Attributes:
        name: Of its files in the run's folder.
        network: What it trains; holds its result afterwards.
        train: Gives the trained network and figures, or None if the seconds ran out.
        steps: In all.
    """

    name: str
    network: nn.Module
    train: Callable[[Execution], Trained | None]
    steps: int


def run_stages(
    stages: Sequence[Stage],
    run: Path,
    accelerator: Accelerator,
    *,
    deadline: float | None,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda message: None,
) -> bool:
    """Train stage after stage; finished ones are restored from the run's folder.

    Args:
        stages: In order.
        run: The folder.
        accelerator: Of all stages.
        deadline: Of the monotonic clock, in seconds; None for no end.
        progress: Called with (stage, done, total).
        say: Called with a sentence at the end of stages.

    Returns:
        Whether all are done; if not, the same call goes on from a checkpoint.
    """
    for stage in stages:
        finished = restore_stage(stage.name, stage.network, run)
        processes().wait_for_everyone()
        if finished:
            continue
        # Never negative: whether time is up is agreed upon by all processes inside the stage.
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        result = stage.train(
            Execution(
                run / f"{stage.name}.ckpt", accelerator, left,
                lambda s, v, t, stage=stage: progress(stage.name, s, stage.steps),
            )
        )  # fmt: skip
        if result is None:
            return False
        save_stage(stage.name, *result, run)
        restore_stage(stage.name, stage.network, run)
        say(
            f"stage {stage.name} is done: {(run / f'{stage.name}.json').read_text(encoding='utf-8')}"
        )
    return True


class MeasuredRows:
    """What was measured of weights, a line a row; a kill costs the row whose line it cut off."""

    def __init__(self, log: Path, weights: str) -> None:
        whole, _, rest = (log.read_text(encoding="utf-8") if log.exists() else "").rpartition("\n")
        if rest:
            write_text(log, whole + "\n" if whole else "")
        self._log, self._weights = log, weights
        rows = map(json.loads, whole.splitlines())
        self.rows: list[dict[str, Any]] = [r for r in rows if r["weights"] == weights]

    def add(self, row: dict[str, Any]) -> None:
        """Keep a row, of the same weights."""
        self.rows.append(row | {"weights": self._weights})
        with self._log.open("a", encoding="utf-8", newline="\n") as out:
            out.write(json.dumps(self.rows[-1]) + "\n")


def pictures_named(
    data: Sequence[Path], camera: Sequence[Path], validation: Path
) -> tuple[str, ...]:
    """Words of a command that name its pictures."""
    photographs, pieces = [p.name for p in data], [f"--camera {p.name}" for p in camera]
    return (*photographs, *pieces, "--validation", validation.name)


def origin(
    command: Sequence[str], preset: object, sources: Any, start: Path | None, more: Sequence[str] = ()
) -> dict[str, Any]:  # fmt: skip
    """What a card says of the beginnings: the command, the sources or pairs, and the weights that it went on from.

    Args:
        command: Its words before the preset.
        preset: Name, or sizes.
        sources: Or pairs.
        start: Weights.
        more: Words behind it.
    """
    words = [*command, "--preset", preset if isinstance(preset, str) else "own"]
    words += [] if start is None else ["--start", start.name]
    return {
        "command": " ".join(["veridical train", *words, *more]),
        "training_data": {
            "photographs": len(sources.photographs), "camera_pieces": len(sources.camera),
            "drawings": len(sources.drawings), "sha256": sources.digest,
        },
        "started_from": _digest(start),
    }  # fmt: skip


def stage_figures(stages: Sequence[Stage], run: Path) -> dict[str, Any]:
    """What the stages of a run have to say on a card."""
    return {
        s.name: json.loads((run / f"{s.name}.json").read_text(encoding="utf-8")) for s in stages
    }


def finished(path: Path, recipe: dict[str, Any]) -> bool:
    """Whether a weights file lies there with the figures of this recipe on its card."""
    card = path.with_suffix(".json")
    found = json.loads(card.read_text(encoding="utf-8")) if card.exists() else {}
    return "figures" in found and json.loads(json.dumps(found | recipe)) == found


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
