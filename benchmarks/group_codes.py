"""Nested group codes: symbols per second of the search, the encoder and the decoder against memory and p.

    OMP_NUM_THREADS=1 python benchmarks/group_codes.py

Processor seconds, one core; the ratio is to copying the array of symbols (float64) in the same run.
"""

import os
import time
from collections.abc import Callable
from dataclasses import replace

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from veridical.block.group_design import Effort, design_group_codec
from veridical.quantize.group import NestedChain, cheapest_words
from veridical.sources.alphabet import bernoulli, quantized_gaussian


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Median processor seconds."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return sorted(taken)[repeats // 2]


def copying(size: int = 4_000_000) -> float:
    """Seconds a symbol to copy an array."""
    x = np.zeros(size)
    return seconds(x.copy, 9) / size


def searches(n: int = 400, blocks: int = 128) -> None:
    """The search alone: one free symbol every other place."""
    copy = copying()
    print("| p | memory | states | symbols/s | ns a symbol and state | ratio to a copy |")
    print("|---|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    for p, memories in (
        (2, (2, 4, 6, 8, 10, 12)),
        (3, (2, 4, 6)),
        (5, (1, 2, 3, 4)),
        (7, (1, 2, 3)),
    ):
        for m in memories:
            chain = NestedChain(p=p, n=n, period=2, shaping=0, message=1, seed=0, memory=(0, m, 0))
            code = chain.codes[1]
            few = blocks if code.states < 1000 else 64
            costs = rng.integers(0, 1000, size=(few, n, p)).astype(np.int32)
            offsets = np.zeros((few, n), dtype=np.int64)
            t = seconds(lambda c=code, k=costs, o=offsets: cheapest_words(c, k, o)) / (few * n)
            print(
                f"| {p} | {m} | {code.states} | {1 / t:.2g} | {t / code.states * 1e9:.1f} "
                f"| {t / copy:.0f} |",
                flush=True,
            )


def codecs() -> None:
    """Whole codecs: encoding with its repairs, and decoding."""
    effort = Effort(blocks=2, calibration_blocks=4, weights=(0.75,), rounds=0, virtual_rounds=1)
    print("| source | p | shaping | states | encode symbols/s | decode symbols/s |")
    print("|---|---|---|---|---|---|")
    coin = NestedChain(
        p=2, n=1000, period=10, shaping=1, message=5, seed=2, memory=(3, 5, 1), taps=(23, 8, 0)
    )
    gauss = NestedChain(
        p=5, n=700, period=7, shaping=0, message=3, seed=2, memory=(0, 3, 1), taps=(0, 11, 0)
    )
    for name, source, chain in (
        ("Bernoulli(0.3)", bernoulli(0.3), coin),
        ("Bernoulli(0.3)", bernoulli(0.3), replace(coin, shaping=0)),
        ("Gaussian", quantized_gaussian(33), gauss),
    ):
        rng = np.random.default_rng(1)
        codec = design_group_codec(source, chain, rng=rng, effort=effort).codec
        x = source.sample(128, chain.n, rng)
        index = codec.encode(x)
        e = seconds(lambda c=codec, v=x: c.encode(v), 1)
        d = seconds(lambda c=codec, i=index: c.decode(i, np.random.default_rng(2), realism=0.5))
        print(
            f"| {name} | {chain.p} | {chain.shaping} | {chain.codes[1].states} "
            f"| {x.size / e:.2g} | {x.size / d:.2g} |",
            flush=True,
        )


if __name__ == "__main__":
    searches()
    codecs()
