"""The weights of ``.vdc`` files: what has to be exact in one file, and a network in floating point each.

``vdc.npz`` holds the prior in whole numbers, the frozen frequency tables and the gains, and as JSON the
sizes, the prices and the *digest* by which coded files know their model; ``vdc-analysis.onnx``,
``vdc-hyper-analysis.onnx`` and ``vdc-synthesis.onnx`` lie beside it and name that digest.
``vdc-spread.onnx``, ``vdc-refinement.onnx`` and ``vdc-generator.onnx`` finish the decoder, if they are there. Loading computes no table
and no weight: it proves the bounds of all sums and hands on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veridical.arrays import read_npz
from veridical.bitstream.container import DIGEST_BYTES, Header
from veridical.bitstream.tables import TableSet
from veridical.errors import BadWeights, InvalidSetting, WrongModel
from veridical.interpolate import Calibration
from veridical.photo.vdc.coding import EntropyModel
from veridical.photo.vdc.prices import QualityPrices
from veridical.photo.vdc.prior import QUALITY_STEPS, Prior, PriorConfig
from veridical.photo.weights import (
    LAYOUT,
    Network,
    damaged_weights,
    default_weights,
    file_state,
    load_network,
    network_path,
    no_generator,
    read_card,
)

Array32 = NDArray[np.float32]
_MOST_BYTES = 256 << 20
_FOREIGN: dict[str, Any] = {"layout": LAYOUT, "kind": ""}


@dataclass(frozen=True, eq=False)
class Gains:
    """Steps of the quantizer by quality: logarithms of gains, interpolated between anchors.

    Attributes:
        log_gain, log_inverse: Shape (anchors, latents).
    """

    log_gain: Array32 = field(repr=False)
    log_inverse: Array32 = field(repr=False)

    def __call__(self, quality: int) -> tuple[Array32, Array32]:
        """Gain and inverse gain of each channel, shapes (latents, 1, 1)."""
        segments = len(self.log_gain) - 1
        place = np.float32(quality) * np.float32(segments / QUALITY_STEPS)
        low = min(int(place), segments - 1)
        part = np.float32(place - low)
        gain, inverse = (
            np.exp(t[low] + part * (t[low + 1] - t[low]))[:, None, None]
            for t in (self.log_gain, self.log_inverse)
        )
        return gain, inverse


@dataclass(frozen=True, eq=False)
class VdcModel:
    """A model that is ready to code and decode.

    Attributes:
        path: Of its file.
        name: Goes into every coded file, 1 to 12 letters.
        digest: 64 hexadecimal digits by which coded files know their model.
        entropy: Prior and tables, in whole numbers.
        gains: Steps of the quantizer.
        prices: By number of the quantizer; empty before they are measured.
        device, threads: Of the networks' sessions.
    """

    path: Path
    name: str
    digest: str
    entropy: EntropyModel = field(repr=False)
    gains: Gains = field(repr=False)
    prices: Mapping[int, QualityPrices] = field(repr=False)
    device: str = "auto"
    threads: int | None = None

    @property
    def short_digest(self) -> bytes:
        """What a file's header holds of the digest."""
        return bytes.fromhex(self.digest)[:DIGEST_BYTES]

    @property
    def n_latents(self) -> int:
        """Channels of the latents."""
        return self.entropy.prior.config.latents

    @property
    def has_generator(self) -> bool:
        """Whether realisms above 0 can be decoded."""
        return network_path(self.path, "generator").exists()

    @property
    def refines(self) -> bool:
        """Whether the synthesis's picture is refined; with a generator it always is."""
        return network_path(self.path, "refinement").exists() or self.has_generator

    def check_decoder(self) -> None:
        """Refuse weights whose decoder lacks a part.

        Raises:
            BadWeights: One is missing.
        """
        for part in ("synthesis", *(("spread", "refinement") if self.refines else ())):
            if not (path := network_path(self.path, part)).exists():
                raise BadWeights(
                    f"{path} is missing, without which nothing is decoded; copy all files of {self.path} again"
                )

    def network(self, part: str) -> Network:
        """One of "analysis", "hyper-analysis", "synthesis", "spread", "refinement" and "generator".

        Raises:
            BadWeights: Missing, damaged, or made for another codec.
            InvalidSetting: There is no generator.
        """
        path = network_path(self.path, part)
        if part == "generator" and not self.has_generator:
            raise InvalidSetting(no_generator(self.path))
        found = load_network(path, kind=f"vdc-{part}", device=self.device, threads=self.threads)
        if found.header.get("codec") != self.digest:
            raise BadWeights(
                f"{path} is the {part} of another codec than {self.path}; copy all its files again"
            )
        return found

    def price(
        self, quality: int, quantizer: int, bits_per_pixel: float | None = None
    ) -> Calibration | None:
        """Of a quality, and of the bits per pixel that a picture takes there; None if it was not measured."""
        prices = self.prices.get(quantizer)
        return None if prices is None else prices.calibration(quality, bits_per_pixel)

    def check(self, header: Header) -> None:
        """Refuse a file of other weights.

        Raises:
            WrongModel: Name or digest differ.
        """
        if (header.model, header.digest) != (self.name, self.short_digest):
            raise WrongModel(
                f"the file was made with model {header.model} ({header.digest.hex()}), and {self.name} "
                f"({self.short_digest.hex()}) is loaded; name the file's own weights with --weights FILE, "
                "or install the version of veridical that made it"
            )


