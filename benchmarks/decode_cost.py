"""What decoding costs as whole processes, against another checkout: CPU seconds, memory, installed size.

    python benchmarks/decode_cost.py ../shared/data/kodak/kodim03.png --other-source OLD/src

Each command runs in a process of its own with one thread, this checkout and the other one in turn; the
least CPU seconds of the repeats and the largest peak memory are shown, and their ratio.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

import veridical

OWN = Path(veridical.__file__).parents[1]


def cost(python: str, source: Path, words: list[str], threads: int) -> tuple[float, float]:
    """CPU seconds and peak MiB of ``python -m veridical WORDS``."""
    environment = os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": str(threads)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # byte code is kept, as where it is installed
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code = (
        "import resource, runpy, sys\n"
        "sys.argv = ['veridical', *sys.argv[1:]]\n"
        "try: runpy.run_module('veridical', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    done = subprocess.run(
        [python, "-c", code, *words], env=environment, capture_output=True, text=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, float(done.stdout.rsplit("peak", 1)[1])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photograph", type=Path)
    parser.add_argument("--other-source", type=Path, help="the other checkout's src")
    parser.add_argument("--other-python", default=sys.executable)
    parser.add_argument("--format", default="jpg")
    parser.add_argument("--quality", default="30")
    parser.add_argument("--megapixels", type=float, help="enlarge the photograph")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        picture = Image.open(a.photograph).convert("RGB")
        if a.megapixels:
            factor = (a.megapixels * 1e6 / (picture.width * picture.height)) ** 0.5
            picture = picture.resize(
                (round(picture.width * factor), round(picture.height * factor))
            )
        coded = folder / f"coded.{a.format}"
        coded.write_bytes(veridical.encode(picture, format=a.format, quality=int(a.quality)))
        out = ["decode", str(coded), str(folder / "out.png"), "--force"]
        works = {
            "--version": ["--version"],
            "info": ["info", str(coded)],
            "decode, realism 0": [*out, "--realism", "0"],
            "decode, realism 1": [*out, "--realism", "1"],
            "realism 0, tile 2304": [*out, "--realism", "0", "--tile", "2304"],
        }
        others = [] if a.other_source is None else [(a.other_python, a.other_source)]
        print(f"{picture.width} x {picture.height}, {a.format} quality {a.quality}")
        print("| command | CPU s | peak MiB | other: CPU s | peak MiB | times less CPU | memory |")
        print("|---" * 7 + "|")
        for title, words in works.items():
            found: dict[int, list[tuple[float, float]]] = {}
            for _ in range(a.repeats):
                for k, (python, source) in enumerate([(sys.executable, OWN), *others]):
                    found.setdefault(k, []).append(cost(python, source, words, a.threads))
            best = [(min(s for s, _ in rows), max(m for _, m in rows)) for rows in found.values()]
            cells = [f"{s:.2f} | {m:.0f}" for s, m in best]
            if others:
                (s0, m0), (s1, m1) = best
                cells.append(f"{s1 / s0:.2f} | {m0 / m1:.2f}")
            print("| " + " | ".join([title, *cells]) + " |", flush=True)


if __name__ == "__main__":
    main()
