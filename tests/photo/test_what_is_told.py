"""What a file is, and what of it does not reach the picture: grey or not, formats, depth, frames, rest."""

import base64
import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import veridical
from veridical.errors import MissingDependency, NotAnImage, UnsupportedFormat
from veridical.photo.encode import encode
from veridical.photo.formats import open_image
from veridical.photo.formats.conventional import ConventionalFormat
from veridical.photo.loading import OPENED, foreign_format
from veridical.photo.reader import open_source

# 8 x 8 pixels of one colour, level 500 of 1023 and 2000 of 4095, written by libavif.
DEEP = {
    10: (
    "AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUEAAADrbWV0YQAAAAAAAAAhaGRscgAAAAAAAAAAcGljdAAAAAAAAAAA"
    "AAAAAAAAAAAOcGl0bQAAAAAAAQAAAB5pbG9jAAAAAEQAAAEAAQAAAAEAAAETAAAAHAAAAChpaW5mAAAAAAABAAAAGmluZmUC"
    "AAAAAAEAAGF2MDFDb2xvcgAAAABqaXBycAAAAEtpcGNvAAAAFGlzcGUAAAAAAAAACAAAAAgAAAAQcGl4aQAAAAADCgoKAAAA"
    "DGF2MUOBIEAAAAAAE2NvbHJuY2x4AAIAAgAGgAAAABdpcG1hAAAAAAAAAAEAAQQBAoMEAAAAJG1kYXQSAAoIOAi/bwICBpAy"
    "DhxCYuTgABYAAACQNY3Q"
    ),
    12: (
    "AAAAHGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZgAAAOttZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAA"
    "AAAAAA5waXRtAAAAAAABAAAAHmlsb2MAAAAARAAAAQABAAAAAQAAAQ8AAAAbAAAAKGlpbmYAAAAAAAEAAAAaaW5mZQIAAAAA"
    "AQAAYXYwMUNvbG9yAAAAAGppcHJwAAAAS2lwY28AAAAUaXNwZQAAAAAAAAAIAAAACAAAABBwaXhpAAAAAAMMDAwAAAAMYXYx"
    "Q4FAYAAAAAATY29scm5jbHgAAgACAAaAAAAAF2lwbWEAAAAAAAAAAQABBAECgwQAAAAjbWRhdBIACghYCL9rQICBojINHEJi"
    "5OAAFgAAkDWN0A=="
    ),
}  # fmt: skip


def saved(picture, name, **options):
    buffer = io.BytesIO()
    picture.save(buffer, name, **options)
    return buffer.getvalue()


def told(read, source):
    said = []
    picture = read(source, notice=said.append)
    return picture, said


