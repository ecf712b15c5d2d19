"""Weights files of a format and their price list, measured on pictures of no training set."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from veridical.errors import TrainingData
from veridical.photo.condition import Condition, ResidualScale
from veridical.photo.formats.conventional import ConventionalFormat
from veridical.photo.noise import NoiseField
from veridical.photo.options import DecodeOptions
from veridical.photo.price import PriceList
from veridical.photo.restoration import (
    Cells,
    PixelWindow,
    RestorationDecoder,
    RestorationModel,
    expected_error,
    load_restoration,
)
from veridical.photo.tiles import Box
from veridical.photo.weights import write_weights
from veridical.training.augment import augment
from veridical.training.drawings import KINDS, draw
from veridical.training.estimator import BlockEstimator
from veridical.training.estimator_validation import opened, saved
from veridical.training.export import example, to_onnx, with_header
from veridical.training.generator import FilterGenerator
from veridical.training.pairs import Pairs
from veridical.training.pictures import pictures
from veridical.training.pieces import Piece
from veridical.training.stages import Progress, silent
from veridical.writing import write_text

_QUALITIES = (1, 5, 13, 27, 48, 73, 91, 99)
"""Ends of ranges; every picture is coded once in each, so that no quality lies far from a measured one."""

_DRAWN = (10, 50, 80, 95)
_SIDE = 256


def header_of(
    form: ConventionalFormat | Pairs, estimator: BlockEstimator, scale: ResidualScale
) -> dict[str, Any]:
    """Metadata of an estimator's file without prices."""
    return {
        "kind": "estimator", "format": form.name, "features": list(form.features), "prices": None,
        "rate_known": not isinstance(form, Pairs) or form.rate_known,
        "network": asdict(estimator.network.config), "head": estimator.sizes,
        "scale": [scale.with_quantizer.tolist(), scale.without_quantizer.tolist()],
    }  # fmt: skip


def write_priced(
    path: Path,
    form: ConventionalFormat | Pairs,
    estimator: BlockEstimator,
    generator: FilterGenerator,
    scale: ResidualScale,
    validation: Path,
    recipe: dict[str, Any],
    progress: Progress = silent,
) -> None:
    """Measure the price list and write estimator and generator with their cards.

    Args:
        path: ``FORMAT.onnx``; the generator's file goes beside it, and so does a log from which a
            killed measurement goes on.
        form: The format.
        estimator: Trained.
        generator: Trained on it.
        scale: Residual scale.
        validation: Folder or tar file of photographs; pairs hold their own.
        recipe: For the cards.
        progress: Called with (stage, done, total).

    Raises:
        TrainingData: There are no validation pictures.
    """
    header = header_of(form, estimator, scale)
    networks = tuple(
        to_onnx(g.eval(), example(g, len(form.features)), g.OUTPUTS, header)
        for g in (estimator, generator)
    )
    # Measured as shipped, in half precision; the name of the result is for the result alone.
    unpriced = path.with_name(f"{path.stem}-unpriced.onnx")
    _write_pair(unpriced, networks, header, generator, {"priced": False})
    model = load_restoration(form.name, DecodeOptions(weights=unpriced))
    rows = _measure(model, form, validation, path.with_name("prices.jsonl"), progress)
    prices = fitted_prices(rows)
    recipe = recipe | {
        "validation": {
            "files": len(rows),
            "sha256": form.digest if isinstance(form, Pairs) else digest_of(validation),
        },
        "figures": figures_of(rows, prices),
    }
    _write_pair(path, networks, header | {"prices": prices.as_json()}, generator, recipe)
    for old in path.parent.glob(f"{unpriced.stem}*"):
        old.unlink()


def fitted_prices(rows: list[dict]) -> PriceList:
    """From what was measured. Drawings tell the uncertainty alone; files coded before are not told from others."""
    rows = [r for r in rows if "before" not in r["quality"]]
    usual = np.array([r["quality"].startswith("photographs") for r in rows])
    conditions = [Condition(**r["condition"]) for r in rows]
    expected, unevenness, mmse, cost = (
        np.array([r[k] for r in rows]) for k in ("expected", "unevenness", "mmse", "cost")
    )
    return PriceList.fit(conditions, expected, unevenness, mmse, cost, usual)


