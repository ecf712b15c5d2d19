"""Shipped and own weights: one safetensors file, a card beside it, and a digest that must agree.

``NAME.safetensors`` holds the tensors of both networks, in half precision, prefixed ``estimator.``
and ``flow.``, with sizes, residual scale and price list as JSON in its header. ``NAME.json`` is
the card: the digest of the file and the recipe that made it.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from veridical.errors import BadWeights, InvalidSetting
from veridical.photo.condition import FORMATS, ResidualScale
from veridical.photo.network import NetworkConfig, RestorationNetwork, laid_out
from veridical.photo.price import PriceList
from veridical.writing import replacing, write_text

__all__ = [
    "DEFAULT_WEIGHTS",
    "PhotoModel",
    "load_model",
    "read_weights",
    "resolve_device",
    "save_weights",
    "write_weights",
]

DEFAULT_WEIGHTS = Path(__file__).parent / "weights" / "everyday.safetensors"

_LAYOUT = 2


@dataclass(frozen=True)
class PhotoModel:
    """Networks, units and prices of one weights file.

    Attributes:
        estimator, flow: Networks, ready to run.
        scale: Residual scale.
        prices: Price list.
        digest: SHA-256 of the weights file.
        device: Where the networks are.
        start_noise: For each format, the standard deviation of the noise at the start of the flow
            when it is drawn from; it was trained with 1.
    """

    estimator: RestorationNetwork
    flow: RestorationNetwork
    scale: ResidualScale
    prices: PriceList
    digest: str
    device: torch.device
    start_noise: Mapping[str, float]


def resolve_device(name: str) -> torch.device:
    """A device from "auto", "cpu", "cuda" or "cuda:N".

    Raises:
        InvalidSetting: Unknown, or not present on this machine.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise InvalidSetting(f"device must be auto, cpu, cuda or cuda:N, got {name!r}")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InvalidSetting("this machine shows no CUDA device; use --device cpu")
    if (
        device.index is not None
        and device.type == "cuda"
        and device.index >= torch.cuda.device_count()
    ):
        raise InvalidSetting(
            f"there is no {name}; this machine has {torch.cuda.device_count()} CUDA devices"
        )
    return device


def save_weights(
    path: Path,
    estimator: RestorationNetwork,
    flow: RestorationNetwork,
    scale: ResidualScale,
    prices: PriceList,
    recipe: dict[str, Any],
    *,
    start_noise: Mapping[str, float],
) -> None:
    """Write a weights file and its card, each complete or not at all."""
    header = {
        "layout": _LAYOUT,
        "estimator": asdict(estimator.config),
        "flow": asdict(flow.config),
        "scale": [scale.with_quantizer.tolist(), scale.without_quantizer.tolist()],
        "prices": {
            "steps": prices.steps,
            "mmse": prices.mmse.tolist(),
            "cost": prices.cost.tolist(),
        },
        "start_noise": dict(start_noise),
    }
    tensors = {
        f"{name}.{key}": value.detach().cpu().half().contiguous()
        for name, network in (("estimator", estimator), ("flow", flow))
        for key, value in network.state_dict().items()
    }
    write_weights(path, tensors, header, recipe)


def write_weights(
    path: Path, tensors: dict[str, torch.Tensor], header: dict[str, Any], recipe: dict[str, Any]
) -> None:
    """Write tensors with a header, and the card beside them: both the old ones or both the new ones.

    Where weights are replaced, the new card waits under a third name until they are: whoever is
    killed in between leaves weights that the waiting card describes.

    Raises:
        UnwritableOutput: A file cannot be written.
    """
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    card = path.with_suffix(".json")
    first = _waiting_card(path) if path.exists() else card
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata={"veridical": json.dumps(header)})
        digest = hashlib.sha256(temporary.read_bytes()).hexdigest()
        write_text(first, json.dumps({"sha256": digest, **recipe}, indent=2) + "\n")
    if first != card:
        first.replace(card)


def _waiting_card(path: Path) -> Path:
    return path.with_suffix(".json.new")


