"""Training of the estimator for JPEG files, and its gain on pictures that it was not trained on.

Loss of a patch: ``|x - x_mmse|^2 / (e(y) + floor)``, where ``e(y)`` is the squared error that the
network itself expects of the patch (its spread head, learned beside it by Gaussian likelihood, without
gradient into the rest). The weight depends on what the decoder sees alone, so the minimiser stays
``E[x | file]``; and as the gradient of the logarithm of an error is its inverse, every patch counts by
its decibels, fine qualities and flat areas as much as coarse ones.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from veridical.photo.condition import ResidualScale
from veridical.photo.jpeg_header import CONDITIONS, conditioning, parse_jpeg_header
from veridical.photo.model import PhotoModel
from veridical.photo.residual import local_size
from veridical.photo.network import GRID, NetworkConfig, laid_out
from veridical.training.drawings import HELD_OUT, KINDS, draw
from veridical.training.flow_parts import spread_loss
from veridical.training.jpeg_data import JpegSampler, Sources, scale_condition
from veridical.training.jpeg_network import JpegEstimator
from veridical.training.loop import Schedule, train
from veridical.training.photo_data import pictures
from veridical.training.photo_parts import accelerator_for

__all__ = ["JpegPreset", "restore", "train_jpeg", "validate"]

_POWER = 0.8
_FLOOR = 3e-6
"""Added to the squared error to expect, (0.44 of 255 levels)^2: rounding leaves 0.29."""


@dataclass(frozen=True)
class Plateau(Schedule):
    """A constant rate after the warm-up, then a straight line to zero.

    Attributes:
        decay: Steps of the line at the end. Until they begin, ``steps`` may be changed.
    """

    decay: int = 1000

    def rate(self, step: int, peak: float | None = None) -> float:
        """Learning rate at a step."""
        peak = self.learning_rate if peak is None else peak
        return peak * min(1.0, (step + 1) / 50, (self.steps - step) / self.decay)


@dataclass(frozen=True)
class JpegPreset:
    """Sizes of a training of the JPEG estimator."""

    schedule: Schedule = Plateau(8000, 4e-4, hidden_rate=8e-4, decay=2500)
    widths: tuple[int, int, int] = (64, 112, 128)
    blocks: tuple[int, int, int] = (1, 4, 2)
    blocks_up: tuple[int, int] = (3, 2)
    patch: int = 128
    batch_size: int = 8
    mixed_precision: str = "bf16"

    def config(self) -> NetworkConfig:
        """Of the network."""
        return NetworkConfig(2, self.widths, self.blocks, self.blocks_up, spread=True)


def jpeg_loss(network: JpegEstimator, x: Tensor, y: Tensor, features: Tensor, scale: Tensor) -> Tensor:
    """See the module."""
    with torch.no_grad():
        change, trunk = network.trunk(y, features, scale)
    out, log_size = network.head(y, features, change, trunk)
    size = local_size(log_size)
    expected = (size.detach() * scale).square().mean((1, 2, 3), keepdim=True)
    weight = (expected + _FLOOR) ** _POWER * (scale**2) ** (1 - _POWER)
    error = ((out.float() - x).square() / weight).mean()
    return error + 0.1 * spread_loss(x - out.detach().float(), size.float(), scale)


def train_jpeg(
    sources: Sources,
    scale: ResidualScale,
    start: PhotoModel,
    preset: JpegPreset,
    run: Path,
    *,
    seed: int = 1,
    seconds: float | None = None,
    report: Callable[[int, float, float], None] = lambda step, loss, seconds: None,
) -> tuple[torch.nn.Module, dict[str, float]] | None:
    """Train to the end of the schedule; ``None`` if ``seconds`` ran out, with a checkpoint.

    On a processor two threads take half a batch each: threads that share every convolution wait for
    each other hundreds of times a step, which on a machine that does other work costs threefold.
    """
    accelerator = accelerator_for(preset)
    torch.manual_seed(seed)  # initial weights only
    network = JpegEstimator(preset.config())
    network.network.load_state_dict(start.estimator.state_dict())
    for name, parameter in network.network.named_parameters():
        parameter.requires_grad_(name.startswith("spread"))
    network = laid_out(network)
    sampler = JpegSampler(
        sources, scale, patch=preset.patch, batch_size=preset.batch_size, seed=seed
    )

    trained = [p for p in network.parameters() if p.requires_grad]
    workers = 2 if accelerator.device.type == "cpu" else 1
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
    coming: dict[int, Future[dict[str, np.ndarray]]] = {}

    def part(model: JpegEstimator, batch: dict[str, np.ndarray], k: int) -> tuple[Tensor, ...]:
        b = {name: torch.from_numpy(v[k::workers]).to(accelerator.device) for name, v in batch.items()}
        x, y = (b[k].permute(0, 3, 1, 2).float().div_(255) for k in ("source", "decoded"))
        with accelerator.autocast():
            value = jpeg_loss(model, x, y, b["features"], b["scale"][:, None, None, None])
        return value.detach(), *torch.autograd.grad(value, trained)

    def loss(model: JpegEstimator, step: int) -> Tensor:
        batch = coming.pop(step).result() if step in coming else sampler.batch(step)
        parts = list(pool.map(lambda k: part(model, batch, k), range(workers)))
        coming[step + 1] = pool.submit(sampler.batch, step + 1)
        value, *gradients = (sum(p) / workers for p in zip(*parts, strict=True))
        linear = sum((p * g).sum() for p, g in zip(trained, gradients, strict=True))
        return value + linear - linear.detach()  # whose gradient is that of the loss

    return train(
        network, loss, preset.schedule, run / "estimator.ckpt", accelerator=accelerator, hidden=network.hidden_weights(),
        report=report, stop_after_seconds=seconds,
    )  # fmt: skip


@torch.inference_mode()
def restore(network: JpegEstimator, scale: ResidualScale, data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """The ordinary decoder's picture and the estimate of a JPEG file, floats on the scale of 255."""
    header = parse_jpeg_header(data)
    with Image.open(io.BytesIO(data)) as im:
        decoded = np.asarray(im.convert("RGB"))
    height, width = decoded.shape[:2]
    c = conditioning(header, width, height)
    features = torch.tensor([[c[name] for name in CONDITIONS]])
    y = torch.from_numpy(decoded.copy()).permute(2, 0, 1)[None].float() / 255
    y = torch.nn.functional.pad(y, (0, -width % GRID, 0, -height % GRID), mode="replicate")
    y = y.contiguous(memory_format=torch.channels_last)
    s = torch.full((1, 1, 1, 1), scale(scale_condition(header, width, height)))
    out, _ = network(y, features, s)
    out = out[0, :, :height, :width].clamp(0, 1).permute(1, 2, 0).numpy() * 255
    return decoded.astype(np.float32), out


