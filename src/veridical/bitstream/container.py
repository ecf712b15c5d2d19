"""The ``.vdc`` file: signature, version, header, independent tiles, metadata, end.

``docs/format.md`` is the specification; this module writes and reads it and knows nothing of
pictures: tiles are bytes here. Reading allocates nothing in proportion to what a header claims
before the claim is checked.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field

from veridical.bitstream.chunks import Chunk, ChunkFinder, read_chunk, write_chunk
from veridical.errors import (
    DamagedFile,
    InvalidSetting,
    NotAnImage,
    PictureTooLarge,
    UnsupportedFormat,
)

SIGNATURE = b"\x89VDC\r\n\x1a\n"
VERSION = 2
"""Of the files that are written; version 1 is read too."""

DIGEST_BYTES = 8

_VERSION = struct.Struct("<H")
_HEADER = struct.Struct("<12s8sIIBBHBBQHH")
_TILE = struct.Struct("<I")
_METADATA = {"iccp": "icc_profile", "exif": "exif", "xmpp": "xmp"}
_KINDS = ("VHDR", "TILE", "VEND", *_METADATA)
_MODEL = re.compile(r"[a-z0-9][a-z0-9.-]{0,11}")
_SMALLEST_TILE, _LARGEST_TILE = 64, 2048
_MOST_REPORTS = 20
_MOST_CLAIMED, _ALWAYS_ALLOWED = 64, 1 << 24
"""A damaged file may claim so many times the pixels that it holds, and so many besides."""


@dataclass(frozen=True)
class Header:
    """What a decoder must know before the first tile.

    Attributes:
        model: Name of the model, 1 to 12 small letters, digits, points and hyphens.
        digest: First 8 bytes of the SHA-256 of its weights file.
        width, height: Of the picture in pixels, 1 to 2^31 - 1.
        channels: 1 (grey) or 3.
        quality: 0 (smallest) to 10,000, in hundredths of the quality that users give.
        quantizer: Number of the quantizer, 0 to 255.
        randomness_bits: Common randomness per coded number, in bits, 0 to 8.
        seed: Of the common randomness, 0 to 2^64 - 1.
        realism: What a decoder uses if it is not told, in thousandths, 0 to 1000.
        tile: Side of the tiles in pixels, a multiple of 64 up to 2048.
    """

    model: str
    digest: bytes
    width: int
    height: int
    channels: int = 3
    quality: int = 5000
    quantizer: int = 0
    randomness_bits: int = 0
    seed: int = 0
    realism: int = 0
    tile: int = 512

    def __post_init__(self) -> None:
        in_range = {
            "size": 1 <= self.width < 1 << 31 and 1 <= self.height < 1 << 31,
            "channels": self.channels in (1, 3),
            "quality": 0 <= self.quality <= 10_000,
            "quantizer": 0 <= self.quantizer <= 255,
            "randomness_bits": 0 <= self.randomness_bits <= 8,
            "seed": 0 <= self.seed < 1 << 64,
            "realism": 0 <= self.realism <= 1000,
            "tile": _SMALLEST_TILE <= self.tile <= _LARGEST_TILE
            and self.tile % _SMALLEST_TILE == 0,
            "model": _MODEL.fullmatch(self.model) is not None and len(self.digest) == DIGEST_BYTES,
        }
        if wrong := [name for name, right in in_range.items() if not right]:
            raise InvalidSetting(f"outside its range: {', '.join(wrong)}")

    @property
    def rows(self) -> int:
        """Rows of tiles."""
        return -(-self.height // self.tile)

    @property
    def columns(self) -> int:
        """Columns of tiles."""
        return -(-self.width // self.tile)

    def window(self, index: int) -> tuple[int, int, int, int]:
        """Top, left, height and width of a tile in pixels; tiles are counted row by row."""
        row, column = divmod(index, self.columns)
        top, left = row * self.tile, column * self.tile
        return top, left, min(self.tile, self.height - top), min(self.tile, self.width - left)

    def pack(self) -> bytes:
        """The data of the chunk VHDR."""
        return _HEADER.pack(
            self.model.encode("ascii"), self.digest, self.width, self.height, self.channels, 8,
            self.quality, self.quantizer, self.randomness_bits, self.seed, self.realism, self.tile,
        )  # fmt: skip

    @classmethod
    def unpack(cls, data: bytes) -> Header:
        """From the data of the chunk VHDR.

        Raises:
            DamagedFile: Another length, or a field outside its range.
            UnsupportedFormat: Another number of bits a sample.
        """
        if len(data) != _HEADER.size:
            raise DamagedFile(f"the header has {len(data)} bytes instead of {_HEADER.size}")
        name, digest, width, height, channels, depth, *rest = _HEADER.unpack(data)
        if depth != 8:
            raise UnsupportedFormat(
                f"samples of {depth} bits; this version reads 8; use a newer version"
            )
        try:
            model = name.rstrip(b"\0").decode("ascii")
            header = cls(model, digest, width, height, channels, *rest)
        except (InvalidSetting, UnicodeDecodeError) as cause:
            raise DamagedFile(f"the header contradicts itself ({cause})") from cause
        return header


@dataclass(frozen=True)
class Container:
    """A file taken apart.

    Attributes:
        header: Its header.
        tiles: Coded tiles, row by row; None where a tile is damaged.
        metadata: ``icc_profile``, ``exif`` and ``xmp``, where present.
        damage: A sentence for each thing that was damaged; empty unless a partial read was asked.
        version: 1 or 2; in files of version 2 the checksums of tiles cover header and place.
    """

    header: Header
    tiles: tuple[bytes | None, ...] = field(repr=False)
    metadata: dict[str, bytes] = field(default_factory=dict, repr=False)
    damage: tuple[str, ...] = ()
    version: int = VERSION

    def __post_init__(self) -> None:
        n = self.header.rows * self.header.columns
        if len(self.tiles) != n:
            raise InvalidSetting(f"the picture has {n} tiles, {len(self.tiles)} were given")

    @property
    def bits_per_pixel(self) -> float | None:
        """Of the coded tiles, without headers and metadata; None if one is damaged."""
        pixels = self.header.width * self.header.height
        return None if None in self.tiles else 8 * sum(map(len, filter(None, self.tiles))) / pixels

    @property
    def bound(self) -> bytes | None:
        """What the checksums of tiles cover besides their own: the header; nothing in version 1."""
        return None if self.version == 1 else self.header.pack()


def write(container: Container) -> bytes:
    """The bytes of a file.

    Raises:
        InvalidSetting: A tile is missing or empty, or metadata has another name.
    """
    if not set(container.metadata) <= set(_METADATA.values()):
        raise InvalidSetting(f"metadata is {', '.join(_METADATA.values())}")
    parts = [
        SIGNATURE,
        _VERSION.pack(container.version),
        write_chunk("VHDR", container.header.pack()),
    ]
    for kind, name in _METADATA.items():
        if container.metadata.get(name):
            parts.append(write_chunk(kind, container.metadata[name]))
    for index, tile in enumerate(container.tiles):
        if not tile:
            raise InvalidSetting(f"tile {index} is missing; a file is written whole")
        parts.append(write_chunk("TILE", _TILE.pack(index) + tile))
    return b"".join([*parts, write_chunk("VEND", b"")])


def read(data: bytes, *, max_pixels: int, allow_partial: bool = False) -> Container:
    """Take a file apart, checking everything that can be checked without a model.

    Args:
        data: The whole file.
        max_pixels: Limit against decompression bombs.
        allow_partial: Report damaged tiles and metadata in ``damage`` instead of raising; the
            signature and the header must be whole.

    Raises:
        NotAnImage: Not a ``.vdc`` file.
        UnsupportedFormat: A newer version, or a critical chunk that this version does not know.
        DamagedFile: Truncated, altered, or contradicting itself.
        PictureTooLarge: More pixels than ``max_pixels``.
    """
    view = memoryview(data)
    version, at = _check_signature(data)
    first = read_chunk(view, at)
    if first.kind != "VHDR":
        raise DamagedFile(f"the first chunk is {first.kind} instead of the header")
    header = Header.unpack(bytes(first.data))
    if header.width * header.height > max_pixels:
        raise PictureTooLarge(
            f"{header.width} x {header.height} pixels are more than {max_pixels:,}; "
            "if you trust the file, raise the limit (--max-pixels N or max_pixels=N)"
        )
    reader = _Reader(version, header, view, allow_partial)
    reader.run(first.end)
    return reader.result()


def _check_signature(data: bytes) -> tuple[int, int]:
    """The version, and where the first chunk begins."""
    n = len(SIGNATURE)
    if data[:n] != SIGNATURE:
        if data[:4] == SIGNATURE[:4] or (data and SIGNATURE.startswith(data[:n])):
            raise DamagedFile(
                "the signature is cut off or altered, as by a transfer in text mode; fetch the file again"
            )
        raise NotAnImage("not a .vdc file: it does not begin with the signature of one")
    if len(data) < n + _VERSION.size:
        raise DamagedFile("the file ends after its signature; is the download complete?")
    (version,) = _VERSION.unpack_from(data, n)
    if not 1 <= version <= VERSION:
        raise UnsupportedFormat(
            f"version {version} of the format; this program reads versions 1 to {VERSION}; update it"
        )
    return version, n + _VERSION.size


class _Reader:
    """Walks the chunks after the header."""

    def __init__(
        self,
        version: int,
        header: Header,
        data: memoryview,
        allow_partial: bool,  # noqa: FBT001
    ) -> None:
        self.version, self.header, self.data, self.partial = version, header, data, allow_partial
        self.finder = ChunkFinder(data, _KINDS)
        self.tiles: dict[int, bytes] = {}
        self.metadata: dict[str, bytes] = {}
        self.damage: list[str] = []
        self.count = header.rows * header.columns

    def run(self, at: int) -> None:
        """All chunks from a place to the end."""
        end = len(self.data)
        while True:
            try:
                chunk = read_chunk(self.data, at)
                done = self.take(chunk)
                at = chunk.end
            except DamagedFile as error:
                found = self.resume(at, error)
                if found is None:
                    return
                at = found
                continue
            if done:
                break
        if at != end:
            self.report(DamagedFile(f"{end - at} bytes follow the end; the file was altered"))

    def report(self, error: DamagedFile) -> None:
        """Raise, or note it if a partial read was asked."""
        if not self.partial:
            raise DamagedFile(f"{error} (what is whole can be decoded with --allow-partial)")
        if len(self.damage) < _MOST_REPORTS:
            self.damage.append(str(error))
        elif len(self.damage) == _MOST_REPORTS:
            self.damage.append("more is damaged")

    def resume(self, at: int, error: DamagedFile) -> int | None:
        """Where to go on after damage."""
        self.report(error)
        return self.finder.next(at + 1)

    def take(self, chunk: Chunk) -> bool:
        """Use a chunk; True at the end."""
        if chunk.kind == "VEND":
            if len(chunk.data):
                self.report(DamagedFile("the end mark holds data; the file was altered"))
            return True
        if chunk.kind == "TILE":
            self.tile(chunk.data)
        elif chunk.kind in _METADATA:
            name = _METADATA[chunk.kind]
            if name in self.metadata:
                self.report(DamagedFile(f"chunk {chunk.kind} occurs twice"))
            else:
                self.metadata[name] = bytes(chunk.data)
        elif chunk.kind == "VHDR":
            self.report(DamagedFile("a second header; two files were joined"))
        elif chunk.critical:
            raise UnsupportedFormat(
                f"this version does not know the chunk {chunk.kind}, which the picture needs; update it"
            )
        return False

    def tile(self, data: memoryview) -> None:
        """Keep a tile; they stand in rising order, each once."""
        if len(data) <= _TILE.size:
            self.report(DamagedFile("a tile without content"))
            return
        (index,) = _TILE.unpack_from(data)
        expected = len(self.tiles)
        if index >= self.count or index in self.tiles:
            self.report(DamagedFile(f"tile {index} does not belong here; the file was altered"))
            return
        if index != expected and not self.partial:
            raise DamagedFile(
                f"tile {index} stands where tile {expected} should; the file was altered"
            )
        self.tiles[index] = bytes(data[_TILE.size :])

    def check_share(self) -> None:
        """Refuse a picture of which next to nothing is there."""
        windows = (self.header.window(index) for index in self.tiles)
        coded = sum(height * width for _, _, height, width in windows)
        claimed = self.header.width * self.header.height
        if claimed > _MOST_CLAIMED * coded + _ALWAYS_ALLOWED:
            raise DamagedFile(
                f"{coded:,} of {claimed:,} pixels are left, too few to decode; fetch the file again"
            )

    def result(self) -> Container:
        """What was found."""
        if len(self.tiles) < self.count:
            missing = self.count - len(self.tiles)
            self.report(
                DamagedFile(
                    f"{missing} of {self.count} tiles are missing; is the download complete?"
                )
            )
        tiles = tuple(self.tiles.get(i) for i in range(self.count))
        self.check_share()
        return Container(self.header, tiles, self.metadata, tuple(self.damage), self.version)
