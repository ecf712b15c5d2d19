"""The study of group codes in its small size: nothing beats a limit, and the rows say what they coded."""

import math

from veridical.studies.records import load_record


def test_rows_stand_above_the_limits(studied):
    # Oracles: proven lower bounds of D(R, Rc, P); the rate of the chain plus 12 bytes for all blocks; the
    # symbols of the source alone at realism 1, whose law is off by chance alone (4 times its mean); random codes, 4 standard errors.
    record = load_record(studied("group-codes")[0])
    names = [row["name"] for row in record.facts["rows"]]
    assert len(set(names)) == len(names)
    for row, law in zip(record.facts["rows"], record.arrays["block_law"], strict=True):
        assert row["mmse"] > row["mmse_limit"][0]
        for at in ("real", "middle"):
            low, high = row[f"{at}_limit"]
            assert low <= high
            assert row[f"{at}_distortion"] > low
        size = 12 * row["block_symbols"]
        assert row["rate_bits"] <= row["coded_bits"] <= row["rate_bits"] + 96 / size
        assert law[0, 0] < 4 * law[0, 1]
        assert math.isfinite(row["middle_gap_db"])
    for row in record.facts["rows"]:
        _, d, error = record.arrays[f"random_{row['source']}"].T
        assert (d > row["mmse_limit"][0] - 4 * error).all()
