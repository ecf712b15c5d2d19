"""Entropy-coded trellis codes: real bytes above the limits, and seconds for 10^6 samples.

    OMP_NUM_THREADS=1 python benchmarks/trellis.py [gaps|perfect|speed ...]

``gaps``: error of the estimate above D(R) at the rate of the bytes. ``perfect``: D at P = 0 above D(R, Rc, 0).
``speed``: processor seconds. Samples are scaled to their very variance, which takes most noise from the gaps.
"""

import math
import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from veridical.block.trellis import TrellisCodec, trellis_codec
from veridical.limits import gaussian_distortion

N = 240_000


def measured(codec: TrellisCodec, realism: float) -> tuple[float, float]:
    """Bits of real bytes and error, per sample."""
    x = np.random.default_rng(1).standard_normal(N)
    x /= math.sqrt(np.mean(np.square(x)))
    index = codec.encode(x, seed=3)
    bits = 8 * len(codec.to_bytes(index, seed=3)) / N
    out = codec.decode(index, np.random.default_rng(2), realism=realism, seed=3)
    return bits, float(np.mean(np.square(x - out)))


def made(states: int, R: float, Rc: float) -> TrellisCodec:
    """A code of the same design samples for all."""
    return trellis_codec(states, rate_bits=R, common_bits=Rc, rng=np.random.default_rng(0))


def gaps() -> None:
    """Above D(R), without common randomness."""
    print("| states | R | bits in bytes | D | above D(R), dB |\n|---|---|---|---|---|")
    for states in (8, 64, 256, 1024, 2048):
        for R in (1.0, 2.0, 3.0):
            bits, D = measured(made(states, R, 0.0), 0.0)
            above = 10 * math.log10(D * 4.0**bits)
            print(f"| {states} | {R:g} | {bits:.4f} | {D:.5f} | {above:.3f} |", flush=True)


def perfect() -> None:
    """Above D(R, Rc, P = 0)."""
    print(
        "| states | R | Rc | bits in bytes | D, P = 0 | limit | dB |\n|---|---|---|---|---|---|---|"
    )
    for states in (64, 256):
        for R in (1.0, 2.0, 3.0):
            for Rc in (0.0, 0.5, 1.0, math.inf):
                bits, D = measured(made(states, R, Rc), 1.0)
                limit = float(gaussian_distortion(bits, 0.0, Rc))
                above = 10 * math.log10(D / limit)
                print(
                    f"| {states} | {R:g} | {Rc:g} | {bits:.4f} | {D:.4f} | {limit:.4f} | {above:.2f} |",
                    flush=True,
                )


def speed(n: int = 1_000_000) -> None:
    """Seconds of each step at 1 bit with dither."""
    print(
        "| states | design | encode | to bytes | from bytes | decode at P = 0 |\n|---|---|---|---|---|---|"
    )
    x = np.random.default_rng(1).standard_normal(n)
    for states in (8, 64, 256):
        at = [time.process_time()]
        codec = made(states, 1.0, math.inf)
        at.append(time.process_time())
        index = codec.encode(x, seed=3)
        at.append(time.process_time())
        data = codec.to_bytes(index, seed=3)
        at.append(time.process_time())
        again = codec.from_bytes(data, n, seed=3)
        at.append(time.process_time())
        codec.decode(again, np.random.default_rng(2), realism=1.0, seed=3)
        at.append(time.process_time())
        print(
            "| " + " | ".join([str(states), *(f"{s:.1f}" for s in np.diff(at))]) + " |", flush=True
        )


if __name__ == "__main__":
    parts = {"gaps": gaps, "perfect": perfect, "speed": speed}
    for part in sys.argv[1:] or parts:
        parts[part]()
