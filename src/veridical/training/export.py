"""From trained networks to ONNX files with weights in half precision, and back to torch.

Sides are dynamic multiples of 16. Tensors keep the names that they have in torch, so that a training can
start from a shipped file.
"""

from __future__ import annotations

import hashlib
import io
import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from veridical.errors import BadWeights
from veridical.extras import require
from veridical.photo.condition import ResidualScale
from veridical.photo.formats.conventional import ConventionalFormat
from veridical.photo.options import GRID
from veridical.photo.weights import LAYOUT, damaged_weights, network_path, read_card, write_weights
from veridical.training.estimator import BlockEstimator
from veridical.training.generator import FilterGenerator
from veridical.training.networks import NetworkConfig
from veridical.training.pairs import Pairs

N = TypeVar("N", bound=nn.Module)

_LARGE = 256
"""Tensors of at least so many numbers are stored in half precision."""


def example(graph: Any, **shapes: tuple[int, ...]) -> dict[str, Tensor]:
    """Inputs by the names that ``graph`` has in ``INPUTS``, of the given shapes; others are pictures, or one number each."""
    picture, numbers = (2, 3, 10 * GRID, 12 * GRID), {"quality": (2,), "dithered": (2,)}
    shapes = {"scale": (2, 1, 1, 1)} | numbers | shapes
    generator = torch.Generator().manual_seed(0)
    return {
        name: 0.5 + 0.1 * torch.rand(shapes.get(name, picture), generator=generator)
        for name in graph.INPUTS
    }


def to_onnx(graph: Any, inputs: Mapping[str, Tensor], header: dict[str, Any]) -> bytes:
    """An ONNX model of a module.

    Args:
        graph: Called with ``inputs`` in their order, gives what ``OUTPUTS`` names; in evaluation mode.
        inputs: Examples by name. Batch sizes are dynamic, and so are the sides of what has four axes and
            more than one place along the last two.
        header: Goes into the metadata.

    Raises:
        MissingDependency: The extra ``train`` is not installed.
    """
    onnx = require("onnx")
    axes: dict[str, dict[int, str]] = {}
    for name, value in inputs.items():
        axes[name] = {0: "n"}
        if value.dim() == 4 and min(value.shape[2:]) > 1:
            axes[name] |= {2: f"{name}_rows", 3: f"{name}_columns"}
    graph = graph.eval()
    for parameter in graph.parameters():
        parameter.data = parameter.data.contiguous()
    buffer: Any = io.BytesIO()  # the annotation leaves out what the function takes
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        # By tracing: half a second where the other exporter takes twenty, for the same graph.
        torch.onnx.export(
            graph, tuple(inputs.values()), buffer, input_names=list(inputs), output_names=list(graph.OUTPUTS),
            dynamic_axes=axes, dynamo=False, opset_version=18,
        )  # fmt: skip
    model = onnx.load_from_string(buffer.getvalue())
    _halve(model)
    del model.metadata_props[:]
    model.doc_string = ""
    for node in model.graph.node:  # where each came from in this code is no part of the weights
        del node.metadata_props[:]
        node.doc_string = ""
    onnx.helper.set_model_props(model, {"veridical": json.dumps({"layout": LAYOUT, **header})})
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _halve(model: Any) -> None:
    """Large tensors in half precision, each with a conversion behind it that the runtime does once."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < _LARGE:
            continue
        name = tensor.name
        half = numpy_helper.from_array(
            numpy_helper.to_array(tensor).astype(np.float16), f"{name}.half"
        )
        tensor.CopyFrom(half)
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(casts + nodes)


def write_network(
    path: Path,
    graph: Any,
    header: dict[str, Any],
    recipe: dict[str, Any],
    **shapes: tuple[int, ...],
) -> None:
    """Write a network with its card; shapes are those of :func:`example`."""
    write_weights(path, to_onnx(graph, example(graph, **shapes), header), recipe)


def write_weights_of(
    path: Path,
    form: ConventionalFormat | Pairs,
    estimator: BlockEstimator,
    generator: FilterGenerator,
    scale: ResidualScale,
    recipe: dict[str, Any],
) -> None:
    """Write estimator and generator with their cards; the generator's metadata names its estimator.

    Args:
        path: ``FORMAT.onnx``; the generator's file goes beside it.
        form: The format.
        estimator: Trained.
        generator: Trained on it.
        scale: Residual scale.
        recipe: For the cards.
    """
    header = {
        "kind": "estimator", "format": form.name, "features": list(form.features),
        "rate_known": not isinstance(form, Pairs) or form.rate_known,
        "network": asdict(estimator.network.config), "head": estimator.sizes,
        "scale": [scale.with_quantizer.tolist(), scale.without_quantizer.tolist()],
    }  # fmt: skip
    features = (2, len(form.features))
    write_network(path, estimator, header, recipe, features=features)
    own = belonging(path, "generator", form) | {"network": asdict(generator.network.config)}
    write_network(network_path(path, "generator"), generator, own, recipe, features=features)


def belonging(path: Path, kind: str, form: ConventionalFormat | Pairs) -> dict[str, Any]:
    """Metadata of a network of a kind that belongs to the estimator at ``path``."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    features = list(form.features)
    return {"kind": kind, "format": form.name, "features": features, "estimator": digest}


