"""The container against everything that can happen to a file on its way."""

import itertools
import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veridical.bitstream import chunks
from veridical.bitstream.chunks import read_chunk, write_chunk
from veridical.bitstream.container import SIGNATURE, Container, Header, read, write
from veridical.errors import (
    DamagedFile,
    InvalidSetting,
    NotAnImage,
    PictureTooLarge,
    UnsupportedFormat,
    VeridicalError,
)

LIMIT = 10**8
HEADER = Header("photo-t1", b"12345678", 150, 100, quality=4321, seed=2**64 - 1, tile=64)
TILES = tuple(bytes([i + 1]) * (8 + 4 * i) for i in range(6))
METADATA = {"icc_profile": b"profile", "exif": b"Exif\0\0II", "xmp": b"<x/>"}
FILE = write(Container(HEADER, TILES, METADATA))


def chunks_of(data):
    at, out = len(SIGNATURE) + 2, []
    while at < len(data):
        chunk = read_chunk(memoryview(data), at)
        out.append(bytes(data[at : chunk.end]))
        at = chunk.end
    return out


def joined(chunks, version=2):
    return SIGNATURE + struct.pack("<H", version) + b"".join(chunks)


headers = st.builds(
    Header,
    model=st.from_regex(r"[a-z0-9][a-z0-9.-]{0,11}", fullmatch=True),
    digest=st.binary(min_size=8, max_size=8),
    width=st.integers(1, 1000),
    height=st.integers(1, 1000),
    channels=st.sampled_from([1, 3]),
    quality=st.integers(0, 10_000),
    quantizer=st.integers(0, 255),
    randomness_bits=st.integers(0, 8),
    seed=st.integers(0, 2**64 - 1),
    realism=st.integers(0, 1000),
    tile=st.integers(1, 32).map(lambda k: 64 * k),
)


@given(headers, st.randoms(use_true_random=False), st.dictionaries(
    st.sampled_from(["icc_profile", "exif", "xmp"]), st.binary(min_size=1, max_size=50)
))  # fmt: skip
def test_round_trip(header, random, metadata):
    # Oracle: the input.
    n = header.rows * header.columns
    tiles = tuple(random.randbytes(random.randint(1, 40)) for _ in range(n))
    container = Container(header, tiles, metadata, version=random.choice([1, 2]))
    assert read(write(container), max_pixels=LIMIT) == container
    assert container.bound == (None if container.version == 1 else header.pack())


def test_tiles_cover_the_picture_once():
    # Oracle: areas add up, and no tile is larger than its side.
    windows = [HEADER.window(i) for i in range(6)]
    assert sum(h * w for _, _, h, w in windows) == 150 * 100
    assert windows[5] == (64, 128, 36, 22)


@pytest.mark.parametrize("version", [1, 2])
def test_the_bytes_of_a_version_do_not_change(version):
    # Oracle: the layout of docs/format.md, written out by hand.
    data = write(Container(Header("m", b"ABCDEFGH", 3, 2, tile=64), (b"\x07",), version=version))
    header = (
        b"m"
        + bytes(11)
        + b"ABCDEFGH"
        + struct.pack("<IIBBHBBQHH", 3, 2, 3, 8, 5000, 0, 0, 0, 0, 64)
    )
    assert data[:18] == b"\x89VDC\r\n\x1a\n" + bytes([version, 0]) + struct.pack("<I", 46) + b"VHDR"
    assert data[18:64] == header
    assert data[68:81] == b"\x05\0\0\0TILE\0\0\0\0\x07"
    assert data[-12:-4] == b"\0\0\0\0VEND"
    assert len(data) == 10 + 58 + 17 + 12


