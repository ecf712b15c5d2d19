"""Weights files: one ONNX network each, a card beside it, and a digest that must agree.

``NAME.onnx`` is a network with weights in half precision; what it needs besides (feature names, units,
prices) stands as JSON in its metadata. ``NAME.json`` is the card: the digest of the file and the recipe
that made it. Sessions are made once for each file as it lies there, device and number of threads.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from veridical.errors import BadWeights, InvalidSetting
from veridical.writing import replacing, write_text

_LOGGER = logging.getLogger(__name__)

SHIPPED = Path(__file__).parent / "weights"
"""Folder of the weights that come with the package."""

VARIABLE = "VERIDICAL_WEIGHTS"
"""Environment variable that names the weights (a folder, or a file) where no option does."""

_ELSEWHERE = re.compile(rb"\n(?:\x08|\x88\x80*\x00)location")
"""The key of ONNX's external data as a field of a protocol buffer, its length written in any way."""

LAYOUT = 3
"""Of the metadata."""

_RUN_AS = {"cells": ("ORT_ENABLE_EXTENDED", False), "price": ("ORT_DISABLE_ALL", True)}
"""By kind, how far ONNX Runtime rearranges a network, and whether it keeps an arena of memory; other kinds: all, and one.

Layers of cells have few channels: in blocks of sixteen they take twice the memory, and what an arena grew to for them
stays. A price has a thousand small nodes: to rearrange them takes three times as long as to load them.
"""


@dataclass(frozen=True, eq=False)
class Network:
    """A network that is ready to run.

    Attributes:
        path: Of its file.
        digest: SHA-256 of the file.
        header: What its metadata says.
        session: Of ONNX Runtime.
        run_options: How it runs.
    """

    path: Path
    digest: str
    header: dict[str, Any] = field(repr=False)
    session: Any = field(repr=False)
    run_options: Any = field(repr=False)

    def __call__(self, **inputs: np.ndarray) -> list[np.ndarray]:
        """Outputs for named inputs, in the order in which the file names them.

        Raises:
            BadWeights: The network cannot compute them.
        """
        with damaged_weights(self.path):
            return self.session.run(None, inputs, self.run_options)


