"""Generators that should reach W2^2: transport cost, law and second moment where the optimal map is known.

    OMP_NUM_THREADS=1 python benchmarks/optimal_generator.py [maps|reflow ...]

``maps``: fitted on 20,000 pairs of estimate and sample, measured on 20,000 others, at d = 2, 10, 50. ``normal``: eigenvalues 4 to 1/4,
estimated from d/2 noisy linear measurements (truth: Bures; samples
have the very moments of their law, which takes most noise from the ratios). ``mixture``: 2^min(d, 4) normals at the corners of a turned
cube, other components normal, every component observed in noise and estimated (truth: one dimension at a time, by
quantiles). ``pushed``: four normals and their image under the gradient of a convex function, which is the optimal map. ``law``:
sliced W2 to fresh samples over that of other fresh ones. ``map``: E|X- - truth|^2 / W2^2.

``reflow``: exact linear algebra, no network; round 0 and two rounds of reflow between normal laws that do not commute.
"""

import math
import os
import sys
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from veridical.generate.gaussian_map import GaussianMap
from veridical.generate.pursuit_map import PursuitMap

N = 20_000
Rng = np.random.Generator
Draw = Callable[[int, Rng], tuple[np.ndarray, np.ndarray]]
Truth = Callable[[np.ndarray], np.ndarray]


def root(S: np.ndarray) -> np.ndarray:
    """Symmetric root."""
    values, vectors = np.linalg.eigh((S + S.T) / 2)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def turned(d: int, rng: Rng, values: np.ndarray) -> np.ndarray:
    """A symmetric matrix of given eigenvalues."""
    Q = np.linalg.qr(rng.standard_normal((d, d)))[0]
    return Q @ np.diag(values) @ Q.T


