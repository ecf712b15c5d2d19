"""The Python snippets of the pages run from top to bottom."""

import re
from pathlib import Path

import numpy as np

PAGES = Path(__file__).parents[2] / "docs"


def run(page):
    """Execute the page's Python blocks in one namespace and return it."""
    space = {}
    for block in re.findall(r"```python\n(.*?)```", (PAGES / page).read_text(), re.DOTALL):
        exec(compile(block, page, "exec"), space)  # noqa: S102 (our own documentation)
    return space


def test_one_shot():
    # Oracles: what the page says: indices survive the bytes; realism 0 has the error of the price
    # list within 4 standard errors (0.03); realism 1 lies on the circle.
    space = run("one-shot.md")
    assert np.array_equal(space["again"], space["index"])
    x, best, real = space["x"], space["best"], space["real"]
    assert abs(np.mean(np.sum((x - best) ** 2, axis=1)) - 0.594715) < 0.03
    np.testing.assert_allclose(np.hypot(*real.T), 1.0, atol=1e-12)
    assert space["out"].shape == x.shape


def test_lattices():
    # Oracles: what the page says: indices survive the bytes; one bit within 4 % (5,000 blocks, 100 bytes
    # of tables' ends); the error of the estimate within 4 standard errors (0.012) of the price list.
    space = run("lattices.md")
    assert np.array_equal(space["again"], space["index"])
    assert abs(8 * len(space["data"]) / space["x"].size - 1) < 0.04
    error = np.mean((space["x"] - space["best"]) ** 2)
    assert abs(error - space["codec"].calibration.mmse) < 0.012
    assert abs(np.mean(space["real"] ** 2) - 1) < 0.04
