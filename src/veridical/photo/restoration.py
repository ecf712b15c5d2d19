"""Estimator and generator for conventional formats: what is left to a decoder after the ordinary one.

```
 window of decoded pixels y ─┬─ estimator (ONNX) ─ x_mmse, local size of its error
                             └───────── generator (ONNX) ─ x_real
```
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from veridical.codec import Estimate
from veridical.errors import BadWeights, InvalidSetting
from veridical.interpolate import Calibration
from veridical.photo.condition import Condition, ResidualScale
from veridical.photo.options import GRID, DecodeOptions
from veridical.photo.price import calibration_of
from veridical.photo.tiles import Box
from veridical.photo.weights import (
    Network,
    damaged_weights,
    load_network,
    network_path,
    no_generator,
    weights_path,
)

WINDOW = 128
"""Side in pixels of a window that a price is read from."""

MOST_WINDOWS = 64
"""Of a picture. With half as many the price of 9 megapixels is 1.0 instead of 0.3 dB from that of 256 windows."""

_AT_A_TIME = 32
"""Windows; pictures of at most their area are read as a whole."""


@dataclass(frozen=True, eq=False)
class RestorationModel:
    """The networks of one format with their units and prices.

    Attributes:
        estimator: ``y, features, scale -> x_mmse, size``.
        features: Names of what the networks are told, in order.
        scale: Residual scale.
        options: Device and threads of the sessions.
    """

    estimator: Network
    features: tuple[str, ...]
    scale: ResidualScale
    options: DecodeOptions = field(repr=False)

    @cached_property
    def generator(self) -> Network:
        """``x_mmse, size, y, features, scale -> x_real``, loaded when it is first used.

        Raises:
            BadWeights: Missing, damaged, or made for another estimator.
        """
        network = self.beside("generator")
        if network is None:
            raise InvalidSetting(no_generator(self.estimator.path))
        return network

    def beside(self, kind: str) -> Network | None:
        """A network that belongs to this estimator, None if there is none: "generator", "price" or "cells".

        A price is ``y, x_mmse, size, features, scale -> price``, which weights have when prices are measured; cells are
        ``place, level, error, steps, chroma -> expected``, which some formats have.

        Raises:
            BadWeights: Damaged, or made for another estimator.
        """
        o, path = self.options, network_path(self.estimator.path, kind)
        if not path.exists():
            return None
        network = load_network(path, kind=kind, device=o.device, threads=o.threads)
        if network.header["estimator"] != self.estimator.digest:
            raise BadWeights(
                f"{path} was trained for another estimator than {self.estimator.path}; copy both again"
            )
        return network


def load_restoration(name: str, options: DecodeOptions) -> RestorationModel:
    """The networks of a format.

    Args:
        name: "AVIF", "WEBP", "JPEG" or a registered format's.
        options: Weights, device and threads.

    Raises:
        BadWeights: Missing, damaged, or of another format.
        InvalidSetting: The device is unknown or not present.
    """
    path = weights_path(name.lower(), options.weights)
    if not path.exists():
        raise BadWeights(
            f"there are no weights for {name} files at {path}; name others (--weights), train some (veridical train photo "
            f"--format {name.lower()}), or reinstall the package if it should have them"
        )
    estimator = load_network(path, kind="estimator", device=options.device, threads=options.threads)
    header = estimator.header
    with damaged_weights(path):
        if header["format"] != name:
            raise BadWeights(
                f"{path} was trained for {header['format']} files and this is one of {name}; name a folder "
                f"that holds {name.lower()}.onnx too"
            )
        scale = (np.array(table, dtype=float) for table in header["scale"])
        model = RestorationModel(
            estimator, tuple(str(n) for n in header["features"]), ResidualScale(*scale), options
        )
        _probe(model)
    return model


def _probe(model: RestorationModel) -> None:
    """One small picture through the estimator: tensors that are missing, misshapen or not numbers show."""
    y = np.full((1, 3, GRID, GRID), 0.5, np.float32)
    features = np.zeros((1, len(model.features)), np.float32)
    scale = np.full((1, 1, 1, 1), 0.05, np.float32)
    x_mmse, size = model.estimator(y=y, features=features, scale=scale)
    if x_mmse.shape != y.shape or size.shape != y.shape:
        raise BadWeights(f"{model.estimator.path} gives pictures of another size; train it again")
    if not (np.all(np.isfinite(x_mmse)) and np.all(np.isfinite(size)) and np.all(size > 0)):
        raise BadWeights(f"{model.estimator.path} gives what are no numbers; train it again")


class Cells(Protocol):
    """The convex set of pictures that a file may stand for."""

    def project(self, x: np.ndarray, top: int = 0, left: int = 0) -> np.ndarray:
        """The nearest picture in the set to a window, float32 (3, height, width) in [0, 1]."""

    def expected(
        self, x: np.ndarray, error: np.ndarray, network: Network, top: int = 0, left: int = 0
    ) -> np.ndarray:
        """The mean of the set's pictures, given an estimate that has not seen it; ``error`` is in levels, of the shape of ``x``."""
        del error, network  # of a set without a law only the nearest is known
        return self.project(x, top, left)

    def certain(self, box: Box) -> float:
        """Part of a window whose pixels are taken for exact, 0 to 1."""
        del box
        return 0.0


