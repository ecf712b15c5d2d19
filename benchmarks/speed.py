"""Time and memory of decoding photographs, in seconds a megapixel and against the ordinary decoder.

    python benchmarks/speed.py                            # times on a 2-megapixel picture
    python benchmarks/speed.py --memory-megapixels 100    # peak memory of one whole process

All times of one table come from one run; the median of three is shown.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

import veridical

REPEATS = 3


def picture(megapixels: float) -> Image.Image:
    """A photograph from scikit-image, enlarged."""
    from skimage import data

    photo = Image.fromarray(data.coffee())
    factor = (megapixels * 1e6 / (photo.width * photo.height)) ** 0.5
    return photo.resize((round(photo.width * factor), round(photo.height * factor)))


def seconds(work: Callable[[], object]) -> float:
    """Median time of a call."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def ordinary(data: bytes) -> None:
    """Decode as any program would."""
    with Image.open(io.BytesIO(data)) as im:
        im.load()


def times() -> None:
    """Print the table of times."""
    source = picture(2.0)
    megapixels = source.width * source.height / 1e6
    print(
        "| format | ordinary s/Mpx | realism 0 | ratio | realism 1, 1 step | ratio | 4 steps | ratio |"
    )
    print("|---" * 8 + "|")
    for name in ("AVIF", "WEBP", "JPEG"):
        data = veridical.encode(source, format=name, quality=30)
        veridical.decode(data, realism=1.0, steps=1)  # loads the weights
        base = seconds(lambda data=data: ordinary(data)) / megapixels
        cells = [f"{name} | {base:.4f}"]
        for settings in (
            {"realism": 0.0},
            {"realism": 1.0, "steps": 1},
            {"realism": 1.0, "steps": 4},
        ):
            t = seconds(lambda data=data, s=settings: veridical.decode(data, **s)) / megapixels
            cells.append(f"{t:.2f} | {t / base:.0f}")
        print("| " + " | ".join(cells) + " |", flush=True)


def memory(megapixels: float) -> None:
    """Print the peak memory and the time of whole processes that encode and decode."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.jpg"
        picture(megapixels).save(path, quality=40)
        programs = {
            "ordinary decoder": f"from PIL import Image; Image.open({str(path)!r}).load()",
            "encode AVIF": f"import veridical; veridical.encode({str(path)!r}, format='AVIF', quality=30)",
            "encode JPEG": f"import veridical; veridical.encode({str(path)!r}, format='JPEG', quality=30)",
            "decode, realism 0": f"import veridical; veridical.decode({str(path)!r}, realism=0)",
            "decode, realism 1, 1 step": f"import veridical; veridical.decode({str(path)!r}, realism=1, steps=1)",
        }
        print("| process | peak MiB | seconds |\n|---|---|---|")
        for name, code in programs.items():
            began = time.perf_counter()
            child = subprocess.Popen([sys.executable, "-c", code])
            _, status, used = os.wait4(child.pid, 0)
            if status != 0:
                raise SystemExit(f"{name} failed")
            peak = used.ru_maxrss / 1024
            print(f"| {name} | {peak:.0f} | {time.perf_counter() - began:.0f} |", flush=True)


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--memory-megapixels", type=float)
    arguments = parser.parse_args()
    if arguments.memory_megapixels is None:
        times()
    else:
        memory(arguments.memory_megapixels)


if __name__ == "__main__":
    main()
