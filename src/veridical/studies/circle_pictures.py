"""Pictures of [T] Figs 1 to 5 and 7 from their records: samples over the predicted arcs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from veridical.studies.records import Record
from veridical.studies.style import PALETTE, figure, save_figure

_GREY = "#999999"
_SYMBOL = {"d": "$d$", "W2^2": "$W_2^2$", "D": "$D$"}


def _stage(axes: Any, title: str, below: str = "") -> None:
    """An empty plane with the unit circle, a title and some lines of text below it."""
    axes.set_aspect("equal")
    axes.grid(visible=False)
    axes.set(xlim=(-1.15, 1.15), ylim=(-1.15, 1.15), xticks=[], yticks=[], title=title)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_xlabel(below, fontsize=7.5)
    _arc(axes, 0.0, 1.0, 0.0, 2 * math.pi, color=_GREY, lw=0.8)


def _arc(axes: Any, centre: complex, radius: float, first: float, last: float, **how: Any) -> None:
    points = centre + radius * np.exp(1j * np.linspace(first, last, 200))
    axes.plot(points.real, points.imag, solid_capstyle="butt", zorder=how.pop("zorder", 1), **how)


def _numbers(cloud: Any, keys: tuple[str, ...]) -> str:
    """A line per number: the measurement with its standard error, and the formula."""
    lines = []
    for key in keys:
        value, error, formula = cloud["table"][key]
        lines.append(f"{_SYMBOL[key]}: {value:.4f} ± {error:.4f} measured, {formula:.4f} formula")
    return "\n".join(lines)


def _atoms(cloud: Any) -> list[tuple[int, int, float]]:
    """``(z, s, t)`` of every centroid, ``t = (2 pi / M)(z + s/K)``."""
    M, K = cloud["M"], int(cloud["K"])
    return [(z, s, 2 * math.pi / M * (z + s / K)) for z in range(M) for s in range(K)]


def _predicted(axes: Any, cloud: Any, a: float) -> None:
    """The arcs on which ``X^`` lies, as broad lines, and the centroids ``r_M e^(it)``."""
    r, half = cloud["radius"], math.pi / (cloud["M"] * cloud["K"])
    for z, s, t in _atoms(cloud):
        centre = (1 - a) * r * np.exp(1j * t)
        _arc(axes, centre, a, t - half, t + half, color=_colour(z, s), lw=5, alpha=0.3)


def _colour(z: int, s: int) -> str:
    """One colour for each pair of index and seed."""
    return PALETTE[(z + 2 * s) % len(PALETTE)]


def _scatter(axes: Any, record: Record, k: int, what: str, keep: Any = None, **how: Any) -> None:
    a, cloud = record.arrays, record.facts["clouds"][k]
    K = cloud["K"]
    keep = np.ones(a[f"{k}:index"].size, dtype=bool) if keep is None else keep
    z = a[f"{k}:index"][keep].astype(int)
    s = np.zeros(z.size, int) if math.isinf(K) else np.rint(a[f"{k}:offset"][keep] * K).astype(int)
    points = a[f"{k}:{what}"][keep]
    colours = [_colour(i, j) for i, j in zip(z, s, strict=True)]
    style = {"s": 7, "lw": 0, "zorder": 3} | how
    axes.scatter(points[:, 0], points[:, 1], c=colours, **style)


def _borders(axes: Any, cloud: Any, s: int = 0) -> None:
    for z, seed, t in _atoms(cloud):
        if seed == s:
            edge = np.exp(1j * (t + math.pi / cloud["M"])) * 1.12
            axes.plot([0, edge.real], [0, edge.imag], color=_GREY, lw=0.8, ls=":")
            middle = 0.36 * np.exp(1j * t)
            axes.annotate(f"$Z={z}$", (middle.real, middle.imag), ha="center", va="center",
                          color=_colour(z, seed))  # fmt: skip


def _centroids(axes: Any, cloud: Any, s: int | None = None, size: float = 8.0) -> None:
    r = cloud["radius"]
    for z, seed, t in _atoms(cloud):
        if s is None or seed == s:
            axes.plot(r * math.cos(t), r * math.sin(t), "D", ms=size, color=_colour(z, seed),
                      mec="white", mew=1.0, zorder=5)  # fmt: skip


def _links(axes: Any, record: Record, k: int, first: str, second: str, count: int = 40) -> None:
    start, end = record.arrays[f"{k}:{first}"][:count], record.arrays[f"{k}:{second}"][:count]
    for p, q in zip(start, end, strict=True):
        axes.plot([p[0], q[0]], [p[1], q[1]], color=_GREY, lw=0.5, alpha=0.7, zorder=2)


def draw_t1(record: Record, folder: Path) -> list[Path]:
    """Source with its two cells; the estimate."""
    cloud = record.facts["clouds"][0]
    with figure(2, width=3.2, height=3.4) as (drawn, (cells, estimate)):
        _stage(cells, "source $X$ and cells", "$M=2$: one bit, no seed\n")
        _borders(cells, cloud)
        _scatter(cells, record, 0, "x")
        _stage(estimate, r"$\tilde X = \mathrm{E}[X\mid Z]$: distance $2/\pi$",
               _numbers(cloud, ("d",)) + "\n")  # fmt: skip
        _arc(estimate, 0, cloud["radius"], 0, 2 * math.pi, color=_GREY, lw=0.8, ls="--")
        _scatter(estimate, record, 0, "x", alpha=0.45)
        _links(estimate, record, 0, "x", "x_mmse", 60)
        _centroids(estimate, cloud)
        return save_figure(drawn, folder, "t1")


def draw_t2(record: Record, folder: Path) -> list[Path]:
    """What the generator draws, and how evenly."""
    cloud, counts = record.facts["clouds"][0], record.arrays["counts"]
    with figure(2, width=3.3, height=3.4) as (drawn, (real, evenly)):
        _stage(real, r"$\bar X$: a posterior sample", _numbers(cloud, ("W2^2", "D")))
        _scatter(real, record, 0, "x_real")
        _links(real, record, 0, "x_mmse", "x_real", 60)
        _centroids(real, cloud)
        share = counts / counts.sum()
        error = np.sqrt(share * (1 - share) / counts.sum())
        angle = -180 + 360 / counts.size * (np.arange(counts.size) + 0.5)
        evenly.axhline(1, color="black", lw=1.2, label="uniform: the law of $X$")
        evenly.errorbar(angle, share * counts.size, 2 * error * counts.size, fmt="o", ms=3.5,
                        color=PALETTE[0], capsize=1.5, elinewidth=0.8,
                        label="measured, two standard errors")  # fmt: skip
        evenly.set(xlabel=r"angle of $\bar X$ (degrees)", ylabel="density / uniform density",
                   xticks=[-180, -90, 0, 90, 180], ylim=(0.8, 1.2),
                   title="perfect realism")  # fmt: skip
        evenly.legend(loc="upper center")
        return save_figure(drawn, folder, "t2")


def draw_t3(record: Record, folder: Path) -> list[Path]:
    """Three realisms: the half circles shrink towards the centroids."""
    clouds = record.facts["clouds"]
    with figure(len(clouds), width=3.4, height=3.9) as (drawn, panels):
        for k, (axes, cloud) in enumerate(zip(panels, clouds, strict=True)):
            _stage(axes, rf"$\hat X$ at $P={cloud['P']:g}$: $a={cloud['a']:.3f}$",
                   _numbers(cloud, ("W2^2", "D")))  # fmt: skip
            _predicted(axes, cloud, cloud["a"])
            _scatter(axes, record, k, "x_hat")
            _centroids(axes, cloud, size=5.0)
        return save_figure(drawn, folder, "t3")


def draw_t4(record: Record, folder: Path) -> list[Path]:
    """Cells of either seed, the plan from four centroids, and the reconstruction."""
    cloud, offset = record.facts["clouds"][0], record.arrays["0:offset"]
    with figure(4, width=3.2, height=3.7) as (drawn, (zero, one, plan, blend)):
        for s, axes in enumerate((zero, one)):
            _stage(axes, f"seed $S={s}$: cells, $\\tilde X$",
                   _numbers(cloud, ("d",)) + "\n" if s == 0 else "$M=2$, $K=2$\n")  # fmt: skip
            _borders(axes, cloud, s)
            _scatter(axes, record, 0, "x", np.rint(2 * offset) == s)
            _centroids(axes, cloud, s)
        _stage(plan, r"plan from $\tilde X$ to $\bar X$", _numbers(cloud, ("W2^2",)) + "\n")
        _scatter(plan, record, 0, "x_real")
        _links(plan, record, 0, "x_mmse", "x_real", 100)
        _centroids(plan, cloud)
        _stage(blend, rf"$\hat X$ at $P={cloud['P']:g}$: $a={cloud['a']:.3f}$",
               _numbers(cloud, ("D",)) + "\n")  # fmt: skip
        _predicted(blend, cloud, cloud["a"])
        _scatter(blend, record, 0, "x_hat")
        _centroids(blend, cloud, size=5.0)
        return save_figure(drawn, folder, "t4")


def draw_t5(record: Record, folder: Path) -> list[Path]:
    """Dither: three circles, and the radius of the reconstruction."""
    a, cloud = record.arrays, record.facts["clouds"][0]
    r, P = cloud["radius"], cloud["P"]
    with figure(2, width=3.3, height=3.5) as (drawn, (circles, radius)):
        _stage(circles, rf"dither, $M=2$, $P={P:g}$", _numbers(cloud, ("d", "D")))
        for k, (what, name, size) in enumerate(
            (("x_mmse", r"$\tilde X$: $r_M$", r), ("x_hat", r"$\hat X$: $1-\sqrt{P}$", 1 - P**0.5),
             ("x_real", r"$\bar X$: 1", 1.0))
        ):  # fmt: skip
            _arc(circles, 0, size, 0, 2 * math.pi, color=PALETTE[k], lw=4, alpha=0.3, label=name)
            points = a[f"0:{what}"]
            circles.scatter(points[:, 0], points[:, 1], s=5, lw=0, color=PALETTE[k], zorder=3)
        circles.legend(loc="center")
        root = np.linspace(0, 0.42, 200)
        radius.plot(root, np.maximum(1 - root, r), color="black", label=r"$\max(1-\sqrt{P}, r_M)$")
        for k, name in enumerate(("smallest and largest of 2,000", None)):
            radius.plot(np.sqrt(a["P"]), a["radii"][:, k], "o+"[k], ms=5, color=PALETTE[1],
                        mfc="none", label=name)  # fmt: skip
        radius.set(
            xlabel=r"$\sqrt{P}$", ylabel=r"radius of $\hat X$", title="one radius for each $P$"
        )
        radius.legend()
        return save_figure(drawn, folder, "t5")


def draw_t7(record: Record, folder: Path) -> list[Path]:
    """Where the second bit goes: the same number of centroids, nearer to the circle."""
    clouds = record.facts["clouds"]
    with figure(2, width=3.5, height=4.3) as (drawn, panels):
        for k, (axes, cloud) in enumerate(zip(panels, clouds, strict=True)):
            extra = "one bit, one seed bit" if k == 0 else "two bits, no seed"
            _stage(axes, f"$M={cloud['M']}$, $K={cloud['K']:g}$: {extra}",
                   _numbers(cloud, ("d", "W2^2", "D")))  # fmt: skip
            _arc(axes, 0, cloud["radius"], 0, 2 * math.pi, color=_GREY, lw=0.8, ls="--")
            _predicted(axes, cloud, cloud["a"])
            _scatter(axes, record, k, "x_hat")
            _centroids(axes, cloud)
        return save_figure(drawn, folder, "t7")