def default_weights() -> Path:
    """Where weights are that no option names: what ``VERIDICAL_WEIGHTS`` says, or the shipped ones.

    Raises:
        BadWeights: The variable names what does not exist.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        return SHIPPED
    if not Path(named).exists():
        raise BadWeights(f"{VARIABLE} names {named}, which does not exist; correct or unset it")
    return Path(named)


def weights_path(name: str, weights: Path | None) -> Path:
    """The file of a network.

    Args:
        name: Such as "jpeg" or "jpeg-generator".
        weights: None for those of :func:`default_weights`; a folder of several; or the file of one network,
            whose companions (``STEM-generator.onnx``) stand beside it.
    """
    weights = weights or default_weights()
    if weights.is_dir():
        return weights / f"{name}.onnx"
    _, dash, part = name.partition("-")
    return weights.with_name(weights.stem + dash + part + weights.suffix)


def network_path(path: Path, part: str) -> Path:
    """Where a network beside a weights file is: "generator" of an estimator's file, "synthesis" of a codec's, and so on."""
    return path.with_name(f"{path.stem}-{part}{'.onnx' if path.suffix == '.npz' else path.suffix}")


def provider(device: str) -> tuple[str, dict[str, Any]]:
    """ONNX Runtime's execution provider for a device, with its options.

    Raises:
        InvalidSetting: Unknown, or not present on this machine.
    """
    import onnxruntime

    kind, _, number = device.partition(":")
    known = (kind in ("auto", "cpu") and not number) or (
        kind == "cuda" and (number.isdigit() or device == "cuda")
    )
    if not known:
        raise InvalidSetting(f"device must be auto, cpu, cuda or cuda:N, got {device!r}")
    present = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if kind == "cpu" or (kind == "auto" and not present):
        return "CPUExecutionProvider", {}
    if not present:
        raise InvalidSetting(
            "this ONNX Runtime has no CUDA; install onnxruntime-gpu in its place, or use --device cpu"
        )
    return "CUDAExecutionProvider", {"device_id": int(number or 0)}


def load_network(
    path: Path, *, kind: str, device: str = "auto", threads: int | None = None
) -> Network:
    """Load a network; a file that did not change is loaded once.

    Args:
        path: The ONNX file with its card beside it.
        kind: What its metadata must say it is, such as "estimator".
        device: "auto", "cpu", "cuda" or "cuda:N".
        threads: None takes ``OMP_NUM_THREADS`` or the cores of this process.

    Raises:
        BadWeights: Missing, damaged, of another layout or kind, or not the file that its card describes.
        InvalidSetting: The device is unknown or not present.
    """
    name, options = provider(device)
    count = threads or _threads()
    with damaged_weights(path):
        path.stat()
        return _load(path, file_state(path), kind, name, tuple(options.items()), count)


def file_state(path: Path) -> tuple[int, ...]:
    """What changes when weights or their card are exchanged at the same path.

    A copy that keeps size and time has another inode or another time of its change.
    """
    found = [p.stat() for p in (path, path.with_suffix(".json"))]
    return tuple(
        x for s in found for x in (s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino, s.st_dev)
    )


@lru_cache(maxsize=16)
def _load(
    path: Path, state: tuple[int, ...], kind: str, name: str, options: tuple[Any, ...], threads: int
) -> Network:
    del state  # the file as it lies there: another one is read anew
    import onnxruntime

    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    read_card(path, digest)
    if _ELSEWHERE.search(data):
        raise BadWeights(f"{path} takes its weights from another file; export it as one file")
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 4  # what goes wrong is raised, and said once
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    run_options = onnxruntime.RunOptions()
    level, arena = _RUN_AS.get(kind, ("ORT_ENABLE_ALL", True))
    settings.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    settings.enable_cpu_mem_arena = arena
    if (
        arena
    ):  # what a network took is free for what is done with its outputs, and for the next network
        run_options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    settings.enable_mem_pattern = False  # sizes differ from window to window
    # Its second try on the processor prints to standard output, and would be the first once more.
    again = int(name != "CPUExecutionProvider")
    session = onnxruntime.InferenceSession(
        data, settings, providers=[(name, dict(options))], enable_fallback=again
    )
    header = json.loads(session.get_modelmeta().custom_metadata_map["veridical"])
    if header["layout"] != LAYOUT:
        raise BadWeights(f"{path} has layout {header['layout']}, this version reads {LAYOUT}")
    if header["kind"] != kind:
        raise BadWeights(f"{path} holds a network of kind {header['kind']!r}, not {kind!r}")
    _LOGGER.info("loaded %s (SHA-256 %s) on %s, %d threads", path, digest[:12], name, threads)
    return Network(path, digest, header, session, run_options)


def no_generator(path: Path) -> str:
    """What is said where weights cannot decode at realisms above 0."""
    return f"{path} has no generator beside it, so that realism 0 is all it can do; use --realism 0 or other weights"


def _threads() -> int:
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said.isdigit() and int(said) > 0:
        return int(said)
    own = getattr(os, "sched_getaffinity", None)  # of POSIX alone
    return os.cpu_count() or 1 if own is None else len(own(0))


@contextmanager
def damaged_weights(path: Path) -> Iterator[None]:
    """Whatever goes wrong with a weights file inside the block becomes ``BadWeights``."""
    remedy = (
        "reinstall the package"
        if path.parent == SHIPPED
        else "copy it again together with its .json card, or train it again"
    )
    try:
        yield
    except (InvalidSetting, MemoryError):
        raise
    except BadWeights as cause:
        if str(path) in str(cause):
            raise
        raise BadWeights(f"{path} is damaged ({cause}); {remedy}") from cause
    except OSError as cause:
        raise BadWeights(f"cannot read the weights {cause.filename or path}; {remedy}") from cause
    except Exception as cause:  # ONNX Runtime has a class for each of its faults
        raise BadWeights(f"{path} or its card is damaged ({cause!r:.200}); {remedy}") from cause


def read_card(path: Path, digest: str) -> dict[str, Any]:
    """What the card beside weights says but for their digest; the waiting one, if it is that which describes them.

    Raises:
        BadWeights: The weights are not the file that the card describes.
    """
    waiting = _waiting_card(path)
    cards: Sequence[Path] = [waiting] if waiting.is_file() else []
    for place in [*cards, path.with_suffix(".json")]:
        card = json.loads(place.read_text(encoding="utf-8"))
        said = card.pop("sha256")
        if said == digest:
            return card
    raise BadWeights(
        f"{path} is not the file that its card describes (SHA-256 {digest[:12]}, card "
        f"{str(said)[:12]}); copy both again, or reinstall the package"
    )


def write_weights(path: Path, data: bytes, recipe: dict[str, Any]) -> None:
    """Write a weights file and its card: both the old ones or both the new ones.

    Where weights are replaced, the new card waits under a third name until they are: whoever is
    killed in between leaves weights that the waiting card describes.

    Raises:
        UnwritableOutput: A file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    card = path.with_suffix(".json")
    first = _waiting_card(path) if path.exists() else card
    with replacing(path) as temporary:
        temporary.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        write_text(first, json.dumps({"sha256": digest, **recipe}, indent=2) + "\n")
    if first != card:
        first.replace(card)


def _waiting_card(path: Path) -> Path:
    return path.with_suffix(".json.new")