@dataclass(frozen=True, eq=False)
class PixelWindow:
    """A window of a picture as its ordinary decoder gave it.

    Attributes:
        pixels: uint8 of shape (height, width, 3).
        box: Its place; top and left are multiples of 16.
        cells: Quantization cells of the file, where its format's reader gives them.
        grained: The pixels with the file's film grain of a seed, where it has such.
    """

    pixels: np.ndarray = field(repr=False)
    box: Box
    cells: Cells | None = field(default=None, repr=False)
    grained: Callable[[int], np.ndarray] | None = field(default=None, repr=False)

    def project(self, x: np.ndarray) -> np.ndarray:
        """A sample of this window inside the file's cells."""
        return x if self.cells is None else self.cells.project(x, self.box.top, self.box.left)

    def expected(self, x: np.ndarray, error: np.ndarray, network: Network | None) -> np.ndarray:
        """An estimate of this window that has seen the file's cells; without a network inside them."""
        if self.cells is None or network is None:
            return self.project(x)
        return self.cells.expected(x, error, network, self.box.top, self.box.left)


@dataclass(frozen=True, eq=False)
class RestorationDecoder:
    """The decoder of one file; see ``codec.Decoder``. Arrays are float32 of shape (3, height, width) in [0, 1].

    Attributes:
        model: Networks of the file's format.
        condition: What the file tells.
    """

    model: RestorationModel
    condition: Condition

    @cached_property
    def _told(self) -> dict[str, np.ndarray]:
        features = self.condition.features(self.model.features)[None]
        scale = np.full((1, 1, 1, 1), self.model.scale(self.condition), np.float32)
        return {"features": features, "scale": scale}

    def run_estimator(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """Everything that the generator conditions on, of windows of equal size.

        Args:
            pixels: uint8 of shape (n, height, width, 3).

        Returns:
            ``y``, ``x_mmse`` and ``size``, float32 of shape (n, 3, height, width) padded to multiples of
            16, with ``features`` (n, names) and ``scale`` (n, 1, 1, 1).
        """
        n, height, width = pixels.shape[:3]
        pad = ((0, 0), (0, -height % GRID), (0, -width % GRID), (0, 0))
        y = np.pad(pixels, pad, mode="edge").transpose(0, 3, 1, 2).astype(np.float32, "C")
        y /= np.float32(255)
        told = {k: np.repeat(v, n, axis=0) for k, v in self._told.items()}
        x_mmse, size = self.model.estimator(y=y, **told)
        return {"y": y, "x_mmse": x_mmse, "size": size, **told}

    def estimate(self, index: PixelWindow, seed: int = 0) -> Estimate[np.ndarray]:
        """``E[X | file]`` of a window; these formats have no common randomness to use."""
        del seed
        state = self.run_estimator(index.pixels[None])
        height, width = index.pixels.shape[:2]
        found, error = (v[:, :height, :width] for v in (state["x_mmse"][0], error_in_levels(state)))
        return Estimate(index.expected(found, error, self.model.beside("cells")), (index, state))

    def generate(self, estimate: Estimate[np.ndarray], rng: int) -> np.ndarray:
        """The realistic picture near ``x_mmse``; ``rng`` is the seed of the file's film grain, all the noise there is."""
        index, state = estimate.state
        height, width = estimate.x_mmse.shape[-2:]
        (x_real,) = self.model.generator(**state)
        x_real, known = (v[0, :, :height, :width] for v in (x_real, state["x_mmse"]))
        # What it adds to the first estimate is added to what the cells made of that.
        out = index.project(x_real + (estimate.x_mmse - known))
        if index.grained is None:
            return out
        grain = index.grained(rng).astype(np.float32) - index.pixels
        return out + grain.transpose(2, 0, 1) / np.float32(255)

    def price(self, index: PixelWindow) -> Calibration | None:
        """Price of a picture, from what its file tells and what the estimator expects of some windows of it."""
        prices = self.model.beside("price")
        if prices is None:
            return None
        boxes = price_windows(*index.pixels.shape[:2])
        predicted = np.concatenate(
            [
                prices(**self.run_estimator(_cut(index.pixels, boxes[k : k + _AT_A_TIME])))[0]
                for k in range(0, len(boxes), _AT_A_TIME)
            ]
        )
        cells = index.cells
        price = calibration_of(
            predicted, np.array([cells.certain(b) if cells else 0.0 for b in boxes])
        )
        if index.grained is None:
            return price
        seen, clean = (_cut(v, boxes).astype(np.float32) for v in (index.grained(0), index.pixels))
        grain = float(np.mean(np.square(seen - clean), dtype=np.float64)) / 255**2
        return replace(price, mmse=price.mmse + grain, transport_cost=price.transport_cost + grain)


def error_in_levels(state: Mapping[str, np.ndarray]) -> np.ndarray:
    """Standard deviation to expect of the first estimate along the axes of colour, in levels: (3, height, width)."""
    return state["size"][0] * (state["scale"][0] * np.float32(255))


def price_windows(height: int, width: int) -> list[Box]:
    """Where a price is read: the whole picture, or windows of equal size at even distances, the same for the same picture."""
    if height * width <= _AT_A_TIME * WINDOW**2:
        return [Box(0, height, 0, width)]
    high, wide = min(height, WINDOW), min(width, WINDOW)
    columns = max(1, round(math.sqrt(MOST_WINDOWS * width / height)))
    columns = min(columns, MOST_WINDOWS, width // wide)
    rows = max(1, min(MOST_WINDOWS // columns, height // high))
    tops = np.linspace(0, height - high, rows).astype(int) // GRID * GRID
    lefts = np.linspace(0, width - wide, columns).astype(int) // GRID * GRID
    return [Box(int(t), int(t) + high, int(x), int(x) + wide) for t in tops for x in lefts]


def _cut(pixels: np.ndarray, boxes: list[Box]) -> np.ndarray:
    """Windows of a picture, (n, height, width, 3)."""
    return np.stack([pixels[b.top : b.bottom, b.left : b.right] for b in boxes])
