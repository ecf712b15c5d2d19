"""Lattices: nanoseconds a dimension, the Leech decoder against enumeration, round trips of a file.

    OMP_NUM_THREADS=1 python benchmarks/lattices.py

Processor seconds of one thread; ratios are measured in the same run. `decoders`, `leech` or `files` as an argument
runs that part alone.
"""

import math
import os
import sys
import time
from collections.abc import Callable
from itertools import pairwise

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from veridical.block.lattice import lattice_codec
from veridical.quantize.lattice import (
    Lattice,
    barnes_wall16,
    checkerboard,
    cubic,
    gosset,
    hexagonal,
    leech24,
)
from veridical.quantize.lattice.golay import golay_words
from veridical.quantize.lattice.parity import nearest_with_parity


def seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """Least processor seconds: other work on the machine only adds."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def decoders(samples: int = 480_000) -> None:
    """Nearest points of normal samples of variance 16."""
    print("| lattice | ns a dimension | points/s | ratio to a copy |")
    print("|---|---|---|---|")
    for family in (
        cubic(8), hexagonal(), checkerboard(4), checkerboard(24), gosset(), barnes_wall16(), leech24(),
    ):  # fmt: skip
        d = family.dimension
        x = 4 * np.random.default_rng(0).standard_normal((samples // d, d))
        lattice = Lattice(family)
        lattice.nearest(x)
        copy = min(seconds(x.copy) for _ in range(5))
        taken = seconds(lambda q=lattice, v=x: q.nearest(v))
        print(
            f"| {family.name} | {taken / x.size * 1e9:.1f} | {len(x) / taken:.3g} "
            f"| {taken / copy:.0f} |",
            flush=True,
        )


def enumerated(y: np.ndarray) -> np.ndarray:
    """The Leech lattice by plain enumeration: both halves of all 4096 Golay words."""
    best, out = np.full(len(y), np.inf), np.zeros(y.shape, dtype=np.int64)
    for t in (0, 1):
        for word in golay_words():
            base = t + 2 * word
            u = base + 4 * nearest_with_parity((y - base) / 4, t)
            miss = np.sum(np.square(y - u), axis=1)
            better = miss < best
            best[better], out[better] = miss[better], u[better]
    return out


def tabled(y: np.ndarray) -> np.ndarray:
    """The same by tables: sums of all words by one matrix product, then minima for the parities."""
    words, best = golay_words(), np.full(len(y), np.inf)
    for t in (0, 1):
        miss, odd = [], []
        for bit in (0, 1):
            quarter = (y - t - 2 * bit) / 4
            whole = np.rint(quarter)
            miss.append(np.abs(quarter - whole))
            odd.append(whole)
        sums = np.square(miss[0]).sum(axis=1, keepdims=True) + (
            np.square(miss[1]) - np.square(miss[0])
        ) @ words.T.astype(np.float64)
        parity = odd[0].sum(axis=1, keepdims=True) + (odd[1] - odd[0]) @ words.T.astype(np.float64)
        wrong = (parity + t) % 2
        farthest = np.zeros_like(sums)
        for i in range(24):
            both = np.where(words[None, :, i] == 1, miss[1][:, i : i + 1], miss[0][:, i : i + 1])
            np.maximum(farthest, both, out=farthest)
        np.minimum(best, np.min(sums + wrong * (1 - 2 * farthest), axis=1), out=best)
    return best


def leech() -> None:
    """The decoder against enumeration, on the same points."""
    y = 4 * np.random.default_rng(1).standard_normal((2048, 24))
    lattice = Lattice(leech24())
    ours = seconds(lambda: lattice.nearest_units(y)) / len(y)
    plain = seconds(lambda: enumerated(y), 1) / len(y)
    tables = seconds(lambda: [tabled(part) for part in np.array_split(y[:512], 16)], 1) / 512
    same = np.sum(np.square(y - enumerated(y)), axis=1)
    found = np.sum(np.square(y - lattice.nearest_units(y)), axis=1)
    assert np.allclose(found, same, rtol=0, atol=1e-9)
    print(
        f"Leech: {ours * 1e6:.1f} us a point; enumeration {plain * 1e6:.0f} us ({plain / ours:.0f} "
        f"times); enumeration by matrix products {tables * 1e6:.0f} us ({tables / ours:.0f} times)"
    )


def files(samples: int = 1_000_000) -> None:
    """Encode, write, read and decode 10^6 samples at one bit."""
    print("| lattice | Rc | encode s | to bytes s | from bytes s | decode s | bits a sample |")
    print("|---|---|---|---|---|---|---|")
    for family, common in (
        (cubic(1), 0.0), (cubic(1), math.inf), (checkerboard(4), math.inf), (gosset(), math.inf),
        (gosset(), 1.0), (barnes_wall16(), math.inf), (leech24(), math.inf),
    ):  # fmt: skip
        rng = np.random.default_rng(2)
        codec = lattice_codec(family, rate_bits=1.0, common_bits=common, samples=40_000, rng=rng)
        x = rng.standard_normal((samples // family.dimension, family.dimension))
        times = [time.process_time()]
        index = codec.encode(x, seed=1)
        times.append(time.process_time())
        data = codec.to_bytes(index, seed=1)
        times.append(time.process_time())
        again = codec.from_bytes(data, len(x), seed=1)
        times.append(time.process_time())
        codec.decode(again, rng, perception=0.0, seed=1)
        times.append(time.process_time())
        assert np.array_equal(again, index)
        spent = " | ".join(f"{b - a:.2f}" for a, b in pairwise(times))
        print(
            f"| {family.name} | {common:g} | {spent} | {8 * len(data) / x.size:.4f} |", flush=True
        )


if __name__ == "__main__":
    parts = {"decoders": decoders, "leech": leech, "files": files}
    for name in sys.argv[1:] or parts:
        parts[name]()
