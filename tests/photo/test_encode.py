"""Encoders and the search for a size."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from veridical.errors import InvalidSetting, TargetUnreachable, UnsupportedFormat
from veridical.photo.encode import encode
from veridical.photo.formats import FORMATS as REGISTRY
from veridical.photo.formats import format_of_suffix

FORMATS = ("AVIF", "WEBP", "JPEG")


@pytest.mark.parametrize("name", FORMATS)
def test_search_finds_the_largest_quality_that_fits(photograph, name):
    # Oracle: exhaustive: the file fits, and no quality above the one found fits (sizes grow with
    # quality on this picture, which the test checks by looking).
    target = 5000
    data = encode(photograph, format=name, max_bytes=target)
    assert len(data) <= target
    sizes = [len(encode(photograph, format=name, quality=q)) for q in range(0, 101, 4)]
    below = [s for s in sizes if s <= target]
    assert len(data) >= max(below)


@pytest.mark.parametrize("name", FORMATS)
def test_bits_per_pixel_are_reached_from_below(photograph, name):
    # Oracle: definition; and within 15 % of the target, since qualities are that fine.
    data = encode(photograph, format=name, bpp=0.8)
    assert 0.85 * 0.8 <= 8 * len(data) / (256 * 192) <= 0.8


@pytest.mark.parametrize("name", FORMATS)
def test_unreachable_target_names_the_least(photograph, name):
    with pytest.raises(TargetUnreachable, match="at least"):
        encode(photograph, format=name, max_bytes=50)


@given(width=st.integers(1, 40), height=st.integers(1, 40), name=st.sampled_from(FORMATS))
def test_all_sizes_come_back(width, height, name):
    # Oracle: size of the input; exact.
    pixels = np.random.default_rng(width * 41 + height).integers(
        0, 256, (height, width, 3), np.uint8
    )
    data = encode(Image.fromarray(pixels), format=name, quality=50)
    assert Image.open(io.BytesIO(data)).size == (width, height)


def test_paths_and_bytes_are_pictures_too(photograph, tmp_path):
    # Oracle: the same bytes for the same picture.
    path = tmp_path / "p.png"
    photograph.save(path)
    expected = encode(photograph, quality=20)
    assert encode(path, quality=20) == encode(path.read_bytes(), quality=20) == expected


@pytest.mark.parametrize(
    "settings",
    [
        {"quality": 101},
        {"quality": -1},
        {"quality": True},
        {"bpp": 0},
        {"bpp": -1.0},
        {"max_bytes": 0},
        {"quality": 3, "bpp": 1.0},
        {"bpp": 1.0, "max_bytes": 10},
        {"quality": 2.5},
        {"seed": 3},
        {"colour": "blue"},
    ],
)
def test_settings_outside_their_domain(photograph, settings):
    with pytest.raises(InvalidSetting):
        encode(photograph, **settings)


@pytest.mark.parametrize("name", FORMATS)
def test_a_large_target_gives_the_highest_quality(photograph, name):
    # Oracle: the file at quality 100; exact.
    assert encode(photograph, format=name, max_bytes=10**9) == encode(
        photograph, format=name, quality=100
    )


def test_too_long_a_side_is_said():
    with pytest.raises(UnsupportedFormat, match="16383"):
        encode(Image.new("L", (16384, 1)), format="WEBP")


@pytest.mark.parametrize("wrong", ["cut", "foreign", "other size"])
def test_what_does_not_open_again_is_not_handed_out(monkeypatch, photograph, wrong):
    # Oracle: an encoder that writes half a file, another kind of file, or another picture.
    class Careless(type(REGISTRY["WEBP"])):
        def encode(self, image, *rest):
            if wrong == "other size":
                return super().encode(image.resize((8, 8)), *rest)
            data = super().encode(image, *rest)
            return data[: len(data) // 2] if wrong == "cut" else b"GIF" + data

    whole = REGISTRY["WEBP"]
    fields = {name: getattr(whole, name) for name in whole.__dataclass_fields__}
    monkeypatch.setitem(REGISTRY, "WEBP", Careless(**fields))
    with pytest.raises(UnsupportedFormat, match="does not open again"):
        encode(photograph, format="WEBP", quality=30)


def test_suffixes():
    assert format_of_suffix(".JPG").name == "JPEG"
    with pytest.raises(UnsupportedFormat, match="avif"):
        format_of_suffix(".png")


def test_the_input_picture_is_not_changed(photograph):
    before = dict(photograph.info), photograph.tobytes()
    encode(photograph, format="JPEG", quality=10)
    assert (dict(photograph.info), photograph.tobytes()) == before
