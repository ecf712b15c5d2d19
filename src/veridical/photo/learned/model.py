"""The parts of the learned codec together: as they are trained, and as they are shipped.

``NAME.safetensors`` holds the transforms in half precision, the prior in whole numbers (16 bits
for weights, 32 for biases) and the frozen frequency tables; sizes and prices stand as JSON in its
header, and ``NAME.json`` beside it is the card with the file's digest and recipe, as for everyday
files. Loading computes no table and no weight: it proves the bounds of all sums and hands on.
"""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from veridical.bitstream.container import DIGEST_BYTES
from veridical.bitstream.tables import TableSet
from veridical.errors import BadWeights, InvalidSetting
from veridical.interpolate import Calibration
from veridical.photo.learned.coding import EntropyModel
from veridical.photo.learned.fixed import freeze
from veridical.photo.learned.laws import HyperLaw, LatentLaw
from veridical.photo.learned.prior import QUALITY_STEPS, Prior, PriorConfig
from veridical.photo.learned.transform import (
    Analysis,
    Gains,
    HyperAnalysis,
    Synthesis,
    TransformConfig,
)
from veridical.photo.model import read_weights, resolve_device

__all__ = [
    "DEFAULT_CODEC",
    "CodecNetworks",
    "LearnedModel",
    "QualityPrices",
    "load_codec",
    "save_codec",
]

DEFAULT_CODEC = Path(__file__).parents[1] / "weights" / "photo-codec.safetensors"

_LAYOUT = 1
_FLOAT_PARTS = ("analysis", "hyper_analysis", "synthesis", "gains")


class CodecNetworks(nn.Module):
    """Everything that is trained before the generator."""

    def __init__(self, transform: TransformConfig, prior: PriorConfig) -> None:
        super().__init__()
        self.config = (transform, prior)
        self.analysis = Analysis(transform, prior.latents)
        self.hyper_analysis = HyperAnalysis(prior)
        self.synthesis = Synthesis(transform, prior.latents)
        self.gains = Gains(prior)
        self.prior = Prior(prior)
        self.latent_law = LatentLaw()
        self.hyper_law = HyperLaw(prior)

    def entropy_model(self) -> EntropyModel:
        """The frozen prior with its frozen tables."""
        prior = freeze(self.prior)
        if not isinstance(prior, Prior):
            raise InvalidSetting("a frozen prior is a prior")
        return EntropyModel(prior.cpu(), self.latent_law.tables(), self.hyper_law.tables())


@dataclass(frozen=True, eq=False)
class QualityPrices:
    """Error and transport cost by quality, measured on validation photographs.

    Attributes:
        qualities: Rising, 0 to 10,000, shape (n,).
        mmse: Mean squared error of the estimate on the [0, 1] scale, shape (n,).
        cost: Transport cost of the generator, shape (n,); zeros if there is no generator yet.
    """

    qualities: np.ndarray
    mmse: np.ndarray
    cost: np.ndarray

    def __post_init__(self) -> None:
        q, d, c = self.qualities, self.mmse, self.cost
        if q.ndim != 1 or not len(q) or q.shape != d.shape or q.shape != c.shape:
            raise InvalidSetting("prices are three lists of one length")
        if np.any(np.diff(q) <= 0) or np.any(d <= 0) or np.any(c < 0):
            raise InvalidSetting("qualities rise, errors are positive, costs not negative")

    @property
    def complete(self) -> bool:
        """Whether the transport cost has been measured too."""
        return bool(np.all(self.cost > 0))

    def error(self, quality: int) -> float:
        """Mean squared error of the estimate at a quality, by interpolation of logarithms."""
        return float(np.exp(np.interp(quality, self.qualities, np.log(self.mmse))))

    def calibration(self, quality: int) -> Calibration:
        """Price of a quality, by interpolation of logarithms.

        Raises:
            InvalidSetting: The transport cost has not been measured.
        """
        if not self.complete:
            raise InvalidSetting("these weights have no measured transport cost; give a realism")
        cost = float(np.exp(np.interp(quality, self.qualities, np.log(self.cost))))
        return Calibration(self.error(quality), cost)


@dataclass(frozen=True, eq=False)
class LearnedModel:
    """A model that is ready to code and decode.

    Attributes:
        name: Goes into every file, 1 to 12 letters.
        analysis, hyper_analysis, synthesis, gains: Networks in floating point.
        entropy: Prior and tables, in whole numbers, on the processor.
        prices: By quality; None before they are measured.
        digest: SHA-256 of the weights file.
        device: Where the networks in floating point are.
        sizes: Of transforms and prior.
    """

    name: str
    analysis: Analysis
    hyper_analysis: HyperAnalysis
    synthesis: Synthesis
    gains: Gains
    entropy: EntropyModel
    prices: QualityPrices | None
    digest: str
    device: torch.device
    sizes: tuple[TransformConfig, PriorConfig]

    @property
    def short_digest(self) -> bytes:
        """What a file's header holds of the digest."""
        return bytes.fromhex(self.digest)[:DIGEST_BYTES]