def test_every_flipped_bit_is_noticed():
    # Oracle: the contract: any altered byte is a typed error.
    for at in range(8 * len(FILE)):
        bad = bytearray(FILE)
        bad[at // 8] ^= 1 << at % 8
        with pytest.raises(VeridicalError):
            read(bytes(bad), max_pixels=LIMIT)


def test_every_flipped_byte_in_a_partial_read_spoils_one_thing_at_most():
    # Oracle: signature, version and header (68 bytes) are needed; after them, at least five of
    # six tiles survive any one altered byte, unaltered, and the damage is reported.
    for at in range(len(FILE)):
        bad = bytearray(FILE)
        bad[at] ^= 0xFF
        if at < 68:
            with pytest.raises(VeridicalError):
                read(bytes(bad), max_pixels=LIMIT, allow_partial=True)
            continue
        found = read(bytes(bad), max_pixels=LIMIT, allow_partial=True)
        assert found.damage
        assert sum(t is None for t in found.tiles) <= 1
        assert all(t in (None, TILES[i]) for i, t in enumerate(found.tiles))


@pytest.mark.parametrize("partial", [False, True])
def test_every_truncation(partial):
    # Oracle: an error; in a partial read past the header, the tiles that came whole.
    for length in range(len(FILE)):
        if partial and length >= 68:
            found = read(FILE[:length], max_pixels=LIMIT, allow_partial=True)
            assert found.damage
            assert all(t in (None, TILES[i]) for i, t in enumerate(found.tiles))
        else:
            with pytest.raises((DamagedFile, NotAnImage)):
                read(FILE[:length], max_pixels=LIMIT, allow_partial=partial)


def test_swapped_doubled_and_dropped_chunks():
    # Oracle: metadata may stand anywhere before the end; everything else has one order.
    parts = chunks_of(FILE)
    order = list(range(len(parts)))
    for i, k in itertools.combinations(order, 2):
        swapped = order.copy()
        swapped[i], swapped[k] = swapped[k], swapped[i]
        data = joined([parts[n] for n in swapped])
        critical = [n for n in swapped if not 1 <= n <= 3]
        if critical == sorted(critical) and 0 not in (i, k) and len(parts) - 1 not in (i, k):
            assert read(data, max_pixels=LIMIT).tiles == TILES
        else:
            with pytest.raises(DamagedFile):
                read(data, max_pixels=LIMIT)
    for k in order:
        with pytest.raises(DamagedFile):
            read(joined([*parts[: k + 1], *parts[k:]]), max_pixels=LIMIT)
        rest = joined(parts[:k] + parts[k + 1 :])
        if 1 <= k <= 3:
            assert len(read(rest, max_pixels=LIMIT).metadata) == 2
        else:
            with pytest.raises(DamagedFile):
                read(rest, max_pixels=LIMIT)


@pytest.mark.parametrize("partial", [False, True])
def test_unknown_chunks(partial):
    # Oracle: the contract on critical and ancillary chunks.
    first, *others = chunks_of(FILE)
    with pytest.raises(UnsupportedFormat, match="NEWS"):
        read(
            joined([first, write_chunk("NEWS", b"x"), *others]),
            max_pixels=LIMIT, allow_partial=partial,
        )  # fmt: skip
    found = read(
        joined([first, write_chunk("news", b"x"), *others]),
        max_pixels=LIMIT, allow_partial=partial,
    )  # fmt: skip
    assert found.tiles == TILES
    assert not found.damage


def test_empty_tiles_end_marks_with_data_and_what_follows_the_end():
    parts = chunks_of(FILE)
    for tile in (b"", b"\0\0", b"\0\0\0\0"):
        with pytest.raises(DamagedFile, match="without content"):
            read(joined([*parts[:4], write_chunk("TILE", tile), *parts[5:]]), max_pixels=LIMIT)
    with pytest.raises(DamagedFile, match="end mark"):
        read(joined([*parts[:-1], write_chunk("VEND", b"x")]), max_pixels=LIMIT)
    with pytest.raises(DamagedFile, match="follow the end"):
        read(FILE + b"x", max_pixels=LIMIT)


def with_header(**changes):
    fields = struct.unpack("<12s8sIIBBHBBQHH", HEADER.pack())
    names = "model digest width height channels depth quality quantizer bits seed realism tile"
    values = dict(zip(names.split(), fields, strict=True)) | changes
    data = struct.pack("<12s8sIIBBHBBQHH", *values.values())
    return joined([write_chunk("VHDR", data), *chunks_of(FILE)[1:]])


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"width": 2**31, "height": 2**31}, DamagedFile),
        ({"width": 2**31 - 1, "height": 2**31 - 1, "tile": 64}, PictureTooLarge),
        ({"width": 0}, DamagedFile),
        ({"height": 2**32 - 1}, DamagedFile),
        ({"channels": 4}, DamagedFile),
        ({"depth": 16}, UnsupportedFormat),
        ({"quality": 10_001}, DamagedFile),
        ({"bits": 9}, DamagedFile),
        ({"realism": 1001}, DamagedFile),
        ({"tile": 0}, DamagedFile),
        ({"tile": 65}, DamagedFile),
        ({"tile": 128}, DamagedFile),
        ({"model": b"\xff"}, DamagedFile),
        ({"model": b""}, DamagedFile),
        ({"model": b"a\0b"}, DamagedFile),
        ({"width": 10_000, "height": 10_000}, DamagedFile),
    ],
)
@pytest.mark.parametrize("partial", [False, True])
def test_absurd_headers_cost_nothing(changes, error, partial):
    # Oracle: a typed error within 16 MB, whatever the header claims (10^8 pixels are within the
    # limit here, so that the list of 24,649 missing tiles may be made).
    if partial and changes in ({"tile": 128}, {"width": 10_000, "height": 10_000}):
        return
    tracemalloc.start()
    with pytest.raises(error):
        read(with_header(**changes), max_pixels=LIMIT, allow_partial=partial)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16e6


