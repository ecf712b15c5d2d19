"""Time of the learned codec, beside AVIF and the network of mbt2018-mean.

    python benchmarks/vdc_speed.py ../shared/data/kodak --bpp 0.2 0.8

The picture is a mosaic of the first pictures of the folder, 2 x 2 unless said otherwise, coded at
a rate; AVIF at the largest of its rates below. All times are taken in turn in one run, with the
same number of threads, and medians are shown: seconds a megapixel by the clock, and of the
processors (summed over threads). Times of ``.vdc`` are those of whole files: container, entropy
coder, networks. mbt2018-mean is its networks alone, with random weights, in the faster of two
layouts of memory: its entropy coder is left out, in its favour (see ``mean_scale.py``).

The share of the entropy coder in decoding: *coder* is the range decoder with its tables;
*bookkeeping* the rest of decoding a tile, quantizer and checksum; *prior* its networks.
"""

from __future__ import annotations

import argparse
import io
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import mean_scale
import numpy as np
import torch
from photo_rows import picture_paths, pixels_of
from PIL import Image
from timing import interleaved

import veridical
from veridical.bitstream.container import read
from veridical.bitstream.tables import SymbolDecoder
from veridical.photo.options import DecodeOptions
from veridical.photo.vdc import image as vdc_image
from veridical.photo.vdc.prior import Prior

Works = dict[str, Callable[[], object]]
MBT = "mbt2018-mean"


def mosaic(folder: Path, n: int) -> Image.Image:
    """``n`` times ``n`` pictures of one shape, over and over if there are fewer."""
    pictures = [pixels_of(path) for path in picture_paths(folder)[: n * n]]
    pictures = [p for p in pictures if p.shape == pictures[0].shape]
    rows = [
        np.concatenate([pictures[(n * i + k) % len(pictures)] for k in range(n)], axis=1)
        for i in range(n)
    ]
    return Image.fromarray(np.concatenate(rows))


def vdc_works(weights: Path | None, picture: Image.Image, data: bytes, threads: int) -> Works:
    """Encoding at the quality of a file, and decoding it."""
    quality = read(data, max_pixels=1 << 40).header.quality / 100
    settings: dict[str, dict[str, Any]] = {"realism 0": {"realism": 0.0}}
    if veridical.open(data, DecodeOptions(weights=weights)).has_generator:
        settings["realism 1"] = {"realism": 1.0}
    works: Works = {
        ".vdc encode": lambda: veridical.encode(
            picture, format="VDC", quality=quality, weights=weights
        )
    }
    for name, kept in settings.items():
        options = DecodeOptions(weights=weights, threads=threads, max_pixels=1 << 40, **kept)
        works[f".vdc decode, {name}"] = lambda options=options: veridical.decode(data, options)
    return works


def avif_works(picture: Image.Image, bpp: float) -> tuple[float, Works]:
    """AVIF as Pillow does it, and its rate."""
    pixels = picture.width * picture.height
    fits = bisect_right(range(101), bpp * pixels / 8, key=lambda q: len(avif(picture, q)))
    quality = max(fits - 1, 0)
    data = avif(picture, quality)
    return 8 * len(data) / pixels, {
        "AVIF encode": lambda: avif(picture, quality),
        "AVIF decode": lambda: Image.open(io.BytesIO(data)).load(),
    }


def avif(picture: Image.Image, quality: int) -> bytes:
    """A file with Pillow's settings."""
    file = io.BytesIO()
    picture.save(file, "AVIF", quality=quality)
    return file.getvalue()


def rival_works(picture: Image.Image) -> Works:
    """The networks of mbt2018-mean in both layouts; sides are rounded up to multiples of 64."""
    works: Works = {}
    height, width = (side + -side % 64 for side in (picture.height, picture.width))
    for size in mean_scale.SIZES:
        for last in (False, True):
            network = mean_scale.ready(size, channels_last=last)
            layout = torch.channels_last if last else torch.contiguous_format
            x = torch.rand(1, 3, height, width).contiguous(memory_format=layout)
            with torch.inference_mode():
                code = network.encode(x)
            works[f"{MBT}, {size}, encode|{last}"] = _quiet(network.encode, x)
            works[f"{MBT}, {size}, decode|{last}"] = _quiet(network.decode, *code)
    return works


