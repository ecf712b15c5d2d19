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
from numpy.typing import NDArray

from veridical.bitstream.tables import TableSet
from veridical.photo.vdc.coding import EntropyModel
from veridical.photo.vdc.model import load_model
from veridical.photo.vdc.prices import QualityPrices
from veridical.photo.vdc.prior import Prior
from veridical.photo.weights import LAYOUT, damaged_weights, network_path, read_card, write_weights
from veridical.training.export import filled, read_tensors, write_network
from veridical.training.generator import FilterGenerator
from veridical.training.vdc.codec import TrainedCodec
from veridical.training.vdc.generator import LatentSpread
from veridical.training.vdc.transform import Synthesis, TransformConfig

Tensors = dict[str, NDArray[Any]]


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


def save_codec(path: Path, networks: TrainedCodec, recipe: dict[str, Any], *, name: str) -> None:
    """Write the weights files of a codec with their cards, ``path`` last; it has no prices yet.

    Args:
        path: ``NAME.npz``.
        networks: Trained.
        recipe: For the cards.
        name: Of the model; goes into every file.
    """
    tensors = codec_tensors(networks)
    check = hashlib.sha256()
    for part in ("analysis", "hyper_analysis", "synthesis"):
        for key, value in getattr(networks, part).state_dict().items():
            check.update(key.encode() + value.detach().cpu().half().contiguous().numpy().tobytes())
    for key, array in tensors.items():
        check.update(key.encode() + array.tobytes())
    digest = check.hexdigest()  # by which coded files know their model
    transform, prior = networks.config
    recipe = {"name": name, **recipe}
    latents = (2, prior.latents, 12, 16)
    for part, graph, shapes in (
        ("analysis", networks.analysis, {}),
        ("hyper-analysis", networks.hyper_analysis, {"y": latents}),
        ("synthesis", networks.synthesis, {"y": latents}),
    ):
        about = {"kind": f"vdc-{part}", "codec": digest, "network": asdict(transform)}
        write_network(network_path(path, part), graph, about, recipe, **shapes)
    header = {
        "layout": LAYOUT, "kind": "vdc", "name": name, "digest": digest, "prior": asdict(prior),
        "prices": {},
    }  # fmt: skip
    write_weights(path, _npz(header, tensors), recipe)


def load_synthesis(path: Path, latents: int) -> tuple[TransformConfig, Synthesis]:
    """Sizes and torch network of the synthesis of a codec's file ``NAME.npz``.

    Raises:
        BadWeights: Missing, damaged, or a network of another kind.
    """
    place = network_path(path, "synthesis")
    header, tensors = read_tensors(place, "vdc-synthesis")
    with damaged_weights(place):
        config = TransformConfig.of(header["network"])
        network = Synthesis(config, latents)
    # Older files have the names of a module around it.
    own = {name.removeprefix("network."): value for name, value in tensors.items()}
    return config, filled(network, own, place)


def save_decoder(
    path: Path,
    spread: LatentSpread,
    generators: Mapping[str, FilterGenerator],
    recipe: dict[str, Any],
) -> None:
    """Write what was trained on a finished codec beside it.

    Files of their own, so that coded files stay readable when they are improved.

    Args:
        path: ``NAME.npz`` of the codec.
        spread: Trained.
        generators: "refinement" and "generator".
        recipe: For the cards.
    """
    codec, side = {"codec": load_model(path).digest}, (2, spread.channels, 40, 48)
    for part, graph in generators.items():
        config = graph.network.config
        about = {"kind": f"vdc-{part}", "network": asdict(config), **codec}
        features = (2, config.features)
        place = network_path(path, part)
        write_network(place, graph, about, recipe, side=side, features=features)
    about = {"kind": "vdc-spread", **codec}
    write_network(network_path(path, "spread"), spread, about, recipe, side=side)


def save_prices(path: Path, prices: Mapping[int, QualityPrices]) -> None:
    """Write a codec's file anew with other prices; what it decodes stays the same."""
    data = path.read_bytes()
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        tensors = {k: file[k] for k in file.files}
    header = json.loads(tensors.pop("header").tobytes())
    header |= {"prices": {str(number): p.as_json() for number, p in prices.items()}}
    write_weights(path, _npz(header, tensors), read_card(path, hashlib.sha256(data).hexdigest()))


def _npz(header: dict[str, Any], tensors: Tensors) -> bytes:
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    np.savez_compressed(buffer, allow_pickle=False, header=text, **tensors)
    return buffer.getvalue()
