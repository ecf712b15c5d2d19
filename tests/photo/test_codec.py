"""Photographs through the one codec, and a format in one file."""

import hashlib
import io

import numpy as np
import pytest
from PIL import Image

import veridical
from veridical.errors import BadWeights, InvalidSetting
from veridical.photo.codec import photo_codec
from veridical.photo.formats import FORMATS, ConventionalFormat, register
from veridical.photo.formats.conventional import CodedPayload
from veridical.photo.options import DecodeOptions, Target


@pytest.mark.parametrize("name", ["AVIF", "WEBP", "JPEG", "VDC"])
def test_codec_and_decode_give_the_same_picture(photograph, name):
    # Oracle: veridical.decode of the same bytes; equal after rounding to levels.
    codec = photo_codec(name, Target(quality=30), decoding=DecodeOptions())
    x = np.asarray(photograph, np.float32).transpose(2, 0, 1) / 255
    index = codec.encode(x)
    data = codec.coder.pack(index)
    for a in (0.0, 0.6, 1.0):
        found = codec.decode(codec.coder.unpack(data), 5, realism=a)
        levels = np.clip(np.rint(found * 255), 0, 255).astype(np.uint8).transpose(1, 2, 0)
        assert np.array_equal(levels, np.asarray(veridical.decode(data, realism=a, seed=5)))
    p = codec.decoder.price(index).perception_at(0.5)
    half = codec.decode(index, 5, perception=p)
    assert np.allclose(half, codec.decode(index, 5, realism=0.5), atol=1e-6)


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, True])
def test_seeds_are_whole_numbers_of_64_bits(photograph, seed):
    # Oracle: the typed error, by the codec and by the options alike.
    codec = photo_codec("JPEG", Target(quality=30))
    x = np.asarray(photograph, np.float32).transpose(2, 0, 1) / 255
    with pytest.raises(InvalidSetting):
        codec.decode(codec.encode(x), seed, realism=1.0)
    with pytest.raises(InvalidSetting):
        DecodeOptions(seed=seed)


def test_settings_have_their_place():
    with pytest.raises(InvalidSetting):
        photo_codec("AVIF", decoding=DecodeOptions(realism=0.5))


def test_a_format_of_ones_own(photograph, tmp_path, monkeypatch, with_header):
    # Oracle: contract: one registration, and files of the format are recognised, encoded to a size, priced
    # and decoded with weights of their own; without such weights a typed error.
    def payload(data):
        return CodedPayload(len(data), quantizer=data[6] / 255)

    wrapped = ConventionalFormat(
        name="WRAP",
        suffixes=(".wrap",),
        read_payload=payload,
        signature=lambda head: head[:4] == b"\xff\x4f\xff\x51" or head[4:8] == b"jP  ",
        pillow_names=("JPEG2000",),
        prepare=lambda image, notice: (image, {"quality_mode": "rates", "quality_layers": [40]}),
    )
    monkeypatch.setitem(FORMATS, "WRAP", wrapped)  # taken away again after the test
    register(wrapped)
    data = veridical.encode(photograph, format="wrap", quality=30)
    image = veridical.open(data)
    assert np.array_equal(image.pixels, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    assert image.format == "WRAP"
    with pytest.raises(BadWeights, match="no weights for WRAP"):
        veridical.decode(data)
    # Weights of its own: here WebP's, under the new name.
    from veridical.photo.weights import SHIPPED, load_network, write_weights

    header = load_network(SHIPPED / "webp.onnx", kind="estimator").header | {"format": "WRAP"}
    source = (SHIPPED / "webp.onnx").read_bytes()
    write_weights(tmp_path / "wrap.onnx", with_header(source, header), {})
    digest = hashlib.sha256((tmp_path / "wrap.onnx").read_bytes()).hexdigest()
    prices = load_network(SHIPPED / "webp-price.onnx", kind="price").header
    source = (SHIPPED / "webp-price.onnx").read_bytes()
    own = with_header(source, prices | {"format": "WRAP", "estimator": digest})
    write_weights(tmp_path / "wrap-price.onnx", own, {})
    out = veridical.decode(data, weights=tmp_path)
    assert out.size == photograph.size
    assert veridical.info(data, weights=tmp_path).price.mmse > 0
    assert veridical.open(veridical.encode(photograph, format="JPEG")).format == "JPEG"
