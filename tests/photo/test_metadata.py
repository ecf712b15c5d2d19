"""Colour profile, Exif and XMP: what survives, what is left out, and what is said."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

import veridical
from veridical.cli.photo_jobs import _save_picture
from veridical.photo.encode import encode
from veridical.photo.formats import open_image
from veridical.photo.metadata import metadata_of, prepared_for
from veridical.photo.reader import open_source

HOLD_ALL = [
    ("JPEG", ".jpg"),
    ("PNG", ".png"),
    ("TIFF", ".tif"),
    ("WEBP", ".webp"),
    ("AVIF", ".avif"),
]
HOLD_NONE = [
    ("BMP", ".bmp"),
    ("PPM", ".ppm"),
    ("GIF", ".gif"),
    ("TGA", ".tga"),
    ("JPEG2000", ".jp2"),
]
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">\xc3\xa4</x:xmpmeta>'
RGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GRAY = RGB[:16] + b"GRAY" + RGB[20:]
CMYK = RGB[:16] + b"CMYK" + RGB[20:]


def exif_of(orientation=6):
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "maker"
    exif.get_ifd(0x8769)[0x829A] = 0.5
    exif.get_ifd(0x8825)[1] = "N"
    return exif.tobytes()


def marked(picture, **info):
    out = picture.copy()
    out.info.update({"exif": exif_of(), "xmp": XMP, "icc_profile": RGB, **info})
    return out


def saved(picture, name, **options):
    buffer = io.BytesIO()
    picture.save(buffer, name, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(("name", "suffix"), HOLD_ALL)
def test_all_survives_where_it_can(photograph, tmp_path, name, suffix):
    # Oracle: what was put in, read by Pillow from the file; exact, and no notice. Of TIFF, Pillow turns the
    # pixels when it reads.
    said, path = [], tmp_path / f"x{suffix}"
    small = photograph.resize((64, 48))
    _save_picture(marked(small), path, name, said.append)
    with Image.open(path) as im:
        im.load()
        exif = im.getexif()
        assert im.info["xmp"] == XMP
        assert im.info["icc_profile"] == RGB
        assert exif[0x010F] == "maker"
        assert exif.get_ifd(0x8769)[0x829A] == 0.5
        assert exif.get_ifd(0x8825)[1] == "N"
        if name == "TIFF":
            assert np.array_equal(im, small.transpose(Image.Transpose.ROTATE_270))
        else:
            assert exif[0x0112] == 6
    assert said == []


@pytest.mark.parametrize(("name", "suffix"), HOLD_NONE)
def test_pixels_are_turned_where_orientation_has_no_place(photograph, tmp_path, name, suffix):
    # Oracle: Pillow's own turning of the picture; exact for formats without loss. All is told.
    said, path = [], tmp_path / f"x{suffix}"
    small = photograph.resize((64, 48))
    _save_picture(marked(small), path, name, said.append)
    with Image.open(path) as im:
        assert im.size == (48, 64)
        if name != "GIF":
            assert np.array_equal(im.convert("RGB"), ImageOps.exif_transpose(marked(small)))
    text = " ".join(said)
    for word in ("turned", "Exif", "XMP", "colour profile"):
        assert word in text


@pytest.mark.parametrize("name", ["JPEG", "AVIF", "WEBP"])
@pytest.mark.parametrize("source", ["PNG", "TIFF", "JPEG", "WEBP", "AVIF"])
def test_encode_keeps_all_from_every_format(photograph, source, name):
    # Oracle: what was put in; exact.
    x, options = prepared_for(marked(photograph.resize((64, 48)), exif=exif_of(1)), source, print)
    said = []
    data = encode(saved(x, source, **options), format=name, quality=40, notice=said.append)
    im = Image.open(io.BytesIO(data))
    assert (im.info["xmp"], im.info["icc_profile"]) == (XMP, RGB)
    assert im.getexif()[0x010F] == "maker"
    assert im.getexif().get_ifd(0x8769)[0x829A] == 0.5
    assert not set(im.getexif()) & {256, 257, 258, 259, 273, 278, 279}  # how a TIFF file is stored
    assert said == []


def test_a_tiff_without_exif_gives_none(photograph):
    im = Image.open(io.BytesIO(saved(photograph.resize((8, 8)), "TIFF")))
    assert metadata_of(im, print) == {}


@pytest.mark.parametrize("name", ["JPEG", "AVIF", "WEBP", "TIFF", "PNG"])
def test_malformed_exif_is_a_notice(photograph, tmp_path, name):
    # Oracle: contract; the picture is written, without Exif.
    bad = saved(photograph.resize((64, 48)), "JPEG", exif=b"Exif\0\0garbage not tiff")
    said = []
    if name not in ("TIFF", "PNG"):
        assert (
            "exif" not in Image.open(io.BytesIO(encode(bad, format=name, notice=said.append))).info
        )
        said.clear()
    picture = veridical.decode(bad, notice=said.append)
    _save_picture(picture, tmp_path / "x", name, said.append)
    assert [s for s in said if "malformed" in s] == said
    assert len(said) == 1


def test_too_long_for_jpeg_is_a_notice_and_the_picture_still_stands_upright(photograph):
    # Oracle: the other formats, which hold it; the turned picture coded alone, bit for bit.
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x9286] = bytes(70_000)
    small = photograph.resize((64, 48))
    long = marked(small, exif=exif.tobytes(), xmp=bytes(70_000))
    said = []
    jpeg = Image.open(io.BytesIO(encode(long, format="JPEG", quality=95, notice=said.append)))
    assert jpeg.info.keys().isdisjoint({"exif", "xmp"})
    upright = encode(small.transpose(Image.Transpose.ROTATE_270), format="JPEG", quality=95)
    assert np.array_equal(jpeg, Image.open(io.BytesIO(upright)))
    assert len(said) == 3
    for name in ("WEBP", "AVIF"):
        kept = Image.open(io.BytesIO(encode(long, format=name)))
        assert kept.getexif()[0x0112] == 6
        assert len(kept.info["xmp"]) == 70_000


@pytest.mark.parametrize(
    ("mode", "profile", "kept"),
    [
        ("RGB", RGB, True),
        ("RGBA", RGB, True),
        ("RGB", GRAY, False),
        ("RGB", b"junk" * 50, False),
        ("L", GRAY, True),
        ("L", RGB, False),
        ("CMYK", CMYK, False),
        ("P", RGB, True),
    ],
)
def test_a_profile_travels_only_with_pixels_that_it_fits(photograph, mode, profile, kept):
    # Oracle: the colour space in the profile's header (ICC.1, byte 16) against the mode of the pixels.
    said = []
    picture = photograph.resize((64, 48)).convert(mode)
    picture.info["icc_profile"] = profile
    out = open_source(picture, notice=said.append)
    assert ("icc_profile" in out.info) == kept
    assert any("profile" in s for s in said) != kept
    if mode in ("RGB", "L", "CMYK"):
        said.clear()
        decoded = open_image(saved(picture, "JPEG", icc_profile=profile), None, said.append)
        out = decoded.finish(decoded.pixels)
        assert ("icc_profile" in out.info) == kept
        assert any("profile" in s for s in said) != kept


@pytest.mark.parametrize("name", ["AVIF", "WEBP", "JPEG"])
def test_a_grey_profile_in_every_format(photograph, name):
    # Oracle: only grey pixels carry it. WebP has no grey, so that the profile is left out, with a notice.
    said = []
    picture = photograph.resize((64, 48)).convert("L")
    picture.info["icc_profile"] = GRAY
    decoded = open_image(encode(picture, format=name, quality=50, notice=said.append))
    assert decoded.grey
    assert ("icc_profile" in decoded.metadata) == (name != "WEBP") == (said == [])


def test_a_grey_webp_with_a_colour_profile_keeps_it_on_equal_channels(photograph):
    # Oracle: the profile needs RGB pixels; the channels stay equal.
    data = saved(photograph.convert("L"), "WEBP", icc_profile=RGB)
    out = veridical.decode(data)
    assert out.mode == "RGB"
    assert out.info["icc_profile"] == RGB
    assert np.ptp(np.asarray(out), axis=2).max() == 0


@given(data=st.data())
def test_mutated_exif_never_stops_a_picture(data):
    # Oracle: contract; each format is written.
    bad = bytearray(exif_of())
    for _ in range(data.draw(st.integers(1, 6))):
        bad[data.draw(st.integers(6, len(bad) - 1))] = data.draw(st.integers(0, 255))
    picture = Image.new("RGB", (16, 8))
    picture.info["exif"] = bytes(bad[: data.draw(st.integers(7, len(bad)))])
    source = open_source(picture)
    for name, _ in (*HOLD_ALL, HOLD_NONE[0]):
        x, options = prepared_for(source, name, len)
        assert saved(x, name, **options)
