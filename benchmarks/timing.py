"""Seconds and memory, measured alike in all benchmarks."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

_OWN_PEAK = """
import pathlib
for line in pathlib.Path("/proc/self/status").read_text().splitlines():
    if line.startswith("VmHWM"):
        print(line.split()[1])
"""


def interleaved(
    works: Mapping[str, Callable[[], object]], repeats: int
) -> dict[str, tuple[float, float]]:
    """Median seconds by the clock and of the processors, each work in turn, after one run of each.

    Seconds of the processors are summed over threads; other work on the machine hardly counts.
    """
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for work in works.values():
        work()
    for _ in range(repeats):
        for name, work in works.items():
            clock, processors = time.perf_counter(), time.process_time()
            work()
            found[name].append((time.perf_counter() - clock, time.process_time() - processors))
    return {
        name: (statistics.median(c for c, _ in runs), statistics.median(p for _, p in runs))
        for name, runs in found.items()
    }


def peak(code: str) -> tuple[float, float]:
    """Peak memory in MiB and seconds of a whole process that runs this code (Linux).

    The process tells its own peak: what the system reports to the parent begins with the memory
    that the parent had when it started the child.
    """
    began = time.perf_counter()
    child = subprocess.run(
        [sys.executable, "-c", code + _OWN_PEAK], check=True, stdout=subprocess.PIPE, text=True
    )
    return int(child.stdout.split()[-1]) / 1024, time.perf_counter() - began
