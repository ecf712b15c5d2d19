"""The command ``design``: prices of several codecs, and what it refuses."""

import json
import re

import numpy as np
import pytest

from veridical.generate.gaussian_map import GaussianMap
from veridical.kept import save_codec
from veridical.limits import circle_distortion, circle_mmse


@pytest.fixture
def circle(tmp_path):
    angle = np.random.default_rng(0).random(3000) * 2 * np.pi
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    np.save(tmp_path / "circle.npy", x)
    np.savetxt(tmp_path / "circle.csv", x, delimiter=",")
    return tmp_path


@pytest.mark.statistical
def test_prices_of_the_circle(run, circle):
    # Oracle: [T] eqs 24, 26 at M = 2, K = 1. The d of 1,500 samples is 1 - r^2 with r a mean of
    # |cos|: its standard deviation is 2 r sqrt(1/2 - 4/pi^2) / sqrt(1500) = 0.0101; four of them, and
    # for the measured distortion on the others four standard errors of its own in addition. This
    # would miss an error of d below 7 %.
    words = ("design", circle / "circle.npy", "--rate", 1, "--perception", "0:0.2:2", "--json")
    code, out, err = run(*words, "--jobs", 1)
    assert code == 0, err
    rows = json.loads(out)
    assert [row["perception"] for row in rows] == [0.0, 0.2]
    for row in rows:
        expected = float(circle_distortion(2, row["perception"], 1))
        assert row["mmse"] == pytest.approx(float(circle_mmse(2)), abs=4 * 0.0101)
        assert abs(row["measured"] - expected) < 4 * (row["standard_error"] + 0.0101)
        assert row["bits"] == pytest.approx(1, abs=0.1)
    assert run(*words, "--jobs", 2)[1] == out


def test_csv_equals_npy_and_bad_input_is_refused(run, circle):
    words = ("--rate", 1, "--csv")
    assert run("design", circle / "circle.csv", *words) == run(
        "design", circle / "circle.npy", *words
    )
    (circle / "bad.npy").write_bytes(b"no array")
    (circle / "bad.csv").write_text("one,two\n")
    for name in ("bad.npy", "bad.csv", "none.npy"):
        code, _, err = run("design", circle / name, "--rate", 1)
        assert code == 2
        assert name in err
    code, out, err = run("design", circle / "circle.npy", "--rate", 1, "--rate", -1, "--csv")
    assert code == 3
    assert "rate_bits must be 0 or more" in err
    assert len(out.splitlines()) == 2


def test_a_saved_codec_codes_samples_in_files(run, circle):
    # Oracle: the codec itself in Python: the same samples, bit by bit; another codec is refused with
    # exit code 2. A header line, and pictures as rows, are read as the plain table.
    words = ("design", circle / "circle.npy", "--rate", 1, "--seeds", 2, "--csv")
    assert run(*words, "--out", circle / "c.npz")[0] == 0
    files = ("--codec", circle / "c.npz")
    assert (
        run("samples", "encode", circle / "circle.npy", circle / "m.vds", *files, "--seed", 5)[0]
        == 0
    )
    code, _, err = run(
        "samples", "decode", circle / "m.vds", circle / "y.npy", *files, "--realism", 0.5
    )
    assert code == 0, err
    import veridical

    codec, x = veridical.load_codec(circle / "c.npz"), np.load(circle / "circle.npy")
    index = codec.encode(x, seed=5)
    expected = codec.decode(index, np.random.default_rng(0), realism=0.5, seed=5)
    np.testing.assert_array_equal(np.load(circle / "y.npy"), expected)
    assert (circle / "m.vds").stat().st_size < 3000 / 8 + 100
    (circle / "named.csv").write_text("x,y\n" + (circle / "circle.csv").read_text())
    np.save(circle / "pictures.npy", x.reshape(-1, 1, 2))
    for name in ("named.csv", "pictures.npy"):
        again = ("samples", "encode", circle / name, circle / "n.vds", *files, "--seed", 5)
        assert run(*again, "--force")[0] == 0
        assert (circle / "n.vds").read_bytes() == (circle / "m.vds").read_bytes()
    assert run(*words, "--seed", 1, "--out", circle / "d.npz")[0] == 0
    code, _, err = run(
        "samples", "decode", circle / "m.vds", circle / "z.npy", "--codec", circle / "d.npz"
    )
    assert (code, "coded by codec" in err) == (2, True)
    before = {p.name: p.read_bytes() for p in circle.iterdir()}
    for word in (
        again,
        ("samples", "decode", circle / "m.vds", circle / "y.npy", *files),
        (*words, "--out", circle / "d.npz"),
    ):
        code, _, err = run(*word)
        assert (code, "--force" in err) == (2, True)
    assert {p.name: p.read_bytes() for p in circle.iterdir()} == before
    assert run(*words, "--rate", 2, "--out", circle / "e.npz")[0] == 2


