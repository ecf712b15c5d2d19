"""One-shot codecs: samples per second on the circle, design time, and exact transport against POT.

    OMP_NUM_THREADS=1 python benchmarks/oneshot.py [circle|transport|designs|variable ...]

Processor seconds; ratios are measured in the same run. The design sweep shows how the time grows with
the number of samples, of outputs and of seeds; its last row is 10^5 samples, M = 16, K = 4.
"""

import math
import os
import sys
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import ot
from scipy.stats import norm

import veridical
from veridical.oneshot.circle import circle_codec
from veridical.sources.circle import circle_samples
from veridical.transport import exact_plan


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Median processor seconds."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return sorted(taken)[repeats // 2]


def circle(n: int = 2_000_000) -> None:
    """Encode, decode and blend on the circle, against copying the array."""
    x = circle_samples(n, np.random.default_rng(0))
    copy = seconds(x.copy)
    print("| M | K | encode ns | decode and blend ns | samples/s | ratio to a copy |")
    print("|---|---|---|---|---|---|")
    for M, K in ((2, 1), (2, 2), (4, 4), (3, 5), (2, math.inf)):
        codec = circle_codec(M, K)
        index = codec.encode(x)
        e = seconds(lambda c=codec: c.encode(x))
        d = seconds(lambda c=codec, i=index: c.decode(i, np.random.default_rng(0), realism=0.5))
        print(
            f"| {M} | {K} | {e / n * 1e9:.0f} | {d / n * 1e9:.0f} | {n / (e + d):.2g} "
            f"| {(e + d) / copy:.0f} |",
            flush=True,
        )


def designs() -> None:
    """Time of a design, one factor at a time."""
    print("| N | M | K | s | d | transport cost |")
    print("|---|---|---|---|---|---|")
    for N, M, K in (
        (1_000, 4, 2), (10_000, 4, 2), (100_000, 4, 2), (10_000, 16, 2), (10_000, 4, 4),
        (100_000, 16, 4),
    ):  # fmt: skip
        rng = np.random.default_rng(0)
        x = rng.normal(size=(N, 2))
        start = time.process_time()
        codec = veridical.design(x, rate_bits=math.log2(M), seeds=K, perception=0.0, rng=rng)
        price = codec.calibration
        print(
            f"| {N} | {M} | {K} | {time.process_time() - start:.1f} | {price.mmse:.4f} "
            f"| {price.transport_cost:.4f} |",
            flush=True,
        )


def transport(n: int = 2000) -> None:
    """``exact_plan`` against POT alone on the same points."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n, 2)), rng.normal(size=(n, 2)) + 0.5
    mass = np.full(n, 1 / n)
    alone = seconds(lambda: ot.emd2(mass, mass, ot.dist(x, y), numItermax=10**7))
    ours = seconds(lambda: exact_plan(x, y))
    print(f"exact W2, {n} x {n}: ours {ours:.2f} s, POT alone {alone:.2f} s, {ours / alone:.2f}")


def variable(n: int = 4000) -> None:
    """Codes of variable length at P = 0 on quantile grids, with real bytes."""
    grid = (np.arange(n) + 0.5) / n
    sources = (
        ("normal", norm.ppf(grid), (1.0, 1.5, 2.0)),
        ("uniform", 12**0.5 * (grid - 0.5), (1.5,)),
    )
    print("| source | bits | K | D(P = 0) | H | bits in bytes | s |")
    print("|---|---|---|---|---|---|---|")
    for name, x, rates in sources:
        for R, K in ((R, K) for R in rates for K in (1, 2, 4)):
            start = time.process_time()
            codec = veridical.design(
                x, rate_bits=R, seeds=K, perception=0.0, variable_length=True,
                rng=np.random.default_rng(0),
            )  # fmt: skip
            taken = time.process_time() - start
            bits = 8 * len(codec.to_bytes(codec.encode(x, seed=1), seed=1)) / n
            print(
                f"| {name} | {R} | {K} | {codec.calibration.distortion_for(0.0):.4f} "
                f"| {codec.entropy_bits:.4f} | {bits:.4f} | {taken:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    parts = {"circle": circle, "transport": transport, "designs": designs, "variable": variable}
    for part in sys.argv[1:] or parts:
        parts[part]()
