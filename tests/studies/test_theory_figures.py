"""The theory figures: what must be seen in each holds in its record, and the pictures appear."""

import contextlib
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veridical.errors import DamagedFile, InvalidSetting, MissingFile
from veridical.studies import theory
from veridical.studies.catalogue import STUDIES, redraw_study, run_study
from veridical.studies.records import Record, load_record, save_record


def test_records_show_what_the_papers_say():
    # Oracle: [BM] Theorem 1 (convex; 1e-12), Theorem 2 (1e-12), [T] section II numbers (5e-7).
    assert theory.bm4().facts["least_second_difference"] >= -1e-12
    assert theory.bm3().facts["distance_from_shannon_before_d1"] <= 1e-9
    assert theory.bm5().facts["least_slack_bits"] >= -1e-12
    np.testing.assert_allclose(theory.t6().facts["at_zero"][::2], [1.189431, 0.726760], atol=5e-7)
    t8 = theory.t8()
    assert t8.facts["information_always_better"]
    # 49 simulated points at fixed seeds against [T] eq. 26: within 4 standard errors each; this
    # would miss an error of D below about 1 %.
    for record in (theory.t6(), t8):
        assert record.facts["largest_deviation_in_standard_errors"] < 4
    assert all(price >= 1 for price in theory.bm4().facts["price_of_equal_laws"])


@pytest.mark.parametrize("name", sorted(STUDIES))
def test_each_study_writes_record_and_pictures(name, studied):
    # Oracle: contract: a record that says whose it is, and every picture in two formats.
    paths = studied(name)
    assert [path.suffix for path in paths] == [".npz"] + [".png", ".pdf"] * (len(paths) // 2)
    assert len(paths) >= 3
    assert all(path.stat().st_size > 1000 for path in paths)
    assert load_record(paths[0]).study == name


def test_a_saved_record_is_drawn_again_without_computing(tmp_path):
    # Oracle: the same record gives the same bytes; where no record is, the error says so.
    with pytest.raises(MissingFile, match="run the study first"):
        redraw_study("bm5", tmp_path)
    _, first, _ = run_study("bm5", tmp_path)
    before = first.read_bytes()
    first.unlink()
    assert redraw_study("bm5", tmp_path)[0].read_bytes() == before
    with pytest.raises(InvalidSetting, match="no preset"):
        run_study("bm5", tmp_path, preset="vast")


def test_bad_names_and_files_are_refused(tmp_path):
    with pytest.raises(InvalidSetting, match="bm3"):
        run_study("bm99", tmp_path)
    with pytest.raises(MissingFile):
        load_record(tmp_path / "none.npz")
    (tmp_path / "bad.npz").write_bytes(b"x")
    with pytest.raises(DamagedFile):
        load_record(tmp_path / "bad.npz")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    record = Record("x", {"a": 1}, {"y": np.arange(9.0)})
    return save_record(record, tmp_path_factory.mktemp("record"))


@given(data=st.data())
def test_damaged_records_are_refused_or_read(saved, data):
    # Oracle: nothing but DamagedFile comes out of a file with some bytes changed or its end cut off.
    content = bytearray(saved.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    keep = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    damaged = saved.parent / "damaged.npz"
    damaged.write_bytes(bytes(content[:keep]))
    with contextlib.suppress(DamagedFile):
        assert load_record(damaged).arrays is not None


def test_a_header_that_is_no_python_is_refused(tmp_path):
    # Oracle: DamagedFile; numpy's own reader raises a TokenError on this header.
    header = b"{'descr': '<f8', 'shape': (\x00\n"
    array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(tmp_path / "bad.npz", "w") as archive:
        archive.writestr("y.npy", array)
    with pytest.raises(DamagedFile):
        load_record(tmp_path / "bad.npz")
