"""The parts of the learned codec together: as they are trained, and as they are shipped.

``NAME.safetensors`` holds the transforms in half precision, the prior in whole numbers (16 bits
for weights, 32 for biases) and the frozen frequency tables; sizes and prices stand as JSON in its
header, and ``NAME.json`` beside it is the card with the file's digest and recipe, as for everyday
files. ``NAME-generator.safetensors``, if there is one, holds the generator and newer prices. Loading computes no table and no weight: it proves the bounds of all sums and hands on.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from veridical.bitstream.container import DIGEST_BYTES
from veridical.bitstream.tables import TableSet
from veridical.errors import BadWeights, InvalidSetting
from veridical.photo.learned.coding import EntropyModel
from veridical.photo.learned.fixed import freeze
from veridical.photo.learned.generator import LatentFlow
from veridical.photo.learned.laws import HyperLaw, LatentLaw
from veridical.photo.learned.prices import QualityPrices
from veridical.photo.learned.prior import QUALITY_STEPS, Prior, PriorConfig
from veridical.photo.learned.transform import (
    Analysis,
    Gains,
    HyperAnalysis,
    Synthesis,
    TransformConfig,
)
from veridical.photo.model import read_weights, resolve_device, write_weights
from veridical.photo.network import NetworkConfig

__all__ = [
    "DEFAULT_CODEC",
    "CodecNetworks",
    "LearnedModel",
    "generator_path",
    "load_codec",
    "quality_number",
    "save_codec",
    "save_generator",
]

DEFAULT_CODEC = Path(__file__).parents[1] / "weights" / "photo-codec.safetensors"

_TRAIN_THEM = "train them (veridical train photo-codec) and name them with --weights FILE"

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
class LearnedModel:
    """A model that is ready to code and decode.

    Attributes:
        name: Goes into every file, 1 to 12 letters.
        analysis, hyper_analysis, synthesis, gains: Networks in floating point.
        entropy: Prior and tables, in whole numbers, on the processor.
        prices: By number of the quantizer; empty before they are measured.
        digest: SHA-256 of the weights file.
        device: Where the networks in floating point are.
        sizes: Of transforms and prior.
        flow: The generator; None if the weights have none.
    """

    name: str
    analysis: Analysis
    hyper_analysis: HyperAnalysis
    synthesis: Synthesis
    gains: Gains
    entropy: EntropyModel
    prices: Mapping[int, QualityPrices]
    digest: str
    device: torch.device
    sizes: tuple[TransformConfig, PriorConfig]
    flow: LatentFlow | None = None

    @property
    def short_digest(self) -> bytes:
        """What a file's header holds of the digest."""
        return bytes.fromhex(self.digest)[:DIGEST_BYTES]

    def prices_of(self, quantizer: int) -> QualityPrices | None:
        """Prices of files of a quantizer, by its number; None if they were not measured."""
        return self.prices.get(quantizer)


def save_codec(
    path: Path,
    networks: CodecNetworks,
    recipe: dict[str, Any],
    *,
    name: str,
    prices: Mapping[int, QualityPrices] | None = None,
) -> None:
    """Write a weights file and its card, each complete or not at all."""
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
        "prices": {number: p.as_json() for number, p in (prices or {}).items()},
    }  # fmt: skip
    write_weights(path, tensors, header, {"name": name, **recipe})


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
            f"this version ships no weights for .vdc files; {_TRAIN_THEM}, or write AVIF, WebP or JPEG"
        )
    remedy = "copy it again together with its .json card, or reinstall the package"
    try:
        beside = generator_path(path)
        files = [path, path.with_suffix(".json"), *([beside] if beside.exists() else [])]
        changed = tuple(file.stat().st_mtime_ns for file in files)
        return _loaded(path, where, remedy, changed)
    except OSError as cause:
        raise BadWeights(f"cannot read the weights {cause.filename or path}; {remedy}") from cause
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as cause:
        if isinstance(cause, BadWeights):
            raise
        raise BadWeights(f"{path} or its card is damaged ({cause!r}); {remedy}") from cause


@functools.lru_cache(maxsize=4)
def _loaded(path: Path, where: torch.device, remedy: str, changed: tuple[int, ...]) -> LearnedModel:
    del changed  # when the files were written: a new one is read anew
    header, tensors, digest = read_weights(
        path, _LAYOUT, remedy, kind="transform",
        otherwise=f"holds other networks than those of .vdc files; {_TRAIN_THEM}",
    )  # fmt: skip
    sizes = TransformConfig.of(header["transform"]), PriorConfig(**header["prior"])
    latents = sizes[1].latents
    flow, prices = None, _prices(header)
    if generator_path(path).exists():
        flow, newer = _generator(generator_path(path), digest, where, remedy)
        prices |= newer
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
        prices=prices,
        digest=digest,
        device=where,
        sizes=sizes,
        flow=flow,
    )


def _prices(header: dict[str, Any]) -> dict[int, QualityPrices]:
    return {int(k): QualityPrices.of(v) for k, v in (header["prices"] or {}).items()}


def _generator(
    path: Path, digest: str, device: torch.device, remedy: str
) -> tuple[LatentFlow, dict[int, QualityPrices]]:
    header, tensors, _ = read_weights(
        path, _LAYOUT, remedy, kind="codec", otherwise=f"holds no generator; {remedy}"
    )
    if header["codec"] != digest:
        raise BadWeights(
            f"{path} is the generator of a codec with SHA-256 {str(header['codec'])[:12]}, and the "
            f"codec beside it has {digest[:12]}; {remedy}"
        )
    anchors = len(tensors["flow.log_scale"])
    flow = LatentFlow(NetworkConfig.of(header["flow"]), anchors)
    return _ready(flow, tensors, "flow", device), _prices(header)


def save_generator(
    path: Path,
    flow: LatentFlow,
    codec: str,
    prices: Mapping[int, QualityPrices],
    recipe: dict[str, Any],
) -> None:
    """Write the generator of a codec to :func:`generator_path`, with its card.

    A file of its own, so that files written with the codec stay readable when it is improved.

    Args:
        path: Weights file of the codec.
        flow: Trained.
        codec: SHA-256 of the codec's weights file.
        prices: With the transport cost, by number of the quantizer.
        recipe: For the card.
    """
    tensors = {
        f"flow.{key}": (value if key == "log_scale" else value.half()).detach().cpu().contiguous()
        for key, value in flow.state_dict().items()
    }
    header = {
        "layout": _LAYOUT, "codec": codec, "flow": asdict(flow.network.config),
        "prices": {number: p.as_json() for number, p in prices.items()},
    }  # fmt: skip
    write_weights(generator_path(path), tensors, header, recipe)


def generator_path(path: Path) -> Path:
    """Where the generator of a codec's weights file is, if it has one."""
    return path.with_name(f"{path.stem}-generator{path.suffix}")


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
