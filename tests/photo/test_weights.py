"""Weights: found, whole, and the ones that their card describes."""

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from veridical.errors import BadWeights, InvalidSetting
from veridical.photo.options import DecodeOptions
from veridical.photo.restoration import load_restoration
from veridical.photo.weights import (
    SHIPPED,
    load_network,
    network_path,
    provider,
    read_card,
    write_weights,
)


@pytest.fixture
def copy(tmp_path):
    for name in ("jpeg", "jpeg-generator", "jpeg-price", "jpeg-cells"):
        for suffix in (".onnx", ".json"):
            shutil.copy(SHIPPED / f"{name}{suffix}", tmp_path)
    return tmp_path / "jpeg.onnx"


def loaded(path):
    model = load_restoration("JPEG", DecodeOptions(weights=path, threads=1))
    return model, model.generator


def rewritten(path, change):
    """The file with its model changed, and a card that describes it."""
    model = onnx.load(path)
    change(model)
    write_weights(path, model.SerializeToString(), {})


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.onnx")), ids=lambda p: p.stem)
def test_shipped_weights_are_whole_and_small(path):
    # Oracle: the card's digest, 16 MB a file, 60 MB in all.
    card = json.loads(path.with_suffix(".json").read_text())
    assert hashlib.sha256(path.read_bytes()).hexdigest() == card["sha256"]
    assert path.stat().st_size <= 16_000_000
    assert {"command", "figures"} <= set(card)
    assert sum(p.stat().st_size for p in SHIPPED.iterdir()) <= 60_000_000


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.onnx")), ids=lambda p: p.stem)
def test_shipped_networks_hold_no_denormal_numbers(path):
    # Oracle: IEEE 754. A product with one takes some processors thirty times as long, which was nine tenths of a generator's time.
    graph = onnx.load(path).graph
    constants = [a.t for n in graph.node if n.op_type == "Constant" for a in n.attribute]
    for tensor in (*graph.initializer, *constants):
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32:
            assert not np.any((values != 0) & (np.abs(values) < np.finfo(np.float32).tiny))


def test_a_copy_with_its_card_is_the_same(copy):
    shipped = load_restoration("JPEG", DecodeOptions())
    for place in (copy, copy.parent):
        model, generator = loaded(place)
        assert model.estimator.digest == shipped.estimator.digest
        assert generator.digest == shipped.generator.digest


def test_weights_that_were_replaced_are_read_anew(copy, with_header):
    # Oracle: the scale that was written into the metadata.
    before, _ = loaded(copy)
    header = before.estimator.header | {"scale": [[0.123] * 7] * 2}
    write_weights(copy, with_header(copy.read_bytes(), header), {})
    again = load_restoration("JPEG", DecodeOptions(weights=copy))
    assert np.all(again.scale.with_quantizer == 0.123)


def test_a_generator_of_another_estimator(copy, with_header):
    header = load_network(copy, kind="estimator").header | {"more": 0.5}
    write_weights(copy, with_header(copy.read_bytes(), header), {})
    with pytest.raises(BadWeights, match="another estimator"):
        loaded(copy)


def test_weights_without_a_generator(copy):
    copy.with_name("jpeg-generator.onnx").unlink()
    model = load_restoration("JPEG", DecodeOptions(weights=copy))
    assert not network_path(copy, "generator").exists()
    with pytest.raises(InvalidSetting, match="realism 0"):
        _ = model.generator


def test_prices_belong_to_an_estimator_and_may_be_missing(copy, coded, with_header):
    # Oracle: contract: no price without its file; a file that was measured for another estimator is refused.
    from veridical import open as open_file

    assert open_file(coded["JPEG"], weights=copy).info.price is not None
    path = copy.with_name("jpeg-price.onnx")
    other = load_network(path, kind="price").header | {"estimator": "0"}
    write_weights(path, with_header(path.read_bytes(), other), {})
    with pytest.raises(BadWeights, match="another estimator"):
        _ = open_file(coded["JPEG"], weights=copy).info
    path.unlink()
    assert open_file(coded["JPEG"], weights=copy).info.price is None


def test_the_network_of_cells_belongs_to_an_estimator_and_may_be_missing(copy, coded, with_header):
    # Oracle: contract: without its file an estimate is projected onto the cells; one that was fitted to another
    # estimator is refused.
    from veridical import decode

    shipped = np.asarray(decode(coded["JPEG"], weights=copy, realism=0)).astype(int)
    path = copy.with_name("jpeg-cells.onnx")
    other = load_network(path, kind="cells").header | {"estimator": "0"}
    write_weights(path, with_header(path.read_bytes(), other), {})
    with pytest.raises(BadWeights, match="another estimator"):
        decode(coded["JPEG"], weights=copy, realism=0)
    path.unlink()
    without = np.asarray(decode(coded["JPEG"], weights=copy, realism=0)).astype(int)
    assert 0 < np.abs(without - shipped).max() < 40


def test_weights_of_another_format(copy):
    with pytest.raises(BadWeights, match="JPEG files"):
        load_restoration("WEBP", DecodeOptions(weights=copy))


