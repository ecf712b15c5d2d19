"""How long ``import veridical`` takes, as a multiple of ``import numpy``.

Each import runs in a fresh interpreter; the two are measured in turn so that a busy machine slows
both; the time of an empty interpreter is subtracted; the ratio is between medians.

Usage: python benchmarks/import_time.py [repeats]
"""

import statistics
import subprocess
import sys
import time

STATEMENTS = {"nothing": "pass", "numpy": "import numpy", "veridical": "import veridical"}


def seconds_to_run(statement: str) -> float:
    """Wall time of a fresh interpreter that executes one statement."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - start


def median_seconds(repeats: int) -> dict[str, float]:
    """Median wall time of each statement, over ``repeats`` interleaved rounds after a warm-up."""
    times: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for round_index in range(repeats + 1):
        for name, statement in STATEMENTS.items():
            seconds = seconds_to_run(statement)
            if round_index > 0:  # the first round fills the disc cache
                times[name].append(seconds)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Measure and print."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 11
    medians = median_seconds(repeats)
    numpy_s = medians["numpy"] - medians["nothing"]
    veridical_s = medians["veridical"] - medians["nothing"]
    print(f"import numpy      {numpy_s * 1e3:7.1f} ms")
    print(f"import veridical  {veridical_s * 1e3:7.1f} ms")
    print(f"ratio             {veridical_s / numpy_s:7.2f}  (median of {repeats})")


if __name__ == "__main__":
    main()
