"""Peak memory of whole processes that encode and decode, beside AVIF and mbt2018-mean's network.

    python benchmarks/vdc_memory.py ../shared/data/kodak
    python benchmarks/vdc_memory.py ../shared/data/kodak --mosaic 16 --quality 30   # 100 megapixels

The picture and the rivals are those of ``vdc_speed.py``; mbt2018-mean, which sees a picture whole,
is left out above 4 megapixels. Rows without a picture say what a process has before it begins.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import mean_scale
import torch
from PIL import Image
from timing import peak
from vdc_speed import avif, mosaic

import veridical
from veridical.bitstream.container import read


def memory(weights: Path | None, picture: Image.Image, bpp: float, quality: float | None) -> None:
    """Print peak memory and seconds of whole processes."""
    with tempfile.TemporaryDirectory() as name:
        paths = {suffix: str(Path(name) / f"x.{suffix}") for suffix in ("png", "vdc", "avif")}
        picture.save(paths["png"], compress_level=1)
        target = {"bpp": bpp} if quality is None else {"quality": quality}
        data = veridical.encode(picture, format="VDC", weights=weights, **target)
        Path(paths["vdc"]).write_bytes(data)
        Path(paths["avif"]).write_bytes(avif(picture, 50))
        quality = read(data, max_pixels=1 << 40).header.quality / 100
        own = None if weights is None else str(weights.resolve())
        threads = torch.get_num_threads()
        start = f"import torch\ntorch.set_num_threads({threads})\n"
        ours = f"import os\nos.environ['OMP_NUM_THREADS'] = '{threads}'\nimport veridical\n"
        read_it = f"veridical.decode({paths['vdc']!r}, weights={own!r}, realism"
        works = {
            "Python and Pillow": "import PIL.Image",
            "AVIF encode": f"from PIL import Image\nImage.open({paths['png']!r}).save({name + '/y.avif'!r}, quality=50)",
            "AVIF decode": f"from PIL import Image\nImage.open({paths['avif']!r}).load()",
            ".vdc encode": f"{ours}veridical.encode({paths['png']!r}, format='VDC', quality={quality}, weights={own!r})",
            ".vdc decode, realism 0": f"{ours}{read_it}=0)",
        }
        if veridical.open(data).has_generator:
            works[".vdc decode, realism 1"] = f"{ours}{read_it}=1)"
        if picture.width * picture.height < 4e6:
            for size in mean_scale.SIZES:
                works[f"mbt2018-mean, {size}, decode"] = (
                    f"{start}import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\nimport mean_scale\n"
                    f"m, h, w = {mean_scale.SIZES[size]}[1], {-(-picture.height // 64)}, {-(-picture.width // 64)}\n"
                    f"net = mean_scale.ready({size!r}, channels_last=False)\nwith torch.inference_mode():\n"
                    f"    net.decode(torch.rand(1, m, 4 * h, 4 * w), torch.rand(1, net.n, h, w))"
                )
        print(
            f"\n{picture.width} x {picture.height}\n\n| process | peak MiB | seconds |\n|---|---|---|"
        )
        for title, code in works.items():
            most, seconds = peak(code)
            print(f"| {title} | {most:.0f} | {seconds:.1f} |", flush=True)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("originals", type=Path, help="folder of pictures")
    parser.add_argument("--weights", type=Path, help="instead of the shipped ones")
    parser.add_argument("--bpp", type=float, default=0.4)
    parser.add_argument("--quality", type=float, help="instead of the search for --bpp")
    parser.add_argument("--mosaic", type=int, default=2, help="pictures a side")
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    picture = mosaic(chosen.originals, chosen.mosaic)
    memory(chosen.weights, picture, chosen.bpp, chosen.quality)


if __name__ == "__main__":
    main()