@pytest.mark.parametrize("name", ["AVIF", "WEBP", "JPEG"])
@pytest.mark.parametrize("quality", [0, 10, 50, 95])
def test_only_grey_files_are_grey(photograph, name, quality):
    # Oracle: the mode that was coded. A dark picture and one with a faint tint keep their colour: their
    # channels lie 4 levels apart at most, and the ordinary decoder's do so too.
    grey = photograph.convert("L")
    dark = Image.fromarray((np.asarray(photograph) // 24).astype(np.uint8))
    tint = Image.fromarray(np.asarray(grey)[:, :, None] // 2 + np.array([0, 2, 4], np.uint8))
    assert open_image(encode(grey, format=name, quality=quality)).grey
    for picture in (dark, tint, photograph):
        data = encode(picture, format=name, quality=quality)
        opened = open_image(data)
        ordinary = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        coloured = np.ptp(ordinary, axis=2).max() > 1
        assert opened.grey == (name == "WEBP" and not coloured)
        assert opened.grey or np.array_equal(opened.pixels, ordinary)
        assert opened.finish(opened.pixels).mode == ("L" if opened.grey else "RGB")


def test_a_grey_avif_is_coded_again_as_grey(photograph):
    data = encode(photograph.convert("L"), format="AVIF", quality=50)
    assert open_source(data).mode == "L"
    assert Image.open(io.BytesIO(encode(data, format="JPEG"))).mode == "L"


def test_no_format_that_starts_a_program_is_opened(photograph, monkeypatch):
    # Oracle: contract; Ghostscript is started by Popen or check_call, and neither is called.
    eps = saved(photograph.resize((16, 16)), "EPS")
    for function in ("Popen", "check_call", "run"):
        monkeypatch.setattr(
            subprocess, function, lambda *a, **k: pytest.fail("a program was started")
        )
    for read in (open_image, open_source):
        with pytest.raises(NotAnImage, match="not a picture in a format that is opened"):
            read(eps)
    Image.init()
    assert set(OPENED) <= set(Image.OPEN)
    assert not set(OPENED) & {"EPS", "WMF", "GRIB", "BUFR", "HDF5", "MPEG", "FITS", "SPIDER"}


@pytest.mark.parametrize(
    "name", ["PNG", "TIFF", "GIF", "BMP", "PPM", "JPEG2000", "TGA", "QOI", "PCX"]
)
def test_common_formats_are_opened(photograph, name):
    small = photograph.resize((32, 24))
    found = open_source(saved(small, name)).size
    assert found == (32, 24)


def test_formats_of_others_are_opened_once_registered():
    from veridical.photo import formats

    new = ConventionalFormat(
        "X", (".x",), lambda data: None, lambda head: False, pillow_names=("XBM",)
    )
    try:
        formats.register(new)
        assert open_source(saved(Image.new("1", (8, 8)), "XBM")).size == (8, 8)
    finally:
        del formats.FORMATS["X"]
        OPENED.remove("XBM")


HEADS = {
    "HEIC": b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf" + bytes(80),
    "JPEG XL": b"\xff\x0a" + bytes(80),
}


@pytest.mark.parametrize(
    ("kind", "extra", "package"),
    [("HEIC", "heif", "pillow_heif"), ("JPEG XL", "jxl", "pillow_jxl")],
)
def test_formats_with_a_plugin_are_named_plainly(monkeypatch, kind, extra, package):
    # Oracle: contract: the format's name and the extra of pyproject.toml, whether or not it is installed.
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependency, match=kind) as error:
        encode(HEADS[kind])
    assert f"veridical[{extra}]" in str(error.value)
    # A JPEG XL file holds something to restore, a HEIC file does not.
    with pytest.raises(
        (UnsupportedFormat, MissingDependency)[kind == "JPEG XL"], match=kind
    ) as error:
        open_image(HEADS[kind])
    assert f"veridical[{extra}]" in str(error.value)


@pytest.mark.parametrize(("name", "package"), [("HEIF", "pillow_heif"), ("JXL", "pillow_jxl")])
def test_formats_with_a_plugin_are_coded(photograph, name, package):
    # Oracle: the picture; mean error below 6 levels at high quality.
    plugin = pytest.importorskip(package)
    if name == "HEIF":
        plugin.register_heif_opener()
    data = saved(photograph, name, quality=95)
    assert foreign_format(data) is not None
    again = np.asarray(Image.open(io.BytesIO(encode(data, format="JPEG", quality=95))), dtype=float)
    assert np.abs(again - np.asarray(photograph)).mean() < 6


def test_an_avif_file_is_no_heic(coded):
    for data in coded.values():
        assert foreign_format(data) is None


@pytest.mark.parametrize("depth", [10, 12])
def test_deep_avif_files_say_that_they_become_8_bits(depth):
    # Oracle: the depth that the file was written with; its level on 8 bits, within 2 for chroma.
    data = base64.b64decode("".join(DEEP[depth]))
    level = {10: 500 / 1023, 12: 2000 / 4095}[depth] * 255
    for read in (open_image, open_source):
        picture, said = told(read, data)
        assert any(f"{depth} bits" in s and "8 bits" in s for s in said)
        pixels = picture.pixels if read is open_image else np.asarray(picture)
        assert np.abs(pixels - level).max() < 2.5


def test_eight_bits_say_nothing(coded, photograph):
    for data in (*coded.values(), saved(photograph, "PNG"), saved(photograph, "TIFF")):
        assert told(open_source, data)[1] == []


def test_deep_png_and_tiff_of_three_channels_say_so():
    # Oracle: the specification of PNG: a 1 x 1 picture of 16 bits a sample made by hand.
    import struct
    import zlib

    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    head = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(7)))
        + chunk(b"IEND", b"")
    )
    entries = [(256, 3, 1, 1), (257, 3, 1, 1), (258, 3, 3, 134), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 140),
               (277, 3, 1, 3), (278, 3, 1, 1), (279, 4, 1, 6), (284, 3, 1, 1)]  # fmt: skip
    tiff = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries))
    tiff += (
        b"".join(struct.pack("<HHII", *e) for e in entries)
        + bytes(4)
        + struct.pack("<3H", 16, 16, 16)
    )
    for data in (png, tiff + bytes(6)):
        assert any("16 bits" in s for s in told(open_source, data)[1])


