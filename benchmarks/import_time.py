"""What importing the package and asking for its version cost, in seconds of the processor.

Each command runs in a fresh interpreter; they are measured in turn so that a busy machine slows all, and the
cost of an empty interpreter is subtracted from the imports.

Usage: python benchmarks/import_time.py [repeats]
"""

import resource
import statistics
import subprocess
import sys

COMMANDS = {
    "nothing": ["-c", "pass"],
    "import numpy": ["-c", "import numpy"],
    "import veridical": ["-c", "import veridical"],
    "veridical --version": ["-m", "veridical", "--version"],
    "veridical --help": ["-m", "veridical", "--help"],
}


def cpu_seconds(words: list[str]) -> float:
    """Processor time of a fresh interpreter."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    """Measure and print."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 11
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for k in range(repeats + 1):
        for name, words in COMMANDS.items():
            seconds = cpu_seconds(words)
            if k > 0:  # the first round fills the disc cache
                times[name].append(seconds)
    medians = {name: statistics.median(values) for name, values in times.items()}
    empty = medians.pop("nothing")
    for name, seconds in medians.items():
        own = seconds - empty if name.startswith("import") else seconds
        print(f"{name:20} {own * 1e3:7.1f} ms of the processor (median of {repeats})")


if __name__ == "__main__":
    main()
