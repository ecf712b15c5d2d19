"""The cost of ``.vdc`` files in arithmetic and processor time, with random weights.

    python benchmarks/photo_codec.py --preset cpu --threads 1

Prints thousands of multiply-accumulates a pixel, seconds of a training step, and seconds a
megapixel of each part of encoding and decoding (analysis, entropy coding, synthesis). Seconds are
those of the processor, summed over threads, so that other work on the machine hardly counts.
Rates of random weights mean nothing; the time of the entropy coder depends on how many numbers
are coded, which `--rows` sets: every latent is given this row of the tables.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from veridical.photo.vdc.coding import EntropyModel, TileKey, decode_tile, encode_tile
from veridical.photo.vdc.prior import PASSES, scale_of_row
from veridical.photo.vdc.quantizers import Scalar
from veridical.training.loop import keep_memory
from veridical.training.networks import kmac_per_pixel
from veridical.training.photo_codec import CODEC_PRESETS, codec_loss, new_networks
from veridical.training.vdc.export import entropy_model

SIDE = 512


def seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """Least processor time of a few runs."""
    best = float("inf")
    for _ in range(repeats):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--preset", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rows", type=int, nargs="*", default=[6, 16])
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    keep_memory()
    preset = CODEC_PRESETS[chosen.preset]
    networks = new_networks(preset)
    for p in networks.parameters():
        if p.dim() == 4:
            p.data = p.data.contiguous(memory_format=torch.channels_last)
    y, quality = torch.zeros(1, preset.prior.latents, 4, 4), torch.tensor([5000])
    z, prior = torch.zeros(1, preset.prior.hyper, 1, 1), networks.prior

    def laws() -> None:
        h = prior.features(z, quality)
        for k in range(PASSES):
            prior.laws(k, h, y)

    for name, run in (
        ("analysis", lambda: networks.analysis(torch.zeros(1, 3, 64, 64))),
        ("hyper_analysis", lambda: networks.hyper_analysis(y)),
        ("prior", laws),
        ("synthesis", lambda: networks.synthesis(y, quality)),
    ):
        n = sum(p.numel() for p in getattr(networks, name).parameters())
        print(f"{name}: {kmac_per_pixel(run, 64**2):.2f} kMAC a pixel, {n:,} numbers")
    optimizer = torch.optim.Adam(networks.parameters(), lr=1e-4)
    x = torch.rand(preset.batch_size, 3, preset.patch, preset.patch)
    counter = iter(range(1000))

    def step() -> None:
        optimizer.zero_grad()
        codec_loss(networks, x, preset, [1, next(counter)]).backward()
        optimizer.step()

    cost = seconds(step)
    print(f"training step: {cost:.2f} s; {3600 / cost:.0f} an hour and processor at that rate")
    networks.eval().requires_grad_(False)
    inference(networks, preset.prior.latents, chosen.rows)


def inference(networks: torch.nn.Module, latents: int, rows: list[int]) -> None:
    """Time the parts of coding one tile."""
    scale = 1e6 / SIDE**2
    picture = torch.rand(1, 3, SIDE, SIDE).contiguous(memory_format=torch.channels_last)
    quality = torch.tensor([5000])
    with torch.inference_mode():
        y = networks.analysis(picture)
        print(f"analysis: {scale * seconds(lambda: networks.analysis(picture)):.3f} s a megapixel")
        synthesis = scale * seconds(lambda: networks.synthesis(y, quality))
    print(f"synthesis: {synthesis:.3f} s a megapixel")
    key = TileKey(SIDE // 16, SIDE // 16, 5000, Scalar())
    z = np.zeros((networks.prior.config.hyper, SIDE // 64, SIDE // 64), dtype=np.int64)
    rng = np.random.default_rng(0)
    for row in rows:
        for context in networks.prior.contexts:
            context.mean.weight.zero_()
            context.row.weight.zero_()
            context.row.bias.fill_(row / 4)
        entropy = entropy_model(networks)
        spread = scale_of_row(row) * rng.standard_normal((latents, SIDE // 16, SIDE // 16))
        data, _ = encode_tile(entropy, spread.astype(np.float32), z, key)
        whole = scale * seconds(lambda d=data, e=entropy: decode_tile(e, d, key))
        calls = prior_alone(entropy, z, key)
        print(
            f"row {row}: {8 * len(data) / SIDE**2:.3f} bits a pixel; entropy decoding {whole:.3f} s a megapixel, "
            f"of which networks {scale * calls:.3f}; range coder and bookkeeping "
            f"{100 * (whole - scale * calls) / (whole + synthesis):.0f} % of decoding"
        )


def prior_alone(entropy: EntropyModel, z: np.ndarray, key: TileKey) -> float:
    """Processor time of the networks of one tile."""
    prior = entropy.prior
    known = np.zeros((prior.config.latents, key.height, key.width), dtype=np.float32)

    def work() -> None:
        h = prior.features(z, key.quality)
        for k in range(4):
            prior.coded_laws(k, h, known)

    return seconds(work)


if __name__ == "__main__":
    main()
