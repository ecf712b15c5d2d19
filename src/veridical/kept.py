"""Codecs that can be kept, and messages that know which codec and seed they need.

A codec is a tree of frozen objects over numbers and arrays. :func:`save_codec` writes it as NPZ without
pickle: the tree as JSON, the arrays beside it, and a SHA-256 of both, whose first 16 bytes are the codec's
*id*. Only classes of the table below are ever made from a file, by the names given here.

A message (``.vds``), little-endian: signature (8 bytes), version (2), number of axes of the index (2), id (16),
seed (8), length of each axis (8 each), bytes of the codec's own coder, CRC-32 of all before it (4).
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from veridical.arrays import as_path, check_file, check_rng, like, read_npz, to_numpy, whole_number
from veridical.errors import DamagedFile, InvalidSetting, VeridicalError, WrongModel, typed_errors
from veridical.writing import write_whole

__all__ = [
    "Kept",
    "Message",
    "MessageCoder",
    "codec_id",
    "load_codec",
    "open_message",
    "save_codec",
]

_SIGNATURE = b"\x89VDS\r\n\x1a\n"
_VERSION = 1
_HEAD = struct.Struct("<8sHH16sQ")
_ALWAYS_BYTES, _BYTES_PER_BYTE = 32 << 20, 64
"""Of a codec's arrays, unless the caller says otherwise: zeros are packed a thousand to one."""

_MOST_NUMBERS, _ALWAYS_NUMBERS, _NUMBERS_PER_BYTE = 1 << 25, 1 << 21, 1 << 13
"""Of a message, unless the caller says otherwise: a few bytes stand for few numbers."""

_LATTICES = "veridical.quantize.lattice.families"
_CLASSES = {
    "veridical.bitstream.entropy": ("FrequencyTables",),
    "veridical.bitstream.integers": ("ZipfCode",),
    "veridical.bitstream.lattice": ("FixedLengthCoder", "LatticeCoder"),
    "veridical.bitstream.lattice_tables": ("CoordinateTables",),
    "veridical.bitstream.trellis": ("TrellisCoder",),
    "veridical.block.channels": ("CellChannel", "SphereChannel", "SymbolChannel"),
    "veridical.block.codebook": ("SphereCodebook",),
    "veridical.block.group": ("GroupCodec", "GroupEstimator", "GroupGenerator"),
    "veridical.block.group_encoder": ("GroupEncoder", "GroupWords"),
    "veridical.block.lattice": ("LatticeCodec",),
    "veridical.block.random_coding": ("RandomCode", "ScaledWords"),
    "veridical.block.transform": (
        "Front", "TransformCodec", "TransformEncoder", "TransformEstimator", "TransformGenerator",
    ),
    "veridical.block.trellis": ("TrellisCodec", "TrellisEncoder", "TrellisEstimator"),
    "veridical.estimate.centroids": ("CentroidEstimator",),
    "veridical.estimate.circle": ("ArcCentroids",),
    "veridical.estimate.lattice": ("LatticeEstimator", "OddMap"),
    "veridical.generate.circle": ("UniformArcs",),
    "veridical.generate.gaussian_map": ("GaussianMap",),
    "veridical.generate.lattice": ("CellSampler", "IntervalPlan", "LatticeGenerator"),
    "veridical.generate.plan": ("PlanGenerator",),
    "veridical.generate.posterior": ("PosteriorGenerator",),
    "veridical.generate.pursuit_map": ("PursuitMap",),
    "veridical.generate.trellis": ("TrellisGenerator",),
    "veridical.interpolate": ("Calibration",),
    "veridical.oneshot.circle": ("CircleCodec",),
    "veridical.oneshot.sample_codec": ("SampleCodec",),
    "veridical.oneshot.simulated": ("PosteriorMean", "SimulatedCodec", "Undone"),
    "veridical.oneshot.simulation_codes": ("DitherCode", "SelectionCode"),
    "veridical.quantize.circle": ("CircleQuantizer",),
    "veridical.quantize.codebook": ("CodebookEncoder",),
    "veridical.quantize.group.chain": ("NestedChain",),
    "veridical.quantize.group.code": ("Level", "TrellisCode"),
    "veridical.quantize.lattice.cosets": ("Cosets",),
    "veridical.quantize.lattice.lattice": ("Lattice",),
    "veridical.quantize.lattice.nested": ("NestedChain",),
    "veridical.quantize.simulation.dither": ("LayeredDither",),
    "veridical.quantize.simulation.gaussian": ("GaussianChannel",),
    "veridical.quantize.simulation.greedy": ("GreedyRejection",),
    "veridical.quantize.simulation.ordered": ("OrderedRandomCoding",),
    "veridical.quantize.simulation.poisson": ("PoissonRepresentation",),
    "veridical.quantize.trellis": ("Shifts", "Trellis"),
    "veridical.sources.alphabet": ("Alphabet",),
}  # fmt: skip
# The last but one part of the module tells classes of one name apart; modules may move, names stay.
_HOMES = {f"{m.split('.')[-2]}.{n}": (m, n) for m, names in _CLASSES.items() for n in names}
_NAMES = {home: name for name, home in _HOMES.items()}


