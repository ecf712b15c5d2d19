"""Which code for my source? The methods of veridical.design on one table: half of the samples design, half measure.

    OMP_NUM_THREADS=1 python benchmarks/which_code.py [source ...]

``law``: sliced W2^2 between samples of the code at realism 1 and fresh ones, over that between two sets of fresh
ones (1: cannot be told apart by it). ``predicted``: D at realism 1 by the price list. ``limit``: D(R, Rc, P) of
the vector Gaussian with the same covariance, at the bits of the bytes. Seconds of the design (processor time) and the greatest
memory of the process so far go to standard error.
"""

import math
import os
import resource
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import veridical
from veridical.limits import vector_gaussian_distortion
from veridical.measure import sliced_w2_squared
from veridical.quantize.lattice import hexagonal

RNG = np.random.default_rng(0)


def moons(n: int) -> np.ndarray:
    """Two half circles with noise, in the plane."""
    angle, side = np.pi * RNG.random(n), RNG.integers(0, 2, n)
    x = np.stack([np.cos(angle) + side, np.sin(angle) * (1 - 2 * side) + side / 2], axis=1)
    return x + 0.1 * RNG.standard_normal((n, 2))


def markov(n: int, d: int = 16) -> np.ndarray:
    """Normal vectors of correlation 0.9 between neighbours."""
    return (
        RNG.standard_normal((n, d))
        @ np.linalg.cholesky(0.9 ** abs(np.subtract.outer(range(d), range(d)))).T
    )


def thousand(n: int) -> np.ndarray:
    """The same of 1,000 dimensions."""
    return markov(n, 1000)


def laplace(n: int, d: int = 16) -> np.ndarray:
    """Independent Laplace numbers of variances 4 to 1/4."""
    return RNG.laplace(size=(n, d)) * np.sqrt(np.geomspace(4, 0.25, d) / 2)


def digits(n: int) -> np.ndarray:
    """The 1,797 digits of 8 x 8 pixels of scikit-learn."""
    from sklearn.datasets import load_digits

    del n
    return RNG.permutation(load_digits().data / 16)


SOURCES = {
    "moons": (moons, 40_000, 3.0, hexagonal()),
    "markov": (markov, 40_000, 8.0, "lattice"),
    "thousand": (thousand, 16_000, 500.0, "lattice"),
    "laplace": (laplace, 40_000, 20.0, "lattice"),
    "digits": (digits, 1797, 10.0, "lattice"),
}  # fmt: skip


def row(name: str, label: str, **settings: object) -> None:
    """One code on one source."""
    make, n, R, _ = SOURCES[name]
    x = make(n)
    train, other = np.array_split(x, 2)
    start = time.process_time()
    codec = veridical.design(train, rate_bits=R, rng=np.random.default_rng(1), **settings)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name}, {label}: {time.process_time() - start:.0f} s, {peak:.0f} MB", file=sys.stderr)
    index, rng = codec.encode(other, seed=1), np.random.default_rng(2)
    bits = 8 * len(codec.to_bytes(index, seed=1)) / len(other)
    outs = [codec.decode(index, rng, realism=a, seed=1) for a in (0.0, 1.0)]
    D = [float(np.mean(np.sum(np.square(other - out), axis=1))) for out in outs]
    fresh = sliced_w2_squared(train, other, 100, np.random.default_rng(3)).value
    law = sliced_w2_squared(train, outs[1], 100, np.random.default_rng(3)).value / fresh
    limits = ["", ""]
    if name == "markov":
        spectrum = np.linalg.eigvalsh(np.cov(x.T))
        Rc = getattr(codec, "common_bits", math.log2(getattr(codec, "seeds", 1)))
        limits = [
            f"{vector_gaussian_distortion(spectrum, bits, P, Rc, tolerance=1e-3).distortion:.4g}"
            for P in (math.inf, 0.0)
        ]
    predicted = codec.calibration.distortion_at(1.0)
    print(
        f"| {name} | {label} | {bits:.2f} | {D[0]:.4g} | {limits[0]} | {D[1]:.4g} | {predicted:.4g} | {limits[1]} | "
        f"{law:.2g} |",
        flush=True,
    )


if __name__ == "__main__":
    print("| source | code | bits | D, a = 0 | limit | D, a = 1 | predicted | limit | law |")
    print("|---|---|---|---|---|---|---|---|---|")
    for source in sys.argv[1:] or SOURCES:
        if SOURCES[source][2] <= 8:
            row(source, "codebook, K = 1")
        if source == "moons":
            row(source, "codebook, K = 2", seeds=2, perception=0.0)
        row(source, "lattice", method=SOURCES[source][3])
        row(source, "trellis", method="trellis")
        row(source, "trellis, dither", method="trellis", common_bits=math.inf)
