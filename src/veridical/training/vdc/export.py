"""From trained networks of ``.vdc`` files to the weights files that ``photo.vdc`` reads.

``NAME.npz`` holds what has to be exact: the prior in whole numbers, frequency tables, gains, and as JSON
the sizes and prices; the networks in floating point are ONNX files beside it.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from veridical.bitstream.tables import TableSet
from veridical.photo.vdc.coding import EntropyModel
from veridical.photo.vdc.model import load_model, network_path
from veridical.photo.vdc.prices import QualityPrices
from veridical.photo.vdc.prior import Prior
from veridical.photo.weights import LAYOUT, read_card, write_weights
from veridical.training.export import to_onnx
from veridical.training.residual import local_size
from veridical.training.vdc.codec import TrainedCodec
from veridical.training.vdc.generator import FlowInput, LatentFlow, rate_feature

Tensors = dict[str, NDArray[Any]]


class _Synthesis(nn.Module):
    def __init__(self, codec: TrainedCodec) -> None:
        super().__init__()
        self.network = codec.synthesis

    def forward(self, y: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        return self.network.with_features(y, quality)


class _Spread(nn.Module):
    def __init__(self, flow: LatentFlow) -> None:
        super().__init__()
        self.flow = flow

    def forward(self, side: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        return local_size(self.flow.spread(side)), self.flow.scale(quality)


class _Flow(nn.Module):
    def __init__(self, flow: LatentFlow) -> None:
        super().__init__()
        self.flow = flow

    def forward(
        self, u: Tensor, time: Tensor, x_mmse: Tensor, side: Tensor, size: Tensor, scale: Tensor,
        quality: Tensor,
    ) -> Tensor:  # fmt: skip
        return self.flow(u, time, FlowInput(x_mmse, side, size, scale, rate_feature(quality)))


def codec_tensors(networks: TrainedCodec) -> Tensors:
    """Whole numbers of the prior and the tables, and the gains, by name."""
    out: Tensors = {}
    for key, value in networks.prior.integers().items():
        out[f"prior.{key}"] = value.numpy().astype(np.int16 if key.endswith("weight") else np.int32)
    tables: dict[str, TableSet] = {
        "latent": networks.latent_law.tables(), "hyper": networks.hyper_law.tables()
    }  # fmt: skip
    for part, found in tables.items():
        for key in ("frequencies", "starts", "lows"):
            out[f"tables.{part}.{key}"] = getattr(found, key).astype(np.int32)
    for key, value in networks.gains.state_dict().items():
        out[f"gains.{key}"] = value.cpu().numpy()
    return out


def entropy_model(networks: TrainedCodec) -> EntropyModel:
    """The prior in whole numbers with its frozen tables."""
    prior = Prior(networks.config[1], codec_tensors(networks), "prior.")
    return EntropyModel(prior, networks.latent_law.tables(), networks.hyper_law.tables())


def save_codec(
    path: Path,
    networks: TrainedCodec,
    recipe: dict[str, Any],
    *,
    name: str,
    prices: Mapping[int, QualityPrices] | None = None,
) -> None:
    """Write the weights files of a codec with their cards, ``path`` last.

    Args:
        path: ``NAME.npz``.
        networks: Trained.
        recipe: For the cards.
        name: Of the model; goes into every file.
        prices: By number of the quantizer.
    """
    tensors = codec_tensors(networks)
    check = hashlib.sha256()
    for part in ("analysis", "hyper_analysis", "synthesis"):
        for key, value in getattr(networks, part).state_dict().items():
            check.update(key.encode() + value.detach().cpu().half().contiguous().numpy().tobytes())
    for key, array in tensors.items():
        check.update(key.encode() + array.tobytes())
    write_codec(path, networks, tensors, recipe, name=name, digest=check.hexdigest(), prices=prices)


def write_codec(
    path: Path,
    networks: TrainedCodec,
    tensors: Tensors,
    recipe: dict[str, Any],
    *,
    name: str,
    digest: str,
    prices: Mapping[int, QualityPrices] | None = None,
) -> None:
    """As :func:`save_codec`, of a prior and tables that are whole numbers already.

    Args:
        path: ``NAME.npz``.
        networks: Whose transforms are exported.
        tensors: From :func:`codec_tensors`.
        recipe: For the cards.
        name: Of the model.
        digest: 64 hexadecimal digits by which coded files know their model.
        prices: By number of the quantizer.
    """
    transform, prior = networks.config
    recipe = {"name": name, **recipe}
    x = 0.5 + 0.1 * torch.rand(2, 3, 160, 192, generator=torch.Generator().manual_seed(0))
    y, quality = torch.randn(2, prior.latents, 12, 16), torch.tensor([5000.0, 2500.0])
    graphs: dict[str, tuple[nn.Module, dict[str, Tensor], tuple[str, ...]]] = {
        "analysis": (networks.analysis, {"x": x}, ("y",)),
        "hyper-analysis": (networks.hyper_analysis, {"y": y}, ("z",)),
        "synthesis": (_Synthesis(networks), {"y": y, "quality": quality}, ("x_mmse", "features")),
    }
    for part, (graph, inputs, outputs) in graphs.items():
        about = {"kind": f"vdc-{part}", "codec": digest, "network": asdict(transform)}
        write_weights(network_path(path, part), to_onnx(graph, inputs, outputs, about), recipe)
    header = {
        "layout": LAYOUT, "kind": "vdc", "name": name, "digest": digest, "prior": asdict(prior),
        "prices": _as_json(prices or {}),
    }  # fmt: skip
    write_weights(path, _npz(header, tensors), recipe)


def save_generator(path: Path, flow: LatentFlow, recipe: dict[str, Any]) -> None:
    """Write the generator of a codec beside it: the spread of the error, then the flow.

    Files of their own, so that coded files stay readable when it is improved.

    Args:
        path: ``NAME.npz`` of the codec.
        flow: Trained.
        recipe: For the cards.
    """
    header = {"codec": load_model(path).digest, "network": asdict(flow.network.config)}
    x = 0.5 + 0.1 * torch.rand(2, 3, 160, 192, generator=torch.Generator().manual_seed(0))
    side, scale = torch.randn(2, flow.network.config.side, 40, 48), torch.full((2, 1, 1, 1), 0.05)
    quality, time = torch.tensor([5000.0, 2500.0]), torch.tensor([0.3, 0.6])
    data = to_onnx(
        _Spread(flow), {"side": side, "quality": quality}, ("size", "scale"),
        {"kind": "vdc-spread", **header},
    )  # fmt: skip
    write_weights(network_path(path, "spread"), data, recipe)
    inputs = {
        "u": torch.randn_like(x), "time": time, "x_mmse": x, "side": side, "size": 1 + x, "scale": scale,
        "quality": quality,
    }  # fmt: skip
    data = to_onnx(_Flow(flow), inputs, ("end",), {"kind": "vdc-generator", **header})
    write_weights(network_path(path, "generator"), data, recipe)


def save_prices(
    path: Path, prices: Mapping[int, QualityPrices], recipe: dict[str, Any] | None = None
) -> None:
    """Write a codec's file anew with other prices, and perhaps another card; what it decodes stays the same."""
    data = path.read_bytes()
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        tensors = {k: file[k] for k in file.files}
    header = json.loads(tensors.pop("header").tobytes()) | {"prices": _as_json(prices)}
    card = read_card(path, hashlib.sha256(data).hexdigest()) if recipe is None else recipe
    write_weights(path, _npz(header, tensors), {k: v for k, v in card.items() if k != "sha256"})


def _as_json(prices: Mapping[int, QualityPrices]) -> dict[str, Any]:
    return {str(number): p.as_json() for number, p in prices.items()}


def _npz(header: dict[str, Any], tensors: Tensors) -> bytes:
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    np.savez_compressed(buffer, allow_pickle=False, header=text, **tensors)
    return buffer.getvalue()
