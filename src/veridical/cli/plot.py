"""The price curve of coded files as a picture: predicted, and with what was measured on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from veridical.cli import terminal
from veridical.cli.files import check_output
from veridical.errors import InvalidSetting, UnwritableOutput
from veridical.extras import require
from veridical.interpolate import Calibration
from veridical.writing import write_whole

_SUFFIXES = (".png", ".pdf", ".svg")


@dataclass(frozen=True)
class Drawn:
    """One file.

    Attributes:
        name: In the legend.
        price: Predicted.
        measured: (reconstruction, PSNR in dB) of a comparison.
    """

    name: str
    price: Calibration
    measured: Sequence[tuple[str, float]] = ()


def check_plot(target: Path | None, sources: Iterable[Path], force: bool) -> None:
    """Refuse a picture that cannot be drawn, before anything is computed.

    Raises:
        UnwritableOutput, OutputExists: See ``files.check_output``; or another suffix.
        MissingDependency: matplotlib is not installed.
    """
    if target is None:
        return
    if target.suffix.lower() not in _SUFFIXES:
        raise UnwritableOutput(f"a curve is drawn as {', '.join(_SUFFIXES)}, not {target.name}")
    require("matplotlib")
    check_output(target, sources, force)


def draw_prices(files: Sequence[Drawn], target: Path | None, *, as_json: bool = False) -> None:
    """Draw ``D = d + ((sqrt C - sqrt P)+)^2`` against the bound ``P`` ([T] eq. 42), as PSNR.

    Raises:
        InvalidSetting: No file has a price.
        UnwritableOutput: The picture cannot be written.
    """
    if target is None:
        return
    if not files or all(f.price.mmse == 0 for f in files):
        raise InvalidSetting("no price was measured for these files; there is no curve to draw")
    from veridical.studies.style import PALETTE, figure

    widest = max(
        f.price.transport_cost for f in files
    )  # its points alone have room for their names
    with figure(width=5.2, height=3.6) as (drawn, (axes,)):
        for k, file in enumerate(f for f in files if f.price.mmse > 0):
            colour = PALETTE[k % len(PALETTE)]
            a = np.linspace(0, 1, 101)
            price = file.price
            psnr = -10 * np.log10(price.mmse + a**2 * price.transport_cost)
            bound, sigma = (1 - a) ** 2 * price.transport_cost, price.uncertainty_db or 0.0
            axes.plot(
                bound, psnr, color=colour, label=f"{_legible(file.name)}, predicted ± its deviation"
            )
            axes.fill_between(
                bound, psnr - sigma, psnr + sigma, color=colour, alpha=0.15, linewidth=0
            )
            for realism in (0.0, 0.5, 1.0):
                x = price.perception_at(realism)
                y = -10 * np.log10(price.distortion_at(realism))
                axes.plot([x], [y], "o", color=colour, markersize=4)
                if price.transport_cost == widest:
                    axes.annotate(
                        f"realism {realism:g}",
                        (x, y),
                        xytext=(6, -10),
                        textcoords="offset points",
                        fontsize=7,
                    )
            for name, value in file.measured:
                if name.startswith("realism "):
                    x = price.perception_at(float(name.removeprefix("realism ")))
                    axes.plot([x], [value], "x", color="black", label="_measured")
                else:
                    axes.axhline(value, color="grey", linestyle=":", label=name)
            if file.measured:
                axes.plot([], [], "x", color="black", label="measured")
        axes.set_xlabel("squared W2 to the generator's law, at most")
        axes.set_ylabel("PSNR, dB")
        axes.margins(0.17)  # room for the last point's name
        # Outside: a cross of the legend would look like one that was measured.
        legend = drawn.legend(*axes.get_legend_handles_labels(), loc="outside lower center")
        for text in legend.get_texts():
            text.set_parse_math(False)  # a name is no formula
        form = target.suffix[1:].lower()
        write_whole(target, lambda out: drawn.savefig(out, format=form))
    if not as_json:
        terminal.say(target)


def _legible(name: str) -> str:
    """A name as a legend takes it, which leaves out what begins with an underscore."""
    return f"{'./' if name.startswith('_') else ''}{terminal.shown(name)}"
