"""Quantizers read from headers, against what the encoders are known to write."""

import io
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from veridical.photo.avif_boxes import read_avif_item
from veridical.photo.formats import open_image
from veridical.photo.formats.avif import read_avif, read_frame, regrained
from veridical.photo.formats.jpeg import read_jpeg
from veridical.photo.formats.webp import read_webp

# libaom's table from its 0..63 scale to base_q_idx (av1/encoder/av1_quantize.c).
LIBAOM = {*range(0, 249, 4), 249, 255}


def save(picture, name, **options):
    buffer = io.BytesIO()
    picture.save(buffer, name, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("size", [(1, 1), (37, 53), (256, 192), (2100, 64)])
def test_avif_quantizer_is_one_that_libaom_can_write(photograph, size):
    # Oracle: libaom's own table, and a coarser quantizer at lower quality; exact.
    picture = photograph.resize(size)
    found = [read_avif(save(picture, "AVIF", quality=q)) for q in (5, 30, 60, 90)]
    indices = [round(p.quantizer * 255) for p in found]
    assert set(indices) <= LIBAOM
    assert indices == sorted(indices, reverse=True)
    assert len(set(indices)) == 4


def test_avif_payload_is_the_coded_item(photograph):
    # Oracle: an AVIF file is a fixed head of a few hundred bytes plus the coded item.
    data = save(photograph, "AVIF", quality=30)
    assert len(data) - 400 < read_avif(data).n_bytes < len(data)


def test_avif_alpha_is_not_counted(photograph):
    # Oracle: the colour item is the same with and without an alpha plane; within 64 bytes.
    noisy = photograph.copy()
    noisy.putalpha(Image.fromarray(np.random.default_rng(0).integers(0, 256, (192, 256), np.uint8)))
    plain, alpha = (save(p, "AVIF", quality=30) for p in (photograph, noisy))
    assert len(alpha) > 2 * len(plain)
    assert abs(read_avif(alpha).n_bytes - read_avif(plain).n_bytes) <= 64


@pytest.mark.parametrize("name", ["AVIF", "JPEG"])
def test_chroma_sampling(photograph, name):
    # Oracle: what the encoder was told.
    read = {"AVIF": read_avif, "JPEG": read_jpeg}[name]
    assert not read(save(photograph, name, subsampling="4:2:0")).chroma_full
    assert read(save(photograph, name, subsampling="4:4:4")).chroma_full


# libaom's first test vector (grain_table/grain_test_vectors.h): strength of luma, and how many points of chroma.
GRAIN_1 = ((16, 0), (25, 136), (33, 144), (41, 160), (48, 168), (56, 136), (67, 128), (82, 144), (97, 152),
           (113, 144), (128, 176), (143, 168), (158, 176), (178, 184))  # fmt: skip


@pytest.mark.parametrize("quality", [10, 60, 100])
@pytest.mark.parametrize("subsampling", ["4:2:0", "4:2:2", "4:4:4", "4:0:0"])
def test_avif_film_grain_is_the_table_that_was_written(photograph, subsampling, quality):
    # Oracle: libaom's test vector; exact, with all between the quantizer and the table at its various
    # lengths (100 is lossless). Without grain there is none.
    options = {"quality": quality, "subsampling": subsampling, "codec": "aom"}
    data = save(photograph, "AVIF", advanced={"film-grain-test": "1"}, **options)
    grain = read_frame(read_avif_item(data).coded).grain
    assert (grain.seed, grain.luma, grain.scaling_shift, grain.lag) == (45231, GRAIN_1, 11, 2)
    chroma = (0, 0) if subsampling == "4:0:0" else (8, 9)
    assert (len(grain.cb), len(grain.cr)) == chroma
    plain = save(photograph, "AVIF", **options)
    assert read_frame(read_avif_item(plain).coded).grain is None
    assert not read_avif(plain).remarks


def test_avif_film_grain_is_told(photograph):
    # Oracle: contract; and the networks' condition stays that of the header.
    said = []
    data = save(photograph, "AVIF", quality=40, codec="aom", advanced={"film-grain-test": "5"})
    condition = open_image(data, None, said.append).condition
    assert ["film grain" in s for s in said] == [True]
    assert (
        condition.quantizer
        == read_avif(save(photograph, "AVIF", quality=40, codec="aom")).quantizer
    )


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4", "4:0:0"])
def test_avif_film_grain_is_taken_off_and_laid_on(photograph, subsampling):
    # Oracle: libaom, which codes this test's grain beside the picture: without it the file decodes to the same
    # pixels as one that was coded without grain; exact. Seed 0 leaves the file as it is; others change the seed alone.
    options = {"quality": 60, "subsampling": subsampling, "codec": "aom"}
    plain = save(photograph, "AVIF", **options)
    data = save(photograph, "AVIF", advanced={"film-grain-test": "1"}, **options)
    seen = [np.asarray(Image.open(io.BytesIO(d))) for d in (plain, regrained(data, None), data)]
    np.testing.assert_array_equal(seen[0], seen[1])
    assert np.mean(seen[2] != seen[1]) > 0.5
    assert regrained(data, 0) == data
    other = [read_frame(read_avif_item(regrained(data, s)).coded).grain for s in (0, 7, 1 << 63)]
    assert len({g.seed for g in other}) == 3
    assert len({replace(g, seed=0) for g in other}) == 1
    assert regrained(plain, 0) is None


def test_realism_1_has_the_film_grain_of_the_file(photograph):
    # Oracle: realism 0 is that of the file coded without grain, exactly; realism 1 differs from its realism 1 by the
    # grain as libaom lays it on, within the rounding of two pictures; d and C are its own plus the grain's energy, 1e-9.
    options = {"quality": 40, "codec": "aom"}
    grainy = open_image(save(photograph, "AVIF", advanced={"film-grain-test": "5"}, **options))
    plain = open_image(save(photograph, "AVIF", **options))
    plain = replace(plain, condition=grainy.condition)  # a table of grain is some bytes more
    grain = np.asarray(grainy.ordinary, float) - plain.pixels
    first, second = (f.decode(0.0, as_array=True) for f in (grainy, plain))
    np.testing.assert_array_equal(first, second)
    first, second = (f.decode(1.0, as_array=True).astype(float) for f in (grainy, plain))
    inside = (np.minimum(first, second) > 0) & (np.maximum(first, second) < 255)
    assert np.abs(first - second - grain)[inside].max() <= 1
    energy = np.mean((grain / 255) ** 2)
    found, own = grainy.price(), plain.price()
    assert found.mmse - own.mmse == pytest.approx(energy, abs=1e-9)
    assert found.transport_cost - own.transport_cost == pytest.approx(energy, abs=1e-9)
    assert np.any(first != grainy.decode(1.0, seed=3, as_array=True))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_avif_says_whether_it_is_grey(photograph, mode):
    # Oracle: the mode that was coded; alpha's own item is of lightness alone and must not count.
    assert read_avif(save(photograph.convert(mode), "AVIF", quality=30)).grey == (mode == "L")


def test_webp_quantizer_falls_with_quality_and_ends_where_vp8_ends(photograph):
    # Oracle: libwebp maps quality 0 and 100 to the ends of VP8's index scale, 127 and 0.
    found = [read_webp(save(photograph, "WEBP", quality=q)).quantizer for q in (0, 25, 50, 75, 100)]
    assert found[0] == 1
    assert found[-1] == 0
    assert found == sorted(found, reverse=True)


def test_webp_lossless_is_recognised(photograph):
    assert read_webp(save(photograph, "WEBP", lossless=True)).lossless
    assert not read_webp(save(photograph, "WEBP", quality=50)).lossless


def test_jpeg_quantizer_is_the_mean_luma_step(photograph):
    # Oracle: Pillow's own parse of the quantization tables; 1e-12.
    for quality in (5, 50, 90):
        data = save(photograph, "JPEG", quality=quality)
        table = Image.open(io.BytesIO(data)).quantization[0]
        assert read_jpeg(data).quantizer == pytest.approx(
            np.log2(np.mean(list(table))) / 8, abs=1e-12
        )


def test_jpeg_metadata_is_not_counted(photograph):
    # Oracle: the same scan with 40 kB of colour profile more; the payload stays the same.
    plain = save(photograph, "JPEG", quality=30)
    heavy = save(photograph, "JPEG", quality=30, icc_profile=bytes(40_000))
    assert len(heavy) > len(plain) + 40_000
    assert read_jpeg(heavy).n_bytes == read_jpeg(plain).n_bytes


@given(st.binary(max_size=400))
def test_readers_never_fail_on_rubbish(data):
    # Oracle: contract: a payload of at least one byte and a quantizer in [0, 1] or none.
    for read in (read_avif, read_webp, read_jpeg):
        p = read(data)
        assert p.n_bytes >= 1
        assert p.quantizer is None or 0 <= p.quantizer <= 1


@given(data=st.data())
def test_readers_never_fail_on_mutated_files(coded, data):
    for name, read in (("AVIF", read_avif), ("WEBP", read_webp), ("JPEG", read_jpeg)):
        mutated = bytearray(coded[name])
        for _ in range(data.draw(st.integers(1, 6))):
            mutated[data.draw(st.integers(0, min(600, len(mutated) - 1)))] = data.draw(
                st.integers(0, 255)
            )
        cut = data.draw(st.integers(0, len(mutated)))
        p = read(bytes(mutated[:cut]))
        assert p.n_bytes >= 1
        assert p.quantizer is None or 0 <= p.quantizer <= 1


class _Counting(bytes):
    """Bytes that count what is asked of them: every access once, and every byte of a slice."""

    asked: list[int]

    def __getitem__(self, at):
        found = super().__getitem__(at)
        self.asked.append(1 + (len(found) if isinstance(at, slice) else 0))
        return found


def _box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), name) + body


