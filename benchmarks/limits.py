"""The certified solver against cvxpy with Clarabel, both single-threaded, on the same problems.

For each size and divergence: problems solved (ours: gap at most 1e-6 bits; Clarabel: status "optimal" and a finite value),
median processor seconds, the ratio of medians, and how far Clarabel's optimal values lie outside our
brackets at most. Then large sizes, limited common randomness on the circle, the closed form, and a surface.

Usage: OMP_NUM_THREADS=1 python benchmarks/limits.py [points] [largest size for Clarabel]
"""

import math
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import cvxpy as cp
import numpy as np

from veridical.errors import NotConverged
from veridical.limits import (
    Bound,
    FiniteSource,
    SquaredWasserstein,
    TotalVariation,
    bernoulli_rate_bits,
    circle_block_distortion,
    least_distortion,
    least_rate,
    surface,
)


def problem(seed: int, n: int, name: str) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Random law, squared distances of random points in the plane, D and P spread over the range."""
    rng = np.random.default_rng(seed)
    p, x = rng.dirichlet(np.ones(n)), rng.normal(size=(n, 2))
    d = np.square(x[:, None] - x[None]).sum(-1)
    top = float((p @ d).min())
    D = top * (0.02, 0.1, 0.3, 0.7)[seed % 4]
    P = (1e-3, 0.01, 0.05, 0.2)[seed // 4 % 4] * (top if name == "w2" else 1.0)
    return p, d, D, P


def ours(p: np.ndarray, d: np.ndarray, D: float, P: float, name: str) -> Bound | None:
    """The bracket, if the gap closed."""
    measure = SquaredWasserstein(d) if name == "w2" else TotalVariation()
    try:
        return least_rate(FiniteSource(p, d), D, P, divergence=measure)
    except NotConverged as failure:
        print(f"  not certified: {name} n={p.size}: {failure.best}")
        return None


def clarabel(p: np.ndarray, d: np.ndarray, D: float, P: float, name: str) -> float | None:
    """The rate in bits, if Clarabel says "optimal"."""
    n = p.size
    joint, q = cp.Variable((n, n), nonneg=True), cp.Variable(n, nonneg=True)
    rules = [cp.sum(joint, axis=1) == p, q == cp.sum(joint, axis=0)]
    rules.append(cp.sum(cp.multiply(joint, d)) <= D)
    if name == "tv":
        rules.append(0.5 * cp.norm1(p - q) <= P)
    else:
        plan = cp.Variable((n, n), nonneg=True)
        rules += [cp.sum(plan, axis=1) == p, cp.sum(plan, axis=0) == q]
        rules.append(cp.sum(cp.multiply(plan, d)) <= P)
    product = cp.multiply(p[:, None], cp.vstack([q] * n))
    task = cp.Problem(cp.Minimize(cp.sum(cp.rel_entr(joint, product))), rules)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            task.solve(solver=cp.CLARABEL)
    except cp.SolverError:
        return None
    good = task.status == "optimal" and math.isfinite(task.value)
    return task.value / math.log(2) if good else None


def timed(solve: Callable[..., Any], points: list, name: str) -> tuple[list[Any], float]:
    """Results (None where not solved) and median processor seconds."""
    seconds, results = [], []
    for point in points:
        start = time.process_time()
        results.append(solve(*point, name))
        seconds.append(time.process_time() - start)
    return results, statistics.median(seconds)


def count(results: list[Any]) -> int:
    """Solved ones."""
    return sum(r is not None for r in results)


def outside(brackets: list[Bound | None], values: list[float | None]) -> float:
    """Largest distance in bits of a value from its bracket."""
    both = [
        (b, v) for b, v in zip(brackets, values, strict=True) if b is not None and v is not None
    ]
    return max((max(b.lower_bits - v, v - b.upper_bits, 0.0) for b, v in both), default=math.nan)


def compare(points: int, largest: int) -> None:
    """Both solvers on the same points, for each size."""
    print(
        "| measure | n | points | ours certified | Clarabel optimal | ours s | Clarabel s | ratio | outside, bits |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name in ("tv", "w2"):
        for n in (8, 16, 32, 64):
            tasks = [problem(seed, n, name) for seed in range(points)]
            ours(*tasks[0], name)
            mine, median = timed(ours, tasks, name)
            row = f"| {name} | {n} | {points} | {count(mine)} |"
            if n > largest:
                print(f"{row} - | {median:.4f} | - | - | - |", flush=True)
                continue
            other, other_median = timed(clarabel, tasks, name)
            print(
                f"{row} {count(other)} | {median:.4f} | {other_median:.3f} "
                f"| {other_median / median:.0f} | {outside(mine, other):.1g} |",
                flush=True,
            )


def grow() -> None:
    """How the time grows with the alphabet."""
    for name, sizes in (("tv", (64, 128, 256, 512)), ("w2", (32, 64, 128, 256))):
        before = math.nan
        for n in sizes:
            found, median = timed(ours, [problem(seed, n, name) for seed in (2, 5, 8)], name)
            growth = math.log2(median / before)
            print(
                f"{name} n={n}: {count(found)} of 3, median {median:.3f} s, exponent {growth:.1f}",
                flush=True,
            )
            before = median


def circle() -> None:
    """D(R, Rc, 0) of 24 points on the circle at one bit, beside the limit of the whole circle."""
    t = 2 * np.pi * np.arange(24) / 24
    points = np.stack([np.cos(t), np.sin(t)], axis=1)
    for common in (math.inf, 1.0):
        b = least_distortion(points, np.full(24, 1 / 24), 1.0, 0.0, common, rounds=15)
        limit = float(circle_block_distortion(1.0, 0.0, common))
        print(
            f"circle, Rc={common:g}: {b.lower_distortion:.6f} to {b.upper_distortion:.6f}, "
            f"limit {limit:.6f}",
            flush=True,
        )


def main() -> None:
    """Measure and print."""
    points = int(sys.argv[1]) if len(sys.argv) > 1 else 24
    compare(points, int(sys.argv[2]) if len(sys.argv) > 2 else 64)
    grow()
    circle()
    start = time.process_time()
    bernoulli_rate_bits(
        0.1, np.linspace(0, 0.2, 1000)[:, None], np.linspace(0, 0.15, 1000)[None, :]
    )
    print(f"Bernoulli closed form, 10^6 points: {time.process_time() - start:.2f} s")
    p, d, _, _ = problem(0, 32, "tv")
    top = float((p @ d).min())
    start = time.process_time()
    found = surface(FiniteSource(p, d), (0.05 * top, top), (0.0, 0.5), divergence=TotalVariation())
    seconds = time.process_time() - start
    print(
        f"32-symbol surface to {found.gap_bits:.2g} bits: {len(found.points)} points, {seconds:.1f} s"
    )


if __name__ == "__main__":
    main()
