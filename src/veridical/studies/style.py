"""The one style of all figures: PNG for screens and PDF for papers, from matplotlib."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from veridical.extras import require
from veridical.writing import write_whole

# Okabe and Ito: distinct for every common kind of colour vision, and in grey.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")

_SETTINGS = {
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.labelsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "pdf.fonttype": 42,
    "svg.hashsalt": "veridical",
}


@contextmanager
def figure(
    columns: int = 1, *, width: float = 4.2, height: float = 3.2
) -> Iterator[tuple[Any, list[Any]]]:
    """A figure with one row of axes in the house style, without any window system.

    Raises:
        MissingDependency: matplotlib is not installed.
    """
    mpl = require("matplotlib")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(_SETTINGS):
        drawn = Figure(figsize=(width * columns, height), layout="constrained")
        FigureCanvasAgg(drawn)
        yield drawn, [drawn.add_subplot(1, columns, k + 1) for k in range(columns)]


@contextmanager
def grid(rows: int, columns: int, *, width: float, height: float) -> Iterator[tuple[Any, Any]]:
    """A figure with rows of axes; width and height are those of one of them.

    Raises:
        MissingDependency: matplotlib is not installed.
    """
    with figure(width=width * columns, height=height * rows) as (drawn, _):
        drawn.clear()
        yield drawn, drawn.subplots(rows, columns, squeeze=False)


def shades(count: int) -> list[Any]:
    """``count`` colours from dark to light, for a family of curves with an order."""
    import matplotlib as mpl

    return [mpl.colormaps["viridis"](0.88 * k / max(count - 1, 1)) for k in range(count)]


def save_figure(drawn: Any, folder: Path, name: str) -> list[Path]:
    """Write ``name.png`` and ``name.pdf``; the same record gives the same bytes.

    Raises:
        UnwritableOutput: a file cannot be written.
    """
    out = []
    for suffix, metadata in (("png", {"Software": None}), ("pdf", {"CreationDate": None})):
        target = folder / f"{name}.{suffix}"
        write_whole(
            target, lambda file, s=suffix, m=metadata: drawn.savefig(file, format=s, metadata=m)
        )
        out.append(target)
    return out