def _quiet(call: Callable[..., object], *arguments: torch.Tensor) -> Callable[[], object]:
    def work() -> object:
        with torch.inference_mode():
            return call(*arguments)

    return work


def faster(times: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """One time for each name: of several layouts, the faster by the clock."""
    out: dict[str, tuple[float, float]] = {}
    for name, time_ in times.items():
        short = name.split("|")[0]
        out[short] = min(out.get(short, time_), time_)
    return out


def shares(options: DecodeOptions, data: bytes, repeats: int) -> str:
    """Where the time of decoding at realism 0 goes."""
    spent: defaultdict[str, float] = defaultdict(float)

    def timed(call: Callable[..., Any], label: str) -> Callable[..., Any]:
        def work(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return call(*arguments, **named)
            finally:
                spent[label] += time.perf_counter() - began

        return work

    with ExitStack() as stack:
        for owner, name in (
            (Prior, "features"), (Prior, "coded_laws"), (SymbolDecoder, "take"), (vdc_image, "decode_tile"),
        ):  # fmt: skip
            call = getattr(owner, name)
            stack.enter_context(mock.patch.object(owner, name, timed(call, name)))
        whole = timed(veridical.decode, "whole")
        for _ in range(repeats):
            whole(data, options)
    prior = spent["features"] + spent["coded_laws"]
    parts = {
        "coder": spent["take"],
        "bookkeeping": spent["decode_tile"] - spent["take"] - prior,
        "prior": prior,
        "synthesis and the rest": spent["whole"] - spent["decode_tile"],
    }
    cells = ", ".join(f"{k} {100 * v / spent['whole']:.1f} %" for k, v in parts.items())
    return f"decoding at realism 0: {cells}"


def times(
    weights: Path | None, picture: Image.Image, bpp: float, repeats: int, threads: int
) -> None:
    """Print the table of times at a rate."""
    megapixels = picture.width * picture.height / 1e6
    began = time.perf_counter()
    data = veridical.encode(picture, format="VDC", bpp=bpp, weights=weights)
    search = (time.perf_counter() - began) / megapixels
    rate, avif_ = avif_works(picture, bpp)
    works = vdc_works(weights, picture, data, threads) | avif_ | rival_works(picture)
    found = faster(interleaved(works, repeats))
    print(
        f"\n.vdc {8 * len(data) / megapixels / 1e6:.3f} bits a pixel, AVIF {rate:.3f}; "
        f"{picture.width} x {picture.height}, {torch.get_num_threads()} threads\n\n"
        f"| | s/Mpx | of processors | {' | '.join(f'times faster than {MBT}, {s}' for s in mean_scale.SIZES)} |\n"
        "|---|---|---|" + "---|" * len(mean_scale.SIZES)
    )
    for name, (clock, processors) in found.items():
        side = "encode" if "encode" in name else "decode"
        ratios = [found[f"{MBT}, {size}, {side}"][0] / clock for size in mean_scale.SIZES]
        cells = [f"{clock / megapixels:.4f}", f"{processors / megapixels:.4f}"]
        print(f"| {name} | {' | '.join([*cells, *(f'{r:.2f}' for r in ratios)])} |")
    options = DecodeOptions(realism=0.0, weights=weights, threads=threads, max_pixels=1 << 40)
    print(f"\nsearch for the rate: {search:.2f} s/Mpx, once; {shares(options, data, repeats)}")


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("originals", type=Path, help="folder of pictures")
    parser.add_argument("--weights", type=Path, help="instead of the shipped ones")
    parser.add_argument("--bpp", type=float, nargs="+", default=[0.2, 0.8])
    parser.add_argument("--mosaic", type=int, default=2, help="pictures a side")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    picture = mosaic(chosen.originals, chosen.mosaic)
    for bpp in chosen.bpp:
        times(chosen.weights, picture, bpp, chosen.repeats, chosen.threads)


if __name__ == "__main__":
    main()
