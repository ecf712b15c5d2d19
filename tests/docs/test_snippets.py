"""The Python snippets of the pages run from top to bottom, and print what the pages say."""

import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytest

PAGES = Path(__file__).parents[2] / "docs"
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def run(page):
    """Execute the page's Python blocks in one namespace; check a text block that follows one.

    Words must be equal and numbers within 8 % or two units of the last digit: training and file
    formats differ a little between machines, a wrong formula differs by more.
    """
    space = {}
    blocks = re.findall(
        r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", (PAGES / page).read_text(), re.DOTALL
    )
    for code, expected in blocks:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(compile(code, page, "exec"), space)  # noqa: S102 (our own documentation)
        if expected:
            found = said.getvalue()
            assert _NUMBER.sub("#", found) == _NUMBER.sub("#", expected)
            pairs = zip(_NUMBER.findall(found), _NUMBER.findall(expected), strict=True)
            for one, other in pairs:
                last = 10.0 ** -len(other.partition(".")[2])
                assert float(one) == pytest.approx(float(other), rel=0.08, abs=2 * last), found
    return space


def test_channel_simulation():
    # Oracles: what the page says. The plane: E|X - X^|^2 = 4 (1 - rho) within 4 standard errors (0.05). The Laplace
    # channel: mean absolute deviation 1 about 0.5 (n = 4,000; 4 errors: 0.07). The codec: 1.52 bits
    # written within 0.1, and the estimate is rho times the sample.
    space = run("channel-simulation.md")
    x, y = space["x"], space["x_hat"]
    rho = space["channel"].correlation
    assert abs(np.mean(np.sum((x - y) ** 2, axis=1)) - 4 * (1 - rho)) < 0.05
    assert 8 * len(space["data"]) / len(x) < 2 + np.log2(3) + 4
    assert abs(np.mean(np.abs(space["around"] - 0.5)) - 1.0) < 0.07
    assert space["nearly"].max() < 64
    assert abs(space["bits"] - 1.52) < 0.1
    np.testing.assert_allclose(space["best"], space["real"] * np.sqrt(0.75), rtol=1e-9)


def test_one_shot():
    # Oracles: what the page says: indices survive the bytes; realism 0 has the error of the price
    # list within 4 standard errors (0.03); realism 1 lies on the circle.
    space = run("one-shot.md")
    assert np.array_equal(space["again"], space["index"])
    x, best, real = space["x"], space["best"], space["real"]
    assert abs(np.mean(np.sum((x - best) ** 2, axis=1)) - 0.594715) < 0.03
    np.testing.assert_allclose(np.hypot(*real.T), 1.0, atol=1e-12)
    assert space["out"].shape == x.shape


def test_a_source_of_your_own():
    # Oracle: the page's own price, 1.25; 4 standard errors of 100,000 samples (0.04). The estimate is
    # the mean of its half: E|X| = 1 for the Laplacian of scale 1.
    from veridical.photo.formats import FORMATS

    space = run("extending.md")
    assert FORMATS.pop("JPEG2000") is space["JPEG2000"]  # other tests run over all formats
    assert space["predicted"] == 1.25
    assert abs(space["measured"] - 1.25) < 0.04


@pytest.mark.statistical
def test_from_circle_to_photographs():
    # Oracles: the printed text (see above); and in each of the four steps the price d + a^2 C at
    # a = 1/2 against the distortion. Circle, samples and Gaussian: 4 standard errors of D and, for
    # the Gaussian, of d on the training samples as well. The photograph is one picture: 2 %.
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)  # small networks: threads only wait for each other
    try:
        space = run("from-circle-to-photographs.md")
    finally:
        torch.set_num_threads(before)
    rng = np.random.default_rng(0)
    for x, codec, seed, more in (
        (space["x"], space["circle"], 7, 1.0),
        (space["moons"], space["codec"], 3, 1.0),
        (space["test"], space["gauss"], 5, 2.0),
    ):
        z = codec.encode(x, seed=seed)
        error = np.sum((x - codec.decode(z, rng, realism=0.5, seed=seed)) ** 2, axis=1)
        price = codec.calibration(z).distortion_at(0.5)
        assert abs(error.mean() - price) < 4 * np.sqrt(more / len(x)) * error.std()
    unit, own = space["unit"], space["own"]
    D = np.mean(np.sum((unit - space["pictures"][0.5]) ** 2, axis=1))
    assert abs(D - own.distortion_at(0.5)) < 0.02 * D


