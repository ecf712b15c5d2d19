"""ST-LPIPS: a learned perceptual distance that tolerates a shift by a pixel or two.

Source: A. Ghildyal and F. Liu, "Shift-tolerant perceptual similarity metric", ECCV 2022,
arXiv:2207.13686; weights vST0.0 from the package ``stlpips-pytorch`` 0.0.2 (BSD 2-clause)::

    d(x, y) = sum over 5 stages of  mean over positions of  w . (x_hat - y_hat)^2

where ``x_hat`` are the activations after each stage of a trunk, scaled to length 1 at every
position, and ``w >= 0`` are learned weights of the channels. The trunk is AlexNet or VGG16 with
every stride moved into a blur: pool at stride 1, reflect 2 pixels at the borders, then subsample
by 2 behind a [1 2 1] x [1 2 1] / 16 filter.

Only the *weights* of that package are used. Its modules import torchvision (which need not be
installed, or work, beside a given build of PyTorch), IPython and torchsummary without using
them, and carry parts under a non-commercial licence; so the two trunks are written out below as
tables, from the papers and the names in the weights. They reproduce that package's own output
to float32 rounding (``tests/measure/test_stlpips.py`` holds its numbers).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import accumulate, islice, product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from veridical.errors import InvalidSetting
from veridical.measure.weights import WeightsFile, load_state

if TYPE_CHECKING:
    import torch

_DISTRIBUTION = "stlpips-pytorch==0.0.2"
_WINDOW = 512
"""Side in pixels of what is computed at a time, besides an overlap: memory does not grow with the picture."""

_SMALLEST_SIDE = 32
"""Pixels; below it the deepest reflected border would be wider than the activations."""


@dataclass(frozen=True)
class _Conv:
    """Convolution at stride 1 with the bias; ``name`` is the key in the weights."""

    name: str
    padding: int


@dataclass(frozen=True)
class _MaxPool:
    """Maximum over ``size x size`` at stride 1."""

    size: int


@dataclass(frozen=True)
class _BlurHalve:
    """Reflect 2 pixels, filter, keep every second row and column."""


@dataclass(frozen=True)
class _Relu:
    """Positive part."""


_Layer = _Conv | _MaxPool | _BlurHalve | _Relu


class Trunk(Enum):
    """The network whose activations are compared; ``ALEX`` is the authors' default."""

    ALEX = "alex"
    VGG = "vgg"


_WEIGHTS = {
    Trunk.ALEX: WeightsFile(
        "stlpips_pytorch",
        _DISTRIBUTION,
        "weights/vST0.0/alex_shift_tolerant.pth",
        "b356b382f96010f77d085ee8343ecd9fd322d0a56e8de2b2d0549fafcad8b9ee",
    ),
    Trunk.VGG: WeightsFile(
        "stlpips_pytorch",
        _DISTRIBUTION,
        "weights/vST0.0/vgg_shift_tolerant.pth",
        "44597da68f49c1837c100ff52299050f274d102eb102e5837178c79be6f0e250",
    ),
}


def _vgg_stage(index: int, *numbers: int, pooled: bool = True) -> tuple[_Layer, ...]:
    convolutions = [(_Conv(f"slice{index}.{number}", 1), _Relu()) for number in numbers]
    head = (_MaxPool(2), _BlurHalve()) if pooled else ()
    return (*head, *(layer for pair in convolutions for layer in pair))


_STAGES: dict[Trunk, tuple[tuple[_Layer, ...], ...]] = {
    Trunk.ALEX: (
        (_Conv("slice1.0", 2), _BlurHalve(), _Relu()),
        (_MaxPool(3), _BlurHalve(), _Conv("slice2.5", 2), _Relu()),
        (_MaxPool(3), _BlurHalve(), _Conv("slice3.9", 1), _Relu()),
        (_Conv("slice4.11", 1), _Relu()),
        (_Conv("slice5.13", 1), _Relu()),
    ),
    Trunk.VGG: (
        _vgg_stage(1, 0, 2, pooled=False),
        _vgg_stage(2, 6, 8),
        _vgg_stage(3, 12, 14, 16),
        _vgg_stage(4, 20, 22, 24),
        _vgg_stage(5, 28, 30, 32),
    ),
}


