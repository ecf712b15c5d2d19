"""The picture of the study of universality, drawn from its record alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from veridical.studies.records import Record
from veridical.studies.style import PALETTE, figure, save_figure

_NAMES = ("least $d$ first", "best single encoder", "least $D(0)$ first")


def _one_seed(axes: Any, a: Any) -> None:
    share = np.linspace(0.0, 1.0, 201)
    axes.plot(share, 1 + (1 - np.sqrt(share)) ** 2, color="black", label="MMSE encoder: formula")
    for k, name in enumerate(("mixture", "moons", "spiral")):
        axes.plot(a["shares"], a["one_seed"][k, 1], "osD"[k], ms=7 - 1.5 * k, mfc="none",
                  mew=1.2, color=PALETTE[k], label=f"{name}: a design per $P$")  # fmt: skip
    axes.set(xlabel="$P/d$", ylabel="$D/d$", title="(a) $K=1$: one encoder is enough")
    axes.legend()


def _circle(axes: Any, a: Any, facts: Any) -> None:
    axes.plot(a["circle_P"], a["circle_best"], color="black", lw=3.5, alpha=0.35,
              label=f"best of {facts['circle_encoders']:,} encoders per $P$")  # fmt: skip
    axes.plot(a["circle_P"], a["circle_turned"], color=PALETTE[0], ls="--",
              label="half circles, a quarter turn apart")  # fmt: skip
    axes.set(xlabel="perception $P$", ylabel="distortion $D$",
             title="(b) octagon, $M=K=2$: universal")  # fmt: skip
    axes.legend()


def _line(axes: Any, a: Any) -> None:
    P = a["P"][:-1]
    axes.plot(
        P, a["line_best"][:-1], color="black", lw=3.5, alpha=0.35, label="best encoder per $P$"
    )
    for k, name in enumerate(_NAMES):
        axes.plot(P, a["line_shown"][k][:-1], color=PALETTE[k], ls=("-", "--", ":")[k], label=name)
    axes.set(xlabel="perception $P$", ylabel="distortion $D$",
             title=r"(c) $\{\pm1,\pm2,\pm5\}$, $M=K=2$: not")  # fmt: skip
    axes.legend()


def _losses(axes: Any, a: Any, facts: Any) -> None:
    P = a["P"][:-1]
    for k, name in enumerate(_NAMES):
        lost = 100 * (a["line_shown"][k] / a["line_best"] - 1)
        axes.plot(P, lost[:-1], color=PALETTE[k], ls=("-", "--", ":")[k],
                  label=f"{name}: up to {lost.max():.1f} %")  # fmt: skip
    bound = 100 * facts["line_certified_loss_of_any_encoder"]
    axes.axhline(
        bound, color="black", lw=0.9, label=f"any encoder somewhere: {bound:.0f} % or more"
    )
    axes.set(xlabel="perception $P$", ylabel="loss against the best (%)", ylim=(-1, 52),
             title="(d) the same source: the loss")  # fmt: skip
    axes.legend(loc="upper right")


def draw_universality(record: Record, folder: Path) -> list[Path]:
    """Four panels: no seed, the circle, the line, and the loss on the line."""
    a, facts = record.arrays, record.facts
    with figure(4, width=3.3, height=3.1) as (drawn, (one, circle, line, losses)):
        _one_seed(one, a)
        _circle(circle, a, facts)
        _line(line, a)
        _losses(losses, a, facts)
        return save_figure(drawn, folder, "universality")
