"""The command ``veridical models``: the weights at hand and where they come from."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from veridical.cli import terminal
from veridical.cli.pipes import AsJson, say_json
from veridical.errors import BadWeights


def models(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Folder of weights of your own (default: those that are in use)."),
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
    families: dict[str, list[tuple[Path, dict[str, Any]]]] = {}
    for path in found:
        with damaged_weights(path):
            card: dict[str, Any] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            card = {"licence": "Apache-2.0" if place == SHIPPED else "not said"} | card
            families.setdefault(path.stem.partition("-")[0], []).append((path, card))
        if as_json:
            say_json({"file": path} | card)
    if as_json:
        return
    filled = partial(
        textwrap.fill, width=terminal.out.width if terminal.out.is_terminal else 1 << 20, initial_indent="  ",
        subsequent_indent="  ", break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    for name, files in families.items():
        with damaged_weights(files[0][0]):
            size = sum(path.stat().st_size for path, _ in files) / 1e6
            licences = ", ".join(dict.fromkeys(str(card["licence"]) for _, card in files))
            lines = [", ".join(f"{path.name} {card['sha256'][:12]}" for path, card in files)]
            lines += [line for _, card in files for line in (*_recipe(card), *_figures(card))]
        terminal.out.print(terminal.shown(f"{name}: {size:.1f} MB, {licences}"), style="bold")
        for line in dict.fromkeys(lines):  # what the files of one format share is said once
            terminal.out.print(filled(terminal.shown(line)), soft_wrap=True)
    terminal.out.print(terminal.shown(place), soft_wrap=True)


def _recipe(card: dict[str, Any]) -> Iterator[str]:
    if card.get("command"):
        yield card["command"]
    data = card.get("training_data", {})
    if data:
        numbers = ", ".join(
            f"{v:,} {k.replace('_', ' ')}" for k, v in data.items() if k != "sha256"
        )
        stages = ", ".join(
            f"{name} {s['steps']:,} steps in {s['seconds'] / 60:.0f} min"
            for name, s in card.get("stages", {}).items()
        )
        yield f"trained on {numbers} ({str(data.get('sha256', ''))[:12]}){stages and ': '}{stages}"


def _figures(card: dict[str, Any]) -> Iterator[str]:
    """What was measured: one list, or lists by quantizer, or by format, of which the others' are left out."""
    figures = card.get("figures", [])
    groups = figures if isinstance(figures, dict) else {"": figures}
    own = card.get("format")
    for name, rows in groups.items():
        if own in groups and name != own:
            continue
        for key, what, form in (
            ("gain_db_realism_0", "gain of realism 0", "+.2f"),
            ("psnr_db", "PSNR", ".2f"),
            ("psnr_db_realism_0", "PSNR of realism 0", ".2f"),
        ):
            told = [r for r in rows if key in r]
            usual = [r for r in told if _on_photographs(r)]
            if usual:
                at = "bits_per_pixel" if "bits_per_pixel" in usual[0] else "quality"
                values = ", ".join(f"{r[key]:{form}} ({r[at]:.3g})" for r in usual)
                yield f"{what}{name and ', '}{name} in dB (at {at.replace('_', ' ')}): {values}"
            others = [r[key] for r in told if not _on_photographs(r)]
            if others:
                yield f"{what} in dB on drawings and files coded twice: {min(others):{form}} to {max(others):{form}}"


def _on_photographs(row: dict[str, Any]) -> bool:
    group = row.get("group", row.get("quality"))
    return not isinstance(group, str) or group.startswith("photographs")