def st_lpips(
    a: NDArray[np.uint8], b: NDArray[np.uint8], *, trunk: Trunk = Trunk.ALEX, device: str = "cpu"
) -> float:
    """ST-LPIPS distance between two pictures; 0 for equal ones, symmetric.

    Args:
        a: ``uint8``, ``H x W x 3``, RGB, both sides at least 32 pixels.
        b: the same shape.
        trunk: ``Trunk.ALEX`` (about 6 s of one CPU core for two pictures of a megapixel) or
            ``Trunk.VGG`` (about 23 s).
        device: where PyTorch computes, for example ``"cuda"``.

    Returns:
        The distance, no unit; typical values lie between 0 and 1. Numbers of the two trunks, and
        of LPIPS, are not comparable with each other.

    Raises:
        InvalidSetting: the arrays are not RGB pictures of one size, or too small.
        MissingDependency: the extra ``metrics`` is not installed.
        BadWeights: the installed weights are not the recorded ones.
    """
    _check_pictures(a, b)

    import torch

    state = _state(trunk, device)
    rows, columns = (_Axis.of(n, trunk, state) for n in a.shape[:2])
    totals = [0.0] * len(_STAGES[trunk])
    with torch.inference_mode():
        for window in product(*(axis.windows(_WINDOW) for axis in (rows, columns))):
            pair = (_activations(x, trunk, device, *window) for x in (a, b))
            for number, (x, y) in enumerate(zip(*pair, strict=True)):
                difference = (_directions(x) - _directions(y)).square_()
                weight = state[f"lin{number}.model.1.weight"]
                totals[number] += float(torch.nn.functional.conv2d(difference, weight).sum())
    sizes = zip(totals, rows.after, columns.after, strict=True)
    return sum(total / (height * width) for total, height, width in sizes)


def trunk_activations(
    image: NDArray[np.uint8], trunk: Trunk, stage: int, device: str = "cpu"
) -> NDArray[np.float64]:
    """Activations after a stage, 1 to 5, shape ``(h, w, channels)``.

    Raises:
        InvalidSetting: not a ``uint8`` RGB picture, or below 32 pixels.
        MissingDependency: the extra ``metrics`` is not installed.
        BadWeights: the installed weights are not the recorded ones.
    """
    _check_pictures(image, image)

    import torch

    axes = (_Axis.of(n, trunk, _state(trunk, device)) for n in image.shape[:2])
    whole = (next(axis.windows(max(image.shape))) for axis in axes)
    with torch.inference_mode():
        *_, last = islice(_activations(image, trunk, device, *whole), stage)
        return last[0].permute(1, 2, 0).cpu().numpy().astype(np.float64)


class _Reach(NamedTuple):
    """Along one side, position ``i`` after a layer is computed from ``kernel`` ones from ``stride i - padding``."""

    kernel: int
    stride: int
    padding: int

    def size(self, n: int) -> int:
        """Positions after the layer of ``n`` before it."""
        return (n + 2 * self.padding - self.kernel) // self.stride + 1


class _Cut(NamedTuple):
    """What a window needs of one side before a layer: positions, and how many beyond the border."""

    start: int
    stop: int
    before: int = 0
    after: int = 0


class _Part(NamedTuple):
    """Of one side, one stage of a window: its cut before each layer, what comes out, and what of it is counted."""

    cuts: list[_Cut]
    out: _Cut
    own: _Cut


