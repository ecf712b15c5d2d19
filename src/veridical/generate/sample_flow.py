"""A generator for samples of any dimension: a rectified flow by a small network.

The flow starts at ``u_0 = X~ + s N`` with a little noise ``N ~ N(0, I)``, ends at ``u_1 ~ p_X`` and
follows ``du/dt = v(u, t)``, where ``v`` is fitted to ``E[u_1 - u_0 | u_t]`` along the straight lines
``u_t = (1 - t) u_0 + t u_1`` (Liu, Gong, Liu 2023; the start is that of a posterior-mean rectified
flow, Ohayon, Michaeli and Elad 2025). With ``u_1 = X`` the pairs are those of posterior sampling,
``C = d`` ([T] Prop. 1).

The network sees ``u`` and ``t`` but neither the index nor the seed. That is on purpose: where the
lines of different estimates cross, the flow exchanges their ends, keeps both laws and lowers the
transport cost ``C = E|X~ - X-|^2`` towards ``W2^2(p_X, p_X~)``. Without common randomness there is
nothing to gain, because posterior sampling is an optimal plan already ([T] Prop. 2). A network that
saw the index as well could only sample the posterior.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from veridical.errors import BadWeights, InvalidSetting

_CHUNK = 1 << 16


@dataclass(frozen=True, kw_only=True)
class VelocityConfig:
    """Size of the network, and the scales of what it sees.

    Attributes:
        dimension: Coordinates of a sample, ``d``.
        noise: Standard deviation ``s`` of the noise that is added to the estimate, per coordinate,
            in units of the samples. The smaller, the nearer the least ``C`` comes to ``W2^2``, and
            the steeper is what the network has to learn.
        centre: What is taken from a sample before the network sees it.
        scale: What it is then divided by.
        width: Units of a hidden layer.
        depth: Hidden layers.
    """

    dimension: int
    noise: float
    centre: tuple[float, ...]
    scale: float
    width: int = 128
    depth: int = 3

    def __post_init__(self) -> None:
        object.__setattr__(self, "centre", tuple(float(value) for value in self.centre))
        if min(self.dimension, self.width, self.depth) < 1:
            raise InvalidSetting(f"dimension, width and depth must be 1 or more: {self}")
        if len(self.centre) != self.dimension or not all(map(math.isfinite, self.centre)):
            raise InvalidSetting(f"centre needs {self.dimension} finite numbers: {self}")
        for name, value in (("noise", self.noise), ("scale", self.scale)):
            if not (math.isfinite(value) and value > 0):
                raise InvalidSetting(f"{name} must be positive and finite, got {value!r}")


def warp(s: Any, bend: float) -> tuple[Any, Any]:
    """Time ``t(s) = (exp(b s) - 1) / (exp(b) - 1)`` for ``s`` in [0, 1], and ``dt/ds``.

    The noise of the start is small, so that lines fan out soon after it: steps that are equal in
    ``s`` are short there.
    """
    exp = torch.exp if isinstance(s, Tensor) else math.exp
    grown: Any = exp(bend * s)
    total = math.expm1(bend)
    return (grown - 1.0) / total, bend * grown / total


class Velocity(nn.Module):
    """``v(u, t)``: a network of ``depth`` layers of ``width`` units with SiLU between them.

    The time enters as ``s`` with ``warp(s) = t`` and four waves of it.
    """

    def __init__(self, config: VelocityConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("centre", torch.tensor(config.centre, dtype=torch.float32))
        sizes = [config.dimension + 9, *[config.width] * config.depth]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            layers += [nn.Linear(before, after), nn.SiLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], config.dimension))

    @property
    def bend(self) -> float:
        """Bend of the time axis: the first step is as short as the noise is small."""
        return 2.0 * math.log1p(self.config.scale / self.config.noise)

    def forward(self, u: Tensor, s: Tensor) -> Tensor:
        """Velocity per unit of ``t`` for states ``(n, d)`` and warped times ``(n, 1)``."""
        waves = [f(math.pi * k * s) for k in range(1, 5) for f in (torch.sin, torch.cos)]
        seen = (u - self.get_buffer("centre")) / self.config.scale
        return self.layers(torch.cat([seen, s, *waves], dim=1)) * self.config.scale

    def flow(self, start: Tensor, steps: int) -> Tensor:
        """State at time 1, by equal Euler steps in warped time."""

        def velocity(u: Tensor, s: float) -> Tensor:
            # The average of dt/ds over the step, so that the steps add up to 1 exactly.
            advance = (warp(s + 1 / steps, self.bend)[0] - warp(s, self.bend)[0]) * steps
            return self(u, u.new_full((len(u), 1), s)) * advance

        with torch.inference_mode():
            return integrate(velocity, start, steps)


State = TypeVar("State", bound="Any")
"""An array of any library, or a number: whatever can be added, and multiplied by a number."""


def integrate(velocity: Callable[[State, float], State], start: State, steps: int) -> State:
    """``u_1`` of ``du/dt = v(u, t)`` by Euler steps of equal length, exact once the paths are straight.

    Args:
        velocity: ``v(u, t)`` for a state (any array type) and a time in [0, 1).
        start: State at time 0.
        steps: Number of steps, at least 1.

    Raises:
        InvalidSetting: Fewer than one step.
    """
    if steps < 1:
        raise InvalidSetting(f"a flow needs at least one step, got {steps}")
    u: Any = start
    for k in range(steps):
        u = u + velocity(u, k / steps) * (1 / steps)
    return u


@dataclass(frozen=True, eq=False)
class FlowGenerator:
    """``X- = flow(X~ + s N)``: a generator for batches of samples.

    Attributes:
        network: The trained velocity.
        steps: Euler steps; after rounds of reflow few are enough.
    """

    network: Velocity
    steps: int = 64

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise InvalidSetting(f"a flow needs at least one step, got {self.steps}")

    def start(self, x_mmse: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
        """``X~ + s N``, shape ``(n, d)``."""
        x = np.asarray(x_mmse, dtype=np.float64)
        d = self.network.config.dimension
        if x.ndim != 2 or x.shape[1] != d:
            raise InvalidSetting(f"the flow carries samples of shape (n, {d}), not {x.shape}")
        return x + self.network.config.noise * rng.standard_normal(x.shape)

    def carry(self, start: NDArray[np.float64]) -> NDArray[np.float64]:
        """End of the flow from a start of shape ``(n, d)``; no randomness."""
        given = torch.from_numpy(np.asarray(start, dtype=np.float32))
        parts = [self.network.flow(part, self.steps) for part in given.split(_CHUNK)]
        return torch.cat(parts).numpy().astype(np.float64)

    def generate(
        self, x_mmse: NDArray[np.float64], rng: np.random.Generator, context: object = None
    ) -> NDArray[np.float64]:
        """Samples that follow the source as well as the network has learnt it.

        Args:
            x_mmse: Estimates, shape ``(n, d)``.
            rng: Private randomness: the noise of the start.
            context: Not read: see the module.

        Returns:
            Shape ``(n, d)``, float64 (computed in float32).

        Raises:
            InvalidSetting: ``x_mmse`` has another shape.
        """
        del context
        return self.carry(self.start(x_mmse, rng))


def save_flow(generator: FlowGenerator, path: Path) -> None:
    """Write network and settings as safetensors, under a temporary name that is then renamed."""
    from safetensors.torch import save_file

    temporary = path.with_name(f".{path.name}.tmp")
    settings = json.dumps({"velocity": asdict(generator.network.config), "steps": generator.steps})
    save_file(generator.network.state_dict(), temporary, metadata={"sample_flow": settings})
    temporary.replace(path)


def load_flow(path: Path) -> FlowGenerator:
    """Read what :func:`save_flow` wrote.

    Raises:
        BadWeights: The file is missing, damaged, or holds something else.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            settings: Mapping[str, Any] = json.loads((file.metadata() or {})["sample_flow"])
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        network = Velocity(VelocityConfig(**settings["velocity"]))
        network.load_state_dict(state)
        return FlowGenerator(network.eval(), int(settings["steps"]))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as cause:
        raise BadWeights(
            f"{path} holds no trained sample flow ({cause}); train it again"
        ) from cause