def _avif(sizes: int, items: bytes, n_items: int, rest: bytes = b"") -> bytes:
    """An AVIF file with an item location box of one's own; its primary item is number 1."""
    iloc = bytes(4) + struct.pack(">HH", sizes, n_items) + items
    meta = bytes(4) + _box(b"pitm", bytes(4) + b"\0\1") + _box(b"iloc", iloc)
    return _box(b"ftyp", b"avif" + bytes(4)) + _box(b"meta", meta) + rest


_EMPTY = struct.pack(">HHH", 1, 0, 65535)  # item 1, and as many extents of nothing as can be said
_WHOLE = struct.pack(">HHH", 1, 0, 3000) + 3000 * struct.pack(">II", 0, 30_000)
HOSTILE = {
    "extents without bytes": ("AVIF", _avif(0x0000, 1000 * _EMPTY, 1000)),
    "extents that all name the whole file": ("AVIF", _avif(0x4400, _WHOLE, 1)),
    "nested frames without end": (
        "WEBP",
        b"RIFF" + bytes(4) + b"WEBP" + 2000 * (b"ANMF" + b"\xff\xff\xff\x7f" + bytes(16)),
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_work_is_linear_in_the_file(case):
    # Oracle: a reader asks for no byte more than four times, and for at most as many things as the
    # file has bytes. A file of 30 kB that repeats itself would otherwise cost minutes or gigabytes.
    name, data = HOSTILE[case]
    counted = _Counting(data)
    counted.asked = []
    found = {"AVIF": read_avif, "WEBP": read_webp}[name](counted)
    assert found.quantizer is None
    assert sum(counted.asked) <= 5 * len(data)
    assert len(counted.asked) <= len(data)


def test_a_length_that_does_not_end_is_given_up():
    # Oracle: lengths in AV1 have at most eight bytes. Without that limit this file's number has four
    # million bytes, and reading it takes hours.
    coded = b"\x12" + 4_000_000 * b"\xff"
    start = len(_avif(0x4400, struct.pack(">HHHII", 1, 0, 1, 0, 0), 1))
    item = struct.pack(">HHHII", 1, 0, 1, start, len(coded))
    found = read_avif(_avif(0x4400, item, 1, coded))
    assert (found.n_bytes, found.quantizer) == (len(coded), None)