@pytest.mark.parametrize("name", ["GIF", "PNG", "WEBP", "AVIF", "TIFF"])
def test_further_frames_are_told_when_coding_too(photograph, name):
    # Oracle: the first frame alone, to be coded the same.
    frames = [photograph.resize((32, 24)), Image.new("RGB", (32, 24), "red")]
    data = saved(frames[0], name, save_all=True, append_images=frames[1:])
    said = []
    coded = encode(data, format="JPEG", notice=said.append)
    assert any("only its first" in s for s in said)
    if name in ("PNG", "TIFF"):
        assert coded == encode(frames[0], format="JPEG")


RESTS = {
    "a film": b"\0\0\0\x18ftypmp42" + bytes(5000),
    "other data": b"anything" * 999,
}


@pytest.mark.parametrize("kind", [*RESTS, "a second picture", "a gain map"])
def test_bytes_behind_a_jpeg_are_told_and_do_not_count(photograph, coded, kind):
    # Oracle: the file without them; the same condition, decoded picture and price, exact.
    plain = coded["JPEG"]
    rest = RESTS.get(kind, saved(photograph.resize((64, 48)), "JPEG", quality=50))
    if kind == "a gain map":
        rest = rest[:2] + b"\xff\xe1\0\x10" + b"hdrgm:Version=" + rest[2:]
    long, said = told(open_image, plain + rest)
    assert any(kind in s and f"{len(rest):,} bytes" in s for s in said)
    whole = open_image(plain)
    assert long.condition == whole.condition
    assert long.price() == whole.price()
    assert np.array_equal(veridical.decode(long), veridical.decode(whole))
    assert any(kind in s for s in told(open_source, plain + rest)[1])


def test_padding_behind_a_jpeg_is_not_worth_a_word(coded):
    assert told(open_image, coded["JPEG"] + bytes(100) + b"\r\n")[1] == []


def test_pictures_of_several_parts_are_told(photograph):
    # Oracle: Pillow's own MPO, as cameras write it.
    data = saved(photograph, "MPO", save_all=True, append_images=[photograph.resize((64, 48))])
    opened, said = told(open_image, data)
    assert any("a second picture" in s for s in said)
    assert np.array_equal(opened.pixels, Image.open(io.BytesIO(data)))


def test_headers_of_tiny_pictures_do_not_count(photograph):
    # Oracle: the scan of a picture of 8 x 8 pixels, which is a few bytes; its headers are hundreds.
    data = saved(photograph.resize((8, 8)), "JPEG", quality=20)
    assert len(data) > 500
    assert open_image(data).condition.bits_per_pixel * 64 / 8 < 60