class Kept:
    """What every codec that can be kept has besides encoding and decoding."""

    def encode(self, x: Any, *, seed: int = 0) -> Any:
        """Index of samples; a torch tensor gives a torch tensor on its device."""
        codec: Any = super()
        with _sound():
            return like(x, codec.encode(to_numpy(x), seed=seed))

    def decode(self, index: Any, rng: np.random.Generator, **settings: Any) -> Any:
        """Reconstructions of an index; a torch tensor gives a torch tensor on its device."""
        check_rng(rng)
        codec: Any = super()
        with _sound():
            return like(index, codec.decode(to_numpy(index), rng, **settings))

    @property
    def coder(self) -> MessageCoder:
        """Between indices and messages that name codec, seed and shape; see ``codec.Coder``."""
        return MessageCoder(self)

    def save(self, path: str | Path) -> None:
        """Write the codec; see :func:`save_codec`."""
        save_codec(self, path)

    def to_message(self, index: Any, *, seed: int = 0) -> bytes:
        """An index as a message that names codec, seed and shape; :func:`open_message` reads it.

        Raises:
            InvalidSetting: not an index of this codec.
        """
        codec: Any = self
        z = np.asarray(index)
        whole_number(seed, "seed", 0, (1 << 64) - 1)
        with _sound():
            head = _HEAD.pack(_SIGNATURE, _VERSION, z.ndim, codec_id(self), seed)
            body = head + struct.pack(f"<{z.ndim}Q", *z.shape) + codec.to_bytes(z, seed=seed)
        return body + struct.pack("<I", zlib.crc32(body))


@dataclass(frozen=True)
class MessageCoder:
    """The coder of a codec that can be kept.

    Attributes:
        codec: Whose indices are coded.
    """

    codec: Kept

    def pack(self, index: Any, seed: int) -> bytes:
        """A message; see :meth:`Kept.to_message`."""
        return self.codec.to_message(index, seed=seed)

    def unpack(self, data: bytes, seed: int) -> NDArray[np.int64]:
        """The index of a message.

        Raises:
            DamagedFile: No such message, truncated or altered.
            WrongModel: Made with another codec or seed.
        """
        message = open_message(self.codec, data)
        if message.seed != seed:
            raise WrongModel(
                f"the message was coded with seed {message.seed}, not {seed}; use that one"
            )
        return message.index


@dataclass(frozen=True)
class Message:
    """What :func:`open_message` reads: the index, and the seed to decode it with."""

    index: NDArray[np.int64]
    seed: int


@contextmanager
def _sound() -> Iterator[None]:
    """Whatever the parts of a codec cannot make of each other's numbers is an error of this package."""
    with typed_errors():
        try:
            yield
        except (VeridicalError, MemoryError, OSError, OverflowError, RecursionError):
            raise
        except Exception as cause:  # parts of a file fit each other or fail, each in its own way
            raise InvalidSetting(
                f"the codec cannot work with these numbers ({cause!r:.200}); if they are right, its file is "
                "damaged: load or design it again"
            ) from cause


