"""Studies of digits: cuts, coded bits, the knob between two routes, and records of the quick preset."""

from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from veridical.bitstream import FrequencyTables
from veridical.errors import MissingFile
from veridical.studies.catalogue import redraw_study
from veridical.studies.mnist import constructive, pairs
from veridical.studies.mnist.measurements import MEASURES, measurements
from veridical.studies.mnist.pairs import coded_bits
from veridical.studies.records import Record, Run, load_record


def test_the_lower_hull_of_points():
    # Oracle: by hand: (0, 10), (2, 4), (4, 2) are corners, (1, 9), (3, 6), (5, 3) lie above.
    P = np.array([-1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 9.0])
    perception, distortion = np.array([1, 3, 0, 4, 2, 5.0]), np.array([9, 6, 10, 2, 4, 3.0])
    found = pairs.least_distortion(perception, distortion, P)
    np.testing.assert_allclose(found, [np.nan, 10, 7, 4, 3, 2, 2], atol=1e-12)


def test_distortion_along_the_knob():
    # Oracle: by hand; what the knob does not reach is not a number.
    P, D = np.array([4.0, np.nan, 2.0, 2.5]), np.array([1.0, 1.5, 2.0, 3.0])
    assert constructive.distortion_at(P, D, 3.0) == 1.5
    assert constructive.distortion_at(P, D, 9.0) == 1.0
    assert np.isnan(constructive.distortion_at(P, D, 1.0))


def test_bits_are_those_of_the_coder():
    # Oracle: entropies known in advance. Even and independent numbers cost dim log2 L, and numbers
    # that repeat the one before cost that of the first alone; within 3 % and the 8 bytes of a head.
    rng = np.random.default_rng(0)
    train, test = (rng.integers(0, 4, (n, 3)).astype(np.uint8) for n in (20_000, 5000))
    head = 8 * 12 / 5000
    assert abs(coded_bits(train, test, 4) - 6.0) < 0.03 * 6 + head
    same = [np.repeat(part[:, :1], 3, axis=1) for part in (train, test)]
    assert abs(coded_bits(same[0], same[1], 4) - 2.0) < 0.03 * 2 + head
    # The chain of tables alone serves where there are too many indices for one table.
    wide = [
        np.repeat(rng.integers(0, 16, (n, 1)), 4, axis=1).astype(np.uint8) for n in (20_000, 5000)
    ]
    assert abs(coded_bits(wide[0], wide[1], 16) - 4.0) < 0.03 * 4 + head
    assert FrequencyTables.from_law([1, 1]).frequencies.shape == (1, 2)


def test_a_preset_of_mnist_without_files_says_so(tmp_path):
    # Oracle: the typed error, which names the preset that needs none.
    run = Run(work=tmp_path / "work" / "bm6-cpu", preset="cpu", data=tmp_path)
    with pytest.raises(MissingFile, match="--preset quick"):
        pairs.bm6(run)


def test_the_grid_shows_the_pairs_of_three_curves():
    # Oracle: by hand. Rates 1 and 2 with pairs (lambda, P) = (0, 9), (1, 6), (2, 5) and (0, 7), (1, 3):
    # Shannon's curve has lambda = 0; the least P of both rates is 5, halfway to 9 is 7. Each pair's
    # reconstructions are filled with its number.
    rows = [(1, 0, 9), (1, 1, 6), (1, 2, 5), (2, 0, 7), (2, 1, 3)]
    table = np.zeros((5, len(pairs.COLUMNS)))
    for k, name in enumerate(("rate_bits", "weight", pairs.PERCEPTION)):
        table[:, pairs.COLUMNS.index(name)] = [row[k] for row in rows]
    labels = np.arange(20)[::-1] % 10
    test = (labels[:, None] / 10 * np.ones(4)).astype(np.float32)
    outputs = [Record("pair", {}, {"reconstruction": np.full((20, 4), k)}) for k in range(5)]
    used = SimpleNamespace(
        digits=SimpleNamespace(test=test, test_labels=labels),
        pairs=lambda kind: [(None, output) for output in outputs],
    )
    facts, grid = pairs.digit_grid(used, "squared", table)
    assert facts["rates"] == [1, 2]
    assert facts["weights"] == [[0, 0], [1, 0], [2, 0]]
    assert facts["perception"] == [[9, 7], [6, 7], [5, 7]]
    assert grid.shape == (4, 2, 10, 4)
    assert np.array_equal(grid[0, 1, :, 0], np.round(np.arange(10) / 10 * 255))
    assert grid[1:, :, 0, 0].tolist() == [[0, 3], [1, 3], [2, 3]]