def _write_pair(
    path: Path,
    networks: tuple[bytes, ...],
    header: dict[str, Any],
    generator: FilterGenerator,
    recipe: dict[str, Any],
) -> None:
    """Estimator and generator; the generator's metadata names its estimator."""
    estimator = with_header(networks[0], header)
    own = {k: header[k] for k in ("format", "features")} | {
        "kind": "generator", "network": asdict(generator.network.config),
        "estimator": hashlib.sha256(estimator).hexdigest(),
    }  # fmt: skip
    write_weights(path, estimator, recipe)
    beside = path.with_name(f"{path.stem}-generator{path.suffix}")
    write_weights(beside, with_header(networks[1], own), recipe)


def digest_of(source: Path) -> str:
    """SHA-256 over names and bytes of the pictures of a folder or tar file."""
    sha = hashlib.sha256()
    for name, data in pictures([source]):
        sha.update(name.encode() + hashlib.sha256(data).digest())
    return sha.hexdigest()


def _qualities(k: int) -> Iterator[tuple[str, int]]:
    """(group, quality) of picture number ``k``, evenly spread over each range (golden section)."""
    for low, high in itertools.pairwise(_QUALITIES):
        quality = low + int((k * 0.618034 + 0.5) % 1 * (high - low))
        yield f"photographs {low:02} to {high - 1:02}", quality


def _files(validation: Path, name: str) -> Iterator[tuple[str, Image.Image, bytes]]:
    """(group, source, file) of photographs, drawings and photographs coded before."""
    for k, (_, data) in enumerate(pictures([validation])):
        whole = opened(data)
        picture = _middle(whole)
        if (
            k % 2 == 0 and min(whole.size) > _SIDE
        ):  # as training sees them too: scaled, mostly grainy
            again = _middle(augment(whole, np.random.default_rng(k), _SIDE))
            for group, q in _qualities(k + 20):
                yield group, again, saved(again, name, quality=q)
        for group, q in _qualities(k):
            yield group, picture, saved(picture, name, quality=q)
        box = (4, 4, *picture.size)
        before = opened(saved(picture, "JPEG", quality=30)).crop(box)
        yield "JPEG 30 before 90", picture.crop(box), saved(before, name, quality=90)
        again = opened(saved(picture, "AVIF", quality=30, speed=9))
        yield "AVIF 30 before 90", picture, saved(again, name, quality=90)
    for kind in KINDS:
        picture = draw(kind, 30_000).crop((96, 96, 416, 416))
        for q in _DRAWN:
            chroma = {"subsampling": "4:4:4" if q == 80 else "4:2:0"} if name != "WEBP" else {}
            yield f"drawings {q:03}", picture, saved(picture, name, quality=q, **chroma)


