"""The snippets of the page on random codes run from top to bottom."""

import re
from pathlib import Path

import numpy as np

PAGE = Path(__file__).parents[2] / "docs" / "random-coding.md"


def test_random_coding_page():
    # Oracles: what the page says: indices survive the bytes, prices to the digits shown, 2,000 blocks
    # of one codebook within 6 % of the price list (codebooks of 64 words differ by about 1 %).
    space = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(compile(block, PAGE.name, "exec"), space)  # noqa: S102 (our own documentation)
    np.testing.assert_array_equal(space["again"], space["index"])
    code_price = space["random_code"](12, 0.5, 0.5).calibration
    assert round(code_price.mmse, 3) == 0.619
    assert round(code_price.transport_cost, 3) == 0.365
    x = space["x"]
    for name, D in (
        ("best", code_price.mmse),
        ("real", code_price.distortion_at(1.0)),
        ("some", code_price.distortion_for(0.1)),
    ):
        assert abs(np.mean((x - space[name]) ** 2) / D - 1) < 0.06
    assert space["allocation"].index_bits == (7, 1, 0, 0)
    assert space["out"].shape == (200, 8, 4)
