"""The rate of ``.vdc`` files four times: in training, by its smooth laws, by its tables, in files.

    python benchmarks/vdc_laws.py ../shared/data/kodak --run runs/photo-codec --preset cpu

For the middle of each picture (one tile) and each quality, in bits a pixel: the loss of training
(latents with uniform noise), the smooth laws at the whole numbers that are coded, the frozen
tables at the same numbers, and the message that the coder writes. Training minimizes the first;
a file costs the last. The smooth laws stop at 20 bits a number, where tables have escapes, so that
the two part where a prior is far from its latents, as before training.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from safetensors.torch import load_model

from veridical.photo.vdc.coding import EntropyModel, TileKey, encode_tile
from veridical.photo.vdc.prior import LARGEST_HYPER, STRIDE
from veridical.photo.vdc.quantizers import Scalar
from veridical.training.photo_codec import CODEC_PRESETS, new_networks
from veridical.training.pictures import centre_crops
from veridical.training.vdc.codec import TrainedCodec
from veridical.training.vdc.export import entropy_model

COLUMNS = ("training", "smooth laws", "tables", "message")


@torch.inference_mode()
def rates(
    networks: TrainedCodec, entropy: EntropyModel, picture: np.ndarray, number: int
) -> tuple[float, ...]:
    """The four rates of a picture at a quality, in bits a pixel, and escapes in 1,000 latents."""
    x = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float().div_(255)
    height, width = picture.shape[0] // STRIDE, picture.shape[1] // STRIDE
    quality = torch.tensor([number])
    config = networks.config[1]
    generator = torch.Generator().manual_seed(number)
    noise = torch.rand(1, config.latents + config.hyper, height, width, generator=generator) - 0.5
    seen = networks(x, quality, noise)
    y = networks.analysis(x) * networks.gains(quality)[0]
    z = networks.hyper_analysis(y).round().clamp(-LARGEST_HYPER, LARGEST_HYPER)
    row = config.hyper_row(number)
    coded = seen.rows > 0
    smooth = networks.hyper_law.bits(z, torch.tensor([row])).sum()
    smooth += networks.latent_law.bits(seen.symbols, seen.rows)[coded].sum()
    symbols, rows = (t[coded].numpy().round().astype(np.int64) for t in (seen.symbols, seen.rows))
    whole = z[0].numpy().astype(np.int64)
    tables = np.repeat(row * config.hyper + np.arange(config.hyper), whole[0].size)
    frozen = entropy.latent_tables.bits(symbols, rows)
    frozen += entropy.hyper_tables.bits(whole.reshape(-1), tables)
    key = TileKey(height, width, number, Scalar())
    message = encode_tile(entropy, y[0].numpy(), whole, key)[0]
    low, high = (getattr(entropy.latent_tables, k)[rows] for k in ("lows", "highs"))
    escapes = 1000 * float(np.mean((symbols < low) | (symbols > high))) if rows.size else 0.0
    loss = seen.latent_bits + seen.hyper_bits
    bits = float(loss), float(smooth), frozen, 8 * len(message)
    return *(b / (picture.shape[0] * picture.shape[1]) for b in bits), escapes


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("originals", type=Path, help="folder of pictures")
    parser.add_argument("--run", type=Path, required=True, help="folder of the training")
    parser.add_argument("--preset", default="cpu")
    parser.add_argument("--side", type=int, default=512, help="of the middles, a multiple of 64")
    parser.add_argument("--qualities", type=float, nargs="+", default=[0, 12.5, 25, 50, 75, 100])
    chosen = parser.parse_args()
    networks = new_networks(CODEC_PRESETS[chosen.preset])
    load_model(networks, str(chosen.run / "codec.safetensors"))
    networks.eval().requires_grad_(False)
    entropy = entropy_model(networks)
    pictures = centre_crops(chosen.originals, chosen.side)
    found = np.array([
        [rates(networks, entropy, picture, round(100 * q)) for q in chosen.qualities]
        for picture in track(pictures, description="measuring")
    ])  # fmt: skip
    print(
        f"| quality | {' | '.join(f'{c}, bits/pixel' for c in COLUMNS)} | ratios to the tables | escapes in 1,000 |"
    )
    print("|---" * (len(COLUMNS) + 3) + "|")
    for q, (*row, escapes) in zip(chosen.qualities, found.mean(0), strict=True):
        ratios = ", ".join(f"{r / row[2]:.4f}" for r in row)
        print(f"| {q:g} | {' | '.join(f'{r:.4f}' for r in row)} | {ratios} | {escapes:.2f} |")
    worst = np.max(np.abs(np.log(found[..., 1] / found[..., 2])))
    print(
        f"\nsmooth laws and tables at the same numbers: at most {100 * np.expm1(worst):.2f} % apart"
    )


if __name__ == "__main__":
    main()