def open_message(codec: Kept, data: bytes, *, max_numbers: int | None = None) -> Message:
    """Read a message of :meth:`Kept.to_message`.

    Args:
        codec: That coded it.
        data: The message.
        max_numbers: What it may claim to hold; None allows 2^21 and 2^13 for each byte, at most 2^25 in all.

    Raises:
        DamagedFile: no such message, truncated or altered, or of more numbers than the limit.
        WrongModel: made with another codec.
    """
    if len(data) < _HEAD.size + 4 or data[:8] != _SIGNATURE:
        raise DamagedFile("this is no message of a kept codec; was it cut off?")
    if zlib.crc32(data[:-4]) != struct.unpack("<I", data[-4:])[0]:
        raise DamagedFile("the checksum of the message does not match; fetch it again")
    _, version, axes, name, seed = _HEAD.unpack_from(data)
    start = _HEAD.size + 8 * axes
    if version != _VERSION or not 1 <= axes <= 8 or start > len(data) - 4:
        raise DamagedFile(f"messages of version {version} are not known here; update the package")
    mine = codec_id(codec)
    if name != mine:
        raise WrongModel(
            f"the message was coded by codec {name.hex()}, and this is {mine.hex()}; load the other one"
        )
    shape = struct.unpack_from(f"<{axes}Q", data, _HEAD.size)
    count = 1
    for length in shape:
        count *= length
    usual = min(_MOST_NUMBERS, _ALWAYS_NUMBERS + _NUMBERS_PER_BYTE * len(data))
    most = usual if max_numbers is None else max_numbers
    if max(count, *shape) > most:
        raise DamagedFile(
            f"{len(data):,} bytes claim to hold {max(count, *shape):,} numbers, and the limit is {most:,}; if the "
            "message is to be trusted, raise it (--max-numbers N or max_numbers=N)"
        )
    stream = getattr(codec, "streams", False)
    reader: Any = codec
    with _sound():
        index = reader.from_bytes(data[start:-4], count if stream else shape[0], seed=seed)
        if index.size != count:
            raise DamagedFile(
                f"the message claims the shape {shape} and holds {index.size} numbers"
            )
        return Message(index.reshape(shape), seed)


def codec_id(codec: Any) -> bytes:
    """16 bytes that tell this codec from every other.

    Raises:
        InvalidSetting: a codec with parts that cannot be kept.
    """
    tree, arrays = _written(codec)
    return _identity(tree, arrays)[:16]


def _identity(tree: str, arrays: list[NDArray[Any]]) -> bytes:
    whole = hashlib.sha256(tree.encode())
    for array in arrays:
        whole.update(f"{array.dtype.str}{array.shape}".encode())
        whole.update(np.ascontiguousarray(array).tobytes())
    return whole.digest()


def save_codec(codec: Any, path: str | Path) -> None:
    """Write a codec as NPZ.

    Raises:
        InvalidSetting: a codec with parts that cannot be kept, such as a network or a function.
        UnwritableOutput: the file cannot be written.
    """
    tree, arrays = _written(codec)
    parts = {f"a{k}": array for k, array in enumerate(arrays)}
    parts["codec"] = np.frombuffer(tree.encode(), dtype=np.uint8)
    parts["sha256"] = np.frombuffer(_identity(tree, arrays), dtype=np.uint8)
    target = as_path("path", path)
    write_whole(target, lambda file: np.savez_compressed(file, allow_pickle=False, **parts))