def vdc_path(weights: Path | None) -> Path:
    """The file of the codec: that of a folder, or the one given; None is :func:`default_weights`."""
    place = weights or default_weights()
    return place / "vdc.npz" if place.is_dir() else place


def load_model(
    weights: Path | None = None, *, device: str = "auto", threads: int | None = None
) -> VdcModel:
    """Load the weights of ``.vdc`` files; a file that did not change is loaded once.

    Args:
        weights: ``NAME.npz`` with its card and networks beside it, or a folder with ``vdc.npz``; None for
            :func:`default_weights`.
        device: Of the networks' sessions; the entropy model stays on the processor.
        threads: Likewise.

    Raises:
        BadWeights: Missing, damaged, of another layout, not the file that its card describes, or
            with sums that might not be exact.
    """
    path = vdc_path(weights)
    if weights is None and not path.exists():
        raise BadWeights(
            "this version ships no weights for .vdc files; train them (veridical train photo-codec) and "
            "name them with --weights FILE, or write AVIF, WebP or JPEG"
        )
    with damaged_weights(path):
        if path.suffix != ".npz":
            raise BadWeights(f"{path} is not the file of a codec, which is NAME.npz; name that one")
        try:
            return _load(path, file_state(path), device, threads)
        except InvalidSetting as cause:  # nothing is set here: these are the file's own numbers
            raise ValueError(str(cause)) from cause


@lru_cache(maxsize=8)
def _load(path: Path, state: tuple[int, ...], device: str, threads: int | None) -> VdcModel:
    del state  # the file as it lies there: another one is read anew
    data = path.read_bytes()
    read_card(path, hashlib.sha256(data).hexdigest())
    tensors = read_npz(data, most_bytes=_MOST_BYTES)
    header = json.loads(tensors["header"].tobytes()) if "header" in tensors else _FOREIGN
    if (header["layout"], header["kind"]) != (LAYOUT, "vdc"):
        raise BadWeights(f"{path} holds other weights than those of .vdc files of this version")
    config = PriorConfig(**header["prior"])
    gains = [tensors[f"gains.{k}"].astype(np.float32) for k in ("log_gain", "log_inverse")]
    if any(
        g.shape != (config.anchors, config.latents) or not np.all(np.isfinite(g)) for g in gains
    ):
        raise BadWeights(f"{path} holds gains of another shape, or that are not finite")
    entropy = EntropyModel(
        Prior(config, tensors, "prior."), _tables(tensors, "latent"), _tables(tensors, "hyper")
    )
    prices = {int(k): QualityPrices.of(v) for k, v in header["prices"].items()}
    return VdcModel(
        path, header["name"], header["digest"], entropy, Gains(*gains), prices, device, threads
    )


def _tables(tensors: dict[str, NDArray[Any]], part: str) -> TableSet:
    found = [tensors[f"tables.{part}.{key}"] for key in ("frequencies", "starts", "lows")]
    if not all(np.issubdtype(x.dtype, np.integer) for x in found):
        raise BadWeights(f"the frequency tables of {part}s are not whole numbers")
    return TableSet(*(x.astype(np.int64) for x in found))