def test_a_file_of_false_beginnings_is_read_in_bounded_time(monkeypatch):
    # Oracle: the promise of the partial reader, checksums over four times the file's length at
    # most besides one pass. 40,000 beginnings that each claim half of it would be 6.4 GB.
    summed = []
    whole = chunks.zlib.crc32

    class Counting:
        @staticmethod
        def crc32(data, start=0):
            summed.append(len(data))
            return whole(data, start)

    monkeypatch.setattr(chunks, "zlib", Counting)
    data = joined([chunks_of(FILE)[0], struct.pack("<I4s", 160_000, b"TILE") * 40_000])
    found = read(data, max_pixels=LIMIT, allow_partial=True)
    assert found.tiles == (None,) * 6
    assert sum(summed) <= 5 * len(data)


def test_junk_between_whole_chunks_costs_no_more_than_its_length(monkeypatch):
    # Oracle: searches that pass every byte once: 8,000 repeated tiles with junk before each; and the
    # reports are few.
    searched = []
    whole = chunks.ChunkFinder.next

    def counting(finder, at):
        found = whole(finder, at)
        searched.append((found or len(finder._data)) - at)
        return found

    monkeypatch.setattr(chunks.ChunkFinder, "next", counting)
    head, tile = chunks_of(FILE)[0], write_chunk("TILE", struct.pack("<I", 0) + b"abcd")
    data = joined([head, *[b"junk" + tile] * 8000])
    found = read(data, max_pixels=LIMIT, allow_partial=True)
    assert found.tiles[0] == b"abcd"
    assert sum(searched) <= len(data)
    assert len(found.damage) < 30


def test_a_damaged_file_that_claims_far_more_than_it_holds_is_refused():
    # Oracle: by hand: one tile of 64 x 64 is 4,096 pixels, 64 of which and 2^24 may be claimed.
    tile = write_chunk("TILE", struct.pack("<I", 0) + b"abcd")
    for side, refused in ((4096, False), (4224, True)):
        header = Header("m", b"ABCDEFGH", side, side, tile=64)
        data = joined([write_chunk("VHDR", header.pack()), tile])
        if refused:
            with pytest.raises(DamagedFile, match=r"4,096 of 17,842,176 pixels"):
                read(data, max_pixels=LIMIT, allow_partial=True)
        else:
            assert read(data, max_pixels=LIMIT, allow_partial=True).tiles[0] == b"abcd"


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", NotAnImage),
        (b"GIF89a" + bytes(30), NotAnImage),
        (SIGNATURE.replace(b"\r\n", b"\n") + FILE[8:], DamagedFile),
        (joined(chunks_of(FILE), version=3), UnsupportedFormat),
        (FILE[:10] + FILE, DamagedFile),
    ],
)
def test_other_beginnings(data, error):
    with pytest.raises(error):
        read(data, max_pixels=LIMIT)


@given(st.binary(max_size=300), st.booleans())
def test_rubbish_after_a_header_is_refused_or_reported(rubbish, partial):
    data = joined([chunks_of(FILE)[0], rubbish])
    try:
        found = read(data, max_pixels=LIMIT, allow_partial=partial)
    except VeridicalError:
        return
    assert partial
    assert found.damage


@pytest.mark.parametrize(
    "call",
    [
        lambda: Header("Photo", b"12345678", 1, 1),
        lambda: Header("photo", b"1", 1, 1),
        lambda: Header("photo", b"12345678", 0, 1),
        lambda: Container(HEADER, TILES[:-1]),
        lambda: write(Container(HEADER, (*TILES[:-1], None))),
        lambda: write(Container(HEADER, (*TILES[:-1], b""))),
        lambda: write(Container(HEADER, TILES, {"comment": b"x"})),
    ],
)
def test_what_cannot_be_written(call):
    with pytest.raises(InvalidSetting):
        call()
