"""Time and memory of decoding photographs, in seconds a megapixel and against the ordinary decoder.

    python benchmarks/speed.py                            # times on a 2-megapixel picture
    python benchmarks/speed.py --memory-megapixels 100    # peak memory of one whole process

All times of one table come from one run; the median of three is shown.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from timing import interleaved, peak

import veridical

REPEATS = 3


def picture(megapixels: float) -> Image.Image:
    """A photograph from scikit-image, enlarged."""
    from skimage import data

    photo = Image.fromarray(data.coffee())
    factor = (megapixels * 1e6 / (photo.width * photo.height)) ** 0.5
    return photo.resize((round(photo.width * factor), round(photo.height * factor)))


def ordinary(data: bytes) -> None:
    """Decode as any program would."""
    with Image.open(io.BytesIO(data)) as im:
        im.load()


def times() -> None:
    """Print the table of times."""
    source = picture(2.0)
    megapixels = source.width * source.height / 1e6
    print("| format | ordinary s/Mpx | realism 0 | ratio | realism 1 | ratio |")
    print("|---" * 6 + "|")
    for name in ("AVIF", "WEBP", "JPEG"):
        data = veridical.encode(source, format=name, quality=30)
        veridical.decode(data, realism=1.0)  # loads the weights
        works: dict[str, Callable[[], object]] = {"ordinary": lambda d=data: ordinary(d)}
        for realism in (0.0, 1.0):
            works[f"realism {realism}"] = lambda d=data, a=realism: veridical.decode(d, realism=a)
        base, *others = (c / megapixels for c, _ in interleaved(works, REPEATS).values())
        cells = [f"{name} | {base:.4f}"]
        cells += [f"{t:.2f} | {t / base:.0f}" for t in others]
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
            "decode, realism 1": f"import veridical; veridical.decode({str(path)!r}, realism=1)",
        }
        print("| process | peak MiB | seconds |\n|---|---|---|")
        for name, code in programs.items():
            most, seconds = peak(code)
            print(f"| {name} | {most:.0f} | {seconds:.0f} |", flush=True)


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