def load_codec(path: str | Path, *, max_bytes: int | None = None) -> Any:
    """Read a codec, or a generator by itself, that was saved; nothing in the file is executed.

    Args:
        path: Of the file.
        max_bytes: Of its arrays; None allows 32 MiB and 64 times the bytes of the file.

    Raises:
        MissingFile: no such file.
        DamagedFile: no codec, truncated, altered, of a later version, or larger than the limit.
    """
    file = as_path("path", path)
    check_file(file)
    try:
        usual = _ALWAYS_BYTES + _BYTES_PER_BYTE * file.stat().st_size
        parts = read_npz(file, most_bytes=usual if max_bytes is None else max_bytes)
        tree = parts["codec"].tobytes().decode()
        arrays = [parts[f"a{k}"] for k in range(len(parts) - 2)]
        whole = parts["sha256"].tobytes() == _identity(tree, arrays)
        if not whole:
            raise DamagedFile(f"the digest of {file} does not match; fetch it again")
        content = json.loads(tree)
        if content["version"] != _VERSION:
            raise DamagedFile(f"{file} has version {content['version']}; update the package")
        made = _made(content["codec"], arrays)
        if not any(callable(getattr(made, use, None)) for use in ("decode", "generate")):
            raise DamagedFile(f"{file} holds {type(made).__name__}, which is no codec")
        return made
    except DamagedFile:
        raise
    # Foreign bytes fail in zip, NumPy, JSON or any class, each in its own way.
    except Exception as cause:
        raise DamagedFile(f"{file} is no codec of this package: {cause}") from cause


def _written(codec: Any) -> tuple[str, list[NDArray[Any]]]:
    arrays: list[NDArray[Any]] = []
    places: dict[tuple[Any, ...], int] = {}

    def write(value: Any) -> Any:
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, tuple | list):
            return [write(v) for v in value]
        if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
            key = (value.dtype.str, value.shape, value.tobytes())
            if key not in places:
                places[key] = len(arrays)
                arrays.append(value)
            return {"array": places[key]}
        home = (type(value).__module__, type(value).__name__)
        if home == (_LATTICES, "Family"):
            return {"lattice": value.name, "dimension": value.dimension}
        if not is_dataclass(value) or home not in _NAMES:
            raise InvalidSetting(
                f"a codec with a {home[1]} cannot be kept; exchange that part for one of the package's own"
            )
        parts = {f.name: write(getattr(value, f.name)) for f in fields(value) if f.init}
        return {"class": _NAMES[home], "parts": parts}

    tree = json.dumps({"version": _VERSION, "codec": write(codec)}, sort_keys=True)
    return tree, arrays


def _made(node: Any, arrays: list[NDArray[Any]]) -> Any:
    if isinstance(node, list):
        return tuple(_made(v, arrays) for v in node)
    if not isinstance(node, dict):
        return node
    if "array" in node:
        return arrays[node["array"]]
    if "lattice" in node:
        families = import_module(_LATTICES)
        made = {
            "A2": families.hexagonal, "E8": families.gosset, "BW16": families.barnes_wall16,
            "Leech": families.leech24,
        }.get(node["lattice"])  # fmt: skip
        sized = families.cubic if node["lattice"].startswith("Z") else families.checkerboard
        return made() if made else sized(node["dimension"])
    module, name = _HOMES[node["class"]]
    kind = getattr(import_module(module), name)
    parts = {key: _made(value, arrays) for key, value in node["parts"].items()}
    hints = get_type_hints(kind)
    for key, value in parts.items():
        if not _fits(value, hints[key]):
            raise DamagedFile(
                f"{key} of {node['class']} is {value!r:.60}, which is not {hints[key]}"
            )
    return kind(**parts)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a part is what its class says, as far as can be told; no array holds NaN."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is np.ndarray:
        kinds = [get_args(one) or (one,) for one in inner[1:]]
        right = isinstance(value, np.ndarray) and (
            not kinds or kinds[0][0] is Any or np.issubdtype(value.dtype, kinds[0][0])
        )
        return right and not (value.dtype.kind == "f" and bool(np.isnan(value).any()))
    if origin is tuple:
        every = inner[0] if inner[-1:] == (Ellipsis,) else None
        return isinstance(value, tuple) and (
            all(_fits(v, every) for v in value)
            if every is not None
            else len(value) == len(inner) and all(map(_fits, value, inner))
        )
    hint = origin or hint
    if hint in (int, float):
        return (
            isinstance(value, int | hint) and not isinstance(value, bool) and not math.isnan(value)
        )
    if origin is Literal or getattr(hint, "_is_protocol", False) or not isinstance(hint, type):
        return (
            value in inner if origin is Literal else not isinstance(value, int | float | str | None)
        )
    return isinstance(value, hint)
