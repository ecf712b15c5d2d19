"""What the headers of JPEG files tell."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import veridical
from veridical.photo.formats.jpeg import JPEG
from veridical.photo.jpeg_header import CONDITIONS, parse_jpeg_header


def picture(mode="RGB"):
    rng = np.random.default_rng(0)
    tile = rng.integers(0, 256, (9, 11, 3)).astype(np.uint8)
    return Image.fromarray(tile).resize((83, 61), Image.Resampling.BICUBIC).convert(mode)


def saved(mode="RGB", **options):
    buffer = io.BytesIO()
    picture(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).tobytes()


@pytest.mark.parametrize(
    ("options", "step"),
    [
        ({"subsampling": "4:2:0"}, (2, 2)),
        ({"subsampling": "4:2:2"}, (2, 1)),
        ({"subsampling": "4:4:4"}, (1, 1)),
    ],
)
@pytest.mark.parametrize("progressive", [False, True])
def test_tables_sampling_and_size_are_those_of_the_file(options, step, progressive):
    # Oracle: Pillow's own reading of the tables; the options that the file was written with. Exact.
    data = saved(quality=37, progressive=progressive, **options)
    h = parse_jpeg_header(data)
    with Image.open(io.BytesIO(data)) as im:
        tables = im.quantization
    assert (h.width, h.height, h.progressive, h.chroma_step) == (83, 61, progressive, step)
    assert [h.tables[k].ravel().tolist() for k in (0, 1)] == [tables[0], tables[1]]
    assert not h.grey


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 3}])
def test_scan_data_are_what_is_left_without_the_segments(options):
    # Oracle: the lengths that the segments themselves say, added up by another walk; exact.
    data = saved(quality=50, comment=b"\xff\xd9 no end", **options)
    h = parse_jpeg_header(data)
    segments, pos = 4, 2  # SOI and EOI
    while (pos := data.find(b"\xff", pos)) >= 0 and data[pos + 1] != 0xD9:
        if data[pos + 1] == 0 or 0xD0 <= data[pos + 1] <= 0xD7:
            pos += 2
            continue
        length = int.from_bytes(data[pos + 2 : pos + 4], "big")
        segments += 2 + length
        pos += 2 + length
    assert h.scan_bytes == len(data) - segments


def test_bytes_behind_the_end_do_not_count():
    # Oracle: the same file without them; exact, also for a second picture and a marker-like rest.
    data = saved(quality=30)
    plain = parse_jpeg_header(data)
    for rest in (b"\0" * 1000, data, b"\xff\xda\xff\xd9", b"MotionPhoto"):
        h = parse_jpeg_header(data + rest)
        assert (h.scan_bytes, h.trailing) == (plain.scan_bytes, len(rest))
        assert JPEG.condition(data + rest, 83, 61) == JPEG.condition(data, 83, 61)
    assert plain.trailing == 0


def test_components_are_told_as_libjpeg_takes_them():
    # Oracle: libjpeg by way of Pillow. Bytes that it takes for RGB give another picture once it takes them for
    # luma and chroma; the same picture says that it takes them in the same way. Exact.
    data = saved(quality=50, keep_rgb=True)
    adobe = data.index(b"\xff\xee")
    bare = data[:adobe] + data[adobe + 16 :]
    frame, scan = bare.index(b"\xff\xc0") + 10, bare.index(b"\xff\xda") + 5
    assert (data[adobe + 4 : adobe + 9], bare[frame : frame + 9 : 3]) == (b"Adobe", b"RGB")
    numbered = bytearray(bare)
    numbered[frame : frame + 9 : 3] = numbered[scan : scan + 6 : 2] = b"\1\2\3"
    promised = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0" + bare[2:]
    chroma = data[: adobe + 15] + b"\1" + data[adobe + 16 :]
    for other in (bare, bytes(numbered), promised, chroma):
        same = pixels(other) == pixels(data)
        assert parse_jpeg_header(other).luma_chroma is not same
    assert not parse_jpeg_header(data).luma_chroma
    assert pixels(bare) == pixels(data) != pixels(promised)


@pytest.mark.parametrize(
    ("mode", "options", "known"),
    [("L", {}, True), ("RGB", {}, True), ("RGB", {"keep_rgb": True}, False), ("CMYK", {}, False)],
)
def test_files_without_luma_and_chroma_are_told(mode, options, known):
    # Oracle: what Pillow was told to write.
    said = []
    veridical.open(saved(mode, **options), notice=said.append)
    assert any("instead of luma and chroma" in s for s in said) is not known


def test_conditions_are_numbers_with_the_documented_meaning():
    # Oracle: the documentation's formulas by hand; 1e-12.
    data = saved("L", quality=37)
    h = parse_jpeg_header(data)
    c = JPEG.condition(data, 83, 61).named()
    assert tuple(c) == CONDITIONS
    assert c["grey"] == 1
    assert c["chroma_full"] == 1
    assert c["half_log2_bpp"] == pytest.approx(np.log2(8 * h.scan_bytes / (83 * 61)) / 2, abs=1e-12)
    assert c["luma_q_08"] == pytest.approx(np.log2(h.tables[0][1, 0]) / 8, abs=1e-12)
    assert c["chroma_q_63"] == c["luma_q_63"]


@given(st.binary(max_size=300), st.integers(0, 2000), st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_damaged_files_never_raise(junk, cut, seed):
    # Oracle: contract; finite conditions from bytes that are random, changed or cut.
    rng = np.random.default_rng(seed)
    changed = bytearray(saved(quality=20))
    for place in rng.integers(0, len(changed), 20):
        changed[place] = rng.integers(256)
    for data in (junk, b"\xff\xd8" + junk, bytes(changed), bytes(changed[:cut])):
        h = parse_jpeg_header(data)
        values = list(JPEG.condition(data, 1, 1).named().values())
        assert np.all(np.isfinite(values))
        assert h.scan_bytes <= len(data)
        assert len(h.sampling) <= 4
