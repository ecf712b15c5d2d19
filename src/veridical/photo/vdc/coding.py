"""One tile's latents as a message: hyperlatents, then four passes, then nothing else.

The message is a checksum (4 bytes) and the words of the range coder. The checksum is a CRC-32 of the
file's header, the number of the tile, the words, and the latents that the decoder must arrive at (in
files of version 1 of the latents alone), so that a machine which computes otherwise, or
weights that are not the encoder's, end in an error and never in a picture that pretends to be
right. Only whole-number arithmetic decides what is read (see ``fixed`` and ``prior``).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from veridical.arrays import Whole
from veridical.bitstream.tables import SymbolDecoder, SymbolEncoder, TableSet
from veridical.errors import DamagedFile, InvalidSetting
from veridical.photo.vdc.frozen import N_TABLES
from veridical.photo.vdc.prior import (
    LARGEST_HYPER,
    LARGEST_LATENT,
    MEAN_UNIT,
    PASSES,
    Prior,
    compand,
    pass_places,
)
from veridical.photo.vdc.quantizers import CommonRandomness, Quantizer

Latents = NDArray[np.int16]

_CHECK = struct.Struct("<I")
_INDEX = struct.Struct("<I")


@dataclass(frozen=True, eq=False)
class EntropyModel:
    """A frozen prior with its frozen tables.

    Attributes:
        prior: Of the latents.
        latent_tables: By offset and row (see ``frozen``).
        hyper_tables: By anchor and channel.

    Raises:
        InvalidSetting: The numbers of tables do not fit.
    """

    prior: Prior
    latent_tables: TableSet
    hyper_tables: TableSet

    def __post_init__(self) -> None:
        config = self.prior.config
        if len(self.hyper_tables) != config.anchors * config.hyper:
            raise InvalidSetting("one table of hyperlatents for each anchor and channel is needed")
        if len(self.latent_tables) != N_TABLES:
            raise InvalidSetting(
                f"{N_TABLES} tables of latents are needed, one for each offset and row"
            )

    @cached_property
    def _least(self) -> NDArray[np.float64]:
        """Bits of the likeliest hyperlatents at one place, by anchor."""
        tables, config = self.hyper_tables, self.prior.config
        largest = np.maximum.reduceat(tables.frequencies, tables.starts[:-1])
        return (20 - np.log2(largest)).reshape(config.anchors, config.hyper).sum(1)

    def least_bits(self, key: TileKey) -> float:
        """A number of bits below that of every message of a tile, so that a claim is checked before its work.

        That of the likeliest hyperlatents, less 1 % and two words for the coder's own rounding.
        """
        rows, columns = hyper_shape(key.height, key.width)
        bits = self._least[self.prior.config.hyper_row(key.quality)] * rows * columns
        return 0.99 * float(bits) - 64


@dataclass(frozen=True)
class TileKey:
    """What both sides know about a tile before its message.

    Attributes:
        height, width: Of its latents.
        quality: 0 to 10,000.
        quantizer: Of the file.
        seed: Common randomness of the file.
        index: Number of the tile.
        bound: Data of the header, which the checksum covers too; None in files of version 1.
    """

    height: int
    width: int
    quality: int
    quantizer: Quantizer
    seed: int = 0
    index: int = 0
    bound: bytes | None = None

    def shared(self, k: int) -> CommonRandomness:
        """Common randomness of pass ``k``."""
        return CommonRandomness(self.seed, self.index * PASSES + k)


def hyper_shape(height: int, width: int) -> tuple[int, int]:
    """Height and width of the hyperlatents of a tile."""
    return -(-height // 4), -(-width // 4)


Code = Callable[[int, NDArray[np.float64], Whole, Whole], Whole]


def _walk(model: EntropyModel, z: Whole, key: TileKey, code: Code) -> Latents:
    """Run the passes; ``code(pass, mean, rows, places)`` gives the points of one pass."""
    prior, h, w = model.prior, key.height, key.width
    channels = prior.config.latents
    latents = np.zeros((channels, h, w), dtype=np.int64)
    seen = prior.features(z, key.quality)[:, :h, :w]
    for k in range(PASSES):
        means, rows = prior.coded_laws(k, seen, compand(latents))
        places = pass_places(k, channels, h, w)
        points = code(k, means / MEAN_UNIT, rows, places)
        latents.reshape(-1)[places] = means + points
    return latents.astype(np.int16)


def _hyper_tables(model: EntropyModel, key: TileKey) -> Whole:
    hyper = model.prior.config.hyper
    h, w = hyper_shape(key.height, key.width)
    first = model.prior.config.hyper_row(key.quality) * hyper
    return np.repeat(first + np.arange(hyper), h * w)


def encode_tile(
    model: EntropyModel, y: NDArray[np.float32], z: Whole, key: TileKey
) -> tuple[bytes, Latents]:
    """Quantize and code one tile.

    Args:
        model: Frozen.
        y: Latents in steps (times the gain), shape (latents, height, width).
        z: Whole hyperlatents, -127 to 127, shape (hyper, *hyper_shape(height, width)).
        key: What the decoder knows too.

    Returns:
        The message, and the latents that the decoder will have, in 1/16 steps.
    """
    encoder = SymbolEncoder()
    encoder.put(z.reshape(-1), _hyper_tables(model, key), model.hyper_tables)
    flat = y.reshape(-1).astype(np.float64)

    def code(k: int, mean: NDArray[np.float64], rows: Whole, places: Whole) -> Whole:
        return key.quantizer.put(
            flat[places] - mean, rows, key.shared(k), encoder, model.latent_tables
        )

    latents = _walk(model, z, key, code)
    words = encoder.words()
    return _CHECK.pack(_checksum(latents, words, key)) + words, latents


def decode_tile(model: EntropyModel, data: bytes, key: TileKey) -> Latents:
    """The latents of a message, in 1/16 steps, shape (latents, height, width).

    Raises:
        DamagedFile: The message is not one of this model's, or this machine computes otherwise.
    """
    if len(data) < _CHECK.size:
        raise DamagedFile(f"a tile of {len(data)} bytes holds no message; fetch the file again")
    words = data[_CHECK.size :]
    if 8 * len(words) < model.least_bits(key):
        raise DamagedFile(
            f"a tile of {len(data)} bytes cannot hold {key.height} x {key.width} latents; fetch the file again"
        )
    decoder = SymbolDecoder(words)
    hyper = model.prior.config.hyper
    z = decoder.take(_hyper_tables(model, key), model.hyper_tables)
    z = z.reshape(hyper, *hyper_shape(key.height, key.width))

    def code(k: int, mean: NDArray[np.float64], rows: Whole, places: Whole) -> Whole:
        del mean, places
        points = key.quantizer.take(rows, key.shared(k), decoder, model.latent_tables)
        if points.size and int(np.max(np.abs(points))) > MEAN_UNIT * (LARGEST_LATENT + 1):
            raise DamagedFile("a latent outside the range of the format; fetch the file again")
        return points

    if z.size and int(np.max(np.abs(z))) > LARGEST_HYPER:
        raise DamagedFile("a hyperlatent outside the range of the format; fetch the file again")
    latents = _walk(model, z, key, code)
    (check,) = _CHECK.unpack_from(data)
    if _checksum(latents, words, key) != check:
        raise DamagedFile(
            "a tile decodes to other numbers than its encoder had: the file was altered, or this "
            "machine's arithmetic is not exact; fetch the file again, or decode it elsewhere"
        )
    return latents


def _checksum(latents: Latents, words: bytes, key: TileKey) -> int:
    before = 0
    if key.bound is not None:
        before = zlib.crc32(words, zlib.crc32(key.bound + _INDEX.pack(key.index)))
    return zlib.crc32(latents.astype("<i2").tobytes(), before)
