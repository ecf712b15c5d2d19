"""Writes the golden files anew: only for a new version of the format, never to make a test pass.

    python tests/photo/vdc/golden/make.py

A tiny model with random weights, and three files of one drawn picture. The tests decode the files
that are checked in with the weights that are checked in, and compare every latent.
"""

import importlib.util
import json
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from veridical.bitstream.container import read
from veridical.photo.options import EncodeOptions, Target
from veridical.photo.vdc.encode import VdcEncoder
from veridical.photo.vdc.image import decode_latents
from veridical.photo.vdc.model import VdcModel, load_model
from veridical.training.vdc.export import save_codec, save_decoder

HERE = Path(__file__).parent
FILES = (("rounded", "scalar", 60.0), ("dithered", "dither", 85.0), ("e8", "e8", 85.0))


def drawn_picture() -> Image.Image:
    """Rings of colour, 150 x 90."""
    y, x = np.mgrid[:90, :150]
    waves = [np.sin((x * x + y * y) / (400.0 + 90 * k) + k) for k in range(3)]
    return Image.fromarray((127.5 + 120 * np.stack(waves, -1)).astype(np.uint8))


def coded(model: VdcModel, name: str, quantizer: str, quality: float) -> dict:
    """Write one file; what it must decode to."""
    encoder = VdcEncoder(model, EncodeOptions(quantizer=quantizer, seed=2**63 + 5), tile=64)
    data = encoder.encode(drawn_picture(), Target(quality=quality))
    (HERE / f"{name}.vdc").write_bytes(data)
    latents, _ = decode_latents(read(data, max_pixels=10**6), model)
    return {
        "shape": list(latents.shape),
        "crc32": zlib.crc32(latents.astype("<i2").tobytes()),
        "largest": int(np.abs(latents).max()),
        "nonzero": int(np.count_nonzero(latents)),
    }


def main() -> None:
    """Write weights, files and what they must decode to."""
    spec = importlib.util.spec_from_file_location("conftest", HERE.parent / "conftest.py")
    conftest = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(conftest)
    path = HERE / "tiny.npz"
    save_codec(path, conftest.lively_networks(), {"command": "make.py"}, name="golden-1")
    spread, refinement, generator = conftest.lively_generator()
    networks = {"refinement": refinement, "generator": generator}
    save_decoder(path, spread, networks, {"command": "make.py"})
    model = load_model(path)
    expected = {setting[0]: coded(model, *setting) for setting in FILES}
    (HERE / "expected.json").write_text(json.dumps(expected, indent=2) + "\n")


if __name__ == "__main__":
    main()
