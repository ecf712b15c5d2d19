"""Generators of photographs on one estimator: distance to photographs against what realism costs.

[T] V calls the generator the least satisfactorily implemented part. On AVIF files of 0.2 bits a pixel the estimator that
ships stays as it is, and generators of one kind are trained on it to several losses, beside sharpening by a constant
and white noise of the size that the estimator expects. Each has a transport cost ``C`` and a Frechet distance;
``C = W2^2`` is the least that realism can cost, posterior sampling has ``C = d`` and so ``D = 2 d`` ([T] Prop. 1).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from veridical.errors import MissingFile
from veridical.studies.records import Record, Run, load_record, save_record
from veridical.studies.style import figure, save_figure, shades

if TYPE_CHECKING:
    from torch import Tensor

RATE_BITS_PER_PIXEL = 0.2
TRAINED: dict[str, dict[str, Any]] = {
    "squared error": {"energy": 0.0, "critic": 0.0, "error": 1.0, "harm": 0.0},
    "energies": {"critic": 0.0},
    "critic": {"energy": 0.0},
    "both, cautious": {"error": 0.6},
    "both": {},
    "both, bold": {"error": 0.03, "harm": 0.0, "farthest": 4.0},
}
"""Changes of the preset that ships."""

PLAIN = ("sharpened 0.5", "sharpened 1", "sharpened 2", "white noise")

Generator = Callable[..., "Tensor"]


def compute(run: Run) -> Record:
    """``quick``: two steps of each on parts of the picture that ships. ``full``: 300 steps each on the photographs of ``run.data``.

    Raises:
        MissingFile: there are no photographs.
        MissingDependency: the extras ``train`` or ``metrics`` are not installed.
    """
    run.work.mkdir(parents=True, exist_ok=True)
    folder = _photographs(run.data) if run.preset == "full" else _shipped(run.work)
    kinds = [*PLAIN, *TRAINED]
    rows = []
    for n, kind in enumerate(kinds):
        part = f"{kind.replace(' ', '-').replace(',', '')}-part"
        if not (run.work / f"{part}.npz").is_file():
            made = _plain(kind) if kind in PLAIN else _trained(kind, folder, run)
            save_record(Record(part, {}, _measured(made, folder)), run.work)
        rows.append(load_record(run.work / f"{part}.npz").arrays)
        run.progress(n + 1, len(kinds))
    names = ("d", "C", "D", "frechet", "start")
    arrays = {key: np.array([row[key] for row in rows]) for key in names}
    return Record("generators-photo", {"kinds": kinds}, arrays)


def _photographs(data: Path | None) -> Path:
    folder = (data or Path(os.environ.get("VERIDICAL_DATA", "../shared/data"))) / "photos"
    if not (folder / "val").is_dir():
        raise MissingFile(
            f"no photographs in {folder}; name with --data the folder that holds photos/train-a.tar and photos/val, "
            "or take --preset quick"
        )
    return folder


def _estimator() -> tuple[Any, Any]:
    from veridical.photo.condition import ResidualScale
    from veridical.photo.weights import weights_path
    from veridical.training.export import load_estimator

    header, network = load_estimator(weights_path("avif", None))
    return network, ResidualScale(*(np.array(t, dtype=float) for t in header["scale"]))


def _plain(kind: str) -> Generator:
    """Without training: ``x + k (x - blurred x)``, or noise of the expected size."""
    import torch
    from torch.nn.functional import avg_pool2d

    def made(x_mmse: Tensor, size: Tensor, seen: Tensor, features: Tensor, scale: Tensor) -> Tensor:
        del seen, features
        if kind == "white noise":
            noise = torch.randn(x_mmse.shape, generator=torch.Generator().manual_seed(0))
            return x_mmse + size * scale * noise
        blurred = avg_pool2d(x_mmse, 3, 1, 1, count_include_pad=False)
        return x_mmse + float(kind.split()[1]) * (x_mmse - blurred)

    return made


def _trained(kind: str, folder: Path, run: Run) -> Generator:
    import torch

    from veridical.photo.formats.avif import AVIF
    from veridical.training.generator import SHARES, train_generator
    from veridical.training.loop import Execution
    from veridical.training.photo_run import PRESETS
    from veridical.training.pieces import PieceSampler
    from veridical.training.sources import prepare_sources
    from veridical.training.stages import Batches, accelerator_for

    full = run.preset == "full"
    sizes, steps = PRESETS["cpu" if full else "tiny"], 300 if full else 2
    preset = replace(
        sizes.generator, schedule=replace(sizes.generator.schedule, steps=steps), **TRAINED[kind]
    )
    sources = prepare_sources(
        [folder / ("train-a.tar" if full else "val")], [], run.work / "sources",
        lambda done, total: None, n_drawings=sizes.drawings,
    )  # fmt: skip
    estimator, scale = _estimator()
    sampler = PieceSampler(
        sources, AVIF, scale, patch=sizes.patch, batch_size=sizes.batch_size, seed=3,
        shares=SHARES, finest=preset.finest, largest=sizes.patch + 72,
    )  # fmt: skip
    accelerator = accelerator_for(sizes.mixed_precision)
    torch.manual_seed(0)  # initial weights only
    result = train_generator(
        preset.network(), estimator.given, Batches(sampler, accelerator), preset,
        Execution(run.work / f"{kind}.ckpt", accelerator),
    )  # fmt: skip
    assert result is not None  # no limit of time
    return result[0].cpu().eval()


def _shipped(work: Path) -> Path:
    """A folder with parts of the picture that ships."""
    with Image.open(str(files("veridical.photo") / "demo.webp")) as opened:
        picture = opened.convert("RGB")
    (work / "val").mkdir(exist_ok=True)
    for k in range(5):
        picture.crop((64 * k, 64, 64 * k + 192, 256)).save(work / "val" / f"{k}.png")
    return work


def _measured(generate: Generator, folder: Path) -> dict[str, NDArray[np.float64]]:
    """``d``, ``C``, ``D`` (means) and the Frechet distance with its error, of realism 1 and (``start``) 0."""
    import torch

    from veridical.measure import FeatureStatistics, PatchFeatures, frechet_with_error
    from veridical.photo.encode import encode
    from veridical.photo.formats.avif import AVIF
    from veridical.training.pictures import opened, pictures

    estimator, scale = _estimator()
    patches = PatchFeatures()
    sets: list[list[FeatureStatistics]] = []
    errors = []
    for _, data in list(pictures([folder / "val"]))[1::3]:
        whole = opened(data)
        side = (min(whole.width, 512) // 16 * 16, min(whole.height, 512) // 16 * 16)
        whole = whole.crop((0, 0, *side))
        coded = encode(whole, format="AVIF", bpp=RATE_BITS_PER_PIXEL)
        condition = AVIF.condition(coded, *whole.size)
        if condition is None:
            continue
        x, y = (_tensor(np.asarray(p)) for p in (whole, opened(coded)))
        features = torch.from_numpy(condition.features(AVIF.features))[None]
        unit = torch.full((1, 1, 1, 1), float(scale(condition)))
        with torch.no_grad():
            x_mmse, size = estimator(y, features, unit)
            x_real = generate(x_mmse, size, y, features, unit).clamp(0, 1)
        x_mmse = x_mmse.clamp(0, 1)
        errors.append([_error(x, x_mmse), _error(x_mmse, x_real), _error(x, x_real)])
        sets.append([FeatureStatistics.of(patches(_levels(v))) for v in (x, x_mmse, x_real)])
    truth, start, real = zip(*sets, strict=True)
    d, cost, total = np.mean(errors, axis=0)
    far = [frechet_with_error(truth, s) for s in (start, real)]
    start_far, real_far = (np.array([f.value, f.standard_error]) for f in far)
    return {
        "d": np.array(d), "C": np.array(cost), "D": np.array(total),
        "frechet": real_far, "start": start_far,
    }  # fmt: skip


def _tensor(pixels: np.ndarray) -> Tensor:
    import torch

    return torch.from_numpy(pixels.transpose(2, 0, 1)[None].astype(np.float32) / 255)


def _levels(x: Tensor) -> np.ndarray:
    return np.rint(x[0].numpy().transpose(1, 2, 0) * 255).astype(np.uint8)


def _error(a: Tensor, b: Tensor) -> float:
    return float((a.double() - b.double()).square().mean())


def draw(record: Record, folder: Path) -> list[Path]:
    """Distance against ``C / d``, and against what is paid in all, with the bounds."""
    kinds = record.facts["kinds"]
    d, cost, total = (record.arrays[k] for k in ("d", "C", "D"))
    colours = shades(len(kinds))
    with figure(2, width=4.4, height=3.6) as (drawn, (left, right)):
        for axes, at in ((left, cost / d), (right, total / d)):
            for k, kind in enumerate(kinds):
                value, error = record.arrays["frechet"][k]
                axes.errorbar(at[k], value, error, fmt="s" if kind in PLAIN else "o", ms=5, capsize=2,
                              color=colours[k], label=kind)  # fmt: skip
            axes.axhline(record.arrays["start"][0, 0], color="k", lw=0.8, ls=":", label="realism 0")
            axes.set(ylabel="Frechet distance to photographs", ylim=(0, None))
        left.axvline(1.0, color="k", lw=0.8, ls="--", label="posterior sampling: $C = d$")
        right.axvline(1.0, color="k", lw=0.8)
        right.axvline(2.0, color="k", lw=0.8, ls="--", label="$D = 2d$")
        left.set(xlabel="transport cost $C / d$", title="What the generator costs", xscale="log")
        right.set(xlabel="error at realism 1, $D / d$", title="What is paid in all")
        left.legend(fontsize=6)
        return save_figure(drawn, folder, "generators-photo")
