"""The command ``veridical models``: the weights at hand and where they come from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from veridical.cli import terminal
from veridical.errors import BadWeights

__all__ = ["models"]


def models(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of own weights (default: the shipped ones).")
    ] = None,
) -> None:
    """List weights files with their size, digest and recipe."""
    from veridical.photo.weights import damaged_weights, default_weights

    place = default_weights() if folder is None else folder
    found = sorted(p for p in place.glob("*") if p.suffix in (".onnx", ".npz"))
    if not found:
        raise BadWeights(f"{place} holds no weights (.onnx or .npz files with their .json cards)")
    table = Table(title=terminal.shown(place), title_justify="left")
    for name in ("weights", "MB", "SHA-256", "trained by"):
        table.add_column(name, overflow="fold")
    for path in found:
        with damaged_weights(path):
            card: dict[str, Any] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            table.add_row(
                terminal.shown(path.stem), f"{path.stat().st_size / 1e6:.1f}", terminal.shown(card["sha256"])[:12],
                terminal.shown(card.get("command", "")),
            )  # fmt: skip
    terminal.out.print(table)