def estimated(d: int, rng: Rng) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Covariance of a normal source, measurement, and the matrix of the estimate."""
    T, k = turned(d, rng, np.geomspace(4, 0.25, d)), max(1, d // 2)
    B = rng.standard_normal((k, d)) / math.sqrt(d)
    return T, B, T @ B.T @ np.linalg.inv(B @ T @ B.T + 0.3 * np.eye(k))


def normal(d: int, rng: Rng) -> tuple[Draw, float]:
    """See the module; the truth is a number."""
    T, B, G = estimated(d, rng)
    S = G @ B @ T

    def draw(n: int, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
        z = rng.standard_normal((n, d + len(B)))
        z = (z - z.mean(axis=0)) @ np.linalg.inv(root(np.cov(z.T, bias=True)))
        x = z[:, :d] @ root(T)
        return (x @ B.T + math.sqrt(0.3) * z[:, d:]) @ G.T, x

    return draw, float(np.trace(S) + np.trace(T) - 2 * np.trace(root(root(T) @ S @ root(T))))


def mixture(d: int, rng: Rng) -> tuple[Draw, Truth]:
    """See the module."""
    Q, m = np.linalg.qr(rng.standard_normal((d, d)))[0], min(d, 4)
    s = np.geomspace(1.5, 0.4, d)

    def posterior(z: np.ndarray) -> np.ndarray:
        return (0.16 * z + 1.5 * np.tanh(1.5 * z / 1.16)) / 1.16

    def corners(shape: tuple[int, ...], rng: Rng) -> np.ndarray:
        return 1.5 * (2 * rng.integers(2, size=shape) - 1) + 0.4 * rng.standard_normal(shape)

    def draw(n: int, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
        x = rng.standard_normal((n, d)) * s
        x[:, :m] = corners((n, m), rng)
        z = x + rng.standard_normal((n, d))
        e = z * s**2 / (s**2 + 1)
        e[:, :m] = posterior(z[:, :m])
        return e @ Q.T, x @ Q.T

    other = np.random.default_rng(1)
    line = corners((1_000_000,), other)
    line_mmse = np.sort(posterior(line + other.standard_normal(line.size)))
    line.sort()

    def truth(e: np.ndarray) -> np.ndarray:
        z = e @ Q
        out = z * np.sqrt((s**2 + 1) / s**2)
        out[:, :m] = np.interp(z[:, :m], line_mmse, line)
        return out @ Q.T

    return draw, truth


def pushed(d: int, rng: Rng) -> tuple[Draw, Truth]:
    """See the module: ``z A z / 2 + sum a_k sqrt(1 + (w_k z)^2)``."""
    A, w = turned(d, rng, np.geomspace(0.8, 2.5, d)), rng.standard_normal((2 * d, d)) * 2 / d**0.5
    a, centres = rng.uniform(0.5, 1.5, 2 * d) / d**0.5, rng.standard_normal((4, d)) * 1.2

    def truth(e: np.ndarray) -> np.ndarray:
        z = e @ w.T
        return e @ A + (a * z / np.sqrt(1 + z * z)) @ w

    def draw(n: int, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
        e = centres[rng.integers(4, size=n)] + rng.standard_normal((n, d)) * np.geomspace(1, 0.3, d)
        return e, truth(e)

    return draw, truth


def sliced(x: np.ndarray, y: np.ndarray) -> float:
    """Sliced W2 over 200 directions."""
    w = np.random.default_rng(5).standard_normal((x.shape[1], 200))
    w /= np.linalg.norm(w, axis=0)
    return math.sqrt(np.mean(np.square(np.sort(x @ w, axis=0) - np.sort(y @ w, axis=0))))


def maps() -> None:
    """Both maps on every source."""
    print(
        "| source | d | map | steps | C / W2^2 | second moment | law | map |\n" + "|---" * 8 + "|"
    )
    for d in (2, 10, 50):
        for make in (normal, mixture, pushed):
            rng = np.random.default_rng(d)
            draw, truth = make(d, rng)
            x_mmse, x = draw(N, rng)
            start = time.process_time()
            pursuit = PursuitMap.fitted(x_mmse, x, rng=rng)
            print(f"{make.__name__} {d}: {time.process_time() - start:.0f} s", file=sys.stderr)
            (given, own), (_, fresh), (_, others) = (draw(N, rng) for _ in range(3))
            for name, generator in (
                ("affine", GaussianMap.fitted(x_mmse, x)),
                ("pursuit", pursuit),
            ):
                out = generator.generate(given, rng)
                cost, off, w2 = np.mean(np.sum(np.square(out - given), axis=1)), "", truth
                if callable(truth):
                    best = truth(given)
                    w2 = np.mean(np.sum(np.square(best - given), axis=1))
                    off = f"{np.mean(np.sum(np.square(out - best), axis=1)) / w2:.4f}"
                second = np.mean(np.square(out)) / np.mean(np.square(own))
                law = sliced(out, fresh) / sliced(others, fresh)
                steps = len(pursuit.seen) if generator is pursuit else ""
                print(
                    f"| {make.__name__} | {d} | {name} | {steps} | {cost / w2:.3f} | {second:.4f} "
                    f"| {law:.2f} | {off} |",
                    flush=True,
                )


def flow(S: np.ndarray, cross: np.ndarray, T: np.ndarray, steps: int = 1500) -> np.ndarray:
    """Matrix of the rectified flow from N(0, S) to N(0, T) whose pairs have the covariance ``cross`` (Runge-Kutta)."""
    A, h = np.eye(len(S)), 1 / steps

    def speed(t: float) -> np.ndarray:
        here = (1 - t) ** 2 * S + t * t * T + t * (1 - t) * (cross + cross.T)
        return np.linalg.solve(here, ((1 - t) * (cross.T - S) + t * (T - cross)).T).T

    for t in np.arange(steps) * h:
        a, b, c = speed(t), speed(t + h / 2), speed(min(t + h, 1.0))
        k = a @ A
        m = b @ (A + h / 2 * k)
        o = b @ (A + h / 2 * m)
        A = A + h / 6 * (k + 2 * m + 2 * o + c @ (A + h * o))
    return A


def reflow() -> None:
    """Three draws of each dimension."""
    print("| d | draw | posterior sampling | round 0 | reflow 1 | reflow 2 |\n" + "|---" * 6 + "|")
    for d in (2, 10, 50):
        for number in range(3):
            T, B, G = estimated(d, np.random.default_rng(d + 1000 * number))
            S = G @ B @ T
            S = (S + S.T) / 2
            w2 = np.trace(S) + np.trace(T) - 2 * np.trace(root(root(S) @ T @ root(S)))
            start = S + 1e-4 * np.trace(T) / d * np.eye(d)
            costs, cross = [np.trace(T) - np.trace(S)], S
            for _ in range(3):
                A = flow(start, cross, T)
                costs.append(np.trace(S) + np.trace(T) - 2 * np.trace(A @ S))
                cross = start @ A.T
            print(
                f"| {d} | {number} | " + " | ".join(f"{c / w2:.3f}" for c in costs) + " |",
                flush=True,
            )


if __name__ == "__main__":
    parts = {"maps": maps, "reflow": reflow}
    for part in sys.argv[1:] or parts:
        parts[part]()
