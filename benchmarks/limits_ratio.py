"""Processor seconds of the certified solver in two working trees, interleaved in one run, and their ratio.

One process for each tree solves the same random problems in turn (those of ``limits.py``; one thread). The table gives, for
each measure and size, how many each tree certifies, the median seconds of the problems that both solve, and the median ratio.

Usage: OMP_NUM_THREADS=1 python benchmarks/limits_ratio.py OTHER_TREE [problems] [measures] [sizes]
       for example: ../old 8 tv,w2,kl 8,16,32,64,128,256
"""

import os
import statistics
import subprocess
import sys
from pathlib import Path

CHILD = """
import sys, time
import numpy as np
from veridical.errors import VeridicalError
from veridical.limits import FiniteSource, least_rate
from veridical.limits.divergence import by_name
for line in sys.stdin:
    seed, n, name = line.split()
    rng = np.random.default_rng(int(seed))
    p, x = rng.dirichlet(np.ones(int(n))), rng.normal(size=(int(n), 2))
    d = np.square(x[:, None] - x[None]).sum(-1)
    top = float((p @ d).min())
    D = top * (0.02, 0.1, 0.3, 0.7)[int(seed) % 4]
    P = (1e-3, 0.01, 0.05, 0.2)[int(seed) // 4 % 4] * (top if name == "w2" else 1.0)
    measure, begin = by_name(name, cost=d), time.process_time()
    try:
        least_rate(FiniteSource(p, d), D, P, divergence=measure)
        solved = True
    except VeridicalError:
        solved = False
    print(time.process_time() - begin, int(solved), flush=True)
"""


def start(tree: Path) -> subprocess.Popen[str]:
    """A process of this tree that solves what it is told."""
    setting = {**os.environ, "PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # fmt: skip
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", CHILD], env=setting, text=True, **pipes)


def ask(child: subprocess.Popen[str], seed: int, n: int, name: str) -> tuple[float, bool]:
    """Seconds, and whether it was certified."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(f"{seed} {n} {name}\n")
    child.stdin.flush()
    seconds, solved = child.stdout.readline().split()
    return float(seconds), solved == "1"


def main() -> None:
    """Measure and print."""
    defaults = ["8", "tv,w2,kl,chi2,hellinger,renyi", "8,16,32,64,128,256"]
    other, *given = sys.argv[1:]
    count, names, sizes = [*given, *defaults[len(given) :]]
    trees = (start(Path(__file__).parents[1]), start(Path(other)))
    for name in names.split(","):
        for n in map(int, sizes.split(",")):
            for child in trees:
                ask(child, 0, n, name)
            runs = [[ask(child, seed, n, name) for child in trees] for seed in range(int(count))]
            both = [(a[0], b[0]) for a, b in runs if a[1] and b[1]]
            cells = [f"{sum(run[k][1] for run in runs)}" for k in (0, 1)]
            if both:
                cells += [f"{statistics.median(pair[k] for pair in both):.4f}" for k in (0, 1)]
                cells.append(f"{statistics.median(a / b for a, b in both):.2f}")
            print(f"| {name} | {n} | {count} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