def save_codec(
    path: Path,
    networks: CodecNetworks,
    recipe: dict[str, Any],
    *,
    name: str,
    prices: QualityPrices | None = None,
) -> None:
    """Write a weights file and its card, each complete or not at all."""
    from safetensors.torch import save_file

    entropy = networks.entropy_model()
    tensors: dict[str, Tensor] = {}
    for part in _FLOAT_PARTS:
        for key, value in getattr(networks, part).state_dict().items():
            kept = value.detach().cpu()
            tensors[f"{part}.{key}"] = (kept if part == "gains" else kept.half()).contiguous()
    for key, value in entropy.prior.state_dict().items():
        kind = torch.int16 if key.endswith("weight") else torch.int32
        tensors[f"prior.{key}"] = value.to(kind).contiguous()
    for part, tables in (("latent", entropy.latent_tables), ("hyper", entropy.hyper_tables)):
        for key in ("frequencies", "starts", "lows"):
            whole = getattr(tables, key).astype(np.int32)
            tensors[f"tables.{part}.{key}"] = torch.from_numpy(whole)
    transform, prior = networks.config
    header = {
        "layout": _LAYOUT, "name": name, "transform": asdict(transform), "prior": asdict(prior),
        "prices": None if prices is None else [
            prices.qualities.tolist(), prices.mmse.tolist(), prices.cost.tolist()
        ],
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    save_file(tensors, temporary, metadata={"veridical": json.dumps(header)})
    temporary.chmod(0o644)  # readable by all, as any package file
    temporary.replace(path)
    card = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "name": name, **recipe}
    temporary.write_text(json.dumps(card, indent=2) + "\n")
    temporary.replace(path.with_suffix(".json"))


def load_codec(path: Path | None = None, device: str = "cpu") -> LearnedModel:
    """Load a weights file of the learned codec; an unchanged file is loaded once.

    Args:
        path: A weights file with its card beside it; None for the shipped one.
        device: "auto", "cpu", "cuda" or "cuda:N"; the entropy model stays on the processor.

    Raises:
        BadWeights: Missing, damaged, of another layout, not the file that its card describes, or
            with sums that might not be exact.
        InvalidSetting: The device is unknown or not present.
    """
    from safetensors import SafetensorError

    where = resolve_device(device)
    path = DEFAULT_CODEC if path is None else Path(path)
    if path == DEFAULT_CODEC and not path.exists():
        raise BadWeights(
            "this version ships no weights for .vdc files; train them (veridical train photo-codec) "
            "and name them with --weights FILE, or write AVIF, WebP or JPEG"
        )
    remedy = "copy it again together with its .json card, or reinstall the package"
    try:
        changed = path.stat().st_mtime_ns, path.with_suffix(".json").stat().st_mtime_ns
        return _loaded(path, where, remedy, changed)
    except OSError as cause:
        raise BadWeights(f"cannot read the weights {cause.filename or path}; {remedy}") from cause
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as cause:
        if isinstance(cause, BadWeights):
            raise
        raise BadWeights(f"{path} or its card is damaged ({cause!r}); {remedy}") from cause


@functools.lru_cache(maxsize=4)
def _loaded(path: Path, where: torch.device, remedy: str, changed: tuple[int, int]) -> LearnedModel:
    del changed  # when the files were written: a new one is read anew
    header, tensors, digest = read_weights(path, _LAYOUT, remedy)
    sizes = TransformConfig.of(header["transform"]), PriorConfig(**header["prior"])
    latents = sizes[1].latents
    prices = header["prices"]
    return LearnedModel(
        name=header["name"],
        analysis=_ready(Analysis(sizes[0], latents), tensors, "analysis", where),
        hyper_analysis=_ready(HyperAnalysis(sizes[1]), tensors, "hyper_analysis", where),
        synthesis=_ready(Synthesis(sizes[0], latents), tensors, "synthesis", where),
        gains=_ready(Gains(sizes[1]), tensors, "gains", where),
        entropy=EntropyModel(
            _ready(freeze(Prior(sizes[1])), tensors, "prior", torch.device("cpu")),
            _tables(tensors, "latent"),
            _tables(tensors, "hyper"),
        ),
        prices=None if prices is None else QualityPrices(*(np.array(p) for p in prices)),
        digest=digest,
        device=where,
        sizes=sizes,
    )


def _tables(tensors: dict[str, Tensor], part: str) -> TableSet:
    return TableSet(
        *(
            tensors[f"tables.{part}.{key}"].numpy().astype(np.int64)
            for key in ("frequencies", "starts", "lows")
        )
    )


def _ready(network: Any, tensors: dict[str, Tensor], part: str, device: torch.device) -> Any:
    """A network with its weights, laid out the way convolutions run fastest on."""
    mine = {
        k.removeprefix(f"{part}."): v.float()
        for k, v in tensors.items()
        if k.startswith(f"{part}.")
    }
    network.load_state_dict(mine)
    network = network.eval().requires_grad_(False).to(device)
    for tensor in network.parameters():
        if tensor.dim() == 4:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
    return network


def quality_number(quality: float) -> int:
    """A quality of 0 to 100 in the hundredths that a file holds.

    Raises:
        InvalidSetting: Not a number from 0 to 100.
    """
    whole = isinstance(quality, int | float) and not isinstance(quality, bool)
    if not whole or not 0 <= quality <= 100:
        raise InvalidSetting(f"quality must be a number from 0 to 100, got {quality!r}")
    return round(quality * (QUALITY_STEPS // 100))
