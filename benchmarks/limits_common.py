"""How many of 200 random problems of limited common randomness fail, and how wide are the brackets?

Problem ``k`` has the seed ``[2026, k]``: 2 to 12 points of a normal law on a line or in the plane, a Dirichlet law, a rate
from 2 % to 110 % of the entropy; ``Rc`` none, unlimited or up to the entropy; ``P`` zero or over four decades. A problem
fails if anything is raised, or if the scheme, measured here from its two channels, breaks a constraint (rates by 1e-9
bits, marginal by 1e-9) or does not have the distortion that the bracket claims (1e-9 of the variance).

Results are appended to a file, one line of JSON for each problem; a second run goes on where the first one stopped.

Usage: OMP_NUM_THREADS=1 python benchmarks/limits_common.py RESULTS.jsonl [stop]
"""

import argparse
import json
import math
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy.special import rel_entr

from veridical.errors import VeridicalError
from veridical.limits import CommonRandomnessBound, least_distortion

SEED, COUNT = 2026, 200


def problem(k: int) -> dict[str, Any]:
    """Problem number ``k``."""
    rng = np.random.default_rng([SEED, k])
    n = int(rng.integers(2, 13))
    x = rng.normal(size=(n, 1 + int(rng.uniform() < 0.4)))
    p = rng.dirichlet(np.ones(n))
    entropy = -float(p @ np.log2(p))
    R = entropy * rng.uniform(0.02, 1.1)
    Rc = [0.0, math.inf, entropy * rng.uniform(0.02, 1.0)][int(rng.integers(3))]
    variance = float(p @ np.sum(np.square(x - p @ x), axis=1))
    P = 0.0 if rng.uniform() < 0.4 else variance * 10 ** rng.uniform(-4, 0)
    return {"x": x, "p": p, "R": R, "Rc": Rc, "P": P, "variance": variance}


def bits(joint: np.ndarray) -> float:
    """Mutual information."""
    product = joint.sum(1)[:, None] * joint.sum(0)
    return float(np.sum(rel_entr(joint, product))) / math.log(2)


def fault(t: dict[str, Any], b: CommonRandomnessBound) -> str | None:
    """What is wrong with the scheme, if anything."""
    joint = t["p"][:, None] * b.encoder
    q = joint.sum(0)
    sample = q[:, None] * b.decoder
    y = (joint.T @ t["x"]) / q[:, None]
    d = float(np.sum(joint * np.sum(np.square(t["x"][:, None] - y), axis=2)))
    cost = float(np.sum(sample * np.sum(np.square(y[:, None] - t["x"]), axis=2)))
    value = d + max(math.sqrt(cost) - math.sqrt(t["P"]), 0.0) ** 2
    faults = {
        "rate": bits(joint) > t["R"] + 1e-9,
        "total rate": bits(sample) > t["R"] + t["Rc"] + 1e-9,
        "marginal": float(np.abs(sample.sum(0) - t["p"]).max()) > 1e-9,
        "distortion": abs(value - b.upper_distortion) > 1e-9 * t["variance"],
    }
    return next((name for name, wrong in faults.items() if wrong), None)


def attempt(k: int) -> dict[str, Any]:
    """Solve problem ``k``: how it ended, the bracket over the variance, processor seconds."""
    t = problem(k)
    start, end, bracket = time.process_time(), "solved", [0.0, math.inf]
    try:
        b = least_distortion(t["x"], t["p"], t["R"], t["P"], t["Rc"])
        bracket = [b.lower_distortion / t["variance"], b.upper_distortion / t["variance"]]
        end = fault(t, b) or end
    except VeridicalError as failure:
        end = type(failure).__name__
    except Exception as failure:  # noqa: BLE001 (a crash is what is counted here)
        end = f"crash {type(failure).__name__}"
    seconds = time.process_time() - start
    kind = "none" if t["Rc"] == 0 else "unlimited" if math.isinf(t["Rc"]) else "between"
    return {"k": k, "Rc": kind, "exact": t["P"] == 0, "end": end, "seconds": seconds, "bracket": bracket}  # fmt: skip


def report(rows: list[dict[str, Any]]) -> None:
    """Failures, seconds, and the widths by kind."""
    bad = [(row["k"], row["end"]) for row in rows if row["end"] != "solved"]
    seconds = sorted(row["seconds"] for row in rows)
    print(f"{len(rows)} problems, {len(bad)} failed {bad[:20]}")
    print(f"seconds: median {seconds[len(seconds) // 2]:.2f}, largest {seconds[-1]:.2f}, sum {sum(seconds):.0f}")  # fmt: skip
    print("width of the bracket over the variance:")
    for kind in ("none", "between", "unlimited"):
        for exact in (True, False):
            widths = sorted(
                row["bracket"][1] - row["bracket"][0]
                for row in rows
                if row["Rc"] == kind and row["exact"] == exact and row["end"] == "solved"
            )
            if widths:
                name = f"Rc {kind}, P {'= 0' if exact else '> 0'}"
                print(f"  {name}: {len(widths)}, median {widths[len(widths) // 2]:.1e}, largest {widths[-1]:.1e}")  # fmt: skip


def main() -> None:
    """Go on where the file ends, then report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("stop", type=int, nargs="?", default=COUNT)
    file, stop = vars(parser.parse_args()).values()
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    known = {row["k"] for row in rows}
    with file.open("a") as out:
        for k in range(stop):
            if k not in known:
                rows.append(attempt(k))
                out.write(json.dumps(rows[-1]) + "\n")
                out.flush()
    report(rows)


if __name__ == "__main__":
    main()