@pytest.mark.statistical
def test_both_routes_on_small_digits(studied):
    # Oracles: [T] 42: D at realism a is d + a^2 C, where the estimate is a conditional mean; this one
    # is a small network trained for 80 steps, so that only 10 % is asked (4 standard errors of 500
    # digits are 8 %). A code's own numbers: no more bits than dim log2 L; with one codebook and
    # training digits drawn from the cell, C is d within 10 %.
    path = studied("constructive-mnist")[0]
    work, record = path.parent / "work", load_record(path)
    run = Run(work=work / "constructive-mnist-quick", preset="quick")
    codes, curves = record.arrays["codes"], record.arrays["curves"]
    for row, code in zip(curves, codes, strict=True):
        named = dict(zip(constructive.CODE_COLUMNS, code, strict=True))
        assert named["coded_bits"] < named["rate_bits"] + 0.3
        for k, a in enumerate(record.arrays["realism"]):
            predicted = named["mmse"] + a**2 * named["cost"]
            assert abs(row[k, 0, 0] - predicted) < 0.1 * predicted
    assert record.facts["missing"] == []
    assert len(MEASURES) == curves.shape[2]
    first = dict(zip(record.facts["codebook_columns"], record.arrays["codebooks"][0], strict=True))
    assert abs(first["cost"] - first["mmse"]) < 0.1 * first["mmse"]
    # The codebook's curve is of the coded half of the test digits, its row of all: again within 10 %.
    for a, point in zip(record.arrays["realism"], record.arrays["codebook_curves"][0], strict=True):
        predicted = first["mmse"] + a**2 * first["cost"]
        assert abs(point[0, 0] - predicted) < 0.1 * predicted
    # Every trained pair is compared with a codebook of its rate or below it: one at each of two rates.
    compared = record.facts["codebook_comparison"]["frechet"]
    assert {rate: (row["codebook_bits"], row["of"]) for rate, row in compared.items()} == {
        "2": (2, 1),
        "8": (8, 1),
    }
    # Nothing is trained again: another study of the preset finds its pairs and estimators.
    reports = []
    again = pairs.bm6(
        Run(work=work / "bm6-quick", preset="quick", progress=lambda *a: reports.append(a))
    )
    assert reports == []
    assert np.array_equal(again.arrays["table"], record.arrays["pairs"])
    # What is kept belongs to its pictures: under one name others are measured anew, and the same are not.
    used = measurements(run, ("pairs",))
    first, other = (
        used.measured("one", lambda x=x: x, exact=False) for x in (used.coded, 1 - used.coded)
    )
    assert first["squared"] != other["squared"]
    assert used.measured("one", lambda: 1 - used.coded, exact=False) == other


@pytest.mark.parametrize("name", ["bm6", "bm7", "bm8", "bm9", "bm10", "constructive-mnist"])
def test_shipped_records_are_drawn_without_training(name, tmp_path):
    # Oracle: the record in the package: pictures appear, and what it says of itself is kept.
    paths = redraw_study(name, tmp_path)
    assert {path.suffix for path in paths} == {".png", ".pdf"}
    shipped = load_record(Path(str(files("veridical.studies"))) / "data" / f"{name}.npz")
    assert shipped.study == name
    assert shipped.facts["preset"] == "cpu"