def _psnr(a: np.ndarray, b: np.ndarray) -> float:
    """In decibels, not above 60: rounding to 8 bits alone leaves 58.9."""
    return float(-10 * np.log10(np.mean((a - b) ** 2) / 255**2 + 1e-6))


def _saved(picture: Image.Image, name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, name, **options)
    return buffer.getvalue()


def _opened(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as im:
        return im.convert("RGB")


def _cases(validation: Sequence[Path], every: int) -> Iterator[tuple[str, Image.Image, bytes]]:
    """(group, source, file) of photographs, drawings and recompressed photographs."""
    photographs = [_opened(d).crop((128, 128, 384, 384)) for _, d in pictures(validation)][::every]
    for picture in photographs:
        for q in (5, 10, 20, 40, 60, 80, 92, 98):
            yield f"q{q:02}", picture, _saved(picture, "JPEG", quality=q)
        grey = picture.convert("L")
        for q in (10, 40):
            yield f"grey q{q}", grey, _saved(grey, "JPEG", quality=q)
        yield "444 q95", picture, _saved(picture, "JPEG", quality=95, subsampling=0)
        for name, before, q, shift in (
            ("again jpeg30-90", _saved(picture, "JPEG", quality=30), 90, 4),
            ("again avif30-90", _saved(picture, "AVIF", quality=30, speed=9), 90, 0),
            ("again jpeg10-75", _saved(picture, "JPEG", quality=10), 75, 4),
        ):
            box = (shift, shift, 256, 256)
            yield name, picture.crop(box), _saved(_opened(before).crop(box), "JPEG", quality=q)
    for kind in (*KINDS, *HELD_OUT):
        for k in range(2):
            picture = draw(kind, 10_000 + k).crop((100, 100, 324, 260))
            group = "held" if kind in HELD_OUT else "drawn"
            for q, mode in ((20, 2), (50, 2), (75, 0), (90, 2), (95, 0), (98, 2)):
                yield f"{group} {kind}", picture, _saved(picture, "JPEG", quality=q, subsampling=mode)


def validate(
    network: JpegEstimator, scale: ResidualScale, validation: Sequence[Path], every: int = 3
) -> dict[str, list[float]]:
    """Gains in decibels over the ordinary decoder, after rounding to 8 bits, by group."""
    gains: dict[str, list[float]] = {}
    for group, source, data in _cases(validation, every):
        x = np.asarray(source.convert("RGB"), dtype=np.float32)
        y, out = restore(network, scale, data)
        gains.setdefault(group, []).append(_psnr(x, out.round()) - _psnr(x, y))
    return gains


def smaller(preset: JpegPreset, steps: int, **changes: object) -> JpegPreset:
    """The preset with a schedule of another length."""
    return replace(preset, schedule=replace(preset.schedule, steps=steps), **changes)