@dataclass(frozen=True)
class _Axis:
    """One side of a picture on its way through a trunk.

    Attributes:
        reaches: Of the layers of each stage.
        before: Positions before each layer of each stage.
        after: Positions after each stage.
    """

    reaches: list[list[_Reach]]
    before: list[list[int]]
    after: list[int]

    @classmethod
    def of(cls, n: int, trunk: Trunk, state: dict[str, torch.Tensor]) -> _Axis:
        """A side of ``n`` pixels."""
        reaches = [[_reach(layer, state) for layer in stage] for stage in _STAGES[trunk]]
        sizes = [list(accumulate(reaches[0], lambda size, reach: reach.size(size), initial=n))]
        for stage in reaches[1:]:
            sizes.append(
                list(accumulate(stage, lambda size, reach: reach.size(size), initial=sizes[-1][-1]))
            )
        return cls(reaches, [s[:-1] for s in sizes], [s[-1] for s in sizes])

    def windows(self, side: int) -> Iterator[list[_Part]]:
        """Windows of about ``side`` pixels that count every position of every stage once.

        What a window needs around what it counts overlaps with others; beyond the borders of the picture it is
        padded as the picture is.
        """
        count = -(-self.before[0][0] // side)
        for k in range(count):
            parts: list[_Part] = []
            for reaches, before, after in zip(
                self.reaches[::-1], self.before[::-1], self.after[::-1], strict=True
            ):
                own = _Cut(after * k // count, after * (k + 1) // count)
                need = out = _union(own, parts[0].cuts[0]) if parts else own
                cuts: list[_Cut] = []
                for reach, n in zip(reaches[::-1], before[::-1], strict=True):
                    start = reach.stride * need.start - reach.padding
                    stop = reach.stride * (need.stop - 1) - reach.padding + reach.kernel
                    need = _Cut(max(0, start), min(n, stop), max(0, -start), max(0, stop - n))
                    cuts.insert(0, need)
                parts.insert(0, _Part(cuts, out, own))
            yield parts


def _union(a: _Cut, b: _Cut) -> _Cut:
    return _Cut(min(a.start, b.start), max(a.stop, b.stop))


def _reach(layer: _Layer, state: dict[str, torch.Tensor]) -> _Reach:
    match layer:
        case _Conv(name, padding):
            return _Reach(state[f"net.{name}.weight"].shape[-1], 1, padding)
        case _MaxPool(size):
            return _Reach(size, 1, 0)
        case _BlurHalve():
            return _Reach(3, 2, 2)
        case _Relu():
            return _Reach(1, 1, 0)


def _activations(
    image: NDArray[np.uint8], trunk: Trunk, device: str, rows: list[_Part], columns: list[_Part]
) -> Iterator[torch.Tensor]:
    """What a window counts after each stage, shape ``(1, channels, h, w)`` each."""
    import torch

    state = _state(trunk, device)
    top, left = rows[0].cuts[0], columns[0].cuts[0]
    cut = image[top.start : top.stop, left.start : left.stop].copy()  # it may be read-only
    x = torch.from_numpy(cut).to(device)[None].permute(0, 3, 1, 2).float()
    x = (x / 127.5 - 1.0 - state["scaling_layer.shift"]) / state["scaling_layer.scale"]
    for layers, down, across in zip(_STAGES[trunk], rows, columns, strict=True):
        x = _cropped(x, (top.start, left.start), down.cuts[0], across.cuts[0])
        for layer, r, c in zip(layers, down.cuts, across.cuts, strict=True):
            x = _apply(layer, x, state, (c.before, c.after, r.before, r.after))
        top, left = down.out, across.out
        yield _cropped(x, (top.start, left.start), down.own, across.own)


def _cropped(x: torch.Tensor, origin: tuple[int, int], rows: _Cut, columns: _Cut) -> torch.Tensor:
    top, left = origin
    return x[..., rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]


def _apply(
    layer: _Layer, x: torch.Tensor, state: dict[str, torch.Tensor], pads: tuple[int, int, int, int]
) -> torch.Tensor:
    """A layer; ``pads`` are positions beyond the borders: left, right, top, bottom."""
    from torch.nn import functional

    match layer:
        case _Conv(name, _):
            weight, bias = state[f"net.{name}.weight"], state[f"net.{name}.bias"]
            return functional.conv2d(functional.pad(x, pads), weight, bias)
        case _MaxPool(size):
            return functional.max_pool2d(x, size, stride=1)
        case _BlurHalve():
            kernel = x.new_tensor([1.0, 2.0, 1.0]).outer(x.new_tensor([1.0, 2.0, 1.0])) / 16.0
            channels = x.shape[1]
            padded = functional.pad(x, pads, mode="reflect")
            return functional.conv2d(
                padded, kernel.expand(channels, 1, 3, 3), stride=2, groups=channels
            )
        case _Relu():
            return x.relu_()


def _directions(x: torch.Tensor) -> torch.Tensor:
    return x / (x.norm(dim=1, keepdim=True) + 1e-10)


@lru_cache(maxsize=2)
def _state(trunk: Trunk, device: str) -> dict[str, torch.Tensor]:
    return {name: tensor.to(device) for name, tensor in load_state(_WEIGHTS[trunk]).items()}


def _check_pictures(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> None:
    for picture in (a, b):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise InvalidSetting(
                f"ST-LPIPS compares uint8 pictures H x W x 3, not {picture.dtype} of shape "
                f"{picture.shape}; convert with Pillow's convert('RGB')"
            )
    if a.shape != b.shape:
        raise InvalidSetting(
            f"pictures of shapes {a.shape} and {b.shape}; compare two pictures of one size"
        )
    if min(a.shape[:2]) < _SMALLEST_SIDE:
        raise InvalidSetting(
            f"a picture of {a.shape[1]}x{a.shape[0]} is too small; "
            f"ST-LPIPS needs both sides of {_SMALLEST_SIDE} pixels or more"
        )