def _middle(picture: Image.Image) -> Image.Image:
    x, y = (max(0, n // 2 - 160) for n in picture.size)
    return picture.crop((x, y, min(picture.width, x + 320), min(picture.height, y + 320)))


def _measure(
    model: RestorationModel,
    form: ConventionalFormat | Pairs,
    validation: Path,
    log: Path,
    progress: Progress,
) -> list[dict]:
    """Errors and transport costs of every file that is not lossless, resumable."""
    digest = model.estimator.digest + model.generator.digest
    rows = [r for r in _rows(log) if r["weights"] == digest]
    known = {r["number"]: r for r in rows}
    files: list[tuple[str, Any, bytes]] = list(
        form.validation() if isinstance(form, Pairs) else _files(validation, form.pillow_names[0])
    )
    if not any(group.startswith("photographs") for group, _, _ in files):
        raise TrainingData(f"{validation} holds no pictures for the price list")
    with log.open("a", encoding="utf-8", newline="\n") as out:
        for number, (group, found, data) in enumerate(files):
            progress("measuring prices", number + 1, len(files))
            if number in known:
                continue
            piece, cells = found, None
            if isinstance(form, ConventionalFormat):
                condition, cells = form.condition(data, *found.size), form.read_cells(data)
                if condition is None:
                    continue
                y = np.asarray(opened(data))
                piece = Piece(np.asarray(found.convert("RGB")), y, condition)
            row = measure_piece(model, piece, cells, _SIDE, number)
            row |= {"number": number, "quality": group, "weights": digest}
            rows.append(row)
            out.write(json.dumps(row) + "\n")
            out.flush()
    return sorted(rows, key=lambda r: r["number"])


def _rows(log: Path) -> list[dict]:
    """Rows of an earlier run; a last line that a kill cut off is taken away."""
    if not log.exists():
        return []
    whole, _, rest = log.read_text(encoding="utf-8").rpartition("\n")
    if rest:
        write_text(log, whole + "\n" if whole else "")
    return [json.loads(line) for line in whole.splitlines()]


def measure_piece(
    model: RestorationModel, piece: Piece, cells: Cells | None, side: int, seed: int
) -> dict:
    """Errors and transport costs of the middle ``side`` pixels of a decoded picture.

    Args:
        model: Networks of the codec.
        piece: Source, decoded picture and what the networks are told.
        cells: Quantization cells of the file, if they are known.
        side: In pixels.
        seed: Of the generator's noise.
    """
    y, condition = piece.decoded, piece.condition
    top = max(0, (y.shape[0] - side) // 32 * 16)
    left = max(0, (y.shape[1] - side) // 32 * 16)
    cut = np.s_[top : top + side, left : left + side]
    x = piece.source[cut].transpose(2, 0, 1) / 255
    height, width = y[cut].shape[:2]
    window = PixelWindow(y[cut], Box(top, top + height, left, left + width), cells)
    decoder = RestorationDecoder(model, condition)
    estimate = decoder.estimate(window)
    x_mmse = np.clip(estimate.x_mmse, 0, 1)
    x_real = np.clip(decoder.generate(estimate, NoiseField(seed)), 0, 1)
    expected, unevenness = expected_error(decoder, y[cut])
    return {
        "condition": asdict(condition),
        "decoded": float(np.mean(np.square(y[cut].transpose(2, 0, 1) / 255 - x))),
        "expected": expected,
        "unevenness": unevenness,
        "mmse": float(np.mean(np.square(x_mmse - x))),
        "cost": float(np.mean(np.square(x_real - x_mmse))),
        "error_real": float(np.mean(np.square(x_real - x))),
    }


def figures_of(rows: list[dict], prices: PriceList) -> list[dict]:
    """Means by quality: gain over the decoder, price of realism 1, prediction.

    To errors of the gain a millionth of the range is added, below which rounding to 8 bits hides them.
    """
    out = []
    for quality in sorted({r["quality"] for r in rows}):
        mine = [r for r in rows if r["quality"] == quality]
        gain = np.mean([10 * np.log10((r["decoded"] + 1e-6) / (r["mmse"] + 1e-6)) for r in mine])
        predicted = [
            prices.calibration(Condition(**r["condition"]), r["expected"], r["unevenness"])
            for r in mine
        ]
        bpp = np.mean([r["condition"]["bits_per_pixel"] for r in mine])
        off = [10 * np.log10(r["mmse"] / c.mmse) for r, c in zip(mine, predicted, strict=True)]
        stated = np.mean([(c.uncertainty_db or 0) ** 2 for c in predicted])
        d, d1 = np.mean([r["mmse"] for r in mine]), np.mean([r["error_real"] for r in mine])
        formula = d + np.mean([r["cost"] for r in mine])
        out.append(
            {
                "quality": quality,
                "bits_per_pixel": round(float(bpp), 3),
                "gain_db_realism_0": round(float(gain), 3),
                "prediction_off_db": [round(float(np.mean(off)), 2), round(float(np.std(off)), 2)],
                "uncertainty_stated_db": round(float(np.sqrt(stated)), 2),
                "error_ratio_realism_1": round(float(d1 / d), 3),
                "formula_over_measured_realism_1": round(float(formula / d1), 4),
                "predicted_over_measured_realism_1": round(
                    float(np.mean([c.distortion_at(1.0) for c in predicted]) / d1), 4
                ),
            }
        )
    return out
