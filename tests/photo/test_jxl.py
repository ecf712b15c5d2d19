"""JPEG XL: what is read from its headers, and files that are written and opened through the plugin."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

import veridical
from veridical.errors import DamagedFile, PictureTooLarge, UnsupportedFormat
from veridical.photo.formats.jxl import JXL, read_jxl
from veridical.photo.jxl_header import claimed_jxl
from veridical.photo.loading import claimed_pixels

pytest.importorskip("pillow_jxl")


@pytest.fixture(scope="module")
def photograph():
    return Image.fromarray(pytest.importorskip("skimage.data").coffee()[:200, :270])


def saved(picture, **options):
    buffer = io.BytesIO()
    picture.save(buffer, "JXL", **options)
    return buffer.getvalue()


def test_the_quantizer_is_the_encoders_alone(photograph):
    # Oracle: libjxl derives the step from the distance alone, so other pictures, sizes and colours tell the same,
    # and a finer quality tells a smaller one; half-size frames of the coarsest are 1.
    others = [
        photograph.convert("L"),
        photograph.resize((700, 300)),
        photograph.crop((0, 0, 40, 30)),
    ]
    told = []
    for quality in (5, 30, 60, 80, 95, 99):
        found = [read_jxl(saved(p, quality=quality, effort=4)) for p in (photograph, *others)]
        assert len({p.quantizer for p in found}) == 1
        assert [p.grey for p in found] == [False, True, False, False]
        told.append(found[0].quantizer)
    assert told == sorted(set(told), reverse=True)
    assert told[0] == 1
    assert 0 < told[-1] < 0.1


def test_a_dictionary_of_patches_hides_the_quantizer(photograph):
    # Oracle: from effort 7 on libjxl looks for dots in coarse files, and writes their dictionary first.
    assert read_jxl(saved(photograph, quality=40, effort=7)).quantizer is None
    assert read_jxl(saved(photograph, quality=40, effort=6)).quantizer is not None


def test_a_container_and_alpha_change_nothing(photograph):
    # Oracle: the bare codestream, whose bytes the payload counts.
    plain, boxed = (
        saved(photograph, quality=70, effort=4, use_container=c, xmp=b"<x/>" if c else None)
        for c in (False, True)
    )
    assert len(boxed) > len(plain)
    assert read_jxl(boxed) == read_jxl(plain)
    assert read_jxl(plain).n_bytes == len(plain)
    alpha = photograph.copy()
    alpha.putalpha(Image.linear_gradient("L").resize(alpha.size))
    assert read_jxl(saved(alpha, quality=70, effort=4)).quantizer == read_jxl(plain).quantizer


def test_lossless_files_stay_as_they_are(photograph, tmp_path):
    # Oracle: the pixels; of a JPEG file that was coded again without loss, those of its decoder.
    data = veridical.encode(photograph, format="jxl", quality=100)
    assert veridical.open(data).info.lossless
    assert np.array_equal(veridical.decode(data, realism=1, as_array=True), photograph)
    photograph.save(tmp_path / "a.jpg", quality=50)
    with Image.open(tmp_path / "a.jpg") as jpeg:
        again = saved(jpeg, lossless_jpeg=True)
        assert np.array_equal(veridical.decode(again, realism=0, as_array=True), jpeg)


def test_damaged_headers_never_raise(photograph):
    # Oracle: contract; every prefix of the headers, and 300 files with bytes exchanged.
    data = saved(photograph, quality=70, effort=4, use_container=True)
    rng = np.random.default_rng(0)
    for n in range(90):
        assert read_jxl(data[:n]).n_bytes >= 1
    for _ in range(300):
        bad = bytearray(data[:200])
        for k in rng.integers(0, 200, 4):
            bad[k] = int(rng.integers(256))
        found = read_jxl(bytes(bad)).quantizer
        assert found is None or 0 <= found <= 1


def test_a_file_keeps_exif_and_fits_its_size(photograph):
    # Oracles: the bytes that were given; the limit.
    exif = Image.Exif()
    exif[0x010E] = "a cup"
    picture = photograph.copy()
    picture.info["exif"] = exif.tobytes()
    data = veridical.encode(picture, format="JXL", max_bytes=4000)
    assert 3000 < len(data) <= 4000
    image = veridical.open(data)
    assert b"a cup" in image.metadata["exif"]
    assert (image.width, image.height) == photograph.size


def test_sixteen_bits_are_scaled():
    # Oracle: the picture's own numbers, over 257; a level of coding and rounding on average.
    x = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    buffer = io.BytesIO()
    Image.fromarray(x).save(buffer, "JXL", quality=90)
    image = veridical.open(buffer.getvalue())
    assert image.decode(0).mode == "L"
    assert np.abs(np.asarray(image.ordinary)[..., 0] - x / 257).mean() < 1


def test_colours_of_other_profiles_are_converted(photograph):
    # Oracle: sRGB with red and green exchanged: red pixels are green ones; within 3 levels at quality 99.
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    other = (
        profile.replace(b"rXYZ", b"____", 1)
        .replace(b"gXYZ", b"rXYZ", 1)
        .replace(b"____", b"gXYZ", 1)
    )
    said = []
    for name, given, colour in (
        ("sRGB", profile, (200, 40, 60)),
        (
            "other",
            other.replace("sRGB".encode("utf-16-be"), "xRGB".encode("utf-16-be")),
            (40, 200, 60),
        ),
    ):
        picture = Image.new("RGB", (32, 32), (200, 40, 60))
        picture.info["icc_profile"] = given
        said.clear()
        data = veridical.encode(picture, format="JXL", quality=99, notice=said.append)
        assert any("converted" in s for s in said) == (name == "other")
        assert (
            np.abs(
                np.asarray(JXL.open(data, veridical.DecodeOptions()).ordinary, float) - colour
            ).max()
            <= 3
        )


def codestream(*fields):
    """A codestream that begins with numbers, each (value, bits), least significant bit first (ISO/IEC 18181-1)."""
    number, at = 0x0AFF, 16
    for value, bits in fields:
        number |= value << at
        at += bits
    return number.to_bytes(at // 8 + 20, "little")


LARGE = [(0, 1), (3, 2), (99_999, 30), (0, 3), (3, 2), (89_999, 30)]


@pytest.mark.parametrize(
    ("more", "extra", "animated"),
    [([(1, 1)], 0, False), ([(0, 2), (0, 1), (0, 2), (0, 1), (3, 2), (799, 12)], 800, False),
     ([(0, 1), (1, 1), (0, 3), (0, 2), (1, 1), (0, 6), (0, 1), (0, 1), (0, 2), (0, 1), (1, 2)], 1, True),
     ([(0, 1), (1, 1), (0, 3), (1, 1), (1, 1), (0, 5), (1, 3), (1, 1), (1, 1), (2, 2), (9, 5), (1, 3), (0, 1),
       (1, 1), (3, 2), (31, 6), (7, 4), (0, 1), (2, 2), (5, 4)], 7, False)],
)  # fmt: skip
def test_what_a_header_claims(more, extra, animated):
    # Oracle: the fields as they were put; the last has an intrinsic size, a preview and floating-point samples.
    found = claimed_jxl(codestream(*LARGE, *more))
    assert (found.width, found.height) == (90_000, 100_000)
    assert (found.extra, found.animated) == (extra, animated)


def test_what_a_file_claims_is_refused_before_it_is_decoded(photograph, tmp_path, monkeypatch):
    # Oracle: the plugin, which decodes all of a file when it opens it, is never called.
    bombs = [(codestream(*LARGE, (1, 1)), PictureTooLarge)]
    small = [(0, 1), (0, 2), (99, 9), (1, 3)]
    channels = [(0, 2), (0, 1), (0, 2), (0, 1), (3, 2)]
    bombs.append((codestream(*small, *channels, (4095, 12)), PictureTooLarge))
    animation = [(0, 1), (1, 1), (0, 3), (0, 2), (1, 1), (0, 7)]
    bombs += [(codestream(*small, *animation, (0, 99)), UnsupportedFormat)]
    bombs += [(b"\xff\x0a", DamagedFile)]
    data = saved(photograph, quality=50, use_container=True)
    (tmp_path / "a.jxl").write_bytes(data)
    with monkeypatch.context() as patch:
        patch.setattr("veridical.photo.loading.Image.open", None)
        for bomb, kind in bombs:
            with pytest.raises(kind):
                veridical.decode(bomb, max_pixels=1_000_000)
        assert claimed_pixels(tmp_path / "a.jxl", 1 << 20) == 270 * 200
        assert claimed_pixels(tmp_path / "a.jxl", 1000) == 0
    assert veridical.open(data).width == 270
    with pytest.raises(DamagedFile, match="cannot be decoded; is the file complete") as caught:
        veridical.open(saved(photograph)[:-200])
    assert "libjxl" not in str(caught.value)
