"""The commands ``limits`` on their own application: numbers, formats, errors."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from veridical.cli.limits import limits_app
from veridical.errors import InvalidSetting, MissingFile


def run(*arguments):
    result = CliRunner().invoke(limits_app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_bernoulli_json():
    # Oracle: [BM] eq. 6 by the library.
    out = run("bernoulli", "--p", "0.1", "--distortion", "0.05", "--perception", "0", "--json")
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


def test_errors_are_typed(tmp_path):
    with pytest.raises(MissingFile):
        run("discrete", str(tmp_path / "none.npz"), "-d", "0.1")
    (tmp_path / "bad.npz").write_bytes(b"no archive")
    with pytest.raises(InvalidSetting):
        run("discrete", str(tmp_path / "bad.npz"), "-d", "0.1")
    with pytest.raises(InvalidSetting):
        run("bernoulli", "--p", "0.1", "-d", "zero")
    with pytest.raises(InvalidSetting):
        run("bernoulli", "--p", "0.1")