def test_generators():
    # Oracles: what the page says: posterior sampling costs d, within 4 standard errors (15 %), and
    # the plan less; the flow fits the codec; the choice meets its target on the samples it was made on.
    space = run("generators.md")
    price, plain = space["codec"].calibration, space["plain"].calibration
    assert abs(plain.transport_cost / price.mmse - 1) < 0.15
    assert price.transport_cost < 0.9 * price.mmse
    assert np.isfinite(space["learnt"].calibration.transport_cost)
    assert space["choice"].value <= 0.02
    assert space["out"].shape == space["x"].shape


def test_group_codes():
    # Oracles: what the page says: rates, length of the bytes (12 more at most), indices back, alphabets
    # kept; the error at realism 0 within 4 standard errors (0.012) of the price list.
    space = run("group-codes.md")
    chain, x, codec = space["chain"], space["x"], space["codec"]
    assert (chain.rate_bits, chain.common_bits, chain.shaping_bits) == (0.5, 0.2, 0.1)
    assert np.array_equal(space["again"], space["index"])
    assert 8 * len(space["data"]) <= 0.5 * x.size + 96
    for name in ("real", "hard"):
        assert set(np.unique(space[name])) == {0.0, 1.0}
    assert abs(np.mean((x - space["best"]) ** 2) - codec.calibration.mmse) < 0.012
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


def test_trellis_codes():
    # Oracles: what the page says: indices survive the bytes; one bit within 2 %; the error of the estimate within 3 %
    # of the price list, and that at most .28 (10,000 samples: 1.4 %), and perfect realism the source's power within 4 %.
    space = run("trellis-codes.md")
    assert np.array_equal(space["again"].ravel(), space["index"].ravel())
    assert 8 * len(space["data"]) / space["x"].size == pytest.approx(1, rel=0.02)
    price, error = space["codec"].calibration, np.mean(np.square(space["x"] - space["best"]))
    assert error == pytest.approx(price.mmse, rel=0.03)
    assert price.mmse < 0.28
    assert np.mean(np.square(space["real"])) == pytest.approx(1, rel=0.04)


def test_which_code():
    # Oracle: the price list on the page's own vectors, of which it saw a part: within 6 % (2,000 vectors: 2 %).
    space = run("which-code.md")
    codec, x = space["codec"], space["x"]
    for realism, out in ((0.0, space["best"]), (1.0, space["real"])):
        found = np.mean(np.sum(np.square(x - out), axis=1))
        assert found == pytest.approx(codec.calibration.distortion_at(realism), rel=0.06)
    assert 8 * len(space["data"]) / len(x) == pytest.approx(10, rel=0.05)


def test_the_readme(tmp_path, monkeypatch, capsys):
    # Oracle: the functions by themselves: an AVIF file of at most 0.25 bits per pixel, a picture of its size, a
    # comparison of four rows, and a codec of two bits whose price keeps to what was asked of it.
    from importlib.resources import files

    from PIL import Image

    text = (PAGES.parent / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    with Image.open(files("veridical.photo") / "demo.webp") as photo:
        photo.crop((0, 0, 160, 128)).save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    space = {"rng": rng, "samples": rng.normal(size=(400, 2))}
    exec(compile(block, "README.md", "exec"), space)  # noqa: S102 (our own documentation)
    assert 8 * len(space["data"]) <= 0.25 * 160 * 128
    assert space["image"].info.format == "AVIF"
    assert space["picture"].size == (160, 128)
    assert capsys.readouterr().out.count("realism") == 3
    assert space["codec"].rate_bits == 2
    assert space["codec"].seeds == 4