def read_tensors(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Metadata and tensors of a network of a kind, such as "estimator", in single precision.

    Raises:
        BadWeights: Missing, damaged, of another kind, or not the file that its card describes.
    """
    import onnx
    from onnx import numpy_helper

    with damaged_weights(path):
        data = path.read_bytes()
        read_card(path, hashlib.sha256(data).hexdigest())
        model = onnx.load_from_string(data)
        header = json.loads({p.key: p.value for p in model.metadata_props}["veridical"])
        if header["kind"] != kind:
            raise BadWeights(f"{path} holds a network of kind {header['kind']!r}, not {kind!r}")
        tensors = {
            t.name.removesuffix(".half"): torch.from_numpy(
                numpy_helper.to_array(t).astype(np.float32)
            )
            for t in model.graph.initializer
        }
    return header, tensors


def load_estimator(path: Path) -> tuple[dict[str, Any], BlockEstimator]:
    """Metadata and torch network of an estimator's file.

    Raises:
        BadWeights: Missing, damaged, or a network of another kind.
    """
    header, tensors = read_tensors(path, "estimator")
    with damaged_weights(path):
        config = NetworkConfig.of(header["network"])
        network = BlockEstimator(config, header["features"], **header["head"])
    # Files of estimators whose shrinkage was not trained have none.
    new = {k: v for k, v in network.state_dict().items() if k.startswith("shrinkage.")}
    network.shrinks = not tensors.keys().isdisjoint(new)
    return header, filled(network, new | tensors, path)


def load_generator(path: Path) -> tuple[dict[str, Any], FilterGenerator]:
    """Metadata and torch network of a generator's file.

    Raises:
        BadWeights: As :func:`load_estimator`.
    """
    header, tensors = read_tensors(path, "generator")
    with damaged_weights(path):
        network = FilterGenerator(NetworkConfig.of(header["network"]))
    return header, filled(network, tensors, path)


def load_generator_beside(path: Path) -> FilterGenerator:
    """Torch network of the generator that belongs to an estimator's file.

    Raises:
        BadWeights: Missing, damaged, or trained for another estimator.
    """
    place = network_path(path, "generator")
    header, generator = load_generator(place)
    if header["estimator"] != hashlib.sha256(path.read_bytes()).hexdigest():
        raise BadWeights(f"{place} was trained for another estimator than {path}; copy both again")
    return generator


def filled(network: N, tensors: dict[str, Tensor], path: Path) -> N:
    """The network with the tensors of a file, in evaluation mode."""
    with damaged_weights(path):
        known = network.state_dict()
        network.load_state_dict({k: v for k, v in tensors.items() if k in known})
    return network.eval().requires_grad_(False)
