"""Opening files: what is kept, what is converted, what is refused."""

import io
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from veridical.errors import (
    DamagedFile,
    InvalidSetting,
    MissingFile,
    NotAnImage,
    PictureTooLarge,
    UnsupportedFormat,
    VeridicalError,
)
from veridical.photo.encode import encode
from veridical.photo.formats import open_image
from veridical.photo.options import DecodeOptions
from veridical.photo.reader import open_source, read_bytes


def png(picture):
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def test_colours_are_the_ordinary_decoders(coded):
    # Oracle: Pillow; bit-exact.
    for name, data in coded.items():
        picture = open_image(data)
        assert picture.format == name
        assert not picture.grey
        assert np.array_equal(picture.pixels, np.asarray(Image.open(io.BytesIO(data))))
        assert picture.bits_per_pixel == 8 * len(data) / (256 * 192)


@pytest.mark.parametrize("name", ["AVIF", "WEBP", "JPEG"])
def test_greyscale_stays_greyscale(photograph, name):
    picture = open_image(encode(photograph.convert("L"), format=name, quality=30))
    assert picture.grey
    assert np.ptp(picture.pixels, axis=2).max() == 0


@pytest.mark.parametrize("name", ["AVIF", "WEBP"])
def test_alpha_is_kept(photograph, name):
    # Oracle: the alpha that was coded; both formats code a plane of two levels without loss here.
    alpha = np.zeros((192, 256), np.uint8)
    alpha[40:150, 60:200] = 255
    rgba = photograph.copy()
    rgba.putalpha(Image.fromarray(alpha))
    picture = open_image(encode(rgba, format=name, quality=40))
    assert np.abs(picture.alpha.astype(int) - alpha).mean() < 2


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "I;16", "F", "I"])
@pytest.mark.parametrize("name", ["AVIF", "WEBP", "JPEG"])
def test_every_mode_of_pillow_can_be_coded(photograph, mode, name):
    # Oracle: the picture itself; a coarse check that levels are not wrapped or scaled: mean
    # luminance within 12 levels (bilevel dithering keeps the mean).
    grey = photograph.convert("L")
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    elif mode == "I":
        picture = Image.fromarray(np.asarray(grey).astype(np.int32) * 257)
    else:
        picture = photograph.convert(mode)
    notices = []
    data = encode(picture, format=name, quality=60, notice=notices.append)
    mean = np.asarray(Image.open(io.BytesIO(data)).convert("L"), dtype=float).mean()
    assert abs(mean - np.asarray(grey, dtype=float).mean()) < 12
    assert bool(notices) == (
        mode in ("CMYK", "YCbCr", "I;16", "I", "F") or (name == "JPEG" and mode == "LA")
    )


def test_sixteen_bits_are_rounded_not_wrapped():
    # Oracle: 65535 -> 255, 257 k -> k; exact.
    deep = Image.fromarray(np.array([[0, 257, 128 * 257, 65535]], np.uint16))
    assert np.asarray(open_source(deep)).tolist() == [[0, 1, 128, 255]]


@pytest.mark.parametrize("name", ["AVIF", "WEBP", "JPEG"])
def test_metadata_survives(photograph, name):
    # Oracle: what was written; the orientation tag and the profile, exact.
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "maker"
    source = photograph.copy()
    source.info["icc_profile"] = profile
    source.info["exif"] = exif.tobytes()
    data = encode(source, format=name, quality=30)
    picture = open_image(data)
    assert picture.metadata["icc_profile"] == profile
    out = picture.finish(picture.pixels)
    buffer = io.BytesIO()
    out.save(buffer, "PNG", **out.info)
    again = Image.open(buffer)
    assert again.getexif()[0x0112] == 6
    assert again.getexif()[0x010F] == "maker"
    assert again.info["icc_profile"] == profile


def test_lossless_has_no_condition(photograph):
    buffer = io.BytesIO()
    photograph.save(buffer, "WEBP", lossless=True)
    assert open_image(buffer.getvalue()).condition is None


def test_refusals(coded, photograph, tmp_path):
    with pytest.raises(MissingFile, match="check the path"):
        read_bytes(tmp_path / "no.jpg")
    with pytest.raises(MissingFile, match="folder"):
        read_bytes(tmp_path)
    with pytest.raises(NotAnImage, match="empty"):
        open_image(b"")
    with pytest.raises(NotAnImage, match="not a picture"):
        open_image(b"certainly not a picture, but long enough to be looked at" * 4)
    with pytest.raises(UnsupportedFormat, match="PNG"):
        open_image(png(photograph))
    with pytest.raises(PictureTooLarge, match="max-pixels"):
        open_image(coded["JPEG"], DecodeOptions(max_pixels=1000))
    with pytest.raises(InvalidSetting):
        open_image(coded["JPEG"], DecodeOptions(max_pixels=0))


def test_a_decompression_bomb_is_refused_before_it_is_unpacked():
    # Oracle: Pillow's own limit; 20000 x 20000 bilevel pixels in a few hundred bytes.
    bomb = png(Image.new("1", (20000, 20000)))
    assert len(bomb) < 200_000
    with pytest.raises(PictureTooLarge, match="max-pixels"):
        open_source(bomb)


@pytest.mark.parametrize("name", ["AVIF", "WEBP", "JPEG"])
def test_truncation_is_noticed(coded, name):
    data = coded[name]
    for keep in (0.3, 0.6, 0.9):
        with pytest.raises((DamagedFile, NotAnImage)):
            open_image(data[: int(keep * len(data))])


def test_pillows_limit_is_put_back(coded):
    before = Image.MAX_IMAGE_PIXELS
    open_image(coded["AVIF"], DecodeOptions(max_pixels=100_000))
    assert before == Image.MAX_IMAGE_PIXELS


@given(data=st.data())
def test_mutated_files_give_a_picture_or_a_typed_error(coded, data):
    # Oracle: contract; anything but a picture of the size it claims or a VeridicalError fails.
    name = data.draw(st.sampled_from(sorted(coded)))
    mutated = bytearray(coded[name])
    for _ in range(data.draw(st.integers(1, 8))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    keep = data.draw(st.one_of(st.just(len(mutated)), st.integers(0, len(mutated))))
    try:
        picture = open_image(bytes(mutated[:keep]), DecodeOptions(max_pixels=4_000_000))
    except VeridicalError:
        return
    assert picture.pixels.shape == (picture.height, picture.width, 3)
    assert picture.pixels.dtype == np.uint8


def test_more_transparent_colours_than_a_palette_holds():
    # Oracle: PNG specification, 11.3.2.1: tRNS has no more entries than the palette, 256 at most; Pillow opens
    # such a file and fails where it is converted.
    def chunk(kind, data):
        check = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + check

    def file(entries):
        head = chunk(b"IHDR", b"\0\0\0\2\0\0\0\2\x08\x03\0\0\0") + chunk(b"PLTE", bytes(6))
        rest = chunk(b"IDAT", zlib.compress(bytes(6))) + chunk(b"IEND", b"")
        return b"\x89PNG\r\n\x1a\n" + head + chunk(b"tRNS", bytes(entries)) + rest

    assert open_source(file(2)).mode == "RGBA"
    with pytest.raises(DamagedFile, match="contradicts itself"):
        open_source(file(300))
