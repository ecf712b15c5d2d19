"""Random codes: time to encode and decode blocks, and the law of the best cosine.

    OMP_NUM_THREADS=1 python benchmarks/random_coding.py

Processor seconds. Encoding is a product of blocks and words; the last column sets it beside that
product alone, with the words at hand. A sub-codebook that is not kept is made anew for each seed symbol.
"""

import math
import os
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from veridical.block.cosine import BestCosine
from veridical.block.random_coding import random_code


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Median processor seconds."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return sorted(taken)[repeats // 2]


def codes() -> None:
    """One row a code; the words of the first call are not counted where they are kept."""
    print("| n | nR | nRc | blocks | encode us/block | decode us/block | ratio to the product |")
    print("|---|---|---|---|---|---|---|")
    for n, b, c, blocks in (
        (4, 4, 4, 20_000), (12, 12, 0, 2_000), (12, 12, math.inf, 100), (16, 8, 8, 5_000),
        (16, 16, 0, 200), (16, 16, 16, 20), (20, 20, 0, 200), (24, 24, 0, 64),
    ):  # fmt: skip
        rng = np.random.default_rng(0)
        code = random_code(n, b / n, c / n)
        x = rng.standard_normal((blocks, n))
        index = code.encode(x)
        repeats = 3 if b < 20 else 1
        encode = seconds(lambda k=code, y=x: k.encode(y), repeats)
        decode = seconds(lambda k=code, i=index, r=rng: k.decode(i, r, realism=0.5), repeats)
        words = rng.standard_normal((n, 1 << min(b, 14)))
        product = seconds(lambda y=x, w=words: y @ w) * 2.0 ** (b - min(b, 14))
        print(
            f"| {n} | {b} | {c} | {blocks} | {encode / blocks * 1e6:.1f} | {decode / blocks * 1e6:.1f} "
            f"| {encode / product:.1f} |",
            flush=True,
        )


def law() -> None:
    """Mean of the best cosine at growing sizes."""
    for n in (10, 100, 1000, 10_000):
        print(f"n = {n}: {1e3 * seconds(BestCosine(n, n / 2).mean):.1f} ms")


if __name__ == "__main__":
    codes()
    law()
