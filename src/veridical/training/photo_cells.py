"""The network of cells of a format's weights, from coefficients that are measured on training pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from veridical.photo.formats.conventional import ConventionalFormat
from veridical.photo.formats.jpeg_cells import JpegCells, to_ycc
from veridical.photo.options import DecodeOptions
from veridical.photo.restoration import (
    RestorationDecoder,
    RestorationModel,
    error_in_levels,
    load_restoration,
)
from veridical.photo.weights import network_path, read_card
from veridical.training.cell_network import fit_cell_network, samples_of
from veridical.training.export import belonging, write_network
from veridical.training.pairs import Pairs, Piece
from veridical.training.pieces import PieceSampler
from veridical.training.sources import Sources
from veridical.training.stages import Progress, silent
from veridical.writing import write_whole

_SIDE = 240
_SEED = 11
_SHARES = {"photograph": 0.5, "drawing": 0.25, "recompressed": 0.25}
_TOGETHER = 100
"""Pieces of a file from which a killed measurement goes on."""

_LEAST = (0.3 / 255) ** 2
"""Added to the squared error of a picture that its coefficients are weighted by."""


def write_cells(
    path: Path,
    form: ConventionalFormat | Pairs,
    sources: Sources | Pairs,
    n_pieces: int,
    run: Path,
    progress: Progress = silent,
) -> None:
    """Measure an estimator as it lies there, and write the network of its cells beside it, if its files tell cells of coefficients.

    Args:
        path: ``FORMAT.onnx`` with its card.
        form: The format.
        sources: Training pictures.
        n_pieces: Of them to measure.
        run: Folder for what was measured, from which a killed measurement goes on.
        progress: Called with (stage, done, total).
    """
    if not isinstance(form, ConventionalFormat) or not isinstance(sources, Sources):
        return
    model = load_restoration(form.name, DecodeOptions(weights=path))
    sampler = PieceSampler(
        sources, form, None, patch=_SIDE, batch_size=1, seed=_SEED, shares=_SHARES,
    )  # fmt: skip
    rows: list[dict[str, np.ndarray]] = []
    for first in range(0, n_pieces, _TOGETHER):
        numbers = range(first, min(n_pieces, first + _TOGETHER))
        kept = run / f"cells-{model.estimator.digest[:12]}-{numbers[0]}-{numbers[-1]}.npz"
        if not kept.exists():
            found = []
            for number in numbers:
                rng = np.random.default_rng([_SEED, number])
                found += _measured(model, form, sampler.piece(rng), rng)
                if not found:
                    return
                progress("measuring cells", number + 1, n_pieces)
            joined: dict[str, Any] = {k: np.concatenate([r[k] for r in found]) for k in found[0]}
            write_whole(kept, lambda file, joined=joined: np.savez(file, **joined))
        with np.load(kept) as stored:
            rows.append(dict(stored))
    steps = min(3000, 10 * n_pieces)
    network = fit_cell_network(rows, steps, lambda *done: progress("fitting cells", *done))
    header = belonging(path, "cells", form) | {"network": network.sizes}
    card, of_blocks = read_card(path, model.estimator.digest), (2, 64, 5, 6)
    write_network(
        network_path(path, "cells"), network, header, card, place=of_blocks, level=of_blocks,
        error=(2, 1, 5, 6), steps=(2, 64, 1, 1), chroma=(2, 1, 1, 1),
    )  # fmt: skip


def _measured(
    model: RestorationModel, form: ConventionalFormat, piece: Piece, rng: np.random.Generator
) -> list[dict[str, np.ndarray]]:
    """Samples of the components of the upper left of a piece."""
    cells = form.read_cells(piece.file, piece.decoded)
    if not isinstance(cells, JpegCells):
        return []
    pixels, source = (v[:_SIDE, :_SIDE] for v in (piece.decoded, piece.source))
    state = RestorationDecoder(model, piece.condition).run_estimator(pixels[None])
    x = source.transpose(2, 0, 1).astype(np.float32) / 255
    x_mmse, error = state["x_mmse"][0], error_in_levels(state)
    wrong = float(np.mean(np.square(x_mmse - x))) + _LEAST
    estimate, true = to_ycc(np.clip(x_mmse, 0, 1)), to_ycc(x)
    found = []
    for part in cells.components(0, 0, x.shape[1:]):
        inputs = part.inputs(part.coefficients(estimate), error)
        place = part.inputs(part.coefficients(true), error)["place"]
        known = np.reshape(~np.isnan(part.centre).any(axis=1), part.shape)
        sample = samples_of(inputs, place, known, rng)
        found.append(sample | {"weight": sample["weight"] * part.step**2 / wrong})
    return found
