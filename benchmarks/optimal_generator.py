"""Generators that should reach W2^2: transport cost and second moment against the Bures formula.

    OMP_NUM_THREADS=1 python benchmarks/optimal_generator.py [dimension ...]

Normal source with eigenvalues 4 to 1/4, estimated from d/2 noisy linear measurements; the covariances of estimate
and source do not commute, so that reflow stalls. Costs are ratios on 20,000 samples (1 % of noise).
"""

import math
import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from veridical.generate.gaussian_map import GaussianMap, Mended
from veridical.training.loop import Schedule
from veridical.training.sample_flow import SampleFlowSettings, train_sample_flow


def root(S: np.ndarray) -> np.ndarray:
    """Symmetric root."""
    values, vectors = np.linalg.eigh(S)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def row(d: int, n: int = 20_000) -> None:
    """One dimension."""
    rng = np.random.default_rng(d)
    Q = np.linalg.qr(rng.standard_normal((d, d)))[0]
    T, k = Q @ np.diag(np.geomspace(4, 0.25, d)) @ Q.T, max(1, d // 2)
    B = rng.standard_normal((k, d)) / math.sqrt(d)
    G = T @ B.T @ np.linalg.inv(B @ T @ B.T + 0.3 * np.eye(k))
    x = rng.standard_normal((n, d)) @ root(T)
    x_mmse = (x @ B.T + math.sqrt(0.3) * rng.standard_normal((n, k))) @ G.T
    S = G @ B @ T
    bures = (
        np.trace(S)
        + np.trace(T)
        - 2 * np.trace(root(root((S + S.T) / 2) @ T @ root((S + S.T) / 2)))
    )
    start = time.process_time()
    settings = SampleFlowSettings(
        optimal_pairs=1000, pairs=40_000, noise=0.05, batch=512, width=96, integration_steps=24,
        schedule=Schedule(steps=2000, learning_rate=2e-3, average=0.995),
    )  # fmt: skip
    flow = train_sample_flow(x_mmse, x, settings, seed=0)
    generators = {
        "map": GaussianMap.fitted(x_mmse, x),
        "flow on optimal pairs": flow,
        "the same, mended": Mended.fitted(flow, x_mmse, x, rng),
    }
    for name, generator in generators.items():
        out = generator.generate(x_mmse, rng)
        cost = float(np.mean(np.sum(np.square(out - x_mmse), axis=1)))
        second = float(np.mean(np.square(out)) / np.mean(np.square(x)))
        print(f"| {d} | {name} | {cost / bures:.3f} | {second:.3f} |", flush=True)
    print(f"{time.process_time() - start:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    print("| d | generator | C / W2^2 | second moment |\n|---|---|---|---|")
    for dimension in map(int, sys.argv[1:] or ("2", "10", "50")):
        row(dimension)