def test_one_flipped_bit_is_noticed(copy):
    data = bytearray(copy.read_bytes())
    data[len(data) // 2] ^= 1
    copy.write_bytes(data)
    with pytest.raises(BadWeights, match="not the file that its card describes"):
        loaded(copy)


def test_a_missing_file_or_card(copy, tmp_path):
    with pytest.raises(BadWeights, match="there are no weights for JPEG"):
        loaded(tmp_path / "none.onnx")
    copy.with_suffix(".json").unlink()
    with pytest.raises(BadWeights, match="cannot read"):
        loaded(copy)


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b'{"a": 1}'])
def test_rubbish_with_a_matching_digest(copy, content):
    write_weights(copy, content, {})
    with pytest.raises(BadWeights, match="damaged"):
        loaded(copy)


def test_nothing_is_printed_of_damaged_weights(copy, capfd):
    # Oracle: ONNX Runtime tries a graph whose names are not UTF-8 twice and prints that, which would get into a pipe.
    name, other = b"/Mul_output_0", b"/\x94ul_output_0"
    data = copy.read_bytes().replace(name, other).replace(other, name, 1)
    write_weights(copy, data, {})
    with pytest.raises(BadWeights, match="damaged"):
        loaded(copy)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("card", ["", "[]", "{}", "null"])
def test_a_damaged_card(copy, card):
    copy.with_suffix(".json").write_text(card)
    with pytest.raises(BadWeights, match="damaged"):
        loaded(copy)


def nan(model):
    tensor = next(t for t in model.graph.initializer if "head" in t.name)
    values = numpy_helper.to_array(tensor).copy()
    values.flat[0] = np.nan
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def missing(model):
    del model.graph.initializer[0]


def misshapen(model):
    tensor = next(t for t in model.graph.initializer if "head" in t.name and len(t.dims) == 4)
    values = numpy_helper.to_array(tensor)[:, :-1]
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), tensor.name))


@pytest.mark.parametrize("change", [nan, missing, misshapen])
def test_tensors_that_are_not_numbers_or_not_there(copy, change):
    rewritten(copy, change)
    with pytest.raises(BadWeights):
        loaded(copy)


@pytest.mark.parametrize(
    "fields",
    [
        {"scale": [[1.0], [2.0]]},
        {"scale": [[float("nan")] * 7] * 2},
        {"features": ["phase_of_the_moon"]},
        {"layout": 99},
        {"kind": "flow"},
    ],
)
def test_metadata_that_does_not_fit(copy, fields, coded, with_header):
    from veridical import decode

    header = load_network(copy, kind="estimator").header | fields
    write_weights(copy, with_header(copy.read_bytes(), header), {})
    with pytest.raises(BadWeights, match=re.escape(str(copy))):
        decode(coded["JPEG"], weights=copy)


@pytest.mark.parametrize("name", ["abacus", "mps", "", "cuda:99", "cpu:1", "cuda:x"])
def test_unknown_devices(name):
    with pytest.raises(InvalidSetting):
        provider(name)


class Stopped(BaseException):
    """Stands for the end of the process."""


def test_weights_and_card_are_both_old_or_both_new(tmp_path, monkeypatch):
    # Oracle: what was written before, or what a write that was not stopped leaves; stopped at each
    # renaming in turn, first where nothing stands, then over other weights.
    path = tmp_path / "w.onnx"
    renamed = Path.replace
    left = [0]

    def replace(self, target):
        if left[0] == 0:
            raise Stopped
        left[0] -= 1
        return renamed(self, target)

    def found():
        if not path.exists():
            return None
        data = path.read_bytes()
        return float(data), read_card(path, hashlib.sha256(data).hexdigest())["maker"]

    monkeypatch.setattr(Path, "replace", replace)
    for old, new in ((None, 1.0), (1.0, 2.0)):
        seen = set()
        for stop in range(10):
            left[0] = stop
            try:
                write_weights(path, str(new).encode(), {"maker": f"m{new}"})
                break
            except Stopped:
                seen.add(found())
                assert found() in (None if old is None else (old, f"m{old}"), (new, f"m{new}"))
        assert stop == (2 if old is None else 3)
        assert found() == (new, f"m{new}")
        assert len(list(tmp_path.iterdir())) == 2
    assert (2.0, "m2.0") in seen  # between the two renamings the waiting card counts


def test_a_network_that_cannot_be_computed_is_bad_weights(copy):
    # Oracle: ONNX Runtime refuses inputs of another rank; what it says is inside the sentence.
    network = load_network(copy, kind="estimator", device="cpu", threads=1)
    name = network.session.get_inputs()[0].name
    with pytest.raises(BadWeights, match="damaged"):
        network(**{name: np.zeros((1, 2), np.float32)})


@pytest.mark.parametrize("place", ["beside.bin", "../beside.bin", "ABSOLUTE", os.devnull])
def test_weights_read_no_other_file(copy, monkeypatch, place):
    # Oracle: numbers that ONNX would take from a file that the network names: refused, wherever it lies.
    inner = copy.parent / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    for folder in (inner, copy.parent):
        (folder / "beside.bin").write_bytes(bytes(1 << 20))
    named = place.replace("ABSOLUTE", str(copy.parent / "beside.bin"))

    def outside(model):
        tensor = next(t for t in model.graph.initializer if len(t.raw_data) > 1000)
        size = str(len(tensor.raw_data))
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", named), ("offset", "0"), ("length", size)):
            tensor.external_data.add(key=key, value=value)

    rewritten(copy, outside)
    with pytest.raises(BadWeights):
        load_network(copy, kind="estimator", device="cpu", threads=1)