def test_the_table_fits_80_columns(run, circle, monkeypatch):
    # Oracle: every head is there whole, none cut by rich.
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = run("design", circle / "circle.npy", "--rate", 1, "--perception", 0.123456)
    assert code == 0, err
    for head in ("R", "K", "P", "d", "C", "D price", "D found", "s.e.", "bits"):
        assert any(head in re.split(r"\s{2,}", line.strip()) for line in out.splitlines())
    assert "\u2026" not in out
    assert max(map(len, out.splitlines())) <= 80


def test_work_is_bounded_by_what_a_file_holds(run, circle):
    # Oracle: limits that the message names, each of which an option raises; a gzip is no table.
    import gzip
    import os

    few = ("--rate", 1, "--csv")
    code, _, err = run("design", circle / "circle.npy", *few, "--max-numbers", 5999)
    assert code == 2
    assert "limit" in err
    code, _, err = run("design", circle / "circle.csv", *few, "--max-numbers", 5999)
    assert code == 2
    assert "limit" in err
    (circle / "table.csv.gz").write_bytes(gzip.compress((circle / "circle.csv").read_bytes()))
    assert run("design", circle / "table.csv.gz", *few)[0] == 2
    if os.name == "posix":
        os.mkfifo(circle / "pipe.npy")
        for name in (circle / "pipe.npy", "/dev/zero", "/dev/stdin"):
            assert run("design", name, *few)[0] == 2
            assert run("limits", "discrete", name, "-d", 0.1)[0] == 2
    n = 2049
    np.savez_compressed(circle / "n.npz", source=np.full(n, 1 / n), distortion=1 - np.eye(n))
    code, _, err = run("limits", "discrete", circle / "n.npz", "-d", 0.1)
    assert code == 2
    assert "--max-symbols" in err
    for points in ("0:1:999999999", "0:1:" + "9" * 5000, "0:1:1"):
        code, _, err = run("limits", "bernoulli", "--probability", 0.3, "-d", points)
        assert code == 2
        assert "COUNT" in err


def test_data_that_do_not_fit_are_told_plainly(run, tmp_path):
    # Oracle: one line that begins with "note:", with figures, no name of a class or place in the code; exit code 0.
    x = np.random.default_rng(0).standard_normal((400, 8))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "wide.npy", 5 * x)
    kept = ("--codec", tmp_path / "c.npz")
    words = ("--method", "lattice", "--rate", 8, "--out", tmp_path / "c.npz")
    assert run("design", tmp_path / "x.npy", *words)[0] == 0
    code, _, err = run("samples", "encode", tmp_path / "wide.npy", tmp_path / "m.vds", *kept)
    assert code == 0
    assert err.startswith("note: these vectors do not fit the codec")
    assert "Warning" not in err
    assert ".py" not in err
    assert run("samples", "encode", tmp_path / "x.npy", tmp_path / "n.vds", *kept)[2] == ""


def test_a_map_by_itself_codes_no_samples(run, tmp_path):
    # Oracle: contract: exit code 2 and one line that names what the file holds.
    x = np.random.default_rng(1).standard_normal((50, 2))
    save_codec(GaussianMap.fitted(x, x), tmp_path / "map.npz")
    np.save(tmp_path / "x.npy", x)
    code, _, err = run(
        "samples", "encode", tmp_path / "x.npy", tmp_path / "m.vds", "--codec", tmp_path / "map.npz"
    )
    assert code == 2
    assert "GaussianMap" in err
    assert not (tmp_path / "m.vds").exists()


def test_seeds_and_tables_without_numbers(run, circle):
    # Oracle: exit code 2 and one line that names the setting or the file; neither is a defect nor a warning of numpy.
    codec, message = circle / "c.npz", circle / "m.vds"
    npy = circle / "circle.npy"
    assert run("design", npy, "--rate", 1, "--out", codec)[0] == 0
    assert run("samples", "encode", npy, message, "--codec", codec)[0] == 0
    for words in (
        ("design", npy, "--rate", 1, "--seed", -1),
        ("samples", "encode", npy, circle / "n.vds", "--codec", codec, "--seed", -1),
        ("samples", "decode", message, circle / "y.npy", "--codec", codec, "--rng-seed", -1),
    ):
        code, out, err = run(*words)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert "seed must be a whole number" in err
    for text in ("", "x,y\n", "\n\n", "1,\n", "\0\0"):
        (circle / "none.csv").write_text(text)
        code, out, err = run("design", circle / "none.csv", "--rate", 1)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert "none.csv" in err