def _card_of(path: Path, digest: str) -> dict[str, Any]:
    """The card beside weights; the waiting one, if it is that which describes them."""
    waiting = _waiting_card(path)
    if waiting.is_file():
        card = json.loads(waiting.read_text(encoding="utf-8"))
        if card["sha256"] == digest:
            return card
    return json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))


def read_weights(
    path: Path, layout: int, remedy: str, *, kind: str, otherwise: str
) -> tuple[dict[str, Any], dict[str, torch.Tensor], str]:
    """Header, tensors and SHA-256 of a weights file, if its card beside it describes it.

    Args:
        path: The weights file.
        layout: Layout that the caller reads.
        remedy: What an error tells the user to do.
        kind: Key that the header of such weights has.
        otherwise: What is said of weights of another kind, which have layouts of their own.

    Raises:
        BadWeights: Not the file that the card describes, or of another kind or layout.
        OSError, SafetensorError, KeyError, TypeError, ValueError: Missing or damaged.
    """
    from safetensors import safe_open

    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    card = _card_of(path, digest)
    if digest != card["sha256"]:
        raise BadWeights(
            f"{path} is not the file that its card describes (SHA-256 {digest[:12]}, "
            f"card {str(card['sha256'])[:12]}); {remedy}"
        )
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["veridical"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    if kind not in header:
        raise BadWeights(f"{path} {otherwise}")
    if header["layout"] != layout:
        raise BadWeights(
            f"{path} has layout {header['layout']}, this version reads {layout}; {remedy}"
        )
    return header, tensors, digest


@functools.lru_cache(maxsize=4)
def load_model(path: Path | None = None, device: str = "cpu") -> PhotoModel:
    """Load a weights file; repeated calls return the same object.

    Args:
        path: A weights file with its card beside it; None for the shipped ones.
        device: "auto", "cpu", "cuda" or "cuda:N".

    Raises:
        BadWeights: Missing, damaged, of another layout, or not the file that its card describes.
        InvalidSetting: The device is unknown or not present.
    """
    from safetensors import SafetensorError

    where = resolve_device(device)
    path = DEFAULT_WEIGHTS if path is None else Path(path)
    remedy = (
        "reinstall the package"
        if path == DEFAULT_WEIGHTS
        else "copy it again together with its .json card, or train it again"
    )
    try:
        header, tensors, digest = read_weights(
            path, _LAYOUT, remedy, kind="estimator",
            otherwise="holds no weights for AVIF, WebP and JPEG files; with files of both kinds, "
            "decode those and .vdc files by separate commands",
        )  # fmt: skip
        networks = [_network(header[name], tensors, name, where) for name in ("estimator", "flow")]
        p = header["prices"]
        return PhotoModel(
            *networks,
            scale=ResidualScale(*(np.array(t) for t in header["scale"])),
            prices=PriceList(tuple(p["steps"]), np.array(p["mmse"]), np.array(p["cost"])),
            digest=digest,
            device=where,
            start_noise=_start_noise(header),
        )
    except OSError as cause:
        raise BadWeights(f"cannot read the weights {cause.filename or path}; {remedy}") from cause
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as cause:
        if isinstance(cause, BadWeights):
            raise
        raise BadWeights(f"{path} or its card is damaged ({cause!r}); {remedy}") from cause


def _start_noise(header: dict[str, Any]) -> dict[str, float]:
    """For each format; older files have one number for all, or none, which is 1."""
    given = header.get("start_noise", 1.0)
    return {f: float(given[f] if isinstance(given, dict) else given) for f in FORMATS}


def _network(
    config: dict[str, Any], tensors: dict[str, torch.Tensor], name: str, device: torch.device
) -> RestorationNetwork:
    network = RestorationNetwork(NetworkConfig.of(config))
    mine = {
        k.removeprefix(f"{name}."): v.float()
        for k, v in tensors.items()
        if k.startswith(f"{name}.")
    }
    network.load_state_dict(mine)
    network = network.eval().requires_grad_(False)
    return laid_out(network.to(device))
