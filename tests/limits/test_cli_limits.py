"""The commands ``limits`` on their own application: numbers, formats, errors."""

import json
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from veridical.cli.limits import limits_app
from veridical.errors import DamagedFile, InvalidSetting, MissingFile, NotConverged
from veridical.limits import bernoulli_rate_bits


def run(*arguments):
    result = CliRunner().invoke(limits_app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_bernoulli_json():
    # Oracle: [BM] eq. 6 by the library.
    out = run(
        "bernoulli", "--probability", "0.1", "--distortion", "0.05", "--perception", "0", "--json"
    )
    (row,) = json.loads(out)
    assert row["rate_bits"] == pytest.approx(0.22306, abs=5e-6)


def test_ranges_and_csv():
    out = run("gaussian", "--rate", "0:2:5", "--common", "0", "--common", "inf", "--csv")
    lines = out.splitlines()
    assert lines[0].startswith("rate_bits,common_bits")
    assert len(lines) == 11


def test_tables_print():
    assert "mmse" in run("circle", "--outputs", "2", "--seeds", "inf")
    table = run("vector-gaussian", "--eigenvalues", "4,1,.25,.05", "--rate", "1")
    assert "4.6" in table


@pytest.mark.parametrize("divergence", ["tv", "w2"])
def test_discrete_from_a_file(tmp_path, divergence):
    d = 1.0 - np.eye(3)
    np.savez(tmp_path / "s.npz", source=[0.5, 0.3, 0.2], distortion=d, cost=d)
    out = run(
        "discrete", str(tmp_path / "s.npz"), "--divergence", divergence, "--distortion", "0.2",
        "--perception", "0.05", "--json",
    )  # fmt: skip
    (row,) = json.loads(out)
    assert row["upper_bits"] - row["lower_bits"] <= 1e-6
    assert row["certified"]


def test_discrete_from_csv_equals_npz(tmp_path):
    (tmp_path / "s.csv").write_text("0.9,0,1\n0.1,1,0\n")
    (row,) = json.loads(run("discrete", str(tmp_path / "s.csv"), "-d", "0.05", "-p", "0", "--json"))
    assert row["rate_bits"] == pytest.approx(0.22306, abs=1e-5)


def test_a_surface_brackets_the_closed_form(tmp_path):
    # Oracle: [BM] eq. 6 at each printed point; the gap is what was asked for.
    (tmp_path / "s.csv").write_text("0.9,0,1\n0.1,1,0\n")
    rows = json.loads(
        run(
            "surface", str(tmp_path / "s.csv"), "-d", "0.02:0.2:5", "-p", "0:0.1:4",
            "--tolerance", "0.01", "--json",
        )
    )  # fmt: skip
    assert len(rows) == 20
    for row in rows:
        exact = float(bernoulli_rate_bits(0.1, row["distortion"], row["perception"]))
        assert row["lower_bits"] - 1e-9 <= exact <= row["upper_bits"] + 1e-9
        assert row["gap_bits"] <= 0.01


def test_common_randomness_of_two_points(tmp_path):
    # Oracle: without rate and without perception's slack the price is twice the variance.
    np.savez(tmp_path / "s.npz", points=[-1.0, 1.0], source=[0.5, 0.5])
    (row,) = json.loads(run("common", str(tmp_path / "s.npz"), "--rate", "0", "--json"))
    assert row["upper_distortion"] == pytest.approx(2.0, abs=1e-9)
    assert row["lower_distortion"] <= row["upper_distortion"]


def test_distortion_at_a_rate_is_the_inverse(tmp_path):
    # Oracle: [BM] eq. 6 by the library at the distortion that is printed; 1e-5 bits.
    (tmp_path / "s.csv").write_text("0.9,0,1\n0.1,1,0\n")
    arguments = ("distortion-at-rate", str(tmp_path / "s.csv"), "--rate", "0.22306")
    (row,) = json.loads(run(*arguments, "--perception", "0", "--json"))
    assert row["certified"]
    assert float(bernoulli_rate_bits(0.1, row["distortion"], 0.0)) == pytest.approx(
        0.22306, abs=1e-5
    )


def test_a_bracket_that_is_too_wide_is_printed_and_refused(tmp_path):
    # Oracle: the published bracket of this source, .0700 to .0716, is wider than 1 % of the variance .09.
    np.savez(tmp_path / "s.npz", points=[0.0, 1.0], source=[0.9, 0.1])
    result = CliRunner().invoke(
        limits_app,
        ["common", str(tmp_path / "s.npz"), "--rate", ".2", "--common", ".1", "--tolerance", ".01", "--json"],
    )  # fmt: skip
    assert isinstance(result.exception, NotConverged)
    (row,) = json.loads(result.stdout)
    assert not row["certified"]
    assert row["lower_distortion"] == pytest.approx(0.0700, abs=2e-4)


def test_errors_are_typed(tmp_path):
    with pytest.raises(MissingFile):
        run("discrete", str(tmp_path / "none.npz"), "-d", "0.1")
    (tmp_path / "bad.npz").write_bytes(b"no archive")
    with pytest.raises(DamagedFile):
        run("discrete", str(tmp_path / "bad.npz"), "-d", "0.1")
    with pytest.raises(InvalidSetting):
        run("bernoulli", "--probability", "0.1", "-d", "zero")
    with pytest.raises(InvalidSetting):
        run("bernoulli", "--probability", "0.1")
    (tmp_path / "s.csv").write_text("0.9,0,1\n0.1,1,0\n")
    with pytest.raises(InvalidSetting, match="two ranges"):
        run("surface", str(tmp_path / "s.csv"), "-d", "0.1", "-p", "0:0.1:4")
    np.savez(tmp_path / "s.npz", source=[0.5, 0.5])
    with pytest.raises(InvalidSetting, match="points"):
        run("common", str(tmp_path / "s.npz"), "--rate", "1")


def test_sizes_are_read_before_the_arrays(tmp_path):
    # 5,000 symbols in a few kilobytes of zeros: refused by the header.
    np.savez_compressed(tmp_path / "n.npz", source=np.zeros(5000), distortion=np.zeros((5000, 1)))
    with pytest.raises(InvalidSetting, match="limit"):
        run("discrete", str(tmp_path / "n.npz"), "-d", "0.1")
    with pytest.raises(InvalidSetting, match="COUNT"):
        run("gaussian", "--rate", "0:1:999999999")
    (tmp_path / "c.csv").write_text("0.5,-1\n0.5,1\n")
    (row,) = json.loads(run("common", str(tmp_path / "c.csv"), "--rate", "0", "--json"))
    assert row["upper_distortion"] == pytest.approx(2.0, abs=1e-9)


EXAMPLES = {
    "bernoulli": "--probability .1234567 -d .0512345 -p .02",
    "circle": "-m 3 -k 2 -p .1234567",
    "gaussian": "-r 1.234567 --common inf -p .001234567",
    "gaussian-rate": "-d .1234567 -p .02",
    "gaussian-kl": "-r 1.234567 -p .01",
    "circle-block": "-r 1 --common inf -p .1234567",
    "vector-gaussian": "--eigenvalues 4,1,.25,.05 -r 1.234567 --common 8",
    "vector-gaussian-kl": "--eigenvalues 4,.25 -r 1.234567 -p .01",
    "discrete": "s.npz -d .2345678 -p .02",
    "distortion-at-rate": "s.npz -r .3456789 -p .02",
    "surface": "s.npz -d .2345678:.4:2 -p .02:.1:2 --tolerance .1",
    "common": "points.npz -r .2345678 --common 1 -p .02",
}


@pytest.mark.parametrize(
    "name",
    [c.name or c.callback.__name__.replace("_", "-") for c in limits_app.registered_commands],
)
def test_no_command_cuts_a_number(name, tmp_path, monkeypatch, capsys):
    # Oracle: the numbers of the CSV, to seven digits; a terminal's lines have at most 80 columns, a pipe's are whole.
    d = np.array([[0.0, 1.234567, 1.0], [1.0, 0.0, 1.0], [1.0, 1.345678, 0.0]])
    np.savez(tmp_path / "s.npz", source=[0.5, 0.3, 0.2], distortion=d)
    np.savez(tmp_path / "points.npz", points=[-1.234567, 0.0, 1.0], source=[0.5, 0.3, 0.2])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    arguments = [name, *EXAMPLES[name].split()]
    head, *rows = [line.split(",") for line in run(*arguments, "--csv").splitlines()]
    numbers = sorted(x if x == "True" else f"{float(x):.7g}" for row in rows for x in row)
    piped = run(*arguments)
    assert len(piped.splitlines()) == 1 + len(rows)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    limits_app(arguments, standalone_mode=False)
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    for text in (piped, shown):
        cells = [x for x in text.split() if x[0] in "0123456789-" or x in {"inf", "True"}]
        assert sorted(cells) == numbers
        assert all(word in text for word in head[-1].split("_"))
