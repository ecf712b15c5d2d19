"""How many of 2,000 random feasible problems does the certified solver leave unsolved?

Problem ``k`` has the seed ``[2026, k]``. Kinds: squared distances of points on a line, in the plane or on an even grid;
Hamming; random distortions; random distortions with a quarter of the pairs forbidden; small integers with ties. Sizes 2 to
64, every measure, a third of them with ``P = 0``, the others with ``P`` over ten decades. ``D`` lies above the least that
equality of laws allows (an exact transport problem, so that every problem is feasible) by a share of the range to the
independent coupling, over ten decades. Solved means a bracket of at most 1e-6 bits. Numbers from 2000 on (``FILE 2020 2000``)
are W2 with 512 symbols, those from 3000 on (``FILE 3400 3000``) Jensen-Shannon.

Results are appended to a file, one line of JSON for each problem; a second run goes on where the first one stopped.

Usage: OMP_NUM_THREADS=1 python benchmarks/limits_feasible.py RESULTS.jsonl [stop] [start]
"""

import argparse
import json
import math
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import ot

from veridical.errors import VeridicalError
from veridical.limits import Bound, FiniteSource, Renyi, least_rate
from veridical.limits.divergence import Divergence, by_name

SEED, COUNT = 2026, 2000
KINDS = ("line", "plane", "grid", "hamming", "random", "forbidden", "ties")
MEASURES = ("tv", "w2", "kl", "kl-reverse", "chi2", "hellinger", "renyi", "renyi2")


def matrix(kind: str, n: int, rng: np.random.Generator) -> np.ndarray:
    """The distortion."""
    if kind == "hamming":
        return 1.0 - np.eye(n)
    if kind in {"line", "plane", "grid"}:
        x = np.arange(n)[:, None] if kind == "grid" else rng.normal(size=(n, 1 + (kind == "plane")))
        return np.square(x[:, None] - x[None]).sum(-1).astype(float)
    d = rng.integers(0, 3, (n, n)).astype(float) if kind == "ties" else rng.uniform(size=(n, n))
    if kind == "forbidden":
        d[rng.uniform(size=(n, n)) < 0.25] = np.inf
        d[np.arange(n), np.arange(n)] = rng.uniform(0, 0.3, n)
    return d


def problem(k: int) -> dict[str, Any]:
    """Problem number ``k``."""
    rng = np.random.default_rng([SEED, k])
    kind, name = KINDS[int(rng.integers(len(KINDS)))], MEASURES[int(rng.integers(len(MEASURES)))]
    n = (
        int(rng.integers(2, 9))
        if rng.uniform() < 0.7
        else int(np.exp(rng.uniform(np.log(9), np.log(65))))
    )
    if k >= COUNT:
        name, n = ("w2", 512) if k < 3000 else ("js", n)
    p, d = rng.dirichlet(np.ones(n)), matrix(kind, n, rng)
    finite = np.where(np.isfinite(d), d, 1e3)
    plan = ot.emd(p, p, finite, numItermax=10**7)
    least, most = float(np.sum(plan * finite)), float(p @ np.where(np.isfinite(d), d, 2.0) @ p)
    D = least + max(most - least, 0.0) * 10 ** rng.uniform(-10, 0) + 1e-15 * most
    x = rng.normal(size=n)
    cost = d if kind in {"line", "plane", "grid", "hamming"} else np.square(x[:, None] - x)
    P = 0.0 if rng.uniform() < 1 / 3 else 10 ** rng.uniform(-10, 0)
    P *= float(p @ cost @ p) if name == "w2" else 1.0
    return {"kind": kind, "name": name, "n": n, "p": p, "d": d, "cost": cost, "D": D, "P": P}


def measure_of(t: dict[str, Any]) -> Divergence:
    """How its perception is measured."""
    if t["name"] == "renyi2":
        return Renyi(2.0)
    return by_name(t["name"], cost=t["cost"])


def attempt(k: int) -> dict[str, Any]:
    """Solve problem ``k``: how it ended, the bracket, processor seconds."""
    t = problem(k)
    start, end, bound = time.process_time(), "solved", None
    try:
        bound = least_rate(FiniteSource(t["p"], t["d"]), t["D"], t["P"], divergence=measure_of(t))
    except VeridicalError as failure:
        end = type(failure).__name__
        best = getattr(failure, "best", None)
        bound = best if isinstance(best, Bound) else None
    except Exception as failure:  # noqa: BLE001 (a crash is what is counted here)
        end = f"crash {type(failure).__name__}"
    seconds = time.process_time() - start
    row = {key: t[key] for key in ("kind", "name", "n", "D", "P")}
    bracket = [bound.lower_bits, bound.upper_bits] if bound else [0.0, math.inf]
    return {"k": k, **row, "end": end, "seconds": seconds, "bracket": bracket}


def report(rows: list[dict[str, Any]]) -> None:
    """Counts by how the problems ended, and where the unsolved are."""
    seconds = sorted(row["seconds"] for row in rows)
    print(
        f"{len(rows)} problems, {sum(seconds):.0f} s: {dict(Counter(row['end'] for row in rows))}"
    )
    print(f"seconds: median {seconds[len(seconds) // 2]:.4f}, largest {seconds[-1]:.2f}")
    bad = [row for row in rows if row["end"] != "solved"]
    for key in ("kind", "name", "n"):
        print(f"  unsolved by {key}: {dict(Counter(row[key] for row in bad))}")
    print(
        f"  with P = 0: {sum(row['P'] == 0 for row in bad)}; numbers: {[row['k'] for row in bad][:40]}"
    )
    widest = max(
        (row["bracket"][1] - row["bracket"][0] for row in rows if row["end"] == "solved"), default=0
    )
    print(f"  widest bracket of a solved one: {widest:.2g} bits")


def main() -> None:
    """Go on where the file ends, then report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("stop", type=int, nargs="?", default=COUNT)
    parser.add_argument("first", type=int, nargs="?", default=0)
    file, stop, first = vars(parser.parse_args()).values()
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    known = {row["k"] for row in rows}
    with file.open("a") as out:
        for k in range(first, stop):
            if k not in known:
                rows.append(attempt(k))
                out.write(json.dumps(rows[-1]) + "\n")
                out.flush()
    report(rows)


if __name__ == "__main__":
    main()
