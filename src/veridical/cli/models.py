"""The command ``veridical models``: the weights at hand and where they come from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from veridical.cli import terminal
from veridical.cli.pipes import AsJson, say_json
from veridical.errors import BadWeights


def models(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of own weights (default: those that are in use).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List weights files with their size, digest, licence, recipe and measured figures.

    Figures are of the validation photographs. --json prints each card as it is.
    """
    from veridical.photo.weights import SHIPPED, damaged_weights, default_weights

    place = default_weights() if folder is None else folder
    found = sorted(p for p in place.glob("*") if p.suffix in (".onnx", ".npz"))
    if not found:
        raise BadWeights(f"{place} holds no weights (.onnx or .npz files with their .json cards)")
    families: dict[str, tuple[list[str], list[str]]] = {}
    for path in found:
        with damaged_weights(path):
            card: dict[str, Any] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            card = {"licence": "Apache-2.0" if place == SHIPPED else "not said"} | card
            files, lines = families.setdefault(path.stem.partition("-")[0], ([], []))
            size = f"{path.stat().st_size / 1e6:.1f} MB"
            files.append(f"{path.name}, {size}, {card['sha256'][:12]}")
            lines += [f"licence: {card['licence']}", *_recipe(card), *_figures(card)]
        if as_json:
            say_json({"file": path} | card)
    if as_json:
        return
    table = Table(title=terminal.shown(place), title_justify="left", show_lines=True)
    for name in ("files", "licence, recipe and figures"):
        table.add_column(name, overflow="fold")
    for files, lines in families.values():
        cells = (files, dict.fromkeys(lines))  # what the files of one format share is said once
        table.add_row(*("\n".join(map(terminal.shown, cell)) for cell in cells))
    terminal.out.print(table)


def _recipe(card: dict[str, Any]) -> Iterator[str]:
    if card.get("command"):
        yield f"command: {card['command']}"
    data = card.get("training_data", {})
    if data:
        numbers = ", ".join(
            f"{v:,} {k.replace('_', ' ')}" for k, v in data.items() if k != "sha256"
        )
        yield f"trained on: {numbers} ({str(data.get('sha256', ''))[:12]})"
    stages = card.get("stages", {})
    if stages:
        yield "stages: " + ", ".join(
            f"{name} {s['steps']:,} steps in {s['seconds'] / 60:.0f} min"
            for name, s in stages.items()
        )


def _figures(card: dict[str, Any]) -> Iterator[str]:
    """What was measured: one list, or lists by quantizer, or by format, of which the others' are left out."""
    figures = card.get("figures", [])
    groups = figures if isinstance(figures, dict) else {"": figures}
    own = card.get("format")
    for name, rows in groups.items():
        if own in groups and name != own:
            continue
        said = [text for row in rows for text in _figure(row)]
        if said:
            yield f"figures{name and ' of '}{name}: " + "; ".join(said)


def _figure(row: dict[str, Any]) -> Iterator[str]:
    where = (
        f"quality {row['quality']:g}" if isinstance(row["quality"], int | float) else row["quality"]
    )
    rate = f" ({row['bits_per_pixel']:.2f} bits/pixel)" if "bits_per_pixel" in row else ""
    for key, form in (
        ("gain_db_realism_0", "gain {:+.2f} dB"),
        ("psnr_db", "PSNR {:.2f} dB"),
        ("psnr_db_realism_0", "PSNR {:.2f} dB"),
    ):
        if key in row:
            yield f"{where}{rate} {form.format(row[key])}"
            return
